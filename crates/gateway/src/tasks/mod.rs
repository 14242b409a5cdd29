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

mod usage;

use std::{collections::HashMap, sync::Arc, time::Duration};

use ringback_domain::{
    application::OPERATIONAL_UID,
    id::{Key, TaskId},
    message::Origin,
    scope::Reference,
    task::{Kind, Task},
};
use ringback_store::{Append, NewMessage, Stepped, Store, Turn, Unavailable};
use serde_json::json;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use crate::{
    log::{Ears, Lanes, Log},
    seam::World,
};

pub use usage::Wanted;

/// The operational message when a task has ended.
const FINISHED: &str = "background_task.finished";
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
    /// How long messages about tasks are kept.
    pub retention: Duration,
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
        let (environment, id) = (task.environment, task.id);
        let Stepped { turn, planned, canceled } = match task.kind {
            Kind::Replay | Kind::Recover | Kind::BulkReplay => self.store.replay(task, now).await?,
            Kind::PurgeContent => self.store.purge(task, now).await?,
            Kind::ApplicationStats | Kind::EventTypes => {
                let turn = usage::step(&*self.store, task, now).await?;
                Stepped { turn, ..Stepped::default() }
            }
        };
        if let Some(endpoint) = endpoint.filter(|_| planned > 0) {
            self.lanes.look(endpoint);
        }
        if !canceled.is_empty() {
            self.lanes.canceled(canceled);
        }
        if turn == Turn::Over {
            self.tell(environment, id).await;
        }
        Ok(turn)
    }

    /// Tells the environment that a task has ended, with an operational message. It has the task's
    /// id as its event id, so none is told twice; when the process ends right before, nobody is
    /// told, and the task itself says so as ever.
    async fn tell(&self, environment: Key, id: TaskId) {
        let task = match self.store.task(environment, id).await {
            Ok(task) => task,
            Err(error) => return tracing::warn!(%error, task = %id, "its end could not be told"),
        };
        let now = self.world.clock.now();
        let data = json!({
            "taskId": id,
            "task": task.kind.name(),
            "status": task.status.name(),
            "data": task.data,
        });
        let message = NewMessage {
            nonce: u64::from_ne_bytes(self.world.entropy.bytes()),
            accepted_at: now,
            expires_at: now + self.retention,
            origin: Origin::Operational,
            event_type: FINISHED.to_owned(),
            event_id: Some(id.to_string()),
            payload: json!({ "type": FINISHED, "data": data }).to_string().into(),
            ..NewMessage::default()
        };
        let application = Reference::Uid(OPERATIONAL_UID.to_owned());
        let append = Append { environment, application, message, claim: None };
        // Nobody listens to the hidden application.
        let ears = Ears::default();
        let log = Log::new(Arc::clone(&self.store), Arc::clone(&self.lanes), ears);
        for error in log.append(vec![append]).await.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, task = %id, "its end could not be told");
        }
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
