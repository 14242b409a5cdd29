//! Deleting what is no longer needed, a bounded amount at a time.
//!
//! Most of what expires goes with its partition. What is left is what was written for a time that
//! had no partition, the deliveries of deleted endpoints, the tokens of portals, the requests to
//! sources that became no messages, and listeners and consumers at which nobody is any more.

use ringback_domain::time::Timestamp;

use super::{
    Node, partitions, request,
    transaction::{self, int8},
};
use crate::{CONSUMER_KEPT, LISTENER_KEPT, Unavailable};

/// The most rows of one kind that a round deletes.
const BOUND: i64 = 250;

/// The same for requests to sources, which come as fast as somebody likes.
pub(super) const REQUESTS: i64 = 2_000;

/// What a round deletes, statement by statement: how much of it, and for how long it has to be past.
const STATEMENTS: [(&str, i64, i64); 8] = [
    (include_str!("queries/sweep_canceled.sql"), BOUND, 0),
    (include_str!("queries/sweep_messages.sql"), BOUND, 0),
    (include_str!("queries/sweep_contents.sql"), BOUND, 0),
    (include_str!("queries/sweep_claims.sql"), BOUND, 0),
    (include_str!("queries/sweep_tokens.sql"), BOUND, 0),
    (include_str!("queries/sweep_requests.sql"), REQUESTS, 0),
    (include_str!("queries/sweep_listeners.sql"), BOUND, LISTENER_KEPT),
    (include_str!("queries/sweep_consumers.sql"), BOUND, CONSUMER_KEPT),
];

/// One round. Returns whether there is more.
pub(super) async fn sweep(node: &Node, now: Timestamp) -> Result<bool, Unavailable> {
    partitions::keep(node, now).await?;
    let mut more = false;
    for (sql, bound, kept) in STATEMENTS {
        // A transaction each: none of them holds its locks longer than it has to.
        more |= transaction::run::<_, Unavailable, _>(node, move |transaction| {
            Box::pin(async move {
                let past = now.millis() - kept;
                let row = transaction.row(sql, &[int8(&past), int8(&bound)]).await?;
                Ok(row.is_some_and(|row| row.get::<_, i64>(0) >= bound))
            })
        })
        .await?;
    }
    Ok(more | request::sweep(node).await?)
}
