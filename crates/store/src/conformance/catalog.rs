//! What callers create, change and delete: it is kept as it was said, and names stay unique.

use ringback_domain::{
    access::Grant,
    application::OPERATIONAL_UID,
    endpoint::{Endpoint, SealedSecret, State},
    event_type::EventType,
    id::{Id, TokenId},
    scope::{Reference, Scope},
    time::Timestamp,
};

use super::bench::{Bench, NOW, at, everything, reference, uid, words};
use crate::*;

fn labels(name: &str, value: &str) -> ringback_domain::application::Metadata {
    [(name.to_owned(), value.to_owned())].into()
}

pub(super) async fn applications_are_kept(mut bench: Bench<'_>) {
    let mut new = bench.new_application("one");
    new.application.metadata = labels("plan", "große \"Firma\"");
    new.application.throttle_rate = Some(7);
    let created = bench.store.create_application(new.clone()).await.unwrap();
    assert_eq!(created, new.application);
    bench.reopen().await;
    for name in [uid("one"), Reference::Id(created.id.0)] {
        let read = bench.store.application(bench.environment, name).await.unwrap();
        assert_eq!(read, created);
    }
    let change = ApplicationChange {
        uid: Some(None),
        name: Some("Renamed".to_owned()),
        metadata: None,
        throttle_rate: Some(None),
    };
    let name = Reference::Id(created.id.0);
    let changed = bench
        .store
        .change_application(bench.environment, name.clone(), change, at(9))
        .await
        .unwrap();
    let expect = ringback_domain::application::Application {
        uid: None,
        name: "Renamed".to_owned(),
        throttle_rate: None,
        updated_at: at(9),
        ..created
    };
    assert_eq!(changed, expect);
    assert_eq!(bench.store.application(bench.environment, name).await, Ok(expect));
    let gone = bench.store.application(bench.environment, uid("one")).await;
    assert_eq!(gone, Err(ReadError::NotFound("application")));
}

pub(super) async fn application_uids_are_unique(bench: Bench<'_>) {
    let first = bench.application("one").await;
    bench.application("two").await;
    let taken = Err(WriteError::Conflict("application uid"));
    let twin = bench.store.create_application(bench.new_application("one")).await;
    assert_eq!(twin.map(drop), taken);
    let rename = |name: &str| ApplicationChange {
        uid: Some(Some(name.to_owned())),
        ..ApplicationChange::default()
    };
    let renamed = |name| {
        bench.store.change_application(bench.environment, uid("two"), rename(name), NOW)
    };
    assert_eq!(renamed("one").await.map(drop), taken);
    assert!(renamed("two").await.is_ok(), "one's own name is no conflict");
    // Another environment has names of its own.
    let environment = bench.other_environment().await;
    let elsewhere = NewApplication { environment, ..bench.new_application("one") };
    assert!(bench.store.create_application(elsewhere).await.is_ok());
    // The same id twice: somebody's random numbers clashed.
    let mut same_id = bench.new_application("three");
    same_id.application.id.0.key = first.application;
    let clash = bench.store.create_application(same_id).await;
    assert_eq!(clash.map(drop), Err(WriteError::Conflict("application id")));
    let nowhere = NewApplication { environment: 1, ..bench.new_application("three") };
    let missing = bench.store.create_application(nowhere).await;
    assert_eq!(missing.map(drop), Err(WriteError::NotFound("environment")));
}

pub(super) async fn a_deleted_application_takes_its_endpoints_along(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let [first, second] = [bench.endpoint(scope).await, bench.endpoint(scope).await];
    bench.send(scope, bench.message()).await;
    let delete = || bench.store.delete_application(bench.environment, uid("one"), NOW);
    let mut keys = delete().await.unwrap();
    keys.sort_unstable();
    let mut expect = [first.id.key(), second.id.key()];
    expect.sort_unstable();
    assert_eq!(keys, expect);
    let missing = Err(WriteError::NotFound("application"));
    assert_eq!(delete().await.map(drop), missing);
    for key in keys {
        let lane = bench.store.lane(key).await.unwrap().unwrap();
        assert_eq!(lane.endpoint.state, State::Deleted);
    }
    let created = bench.store.create_endpoint(bench.new_endpoint(scope)).await;
    assert_eq!(created.map(drop), missing);
    let page = everything(Order::Ascending);
    let list = bench.store.applications(bench.environment, page).await.unwrap();
    assert!(list.items.is_empty());
    bench.application("one").await;
}

