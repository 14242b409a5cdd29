//! Payloads that were converted lately: endpoints that are pinned alike share one conversion.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use ringback_domain::{contract::conversion::Converted, id::Key, time::Timestamp};
use tokio::sync::OnceCell;

/// How many conversions are remembered.
const ENTRIES: usize = 512;
/// How many bytes they may have together.
const BYTES: usize = 16 * 1024 * 1024;

/// What is converted: a message, to the version with an ordinal, by the contract as it was at a time.
pub(super) type Subject = (Key, u32, Timestamp);

/// What became of a conversion; the text says why it failed for good.
pub(super) type Outcome = Result<Converted, String>;

/// What is remembered.
#[derive(Default)]
pub(super) struct Memo(Mutex<Held>);

#[derive(Default)]
struct Held {
    cells: HashMap<Subject, Arc<OnceCell<Outcome>>>,
    /// The oldest first.
    order: VecDeque<Subject>,
    bytes: usize,
    sizes: HashMap<Subject, usize>,
}

impl Memo {
    /// The place for a conversion: whoever comes first fills it, the others wait for that.
    pub(super) fn cell(&self, subject: Subject) -> Arc<OnceCell<Outcome>> {
        let mut held = self.lock();
        if let Some(cell) = held.cells.get(&subject) {
            return Arc::clone(cell);
        }
        if held.order.len() >= ENTRIES {
            held.drop_oldest();
        }
        held.order.push_back(subject);
        let cell: Arc<OnceCell<Outcome>> = Arc::default();
        held.cells.insert(subject, Arc::clone(&cell));
        cell
    }

    /// Notes how large what is in a place has become.
    pub(super) fn filled(&self, subject: Subject, outcome: &Outcome) {
        let size = match outcome {
            Ok(Converted::Changed(text)) => text.len(),
            Ok(_) => 0,
            Err(why) => why.len(),
        };
        let mut held = self.lock();
        if held.cells.contains_key(&subject) && held.sizes.insert(subject, size).is_none() {
            held.bytes += size;
        }
        while held.bytes > BYTES && held.order.len() > 1 {
            held.drop_oldest();
        }
    }

    /// Forgets a place that nobody could fill.
    pub(super) fn forget(&self, subject: Subject) {
        let mut held = self.lock();
        held.cells.remove(&subject);
        held.order.retain(|it| *it != subject);
        if let Some(size) = held.sizes.remove(&subject) {
            held.bytes -= size;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        // Every change leaves it whole, so a panic elsewhere cannot have broken it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn drop_oldest(&mut self) {
        let Some(oldest) = self.order.pop_front() else { return };
        self.cells.remove(&oldest);
        if let Some(size) = self.sizes.remove(&oldest) {
            self.bytes -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded() {
        let memo = Memo::default();
        let subject = |key| (key, 1, Timestamp(0));
        for key in 0..2_000 {
            let outcome = Ok(Converted::Changed("x".repeat(64 * 1024)));
            let cell = memo.cell(subject(key));
            memo.filled(subject(key), &outcome);
            cell.set(outcome).unwrap();
        }
        let held = memo.lock();
        assert!(held.bytes <= BYTES && held.order.len() <= ENTRIES, "{}", held.bytes);
        assert_eq!((held.cells.len(), held.sizes.len()), (held.order.len(), held.order.len()));
        drop(held);
        assert!(memo.cell(subject(1_999)).get().is_some(), "the newest is there");
        assert!(memo.cell(subject(0)).get().is_none(), "the oldest is not");
    }
}
