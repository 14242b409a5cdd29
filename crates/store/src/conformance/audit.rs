//! The audit log: an entry with every change, and a change with every entry.

use std::collections::BTreeMap;

use ringback_domain::{
    access::{Grant, Role},
    endpoint::State,
    id::{EnvironmentId, Id, Key, TaskId, TokenId},
    quota::Quota,
    scope::{Reference, Scope},
    source::{Fate, Source},
    task::Kind,
};

use super::{
    bench::{Bench, NOW, at, everything, reference, uid},
    contract,
    request::{self, arrived, refused, release, requests},
};
use crate::{
    audit::{self, about, note, scope},
    *,
};

fn token() -> Actor {
    let id = TokenId(Id { key: 7, shard: 0, nonce: 7 });
    Actor::Token { id, name: "ci".to_owned(), role: Role::Admin }
}

fn act(environment: Key, operation: &str) -> Act {
    Act {
        environment,
        application: None,
        actor: token(),
        operation: operation.to_owned(),
        resources: BTreeMap::from([("app_id".to_owned(), "mine".to_owned())]),
        request: Some("0af7".to_owned()),
        address: Some("192.0.2.1".to_owned()),
        at: NOW,
    }
}

fn all(order: Order) -> AuditQuery {
    let page = everything(order);
    AuditQuery { page, application: None, operation: None, before: None, after: None }
}

/// The entries of an environment that somebody else than the server made, oldest first.
async fn entries(bench: &Bench<'_>, environment: Key) -> Vec<Entry> {
    let listed = bench.store.audit(environment, all(Order::Ascending)).await.unwrap();
    assert!(listed.done);
    listed.items.into_iter().filter(|entry| entry.act.actor != Actor::System).collect()
}

pub(super) async fn an_entry_comes_with_its_change(mut bench: Bench<'_>) {
    let new = bench.new_application("one");
    let id = new.application.id;
    scope(async {
        note(act(bench.environment, "application.create"));
        about("id", id.to_string());
        bench.store.create_application(new).await.unwrap();
        // The operation has its entry; what else it changes belongs to that.
        bench.store.create_application(bench.new_application("two")).await.unwrap();
    })
    .await;
    bench.reopen().await;
    let entries = entries(&bench, bench.environment).await;
    let mut expect = act(bench.environment, "application.create");
    expect.application = Some(id.key());
    expect.resources.insert("id".to_owned(), id.to_string());
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0].act, expect);
    assert_eq!(entries[0].id.0.created_at(), NOW);
    let other = bench.other_environment().await;
    assert_eq!(self::entries(&bench, other).await, []);
}

pub(super) async fn what_changes_nothing_leaves_no_entry(bench: Bench<'_>) {
    let one = bench.application("one").await;
    let store = &bench.store;
    scope(async {
        note(act(bench.environment, "refused"));
        let refused = store.create_application(bench.new_application("one")).await;
        assert_eq!(refused.unwrap_err(), WriteError::Conflict("application uid"));
        store.application(bench.environment, uid("one")).await.unwrap();
        assert_eq!(store.claimed(bench.claim("key", "body"), NOW).await, Ok(None));
        let nothing = store.expunge(one, vec![uid("none")]).await.unwrap();
        assert_eq!(nothing.found, [false]);
        bench.send(one, bench.message()).await;
    })
    .await;
    // Nobody says who does this.
    store.create_application(bench.new_application("two")).await.unwrap();
    scope(store.create_application(bench.new_application("three"))).await.unwrap();
    assert_eq!(entries(&bench, bench.environment).await, []);
    // What was refused leaves the entry to what is done instead.
    scope(async {
        note(act(bench.environment, "done"));
        store.create_application(bench.new_application("one")).await.unwrap_err();
        store.create_application(bench.new_application("four")).await.unwrap();
    })
    .await;
    let entries = entries(&bench, bench.environment).await;
    assert_eq!(entries.iter().map(|entry| &entry.act.operation).collect::<Vec<_>>(), ["done"]);
}

/// Runs methods of the store, each as an operation with an entry under its own name.
macro_rules! noted {
    ($bench:ident: $($method:ident($($argument:expr),* $(,)?);)*) => {{
        $(scope(async {
            note(act($bench.environment, stringify!($method)));
            $bench.store.$method($($argument),*).await.unwrap();
        })
        .await;)*
        vec![$(stringify!($method)),*]
    }};
}

