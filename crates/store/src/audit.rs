//! The audit log: who changed what, written in the transaction of the change.
//!
//! Whoever carries out a request says so with [`scope`] and [`note`]; the store's first call in it
//! that changes something writes the entry along with the change. So there is no change without
//! its entry and no entry without its change, and no operation of the store has to be told who
//! asks for it. A call that only reads, or is refused, writes nothing and leaves the entry to the
//! next one.
//!
//! What the process does on its own account has no entry, with two exceptions that people look
//! for: it disables endpoints, and it makes the environments that it needs.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ringback_domain::{
    access::Role,
    endpoint::State,
    id::{AuditId, EndpointId, Id, Key, TokenId},
    time::Timestamp,
};
use tokio::task_local;

use crate::{BoxFuture, Identified, Listed, Page, Record, Unavailable};

/// The audit log.
pub trait Audit {
    /// Entries of an environment, by id.
    fn audit(
        &self,
        environment: Key,
        query: AuditQuery,
    ) -> BoxFuture<'_, Result<Listed<Entry>, Unavailable>>;

    /// Forgets entries made before, a bounded number. Returns whether there are more.
    fn forget_audit(&self, before: Timestamp) -> BoxFuture<'_, Result<bool, Unavailable>>;
}

/// Which entries to list.
#[derive(Clone, Debug)]
pub struct AuditQuery {
    /// The page.
    pub page: Page,
    /// Only about this application.
    pub application: Option<Key>,
    /// Only of this operation.
    pub operation: Option<String>,
    /// Only made before.
    pub before: Option<Timestamp>,
    /// Only made after.
    pub after: Option<Timestamp>,
}

/// Who changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The holder of a token.
    Token {
        /// The token.
        id: TokenId,
        /// What it is for, for people.
        name: String,
        /// What it may do.
        role: Role,
    },
    /// The holder of the bootstrap token.
    Bootstrap,
    /// Whoever runs commands on the server's machine.
    Command,
    /// The server by itself.
    System,
}

/// What somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// In which environment.
    pub environment: Key,
    /// To which application, if it is about one.
    pub application: Option<Key>,
    /// Who.
    pub actor: Actor,
    /// What: the name of the API's operation.
    pub operation: String,
    /// What it is about: ids and names by what they name. No content, no secret.
    pub resources: BTreeMap<String, String>,
    /// Names the request, as log lines do.
    pub request: Option<String>,
    /// From which address it came.
    pub address: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Names it; says when it was made.
    pub id: AuditId,
    /// What somebody did.
    pub act: Act,
}

impl Identified for Entry {
    fn id(&self) -> Id {
        self.id.0
    }
}

impl Act {
    /// What the server does by itself.
    pub(crate) fn of_system(environment: Key, operation: &str, at: Timestamp) -> Act {
        Act {
            environment,
            application: None,
            actor: Actor::System,
            operation: operation.to_owned(),
            resources: BTreeMap::new(),
            request: None,
            address: None,
            at,
        }
    }

    /// That the server disabled an endpoint because of how an attempt ended. The nonce is that of
    /// the endpoint's id.
    pub(crate) fn of_disabling(record: &Record, state: State, nonce: u64) -> Act {
        let Record { id, endpoint, scope, .. } = record;
        let mut act = Act::of_system(scope.environment, "endpoint.disable", id.0.created_at());
        act.application = Some(scope.application);
        let endpoint = EndpointId(Id { key: *endpoint, shard: 0, nonce });
        let resources = [
            ("endpoint_id", endpoint.to_string()),
            ("attempt_id", id.to_string()),
            ("state", state.name().to_owned()),
        ];
        act.resources = resources.map(|(what, name)| (what.to_owned(), name)).into();
        act
    }

    /// That an environment was made, by whoever does what is under way.
    pub(crate) fn environment_made(
        under_way: Option<Act>,
        environment: Key,
        name: &str,
        at: Timestamp,
    ) -> Act {
        let mut act = under_way.unwrap_or_else(|| Act::of_system(environment, "", at));
        act.environment = environment;
        act.application = None;
        act.operation = "environment.create".to_owned();
        act.resources = BTreeMap::from([("name".to_owned(), name.to_owned())]);
        act
    }
}

