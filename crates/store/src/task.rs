//! Tasks in the store: work in the background that no end of the process loses or doubles.

use ringback_domain::{
    id::{Id, Key, TaskId},
    scope::Reference,
    task::{Kind, Span, Status, Task},
    time::Timestamp,
};
use serde_json::{Map, Value};

use crate::{Answer, BoxFuture, Listed, Page, ReadError, Repeated, Unavailable};

/// Tasks: asked for once, done step by step.
///
/// # Rules of an implementation
///
/// 1. A step and the task's new cursor are committed together.
/// 2. A step that is repeated, because its answer was lost or two processes took the task up, does
///    nothing the second time: it names the cursor from which it goes on.
/// 3. A task that is no longer running changes nothing any more.
pub trait Tasks {
    /// Notes a task to be done.
    fn create_task(&self, new: NewTask) -> BoxFuture<'_, Result<Task, TaskError>>;

    /// One task.
    fn task(&self, environment: Key, task: TaskId) -> BoxFuture<'_, Result<Task, ReadError>>;

    /// Tasks by id.
    fn tasks(
        &self,
        environment: Key,
        query: TaskQuery,
    ) -> BoxFuture<'_, Result<Listed<Task>, ReadError>>;

    /// Running tasks of all environments, by growing key, after `after`.
    fn running_tasks(
        &self,
        after: Key,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Task>, Unavailable>>;

    /// Puts down what became of a task, where its steps have no effect in the store or it cannot go
    /// on. False if it is no longer running, or no longer at `cursor`.
    fn advance_task(&self, cursor: Key, task: Task) -> BoxFuture<'_, Result<bool, Unavailable>>;

    /// Forgets tasks that ended before, a bounded number. Returns whether there are more.
    fn forget_tasks(&self, before: Timestamp) -> BoxFuture<'_, Result<bool, Unavailable>>;
}

/// The most tasks of an environment that can be running.
pub const RUNNING_TASKS: usize = 100;

/// A task to be done.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// Names it.
    pub id: TaskId,
    /// Whose.
    pub environment: Key,
    /// What it is about.
    pub place: Place,
    /// What it does.
    pub kind: Kind,
    /// What exactly is asked for, in the form of its kind.
    pub request: Value,
    /// What it tells about itself at its beginning.
    pub data: Map<String, Value>,
    /// It walks messages accepted at this time or later.
    pub since: Option<Timestamp>,
    /// It walks messages accepted before; never those that come after the task.
    pub until: Option<Timestamp>,
    /// When it was asked for.
    pub now: Timestamp,
    /// That it happens once, and its answer.
    pub answer: Option<Answer>,
}

/// What a task is about.
#[derive(Clone, Debug)]
pub enum Place {
    /// The whole environment.
    Environment,
    /// An application.
    Application(Key),
    /// An endpoint of an application; it has to take messages.
    Endpoint(Key, Reference),
}

/// Which tasks to list.
#[derive(Clone, Debug)]
pub struct TaskQuery {
    /// The page.
    pub page: Page,
    /// Only with this status.
    pub status: Option<Status>,
    /// Only of this kind.
    pub kind: Option<Kind>,
}

/// Why a task was not noted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// There is no such thing in the scope; the word says what.
    #[error("the {0} does not exist")]
    NotFound(&'static str),
    /// The endpoint takes no messages.
    #[error("the endpoint is {}", .0.name())]
    State(ringback_domain::endpoint::State),
    /// Too many are running.
    #[error("there are too many running tasks")]
    Limit,
    /// The id is taken.
    #[error("the task exists already")]
    Conflict,
    /// Another request with the same claim was answered.
    #[error(transparent)]
    Repeated(#[from] Repeated),
    /// Nothing can be written now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What came of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stepped {
    /// How the task goes on.
    pub turn: Turn,
    /// How many deliveries were added to the endpoint's queue.
    pub planned: usize,
    /// Deliveries that will never be made.
    pub canceled: Vec<Canceled>,
}

/// How a task goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// There may be another step.
    #[default]
    GoesOn,
    /// It was the last step.
    Over,
    /// Nothing was done: the endpoint has enough to do already.
    Waits,
    /// Nothing was done: the task is not where the step would begin.
    Elsewhere,
}

impl Turn {
    /// After a step that left the task like this.
    pub(crate) fn after(task: &Task) -> Turn {
        if task.status == Status::Running { Turn::GoesOn } else { Turn::Over }
    }
}

/// A delivery that was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Canceled {
    /// Its endpoint.
    pub endpoint: Key,
    /// Its key.
    pub delivery: Key,
}

impl NewTask {
    /// The task as it begins. Every message that comes after it has a greater key than `newest`.
    pub(crate) fn begin(
        &self,
        application: Option<Key>,
        endpoint: Option<Key>,
        newest: Key,
    ) -> Task {
        let first = self.since.map_or(-1, |since| Id::first_key_at(since) - 1);
        let end = self.until.map_or(Key::MAX, Id::first_key_at).min(newest);
        Task {
            id: self.id,
            environment: self.environment,
            application,
            endpoint,
            kind: self.kind,
            status: Status::Running,
            request: self.request.clone(),
            data: self.data.clone(),
            span: Span { first, cursor: first, end },
            created_at: self.now,
            updated_at: self.now,
        }
    }
}
