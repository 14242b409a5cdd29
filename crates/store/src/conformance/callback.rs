//! Callbacks: each ends once, everybody is told the same about it, and it does not matter who came
//! first.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use ringback_domain::{
    callback::{
        Act, Answer, By, Callback, Course, Fate, Heartbeat, Kind, Mode, Price, Request, State, Turn,
        Verdict, state,
    },
    id::{ApplicationId, CallbackId, Id, MessageId, SourceId},
    scope::Scope,
    time::Timestamp,
};
use tokio::task::JoinSet;

use super::bench::{Bench, EXPIRY, NOW, all_messages, at, everything, uid};
use crate::*;

/// A callback of an application, as it is asked for.
pub(super) async fn new(bench: &Bench<'_>, scope: Scope) -> NewCallback {
    let number = bench.number();
    let random = (u128::from(number * 7919) << 64) | u128::from(number);
    let application = application(bench, scope).await;
    let callback = Callback {
        id: mint(NOW, random.to_be_bytes(), CallbackId),
        scope,
        application,
        kind: Kind::Result,
        course: Course {
            state: State::Pending,
            expires_at: at(3_600),
            heartbeat: None,
            mode: Mode::Single,
            answered: None,
        },
        turn: Turn { version: 1, turn: 0 },
        terms: r#"{"methods":["POST"]}"#.to_owned(),
        sealed: None,
        source: None,
        reference: None,
        expects: Price::default(),
        tags: Vec::new(),
        metadata: [].into(),
        created_at: NOW,
        settled_at: None,
        settled_by: None,
        requests: 0,
    };
    NewCallback { callback, claim: None, errand: None, keeping: keeping(number) }
}

async fn application(bench: &Bench<'_>, scope: Scope) -> ApplicationId {
    let page = everything(Order::Ascending);
    let all = bench.store.applications(bench.environment, page).await.unwrap().items;
    all.iter().map(|it| it.id).find(|id| id.key() == scope.application).unwrap()
}

fn keeping(nonce: u64) -> Keeping {
    Keeping { nonce: nonce.wrapping_mul(0x9e37_79b9_7f4a_7c15), expires_at: EXPIRY }
}

/// A callback that is pending.
async fn pending(bench: &Bench<'_>, scope: Scope) -> Callback {
    bench.store.create_callback(new(bench, scope).await).await.unwrap().callback
}

fn answer(body: &str) -> Answer {
    // Two bodies that differ here differ in their hash; more is not asked of it.
    let mut hash = [0; 32];
    hash[..body.len()].copy_from_slice(body.as_bytes());
    Answer { failed: false, body: hash }
}

/// What is done to a callback, with the body that comes with it.
fn step(bench: &Bench<'_>, callback: CallbackId, act: state::Act, now: Timestamp) -> CallbackStep {
    let body = match act {
        state::Act::Answer(answer) => answer.body.to_vec(),
        _ => Vec::new(),
    };
    let request = Act::of(act).map(|act| NewCallbackRequest {
        act,
        by: By::Url,
        refused: None,
        method: "POST".to_owned(),
        target: "?a=\0b".to_owned(),
        address: Some("192.0.2.1".to_owned()),
        content_type: Some("text/plain".to_owned()),
        headers: vec![("x-a".to_owned(), "ä".to_owned())],
        body: Bytes::from(body),
        message: None,
    });
    CallbackStep {
        callback,
        act: Some(act),
        request,
        price: None,
        keeping: keeping(bench.number()),
        now,
    }
}

async fn stepped(bench: &Bench<'_>, step: CallbackStep) -> CallbackStepped {
    bench.store.step_callbacks(vec![step]).await.unwrap().remove(0).unwrap()
}

/// What the application was told, the first first: types, and the callbacks they are about.
async fn told(bench: &Bench<'_>, scope: Scope) -> Vec<(String, String)> {
    let mut query = MessageQuery { with_content: true, ..all_messages() };
    query.page = everything(Order::Ascending);
    query.page.limit = 100_000;
    let listed = bench.store.messages(scope, query).await.unwrap();
    let one = |message: &ringback_domain::message::Message| {
        let payload: serde_json::Value =
            serde_json::from_slice(message.payload.as_ref().unwrap()).unwrap();
        assert_eq!(payload["type"], *message.event_type);
        (message.event_type.clone(), payload["data"]["id"].as_str().unwrap().to_owned())
    };
    listed.items.iter().map(one).collect()
}

