//! What was read for a listener and is not dealt with: who has it, and how far the place may move.
//!
//! ```text
//!            read                take                    acknowledge
//!  store ──────────► waiting ──────────► with a member ──────────────► done ──► place moves over it
//!                       ▲                     │                                 when all before it is
//!                       └──── put back ───────┘
//! ```
//!
//! Invariant: the place never moves over an event that is not done, so whatever is lost of this book
//! (it is in memory) comes again, and nothing is left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::id::Key;

/// Somebody who takes events.
pub type Member = u64;

/// The book of one listener. `T` is what an event is carried as.
#[derive(Debug)]
pub struct Book<T> {
    /// Everything up to here is done.
    place: Key,
    /// Everything up to here was read.
    read_to: Key,
    /// What was read and is after the place. What is done has no content any more.
    events: BTreeMap<Key, Entry<T>>,
    /// Those of them that wait.
    waiting: BTreeSet<Key>,
    /// What members have in hand.
    loads: HashMap<Member, Load>,
}

#[derive(Debug)]
enum Entry<T> {
    Waiting { event: T, again: bool },
    With { member: Member, event: T, weight: usize },
    Done,
}

/// An event that a member was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken<T> {
    /// Where it stands.
    pub key: Key,
    /// It.
    pub event: T,
    /// Whether somebody had it before.
    pub again: bool,
}

/// How much a member has in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Events.
    pub count: usize,
    /// Their weights together.
    pub weight: usize,
}

impl<T: Clone> Book<T> {
    /// A book that goes on from a place.
    pub fn at(place: Key) -> Book<T> {
        Book {
            place,
            read_to: place,
            events: BTreeMap::new(),
            waiting: BTreeSet::new(),
            loads: HashMap::new(),
        }
    }

    /// Everything up to here is done: what is to be remembered.
    pub fn place(&self) -> Key {
        self.place
    }

    /// From where on to read.
    pub fn read_to(&self) -> Key {
        self.read_to
    }

    /// How many events wait for somebody to take them.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What was read after [`read_to`](Book::read_to), and up to where that was.
    pub fn read(&mut self, events: impl IntoIterator<Item = (Key, T)>, reached: Key) {
        for (key, event) in events {
            if key > self.read_to {
                self.events.insert(key, Entry::Waiting { event, again: false });
                self.waiting.insert(key);
            }
        }
        self.read_to = self.read_to.max(reached);
        self.advance();
    }

    /// Gives the oldest waiting event to a member; `weight` says how much it weighs.
    pub fn take(&mut self, member: Member, weight: impl FnOnce(&T) -> usize) -> Option<Taken<T>> {
        let key = self.waiting.pop_first()?;
        let entry = self.events.get_mut(&key)?;
        let Entry::Waiting { event, again } = entry else { return None };
        let taken = Taken { key, event: event.clone(), again: *again };
        let weight = weight(event);
        *entry = Entry::With { member, weight, event: taken.event.clone() };
        let load = self.loads.entry(member).or_default();
        load.count += 1;
        load.weight += weight;
        Some(taken)
    }

    /// A member has dealt with one event.
    pub fn acknowledge(&mut self, member: Member, key: Key) {
        if self.is_with(member, key) {
            self.finish(key);
            self.advance();
        }
    }

    /// The only member has dealt with everything up to here, as far as it was read.
    pub fn acknowledge_up_to(&mut self, key: Key) {
        let keys: Vec<Key> = self.events.range(..=key).map(|(key, _)| *key).collect();
        for key in keys {
            self.finish(key);
        }
        self.place = self.place.max(key.min(self.read_to));
        self.advance();
    }

    /// A member gives one event back.
    pub fn put_back(&mut self, member: Member, key: Key) {
        if self.is_with(member, key)
            && let Some(Entry::With { event, .. }) = self.finish(key)
        {
            self.events.insert(key, Entry::Waiting { event, again: true });
            self.waiting.insert(key);
        }
    }

    /// A member goes away: others get what it has.
    pub fn leave(&mut self, member: Member) {
        let keys: Vec<Key> = self.events.keys().copied().collect();
        keys.into_iter().for_each(|key| self.put_back(member, key));
        self.loads.remove(&member);
    }

    /// What a member has in hand.
    pub fn load(&self, member: Member) -> Load {
        self.loads.get(&member).copied().unwrap_or_default()
    }

    fn is_with(&self, member: Member, key: Key) -> bool {
        matches!(self.events.get(&key), Some(Entry::With { member: with, .. }) if *with == member)
    }

    /// Takes an event out of everybody's hands. Returns what it was.
    fn finish(&mut self, key: Key) -> Option<Entry<T>> {
        self.waiting.remove(&key);
        let entry = std::mem::replace(self.events.get_mut(&key)?, Entry::Done);
        if let Entry::With { member, weight, .. } = &entry
            && let Some(load) = self.loads.get_mut(member)
        {
            load.count -= 1;
            load.weight -= weight;
        }
        Some(entry)
    }

