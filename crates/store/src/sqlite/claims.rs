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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1000);

    fn claim(number: u128) -> Claim {
        Claim { fingerprint: number, body: number, expires_at: Timestamp(2000) }
    }

    /// A table of the claims 1 to `count`, under keys a hundred times as large.
    fn table(count: u128) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("schema.sql")).unwrap();
        for number in 1..=count {
            let key = number as Key * 100;
            super::super::append::insert_claim(&connection, key, claim(number), None).unwrap();
        }
        connection
    }

    fn found(claims: &Claims, connection: &Connection) -> Vec<u128> {
        let known = |number: &u128| {
            let row = claims.find(connection, claim(*number), NOW).unwrap();
            row.is_some_and(|row| row.key == *number as Key * 100)
        };
        (1..=100).filter(known).collect()
    }

    #[test]
    fn the_newest_are_remembered() {
        let connection = table(100);
        let mut claims = Claims::new(16);
        for number in 1..=100 {
            claims.insert(number, number as Key * 100);
        }
        assert_eq!(found(&claims, &connection), (85..=100).collect::<Vec<_>>());
    }

    #[test]
    fn a_restart_remembers_the_tail() {
        let connection = table(100);
        let mut claims = Claims::new(16);
        claims.load(&connection).unwrap();
        assert_eq!(found(&claims, &connection), (87..=100).collect::<Vec<_>>());
        let short = table(3);
        let mut claims = Claims::new(16);
        claims.load(&short).unwrap();
        assert_eq!(found(&claims, &short), [1, 2, 3]);
    }

    #[test]
    fn the_row_decides() {
        let connection = table(1);
        let mut claims = Claims::new(16);
        claims.insert(1, 100);
        let other_body = Claim { body: 9, ..claim(1) };
        assert!(!claims.find(&connection, other_body, NOW).unwrap().unwrap().same_body);
        let expired = claims.find(&connection, claim(1), Timestamp(2000)).unwrap();
        assert!(expired.is_none());
        // The index keeps half of a fingerprint; the row has all of it.
        let alike = Claim { fingerprint: 1 | (1 << 64), ..claim(1) };
        assert!(claims.find(&connection, alike, NOW).unwrap().is_none());
        claims.remove(1);
        assert!(claims.find(&connection, claim(1), NOW).unwrap().is_none());
    }
}
