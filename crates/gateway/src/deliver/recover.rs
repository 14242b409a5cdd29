//! Work that nobody was told of: what an earlier process left, and what a hint was lost for.
//!
//! The store has the work; hints only make it quick. A hint is lost when a commit succeeds and its
//! answer does not arrive, as when the connection to a database breaks in between.

use std::{sync::Arc, time::Duration};

use ringback_domain::id::Key;
use ringback_store::{Unavailable, Waiting};
use tokio::time::sleep;

use super::services::Services;

/// How long a failed read of the store waits before it is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// How many endpoints are asked for at a time.
const PAGE: usize = 1_000;
/// How often the next page of endpoints is looked at for overdue work.
const AGAIN: Duration = Duration::from_secs(10);
/// What has been due for so long has been tried, or its lane is busy, or nobody knows of it.
const OVERDUE: Duration = Duration::from_secs(10);

/// Tells every lane with pending deliveries to look for them; then, as long as the process lives,
/// those whose work is overdue, a page at a time.
pub(super) async fn recover(services: Arc<Services>) {
    let mut after = 0;
    while let Some(waiting) = page(&services, after).await {
        waiting.iter().for_each(|one| services.engine.look(one.endpoint));
        let Some(last) = waiting.last() else { break };
        after = last.endpoint;
    }
    after = 0;
    loop {
        sleep(AGAIN).await;
        let Some(waiting) = page(&services, after).await else { return };
        let now = services.world.clock.now();
        let overdue = waiting.iter().filter(|one| now.since(one.next_due) >= OVERDUE);
        overdue.for_each(|one| services.engine.look(one.endpoint));
        after = waiting.last().filter(|_| waiting.len() == PAGE).map_or(0, |last| last.endpoint);
    }
}

/// The endpoints after this one that have pending deliveries; none when the store is closed. They
/// are found by jumping through the due-index, so the number of deliveries does not matter.
async fn page(services: &Services, after: Key) -> Option<Vec<Waiting>> {
    loop {
        match services.store.waiting_endpoints(after, PAGE).await {
            Ok(waiting) => return Some(waiting),
            Err(Unavailable::Closed) => return None,
            Err(error) => {
                tracing::warn!(%error, "pending deliveries could not be looked for yet");
                sleep(RETRY).await;
            }
        }
    }
}
