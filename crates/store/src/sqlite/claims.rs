//! Finds idempotency claims by fingerprint: an index in memory over an append-only table.
//!
//! The SDKs send a random key with every POST; a B-tree over random keys costs the accept path
//! 40 % at three million keys. So claims are appended to a table in the order of their making, and
//! only the newest are in this index: a bounded number, in generations of which the oldest is
//! dropped whole. On start the index is filled from the tail of the table. A hit is only a hint;
//! the row decides.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
};

use ringback_domain::{id::Key, idempotency::Claim, time::Timestamp};
use rusqlite::{Connection, OptionalExtension};

/// How many generations there are.
const GENERATIONS: usize = 8;

/// Fingerprints are uniformly distributed already: they are their own hash.
#[derive(Default)]
struct AsItIs(u64);
impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
type Generation = HashMap<u64, Key, BuildHasherDefault<AsItIs>>;

/// The index.
pub(super) struct Claims {
    generations: VecDeque<Generation>,
    generation_size: usize,
}

/// A claim's row.
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) same_body: bool,
    pub(super) status: Option<u16>,
    pub(super) answer: Option<Vec<u8>>,
}

impl Claims {
    /// An index for the newest `limit` claims.
    pub(super) fn new(limit: usize) -> Claims {
        Claims {
            generations: VecDeque::from([Generation::default()]),
            generation_size: (limit / GENERATIONS).max(1),
        }
    }

    /// Fills the index from the tail of the table.
    pub(super) fn load(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let limit = self.generation_size * (GENERATIONS - 1);
        let mut newest = connection.prepare(include_str!("queries/claims_newest.sql"))?;
        // Oldest first and one by one: there may be millions.
        let mut rows = newest.query([limit as i64 - 1])?;
        while let Some(row) = rows.next()? {
            let fingerprint = u128::from_be_bytes(row.get(1)?);
            self.insert(fingerprint, row.get(0)?);
        }
        Ok(())
    }

    /// Adds a claim that was just written.
    pub(super) fn insert(&mut self, fingerprint: u128, key: Key) {
        let full =
            self.generations.back().is_none_or(|newest| newest.len() >= self.generation_size);
        if full {
            if self.generations.len() >= GENERATIONS {
                self.generations.pop_front();
            }
            self.generations.push_back(Generation::default());
        }
        if let Some(newest) = self.generations.back_mut() {
            newest.insert(fingerprint as u64, key);
        }
    }

    /// Takes back a claim whose transaction failed.
    pub(super) fn remove(&mut self, fingerprint: u128) {
        for generation in &mut self.generations {
            generation.remove(&(fingerprint as u64));
        }
    }

    /// The row of a claim that was made before and is not forgotten.
    pub(super) fn find(
        &self,
        connection: &Connection,
        claim: Claim,
        now: Timestamp,
    ) -> rusqlite::Result<Option<Row>> {
        let hint = |generation: &Generation| generation.get(&(claim.fingerprint as u64)).copied();
        let Some(key) = self.generations.iter().rev().find_map(hint) else { return Ok(None) };
        let mut select = connection.prepare_cached(include_str!("queries/claim_by_key.sql"))?;
        let fingerprint = claim.fingerprint.to_be_bytes();
        select
            .query_row((key, fingerprint, now.millis()), |row| {
                Ok(Row {
                    key,
                    same_body: row.get::<_, [u8; 16]>(0)? == claim.body.to_be_bytes(),
                    status: row.get(1)?,
                    answer: row.get(2)?,
                })
            })
            .optional()
    }
}
