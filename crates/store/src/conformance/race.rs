//! Races: of those who ask for the same at the same moment, exactly one gets it, and the others are
//! told so as if they had come later.

use std::{collections::BTreeMap, fmt::Debug, future::Future, sync::Arc};

use bytes::Bytes;
use ringback_domain::{
    application::OPERATIONAL_UID, id::Key, message::Origin, scope::Scope, source::Fate,
};
use tokio::task::JoinSet;

use super::{
    bench::{Bench, EXPIRY, NOW, at, reference, uid},
    contract, ordering,
    request::{release, all, arrived, refused, requests},
    source::{named, scope_of},
};
use crate::*;

/// How many ask at the same time.
const TWINS: u64 = 8;

/// What they are all told.
async fn race<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    bench: &Bench<'_>,
    each: impl Fn(Arc<dyn Store>) -> F,
) -> Vec<T> {
    let mut under_way = JoinSet::new();
    for _ in 0..TWINS {
        under_way.spawn(each(Arc::clone(&bench.store)));
    }
    under_way.join_all().await
}

/// Checks that one has won and all others were told `lost`; returns what the winner got.
fn winner<T: Debug, E: Debug + PartialEq>(told: Vec<Result<T, E>>, lost: &E) -> T {
    let (won, rest): (Vec<_>, Vec<_>) = told.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), rest.len() as u64), (1, TWINS - 1), "{won:?} {rest:?}");
    assert!(rest.iter().all(|told| told.as_ref().is_err_and(|error| error == lost)), "{rest:?}");
    won.into_iter().next().unwrap().unwrap()
}

pub(super) async fn one_of_many_gets_a_name(bench: Bench<'_>) {
    for round in 0..5 {
        let uid = format!("application {round}");
        let told = race(&bench, |store| {
            let new = bench.new_application(&uid);
            async move { store.create_application(new).await }
        });
        winner(told.await, &WriteError::Conflict("application uid"));

        let scope = bench.application(&format!("with endpoints {round}")).await;
        let told = race(&bench, |store| {
            let mut new = bench.new_endpoint(scope);
            new.endpoint.uid = Some("mine".to_owned());
            async move { store.create_endpoint(new).await }
        });
        winner(told.await, &WriteError::Conflict("endpoint uid"));

        let name = format!("type.{round}");
        let told = race(&bench, |store| {
            let new = bench.new_event_type(&name);
            async move { store.create_event_type(new).await }
        });
        winner(told.await, &WriteError::Conflict("event type"));

        let uid = format!("source {round}");
        let told = race(&bench, |store| {
            let new = bench.new_source(&uid);
            async move { store.create_source(new).await }
        });
        winner(told.await, &WriteError::Conflict("source uid"));
    }
}

/// A handshake that brings a secret may be repeated while it is answered.
pub(super) async fn one_of_many_changes_settings(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let mut expected = None;
    for round in 0..5 {
        let told = race(&bench, |store| {
            let sealed = Some(vec![round, bench.number() as u8]);
            let settings = Some(SettingsChange { expected: expected.clone(), sealed });
            let change = SourceChange { settings, ..SourceChange::default() };
            let (environment, source) = (bench.environment, named(&source));
            async move { store.change_source(environment, source, change, NOW).await }
        });
        let changed = winner(told.await, &WriteError::Conflict("settings"));
        expected = bench.store.source(bench.environment, named(&source)).await.unwrap().settings;
        assert_eq!(changed.settings, expected);
    }
}

/// Of the same event that arrives many times at the same moment, one is a message.
pub(super) async fn one_of_many_arrivals_is_a_message(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let endpoint = bench.endpoint(scope_of(&bench, &source)).await;
    for round in 0..5 {
        let claim = Some(bench.claim(&format!("delivery {round}"), "body"));
        let told = race(&bench, |store| {
            let append = Append { claim, ..arrived(&bench, &source) };
            async move { store.append(vec![append]).await.remove(0).unwrap() }
        });
        is_one(told.await);
    }
    assert_eq!(bench.due_all(&endpoint, at(1)).await.len(), 5);
    let mut listed = requests(&bench, &source, all()).await;
    assert_eq!(listed.len() as u64, 5 * TWINS, "each of them is written down");
    listed.retain(|request| request.fate == Fate::Accepted);
    assert_eq!(listed.len(), 5);
}

/// Of those who release the same request, one makes it a message.
pub(super) async fn one_of_many_releases_a_request(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let endpoint = bench.endpoint(scope_of(&bench, &source)).await;
    for _ in 0..5 {
        bench.store.log_request(refused(&bench, &source, Fate::Quarantined)).await.unwrap();
    }
    for kept in requests(&bench, &source, all()).await {
        let told = race(&bench, |store| {
            let release = release(&kept, vec![arrived(&bench, &source)]);
            async move { store.release(release).await.unwrap() }
        });
        let mut told = told.await;
        told.sort_by_key(|released| matches!(released, Released::Before(_)));
        let Released::Now(appended) = &told[0] else { panic!("{told:?}") };
        let id = appended[0].id;
        assert!(told[1..].iter().all(|other| *other == Released::Before(id)), "{told:?}");
    }
    assert_eq!(bench.due_all(&endpoint, at(1)).await.len(), 5);
    let listed = requests(&bench, &source, all()).await;
    assert_eq!(listed.len(), 5);
    assert!(listed.iter().all(|request| request.fate == Fate::Accepted));
}

