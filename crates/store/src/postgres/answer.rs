//! What a request was answered, kept in the transaction that did what it asked for.

use ringback_domain::{idempotency::Claim, shard::SHARDS, time::Timestamp};
use tokio_postgres::Error;

use super::{
    append,
    fault::Stop,
    transaction::{Transaction, bytea, int4, int8},
};
use crate::{Answer, Claimed, Repeated};

/// Stores an answer, if the request had a claim. Who finds the claim made by somebody else, perhaps
/// after waiting for that one's end, has done nothing.
pub(super) async fn keep<E: From<Repeated>>(
    transaction: &Transaction<'_>,
    now: Timestamp,
    answer: Option<&Answer>,
) -> Result<(), Stop<E>> {
    let Some(Answer { claim, status, body }) = answer else { return Ok(()) };
    let key = transaction.next_key(now);
    let Place { shard, bucket, fingerprint, .. } = Place::of(*claim, now);
    let (said, until) = (claim.body.to_be_bytes().to_vec(), claim.expires_at.millis());
    let status = i32::from(*status);
    let parameters = [
        int4(&shard),
        int8(&bucket),
        bytea(&fingerprint),
        int8(&key),
        bytea(&said),
        int8(&until),
        int4(&status),
        bytea(body),
    ];
    let made = transaction.execute(include_str!("queries/claim_insert.sql"), &parameters).await?;
    if made == 0 { Err(Stop::Refused(Repeated.into())) } else { Ok(()) }
}

/// What a claim was answered with.
pub(super) async fn find(
    transaction: &Transaction<'_>,
    claim: Claim,
    now: Timestamp,
) -> Result<Option<Claimed>, Error> {
    let Place { shard, bucket, period, fingerprint } = Place::of(claim, now);
    let (before, now) = (bucket - period, now.millis());
    let parameters = [int4(&shard), int8(&bucket), int8(&before), bytea(&fingerprint), int8(&now)];
    let row = transaction.row(include_str!("queries/claim_find.sql"), &parameters).await?;
    // A message's claim has no answer of its own, and is never asked for here.
    Ok(row.and_then(|row| {
        let status = row.get::<_, Option<i32>>(1)?;
        Some(Claimed {
            same_body: row.get::<_, &[u8]>(0) == claim.body.to_be_bytes(),
            status: status as u16,
            body: row.get::<_, Option<Vec<u8>>>(2).unwrap_or_default(),
        })
    }))
}

/// Where the claim of a request that is not a message is kept: no application need exist, so the
/// fingerprint decides the shard.
struct Place {
    shard: i32,
    bucket: i64,
    period: i64,
    fingerprint: Vec<u8>,
}

impl Place {
    fn of(claim: Claim, now: Timestamp) -> Place {
        let (bucket, period) = append::bucket(claim, now);
        let shard = (claim.fingerprint % u128::from(SHARDS)) as i32;
        Place { shard, bucket, period, fingerprint: claim.fingerprint.to_be_bytes().to_vec() }
    }
}
