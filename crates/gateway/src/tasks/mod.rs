//! The background: tasks that take longer than a request may.
//!
//! Tasks are in the store, with how far each has come; here is only who does their steps. Running
//! tasks take turns, a step each, so that a long one holds up nobody's. A step is one transaction:
//! when the process ends in its middle, the next process does it.
//!
//! ```text
//!  api ── create_task ──► store ◄── running_tasks ── run ── replay, purge ──► store
//!   └───── ring ─────────────────────────────────────►│
//!                                                     └── look, canceled ──► lanes
//! ```
//!
//! What rings here is a hint: without it a task begins a little later.

use std::{collections::HashMap, sync::Arc, time::Duration};

use ringback_domain::{
    id::Key,
    task::{Kind, Task},
};
use ringback_store::{Stepped, Store, Turn, Unavailable};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use crate::{log::Lanes, seam::World};

/// How many tasks are read at a time.
const PAGE: usize = 100;
/// The pause after a round in which something was done: room for those who wait for a commit.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a task rests whose endpoint has enough to do.
const WAIT: Duration = Duration::from_millis(100);
/// How long it waits for new tasks before it looks for itself, and a task rests after an error.
const LOOK: Duration = Duration::from_secs(1);
/// How long tasks that ended are remembered.
const MEMORY: Duration = Duration::from_secs(90 * 86_400);
/// How often those that are older are looked for.
const FORGET: Duration = Duration::from_secs(3_600);

/// Rings when there is a new task.
#[derive(Debug, Default)]
pub struct Bell(Notify);

impl Bell {
    /// There is a new task.
    pub fn ring(&self) {
        self.0.notify_one();
    }
}

/// Who does the steps.
pub struct Runner {
    /// Where tasks are, and what they change.
    pub store: Arc<dyn Store>,
    /// Hear of what was added to their queues, or taken away.
    pub lanes: Arc<dyn Lanes>,
    /// The clock.
    pub world: World,
    /// Rings when there is a new task.
    pub bell: Arc<Bell>,
}

/// What a round came to; the greatest of its tasks counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Round {
    /// There was nothing to do.
    Idle,
    /// What there was to do has to wait.
    Waited,
    /// Something was done.
    Worked,
}

impl Runner {
    /// Does the steps of whatever task is running, until it is dropped or the store is closed.
    pub async fn run(self) {
        tokio::join!(self.work(), self.forget());
    }

    async fn work(&self) {
        let mut resting = HashMap::new();
        loop {
            match self.round(&mut resting).await {
                Ok(Round::Worked) => sleep(PAUSE).await,
                Ok(Round::Waited) => sleep(WAIT).await,
                Ok(Round::Idle) => drop(timeout(LOOK, self.bell.0.notified()).await),
                Err(Unavailable::Closed) => return,
                Err(error) => {
                    tracing::warn!(%error, "running tasks could not be looked for yet");
                    sleep(LOOK).await;
                }
            }
        }
    }

    /// One step of every running task that does not rest.
    async fn round(&self, resting: &mut HashMap<Key, Instant>) -> Result<Round, Unavailable> {
        let (mut after, mut round) = (0, Round::Idle);
        resting.retain(|_, until| *until > Instant::now());
        loop {
            let tasks = self.store.running_tasks(after, PAGE).await?;
            let Some(last) = tasks.last() else { return Ok(round) };
            after = last.id.key();
            for task in tasks {
                let id = task.id;
                if resting.contains_key(&id.key()) {
                    round = round.max(Round::Waited);
                    continue;
                }
                let rest = match self.step(task).await {
                    Ok(Turn::GoesOn | Turn::Over | Turn::Elsewhere) => {
                        round = Round::Worked;
                        continue;
                    }
                    Ok(Turn::Waits) => WAIT,
                    Err(Unavailable::Closed) => return Err(Unavailable::Closed),
                    // The others may still have more luck.
                    Err(error) => {
                        tracing::warn!(%error, task = %id, "a step could not be done yet");
                        LOOK
                    }
                };
                resting.insert(id.key(), Instant::now() + rest);
                round = round.max(Round::Waited);
            }
        }
    }

    async fn step(&self, task: Task) -> Result<Turn, Unavailable> {
        let (now, endpoint) = (self.world.clock.now(), task.endpoint);
        let Stepped { turn, planned, canceled } = match task.kind {
            Kind::Replay | Kind::Recover | Kind::BulkReplay => self.store.replay(task, now).await?,
            Kind::PurgeContent => self.store.purge(task, now).await?,
        };
        if let Some(endpoint) = endpoint.filter(|_| planned > 0) {
            self.lanes.look(endpoint);
        }
        if !canceled.is_empty() {
            self.lanes.canceled(canceled);
        }
        Ok(turn)
    }

    /// Forgets what ended long ago.
    async fn forget(&self) {
        loop {
            let before = self.world.clock.now() - MEMORY;
            match self.store.forget_tasks(before).await {
                Ok(true) => sleep(PAUSE).await,
                Ok(false) => sleep(FORGET).await,
                Err(Unavailable::Closed) => return,
                Err(error) => {
                    tracing::warn!(%error, "old tasks could not be forgotten yet");
                    sleep(FORGET).await;
                }
            }
        }
    }
}
