//! Remembers what was handled, so that an event that arrives again is handled once.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::BoxError;

/// Whether an event was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// No; it is claimed by the caller, who has to settle it.
    New,
    /// It is being handled.
    InFlight,
    /// It was handled.
    Done,
}

/// What a method of [`Dedupe`] answers: `Box::pin(async move { … })`.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send + 'a>>;

/// Remembers ids.
///
/// With several processes, keep them in a store that all of them share. There a claim needs an end,
/// later than the longest handler: else an event whose process died is never handled.
pub trait Dedupe: Send + Sync + 'static {
    /// Claims an id, in one step: of two who ask at once, one gets [`Claim::New`].
    fn begin<'a>(&'a self, id: &'a str) -> Pending<'a, Claim>;
    /// The event was handled.
    fn done<'a>(&'a self, id: &'a str) -> Pending<'a, ()>;
    /// It was not: the next who asks gets [`Claim::New`].
    fn forget<'a>(&'a self, id: &'a str) -> Pending<'a, ()>;
}

/// Remembers the latest ids in this process.
#[derive(Debug)]
pub struct Memory {
    limit: usize,
    // Held for a look-up or an insertion, never across an await.
    ids: Mutex<Ids>,
}

#[derive(Debug, Default)]
struct Ids {
    in_flight: HashSet<String>,
    done: HashSet<String>,
    /// The order in which those that are done are forgotten.
    oldest: VecDeque<String>,
}

impl Memory {
    /// Remembers this many handled events.
    pub fn new(limit: usize) -> Self {
        Self { limit, ids: Mutex::default() }
    }

    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    /// Remembers 10 000 handled events.
    fn default() -> Self {
        Self::new(10_000)
    }
}

impl Dedupe for Memory {
    fn begin<'a>(&'a self, id: &'a str) -> Pending<'a, Claim> {
        let mut ids = self.ids();
        let claim = if ids.done.contains(id) {
            Claim::Done
        } else if ids.in_flight.insert(id.to_owned()) {
            Claim::New
        } else {
            Claim::InFlight
        };
        Box::pin(std::future::ready(Ok(claim)))
    }

    fn done<'a>(&'a self, id: &'a str) -> Pending<'a, ()> {
        let mut ids = self.ids();
        ids.in_flight.remove(id);
        if ids.done.insert(id.to_owned()) {
            ids.oldest.push_back(id.to_owned());
        }
        if ids.oldest.len() > self.limit
            && let Some(oldest) = ids.oldest.pop_front()
        {
            ids.done.remove(&oldest);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn forget<'a>(&'a self, id: &'a str) -> Pending<'a, ()> {
        self.ids().in_flight.remove(id);
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_is_forgotten() {
        let memory = Memory::new(2);
        for id in ["a", "b", "c"] {
            assert_eq!(memory.begin(id).await.unwrap(), Claim::New);
            memory.done(id).await.unwrap();
        }
        let mut claims = Vec::new();
        for id in ["a", "b", "c"] {
            claims.push(memory.begin(id).await.unwrap());
        }
        assert_eq!(claims, [Claim::New, Claim::Done, Claim::Done]);
    }
}
