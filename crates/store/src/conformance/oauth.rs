//! OAuth: a code is exchanged once, whoever comes back at the same time; and the tokens that are
//! stored are those that were granted last.

use std::{collections::HashMap, sync::Arc, time::Duration};

use ringback_domain::{
    callback::Turn,
    id::{ApplicationId, AuthorizationId, ConnectionId, Id, OauthClientId, SourceId},
    oauth::{
        Authorization, Client, Connection, authorization,
        authorization::{Binding, Flow, Purpose, Stage},
        connection,
        connection::{Grant, Lease, State, Subscription},
    },
    scope::Scope,
    time::Timestamp,
};
use tokio::task::JoinSet;

use super::bench::{Bench, EXPIRY, NOW, all_messages, at, everything, uid};
use crate::*;

fn id<I>(bench: &Bench<'_>, wrap: impl FnOnce(Id) -> I) -> I {
    let number = bench.number();
    let random = (u128::from(number * 7919) << 64) | u128::from(number);
    mint(NOW, random.to_be_bytes(), wrap)
}

fn keeping(bench: &Bench<'_>) -> Keeping {
    let nonce = bench.number().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Keeping { nonce, expires_at: EXPIRY }
}

async fn application(bench: &Bench<'_>, scope: Scope) -> ApplicationId {
    let page = everything(Order::Ascending);
    let all = bench.store.applications(bench.environment, page).await.unwrap().items;
    all.iter().map(|it| it.id).find(|id| id.key() == scope.application).unwrap()
}