async fn types(bench: &Bench<'_>, scope: Scope) -> Vec<String> {
    told(bench, scope).await.into_iter().map(|(event_type, _)| event_type).collect()
}

async fn requests(bench: &Bench<'_>, callback: CallbackId) -> Vec<Request> {
    let page = everything(Order::Ascending);
    bench.store.callback_requests(callback, page, true).await.unwrap().items
}

async fn read(bench: &Bench<'_>, callback: CallbackId, now: Timestamp) -> Callback {
    bench.store.callback(bench.environment, callback, now).await.unwrap()
}

pub(super) async fn callbacks_are_kept(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let mut new = new(&bench, scope).await;
    new.callback = Callback {
        kind: Kind::Redirect,
        course: Course {
            heartbeat: Some(Heartbeat { within: Duration::from_secs(60), seen_at: NOW }),
            mode: Mode::Stream { taken: 0, most: 9 },
            ..new.callback.course
        },
        turn: Turn { version: 255, turn: u32::MAX },
        sealed: Some(b"sealed".to_vec()),
        source: Some(SourceId(Id { key: 77, shard: 0, nonce: u64::MAX })),
        reference: Some("große \"Order\" 17".to_owned()),
        expects: Price { amount: Some("12.50".to_owned()), currency: Some("EUR".to_owned()) },
        tags: vec!["a".to_owned(), "ü".to_owned()],
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        ..new.callback
    };
    let id = new.callback.id;
    let errand = Errand { callback: id, due_at: at(5), attempts: 3, work: b"\0\xff".to_vec() };
    new.errand = Some(errand.clone());
    let created = bench.store.create_callback(new.clone()).await.unwrap();
    assert_eq!(created.callback, new.callback);
    assert_eq!((created.repeated, created.told.len()), (false, 1));
    bench.reopen().await;
    assert_eq!(bench.store.due_errands(at(5), 10).await, Ok(vec![errand]));
    assert_eq!(read(&bench, id, NOW).await, new.callback);
    assert_eq!(bench.store.callback_by_id(id).await, Ok(Some(new.callback.clone())));
    let guessed = CallbackId(Id { nonce: id.0.nonce + 1, ..id.0 });
    assert_eq!(bench.store.callback_by_id(guessed).await, Ok(None));
    let missing = ReadError::NotFound("callback");
    let elsewhere = bench.other_environment().await;
    let read = bench.store.callback(elsewhere, id, NOW).await;
    assert_eq!(read, Err(missing), "another environment has nothing to do with it");
    let nobody = Scope { application: 1, ..scope };
    let lost = NewCallback { callback: Callback { scope: nobody, ..new.callback }, ..new };
    let refused = bench.store.create_callback(lost).await;
    assert_eq!(refused, Err(WriteError::NotFound("application")));

    let turn = Turn { version: 3, turn: 4 };
    let turned = bench.store.turn_callback(bench.environment, id, turn).await.unwrap();
    assert_eq!(turned.turn, turn);
    let refused = bench.store.turn_callback(elsewhere, id, turn).await;
    assert_eq!(refused, Err(WriteError::NotFound("callback")));
    assert_eq!(bench.store.callback_by_id(id).await.unwrap().unwrap().turn, turn);
}

pub(super) async fn a_callback_is_made_once(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let claim = CallbackClaim { key: [1; 32], body: [2; 32] };
    let mut making = JoinSet::new();
    for _ in 0..8 {
        let (store, mut new) = (Arc::clone(&bench.store), new(&bench, scope).await);
        new.claim = Some(claim);
        making.spawn(async move { store.create_callback(new).await.unwrap() });
    }
    let made = making.join_all().await;
    assert_eq!(made.iter().filter(|made| !made.repeated).count(), 1);
    assert!(made.iter().all(|one| one.callback.id == made[0].callback.id));
    assert_eq!(types(&bench, scope).await, ["callback.created"]);
    let mut other = new(&bench, scope).await;
    other.claim = Some(CallbackClaim { body: [3; 32], ..claim });
    let refused = bench.store.create_callback(other.clone()).await;
    assert_eq!(refused, Err(WriteError::Conflict("idempotency key")));
    // Another application's claims are its own.
    let elsewhere = bench.application("two").await;
    let mut other = new(&bench, elsewhere).await;
    other.claim = Some(claim);
    assert!(!bench.store.create_callback(other).await.unwrap().repeated);
}

