//! Rule 5: through another tenant's scope there is nothing.

use ringback_domain::{
    attempt::Outcome,
    endpoint::{Endpoint, State},
    id::{Id, MessageId},
    scope::{Reference, Scope},
};

use super::bench::{
    Bench, NOW, all_attempts, all_messages, at, everything, reference, uid, words,
};
use crate::*;

/// What one tenant has.
struct Tenant {
    scope: Scope,
    endpoint: Endpoint,
    message: MessageId,
    attempt: Record,
    due: Due,
}

async fn tenant(bench: &Bench<'_>, name: &str) -> Tenant {
    let scope = bench.application(name).await;
    let endpoint = bench.endpoint(scope).await;
    let message = bench.send(scope, bench.message()).await.id;
    let due = bench.only_due(&endpoint).await;
    let attempt = bench.retry(&due, NOW);
    bench.record(attempt.clone()).await;
    let due = bench.only_due(&endpoint).await;
    Tenant { scope, endpoint, message, attempt, due }
}

/// Scopes that are not the tenant's: a neighbour's, the neighbour's environment with the tenant's
/// application, another environment, one that does not exist.
async fn foreign(bench: &Bench<'_>, mine: &Tenant) -> Vec<Scope> {
    let neighbour = bench.application("neighbour").await;
    let elsewhere = bench.other_environment().await;
    vec![
        neighbour,
        Scope { environment: elsewhere, ..mine.scope },
        Scope { environment: elsewhere, ..neighbour },
        Scope { environment: 0, application: 0 },
    ]
}

/// Everything of the tenant, to be compared before and after.
async fn state(bench: &Bench<'_>, mine: &Tenant) -> impl PartialEq + std::fmt::Debug + use<> {
    let (store, scope) = (&bench.store, mine.scope);
    let name = Reference::Id(Id { key: 0, shard: 0, nonce: 0 });
    assert!(store.endpoint(scope, name).await.is_err());
    (
        store.endpoints(scope, Targets::All, everything(Order::Ascending)).await.unwrap(),
        store.endpoint_secrets(scope, reference(&mine.endpoint)).await.unwrap(),
        store.messages(scope, all_messages()).await.unwrap(),
        store.attempts(scope, all_attempts()).await.unwrap(),
        store.applications(scope.environment, everything(Order::Ascending)).await.unwrap(),
        bench.due(&mine.endpoint, at(1000)).await,
    )
}

pub(super) async fn foreign_scopes_read_nothing(bench: Bench<'_>) {
    let mine = tenant(&bench, "mine").await;
    let store = &bench.store;
    let message = || Reference::Id(mine.message.0);
    let endpoint = || reference(&mine.endpoint);
    let no_message = Err(ReadError::NotFound("message"));
    let no_endpoint = Err(ReadError::NotFound("endpoint"));
    for scope in foreign(&bench, &mine).await {
        assert_eq!(store.endpoint(scope, endpoint()).await.map(drop), no_endpoint);
        assert_eq!(store.endpoint_secrets(scope, endpoint()).await.map(drop), no_endpoint);
        assert_eq!(store.message(scope, message(), true).await.map(drop), no_message);
        let attempt = store.attempt(scope, message(), mine.attempt.id).await;
        assert_eq!(attempt.map(drop), no_message);
        assert_eq!(store.explain(scope, message()).await.map(drop), no_message);
        let by_message = AttemptQuery { message: Some(message()), ..all_attempts() };
        assert_eq!(store.attempts(scope, by_message).await.map(drop), no_message);
        let by_endpoint = AttemptQuery { endpoint: Some(endpoint()), ..all_attempts() };
        assert_eq!(store.attempts(scope, by_endpoint).await.map(drop), no_endpoint);
        let page = everything(Order::Ascending);
        assert!(store.endpoints(scope, Targets::All, page).await.unwrap().items.is_empty());
        assert!(store.messages(scope, all_messages()).await.unwrap().items.is_empty());
        assert!(store.attempts(scope, all_attempts()).await.unwrap().items.is_empty());
    }
    store.create_event_type(bench.new_event_type("a")).await.unwrap();
    let elsewhere = bench.other_environment().await;
    let application = store.application(elsewhere, uid("mine")).await;
    assert_eq!(application.map(drop), Err(ReadError::NotFound("application")));
    let page = everything(Order::Ascending);
    assert!(store.applications(elsewhere, page).await.unwrap().items.is_empty());
    let event_type = store.event_type(elsewhere, "a".to_owned()).await;
    assert_eq!(event_type.map(drop), Err(ReadError::NotFound("event type")));
    let query = EventTypeQuery {
        limit: 9,
        from: Position::Start,
        order: Order::Ascending,
        include_archived: true,
        flags: None,
    };
    assert!(store.event_types(elsewhere, query).await.unwrap().items.is_empty());
}