    fn advance(&mut self) {
        while let Some(first) = self.events.first_entry() {
            if !matches!(first.get(), Entry::Done) {
                // Nothing that was read lies between.
                self.place = self.place.max(first.key() - 1);
                return;
            }
            first.remove();
        }
        self.place = self.place.max(self.read_to);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn book(keys: &[Key], reached: Key) -> Book<Key> {
        let mut book = Book::at(0);
        book.read(keys.iter().map(|key| (*key, *key)), reached);
        book
    }

    fn take(book: &mut Book<Key>, member: Member) -> Option<Key> {
        book.take(member, |_| 1).map(|taken| taken.key)
    }

    #[test]
    fn the_place_waits_for_the_oldest() {
        let mut book = book(&[10, 20, 30], 35);
        assert_eq!(book.place(), 9);
        assert_eq!([take(&mut book, 1), take(&mut book, 2)], [Some(10), Some(20)]);
        book.acknowledge(2, 20);
        assert_eq!(book.place(), 9);
        book.acknowledge(2, 10);
        assert_eq!(book.place(), 9, "it is another's");
        book.acknowledge(1, 10);
        assert_eq!(book.place(), 29);
        assert_eq!(take(&mut book, 1), Some(30));
        book.acknowledge(1, 30);
        assert_eq!(book.place(), 35);
    }

    #[test]
    fn who_is_alone_acknowledges_all_before() {
        let mut book = book(&[10, 20, 30], 35);
        take(&mut book, 1);
        book.acknowledge_up_to(20);
        assert_eq!((book.place(), book.waiting()), (29, 1));
        book.acknowledge_up_to(99);
        assert_eq!((book.place(), book.waiting()), (35, 0));
    }

    #[test]
    fn what_a_member_had_goes_to_others_and_is_marked() {
        let mut book = book(&[10, 20], 20);
        take(&mut book, 1);
        assert_eq!(book.load(1), Load { count: 1, weight: 1 });
        book.leave(1);
        assert_eq!(book.load(1), Load::default());
        let taken = book.take(2, |_| 1).unwrap();
        assert_eq!((taken.key, taken.again), (10, true));
        assert_eq!(book.take(2, |_| 1).map(|taken| taken.again), Some(false));
    }

    #[derive(Clone, Debug)]
    enum Act {
        Read(u8),
        Take(Member),
        Acknowledge(Member, u8),
        PutBack(Member, u8),
        Leave(Member),
    }

    fn act() -> impl Strategy<Value = Act> {
        let member = 1..4u64;
        prop_oneof![
            (1..5u8).prop_map(Act::Read),
            member.clone().prop_map(Act::Take),
            (member.clone(), any::<u8>())
                .prop_map(|(member, which)| Act::Acknowledge(member, which)),
            (member.clone(), any::<u8>()).prop_map(|(member, which)| Act::PutBack(member, which)),
            member.prop_map(Act::Leave),
        ]
    }

    proptest! {
        /// Whatever members do, the place passes over nothing that nobody has dealt with, nobody
        /// has an event that another has, and in the end everything was dealt with once.
        #[test]
        fn nothing_is_passed_over(acts in prop::collection::vec(act(), 0..200)) {
            let mut book: Book<Key> = Book::at(0);
            let mut next = 0;
            let mut held: Vec<(Member, Key)> = Vec::new();
            let mut done: std::collections::BTreeSet<Key> = Default::default();
            for act in acts {
                match act {
                    Act::Read(count) => {
                        let keys: Vec<Key> = (1..=Key::from(count)).map(|i| next + i * 3).collect();
                        next += Key::from(count) * 3 + 1;
                        book.read(keys.into_iter().map(|key| (key, key)), next);
                    }
                    Act::Take(member) => {
                        if let Some(key) = take(&mut book, member) {
                            prop_assert!(!done.contains(&key));
                            prop_assert!(held.iter().all(|(_, other)| *other != key));
                            held.push((member, key));
                        }
                    }
                    Act::Acknowledge(member, which) => {
                        if let Some((by, key)) = held.get(usize::from(which) % held.len().max(1)).copied() {
                            book.acknowledge(member, key);
                            if by == member {
                                held.retain(|(_, other)| *other != key);
                                done.insert(key);
                            }
                        }
                    }
                    Act::PutBack(member, which) => {
                        if let Some((by, key)) = held.get(usize::from(which) % held.len().max(1)).copied() {
                            book.put_back(member, key);
                            held.retain(|(_, other)| by != member || *other != key);
                        }
                    }
                    Act::Leave(member) => {
                        book.leave(member);
                        held.retain(|(by, _)| *by != member);
                    }
                }
                let open = held.iter().map(|(_, key)| *key).min();
                prop_assert!(open.is_none_or(|open| book.place() < open));
                prop_assert!(book.place() <= book.read_to());
            }
            for (member, key) in held {
                book.acknowledge(member, key);
                done.insert(key);
            }
            while let Some(key) = take(&mut book, 9) {
                prop_assert!(done.insert(key), "{} was dealt with before", key);
                book.acknowledge(9, key);
            }
            prop_assert_eq!(book.place(), book.read_to());
        }
    }
}