pub(super) async fn one_of_many_answers_wins(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    for round in 0..5 {
        let callback = pending(&bench, scope).await;
        let mut answering = JoinSet::new();
        for number in 0..8 {
            let act = state::Act::Answer(answer(&number.to_string()));
            let step = step(&bench, callback.id, act, at(1));
            let store = Arc::clone(&bench.store);
            answering.spawn(async move {
                store.step_callbacks(vec![step]).await.unwrap().remove(0).unwrap()
            });
        }
        let stepped = answering.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) =
            stepped.iter().partition(|stepped| stepped.verdict == Verdict::Settled);
        assert_eq!(won.len(), 1, "{round}");
        assert!(lost.iter().all(|stepped| stepped.verdict == Verdict::Conflict));
        // The store, the message and whoever was told agree.
        let kept = read(&bench, callback.id, at(2)).await;
        assert_eq!((kept.course.state, kept.settled_by), (State::Completed, won[0].request));
        assert_eq!(kept.requests, 8);
        let requests = requests(&bench, callback.id).await;
        let winner = requests.iter().find(|request| request.fate == Fate::Settled).unwrap();
        assert_eq!(Some(winner.id), won[0].request);
        let body: [u8; 32] = winner.body.clone().unwrap().try_into().unwrap();
        assert_eq!(kept.course.answered, Some(Answer { failed: false, body }));
        let told = told(&bench, scope).await;
        let about = |event_type: &str| {
            let id = callback.id.to_string();
            told.iter().filter(|told| told.0 == event_type && told.1 == id).count()
        };
        let counts = ["callback.created", "callback.completed", "callback.conflict"].map(about);
        assert_eq!(counts, [1, 1, 7]);
    }
}

pub(super) async fn every_request_is_listed(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let callback = pending(&bench, scope).await;
    let mut refused = step(&bench, callback.id, state::Act::Tick, at(1));
    refused.act = None;
    let arrived = step(&bench, callback.id, state::Act::Answer(answer("x")), at(1)).request;
    refused.request = arrived.map(|request| NewCallbackRequest {
        refused: Some("unauthorized".to_owned()),
        ..request
    });
    let told = stepped(&bench, refused).await;
    assert_eq!((told.verdict, told.ended, told.told.len()), (Verdict::Nothing, None, 0));
    for (act, verdict, messages) in [
        (state::Act::Heartbeat, Verdict::Noted, 0),
        (state::Act::Progress, Verdict::Noted, 1),
        (state::Act::Return, Verdict::Noted, 1),
        (state::Act::Answer(answer("a")), Verdict::Settled, 1),
        (state::Act::Answer(answer("a")), Verdict::Duplicate, 0),
        (state::Act::Answer(answer("b")), Verdict::Conflict, 1),
        (state::Act::Cancel, Verdict::Late(State::Completed), 0),
    ] {
        let told = stepped(&bench, step(&bench, callback.id, act, at(2))).await;
        assert_eq!((told.verdict, told.told.len()), (verdict, messages), "{act:?}");
        assert!(told.told.iter().all(|(_, lanes)| **lanes == [endpoint.id.key()]), "{act:?}");
    }
    let listed = requests(&bench, callback.id).await;
    let fates: Vec<_> = listed.iter().map(|request| (request.act, request.fate)).collect();
    let expect = [
        (Act::Complete, Fate::Refused),
        (Act::Heartbeat, Fate::Noted),
        (Act::Progress, Fate::Noted),
        (Act::Return, Fate::Noted),
        (Act::Complete, Fate::Settled),
        (Act::Complete, Fate::Duplicate),
        (Act::Complete, Fate::Conflict),
        (Act::Cancel, Fate::Late),
    ];
    assert_eq!(fates, expect);
    assert_eq!(listed[0].reason.as_deref(), Some("unauthorized"));
    let settled = &listed[4];
    assert_eq!(settled.target, "?a=\u{fffd}b", "not every store can keep a NUL");
    assert_eq!((settled.bytes, settled.received_at), (32, at(2)));
    assert_eq!(settled.headers, [("x-a".to_owned(), "ä".to_owned())]);
    assert_eq!((settled.method.as_str(), settled.address.as_deref()), ("POST", Some("192.0.2.1")));
    let one = bench.store.callback_request(callback.id, settled.id).await;
    assert_eq!(one.as_ref(), Ok(settled));
    let other = pending(&bench, scope).await;
    let missing = Err(ReadError::NotFound("callback request"));
    assert_eq!(bench.store.callback_request(other.id, settled.id).await, missing);
    let page = Page { limit: 3, from: Position::After(listed[1].id.0), order: Order::Ascending };
    let page = bench.store.callback_requests(callback.id, page, false).await.unwrap();
    assert_eq!((page.items.len(), page.done, &page.items[0].body), (3, false, &None));
    let nobody = CallbackId(Id { key: 5, shard: 0, nonce: 5 });
    let lost = step(&bench, nobody, state::Act::Cancel, at(3));
    let lost = bench.store.step_callbacks(vec![lost]).await.unwrap();
    assert_eq!(lost, [Err(WriteError::NotFound("callback"))]);
}

