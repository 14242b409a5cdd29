//! Results on their way to the store: whatever ended while the last batch was committed is the
//! next batch.

use std::{collections::HashSet, mem, rc::Rc, time::Duration};

use ringback_domain::{id::Key, time::Timestamp};
use ringback_store::{Record, Recorded, Unavailable};
use tokio::sync::oneshot;

use super::worker::Worker;

/// How long a failed recording waits before it is tried again, and how often it is.
const RETRY: Duration = Duration::from_millis(250);
const TRIES: usize = 3;
/// When a delivery is looked at again whose result the store would not take.
const PAUSE: Duration = Duration::from_secs(60);

/// What the lane has to know once a record is committed.
struct Ended {
    endpoint: Key,
    delivery: Key,
    next_at: Option<Timestamp>,
    disabled: bool,
    /// Whether the endpoint keeps an order.
    ordered: bool,
}

impl Ended {
    fn of(record: &Record) -> Ended {
        Ended {
            endpoint: record.endpoint,
            delivery: record.delivery,
            next_at: record.next_at,
            disabled: record.health.is_some_and(|health| health.disable.is_some()),
            ordered: record.ordered,
        }
    }
}

/// Records what ends on this core, batch by batch, until the store is closed.
pub(super) async fn run(worker: Rc<Worker>) {
    loop {
        let batch = mem::take(&mut *worker.results.borrow_mut());
        if batch.is_empty() {
            worker.result_arrived.notified().await;
            continue;
        }
        let ended: Vec<_> = batch.iter().map(Ended::of).collect();
        let Some(recorded) = commit(&worker, batch).await else { return };
        let mut touched = HashSet::new();
        for (ended, recorded) in ended.into_iter().zip(recorded) {
            apply(&worker, &ended, recorded);
            touched.insert(ended.endpoint);
        }
        worker.settle(touched);
    }
}

/// Commits a batch. None when the store is closed: what could not be recorded will be sent again.
async fn commit(worker: &Worker, batch: Vec<Record>) -> Option<Vec<Option<Recorded>>> {
    match worker.services.store.record(batch.clone()).await {
        Ok(recorded) => return Some(recorded.into_iter().map(Some).collect()),
        Err(Unavailable::Closed) => return None,
        Err(error) => tracing::warn!(%error, "a batch of results could not be recorded"),
    }
    // One of them may be what the store cannot take: it must not hold the others up.
    let mut recorded = Vec::with_capacity(batch.len());
    for record in batch {
        recorded.push(commit_alone(worker, record).await?);
    }
    Some(recorded)
}

/// Commits one record in a few tries; `Some(None)` when the store takes it in none of them.
async fn commit_alone(worker: &Worker, record: Record) -> Option<Option<Recorded>> {
    for _ in 0..TRIES {
        match worker.services.store.record(vec![record.clone()]).await {
            Ok(recorded) => return Some(recorded.into_iter().next()),
            Err(Unavailable::Closed) => return None,
            Err(error) => {
                tracing::error!(%error, attempt = %record.id, "a result could not be recorded");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    Some(None)
}

fn apply(worker: &Rc<Worker>, ended: &Ended, recorded: Option<Recorded>) {
    let settled = recorded.as_ref().and_then(|recorded| recorded.settled);
    worker.state.borrow_mut().recorded(ended.endpoint, ended.delivery, settled);
    let Some(recorded) = recorded else {
        // It is still pending in the store: it will be sent again, but not at once and for ever.
        worker.remind(ended.endpoint, worker.services.world.clock.now() + PAUSE);
        return;
    };
    if let Some(at) = ended.next_at
        && recorded.applied
    {
        worker.remind(ended.endpoint, at);
    }
    if ended.ordered || settled.is_some() {
        // What came after it in its order may be due by now.
        worker.services.engine.look(ended.endpoint);
    }
    if ended.disabled {
        // Somebody may have changed the endpoint at the same time: the store knows what holds.
        let (told, _) = oneshot::channel();
        worker.changed(ended.endpoint, told);
    }
    for (_, endpoints) in recorded.notified {
        for endpoint in endpoints.iter() {
            worker.services.engine.look(*endpoint);
        }
    }
}
