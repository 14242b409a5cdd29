//! Tasks that count: what applications used, and which event types their endpoints are for.
//!
//! They walk the applications of an environment, oldest first, and change nothing but themselves.
//! A step makes a bounded number of reads; what it has of an application that it could not finish is
//! in the task's data under `counting`, so the next step, or the next process, goes on from there.

use std::{collections::BTreeSet, time::Duration};

use ringback_domain::{
    application::Application,
    endpoint::Endpoint,
    id::{ApplicationId, Id, Key},
    scope::{Reference, Scope},
    task::{Kind, Status, Task},
    time::Timestamp,
};
use ringback_store::{
    Listed, Order, Page, Position, ReadError, Store, Targets, Turn, USAGE_STEP, Unavailable, Usage,
    Window,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The most reads of a step.
const READS: usize = 40;
/// How many endpoints are read at a time.
const ENDPOINTS: usize = 250;
/// The most applications that a task tells about: more would not fit an answer.
const APPLICATIONS: usize = 10_000;
/// Where a task keeps what it has of an application.
const COUNTING: &str = "counting";

/// What is counted, and of which applications.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Messages accepted at this time or later, in milliseconds since 1970.
    pub since: i64,
    /// Messages accepted before.
    pub until: i64,
    /// Only these applications, by growing id; all if not given.
    pub applications: Option<Vec<ApplicationId>>,
}

/// How far counting the messages of an application is.
#[derive(Default, Serialize, Deserialize)]
struct Messages {
    after: Key,
    destinations: u64,
}

/// How far looking through the endpoints of an application is.
#[derive(Default, Serialize, Deserialize)]
struct Filters {
    after: Option<Key>,
    explicit: BTreeSet<String>,
    catch_all: bool,
}

/// What came of a read.
enum Counted {
    /// There is more to count.
    More(Value),
    /// All of it.
    All(Value),
}

/// Does a step of a task that counts.
pub(super) async fn step(
    store: &dyn Store,
    mut task: Task,
    now: Timestamp,
) -> Result<Turn, Unavailable> {
    let cursor = task.span.cursor;
    let Ok(wanted) = serde_json::from_value::<Wanted>(task.request.clone()) else {
        task.fail("request_unreadable");
        return put(store, cursor, task, now).await;
    };
    for _ in 0..READS / 2 {
        match next(store, &task, &wanted).await? {
            Some(application) => count(store, &mut task, &wanted, &application).await?,
            None => task.status = Status::Finished,
        }
        if task.status != Status::Running {
            break;
        }
    }
    put(store, cursor, task, now).await
}

async fn put(
    store: &dyn Store,
    cursor: Key,
    mut task: Task,
    now: Timestamp,
) -> Result<Turn, Unavailable> {
    task.updated_at = now;
    let turn = if task.status == Status::Running { Turn::GoesOn } else { Turn::Over };
    let moved = store.advance_task(cursor, task).await?;
    Ok(if moved { turn } else { Turn::Elsewhere })
}

/// The application that comes next, if there is one.
async fn next(
    store: &dyn Store,
    task: &Task,
    wanted: &Wanted,
) -> Result<Option<Application>, Unavailable> {
    let Some(named) = &wanted.applications else { return after(store, task).await };
    for id in named.iter().filter(|id| id.key() > task.span.cursor) {
        match store.application(task.environment, Reference::Id(id.0)).await {
            Ok(application) => return Ok(Some(application)),
            // It was deleted meanwhile.
            Err(ReadError::NotFound(_)) => {}
            Err(ReadError::Unavailable(unavailable)) => return Err(unavailable),
        }
    }
    Ok(None)
}

