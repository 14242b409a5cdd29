//! What is sealed can be sealed anew: every value is found, wherever it is, and a change that comes in
//! between is the one that stays.

use std::collections::BTreeMap;

use ringback_domain::{
    callback::Callback,
    id::Key,
    oauth::{Authorization, Client, Connection, authorization},
    source::{Fate, Source},
};

use super::{
    bench::{Bench, NOW, at, reference},
    callback, oauth,
    request::{all, refused, requests},
    source::named,
};
use crate::*;

/// Everything of a kind, in pages of one.
async fn walk(bench: &Bench<'_>, kind: SealedKind, bytes: usize) -> Vec<SealedValue> {
    let (mut all, mut after) = (Vec::new(), SealedPlace::START);
    loop {
        let walk = SealedWalk { kind, after, limit: 1, bytes };
        let page = bench.store.sealed_values(walk).await.unwrap();
        let Some(last) = page.last() else { return all };
        assert!(last.place > after && page.len() == 1);
        after = last.place;
        all.extend(page);
    }
}

async fn reseal(bench: &Bench<'_>, kind: SealedKind, value: &SealedValue, after: &[u8]) -> usize {
    let after = after.to_vec();
    let value = Resealed { place: value.place, before: value.value.clone(), after };
    bench.store.reseal(kind, vec![value]).await.unwrap()
}

async fn headers_of_its_request(bench: &Bench<'_>, source: &Source) -> Vec<(String, String)> {
    let id = requests(bench, source, all()).await[0].id;
    bench.store.request(bench.environment, named(source), id).await.unwrap().headers
}

/// Makes one of each kind; whose each is, and what it holds.
async fn one_of_each(bench: &Bench<'_>) -> BTreeMap<usize, (Key, Vec<u8>)> {
    let scope = bench.application("one").await;
    let canary = b"sealed canary".to_vec();
    bench.store.keep_first("sealing-key".to_owned(), canary.clone()).await.unwrap();
    bench.store.keep_first("another".to_owned(), b"not sealed".to_vec()).await.unwrap();

    let mut endpoint = bench.new_endpoint(scope);
    endpoint.headers = Some(b"sealed headers".to_vec());
    endpoint.credentials = Some(b"sealed credentials".to_vec());
    endpoint.access = Some(b"sealed access".to_vec());
    let endpoint = bench.store.create_endpoint(endpoint).await.unwrap();
    let code = Some(b"sealed code".to_vec());
    bench.store.set_transformation(scope, reference(&endpoint), None, code, NOW).await.unwrap();
    let endpoint = endpoint.id.key();

    let mut source = bench.new_source("one");
    source.source.settings = Some(b"sealed settings".to_vec());
    let source = bench.store.create_source(source).await.unwrap();
    bench.store.log_request(refused(bench, &source, Fate::Quarantined)).await.unwrap();
    let headers = serde_json::to_vec(&headers_of_its_request(bench, &source).await).unwrap();
    bench.put_stream(&source, 7).await.unwrap();
    let source = source.id.key();

    let new = callback::new(bench, scope).await;
    let called = new.callback.id;
    let errand = Errand { callback: called, due_at: at(9), attempts: 0, work: b"sealed work".into() };
    let sealed = Some(b"sealed secrets".to_vec());
    let callback = Callback { sealed, ..new.callback };
    let new = NewCallback { callback, errand: Some(errand), ..new };
    bench.store.create_callback(new).await.unwrap();

    let client = oauth::new_client(bench, scope).await;
    let client = Client { sealed: Some(b"sealed client".to_vec()), ..client };
    bench.store.create_oauth_client(client.clone(), None).await.unwrap();
    let flow = oauth::flow(bench, &client).await;
    oauth::stepped(bench, flow.id, oauth::returns(), at(1)).await;
    let connection = oauth::connected(bench, &client).await;

    let expect = |kind: SealedKind| match kind {
        SealedKind::Canary => (0, canary.clone()),
        SealedKind::EndpointSecret => (endpoint, b"sealed secret 1".to_vec()),
        SealedKind::EndpointHeaders => (endpoint, b"sealed headers".to_vec()),
        SealedKind::EndpointCredentials => (endpoint, b"sealed credentials".to_vec()),
        SealedKind::EndpointTransformation => (endpoint, b"sealed code".to_vec()),
        SealedKind::EndpointAccess => (endpoint, b"sealed access".to_vec()),
        SealedKind::SourceSettings => (source, b"sealed settings".to_vec()),
        SealedKind::SourceToken => (source, b"sealed token".to_vec()),
        SealedKind::SourceStream => (source, b"sealed stream 7".to_vec()),
        SealedKind::RequestHeaders => (source, headers.clone()),
        SealedKind::CallbackSecrets => (called.key(), b"sealed secrets".to_vec()),
        SealedKind::CallbackErrand => (called.key(), b"sealed work".to_vec()),
        SealedKind::OauthClient => (client.id.key(), b"sealed client".to_vec()),
        SealedKind::OauthAuthorization => (flow.id.key(), b"sealed code".to_vec()),
        SealedKind::OauthConnection => (connection.id.key(), b"first".to_vec()),
    };
    SealedKind::ALL.into_iter().map(expect).enumerate().collect()
}