pub(super) async fn the_hidden_application_stays(bench: Bench<'_>) {
    let operational = || uid(OPERATIONAL_UID);
    let hidden = bench.store.application(bench.environment, operational()).await.unwrap();
    let list = bench.store.applications(bench.environment, everything(Order::Ascending)).await;
    assert!(list.unwrap().items.is_empty(), "it is in no list");
    let missing = Err(WriteError::NotFound("application"));
    let deleted = bench.store.delete_application(bench.environment, operational(), NOW).await;
    assert_eq!(deleted.map(drop), missing);
    let change = ApplicationChange { uid: Some(None), ..ApplicationChange::default() };
    let changed =
        bench.store.change_application(bench.environment, operational(), change, NOW).await;
    assert_eq!(changed.map(drop), missing);
    let again = bench.store.application(bench.environment, operational()).await.unwrap();
    assert_eq!(again, hidden);
}

pub(super) async fn endpoints_are_kept(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let mut new = bench.new_endpoint(scope);
    new.endpoint.uid = Some("mine".to_owned());
    new.endpoint.event_types = Some(words(&["a", "b"]));
    new.endpoint.channels = Some(Vec::new());
    new.endpoint.filter = Some(r#"{"body":{"a":1}}"#.to_owned());
    new.endpoint.sign_as = Some("stripe".to_owned());
    new.endpoint.delivery = Some(r#"{"concurrency":3}"#.to_owned());
    new.endpoint.metadata = labels("team", "x");
    new.endpoint.throttle_rate = Some(3);
    new.credentials = Some(b"sealed".to_vec());
    let created = bench.store.create_endpoint(new.clone()).await.unwrap();
    assert_eq!(created, Endpoint { revision: created.revision, ..new.endpoint });
    bench.reopen().await;
    for name in [uid("mine"), reference(&created)] {
        assert_eq!(bench.store.endpoint(scope, name).await.as_ref(), Ok(&created));
    }
    let change = EndpointChange {
        uid: Some(None),
        url: Some(("https://other.example/".to_owned(), None)),
        description: Some("moved".to_owned()),
        event_types: Some(None),
        channels: None,
        filter: Some(Some(r#"{"path":"/"}"#.to_owned())),
        sign_as: Some(Some("github".to_owned())),
        delivery: Some(Some(r#"{"order":{"onExhausted":"block"}}"#.to_owned())),
        access: None,
        metadata: Some(labels("team", "y")),
        throttle_rate: Some(None),
        state: Some(State::Paused),
    };
    let changed =
        bench.store.change_endpoint(scope, uid("mine"), change, at(9)).await.unwrap();
    let expect = Endpoint {
        uid: None,
        url: "https://other.example/".to_owned(),
        description: "moved".to_owned(),
        event_types: None,
        filter: Some(r#"{"path":"/"}"#.to_owned()),
        sign_as: Some("github".to_owned()),
        delivery: Some(r#"{"order":{"onExhausted":"block"}}"#.to_owned()),
        metadata: labels("team", "y"),
        throttle_rate: None,
        state: State::Paused,
        revision: changed.revision,
        updated_at: at(9),
        ..created.clone()
    };
    assert_eq!(changed, expect);
    let read = bench.store.endpoint(scope, reference(&created)).await.unwrap();
    assert_eq!(read, expect);
    let sealed = bench.store.endpoint_secrets(scope, reference(&created)).await.unwrap();
    assert_eq!(sealed.credentials, None, "the new URL has none");
    let lane = bench.store.lane(created.id.key()).await.unwrap().unwrap();
    assert_eq!(lane.endpoint, expect);
    let plain = EndpointChange {
        filter: Some(None),
        sign_as: Some(None),
        delivery: Some(None),
        ..EndpointChange::default()
    };
    let changed = bench.store.change_endpoint(scope, reference(&created), plain, at(10)).await;
    let changed = changed.unwrap();
    assert_eq!((changed.filter, changed.sign_as), (None, None));
}

pub(super) async fn endpoint_uids_are_unique(bench: Bench<'_>) {
    let (one, two) = (bench.application("one").await, bench.application("two").await);
    let named = |scope: Scope, name: &str| {
        let mut new = bench.new_endpoint(scope);
        new.endpoint.uid = Some(name.to_owned());
        bench.store.create_endpoint(new)
    };
    let first = named(one, "mine").await.unwrap();
    named(two, "mine").await.unwrap();
    let taken = Err(WriteError::Conflict("endpoint uid"));
    assert_eq!(named(one, "mine").await.map(drop), taken);
    let second = named(one, "other").await.unwrap();
    let rename = EndpointChange {
        uid: Some(Some("mine".to_owned())),
        ..EndpointChange::default()
    };
    let rename = |endpoint| {
        bench.store.change_endpoint(one, reference(endpoint), rename.clone(), NOW)
    };
    assert_eq!(rename(&second).await.map(drop), taken);
    assert!(rename(&first).await.is_ok(), "one's own name is no conflict");
    let mut same_id = bench.new_endpoint(one);
    same_id.endpoint.id = first.id;
    let clash = bench.store.create_endpoint(same_id).await;
    assert_eq!(clash.map(drop), Err(WriteError::Conflict("endpoint id")));
    bench.store.delete_endpoint(one, uid("mine"), NOW).await.unwrap();
    named(one, "mine").await.unwrap();
}

pub(super) async fn a_deleted_endpoint_is_gone(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let delete = || bench.store.delete_endpoint(scope, reference(&endpoint), NOW);
    assert_eq!(delete().await, Ok(endpoint.id.key()));
    assert_eq!(delete().await, Err(WriteError::NotFound("endpoint")));
    let read = bench.store.endpoint(scope, reference(&endpoint)).await;
    assert_eq!(read, Err(ReadError::NotFound("endpoint")));
    let list = bench.store.endpoints(scope, Targets::All, everything(Order::Ascending)).await.unwrap();
    assert!(list.items.is_empty());
    assert!(bench.send(scope, bench.message()).await.endpoints.is_empty());
}

pub(super) async fn destinations_have_a_list_of_their_own(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let url = bench.endpoint(scope).await;
    let mut new = bench.new_endpoint(scope);
    new.endpoint.url = "slack://hooks.slack.example".to_owned();
    let destination = bench.store.create_endpoint(new).await.unwrap();
    let both = [&url, &destination].map(|one| one.id.key());
    for (targets, expect) in [
        (Targets::Urls, &both[..1]),
        (Targets::Destinations, &both[1..]),
        (Targets::All, &both[..]),
    ] {
        let page = everything(Order::Ascending);
        let listed = bench.store.endpoints(scope, targets, page).await.unwrap();
        let listed: Vec<_> = listed.items.iter().map(|endpoint| endpoint.id.key()).collect();
        assert_eq!(listed, expect, "{targets:?}");
    }
    // What goes there is made of the event, so it carries what happened.
    bench.send(scope, bench.message()).await;
    assert_eq!(&*bench.only_due(&destination).await.content.event_type, "user.created");
}

pub(super) async fn secrets_rotate(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let rotate = |secret: &str, now: Timestamp, old_until| {
        bench.store.rotate_secret(RotateSecret {
            scope,
            endpoint: reference(&endpoint),
            secret: secret.as_bytes().to_vec(),
            old_until,
            now,
            answer: None,
        })
    };
    let secrets = || async {
        bench.store.endpoint_secrets(scope, reference(&endpoint)).await.unwrap().secrets
    };
    let sealed = |text: &str, expires_at| SealedSecret {
        sealed: text.as_bytes().to_vec(),
        expires_at,
    };
    assert_eq!(rotate("2", NOW, at(100)).await, Ok(endpoint.id.key()));
    let first = "sealed secret 1";
    assert_eq!(secrets().await, [sealed("2", None), sealed(first, Some(at(100)))]);
    // The first one ends no later than it was said.
    rotate("3", at(1), at(200)).await.unwrap();
    let expect =
        [sealed("3", None), sealed("2", Some(at(200))), sealed(first, Some(at(100)))];
    assert_eq!(secrets().await, expect);
    // What has ended is gone; and what ends at once, too.
    rotate("4", at(150), at(300)).await.unwrap();
    let expect =
        [sealed("4", None), sealed("3", Some(at(300))), sealed("2", Some(at(200)))];
    assert_eq!(secrets().await, expect);
    rotate("5", at(160), at(160)).await.unwrap();
    assert_eq!(secrets().await, [sealed("5", None)]);
    for count in 1..SECRETS_LIMIT {
        rotate(&format!("many {count}"), at(160), at(999)).await.unwrap();
    }
    let full = secrets().await;
    let one_more = rotate("too many", at(161), at(999)).await;
    assert_eq!(one_more, Err(WriteError::Limit("signing secrets")));
    assert_eq!(secrets().await, full, "what is refused changes nothing");
}

pub(super) async fn headers_change_only_from_what_was_expected(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let some = |text: &str| Some(text.as_bytes().to_vec());
    let set = |expected, sealed| {
        bench.store.set_headers(scope, reference(&endpoint), expected, sealed, NOW)
    };
    let conflict = Err(WriteError::Conflict("header change"));
    assert_eq!(set(some("x"), some("a")).await, conflict);
    assert_eq!(set(None, some("a")).await, Ok(endpoint.id.key()));
    assert_eq!(set(None, some("b")).await, conflict);
    assert_eq!(set(some("a"), some("b")).await, Ok(endpoint.id.key()));
    let read = bench.store.endpoint_secrets(scope, reference(&endpoint)).await.unwrap();
    assert_eq!(read.headers, some("b"));
    assert_eq!(set(some("b"), None).await, Ok(endpoint.id.key()));
    let read = bench.store.endpoint_secrets(scope, reference(&endpoint)).await.unwrap();
    assert_eq!(read.headers, None);
}

pub(super) async fn a_transformation_changes_only_from_what_was_expected(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let some = |text: &str| Some(text.as_bytes().to_vec());
    let set = |expected, sealed| {
        bench.store.set_transformation(scope, reference(&endpoint), expected, sealed, NOW)
    };
    let conflict = Err(WriteError::Conflict("transformation change"));
    assert_eq!(set(some("x"), some("a")).await, conflict);
    assert_eq!(set(None, some("a")).await, Ok(endpoint.id.key()));
    assert_eq!(set(None, some("b")).await, conflict);
    let read = bench.store.endpoint_secrets(scope, reference(&endpoint)).await.unwrap();
    assert_eq!((read.transformation, read.headers), (some("a"), None));
    let lane = bench.store.lane(endpoint.id.key()).await.unwrap().unwrap();
    assert_eq!(lane.secrets.transformation, some("a"));
    assert_eq!(set(some("a"), None).await, Ok(endpoint.id.key()));
    let lane = bench.store.lane(endpoint.id.key()).await.unwrap().unwrap();
    assert_eq!(lane.secrets.transformation, None);
    assert_eq!(set(None, some("b")).await, Ok(endpoint.id.key()));
    bench.store.delete_endpoint(scope, reference(&endpoint), NOW).await.unwrap();
    let lane = bench.store.lane(endpoint.id.key()).await.unwrap().unwrap();
    assert_eq!(lane.secrets.transformation, None, "it is gone with the endpoint");
}

pub(super) async fn what_opens_an_endpoint_is_kept(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let access = |text: &str| {
        Some(SealedAccess { sealed: text.into(), shown: format!("{{\"type\":\"{text}\"}}") })
    };
    let shown = |text: &str| access(text).map(|access| access.shown);
    let mut new = bench.new_endpoint(scope);
    (new.access, new.endpoint.access) = (Some(b"a".to_vec()), shown("a"));
    let endpoint = bench.store.create_endpoint(new).await.unwrap();
    let is = async |expect: Option<&str>| {
        let read = bench.store.endpoint(scope, reference(&endpoint)).await.unwrap();
        assert_eq!(read.access, expect.and_then(shown));
        let sealed = expect.map(|text| text.as_bytes().to_vec());
        let read = bench.store.endpoint_secrets(scope, reference(&endpoint)).await.unwrap();
        assert_eq!((read.access, read.headers, read.transformation), (sealed.clone(), None, None));
        let lane = bench.store.lane(endpoint.id.key()).await.unwrap().unwrap();
        assert_eq!((lane.secrets.access, lane.endpoint.access), (sealed, expect.and_then(shown)));
    };
    is(Some("a")).await;

    let change = async |change| {
        let change = EndpointChange { access: change, ..EndpointChange::default() };
        bench.store.change_endpoint(scope, reference(&endpoint), change, NOW).await.unwrap();
    };
    change(None).await;
    is(Some("a")).await;
    change(Some(access("b"))).await;
    is(Some("b")).await;
    change(Some(None)).await;
    is(None).await;

    let set = |expected: Option<&str>, to| {
        let expected = expected.map(|text| text.as_bytes().to_vec());
        bench.store.set_access(scope, reference(&endpoint), expected, to, NOW)
    };
    let conflict = Err(WriteError::Conflict("access change"));
    assert_eq!(set(Some("x"), access("c")).await, conflict);
    assert_eq!(set(None, access("c")).await, Ok(endpoint.id.key()));
    assert_eq!(set(None, access("d")).await, conflict);
    is(Some("c")).await;
    assert_eq!(set(Some("c"), None).await, Ok(endpoint.id.key()));
    is(None).await;
    assert_eq!(set(None, access("e")).await, Ok(endpoint.id.key()));
    bench.store.delete_endpoint(scope, reference(&endpoint), NOW).await.unwrap();
    let lane = bench.store.lane(endpoint.id.key()).await.unwrap().unwrap();
    assert_eq!((lane.secrets.access, lane.endpoint.access), (None, None), "it is gone, too");
}

pub(super) async fn event_types_are_kept(mut bench: Bench<'_>) {
    let mut new = bench.new_event_type("user.created");
    new.event_type.schemas = Some(serde_json::json!({"1": {"type": "object"}}));
    new.event_type.group_name = Some("users".to_owned());
    let created = bench.store.create_event_type(new.clone()).await.unwrap();
    assert_eq!(created, new.event_type);
    bench.reopen().await;
    let name = || "user.created".to_owned();
    let environment = bench.environment;
    assert_eq!(bench.store.event_type(environment, name()).await.as_ref(), Ok(&created));
    let twin = bench.store.create_event_type(bench.new_event_type("user.created")).await;
    assert_eq!(twin.map(drop), Err(WriteError::Conflict("event type")));
    let change = EventTypeChange {
        description: Some("changed".to_owned()),
        schemas: Some(None),
        deprecated: Some(true),
        feature_flag: Some(Some("beta".to_owned())),
        ..EventTypeChange::default()
    };
    let changed =
        bench.store.change_event_type(environment, name(), change, at(9)).await.unwrap();
    let expect = EventType {
        description: "changed".to_owned(),
        schemas: None,
        deprecated: true,
        feature_flag: Some("beta".to_owned()),
        updated_at: at(9),
        ..created
    };
    assert_eq!(changed, expect);
    assert_eq!(bench.store.event_type(environment, name()).await, Ok(expect));
}

pub(super) async fn event_types_are_archived_and_come_back(bench: Bench<'_>) {
    let name = || "user.created".to_owned();
    let environment = bench.environment;
    let created =
        bench.store.create_event_type(bench.new_event_type("user.created")).await.unwrap();
    let listed = async |include_archived| {
        let query = EventTypeQuery {
            limit: 10,
            from: Position::Start,
            order: Order::Ascending,
            include_archived,
            flags: None,
        };
        bench.store.event_types(environment, query).await.unwrap().items.len()
    };
    let delete = |expunge| bench.store.delete_event_type(environment, name(), expunge, at(1));
    delete(false).await.unwrap();
    assert_eq!((listed(false).await, listed(true).await), (0, 1));
    assert!(bench.store.event_type(environment, name()).await.unwrap().archived);
    let again = bench.new_event_type("user.created");
    let again = bench.store.create_event_type(again).await.unwrap();
    assert_eq!((again.id, again.archived), (created.id, false));
    assert_eq!(listed(false).await, 1);
    delete(true).await.unwrap();
    assert_eq!(listed(true).await, 0);
    assert_eq!(delete(true).await, Err(WriteError::NotFound("event type")));
}

pub(super) async fn environments_are_made_once(mut bench: Bench<'_>) {
    let other = bench.other_environment().await;
    assert_ne!(other, bench.environment);
    bench.reopen().await;
    assert_eq!(bench.other_environment().await, other);
    let again = bench.store.environment("production".to_owned(), at(9)).await;
    assert_eq!(again, Ok(bench.environment));
    // The ids of applications hold random bits, which may be what the store would take next.
    for sequence in 0..16 {
        let mut new = bench.new_application(&format!("app {sequence}"));
        new.application.id.0.key = Id::first_key_at(at(50)) + sequence;
        bench.store.create_application(new).await.unwrap();
    }
    assert!(bench.store.environment("another".to_owned(), at(50)).await.is_ok());
}

pub(super) async fn tokens_are_found_until_the_end(mut bench: Bench<'_>) {
    let token = |number: u8, expires_at| NewToken {
        id: TokenId(Id { key: i64::from(number), shard: 0, nonce: u64::MAX }),
        environment: bench.environment,
        hash: [number; 32],
        hint: "rb_…1".to_owned(),
        name: format!("token {number}"),
        grant: Grant::default(),
        session: None,
        created_at: NOW,
        expires_at,
        answer: None,
    };
    let row = |new: &NewToken, revoked_at| TokenRow {
        id: new.id,
        environment: new.environment,
        environment_name: "production".to_owned(),
        hint: new.hint.clone(),
        name: new.name.clone(),
        grant: new.grant.clone(),
        created_at: NOW,
        expires_at: new.expires_at,
        revoked_at,
    };
    let (first, second) = (token(1, None), token(2, Some(at(9))));
    for new in [&first, &second] {
        bench.store.create_token(new.clone()).await.unwrap();
    }
    let twin = NewToken { hash: [9; 32], ..first.clone() };
    let taken = Err(WriteError::Conflict("token"));
    assert_eq!(bench.store.create_token(twin).await, taken);
    let twin = NewToken { hash: [1; 32], ..token(3, None) };
    assert_eq!(bench.store.create_token(twin).await, taken);
    let nowhere = NewToken { environment: 1, ..token(4, None) };
    let missing = bench.store.create_token(nowhere).await;
    assert_eq!(missing, Err(WriteError::NotFound("environment")));

    bench.reopen().await;
    assert_eq!(bench.store.token_by_hash([2; 32]).await, Ok(Some(row(&second, None))));
    assert_eq!(bench.store.token_by_hash([7; 32]).await, Ok(None));
    let revoked = row(&first, Some(at(3)));
    assert_eq!(bench.store.revoke_token(first.id, at(3)).await.as_ref(), Ok(&revoked));
    assert_eq!(bench.store.revoke_token(first.id, at(5)).await.as_ref(), Ok(&revoked));
    assert_eq!(bench.store.token_by_hash([1; 32]).await, Ok(Some(revoked.clone())));
    assert_eq!(bench.store.tokens().await, Ok(vec![row(&second, None), revoked]));
    let guessed = TokenId(Id { nonce: 5, ..first.id.0 });
    let unknown = bench.store.revoke_token(guessed, NOW).await;
    assert_eq!(unknown, Err(WriteError::NotFound("token")));
}

pub(super) async fn answers_are_kept_with_what_they_answer(mut bench: Bench<'_>) {
    let claim = bench.claim("key", "body");
    let answer = |name: &str| Answer {
        claim: bench.claim(name, "body"),
        status: 201,
        body: b"answer".to_vec(),
    };
    let mut application = bench.new_application("one");
    application.answer = Some(answer("key"));
    let id = bench.store.create_application(application).await.unwrap().id;
    let scope = Scope { environment: bench.environment, application: id.key() };
    let mut endpoint = bench.new_endpoint(scope);
    endpoint.answer = Some(answer("endpoint"));
    let endpoint = bench.store.create_endpoint(endpoint).await.unwrap();
    let mut event_type = bench.new_event_type("a");
    event_type.answer = Some(answer("event type"));
    bench.store.create_event_type(event_type).await.unwrap();
    let rotate = RotateSecret {
        scope,
        endpoint: reference(&endpoint),
        secret: b"new".to_vec(),
        old_until: at(9),
        now: NOW,
        answer: Some(answer("rotate")),
    };
    bench.store.rotate_secret(rotate).await.unwrap();
    let message = bench.send(scope, bench.message()).await.id;
    let mut resend = bench.resend(scope, message, &endpoint);
    resend.answer = Some(answer("resend"));
    bench.store.resend(resend).await.unwrap();
    // What is refused keeps no answer.
    let mut twin = bench.new_application("one");
    twin.answer = Some(answer("refused"));
    assert!(bench.store.create_application(twin).await.is_err());

    bench.reopen().await;
    let expect = |same_body| Claimed { same_body, status: 201, body: b"answer".to_vec() };
    for name in ["key", "endpoint", "event type", "rotate", "resend"] {
        let found = bench.store.claimed(bench.claim(name, "body"), NOW).await;
        assert_eq!(found, Ok(Some(expect(true))), "{name}");
    }
    let other_body = bench.claim("key", "other body");
    assert_eq!(bench.store.claimed(other_body, NOW).await, Ok(Some(expect(false))));
    for name in ["refused", "unknown"] {
        assert_eq!(bench.store.claimed(bench.claim(name, "body"), NOW).await, Ok(None));
    }
    assert_eq!(bench.store.claimed(claim, claim.expires_at).await, Ok(None), "expired");
}