pub(super) async fn foreign_scopes_write_nothing(bench: Bench<'_>) {
    let mine = tenant(&bench, "mine").await;
    let store = &bench.store;
    let endpoint = || reference(&mine.endpoint);
    let missing = Err(WriteError::NotFound("endpoint"));
    let scopes = foreign(&bench, &mine).await;
    let before = state(&bench, &mine).await;
    for scope in scopes {
        let change = EndpointChange { state: Some(State::Disabled), ..EndpointChange::default() };
        let changed = store.change_endpoint(scope, endpoint(), change, NOW).await;
        assert_eq!(changed.map(drop), missing);
        assert_eq!(store.delete_endpoint(scope, endpoint(), NOW).await.map(drop), missing);
        let rotate = RotateSecret {
            scope,
            endpoint: endpoint(),
            secret: b"foreign".to_vec(),
            old_until: NOW,
            now: NOW,
            answer: None,
        };
        assert_eq!(store.rotate_secret(rotate).await.map(drop), missing);
        let headers = store.set_headers(scope, endpoint(), None, Some(vec![1]), NOW).await;
        assert_eq!(headers.map(drop), missing);
        let code = store.set_transformation(scope, endpoint(), None, Some(vec![1]), NOW).await;
        assert_eq!(code.map(drop), missing);
        let access = store.set_access(scope, endpoint(), None, None, NOW).await;
        assert_eq!(access.map(drop), missing);
        let resend = store.resend(bench.resend(scope, mine.message, &mine.endpoint)).await;
        assert_eq!(resend.map(drop), Err(ResendError::NotFound("message")));
    }
    let elsewhere = bench.other_environment().await;
    let borrowed = Scope { environment: elsewhere, ..mine.scope };
    let created = store.create_endpoint(bench.new_endpoint(borrowed)).await;
    assert_eq!(created.map(drop), Err(WriteError::NotFound("application")));
    let no_application = Err(WriteError::NotFound("application"));
    let change = ApplicationChange { name: Some("x".to_owned()), ..Default::default() };
    let changed = store.change_application(elsewhere, uid("mine"), change, NOW).await;
    assert_eq!(changed.map(drop), no_application);
    let deleted = store.delete_application(elsewhere, uid("mine"), NOW).await;
    assert_eq!(deleted.map(drop), no_application);
    let append = Append { environment: elsewhere, ..bench.to(mine.scope, bench.message()) };
    assert_eq!(bench.append_one(append).await, Err(AppendError::NoApplication));

    let created = store.create_event_type(bench.new_event_type("a")).await.unwrap();
    let no_type = Err(WriteError::NotFound("event type"));
    let name = || "a".to_owned();
    let deleted = store.delete_event_type(elsewhere, name(), true, NOW).await;
    assert_eq!(deleted, no_type);
    let change = EventTypeChange { archived: Some(true), ..Default::default() };
    let changed = store.change_event_type(elsewhere, name(), change, NOW).await;
    assert_eq!(changed.map(drop), no_type);
    assert_eq!(store.event_type(bench.environment, name()).await, Ok(created));
    assert_eq!(state(&bench, &mine).await, before);
}

pub(super) async fn foreign_records_write_nothing(bench: Bench<'_>) {
    let mine = tenant(&bench, "mine").await;
    let theirs = tenant(&bench, "theirs").await;
    let scopes = foreign(&bench, &mine).await;
    let before = (state(&bench, &mine).await, state(&bench, &theirs).await);
    let health = HealthChange { failing_since: Some(at(1)), disable: Some(State::Gone) };
    let success = || Record { health: Some(health), ..bench.attempt(&mine.due, 200) };
    let failure = || Record { health: Some(health), ..bench.retry(&mine.due, at(9)) };
    for scope in scopes.into_iter().chain([theirs.scope]) {
        for record in [success(), failure()] {
            assert_eq!(bench.record(Record { scope, ..record }).await, Recorded::default());
        }
    }
    // A delivery, a message and an endpoint that do not belong together are no delivery.
    let mixed = [
        Record { delivery: theirs.due.delivery, ..success() },
        Record { endpoint: theirs.endpoint.id.key(), ..success() },
        Record { message: theirs.message.key(), ..success() },
    ];
    for record in mixed {
        assert!(!bench.record(record).await.applied);
    }
    assert_eq!(bench.only_due(&mine.endpoint).await, mine.due);
    assert_eq!(bench.only_due(&theirs.endpoint).await, theirs.due);
    let after = state(&bench, &theirs).await;
    assert_eq!(after, before.1);
    let now = bench.store.endpoint(mine.scope, reference(&mine.endpoint)).await.unwrap();
    assert_eq!(now, mine.endpoint);
    let attempts = bench.store.attempts(mine.scope, all_attempts()).await.unwrap().items;
    assert!(attempts.iter().all(|attempt| attempt.outcome != Outcome::Held));
}

pub(super) async fn guessed_ids_find_nothing(bench: Bench<'_>) {
    let mine = tenant(&bench, "mine").await;
    let guess = |id: Id| Reference::Id(Id { nonce: id.nonce ^ 1, ..id });
    let (store, scope) = (&bench.store, mine.scope);
    assert!(store.endpoint(scope, guess(mine.endpoint.id.0)).await.is_err());
    assert!(store.message(scope, guess(mine.message.0), false).await.is_err());
    let mut attempt = mine.attempt.id;
    attempt.0.nonce ^= 1;
    let of = Reference::Id(mine.message.0);
    let found = store.attempt(scope, of, attempt).await;
    assert_eq!(found.map(drop), Err(ReadError::NotFound("attempt")));
    let application = store.application(scope.environment, uid("mine")).await.unwrap().id;
    assert!(store.application(scope.environment, guess(application.0)).await.is_err());
    let append = Append {
        application: guess(application.0),
        ..bench.to(scope, NewMessage { tags: Some(words(&["t"])), ..bench.message() })
    };
    assert_eq!(bench.append_one(append).await, Err(AppendError::NoApplication));
}