/// Every method that changes something for whoever asks leaves one entry.
pub(super) async fn every_change_is_noted(bench: Bench<'_>) {
    let environment = bench.environment;
    let one = bench.application("one").await;
    let endpoint = bench.endpoint(one).await;
    let message = bench.send(one, bench.message()).await;
    let due = bench.due(&endpoint, at(1)).await.due.remove(0);
    let record = bench.retry(&due, at(60));
    let (attempt, sent) = (record.id, || Reference::Id(message.id.0));
    bench.record(record).await;
    let renamed = ApplicationChange { name: Some("other".to_owned()), ..Default::default() };
    let quota = Quota { endpoints: Some(5), ..Quota::default() };
    let name = || "new".to_owned();
    let source = bench.source("four").await;
    let methods = noted! { bench:
        create_application(bench.new_application("two"));
        change_application(environment, uid("one"), renamed.clone(), NOW);
        set_quota(environment, uid("one"), quota);
        create_endpoint(bench.new_endpoint(one));
        change_endpoint(one, reference(&endpoint), EndpointChange::default(), NOW);
        rotate_secret(rotation(one, reference(&endpoint)));
        set_headers(one, reference(&endpoint), None, Some(vec![1]), NOW);
        set_transformation(one, reference(&endpoint), None, Some(vec![1]), NOW);
        set_access(one, reference(&endpoint), None, None, NOW);
        create_event_type(bench.new_event_type("new"));
        change_event_type(environment, name(), EventTypeChange::default(), NOW);
        change_contract(contract::change(&bench, "new").await);
        delete_event_type(environment, name(), false, NOW);
        import_event_types(import(&bench));
        create_source(bench.new_source("three"));
        change_source(environment, uid("three"), SourceChange::default(), NOW);
        rotate_source_token(token_rotation(environment));
        release(kept(&bench, &source).await);
        put_listener(bench.new_listener("one"));
        seek_listener(environment, uid("one"), 0, NOW);
        delete_listener(environment, uid("one"), NOW);
        put_stream(bench.new_stream(&source, 1));
        delete_stream(environment, uid("four"), NOW);
        delete_source(environment, uid("three"), NOW);
        create_token(new_token(environment));
        revoke_token(new_token(environment).id, NOW);
        create_environment(new_environment());
        expire_sessions(expiry(one));
        resend(bench.resend(one, message.id, &endpoint));
        create_task(new_task(&bench, one));
        expunge_attempt(one, sent(), attempt);
        expunge(one, vec![sent()]);
        delete_endpoint(one, reference(&endpoint), NOW);
        delete_application(environment, uid("one"), NOW);
    };
    let entries = entries(&bench, environment).await;
    let operations: Vec<_> = entries.iter().map(|entry| entry.act.operation.as_str()).collect();
    assert_eq!(operations, methods);
}

/// A request that was kept, to be released.
async fn kept(bench: &Bench<'_>, source: &Source) -> Release {
    bench.store.log_request(refused(bench, source, Fate::Quarantined)).await.unwrap();
    let kept = requests(bench, source, request::all()).await.remove(0);
    release(&kept, vec![arrived(bench, source)])
}

fn rotation(scope: Scope, endpoint: Reference) -> RotateSecret {
    let secret = vec![1; 9];
    RotateSecret { scope, endpoint, secret, old_until: at(60), now: NOW, answer: None }
}

fn token_rotation(environment: Key) -> RotateSourceToken {
    let (source, hash, sealed) = (uid("three"), [9; 32], vec![1; 9]);
    RotateSourceToken { environment, source, hash, sealed, old_until: NOW, now: NOW, answer: None }
}

fn import(bench: &Bench<'_>) -> Import {
    let event_types = vec![bench.new_event_type("imported").event_type];
    Import {
        environment: bench.environment,
        event_types,
        others: Others::Keep,
        now: NOW,
        answer: None,
    }
}

fn new_token(environment: Key) -> NewToken {
    NewToken {
        id: TokenId(Id { key: 9, shard: 0, nonce: 9 }),
        environment,
        hash: [9; 32],
        hint: String::new(),
        name: String::new(),
        grant: Grant::default(),
        session: None,
        created_at: NOW,
        expires_at: None,
        answer: None,
    }
}

fn new_environment() -> NewEnvironment {
    let id = EnvironmentId(Id { key: 11, shard: 0, nonce: 0 });
    let environment = Environment { id, name: "third".to_owned(), created_at: NOW };
    NewEnvironment { environment, answer: None }
}

fn expiry(scope: Scope) -> ExpireSessions {
    let Scope { environment, application } = scope;
    ExpireSessions { environment, application, sessions: None, at: NOW, limit: 5 }
}

fn new_task(bench: &Bench<'_>, scope: Scope) -> NewTask {
    NewTask {
        id: TaskId(Id { key: Id::first_key_at(NOW) + bench.number() as i64, shard: 0, nonce: 5 }),
        environment: scope.environment,
        place: Place::Application(scope.application),
        kind: Kind::PurgeContent,
        request: serde_json::Value::Null,
        data: serde_json::Map::new(),
        since: None,
        until: None,
        now: NOW,
        answer: None,
    }
}