/// Checks that one has appended, and all others were told of it.
fn is_one(told: Vec<Appended>) {
    assert_eq!(told.iter().filter(|told| !told.repeated).count(), 1, "{told:?}");
    assert!(told.iter().all(|other| other.id == told[0].id), "{told:?}");
}

pub(super) async fn one_of_many_appends_with_an_event_id(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    for round in 0..5 {
        let told = race(&bench, |store| {
            let event_id = Some(format!("event {round}"));
            let append = bench.to(scope, NewMessage { event_id, ..bench.message() });
            async move { store.append(vec![append]).await.remove(0) }
        });
        let told = told.await;
        let first = told.iter().find_map(|told| told.as_ref().ok()).unwrap().id;
        winner(told, &AppendError::EventIdTaken { existing: first });
    }
    assert_eq!(bench.due_all(&endpoint, at(1)).await.len(), 5, "the others wrote nothing");
}

pub(super) async fn one_of_many_makes_a_claim(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    for round in 0..5 {
        let claim = bench.claim(&format!("key {round}"), "body");
        let told = race(&bench, |store| {
            let append = Append { claim: Some(claim), ..bench.to(scope, bench.message()) };
            async move { store.append(vec![append]).await.remove(0).unwrap() }
        });
        is_one(told.await);
    }
    assert_eq!(bench.due_all(&endpoint, at(1)).await.len(), 5, "the others wrote nothing");

    for round in 0..5 {
        let claim = bench.claim(&format!("answer {round}"), "body");
        let answer = Answer { claim, status: 201, body: b"answer".to_vec() };
        let told = race(&bench, |store| {
            let mut new = bench.new_application("unused");
            (new.application.uid, new.answer) = (None, Some(answer.clone()));
            async move { store.create_application(new).await }
        });
        let created = winner(told.await, &WriteError::Repeated(Repeated));
        let kept = bench.store.claimed(claim, NOW).await.unwrap().unwrap();
        assert_eq!((kept.same_body, kept.status), (true, 201));
        let id = ringback_domain::scope::Reference::Id(created.id.0);
        assert!(bench.store.application(bench.environment, id).await.is_ok());
    }
    let page = super::bench::everything(Order::Ascending);
    let all = bench.store.applications(bench.environment, page).await.unwrap().items;
    assert_eq!(all.len(), 6, "who came later has created nothing");

    let message = bench.send(scope, bench.message()).await.id;
    let claim = bench.claim("resend", "body");
    let answer = Answer { claim, status: 202, body: Vec::new() };
    let told = race(&bench, |store| {
        let mut resend = bench.resend(scope, message, &endpoint);
        resend.answer = Some(answer.clone());
        async move { store.resend(resend).await }
    });
    let told: Vec<_> = told.await;
    winner(told, &ResendError::Repeated(Repeated));
    let endpoint = reference(&endpoint);
    assert!(bench.store.endpoint(scope, endpoint).await.is_ok());
}

pub(super) async fn one_of_many_changes_a_contract(bench: Bench<'_>) {
    bench.store.create_event_type(bench.new_event_type("user.created")).await.unwrap();
    for round in 1..6 {
        let read = contract::change(&bench, "user.created").await;
        let told = race(&bench, |store| {
            let mut change = read.clone();
            change.versions.push(contract::version(i64::from(round), round));
            async move { store.change_contract(change).await.map(drop) }
        });
        winner(told.await, &WriteError::Conflict("event type"));
        let found = contract::change(&bench, "user.created").await;
        assert!(found.expected > read.expected);
    }
}