pub(super) async fn what_floods_a_callback_is_counted(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let mut new = new(&bench, scope).await;
    new.callback.course.mode = Mode::Stream { taken: 0, most: 3 };
    let callback = bench.store.create_callback(new).await.unwrap().callback;
    let beats = CALLBACK_REQUESTS_KEPT + 5;
    let many = (0..beats).map(|_| step(&bench, callback.id, state::Act::Progress, at(1)));
    bench.store.step_callbacks(many.collect()).await.unwrap();
    let item = |body: &str| step(&bench, callback.id, state::Act::Answer(answer(body)), at(2));
    // What was answered is kept all the same.
    let items = vec![item("1"), item("2"), item("3"), item("4")];
    let told = bench.store.step_callbacks(items).await.unwrap();
    let verdicts: Vec<_> = told.iter().map(|told| told.as_ref().unwrap().verdict).collect();
    let expect = [Verdict::Item(1), Verdict::Item(2), Verdict::Settled, Verdict::Conflict];
    assert_eq!(verdicts, expect);
    assert_eq!(read(&bench, callback.id, at(3)).await.requests, beats + 4);
    let mut page = everything(Order::Ascending);
    page.limit = 5_000;
    let kept = bench.store.callback_requests(callback.id, page, false).await.unwrap().items;
    assert_eq!(kept.len() as u32, CALLBACK_REQUESTS_KEPT + 3);
    let items: Vec<_> = kept.iter().filter_map(|request| request.item).collect();
    assert_eq!(items, [1, 2]);
    assert_eq!(types(&bench, scope).await.len() as u32, 1 + CALLBACK_REQUESTS_KEPT + 3);
}

pub(super) async fn deadlines_pass_by_themselves(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let (first, second) = (pending(&bench, scope).await, pending(&bench, scope).await);
    let mut new = new(&bench, scope).await;
    let within = Duration::from_secs(10);
    new.callback.course.heartbeat = Some(Heartbeat { within, seen_at: NOW });
    let beating = bench.store.create_callback(new).await.unwrap().callback;
    let due = async |now| bench.store.due_callbacks(now, 10).await.unwrap();
    let next = async || bench.store.next_due_callback().await.unwrap();
    assert_eq!((due(at(9)).await, next().await), (vec![], Some(at(10))));
    assert_eq!(due(at(10)).await, [beating.id]);
    // It is over although nobody has written it down, and is so for whoever comes.
    assert_eq!(read(&bench, beating.id, at(9)).await.course.state, State::Pending);
    let over = read(&bench, beating.id, at(11)).await;
    assert_eq!((over.course.state, over.settled_at), (State::Expired, Some(at(10))));
    stepped(&bench, step(&bench, beating.id, state::Act::Heartbeat, at(9))).await;
    assert_eq!((due(at(18)).await, next().await), (vec![], Some(at(19))));
    let extended = state::Act::Extend(at(7_200));
    stepped(&bench, step(&bench, second.id, extended, at(9))).await;

    let late = step(&bench, first.id, state::Act::Answer(answer("late")), at(3_600));
    let told = stepped(&bench, late).await;
    assert_eq!(told.verdict, Verdict::Late(State::Expired));
    assert_eq!((told.ended, told.told.len()), (Some(State::Expired), 2));
    assert_eq!(read(&bench, first.id, at(3_600)).await.settled_by, None);
    let ticks = due(at(8_000)).await;
    assert_eq!(ticks, [beating.id, second.id]);
    let tick = |id: &CallbackId| step(&bench, *id, state::Act::Tick, at(8_000));
    let told = bench.store.step_callbacks(ticks.iter().map(tick).collect()).await.unwrap();
    assert!(told.iter().all(|told| told.as_ref().unwrap().ended == Some(State::Expired)));
    assert_eq!((due(at(9_000)).await, next().await), (vec![], None));
    assert_eq!(read(&bench, second.id, at(9_000)).await.settled_at, Some(at(7_200)));
    let expired = types(&bench, scope).await.iter().filter(|it| **it == "callback.expired").count();
    assert_eq!(expired, 3, "each is told once");
}

