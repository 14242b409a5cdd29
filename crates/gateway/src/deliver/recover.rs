//! What an earlier process left: every lane with pending deliveries is told to look for them.

use std::{sync::Arc, time::Duration};

use ringback_store::Unavailable;

use super::services::Services;

/// How long a failed read of the store waits before it is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// How many endpoints are asked for at a time.
const PAGE: usize = 1_000;

/// Finds the lanes by jumping through the due-index, so the number of deliveries does not matter.
pub(super) async fn recover(services: Arc<Services>) {
    let mut after = 0;
    loop {
        match services.store.waiting_endpoints(after, PAGE).await {
            Ok(waiting) => {
                let Some(last) = waiting.last() else { return };
                after = last.endpoint;
                waiting.iter().for_each(|one| services.engine.look(one.endpoint));
            }
            Err(Unavailable::Closed) => return,
            Err(error) => {
                tracing::warn!(%error, "pending deliveries could not be looked for yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