pub(super) async fn whatever_is_sealed_is_found_and_sealed_anew(mut bench: Bench<'_>) {
    let expect = one_of_each(&bench).await;
    bench.reopen().await;
    for (index, kind) in SealedKind::ALL.into_iter().enumerate() {
        let found = walk(&bench, kind, usize::MAX).await;
        let [value] = found.as_slice() else { panic!("{kind:?}: {found:?}") };
        let environment = if kind == SealedKind::Canary { 0 } else { bench.environment };
        assert_eq!(value.environment, environment, "{kind:?}");
        assert_eq!((value.owner, &value.value), (expect[&index].0, &expect[&index].1), "{kind:?}");
        if kind != SealedKind::RequestHeaders {
            assert_eq!(walk(&bench, kind, 3).await[0].value, value.value[..3], "{kind:?}");
        }
        // What is not what it was is left alone.
        let stale = SealedValue { value: b"before".to_vec(), ..value.clone() };
        assert_eq!(reseal(&bench, kind, &stale, b"lost").await, 0, "{kind:?}");
        assert_eq!(walk(&bench, kind, usize::MAX).await, found, "{kind:?}");
        let anew = br#"[["x-anew","1"]]"#;
        assert_eq!(reseal(&bench, kind, value, anew).await, 1, "{kind:?}");
        let after = walk(&bench, kind, usize::MAX).await;
        let replaced = SealedValue { value: anew.to_vec(), ..value.clone() };
        assert_eq!(after, [replaced], "{kind:?}");
    }
    bench.reopen().await;
    let kept = bench.store.keep_first("another".to_owned(), b"x".to_vec()).await.unwrap();
    assert_eq!(kept, b"not sealed", "it is none of them");
}

/// Whoever reads a value, changes it, and finds it sealed anew meanwhile, comes too late as with any
/// other change; what is read afterwards is what was sealed.
pub(super) async fn what_is_sealed_anew_is_read(bench: Bench<'_>) {
    one_of_each(&bench).await;
    for kind in SealedKind::ALL {
        let value = walk(&bench, kind, usize::MAX).await.remove(0);
        let anew = br#"[["x-anew","1"]]"#;
        assert_eq!(reseal(&bench, kind, &value, anew).await, 1);
    }
    let (environment, anew) = (bench.environment, br#"[["x-anew","1"]]"#.to_vec());
    let page = super::bench::everything(Order::Ascending);
    let applications = bench.store.applications(environment, page.clone()).await.unwrap().items;
    let application = applications.iter().find(|it| it.uid.as_deref() == Some("one")).unwrap();
    let application = application.id.key();
    let scope = ringback_domain::scope::Scope { environment, application };
    let endpoint = bench.store.endpoints(scope, Targets::All, page.clone()).await.unwrap();
    let endpoint = &endpoint.items[0];
    let lane = bench.store.lane(endpoint.id.key()).await.unwrap().unwrap();
    assert_eq!(lane.secrets.secrets[0].sealed, anew);
    assert_eq!(lane.secrets.headers.as_ref(), Some(&anew));
    assert_eq!(lane.secrets.credentials.as_ref(), Some(&anew));
    let secrets = bench.store.endpoint_secrets(scope, reference(endpoint)).await.unwrap();
    assert_eq!(secrets.headers.as_ref(), Some(&anew));
    let source = &bench.store.sources(environment, page.clone()).await.unwrap().items[0];
    assert_eq!((source.settings.as_ref(), &source.token), (Some(&anew), &anew));
    let stream = bench.store.stream(environment, named(source)).await.unwrap().unwrap();
    assert_eq!(stream.sealed, anew);
    let headers = headers_of_its_request(&bench, source).await;
    assert_eq!(headers, [("x-anew".to_owned(), "1".to_owned())]);
    let expected = Some(b"sealed settings".to_vec());
    let settings = Some(SettingsChange { expected, sealed: None });
    let change = SourceChange { settings, ..SourceChange::default() };
    let late = bench.store.change_source(environment, named(source), change, NOW).await;
    assert_eq!(late, Err(WriteError::Conflict("settings")));
    let errands = bench.store.due_errands(at(9), 10).await.unwrap();
    assert_eq!(errands[0].work, anew);
    let callback = bench.store.callback_by_id(errands[0].callback).await.unwrap().unwrap();
    assert_eq!(callback.sealed.as_ref(), Some(&anew));
    let query = ConnectionQuery {
        page: page.clone(),
        application: None,
        client: None,
        provider: None,
        user_ref: None,
        account: None,
        state: None,
        label: None,
    };
    let connections: Vec<Connection> =
        bench.store.connections(environment, query).await.unwrap().items;
    assert_eq!(connections[0].grant.sealed, anew);
    let query = AuthorizationQuery {
        page,
        application: None,
        client: None,
        user_ref: None,
        stages: vec![authorization::Stage::Returned],
        now: at(2),
    };
    let flows: Vec<Authorization> =
        bench.store.authorizations(environment, query).await.unwrap().items;
    assert_eq!(flows[0].sealed.as_ref(), Some(&anew));
}

pub(super) async fn answers_that_are_kept_sealed_are_counted(bench: Bench<'_>) {
    for (key, body) in [("one", &b"\x01head and more"[..]), ("two", b"\x01other"), ("three", b"\0head")] {
        let mut new = bench.new_application(key);
        let claim = bench.claim(key, "body");
        new.answer = Some(Answer { claim, status: 201, body: body.to_vec() });
        bench.store.create_application(new).await.unwrap();
    }
    let count = async |head: &[u8], now| bench.store.sealed_answers(head.to_vec(), now).await;
    assert_eq!(count(b"\x01head", NOW).await, Ok(1));
    assert_eq!(count(b"\x01", NOW).await, Ok(2));
    assert_eq!(count(b"\x01none", NOW).await, Ok(0));
    assert_eq!(count(b"\x01", at(25 * 3_600)).await, Ok(0), "what ended is not given any more");
}