pub(super) async fn new_client(bench: &Bench<'_>, scope: Scope) -> Client {
    Client {
        id: id(bench, OauthClientId),
        scope,
        application: application(bench, scope).await,
        provider: "made-up".to_owned(),
        name: "Made up".to_owned(),
        client_id: "client-1".to_owned(),
        auth: None,
        settings: [].into(),
        scopes: Vec::new(),
        sealed: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

async fn client(bench: &Bench<'_>, scope: Scope) -> Client {
    let client = new_client(bench, scope).await;
    bench.store.create_oauth_client(client.clone(), None).await.unwrap();
    client
}

fn new_flow(bench: &Bench<'_>, client: &Client) -> Authorization {
    Authorization {
        id: id(bench, AuthorizationId),
        scope: client.scope,
        application: client.application,
        client: client.id,
        flow: Flow::Code,
        purpose: Purpose::Connect,
        binding: Binding::Confirm,
        user_ref: "user-1".to_owned(),
        scopes: Vec::new(),
        return_to: "https://app.example/connected".to_owned(),
        params: Vec::new(),
        connection: None,
        turn: Turn { version: 1, turn: 0 },
        stage: Stage::Pending,
        reason: None,
        deadline: at(600),
        sealed: None,
        metadata: [].into(),
        created_at: NOW,
        settled_at: None,
    }
}

pub(super) async fn flow(bench: &Bench<'_>, client: &Client) -> Authorization {
    let flow = new_flow(bench, client);
    bench.store.create_authorization(flow.clone(), None).await.unwrap();
    flow
}

fn grant(text: &str) -> Grant {
    Grant { sealed: text.into(), is_refreshable: true, ..Grant::default() }
}

fn new_connection(bench: &Bench<'_>, client: &Client) -> Connection {
    Connection {
        id: id(bench, ConnectionId),
        scope: client.scope,
        application: client.application,
        client: client.id,
        provider: client.provider.clone(),
        user_ref: "user-1".to_owned(),
        state: State::Active,
        reason: None,
        version: 1,
        grant: grant("first"),
        lease: None,
        failures: 0,
        retry_at: None,
        subscriptions: Vec::new(),
        metadata: [].into(),
        created_at: NOW,
        refreshed_at: NOW,
    }
}

pub(super) async fn connected(bench: &Bench<'_>, client: &Client) -> Connection {
    let connection = new_connection(bench, client);
    bench.store.create_connection(connection.clone(), None, keeping(bench)).await.unwrap();
    connection
}

fn step(
    bench: &Bench<'_>,
    authorization: AuthorizationId,
    act: authorization::Act,
    now: Timestamp,
) -> AuthorizationStep {
    AuthorizationStep { authorization, act, connection: None, keeping: keeping(bench), now }
}

/// The step that ends a flow with a connection.
fn completing(bench: &Bench<'_>, flow: AuthorizationId, with: Connection) -> AuthorizationStep {
    let act = authorization::Act::Complete { connection: Some(with.id) };
    AuthorizationStep { connection: Some(with), ..step(bench, flow, act, at(3)) }
}

pub(super) async fn stepped(
    bench: &Bench<'_>,
    flow: AuthorizationId,
    act: authorization::Act,
    now: Timestamp,
) -> AuthorizationStepped {
    bench.store.step_authorization(step(bench, flow, act, now)).await.unwrap()
}

pub(super) fn returns() -> authorization::Act {
    authorization::Act::Return { sealed: b"sealed code".to_vec(), deadline: at(60) }
}

fn confirms() -> authorization::Act {
    let within = Duration::from_secs(30);
    authorization::Act::Confirm { user_ref: "user-1".to_owned(), within }
}

/// A flow whose code is being exchanged.
async fn exchanging(bench: &Bench<'_>, client: &Client) -> Authorization {
    let flow = flow(bench, client).await;
    stepped(bench, flow.id, returns(), at(1)).await;
    stepped(bench, flow.id, confirms(), at(2)).await.authorization
}

fn act(
    bench: &Bench<'_>,
    connection: ConnectionId,
    act: connection::Act,
    now: Timestamp,
) -> ConnectionStep {
    let environment = bench.environment;
    ConnectionStep { environment, connection, act, keeping: keeping(bench), now }
}

async fn acted(
    bench: &Bench<'_>,
    connection: ConnectionId,
    what: connection::Act,
    now: Timestamp,
) -> ConnectionStepped {
    bench.store.step_connection(act(bench, connection, what, now)).await.unwrap()
}

async fn read(bench: &Bench<'_>, flow: AuthorizationId, now: Timestamp) -> Authorization {
    bench.store.authorization(bench.environment, flow, now).await.unwrap()
}

async fn kept(bench: &Bench<'_>, connection: ConnectionId) -> Connection {
    bench.store.connection(bench.environment, connection).await.unwrap()
}

/// What the application was told, the first first.
async fn told(bench: &Bench<'_>, scope: Scope) -> Vec<(String, String)> {
    let mut query = MessageQuery { with_content: true, ..all_messages() };
    query.page = Page { limit: 10_000, ..everything(Order::Ascending) };
    let listed = bench.store.messages(scope, query).await.unwrap();
    let one = |message: &ringback_domain::message::Message| {
        let payload: serde_json::Value =
            serde_json::from_slice(message.payload.as_ref().unwrap()).unwrap();
        assert_eq!(payload["type"], *message.event_type);
        assert_eq!(message.origin, ringback_domain::message::Origin::Connection);
        (message.event_type.clone(), payload["data"]["id"].as_str().unwrap().to_owned())
    };
    listed.items.iter().map(one).collect()
}

async fn types(bench: &Bench<'_>, scope: Scope) -> Vec<String> {
    told(bench, scope).await.into_iter().map(|(event_type, _)| event_type).collect()
}

pub(super) async fn clients_are_kept(mut bench: Bench<'_>) {
    let (scope, other) = (bench.application("one").await, bench.application("two").await);
    let full = Client {
        provider: "elsewhere".to_owned(),
        name: "Möglich \"quoted\"".to_owned(),
        auth: Some("client_secret_post".to_owned()),
        settings: [("tenant".to_owned(), "a".to_owned())].into(),
        scopes: vec!["read".to_owned(), "write".to_owned()],
        sealed: Some(b"\0\xff".to_vec()),
        ..new_client(&bench, scope).await
    };
    bench.store.create_oauth_client(full.clone(), None).await.unwrap();
    let plain = client(&bench, other).await;
    bench.reopen().await;
    let store = &bench.store;
    let environment = bench.environment;
    assert_eq!(store.oauth_client(environment, full.id).await.as_ref(), Ok(&full));
    assert_eq!(store.oauth_client_by_id(full.id).await, Ok(Some(full.clone())));
    let guessed = OauthClientId(Id { nonce: full.id.0.nonce + 1, ..full.id.0 });
    assert_eq!(store.oauth_client_by_id(guessed).await, Ok(None));
    let elsewhere = bench.other_environment().await;
    let missing = ReadError::NotFound("oauth client");
    assert_eq!(store.oauth_client(elsewhere, full.id).await, Err(missing));
    let again = store.create_oauth_client(full.clone(), None).await;
    assert_eq!(again, Err(WriteError::Conflict("oauth client id")));
    let nobodys = Scope { application: 1, ..scope };
    let lost = Client { scope: nobodys, id: id(&bench, OauthClientId), ..full.clone() };
    assert_eq!(
        store.create_oauth_client(lost, None).await,
        Err(WriteError::NotFound("application"))
    );

    let changed = Client {
        name: "Other".to_owned(),
        auth: None,
        settings: [].into(),
        scopes: vec!["admin".to_owned()],
        sealed: None,
        updated_at: at(5),
        ..full.clone()
    };
    store.update_oauth_client(changed.clone()).await.unwrap();
    assert_eq!(store.oauth_client(environment, full.id).await, Ok(changed.clone()));
    let missing = Err(WriteError::NotFound("oauth client"));
    for lost in [
        Client { id: guessed, ..changed.clone() },
        Client { scope: Scope { environment: elsewhere, ..scope }, ..changed.clone() },
    ] {
        assert_eq!(store.update_oauth_client(lost).await, missing);
    }

    let all = OauthClientQuery {
        page: everything(Order::Ascending),
        application: None,
        provider: None,
    };
    let check = async |environment, query: OauthClientQuery, expect: &[&Client]| {
        let listed = store.oauth_clients(environment, query).await.unwrap();
        assert_eq!(listed.items.iter().collect::<Vec<_>>(), expect);
        assert!(listed.done);
    };
    check(environment, all.clone(), &[&changed, &plain]).await;
    let of = |application| OauthClientQuery { application: Some(application), ..all.clone() };
    check(environment, of(other.application), &[&plain]).await;
    let at = |provider: &str| Some(provider.to_owned());
    check(environment, OauthClientQuery { provider: at("elsewhere"), ..all.clone() }, &[&changed])
        .await;
    let neither = OauthClientQuery { provider: at("elsewhere"), ..of(other.application) };
    check(environment, neither, &[]).await;
    check(elsewhere, all.clone(), &[]).await;
    let mut one = all.clone();
    one.page.limit = 1;
    let listed = store.oauth_clients(environment, one).await.unwrap();
    assert_eq!((listed.items.len(), listed.done), (1, false));

    assert_eq!(store.delete_oauth_client(elsewhere, full.id).await, missing);
    assert_eq!(store.delete_oauth_client(environment, guessed).await, missing);
    store.delete_oauth_client(environment, full.id).await.unwrap();
    check(environment, all, &[&plain]).await;
}

pub(super) async fn a_client_with_connections_stays(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let (used, other) = (client(&bench, scope).await, client(&bench, scope).await);
    let connection = connected(&bench, &used).await;
    let (flow, theirs) = (flow(&bench, &used).await, flow(&bench, &other).await);
    let environment = bench.environment;
    let delete = async || bench.store.delete_oauth_client(environment, used.id).await;
    assert_eq!(delete().await, Err(WriteError::Conflict("connections")));
    assert_eq!(kept(&bench, connection.id).await, connection);
    bench.store.delete_connection(environment, connection.id).await.unwrap();
    assert_eq!(delete().await, Ok(()));
    assert_eq!(bench.store.authorization_by_id(flow.id).await, Ok(None), "its flows go, too");
    assert_eq!(read(&bench, theirs.id, NOW).await, theirs);
    assert_eq!(delete().await, Err(WriteError::NotFound("oauth client")));
}

pub(super) async fn authorizations_are_kept(mut bench: Bench<'_>) {
    let (scope, other) = (bench.application("one").await, bench.application("two").await);
    let (ours, theirs) = (client(&bench, scope).await, client(&bench, other).await);
    let connection = connected(&bench, &ours).await;
    let full = Authorization {
        flow: Flow::Device,
        purpose: Purpose::Login,
        binding: Binding::Cookie,
        user_ref: "größe 17".to_owned(),
        scopes: vec!["read".to_owned()],
        params: vec![("prompt".to_owned(), "login".to_owned())],
        connection: Some(connection.id),
        turn: Turn { version: 255, turn: u32::MAX },
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        ..new_flow(&bench, &ours)
    };
    bench.store.create_authorization(full.clone(), None).await.unwrap();
    bench.reopen().await;
    assert_eq!(read(&bench, full.id, NOW).await, full);
    assert_eq!(bench.store.authorization_by_id(full.id).await, Ok(Some(full.clone())));
    let guessed = AuthorizationId(Id { nonce: full.id.0.nonce + 1, ..full.id.0 });
    assert_eq!(bench.store.authorization_by_id(guessed).await, Ok(None));
    let elsewhere = bench.other_environment().await;
    let read = bench.store.authorization(elsewhere, full.id, NOW).await;
    assert_eq!(read, Err(ReadError::NotFound("authorization")));

    let again = bench.store.create_authorization(full.clone(), None).await;
    assert_eq!(again, Err(WriteError::Conflict("authorization id")));
    let new = new_flow(&bench, &ours);
    let nobody = ConnectionId(Id { nonce: 1, ..connection.id.0 });
    for (refused, what) in [
        (Authorization { scope: Scope { application: 1, ..scope }, ..new.clone() }, "application"),
        (Authorization { client: theirs.id, ..new.clone() }, "oauth client"),
        (Authorization { connection: Some(nobody), ..new.clone() }, "connection"),
        (Authorization { connection: Some(connection.id), ..new_flow(&bench, &theirs) }, "connection"),
    ] {
        let told = bench.store.create_authorization(refused, None).await;
        assert_eq!(told, Err(WriteError::NotFound(what)));
    }
    assert_eq!(bench.store.authorization_by_id(new.id).await, Ok(None));
}

pub(super) async fn an_authorization_goes_its_way_once(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let client = client(&bench, scope).await;
    let flow = flow(&bench, &client).await;
    let early = stepped(&bench, flow.id, confirms(), at(1)).await;
    assert_eq!((early.verdict, &early.authorization), (authorization::Verdict::TooEarly, &flow));
    let returned = stepped(&bench, flow.id, returns(), at(1)).await;
    assert_eq!(returned.verdict, authorization::Verdict::Taken);
    bench.reopen().await;
    assert_eq!(read(&bench, flow.id, at(1)).await, returned.authorization);
    let confirmed = stepped(&bench, flow.id, confirms(), at(2)).await;
    assert_eq!(confirmed.verdict, authorization::Verdict::Taken);
    assert_eq!(confirmed.before, returned.authorization);
    assert_eq!(confirmed.before.sealed.as_deref(), Some(&b"sealed code"[..]));

    let new = Connection {
        reason: None,
        grant: Grant {
            sealed: b"\0tokens".to_vec(),
            expires_at: Some(at(3_600)),
            is_refreshable: true,
            scopes: vec!["read".to_owned()],
            account: Some("account \0 1".to_owned()),
        },
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        ..new_connection(&bench, &client)
    };
    let done = bench.store.step_authorization(completing(&bench, flow.id, new.clone())).await;
    let done = done.unwrap();
    assert_eq!(done.verdict, authorization::Verdict::Taken);
    assert_eq!(done.authorization.connection, Some(new.id));
    assert_eq!((done.authorization.stage, &done.authorization.sealed), (Stage::Completed, &None));
    assert_eq!(done.connection.as_ref(), Some(&new));
    assert_eq!(done.told.len(), 1);
    assert_eq!(*done.told[0].1, [endpoint.id.key()]);
    bench.reopen().await;
    assert_eq!(read(&bench, flow.id, at(9)).await, done.authorization);
    // Not every store can keep a NUL in a text.
    let account = Some("account \u{fffd} 1".to_owned());
    let expect = Connection { grant: Grant { account, ..new.grant.clone() }, ..new.clone() };
    assert_eq!(kept(&bench, new.id).await, expect);
    assert_eq!(told(&bench, scope).await, [("connection.created".to_owned(), new.id.to_string())]);
    for act in [returns(), confirms(), authorization::Act::Cancel] {
        let late = stepped(&bench, flow.id, act, at(9)).await;
        assert_eq!(late.verdict, authorization::Verdict::Late(Stage::Completed));
        assert_eq!((late.authorization, late.told.len()), (done.authorization.clone(), 0));
    }
    let nobody = AuthorizationId(Id { nonce: 1, ..flow.id.0 });
    let lost = bench.store.step_authorization(step(&bench, nobody, returns(), at(1))).await;
    assert_eq!(lost, Err(WriteError::NotFound("authorization")));
}

/// RFC 6749, sections 4.1.2 and 10.5: a code is used once, whoever has it at the same time.
pub(super) async fn one_of_many_returns_and_one_confirms(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let client = client(&bench, scope).await;
    for round in 0..5 {
        let flow = flow(&bench, &client).await;
        for act in [returns(), confirms()] {
            let mut under_way = JoinSet::new();
            for _ in 0..8 {
                let step = step(&bench, flow.id, act.clone(), at(1));
                let store = Arc::clone(&bench.store);
                under_way.spawn(async move { store.step_authorization(step).await.unwrap() });
            }
            let all = under_way.join_all().await;
            let taken = all.iter().filter(|it| it.verdict == authorization::Verdict::Taken);
            assert_eq!(taken.count(), 1, "{round} {act:?}");
            let repeated = all.iter().filter(|it| it.verdict == authorization::Verdict::Repeated);
            assert_eq!(repeated.count(), 7, "{round} {act:?}");
        }
    }
}

pub(super) async fn a_step_writes_its_connection_or_nothing(bench: Bench<'_>) {
    let (scope, other) = (bench.application("one").await, bench.application("two").await);
    let (ours, theirs) = (client(&bench, scope).await, client(&bench, other).await);
    let complete = async |flow: &Authorization, with: &Connection| {
        let step = completing(&bench, flow.id, with.clone());
        bench.store.step_authorization(step).await
    };
    // What is not taken makes none.
    let pending = flow(&bench, &ours).await;
    let new = new_connection(&bench, &ours);
    let told_early = complete(&pending, &new).await.unwrap();
    assert_eq!(told_early.verdict, authorization::Verdict::TooEarly);
    assert_eq!((told_early.connection, told_early.told.len()), (None, 0));
    let connection = async |id| bench.store.connection(bench.environment, id).await;
    assert_eq!(connection(new.id).await, Err(ReadError::NotFound("connection")));

    // What cannot be made leaves the flow as it was.
    let flow = exchanging(&bench, &ours).await;
    let kept_before = connected(&bench, &theirs).await;
    let clash = Connection { id: ConnectionId(Id { nonce: 1, ..kept_before.id.0 }), ..new.clone() };
    for (with, refused) in [
        (clash, WriteError::Conflict("connection id")),
        (kept_before.clone(), WriteError::NotFound("connection")),
        (new_connection(&bench, &theirs), WriteError::NotFound("connection")),
        (
            Connection { client: theirs.id, ..new.clone() },
            WriteError::NotFound("oauth client"),
        ),
        (
            Connection { scope: Scope { application: 1, ..scope }, ..new.clone() },
            WriteError::NotFound("application"),
        ),
    ] {
        assert_eq!(complete(&flow, &with).await, Err(refused));
        assert_eq!(read(&bench, flow.id, at(4)).await, flow);
    }
    assert_eq!(kept(&bench, kept_before.id).await, kept_before, "another's is left alone");
    assert_eq!(complete(&flow, &new).await.unwrap().connection.as_ref(), Some(&new));
    assert_eq!(connection(new.id).await, Ok(new));
    assert_eq!(types(&bench, scope).await, ["connection.created"]);
}

pub(super) async fn an_authorization_renews_a_connection(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let client = client(&bench, scope).await;
    let connection = connected(&bench, &client).await;
    let broken = connection::Act::Broken { version: 1, reason: "invalid_grant".to_owned() };
    acted(&bench, connection.id, broken, at(1)).await;
    let again = async || {
        let flow = Authorization { connection: Some(connection.id), ..new_flow(&bench, &client) };
        bench.store.create_authorization(flow.clone(), None).await.unwrap();
        stepped(&bench, flow.id, returns(), at(1)).await;
        stepped(&bench, flow.id, confirms(), at(2)).await.authorization
    };
    let (flow, late) = (again().await, again().await);
    let with = Connection { grant: grant("second"), ..connection.clone() };
    let done = bench.store.step_authorization(completing(&bench, flow.id, with.clone())).await;
    let renewed = done.unwrap().connection.unwrap();
    assert_eq!((renewed.state, renewed.version), (State::Active, 2));
    assert_eq!((&*renewed.grant.sealed, renewed.refreshed_at), (&b"second"[..], at(3)));
    assert_eq!(kept(&bench, connection.id).await, renewed);
    // One that was deleted meanwhile does not come back.
    bench.store.delete_connection(bench.environment, connection.id).await.unwrap();
    let refused = bench.store.step_authorization(completing(&bench, late.id, with)).await;
    assert_eq!(refused, Err(WriteError::NotFound("connection")));
    assert_eq!(read(&bench, late.id, at(4)).await, late);
    let expect =
        ["connection.created", "connection.reauthorization_required", "connection.created"];
    assert_eq!(types(&bench, scope).await, expect);
}

pub(super) async fn authorizations_are_settled(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let client = client(&bench, scope).await;
    let pending = flow(&bench, &client).await;
    let returned = flow(&bench, &client).await;
    stepped(&bench, returned.id, returns(), at(1)).await;
    let exchanging = exchanging(&bench, &client).await;
    let canceled = flow(&bench, &client).await;
    stepped(&bench, canceled.id, authorization::Act::Cancel, at(5)).await;

    let stages = async |now| {
        let mut stages = Vec::new();
        for flow in [pending.id, returned.id, exchanging.id, canceled.id] {
            stages.push(read(&bench, flow, now).await.stage);
        }
        stages
    };
    let open = [Stage::Pending, Stage::Returned, Stage::Exchanging, Stage::Canceled];
    assert_eq!(stages(at(31)).await, open);
    let over = [Stage::Pending, Stage::Expired, Stage::Failed, Stage::Canceled];
    assert_eq!(stages(at(60)).await, over, "whether or not somebody has written it down");
    let by_id = async |id| bench.store.authorization_by_id(id).await.unwrap();
    let sealed = async |id| by_id(id).await.unwrap().sealed;
    assert!(sealed(returned.id).await.is_some() && sealed(exchanging.id).await.is_some());
    assert_eq!(bench.store.settle_authorizations(at(60), at(5)).await, Ok(false));
    assert!(sealed(returned.id).await.is_none() && sealed(exchanging.id).await.is_none());
    let written = by_id(exchanging.id).await.unwrap();
    assert_eq!(written, read(&bench, exchanging.id, at(60)).await);
    assert_eq!(written.reason.as_deref(), Some(authorization::INTERRUPTED));
    assert_eq!(stages(at(60)).await, over);
    assert_eq!(by_id(pending.id).await, Some(pending.clone()));

    // What ended before is forgotten.
    assert_eq!(bench.store.settle_authorizations(at(60), at(33)).await, Ok(false));
    for (id, is_there) in
        [(canceled.id, false), (exchanging.id, false), (returned.id, true), (pending.id, true)]
    {
        assert_eq!(by_id(id).await.is_some(), is_there);
    }
    // However many there are, they go step by step.
    for _ in 0..300 {
        flow(&bench, &client).await;
    }
    let mut steps = 0;
    while bench.store.settle_authorizations(at(700), at(700)).await.unwrap() {
        steps += 1;
    }
    assert!(steps > 0, "not all at once");
    assert_eq!(bench.store.settle_authorizations(at(700), at(700)).await, Ok(false));
    assert_eq!(by_id(pending.id).await, None);
}

pub(super) async fn authorizations_are_filtered(bench: Bench<'_>) {
    let (scope, other) = (bench.application("one").await, bench.application("two").await);
    let clients =
        [client(&bench, scope).await, client(&bench, scope).await, client(&bench, other).await];
    let mut ids = Vec::new();
    for (index, of) in [0, 0, 1, 2].into_iter().enumerate() {
        let user_ref = if index % 2 == 0 { "even" } else { "odd" }.to_owned();
        let new = Authorization { user_ref, ..new_flow(&bench, &clients[of]) };
        bench.store.create_authorization(new.clone(), None).await.unwrap();
        ids.push(new.id);
    }
    stepped(&bench, ids[1], returns(), at(1)).await;
    stepped(&bench, ids[2], authorization::Act::Cancel, at(1)).await;
    let all = AuthorizationQuery {
        page: everything(Order::Ascending),
        application: None,
        client: None,
        user_ref: None,
        stages: Vec::new(),
        now: at(2),
    };
    let check = async |query: AuthorizationQuery, expect: &[usize]| {
        let found = bench.store.authorizations(bench.environment, query.clone()).await.unwrap();
        let found: Vec<_> = found.items.iter().map(|flow| flow.id).collect();
        let expect: Vec<_> = expect.iter().map(|index| ids[*index]).collect();
        assert_eq!(found, expect, "{query:?}");
    };
    check(all.clone(), &[0, 1, 2, 3]).await;
    let of = |scope: Scope| AuthorizationQuery {
        application: Some(scope.application),
        ..all.clone()
    };
    let as_client = |index: usize| Some(clients[index].id.key());
    let user_ref = |user_ref: &str| Some(user_ref.to_owned());
    check(of(scope), &[0, 1, 2]).await;
    check(AuthorizationQuery { client: as_client(0), ..all.clone() }, &[0, 1]).await;
    check(AuthorizationQuery { client: as_client(0), ..of(other) }, &[]).await;
    check(AuthorizationQuery { user_ref: user_ref("odd"), ..all.clone() }, &[1, 3]).await;
    check(AuthorizationQuery { user_ref: user_ref("odd"), ..of(scope) }, &[1]).await;
    let both = AuthorizationQuery { user_ref: user_ref("even"), client: as_client(1), ..of(scope) };
    check(both, &[2]).await;
    check(AuthorizationQuery { user_ref: user_ref("nobody \0"), ..all.clone() }, &[]).await;
    let stages =
        |stages: &[Stage]| AuthorizationQuery { stages: stages.to_vec(), ..all.clone() };
    check(stages(&[Stage::Pending]), &[0, 3]).await;
    check(stages(&[Stage::Returned, Stage::Canceled]), &[1, 2]).await;
    check(AuthorizationQuery { now: at(60), ..stages(&[Stage::Expired]) }, &[1]).await;
    check(AuthorizationQuery { now: at(600), ..stages(&[Stage::Expired]) }, &[0, 1, 3]).await;
    check(AuthorizationQuery { now: at(60), ..stages(&[Stage::Returned]) }, &[]).await;
    let found = bench.store.authorizations(
        bench.environment,
        AuthorizationQuery { now: at(600), ..stages(&[Stage::Expired]) },
    );
    assert!(found.await.unwrap().items.iter().all(|flow| flow.stage == Stage::Expired));
    let mut page = all.clone();
    page.page = Page { limit: 2, from: Position::Before(ids[3].0), order: Order::Ascending };
    check(page, &[1, 2]).await;
    let elsewhere = bench.other_environment().await;
    let none = bench.store.authorizations(elsewhere, all).await.unwrap();
    assert!(none.items.is_empty() && none.done);
}

pub(super) async fn a_page_of_authorizations_looks_at_a_bounded_number(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let client = client(&bench, scope).await;
    let first = flow(&bench, &client).await;
    stepped(&bench, first.id, authorization::Act::Cancel, at(1)).await;
    let mut creating = JoinSet::new();
    for _ in 0..LOOK {
        let (store, flow) = (Arc::clone(&bench.store), new_flow(&bench, &client));
        creating.spawn(async move { store.create_authorization(flow, None).await.unwrap() });
    }
    creating.join_all().await;
    let mut query = AuthorizationQuery {
        page: Page { limit: 10, from: Position::Start, order: Order::Descending },
        application: None,
        client: None,
        user_ref: None,
        stages: vec![Stage::Canceled],
        now: at(2),
    };
    let page = bench.store.authorizations(bench.environment, query.clone()).await.unwrap();
    assert_eq!((page.items.len(), page.done), (0, false), "it is further down");
    query.page.from = page.next(&query.page.from).unwrap();
    let page = bench.store.authorizations(bench.environment, query).await.unwrap();
    assert_eq!(page.items.iter().map(|flow| flow.id).collect::<Vec<_>>(), [first.id]);
    assert!(page.done);
}

pub(super) async fn connections_are_kept(mut bench: Bench<'_>) {
    let (scope, other) = (bench.application("one").await, bench.application("two").await);
    let (ours, theirs) = (client(&bench, scope).await, client(&bench, other).await);
    let subscription = Subscription {
        id: "hook-1".to_owned(),
        source: SourceId(Id { key: 77, shard: 0, nonce: u64::MAX }),
        target: [("repository".to_owned(), "owner/name".to_owned())].into(),
        events: vec!["push".to_owned()],
        created_at: at(1),
    };
    let full = Connection {
        state: State::ReauthorizationRequired,
        reason: Some("invalid_grant".to_owned()),
        version: u32::MAX,
        grant: Grant {
            sealed: b"\0\xff".to_vec(),
            expires_at: Some(at(60)),
            is_refreshable: true,
            scopes: vec!["read".to_owned()],
            account: Some("größe".to_owned()),
        },
        lease: Some(Lease { holder: u64::MAX, until: at(30) }),
        failures: 7,
        retry_at: Some(at(9)),
        subscriptions: vec![subscription],
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        refreshed_at: at(2),
        ..new_connection(&bench, &ours)
    };
    let told_of = bench.store.create_connection(full.clone(), None, keeping(&bench)).await.unwrap();
    assert_eq!(told_of.len(), 1);
    bench.reopen().await;
    assert_eq!(kept(&bench, full.id).await, full);
    assert_eq!(told(&bench, scope).await, [("connection.created".to_owned(), full.id.to_string())]);
    let again = bench.store.create_connection(full.clone(), None, keeping(&bench)).await;
    assert_eq!(again, Err(WriteError::Conflict("connection id")));
    let new = new_connection(&bench, &ours);
    for (refused, what) in [
        (Connection { scope: Scope { application: 1, ..scope }, ..new.clone() }, "application"),
        (Connection { client: theirs.id, ..new.clone() }, "oauth client"),
    ] {
        let told = bench.store.create_connection(refused, None, keeping(&bench)).await;
        assert_eq!(told, Err(WriteError::NotFound(what)));
    }

    let elsewhere = bench.other_environment().await;
    let guessed = ConnectionId(Id { nonce: 1, ..full.id.0 });
    let missing = WriteError::NotFound("connection");
    for (environment, id) in [(elsewhere, full.id), (bench.environment, guessed)] {
        let store = &bench.store;
        let read = store.connection(environment, id).await;
        assert_eq!(read, Err(ReadError::NotFound("connection")));
        let revoke = connection::Act::Revoke { reason: "application".to_owned() };
        let step = ConnectionStep { environment, ..act(&bench, id, revoke, at(3)) };
        assert_eq!(store.step_connection(step).await, Err(missing.clone()));
        assert_eq!(store.delete_connection(environment, id).await, Err(missing.clone()));
    }
    assert_eq!(kept(&bench, full.id).await, full);
    bench.store.delete_connection(bench.environment, full.id).await.unwrap();
    let gone = bench.store.connection(bench.environment, full.id).await;
    assert_eq!(gone, Err(ReadError::NotFound("connection")));
    assert_eq!(types(&bench, scope).await.len(), 1, "who deletes it knows it");
}

pub(super) async fn one_of_many_refreshes(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let client = client(&bench, scope).await;
    let connection = connected(&bench, &client).await;
    let mut under_way = JoinSet::new();
    for holder in 1..=8 {
        let lease = connection::Act::Lease { lease: Lease { holder, until: at(30) }, version: 1 };
        let step = act(&bench, connection.id, lease, at(1));
        let store = Arc::clone(&bench.store);
        under_way.spawn(async move { (holder, store.step_connection(step).await.unwrap()) });
    }
    let all = under_way.join_all().await;
    let (taken, waiting): (Vec<_>, Vec<_>) =
        all.iter().partition(|(_, it)| it.verdict == connection::Verdict::Taken);
    assert_eq!(taken.len(), 1);
    let held = connection::Verdict::Held(at(30));
    assert!(waiting.iter().all(|(_, it)| it.verdict == held), "{waiting:?}");
    let lease = kept(&bench, connection.id).await.lease;
    assert_eq!(lease, Some(Lease { holder: taken[0].0, until: at(30) }));
}

pub(super) async fn what_is_refreshed_replaces_what_it_was_made_from(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let client = client(&bench, scope).await;
    let id = connected(&bench, &client).await.id;
    let lease = |holder, seconds, version| {
        let lease = Lease { holder, until: at(seconds) };
        connection::Act::Lease { lease, version }
    };
    acted(&bench, id, lease(1, 10, 1), at(0)).await;
    // A lease outlives the process that took it, and ends by itself.
    bench.reopen().await;
    let held = acted(&bench, id, lease(2, 20, 1), at(5)).await;
    assert_eq!(held.verdict, connection::Verdict::Held(at(10)));
    let over = acted(&bench, id, lease(2, 20, 1), at(10)).await;
    assert_eq!(over.verdict, connection::Verdict::TakenOver);
    let refreshed =
        |version, text: &str| connection::Act::Refreshed { version, grant: grant(text) };
    let late = acted(&bench, id, refreshed(1, "rotated"), at(11)).await;
    assert_eq!((late.verdict, late.told.len()), (connection::Verdict::Taken, 1));
    assert_eq!((late.connection.version, late.connection.lease), (2, None));
    bench.reopen().await;
    assert_eq!(kept(&bench, id).await, late.connection);
    for stale in [
        lease(3, 30, 1),
        refreshed(1, "older"),
        connection::Act::Broken { version: 1, reason: "invalid_grant".to_owned() },
    ] {
        let stale = acted(&bench, id, stale, at(12)).await;
        assert_eq!((stale.verdict, stale.told.len()), (connection::Verdict::Stale, 0));
        assert_eq!(kept(&bench, id).await, late.connection);
    }
    let failed = |holder| connection::Act::NotRefreshed {
        holder,
        retry_at: at(40),
        reason: "unavailable".to_owned(),
    };
    acted(&bench, id, lease(3, 30, 2), at(13)).await;
    acted(&bench, id, failed(3), at(14)).await;
    acted(&bench, id, failed(3), at(14)).await;
    assert_eq!(kept(&bench, id).await.failures, 2);
    let broken = connection::Act::Broken { version: 2, reason: "invalid_grant".to_owned() };
    acted(&bench, id, broken, at(15)).await;
    let inactive = acted(&bench, id, lease(4, 60, 2), at(16)).await;
    assert_eq!(
        inactive.verdict,
        connection::Verdict::Inactive(State::ReauthorizationRequired)
    );
    let revoke = connection::Act::Revoke { reason: "application".to_owned() };
    acted(&bench, id, revoke.clone(), at(17)).await;
    acted(&bench, id, revoke, at(18)).await;
    let revoked = kept(&bench, id).await;
    assert_eq!((revoked.state, revoked.grant.sealed.len()), (State::Revoked, 0));
    let expect = ["created", "refreshed", "refresh_failed", "reauthorization_required", "revoked"];
    assert_eq!(types(&bench, scope).await, expect.map(|it| format!("connection.{it}")));
}

pub(super) async fn connections_are_filtered(bench: Bench<'_>) {
    let (scope, other) = (bench.application("one").await, bench.application("two").await);
    let away = Client { provider: "away".to_owned(), ..new_client(&bench, scope).await };
    bench.store.create_oauth_client(away.clone(), None).await.unwrap();
    let clients = [client(&bench, scope).await, away, client(&bench, other).await];
    let mut ids = Vec::new();
    for (index, of) in [0, 0, 1, 2].into_iter().enumerate() {
        let user_ref = if index % 2 == 0 { "even" } else { "odd" }.to_owned();
        let mut new = Connection { user_ref, ..new_connection(&bench, &clients[of]) };
        new.grant.account = (index == 1).then(|| "account-1".to_owned());
        if index >= 2 {
            new.metadata = [("plan\0".to_owned(), format!("p{index}"))].into();
        }
        bench.store.create_connection(new.clone(), None, keeping(&bench)).await.unwrap();
        ids.push(new.id);
    }
    let revoke = connection::Act::Revoke { reason: "application".to_owned() };
    acted(&bench, ids[3], revoke, at(1)).await;
    let all = ConnectionQuery {
        page: everything(Order::Ascending),
        application: None,
        client: None,
        provider: None,
        user_ref: None,
        account: None,
        state: None,
        label: None,
    };
    let check = async |query: ConnectionQuery, expect: &[usize]| {
        let found = bench.store.connections(bench.environment, query.clone()).await.unwrap();
        assert!(found.done);
        let found: Vec<_> = found.items.iter().map(|connection| connection.id).collect();
        let expect: Vec<_> = expect.iter().map(|index| ids[*index]).collect();
        assert_eq!(found, expect, "{query:?}");
    };
    let word = |word: &str| Some(word.to_owned());
    let label = |value: &str| Some(("plan\0".to_owned(), value.to_owned()));
    let of =
        |scope: Scope| ConnectionQuery { application: Some(scope.application), ..all.clone() };
    check(all.clone(), &[0, 1, 2, 3]).await;
    check(of(scope), &[0, 1, 2]).await;
    check(of(other), &[3]).await;
    let client = Some(clients[0].id.key());
    check(ConnectionQuery { client, ..all.clone() }, &[0, 1]).await;
    check(ConnectionQuery { client, ..of(other) }, &[]).await;
    check(ConnectionQuery { provider: word("away"), ..all.clone() }, &[2]).await;
    check(ConnectionQuery { user_ref: word("odd"), ..all.clone() }, &[1, 3]).await;
    check(ConnectionQuery { user_ref: word("odd"), client, ..of(scope) }, &[1]).await;
    check(ConnectionQuery { account: word("account-1"), ..all.clone() }, &[1]).await;
    check(ConnectionQuery { state: Some(State::Active), ..all.clone() }, &[0, 1, 2]).await;
    check(ConnectionQuery { state: Some(State::Revoked), ..of(scope) }, &[]).await;
    check(ConnectionQuery { label: label("p2"), ..all.clone() }, &[2]).await;
    check(ConnectionQuery { label: label("p9"), ..all.clone() }, &[]).await;
    let elsewhere = bench.other_environment().await;
    let none = bench.store.connections(elsewhere, all).await.unwrap();
    assert!(none.items.is_empty());
}

pub(super) async fn connections_end_with_their_application(bench: Bench<'_>) {
    let (scope, other) = (bench.application("one").await, bench.application("two").await);
    let (ours, theirs) = (client(&bench, scope).await, client(&bench, other).await);
    let gone = (exchanging(&bench, &ours).await, connected(&bench, &ours).await);
    let left = (exchanging(&bench, &theirs).await, connected(&bench, &theirs).await);
    bench.store.delete_application(bench.environment, uid("one"), at(5)).await.unwrap();
    let store = &bench.store;
    assert_eq!(store.oauth_client_by_id(ours.id).await, Ok(None));
    assert_eq!(store.authorization_by_id(gone.0.id).await, Ok(None));
    let connection = store.connection(bench.environment, gone.1.id).await;
    assert_eq!(connection, Err(ReadError::NotFound("connection")));
    // Whoever was under way has come too late.
    let new = new_connection(&bench, &ours);
    let refused = store.step_authorization(completing(&bench, gone.0.id, new.clone())).await;
    assert_eq!(refused, Err(WriteError::NotFound("application")));
    let refused = store.create_connection(new, None, keeping(&bench)).await;
    assert_eq!(refused, Err(WriteError::NotFound("application")));
    let refused = store.create_authorization(new_flow(&bench, &ours), None).await;
    assert_eq!(refused, Err(WriteError::NotFound("application")));
    assert_eq!(store.oauth_client(bench.environment, theirs.id).await, Ok(theirs));
    assert_eq!(read(&bench, left.0.id, at(6)).await, left.0);
    assert_eq!(kept(&bench, left.1.id).await, left.1);
}

/// Many flows and connections with what happens to them in an order of its own, and the store closed
/// and opened in between: the store does what the rules say.
pub(super) async fn whatever_happens_follows_the_rules(mut bench: Bench<'_>) {
    const EACH: usize = 20;
    const ROUNDS: u64 = 6;
    let scope = bench.application("one").await;
    let client = client(&bench, scope).await;
    // Deterministic, so that what fails fails again.
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let (mut flows, mut connections) = (HashMap::new(), HashMap::new());
    for _ in 0..EACH {
        let flow = Authorization { deadline: at(1 + random(20)), ..new_flow(&bench, &client) };
        bench.store.create_authorization(flow.clone(), None).await.unwrap();
        flows.insert(flow.id, flow);
        let connection = connected(&bench, &client).await;
        connections.insert(connection.id, connection);
    }
    let mut expect_told = EACH;
    for round in 0..ROUNDS {
        let now = at(3 * round);
        for id in flows.keys().copied().collect::<Vec<_>>() {
            let act = match random(8) {
                0 | 1 => authorization::Act::Return {
                    sealed: vec![random(256) as u8],
                    deadline: now + Duration::from_secs(random(9)),
                },
                2 | 3 => authorization::Act::Confirm {
                    user_ref: if random(4) == 0 { "user-2" } else { "user-1" }.to_owned(),
                    within: Duration::from_secs(random(9)),
                },
                4 => authorization::Act::Complete { connection: None },
                5 => authorization::Act::Fail { reason: "invalid_grant".to_owned() },
                6 => authorization::Act::Refuse { reason: "access_denied".to_owned() },
                _ => authorization::Act::Tick,
            };
            let told = stepped(&bench, id, act.clone(), now).await;
            let (after, verdict) = flows[&id].clone().act(&act, now);
            assert_eq!((&told.authorization, told.verdict), (&after, verdict), "{act:?}");
            flows.insert(id, after);
        }
        for id in connections.keys().copied().collect::<Vec<_>>() {
            let version = connections[&id].version - u32::from(random(4) == 0);
            let what = match random(7) {
                0 | 1 => connection::Act::Lease {
                    lease: Lease {
                        holder: random(3),
                        until: now + Duration::from_secs(random(9)),
                    },
                    version,
                },
                2 | 3 => connection::Act::Refreshed { version, grant: grant("refreshed") },
                4 => connection::Act::Broken { version, reason: "invalid_grant".to_owned() },
                5 => connection::Act::Grant(grant("granted")),
                _ => connection::Act::NotRefreshed {
                    holder: random(3),
                    retry_at: now + Duration::from_secs(random(9)),
                    reason: "unavailable".to_owned(),
                },
            };
            let told = acted(&bench, id, what.clone(), now).await;
            let (after, verdict, change) = connections[&id].clone().act(what.clone(), now);
            assert_eq!((&told.connection, told.verdict), (&after, verdict), "{what:?}");
            assert_eq!(told.told.len(), usize::from(change.is_some()));
            expect_told += told.told.len();
            connections.insert(id, after);
        }
        bench.reopen().await;
    }
    let end = at(1_000);
    bench.store.settle_authorizations(end, NOW).await.unwrap();
    for (id, flow) in flows {
        let stored = bench.store.authorization_by_id(id).await.unwrap();
        assert_eq!(stored, Some(flow.at(end)));
    }
    for (id, connection) in connections {
        assert_eq!(kept(&bench, id).await, connection);
    }
    assert_eq!(types(&bench, scope).await.len(), expect_told);
}