pub(super) async fn callbacks_are_filtered(bench: Bench<'_>) {
    let (scope, other) = (bench.application("one").await, bench.application("two").await);
    let mut ids = Vec::new();
    for (index, scope) in [scope, scope, other, scope].into_iter().enumerate() {
        let mut new = new(&bench, scope).await;
        new.callback.id = CallbackId(Id { key: new.callback.id.key() + index as i64, ..new.callback.id.0 });
        new.callback.course.expires_at = at(10 * (index as u64 + 1));
        new.callback.tags = vec![if index % 2 == 0 { "even" } else { "odd" }.to_owned()];
        new.callback.reference = (index == 3).then(|| "order".to_owned());
        new.callback.kind = if index == 1 { Kind::Redirect } else { Kind::Result };
        ids.push(bench.store.create_callback(new).await.unwrap().callback.id);
    }
    stepped(&bench, step(&bench, ids[3], state::Act::Answer(answer("a")), at(1))).await;
    let all = CallbackQuery {
        page: everything(Order::Ascending),
        application: None,
        states: Vec::new(),
        kind: None,
        tag: None,
        reference: None,
        before: None,
        after: None,
        now: at(15),
    };
    let check = async |query: CallbackQuery, expect: &[usize]| {
        let found = bench.store.callbacks(bench.environment, query.clone()).await.unwrap();
        let mut found: Vec<_> = found.items.iter().map(|callback| callback.id).collect();
        let mut expect: Vec<_> = expect.iter().map(|index| ids[*index]).collect();
        found.sort_unstable();
        expect.sort_unstable();
        assert_eq!(found, expect, "{query:?}");
    };
    check(all.clone(), &[0, 1, 2, 3]).await;
    check(CallbackQuery { application: Some(scope.application), ..all.clone() }, &[0, 1, 3]).await;
    let states = |states: &[State]| CallbackQuery { states: states.to_vec(), ..all.clone() };
    check(states(&[State::Pending]), &[1, 2]).await;
    check(states(&[State::Expired]), &[0]).await;
    check(states(&[State::Expired, State::Completed]), &[0, 3]).await;
    check(CallbackQuery { now: at(25), ..states(&[State::Pending]) }, &[2]).await;
    check(CallbackQuery { tag: Some("odd".to_owned()), ..all.clone() }, &[1, 3]).await;
    check(CallbackQuery { reference: Some("order".to_owned()), ..all.clone() }, &[3]).await;
    check(CallbackQuery { reference: Some("none".to_owned()), ..all.clone() }, &[]).await;
    check(CallbackQuery { kind: Some(Kind::Redirect), ..all.clone() }, &[1]).await;
    check(CallbackQuery { before: Some(NOW), ..all.clone() }, &[]).await;
    let elsewhere = bench.other_environment().await;
    let none = bench.store.callbacks(elsewhere, all).await.unwrap();
    assert!(none.items.is_empty());
}

/// A message that says something about a reference.
fn correlation(bench: &Bench<'_>, source: SourceId, reference: &str, body: &str) -> Correlation {
    let number = bench.number();
    Correlation {
        environment: bench.environment,
        source: source.key(),
        reference: reference.to_owned(),
        answer: answer(body),
        price: Price::default(),
        message: MessageId(Id { key: number as i64, shard: 0, nonce: number }),
        content_type: None,
        body: Bytes::copy_from_slice(body.as_bytes()),
        forget_at: at(3_600),
        keeping: keeping(number),
        now: at(1),
    }
}

/// A callback that waits for a message of a source.
async fn waiting(bench: &Bench<'_>, scope: Scope, source: SourceId, reference: &str) -> NewCallback {
    let mut new = new(bench, scope).await;
    new.callback.source = Some(source);
    new.callback.reference = Some(reference.to_owned());
    new
}

const SOURCE: SourceId = SourceId(Id { key: 77, shard: 0, nonce: 7 });

