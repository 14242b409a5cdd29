//! Results on their way to the store: whatever ended while the last batch was committed is the
//! next batch.

use std::{collections::HashSet, mem, rc::Rc, time::Duration};

use ringback_domain::{id::Key, time::Timestamp};
use ringback_store::{Record, Recorded, Unavailable};
use tokio::sync::oneshot;

use super::worker::Worker;

/// How long a failed recording waits before it is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// What the lane has to know once a record is committed.
struct Ended {
    endpoint: Key,
    delivery: Key,
    next_at: Option<Timestamp>,
    disabled: bool,
}

impl Ended {
    fn of(record: &Record) -> Ended {
        Ended {
            endpoint: record.endpoint,
            delivery: record.delivery,
            next_at: record.next_at,
            disabled: record.health.is_some_and(|health| health.disable.is_some()),
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

/// Commits a batch, however long that takes. None when the store is closed: what could not be
/// recorded will be sent again.
async fn commit(worker: &Worker, batch: Vec<Record>) -> Option<Vec<Recorded>> {
    loop {
        match worker.services.store.record(batch.clone()).await {
            Ok(recorded) => return Some(recorded),
            Err(Unavailable::Closed) => return None,
            Err(error) => {
                tracing::warn!(%error, "results could not be recorded and will be tried again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

fn apply(worker: &Rc<Worker>, ended: &Ended, recorded: Recorded) {
    let mut state = worker.state.borrow_mut();
    state.recorded(ended.endpoint, ended.delivery, recorded.settled);
    drop(state);
    if let Some(at) = ended.next_at
        && recorded.applied
    {
        worker.remind(ended.endpoint, at);
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
