//! Deleting what is no longer needed, a bounded amount at a time.
//!
//! Most of what expires goes with its partition. What is left is what was written for a time that
//! had no partition, the deliveries of deleted endpoints, the tokens of portals, and the requests to
//! sources that became no messages.

use ringback_domain::time::Timestamp;

use super::{
    Node, partitions, request,
    transaction::{self, int8},
};
use crate::Unavailable;

/// The most rows of one kind that a round deletes.
const BOUND: i64 = 250;

/// The same for requests to sources, which come as fast as somebody likes.
pub(super) const REQUESTS: i64 = 2_000;

/// What a round deletes, statement by statement.
const STATEMENTS: [(&str, i64); 6] = [
    (include_str!("queries/sweep_canceled.sql"), BOUND),
    (include_str!("queries/sweep_messages.sql"), BOUND),
    (include_str!("queries/sweep_contents.sql"), BOUND),
    (include_str!("queries/sweep_claims.sql"), BOUND),
    (include_str!("queries/sweep_tokens.sql"), BOUND),
    (include_str!("queries/sweep_requests.sql"), REQUESTS),
];

/// One round. Returns whether there is more.
pub(super) async fn sweep(node: &Node, now: Timestamp) -> Result<bool, Unavailable> {
    partitions::keep(node, now).await?;
    let mut more = false;
    for (sql, bound) in STATEMENTS {
        // A transaction each: none of them holds its locks longer than it has to.
        more |= transaction::run::<_, Unavailable, _>(node, move |transaction| {
            Box::pin(async move {
                let now = now.millis();
                let row = transaction.row(sql, &[int8(&now), int8(&bound)]).await?;
                Ok(row.is_some_and(|row| row.get::<_, i64>(0) >= bound))
            })
        })
        .await?;
    }
    Ok(more | request::sweep(node).await?)
}