pub(super) async fn a_message_answers_whichever_comes_first(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    // The callback, then the message.
    let new = waiting(&bench, scope, SOURCE, "first").await;
    let callback = bench.store.create_callback(new).await.unwrap().callback;
    let said = correlation(&bench, SOURCE, "first", "paid");
    let other = correlation(&bench, SourceId(Id { key: 78, ..SOURCE.0 }), "first", "paid");
    assert_eq!(bench.store.correlate(other).await, Ok(None), "another source's is another one");
    let told = bench.store.correlate(said.clone()).await.unwrap().unwrap();
    assert_eq!((told.verdict, told.callback.id), (Verdict::Settled, callback.id));
    let again = bench.store.correlate(said.clone()).await.unwrap().unwrap();
    assert_eq!((again.verdict, again.told.len()), (Verdict::Duplicate, 0));
    let settled = &requests(&bench, callback.id).await[0];
    assert_eq!((settled.by, settled.message), (By::Source, Some(said.message)));
    assert_eq!(settled.body.as_deref(), Some(&b"paid"[..]));

    // The message, then the callback.
    let early = correlation(&bench, SOURCE, "second", "early");
    assert_eq!(bench.store.correlate(early.clone()).await, Ok(None));
    assert_eq!(bench.store.correlate(early.clone()).await, Ok(None), "the same again");
    let later = correlation(&bench, SOURCE, "second", "later");
    assert_eq!(bench.store.correlate(later).await, Ok(None), "the first is what counts");
    bench.reopen().await;
    let mut new = waiting(&bench, scope, SOURCE, "second").await;
    new.callback.created_at = at(2);
    let created = bench.store.create_callback(new).await.unwrap();
    assert_eq!(created.callback.course.state, State::Completed);
    assert_eq!(created.told.len(), 2, "that it was made, and its end");
    let settled = &requests(&bench, created.callback.id).await[0];
    assert_eq!((settled.message, settled.body.as_deref()), (Some(early.message), Some(&b"early"[..])));
    let again = bench.store.correlate(early).await.unwrap().unwrap();
    assert_eq!(again.verdict, Verdict::Duplicate);

    // What is remembered is remembered for as long as was said.
    let forgotten = correlation(&bench, SOURCE, "third", "old");
    assert_eq!(bench.store.correlate(forgotten).await, Ok(None));
    let mut new = waiting(&bench, scope, SOURCE, "third").await;
    new.callback.created_at = at(3_600);
    new.callback.course.expires_at = at(9_000);
    let created = bench.store.create_callback(new).await.unwrap();
    assert_eq!(created.callback.course.state, State::Pending);

    // A reference is one callback's among those of its source.
    let taken = waiting(&bench, scope, SOURCE, "third").await;
    let refused = bench.store.create_callback(taken).await;
    assert_eq!(refused, Err(WriteError::Conflict("callback reference")));
    let mut elsewhere = waiting(&bench, scope, SOURCE, "third").await;
    elsewhere.callback.source = None;
    assert!(bench.store.create_callback(elsewhere).await.is_ok());
}

pub(super) async fn a_message_about_another_price_answers_nothing(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let price = |amount: &str| Price { amount: Some(amount.to_owned()), currency: None };
    for (round, first) in [true, false].into_iter().enumerate() {
        let reference = format!("order {round}");
        let mut new = waiting(&bench, scope, SOURCE, &reference).await;
        new.callback.expects = price("12.50");
        let id = new.callback.id;
        let less = Correlation {
            price: price("12.49"),
            ..correlation(&bench, SOURCE, &reference, "less")
        };
        if first {
            assert_eq!(bench.store.correlate(less.clone()).await, Ok(None));
        }
        bench.store.create_callback(new).await.unwrap();
        if !first {
            let told = bench.store.correlate(less).await.unwrap().unwrap();
            assert_eq!((told.verdict, told.ended), (Verdict::Nothing, None));
        }
        assert_eq!(read(&bench, id, at(2)).await.course.state, State::Pending);
        let said = Correlation {
            price: price("12.5"),
            ..correlation(&bench, SOURCE, &reference, "paid")
        };
        let told = bench.store.correlate(said).await.unwrap().unwrap();
        assert_eq!(told.verdict, Verdict::Settled);
        let requests = requests(&bench, id).await;
        let told: Vec<_> =
            requests.iter().map(|it| (it.fate, it.reason.as_deref())).collect();
        assert_eq!(told, [(Fate::Refused, Some("amount")), (Fate::Settled, None)]);
    }
}