impl Actor {
    /// The stored number; do not change them.
    pub(crate) fn number(&self) -> i64 {
        match self {
            Actor::Token { .. } => 0,
            Actor::Bootstrap => 1,
            Actor::Command => 2,
            Actor::System => 3,
        }
    }

    /// From what is stored: the number, and what only tokens have.
    pub(crate) fn from_stored(
        number: i64,
        token: Option<String>,
        name: Option<String>,
        role: Option<i64>,
    ) -> Option<Actor> {
        Some(match number {
            0 => Actor::Token {
                id: token?.parse().ok()?,
                name: name?,
                role: Role::from_number(role?)?,
            },
            1 => Actor::Bootstrap,
            2 => Actor::Command,
            _ => Actor::System,
        })
    }

    /// What only tokens have: id, name and role.
    pub(crate) fn token(&self) -> (Option<String>, Option<&str>, Option<i64>) {
        match self {
            Actor::Token { id, name, role } => {
                (Some(id.to_string()), Some(name), Some(role.number()))
            }
            _ => (None, None, None),
        }
    }
}

task_local! {
    static CURRENT: Note;
}

/// The place where an operation that is under way keeps its entry until it is written.
#[derive(Clone, Default)]
pub(crate) struct Note(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    act: Option<Act>,
    written: bool,
}

/// Runs an operation that may have an entry, once [`note`] says which.
pub async fn scope<F: Future>(operation: F) -> F::Output {
    CURRENT.scope(Note::default(), operation).await
}

/// Runs a change that comes with the operation that is under way, with an entry of its own: the
/// same actor does it, under this name.
pub async fn beside<F: Future>(operation: &str, change: F) -> F::Output {
    let under_way = current();
    scope(async {
        if let Some(act) = under_way {
            let (application, resources) = (None, BTreeMap::new());
            note(Act { operation: operation.to_owned(), application, resources, ..act });
        }
        change.await
    })
    .await
}

/// Says who does what in the operation that is under way.
pub fn note(act: Act) {
    change(|slot| slot.act = Some(act));
}

/// Adds to what the operation that is under way is about.
pub fn about(what: &str, name: String) {
    change(|slot| {
        if let Some(act) = &mut slot.act {
            if act.application.is_none() {
                let id = name.parse::<ringback_domain::id::ApplicationId>();
                act.application = id.ok().map(|id| id.key());
            }
            act.resources.insert(what.to_owned(), name);
        }
    });
}

/// Says in which environment the operation that is under way is.
pub fn inside(environment: Key) {
    change(|slot| {
        if let Some(act) = &mut slot.act {
            act.environment = environment;
        }
    });
}

/// What the operation that is under way does.
pub(crate) fn current() -> Option<Act> {
    Note::current()?.lock().act.clone()
}

fn change(change: impl FnOnce(&mut Slot)) {
    if let Some(note) = Note::current() {
        change(&mut note.lock());
    }
}

impl Note {
    /// That of the operation that is under way, if one is.
    pub(crate) fn current() -> Option<Note> {
        CURRENT.try_with(Note::clone).ok()
    }

    /// The entry that is still to be written.
    pub(crate) fn pending(&self) -> Option<Act> {
        let slot = self.lock();
        slot.act.clone().filter(|_| !slot.written)
    }

    /// The entry was committed.
    pub(crate) fn written(&self) {
        self.lock().written = true;
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        // Every change leaves the slot whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AuditQuery {
    /// The conditions that an index serves. Each names all parameters, as statements must.
    pub(crate) fn filter(&self) -> &'static str {
        match (self.application, &self.operation) {
            (None, None) => "AND ?4 IS NULL AND ?5 IS NULL",
            (Some(_), None) => "AND application = ?4 AND ?5 IS NULL",
            (None, Some(_)) => "AND operation = ?5 AND ?4 IS NULL",
            (Some(_), Some(_)) => "AND application = ?4 AND operation = ?5",
        }
    }
}
