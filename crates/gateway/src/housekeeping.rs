//! Upkeep by the clock: retention, and the numbers that only the store knows.

use std::{sync::Arc, time::Duration};

use ringback_store::Store;
use tokio::time::{Instant, sleep};

use crate::{seam::World, telemetry::metrics::Metrics};

/// How often the store's numbers are read, if reading them is quick.
const LOOK: Duration = Duration::from_secs(5);
/// The share of the time that may go into counting: one in this many.
const SHARE: u32 = 100;
/// How long a sweep that found nothing more to do is not repeated.
const SWEEP: Duration = Duration::from_secs(60);
/// How often old entries of the audit log are looked for.
const FORGET: Duration = Duration::from_secs(3_600);
/// The pause between two sweeps while there is more: room for those who wait for a commit.
const PAUSE: Duration = Duration::from_millis(20);

/// Keeps house until it is dropped.
/// `audit` is how long entries of the audit log are kept, `ended` how long callbacks and
/// authorizations are once they have ended.
pub async fn run(
    store: Arc<dyn Store>,
    world: World,
    metrics: Metrics,
    audit: Duration,
    ended: Duration,
) {
    tokio::join!(
        sweep(&*store, &world),
        forget(&*store, &world, audit),
        forget_callbacks(&*store, &world, ended),
        settle_authorizations(&*store, &world, ended),
        look(&*store, &world, &metrics)
    );
}

/// Forgets old entries of the audit log.
async fn forget(store: &dyn Store, world: &World, audit: Duration) {
    loop {
        let more = store.forget_audit(world.clock.now() - audit).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "old entries of the audit log could not be forgotten yet");
            false
        });
        sleep(if more { PAUSE } else { FORGET }).await;
    }
}

/// Writes deadlines of authorizations down that have passed, so that no code is kept beyond its time,
/// and forgets those that ended long ago.
async fn settle_authorizations(store: &dyn Store, world: &World, ended: Duration) {
    loop {
        let now = world.clock.now();
        let more = store.settle_authorizations(now, now - ended).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "authorizations that ended could not be settled yet");
            false
        });
        sleep(if more { PAUSE } else { SWEEP }).await;
    }
}

/// Forgets callbacks that ended long ago, and what was remembered for those that never came.
async fn forget_callbacks(store: &dyn Store, world: &World, ended: Duration) {
    loop {
        let now = world.clock.now();
        let more = store.forget_callbacks(now - ended, now).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "old callbacks could not be forgotten yet");
            false
        });
        sleep(if more { PAUSE } else { SWEEP }).await;
    }
}

/// Deletes what is past its retention, as fast as it comes.
async fn sweep(store: &dyn Store, world: &World) {
    loop {
        let more = store.sweep(world.clock.now()).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "what is past its retention could not be deleted yet");
            false
        });
        sleep(if more { PAUSE } else { SWEEP }).await;
    }
}

/// Reads the store's numbers. Counting millions of deliveries takes a while; then it is done less
/// often.
async fn look(store: &dyn Store, world: &World, metrics: &Metrics) {
    loop {
        let begun = Instant::now();
        let space = store.space();
        metrics.store.set(space.used as i64);
        metrics.disk_free.set(space.free);
        if let Ok(backlog) = store.backlog().await {
            metrics.backlog.set(backlog.pending as i64);
            let now = world.clock.now();
            let oldest = backlog.oldest_due.map_or(Duration::ZERO, |due| now.since(due));
            metrics.oldest_due.set(oldest.as_secs_f64());
        }
        sleep(LOOK.max(begun.elapsed() * SHARE)).await;
    }
}
