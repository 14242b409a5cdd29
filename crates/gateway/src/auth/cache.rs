//! What the store said about tokens lately, by the token's hash.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ringback_domain::time::Timestamp;

use super::{Identity, REMEMBERED};

/// How many known tokens are remembered, and how many unknown ones beside them.
const LIMIT: usize = 10_000;

type Hash = [u8; 32];

/// Bounded memory with an end to everything in it.
#[derive(Default)]
pub(super) struct Cache {
    // Held for a look-up or an insertion, never across an await.
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    known: HashMap<Hash, (Arc<Identity>, Timestamp)>,
    // Apart from the known ones, so that guessing cannot push those out.
    unknown: HashMap<Hash, Timestamp>,
    // Counts `clear`s: what was asked before one may be outdated after it.
    generation: u64,
}

/// When a question to the store began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked(u64);

impl Cache {
    /// What is remembered: `Some(None)` says that the token is not valid.
    pub(super) fn get(&self, hash: &Hash, now: Timestamp) -> Option<Option<Arc<Identity>>> {
        let inner = self.lock();
        if let Some((identity, _)) = inner.known.get(hash).filter(|(_, until)| now < *until) {
            return Some(Some(Arc::clone(identity)));
        }
        inner.unknown.get(hash).filter(|until| now < **until).map(|_| None)
    }

    /// To be called before the store is asked.
    pub(super) fn begin(&self) -> Asked {
        Asked(self.lock().generation)
    }

    /// Remembers what the store said, unless something was revoked since it was asked.
    pub(super) fn learn(
        &self,
        asked: Asked,
        hash: Hash,
        identity: Option<Arc<Identity>>,
        now: Timestamp,
    ) {
        let mut inner = self.lock();
        if inner.generation != asked.0 {
            return;
        }
        let until = now + REMEMBERED;
        match identity {
            Some(identity) => {
                make_room(&mut inner.known, |(_, until)| now < *until);
                inner.known.insert(hash, (identity, until));
            }
            None => {
                make_room(&mut inner.unknown, |until| now < *until);
                inner.unknown.insert(hash, until);
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        let mut inner = self.lock();
        inner.known.clear();
        inner.unknown.clear();
        inner.generation += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change above leaves the maps whole, so a panic elsewhere cannot have broken them.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what ended; if that is not enough, everything: a full cache is refilled in one request
/// each, while bookkeeping of ages would cost every request.
fn make_room<V>(map: &mut HashMap<Hash, V>, lives: impl Fn(&V) -> bool) {
    if map.len() >= LIMIT {
        map.retain(|_, value| lives(value));
    }
    if map.len() >= LIMIT {
        map.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody() -> Option<Arc<Identity>> {
        Some(Arc::new(Identity {
            environment: 7,
            token: None,
            name: String::new(),
            hint: String::new(),
            grant: Default::default(),
            expires_at: None,
        }))
    }

    fn hash(number: usize) -> Hash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        hash
    }

    #[test]
    fn answers_end() {
        let cache = Cache::default();
        cache.learn(cache.begin(), hash(1), somebody(), Timestamp(0));
        cache.learn(cache.begin(), hash(2), None, Timestamp(0));
        let end = Timestamp(0) + REMEMBERED;
        let before = Timestamp(end.0 - 1);
        assert_eq!(cache.get(&hash(1), before), Some(somebody()));
        assert_eq!(cache.get(&hash(2), before), Some(None));
        assert_eq!(cache.get(&hash(1), end), None);
        assert_eq!(cache.get(&hash(2), end), None);
        assert_eq!(cache.get(&hash(3), before), None);
    }

    #[test]
    fn a_question_that_began_before_a_revocation_teaches_nothing() {
        let cache = Cache::default();
        let asked = cache.begin();
        cache.clear();
        cache.learn(asked, hash(1), somebody(), Timestamp(0));
        assert_eq!(cache.get(&hash(1), Timestamp(0)), None);
    }

    #[test]
    fn guesses_do_not_push_known_tokens_out_and_memory_is_bounded() {
        let cache = Cache::default();
        cache.learn(cache.begin(), hash(0), somebody(), Timestamp(0));
        for number in 1..=LIMIT * 2 + 1 {
            cache.learn(cache.begin(), hash(number), None, Timestamp(0));
        }
        assert_eq!(cache.get(&hash(0), Timestamp(1)), Some(somebody()));
        assert!(cache.lock().unknown.len() <= LIMIT);
    }
}