pub(super) async fn a_message_and_a_callback_that_meet_find_each_other(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    for round in 0..40 {
        let reference = format!("order {round}");
        let new = waiting(&bench, scope, SOURCE, &reference).await;
        let said = correlation(&bench, SOURCE, &reference, "paid");
        let id = new.callback.id;
        let (created, correlated) =
            tokio::join!(bench.store.create_callback(new), bench.store.correlate(said));
        let (created, correlated) = (created.unwrap(), correlated.unwrap());
        assert_eq!(read(&bench, id, at(2)).await.course.state, State::Completed, "{round}");
        // Exactly one of them saw the other.
        let met = !created.callback.course.state.is_open();
        assert_ne!(met, correlated.is_some(), "{round}");
    }
}

pub(super) async fn callbacks_are_forgotten(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let open = pending(&bench, scope).await;
    let mut ended = Vec::new();
    for number in 0..3 {
        let new = waiting(&bench, scope, SOURCE, &number.to_string()).await;
        let callback = bench.store.create_callback(new).await.unwrap().callback;
        let act = state::Act::Answer(answer("a"));
        stepped(&bench, step(&bench, callback.id, act, at(10 * (number + 1)))).await;
        ended.push(callback.id);
    }
    let unmet = correlation(&bench, SOURCE, "nobody's", "said");
    assert_eq!(bench.store.correlate(unmet.clone()).await, Ok(None));
    assert_eq!(bench.store.forget_callbacks(at(30), at(30)).await, Ok(false));
    for (id, kept) in [(ended[0], false), (ended[1], false), (ended[2], true), (open.id, true)] {
        let found = bench.store.callback_by_id(id).await.unwrap();
        assert_eq!(found.is_some(), kept);
        assert_eq!(requests(&bench, id).await.len(), usize::from(kept && id != open.id));
    }
    // What is forgotten holds no reference.
    assert!(bench.store.create_callback(waiting(&bench, scope, SOURCE, "0").await).await.is_ok());
    let refused = bench.store.create_callback(waiting(&bench, scope, SOURCE, "2").await).await;
    assert_eq!(refused, Err(WriteError::Conflict("callback reference")));
    assert_eq!(bench.store.forget_callbacks(at(30), unmet.forget_at).await, Ok(false));
    let mut met = waiting(&bench, scope, SOURCE, "nobody's").await;
    met.callback.course.expires_at = at(9_000);
    let created = bench.store.create_callback(met).await.unwrap().callback;
    assert_eq!(created.course.state, State::Pending);
}

pub(super) async fn callbacks_end_with_their_application(bench: Bench<'_>) {
    let (scope, other) = (bench.application("one").await, bench.application("two").await);
    let (mine, theirs) = (pending(&bench, scope).await, pending(&bench, other).await);
    bench.store.delete_application(bench.environment, uid("one"), at(5)).await.unwrap();
    let ended = read(&bench, mine.id, at(6)).await;
    assert_eq!((ended.course.state, ended.settled_at), (State::Canceled, Some(at(5))));
    let late = step(&bench, mine.id, state::Act::Answer(answer("a")), at(7));
    assert_eq!(stepped(&bench, late).await.verdict, Verdict::Late(State::Canceled));
    assert_eq!(read(&bench, theirs.id, at(6)).await.course.state, State::Pending);
    let refused = bench.store.create_callback(NewCallback {
        callback: Callback { id: CallbackId(Id { key: mine.id.key() + 9, ..mine.id.0 }), ..mine },
        claim: None,
        errand: None,
        keeping: keeping(1),
    });
    assert_eq!(refused.await, Err(WriteError::NotFound("application")));
}

pub(super) async fn an_errand_is_done_until_it_is_ended(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let new = new(&bench, scope).await;
    let id = new.callback.id;
    let errand = Errand { callback: id, due_at: at(5), attempts: 0, work: b"call".to_vec() };
    let new = NewCallback { errand: Some(errand.clone()), ..new };
    bench.store.create_callback(new.clone()).await.unwrap();
    bench.reopen().await;
    let due = async |now| bench.store.due_errands(now, 10).await.unwrap();
    assert_eq!(bench.store.next_errand(at(4)).await, Ok(Some(at(5))));
    assert_eq!(bench.store.next_errand(at(5)).await, Ok(None));
    assert_eq!((due(at(4)).await, due(at(5)).await), (vec![], vec![errand.clone()]));
    let next = Errand { due_at: at(9), attempts: 1, work: b"poll".to_vec(), ..errand.clone() };
    bench.store.follow_errand(errand.clone(), Some(next.clone())).await.unwrap();
    assert_eq!(due(at(9)).await, std::slice::from_ref(&next));
    // Another one was put down while it was done: what follows it is not wanted any more.
    let newer = Errand { work: b"ask".to_vec(), ..next.clone() };
    bench.store.put_errand(newer.clone()).await.unwrap();
    bench.store.follow_errand(next.clone(), Some(errand.clone())).await.unwrap();
    bench.store.follow_errand(next, None).await.unwrap();
    assert_eq!(due(at(9)).await, std::slice::from_ref(&newer));
    let next = newer;
    let other = Errand { callback: pending(&bench, scope).await.id, due_at: at(7), ..next.clone() };
    bench.store.put_errand(other.clone()).await.unwrap();
    assert_eq!(due(at(9)).await, [other.clone(), next.clone()]);
    bench.store.follow_errand(other, None).await.unwrap();
    assert_eq!(due(at(9)).await, [next]);
    // What is forgotten has nothing to be done.
    stepped(&bench, step(&bench, id, state::Act::Cancel, at(6))).await;
    assert_eq!(bench.store.forget_callbacks(at(7), at(7)).await, Ok(false));
    assert_eq!((due(at(9)).await, bench.store.next_errand(NOW).await), (vec![], Ok(None)));
}