/// Many append to two orders of two endpoints while others settle what is due: nothing is left behind,
/// and nothing is due before what came before it.
pub(super) async fn an_order_is_kept_by_many(bench: Bench<'_>) {
    let (scope, endpoint) = ordering::ordered(&bench).await;
    let mut second = bench.new_endpoint(scope);
    second.endpoint.delivery = Some(ordering::BLOCK.to_owned());
    let second = bench.store.create_endpoint(second).await.unwrap();
    let mut settled: BTreeMap<(Key, Bytes), Vec<i64>> = BTreeMap::new();
    let mut settle = |one: &Due| {
        let order = (one.endpoint, one.content.payload.clone());
        settled.entry(order).or_default().push(one.sequence.unwrap());
    };
    for _ in 0..10 {
        let mut under_way = JoinSet::new();
        for twin in 0..TWINS {
            let key = ["k", "j"][twin as usize % 2];
            let (ordering_key, payload) = (Some(key.to_owned()), Bytes::from_static(key.as_bytes()));
            let append =
                bench.to(scope, NewMessage { ordering_key, payload, ..bench.message() });
            let store = Arc::clone(&bench.store);
            under_way.spawn(async move { drop(store.append(vec![append]).await.remove(0).unwrap()) });
        }
        for endpoint in [&endpoint, &second] {
            let due = bench.due_all(endpoint, NOW).await;
            assert!(due.len() <= 2, "one of each order");
            for one in due {
                settle(&one);
                let record = bench.attempt(&one, 200);
                let store = Arc::clone(&bench.store);
                under_way.spawn(async move { assert!(store.record(vec![record]).await.unwrap()[0].applied) });
            }
        }
        under_way.join_all().await;
    }
    // What is left comes out one by one.
    for endpoint in [&endpoint, &second] {
        loop {
            let due = bench.due_all(endpoint, NOW).await;
            assert!(due.len() <= 2, "one of each order");
            if due.is_empty() {
                break;
            }
            for one in due {
                settle(&one);
                assert!(bench.record(bench.attempt(&one, 200)).await.applied);
            }
        }
    }
    assert_eq!(settled.len(), 4);
    for sequences in settled.values() {
        assert_eq!(sequences.len(), 5 * TWINS as usize, "nothing was left behind");
        assert!(sequences.is_sorted_by(|one, next| one < next), "{sequences:?}");
    }
    assert_eq!(bench.store.backlog().await.unwrap().pending, 0);
}

/// Deliveries of an order end and are canceled, and messages come into several orders, at the same
/// moment: nobody waits in a circle, or else whoever was sent away comes again.
pub(super) async fn nobody_waits_for_an_order_in_a_circle(bench: Bench<'_>) {
    let hidden = bench.store.application(bench.environment, uid(OPERATIONAL_UID)).await.unwrap();
    let operational = Scope { environment: bench.environment, application: hidden.id.key() };
    let mut watcher = bench.new_endpoint(operational);
    watcher.endpoint.delivery = Some(ordering::BLOCK.to_owned());
    let watcher = bench.store.create_endpoint(watcher).await.unwrap();
    let told = |nonce| NewMessage { nonce, origin: Origin::Operational, ..bench.message() };
    for round in 0..5 {
        let (scope, endpoint) = ordering::ordered_in(&bench, &format!("round {round}")).await;
        let keyed = |number: u64| {
            let ordering_key = Some(number.to_string());
            bench.to(scope, NewMessage { ordering_key, ..bench.message() })
        };
        for appended in bench.store.append((0..TWINS).map(keyed).collect()).await {
            appended.unwrap();
        }
        let due = bench.due_all(&endpoint, NOW).await;
        assert_eq!(due.len() as u64, TWINS);
        let mut under_way = JoinSet::new();
        let store = || Arc::clone(&bench.store);
        for (number, one) in due.iter().enumerate() {
            // Each holds both orders: one by what ended, the other by what is told of it.
            let notice = Notice {
                event_type: "message.attempt.exhausted",
                nonce: bench.number(),
                payload: Bytes::from_static(b"{}"),
                at: NOW,
                expires_at: EXPIRY,
            };
            let failing_since = (number % 2 == 0).then_some(NOW);
            let health = Some(HealthChange { failing_since, disable: None });
            let record = Record { notices: vec![notice], health, ..bench.attempt(one, 500) };
            let recording = store();
            under_way.spawn(async move { drop(recording.record(vec![record]).await.unwrap()) });
            let operational = Append {
                environment: bench.environment,
                application: uid(OPERATIONAL_UID),
                message: told(bench.number()),
                claim: None,
            };
            let batch = vec![keyed(number as u64), operational];
            let appending = store();
            under_way.spawn(async move {
                for appended in appending.append(batch).await {
                    // The endpoint's application is there as long as the test is.
                    appended.unwrap();
                }
            });
        }
        let (deleting, gone) = (store(), reference(&endpoint));
        under_way.spawn(async move {
            for wanted in [ordering::SKIP, ordering::BLOCK, ordering::SKIP] {
                let delivery = Some(Some(wanted.to_owned()));
                let change = EndpointChange { delivery, ..EndpointChange::default() };
                deleting.change_endpoint(scope, gone.clone(), change, NOW).await.unwrap();
            }
            deleting.delete_endpoint(scope, gone, NOW).await.unwrap();
            while deleting.sweep(NOW).await.unwrap() {}
        });
        under_way.join_all().await;
        bench.sweep(NOW).await;
        assert!(bench.due_all(&endpoint, NOW).await.is_empty(), "all of it is canceled");
    }
    let mut settled = 0;
    while let Some(one) = bench.due_all(&watcher, NOW).await.pop() {
        settled += 1;
        assert!(bench.record(bench.attempt(&one, 200)).await.applied);
    }
    assert!(settled >= 5 * TWINS, "{settled}: what was told comes out one by one");
}