/// The first application after the cursor that is not younger than the task.
async fn after(store: &dyn Store, task: &Task) -> Result<Option<Application>, Unavailable> {
    let from = match task.span.cursor {
        none if none < 0 => Position::Start,
        key => Position::After(Id { key, shard: 0, nonce: 0 }),
    };
    let page = Page { limit: 1, from, order: Order::Ascending };
    let found = match store.applications(task.environment, page).await {
        Ok(Listed { items, .. }) => items.into_iter().next(),
        Err(ReadError::NotFound(_)) => None,
        Err(ReadError::Unavailable(unavailable)) => return Err(unavailable),
    };
    let end = Id::first_key_at(task.created_at + Duration::from_millis(1));
    Ok(found.filter(|application| application.id.key() < end))
}

/// Reads some more about an application.
async fn count(
    store: &dyn Store,
    task: &mut Task,
    wanted: &Wanted,
    application: &Application,
) -> Result<(), Unavailable> {
    let scope = Scope { environment: task.environment, application: application.id.key() };
    let so_far = task.data.remove(COUNTING);
    let (name, counted) = match task.kind {
        Kind::EventTypes => {
            ("event_types", event_types(store, scope, application, parsed(so_far)).await?)
        }
        _ => ("appStats", messages(store, scope, application, wanted, parsed(so_far)).await?),
    };
    match counted {
        Counted::More(so_far) => {
            task.data.insert(COUNTING.to_owned(), so_far);
        }
        Counted::All(line) => tell(task, name, line, scope.application),
    }
    Ok(())
}

/// Adds what was counted of an application to what the task tells.
fn tell(task: &mut Task, name: &str, line: Value, application: Key) {
    let told = task.data.entry(name).or_insert_with(|| json!([]));
    let Some(lines) = told.as_array_mut() else { return task.fail("data_unreadable") };
    if lines.len() >= APPLICATIONS {
        return task.fail("too_many_applications");
    }
    lines.push(line);
    task.span.cursor = application;
}

async fn messages(
    store: &dyn Store,
    scope: Scope,
    application: &Application,
    wanted: &Wanted,
    mut so_far: Messages,
) -> Result<Counted, Unavailable> {
    let (since, until) = (Timestamp(wanted.since), Timestamp(wanted.until));
    let window = Window { since, until, most: USAGE_STEP };
    let Usage { destinations, reached, .. } = store.usage(scope, window, so_far.after).await?;
    so_far.destinations += destinations;
    Ok(match reached {
        Some(after) => Counted::More(json!(Messages { after, ..so_far })),
        None => Counted::All(json!({
            "appId": application.id,
            "appUid": application.uid,
            "messageDestinations": so_far.destinations,
        })),
    })
}

async fn event_types(
    store: &dyn Store,
    scope: Scope,
    application: &Application,
    mut so_far: Filters,
) -> Result<Counted, Unavailable> {
    let from = match so_far.after {
        None => Position::Start,
        Some(key) => Position::After(Id { key, shard: 0, nonce: 0 }),
    };
    let page = Page { limit: ENDPOINTS, from, order: Order::Ascending };
    let Listed { items, done } = match store.endpoints(scope, Targets::All, page).await {
        Ok(listed) => listed,
        Err(ReadError::NotFound(_)) => Listed { items: Vec::new(), done: true },
        Err(ReadError::Unavailable(unavailable)) => return Err(unavailable),
    };
    so_far.after = items.last().map(|endpoint| endpoint.id.key());
    for Endpoint { event_types, .. } in items {
        match event_types {
            Some(names) if !names.is_empty() => so_far.explicit.extend(names),
            _ => so_far.catch_all = true,
        }
    }
    Ok(match done {
        false => Counted::More(json!(so_far)),
        true => Counted::All(json!({
            "appId": application.id,
            "appUid": application.uid,
            "explicitlySubscribedEventTypes": so_far.explicit,
            "hasCatchAllEndpoint": so_far.catch_all,
        })),
    })
}

/// What was counted so far; from the beginning, if nothing was.
fn parsed<T: DeserializeOwned + Default>(so_far: Option<Value>) -> T {
    so_far.and_then(|so_far| serde_json::from_value(so_far).ok()).unwrap_or_default()
}