/// Thousands of callbacks at once, each with what happens to it in an order of its own, and the store
/// closed and opened in between: the store does what the rules say, and tells each end once.
pub(super) async fn whatever_happens_a_callback_ends_once(mut bench: Bench<'_>) {
    const CALLBACKS: usize = 500;
    const ROUNDS: u64 = 12;
    let scope = bench.application("one").await;
    // Deterministic, so that what fails fails again.
    let mut seed = 0x2545_f491_4f6c_dd1du64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let mut model: HashMap<CallbackId, Course> = HashMap::new();
    let mut ids = Vec::new();
    for number in 0..CALLBACKS {
        let mut new = new(&bench, scope).await;
        new.callback.course.expires_at = at(1 + random(20));
        if number % 3 == 0 {
            let within = Duration::from_secs(1 + random(6));
            new.callback.course.heartbeat = Some(Heartbeat { within, seen_at: NOW });
        }
        if number % 4 == 0 {
            let most = 1 + random(3) as u32;
            new.callback.course.mode = Mode::Stream { taken: 0, most };
        }
        model.insert(new.callback.id, new.callback.course.clone());
        ids.push(new.callback.id);
        bench.store.create_callback(new).await.unwrap();
    }
    let mut ends: HashMap<CallbackId, State> = HashMap::new();
    for round in 0..ROUNDS {
        let now = at(2 * round);
        // Some twice in the same batch.
        let steps: Vec<CallbackStep> = (0..CALLBACKS + 100)
            .map(|_| {
                let id = ids[random(CALLBACKS as u64) as usize];
                let act = match random(9) {
                    0 | 1 => state::Act::Answer(answer(&random(2).to_string())),
                    2 => state::Act::Answer(Answer { failed: true, ..answer("no") }),
                    3 => state::Act::Close,
                    4 => state::Act::Return,
                    5 => state::Act::Heartbeat,
                    6 => state::Act::Cancel,
                    7 => state::Act::Extend(at(random(40))),
                    _ => state::Act::Tick,
                };
                step(&bench, id, act, now)
            })
            .collect();
        let told = bench.store.step_callbacks(steps.clone()).await.unwrap();
        for (step, told) in steps.iter().zip(told) {
            let told = told.unwrap();
            let expect = model[&step.callback].act(step.act.unwrap(), now);
            assert_eq!((told.verdict, told.ended), (expect.verdict, expect.ended), "{step:?}");
            assert_eq!(told.callback.course, expect.after);
            if let Some(ended) = told.ended {
                assert_eq!(ends.insert(step.callback, ended), None, "it ended before");
            }
            model.insert(step.callback, expect.after);
        }
        bench.reopen().await;
    }
    for id in &ids {
        let kept = bench.store.callback_by_id(*id).await.unwrap().unwrap();
        assert_eq!(kept.course, model[id]);
    }
    let mut told_ends = HashMap::new();
    for (event_type, id) in told(&bench, scope).await {
        let ended = State::ALL.into_iter().find(|state| {
            !state.is_open() && event_type == format!("callback.{}", state.name())
        });
        if let Some(ended) = ended {
            assert_eq!(told_ends.insert(id.parse().unwrap(), ended), None, "{id} was told twice");
        }
    }
    assert_eq!(told_ends, ends, "what was told is what happened");
    assert!(ends.len() > CALLBACKS / 2, "nearly all of them have ended");
}
