//! Which events are here, which are dealt with, and what may be acknowledged.
//!
//! An exclusive listener has one place: it moves to the last event before which all are dealt with.
//! In a group each event is acknowledged by itself. Either way an event that comes again after the
//! connection was lost is told from a new one.

use std::collections::{HashSet, VecDeque};

/// How many of the events that were dealt with are remembered in a group.
const REMEMBERED: usize = 4096;

/// The book of one run.
#[derive(Debug)]
pub(super) struct Book {
    is_shared: bool,
    /// In the order of arrival, each with whether it is dealt with.
    open: VecDeque<(String, bool)>,
    /// Everything up to here is dealt with. Ids sort by time.
    checkpoint: Option<String>,
    done: HashSet<String>,
    /// The same in order, to forget the oldest.
    order: VecDeque<String>,
}

/// What to do with an event that arrived.
#[derive(Debug, PartialEq)]
pub(super) enum Arrival {
    /// It is new.
    New,
    /// It is here, and not dealt with yet.
    Here,
    /// It is dealt with: this is to be acknowledged again.
    Done(String),
}

impl Book {
    pub(super) fn new(is_shared: bool) -> Self {
        let (open, done, order) = Default::default();
        Self { is_shared, open, checkpoint: None, done, order }
    }

    /// Takes down an event.
    pub(super) fn arrived(&mut self, id: &str) -> Arrival {
        if self.is_shared && self.done.contains(id) {
            return Arrival::Done(id.to_owned());
        }
        if let Some(checkpoint) = self.checkpoint.as_ref().filter(|place| id <= place.as_str()) {
            return Arrival::Done(checkpoint.clone());
        }
        if self.open.iter().any(|(here, _)| here == id) {
            return Arrival::Here;
        }
        self.open.push_back((id.to_owned(), false));
        Arrival::New
    }

    /// The event is dealt with; what may be acknowledged now, if anything.
    pub(super) fn dealt_with(&mut self, id: &str) -> Option<String> {
        if self.is_shared {
            self.forget(id);
            self.remember(id.to_owned());
            return Some(id.to_owned());
        }
        self.open.iter_mut().filter(|(here, _)| here == id).for_each(|(_, done)| *done = true);
        let mut moved = false;
        while self.open.front().is_some_and(|(_, done)| *done) {
            self.checkpoint = self.open.pop_front().map(|(id, _)| id);
            moved = true;
        }
        self.checkpoint.clone().filter(|_| moved)
    }

    /// The event is somebody else's.
    pub(super) fn forget(&mut self, id: &str) {
        self.open.retain(|(here, _)| here != id);
    }

    /// The last event before which all are dealt with, of an exclusive listener.
    pub(super) fn checkpoint(&self) -> Option<&str> {
        self.checkpoint.as_deref()
    }

    fn remember(&mut self, id: String) {
        if self.done.insert(id.clone()) {
            self.order.push_back(id);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.done.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_moves_over_what_is_dealt_with_and_no_further() {
        let mut book = Book::new(false);
        for id in ["a", "b", "c"] {
            assert_eq!(book.arrived(id), Arrival::New);
        }
        assert_eq!(book.dealt_with("b"), None);
        assert_eq!(book.checkpoint(), None);
        assert_eq!(book.dealt_with("a").as_deref(), Some("b"));
        assert_eq!(book.dealt_with("c").as_deref(), Some("c"));
        assert_eq!(book.checkpoint(), Some("c"));
    }

    #[test]
    fn nothing_comes_twice() {
        let mut book = Book::new(false);
        for id in ["a", "b", "c"] {
            book.arrived(id);
        }
        book.dealt_with("a");
        book.dealt_with("c");
        // The server knows of "a" at most.
        assert_eq!(book.arrived("a"), Arrival::Done("a".to_owned()));
        assert_eq!(book.arrived("b"), Arrival::Here);
        assert_eq!(book.arrived("c"), Arrival::Here);
        assert_eq!(book.arrived("d"), Arrival::New);
        assert_eq!(book.dealt_with("b").as_deref(), Some("c"));
        assert_eq!(book.arrived("c"), Arrival::Done("c".to_owned()));
    }

    #[test]
    fn in_a_group_each_is_by_itself() {
        let mut book = Book::new(true);
        for id in ["c", "a"] {
            assert_eq!(book.arrived(id), Arrival::New);
        }
        assert_eq!(book.dealt_with("a").as_deref(), Some("a"));
        assert_eq!(book.arrived("a"), Arrival::Done("a".to_owned()));
        assert_eq!(book.arrived("b"), Arrival::New);
        book.forget("b");
        assert_eq!(book.arrived("b"), Arrival::New);
        assert_eq!(book.checkpoint(), None);
        for number in 0..2 * REMEMBERED {
            book.dealt_with(&number.to_string());
        }
        assert_eq!(book.done.len(), REMEMBERED);
        assert_eq!(book.arrived("a"), Arrival::New);
    }
}