pub(super) async fn what_the_server_does_is_noted(bench: Bench<'_>) {
    let one = bench.application("one").await;
    let endpoint = bench.endpoint(one).await;
    bench.send(one, bench.message()).await;
    let due = bench.only_due(&endpoint).await;
    let disable = Some(State::Gone);
    let health = Some(HealthChange { failing_since: Some(NOW), disable });
    let revision = endpoint.revision;
    let record = Record { health, revision, ..bench.retry(&due, at(60)) };
    let attempt = record.id;
    bench.record(record).await;
    let listed = bench.store.audit(bench.environment, all(Order::Ascending)).await.unwrap().items;
    let operations: Vec<_> = listed.iter().map(|entry| entry.act.operation.as_str()).collect();
    assert_eq!(operations, ["environment.create", "endpoint.disable"]);
    assert!(listed.iter().all(|entry| entry.act.actor == Actor::System));
    let resource = |entry: usize, name: &str| listed[entry].act.resources.get(name).cloned();
    assert_eq!(resource(0, "name"), Some("production".to_owned()));
    assert_eq!(listed[1].act.application, Some(one.application));
    assert_eq!(resource(1, "endpoint_id"), Some(endpoint.id.to_string()));
    assert_eq!(resource(1, "attempt_id"), Some(attempt.to_string()));
    // Somebody who needs an environment makes it, beside what they do with it.
    scope(async {
        note(act(0, "token.create"));
        let environment = bench.other_environment().await;
        audit::inside(environment);
        bench.store.create_token(new_token(environment)).await.unwrap();
    })
    .await;
    let other = entries(&bench, bench.other_environment().await).await;
    let operations: Vec<_> = other.iter().map(|entry| entry.act.operation.as_str()).collect();
    assert_eq!(operations, ["environment.create", "token.create"]);
}

pub(super) async fn entries_are_listed_and_narrowed_down(bench: Bench<'_>) {
    let applications = [bench.application("one").await, bench.application("two").await];
    for (second, operation, application) in
        [(1, "a", Some(0)), (2, "b", Some(0)), (3, "a", Some(1)), (4, "b", None)]
    {
        scope(async {
            let application = application.map(|index: usize| applications[index].application);
            note(Act { at: at(second), application, ..act(bench.environment, operation) });
            bench.store.create_token(token_number(bench.environment, second)).await.unwrap();
        })
        .await;
    }
    let seconds = async |query: AuditQuery| {
        let listed = bench.store.audit(bench.environment, query).await.unwrap();
        let entries = listed.items.iter().filter(|entry| entry.act.actor != Actor::System);
        entries.map(|entry| entry.act.at.since(NOW).as_secs()).collect::<Vec<_>>()
    };
    let query = || all(Order::Descending);
    let (one, a) = (Some(applications[0].application), Some("a".to_owned()));
    assert_eq!(seconds(query()).await, [4, 3, 2, 1]);
    assert_eq!(seconds(all(Order::Ascending)).await, [1, 2, 3, 4]);
    assert_eq!(seconds(AuditQuery { application: one, ..query() }).await, [2, 1]);
    assert_eq!(seconds(AuditQuery { operation: a.clone(), ..query() }).await, [3, 1]);
    assert_eq!(seconds(AuditQuery { application: one, operation: a, ..query() }).await, [1]);
    assert_eq!(seconds(AuditQuery { after: Some(at(2)), ..query() }).await, [4, 3]);
    assert_eq!(seconds(AuditQuery { before: Some(at(2)), ..query() }).await, [1]);
    let first = Page { limit: 2, ..everything(Order::Descending) };
    let listed =
        bench.store.audit(bench.environment, AuditQuery { page: first.clone(), ..query() }).await;
    let listed = listed.unwrap();
    assert!(!listed.done);
    let from = Position::After(listed.items[1].id.0);
    let page = Page { from, ..first };
    assert_eq!(seconds(AuditQuery { page, ..query() }).await, [2, 1]);
}

fn token_number(environment: Key, number: u64) -> NewToken {
    let id = TokenId(Id { key: number as i64, shard: 0, nonce: 9 });
    NewToken { id, hash: [number as u8; 32], ..new_token(environment) }
}

pub(super) async fn entries_are_forgotten_in_steps(bench: Bench<'_>) {
    bench.application("one").await;
    for second in 0..=260 {
        scope(async {
            note(Act { at: at(second), ..act(bench.environment, "a") });
            let quota = Quota { pending: Some(second), ..Quota::default() };
            bench.store.set_quota(bench.environment, uid("one"), quota).await.unwrap();
        })
        .await;
    }
    assert_eq!(bench.store.forget_audit(at(260)).await, Ok(true));
    assert_eq!(bench.store.forget_audit(at(260)).await, Ok(false));
    let left = bench.store.audit(bench.environment, all(Order::Ascending)).await.unwrap().items;
    assert_eq!(left.iter().map(|entry| entry.act.at).collect::<Vec<_>>(), [at(260)]);
}
