//! What a request was answered, kept in the transaction that did what it asked for.

use ringback_domain::{idempotency::Claim, time::Timestamp};

use super::{append, writer::Transaction};
use crate::{Answer, Claimed};

/// Stores an answer, if the request had a claim.
pub(super) fn keep(
    transaction: &mut Transaction<'_>,
    now: Timestamp,
    answer: Option<&Answer>,
) -> rusqlite::Result<()> {
    let Some(Answer { claim, status, body }) = answer else { return Ok(()) };
    let key = transaction.memory.keys.next(now, 0);
    append::make_claim(transaction, key, *claim, Some((*status, body)))
}

/// What a claim was answered with. It asks the writer, as the index of claims is there; a
/// transaction that only reads costs no sync.
pub(super) fn find(
    transaction: &Transaction<'_>,
    claim: Claim,
    now: Timestamp,
) -> rusqlite::Result<Option<Claimed>> {
    let found = transaction.memory.claims.find(transaction.connection, claim, now)?;
    // A message's claim has no answer of its own, and is never asked for here.
    Ok(found.and_then(|row| {
        let status = row.status?;
        Some(Claimed { same_body: row.same_body, status, body: row.answer.unwrap_or_default() })
    }))
}
