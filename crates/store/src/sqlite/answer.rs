//! What a request was answered, kept in the transaction that did what it asked for.

use ringback_domain::{idempotency::Claim, time::Timestamp};

use super::{append, fault::Stop, writer::Transaction};
use crate::{Answer, Claimed, Repeated};

/// Stores an answer, if the request had a claim. Who finds the claim made by somebody else has done
/// nothing.
pub(super) fn keep<E: From<Repeated>>(
    transaction: &mut Transaction<'_>,
    now: Timestamp,
    answer: Option<&Answer>,
) -> Result<(), Stop<E>> {
    let Some(Answer { claim, status, body }) = answer else { return Ok(()) };
    if transaction.memory.claims.find(transaction.connection, *claim, now)?.is_some() {
        return Err(Stop::Refused(Repeated.into()));
    }
    let key = transaction.memory.keys.next(now, 0);
    Ok(append::make_claim(transaction, key, *claim, Some((*status, body)))?)
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
