//! Upkeep by the clock: retention, and the numbers that only the store knows.

use std::{sync::Arc, time::Duration};

use ringback_store::Store;
use tokio::time::{MissedTickBehavior, interval};

use crate::{seam::World, telemetry::metrics::Metrics};

/// How often the store's numbers are read.
const LOOK: Duration = Duration::from_secs(5);
/// How many looks lie between two sweeps that found nothing.
const SWEEP_EVERY: u32 = 12;

/// Keeps house until it is dropped.
pub async fn run(store: Arc<dyn Store>, world: World, metrics: Metrics) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut until_sweep = 0;
    loop {
        looks.tick().await;
        look(&*store, &world, &metrics).await;
        if until_sweep == 0 {
            let more = store.sweep(world.clock.now()).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "what is past its retention could not be deleted yet");
                false
            });
            until_sweep = if more { 0 } else { SWEEP_EVERY };
        } else {
            until_sweep -= 1;
        }
    }
}

async fn look(store: &dyn Store, world: &World, metrics: &Metrics) {
    let space = store.space();
    metrics.store.set(space.used as i64);
    metrics.disk_free.set(space.free as i64);
    if let Ok(backlog) = store.backlog().await {
        metrics.backlog.set(backlog.pending as i64);
        let now = world.clock.now();
        let oldest = backlog.oldest_due.map_or(Duration::ZERO, |due| now.since(due));
        metrics.oldest_due.set(oldest.as_secs_f64());
    }
}
