//! Deleting what is no longer needed, a bounded amount at a time.
//!
//! Most of what expires goes with its partition. What is left is what was written for a time that
//! had no partition, the deliveries of deleted endpoints, and the tokens of portals.

use ringback_domain::time::Timestamp;

use super::{
    Node, partitions,
    transaction::{self, int8},
};
use crate::Unavailable;

/// The most rows of one kind that a round deletes.
const BOUND: i64 = 250;

/// What a round deletes, statement by statement.
const STATEMENTS: [&str; 5] = [
    include_str!("queries/sweep_canceled.sql"),
    include_str!("queries/sweep_messages.sql"),
    include_str!("queries/sweep_contents.sql"),
    include_str!("queries/sweep_claims.sql"),
    include_str!("queries/sweep_tokens.sql"),
];

/// One round. Returns whether there is more.
pub(super) async fn sweep(node: &Node, now: Timestamp) -> Result<bool, Unavailable> {
    partitions::keep(node, now).await?;
    let mut more = false;
    for sql in STATEMENTS {
        // A transaction each: none of them holds its locks longer than it has to.
        more |= transaction::run::<_, Unavailable, _>(node, move |transaction| {
            Box::pin(async move {
                let now = now.millis();
                let row = transaction.row(sql, &[int8(&now), int8(&BOUND)]).await?;
                Ok(row.is_some_and(|row| row.get::<_, i64>(0) >= BOUND))
            })
        })
        .await?;
    }
    Ok(more)
}
