//! Tasks: work that takes longer than a request may, done in the background in bounded steps.
//!
//! A task walks the messages of a span of keys, oldest first. What a step does, and how far the
//! task has come with it, is committed together: whenever the process ends, the next one goes on
//! where the last committed step ended, and does nothing twice.

use serde_json::{Map, Value};

use crate::{
    id::{Key, TaskId},
    time::Timestamp,
};

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Ringback's name for it.
    pub id: TaskId,
    /// Whose.
    pub environment: Key,
    /// The application that it is about, if it is about one.
    pub application: Option<Key>,
    /// The endpoint that it is about, if it is about one.
    pub endpoint: Option<Key>,
    /// What it does.
    pub kind: Kind,
    /// How it is doing.
    pub status: Status,
    /// What exactly it was asked for, in the form of its kind.
    pub request: Value,
    /// What it tells about itself.
    pub data: Map<String, Value>,
    /// How far it has come.
    pub span: Span,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it did its last step.
    pub updated_at: Timestamp,
}

/// Which keys a task walks, and where it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Every key is greater.
    pub first: Key,
    /// Everything up to this key is done.
    pub cursor: Key,
    /// Every key is smaller.
    pub end: Key,
}

/// What a task does. The numbers are stored; do not change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Sends an endpoint the messages that it never got. (0)
    Replay,
    /// Sends an endpoint once more what failed there. (1)
    Recover,
    /// Sends an endpoint once more what was sent to it. (2)
    BulkReplay,
    /// Deletes the content of an application's messages. (3)
    PurgeContent,
    /// Counts to how many endpoints the messages of applications went. (4)
    ApplicationStats,
    /// Lists the event types that the endpoints of applications are for. (5)
    EventTypes,
}

impl Kind {
    /// Every kind, at the index of its stored number.
    pub const ALL: [Kind; 6] = [
        Kind::Replay,
        Kind::Recover,
        Kind::BulkReplay,
        Kind::PurgeContent,
        Kind::ApplicationStats,
        Kind::EventTypes,
    ];

    /// The stored number.
    pub fn number(self) -> i64 {
        Kind::ALL.iter().position(|kind| *kind == self).unwrap_or(0) as i64
    }

    /// The kind with this stored number.
    pub fn from_number(number: i64) -> Option<Kind> {
        Kind::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// What the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Replay => "endpoint.replay",
            Kind::Recover => "endpoint.recover",
            Kind::BulkReplay => "endpoint.bulk-replay",
            Kind::PurgeContent => "application.purge_content",
            Kind::ApplicationStats => "application.stats",
            Kind::EventTypes => "event-type.aggregate",
        }
    }
}

/// How a task is doing. The numbers are stored; do not change them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// There are steps to do. (0)
    #[default]
    Running,
    /// Everything is done. (1)
    Finished,
    /// It cannot go on; its data says why. What it did stays. (2)
    Failed,
}

impl Status {
    /// Every status, at the index of its stored number.
    pub const ALL: [Status; 3] = [Status::Running, Status::Finished, Status::Failed];

    /// The stored number.
    pub fn number(self) -> i64 {
        Status::ALL.iter().position(|status| *status == self).unwrap_or(0) as i64
    }

    /// The status with this stored number.
    pub fn from_number(number: i64) -> Option<Status> {
        Status::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// What the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Finished => "finished",
            Status::Failed => "failed",
        }
    }
}

impl Task {
    /// How much of the time that it walks is done, in percent.
    pub fn percent(&self) -> u8 {
        if self.status == Status::Finished {
            return 100;
        }
        let Span { first, cursor, end } = self.span;
        // Nothing was there before the application was made, or the environment.
        let first = first.max(self.application.unwrap_or(self.environment));
        let whole = end.saturating_sub(first).max(1);
        let done = cursor.saturating_sub(first).clamp(0, whole);
        (i128::from(done) * 100 / i128::from(whole)) as u8
    }

    /// Adds to one of the numbers that it tells about itself.
    pub fn count(&mut self, name: &str, more: usize) {
        let before = self.data.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.data.insert(name.to_owned(), Value::from(before + more as u64));
    }

    /// Notes that it cannot go on, and why, in a word that stays the same.
    pub fn fail(&mut self, reason: &str) {
        self.status = Status::Failed;
        self.data.insert("error".to_owned(), Value::from(reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        Task {
            id: TaskId(crate::id::Id { key: 1, shard: 0, nonce: 0 }),
            environment: 0,
            application: None,
            endpoint: None,
            kind: Kind::PurgeContent,
            status: Status::Running,
            request: Value::Null,
            data: Map::new(),
            span: Span::default(),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    #[test]
    fn numbers_and_names_lead_back() {
        for (number, name) in [
            (0, "endpoint.replay"),
            (1, "endpoint.recover"),
            (2, "endpoint.bulk-replay"),
            (3, "application.purge_content"),
            (4, "application.stats"),
            (5, "event-type.aggregate"),
        ] {
            let kind = Kind::from_number(number).unwrap();
            assert_eq!((kind.number(), kind.name()), (number, name));
        }
        for (number, name) in [(0, "running"), (1, "finished"), (2, "failed")] {
            let status = Status::from_number(number).unwrap();
            assert_eq!((status.number(), status.name()), (number, name));
        }
        assert_eq!((Kind::from_number(-1), Status::from_number(3)), (None, None));
    }

    #[test]
    fn percent() {
        for (application, first, cursor, end, expect) in [
            (None, 0, 0, 10, 0),
            (None, 0, 5, 10, 50),
            (None, 10, 13, 20, 30),
            (None, 10, 25, 20, 100),
            (None, 10, 5, 20, 0),
            (None, 7, 7, 7, 0),
            (None, -1, i64::MAX, i64::MAX, 100),
            (Some(100), -1, 150, 200, 50),
            (Some(100), -1, -1, 200, 0),
            (Some(100), 150, 160, 200, 20),
        ] {
            check(Task { application, ..task() }, [first, cursor, end], expect);
        }
        let young = Task { environment: 100, ..task() };
        check(young.clone(), [-1, -1, 200], 0);
        check(young, [-1, 150, 200], 50);
    }

    fn check(task: Task, [first, cursor, end]: [Key; 3], expect: u8) {
        let task = Task { span: Span { first, cursor, end }, ..task };
        assert_eq!(task.percent(), expect, "{:?}", task.span);
        assert_eq!(Task { status: Status::Finished, ..task }.percent(), 100);
    }

    #[test]
    fn what_it_tells_adds_up() {
        let mut task = task();
        task.count("n", 1);
        task.count("n", 2);
        task.count("m", 3);
        task.fail("endpoint_deleted");
        let told = serde_json::json!({ "n": 3, "m": 3, "error": "endpoint_deleted" });
        assert_eq!((Value::from(task.data), task.status), (told, Status::Failed));
    }
}
