//! Listeners: whoever reads on from a place sees everything once, in order, whoever writes meanwhile.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use ringback_domain::{
    id::{Id, Key, ListenerId, MessageId},
    listener::Listener,
    scope::{Reference, Scope},
    source::{Fate, Source},
};
use tokio::task::JoinSet;

use super::{
    bench::{Bench, NOW, all_messages, at, everything, uid},
    callback,
    request::{self, arrived, refused, release, requests},
    source::{hash, named, scope_of},
};
use crate::*;

const MISSING: ReadError = ReadError::NotFound("listener");
const NOT_THERE: WriteError = WriteError::NotFound("listener");

fn by_id(listener: &Listener) -> Reference {
    Reference::Id(listener.id.0)
}

fn query(scopes: &[Scope], after: Key) -> ArrivalQuery {
    ArrivalQuery {
        environment: scopes[0].environment,
        applications: scopes.iter().map(|scope| scope.application).collect(),
        after,
        limit: 100,
        bytes: 1 << 20,
    }
}

fn keys(arrivals: &Arrivals) -> Vec<Key> {
    arrivals.items.iter().map(|item| item.id.key()).collect()
}

fn of_bytes(bench: &Bench<'_>, bytes: usize) -> NewMessage {
    NewMessage { payload: Bytes::from(vec![b'x'; bytes]), ..bench.message() }
}

// ── listeners ──────────────────────────────────────────────────────────────────────────────────────

pub(super) async fn listeners_are_kept(mut bench: Bench<'_>) {
    let environment = bench.environment;
    let (made, is_new) = bench.store.put_listener(bench.new_listener("laptop")).await.unwrap();
    assert!(is_new);
    assert_eq!((&*made.name, &*made.terms), ("laptop", r#"{"sources":[]}"#));
    assert_eq!((made.created_at, made.seen_at), (NOW, NOW));
    let (other, is_new) = bench.store.put_listener(bench.new_listener("ci")).await.unwrap();
    assert!(is_new && other.id > made.id);
    bench.reopen().await;
    for name in [uid("laptop"), by_id(&made)] {
        assert_eq!(bench.store.listener(environment, name).await.as_ref(), Ok(&made));
    }
    // The place stays when the terms are changed, by either name.
    let change = |listener, seconds| PutListener {
        listener,
        terms: format!(r#"{{"after":{seconds}}}"#),
        place: Some(0),
        now: at(seconds),
        ..bench.new_listener("unused")
    };
    for (name, seconds) in [(uid("laptop"), 5), (by_id(&made), 9)] {
        let changed = bench.store.put_listener(change(name, seconds)).await.unwrap();
        let terms = format!(r#"{{"after":{seconds}}}"#);
        let expect = Listener { terms, seen_at: at(seconds), ..made.clone() };
        assert_eq!(changed, (expect.clone(), false));
        assert_eq!(bench.store.listener(environment, by_id(&made)).await, Ok(expect));
    }
    let nowhere = Id { nonce: made.id.0.nonce + 1, ..made.id.0 };
    let nowhere = bench.store.put_listener(change(Reference::Id(nowhere), 10)).await;
    assert_eq!(nowhere, Err(NOT_THERE));

    let list = |page| bench.store.listeners(environment, page);
    let page = everything(Order::Ascending);
    let ids = |listed: Listed<Listener>| -> Vec<ListenerId> {
        listed.items.iter().map(|listener| listener.id).collect()
    };
    assert_eq!(ids(list(page.clone()).await.unwrap()), [made.id, other.id]);
    let first = list(Page { limit: 1, ..page.clone() }).await.unwrap();
    assert!(!first.done);
    let next = Page { from: Position::After(ids(first)[0].0), ..page.clone() };
    assert_eq!(ids(list(next).await.unwrap()), [other.id]);

    let delete = || bench.store.delete_listener(environment, uid("laptop"), at(9));
    assert_eq!(delete().await, Ok(made.id.key()));
    assert_eq!(delete().await, Err(NOT_THERE));
    assert_eq!(bench.store.listener(environment, by_id(&made)).await, Err(MISSING));
    assert_eq!(ids(list(page).await.unwrap()), [other.id]);
    let (again, is_new) = bench.store.put_listener(bench.new_listener("laptop")).await.unwrap();
    assert!(is_new && again.id != made.id);
}

/// Without a place, everything that comes later is heard and nothing that came before.
pub(super) async fn a_listener_begins_with_what_comes(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let before = bench.send(scope, bench.message()).await.id.key();
    let (listener, _) = bench.store.put_listener(bench.new_listener("one")).await.unwrap();
    assert!(listener.place >= before);
    // Nor does the next process give out keys that lie before a place.
    bench.reopen().await;
    let after = bench.send(scope, bench.message()).await.id.key();
    let heard = bench.store.arrivals(query(&[scope], listener.place)).await.unwrap();
    assert_eq!(keys(&heard), [after]);
    // Where it begins can be said; what is to come is not passed over whatever is said.
    for (name, place, expect) in [
        ("start", 0, vec![before, after]),
        ("between", before, vec![after]),
        ("future", Key::MAX, vec![]),
    ] {
        let put = PutListener { place: Some(place), ..bench.new_listener(name) };
        let (listener, _) = bench.store.put_listener(put).await.unwrap();
        let heard = bench.store.arrivals(query(&[scope], listener.place)).await.unwrap();
        assert_eq!(keys(&heard), expect, "{name}");
        let next = bench.send(scope, bench.message()).await.id.key();
        let heard = bench.store.arrivals(query(&[scope], listener.place)).await.unwrap();
        assert_eq!(keys(&heard).last(), Some(&next), "{name}");
        bench.store.expunge(scope, vec![Reference::Id(message(&bench, scope, next).await.0)])
            .await
            .unwrap();
    }
}

/// The id of the message with this key.
async fn message(bench: &Bench<'_>, scope: Scope, key: Key) -> MessageId {
    let all = bench.store.messages(scope, all_messages()).await.unwrap().items;
    all.iter().map(|message| message.id).find(|id| id.key() == key).unwrap()
}

pub(super) async fn a_listener_goes_forward(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(bench.send(scope, bench.message()).await.id.key());
    }
    let new = |name| PutListener { place: Some(sent[0]), ..bench.new_listener(name) };
    let (one, _) = bench.store.put_listener(new("one")).await.unwrap();
    let (two, _) = bench.store.put_listener(new("two")).await.unwrap();
    let (gone, _) = bench.store.put_listener(new("gone")).await.unwrap();
    bench.store.delete_listener(bench.environment, by_id(&gone), NOW).await.unwrap();
    let read = async |listener: &Listener| {
        let listener = bench.store.listener(bench.environment, by_id(listener)).await.unwrap();
        (listener.place, listener.seen_at)
    };
    let advance = |places: &[(&Listener, Key)], seconds| {
        let places = places.iter().map(|(listener, place)| (listener.id.key(), *place)).collect();
        bench.store.advance_listeners(places, at(seconds))
    };
    advance(&[(&two, sent[1]), (&gone, sent[1]), (&one, sent[2])], 5).await.unwrap();
    assert_eq!((read(&one).await, read(&two).await), ((sent[2], at(5)), (sent[1], at(5))));
    // Never back; and whoever is there is there, wherever it is.
    advance(&[(&one, sent[1]), (&one, sent[0])], 7).await.unwrap();
    assert_eq!(read(&one).await, (sent[2], at(7)));
    // The farthest of one batch counts, and nobody gets ahead of what there is.
    advance(&[(&one, sent[3]), (&one, sent[1]), (&two, Key::MAX)], 9).await.unwrap();
    assert_eq!(read(&one).await, (sent[3], at(9)));
    let next = bench.send(scope, bench.message()).await.id.key();
    let (place, _) = read(&two).await;
    assert!(sent[3] <= place && place < next, "{place} {next}");
    advance(&[], 9).await.unwrap();
}

pub(super) async fn a_listener_may_be_moved(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let first = bench.send(scope, bench.message()).await.id.key();
    let second = bench.send(scope, bench.message()).await.id.key();
    let (made, _) = bench.store.put_listener(bench.new_listener("one")).await.unwrap();
    for (name, place) in [(uid("one"), first), (by_id(&made), second), (uid("one"), 0)] {
        let moved = bench.store.seek_listener(bench.environment, name, place, at(5)).await;
        let expect = Listener { place, seen_at: at(5), ..made.clone() };
        assert_eq!(moved.as_ref(), Ok(&expect));
        assert_eq!(bench.store.listener(bench.environment, uid("one")).await, Ok(expect));
    }
    let moved = bench.store.seek_listener(bench.environment, uid("one"), Key::MAX, at(5)).await;
    let next = bench.send(scope, bench.message()).await.id.key();
    let place = moved.unwrap().place;
    assert!(second <= place && place < next, "{place} {next}");
    let missing = bench.store.seek_listener(bench.environment, uid("two"), first, at(5)).await;
    assert_eq!(missing, Err(NOT_THERE));
}

pub(super) async fn listeners_at_which_nobody_is_are_forgotten(bench: Bench<'_>) {
    let (gone, _) = bench.store.put_listener(bench.new_listener("gone")).await.unwrap();
    let (there, _) = bench.store.put_listener(bench.new_listener("there")).await.unwrap();
    bench.store.advance_listeners(vec![(there.id.key(), 0)], at(1)).await.unwrap();
    let over = NOW + Duration::from_millis(LISTENER_KEPT as u64);
    bench.sweep(ringback_domain::time::Timestamp(over.millis() - 1)).await;
    let find = |listener: &Listener| bench.store.listener(bench.environment, by_id(listener));
    assert_eq!(find(&gone).await.as_ref(), Ok(&gone));
    bench.sweep(over).await;
    assert_eq!(find(&gone).await, Err(MISSING));
    assert!(find(&there).await.is_ok());
}

pub(super) async fn an_answer_is_kept_with_the_listener(bench: Bench<'_>) {
    let claim = bench.claim("key", "body");
    let answer = || Some(Answer { claim, status: 201, body: b"made".to_vec() });
    let put = |name| PutListener { answer: answer(), ..bench.new_listener(name) };
    bench.store.put_listener(put("one")).await.unwrap();
    let claimed = bench.store.claimed(claim, NOW).await.unwrap().unwrap();
    assert_eq!((claimed.status, claimed.body), (201, b"made".to_vec()));
    // Who comes second has done nothing.
    let repeated = WriteError::Repeated(Repeated);
    assert_eq!(bench.store.put_listener(put("two")).await, Err(repeated.clone()));
    assert_eq!(bench.store.listener(bench.environment, uid("two")).await, Err(MISSING));
    let source = bench.source("one").await;
    let stream = PutStream { answer: answer(), ..bench.new_stream(&source, 1) };
    assert_eq!(bench.store.put_stream(stream).await, Err(repeated));
    assert_eq!(bench.store.stream(bench.environment, named(&source)).await, Ok(None));
}

// ── reading on ─────────────────────────────────────────────────────────────────────────────────────

/// Everything after a place, page by page; each page keeps to its bounds and joins the one before.
async fn read_on(bench: &Bench<'_>, mut query: ArrivalQuery) -> Vec<Arrived> {
    let mut all = Vec::new();
    loop {
        let page = bench.store.arrivals(query.clone()).await.unwrap();
        assert!(page.items.len() <= query.limit);
        assert!(page.reached >= query.after);
        let last = page.items.last().map_or(query.after, |item| item.id.key());
        assert!(last <= page.reached, "what was told was looked at");
        query.after = page.reached;
        all.extend(page.items);
        if page.done {
            assert!(all.is_sorted_by_key(|item| item.id.key()));
            return all;
        }
    }
}

pub(super) async fn arrivals_come_by_key_from_all_applications(bench: Bench<'_>) {
    let mut scopes = Vec::new();
    for name in ["one", "two", "three", "four", "silent"] {
        scopes.push(bench.application(name).await);
    }
    // One sends much more than the others; the batches of all lie between each other's.
    let mut sent = Vec::new();
    for round in 0..40 {
        let mut batch = vec![bench.to(scopes[0], bench.message()); 3];
        if round % 5 == 0 {
            batch.extend(scopes[1..4].iter().map(|scope| bench.to(*scope, bench.message())));
        }
        for append in &mut batch {
            append.message.payload = format!("{{\"number\":{}}}", bench.number()).into();
        }
        let appended = bench.store.append(batch.clone()).await;
        for (append, appended) in batch.into_iter().zip(appended) {
            let appended = appended.unwrap();
            sent.push((appended.id, appended.application, append.message.payload));
        }
    }
    let told = |all: Vec<Arrived>| -> Vec<_> {
        all.into_iter().map(|item| (item.id, item.scope.application, item.payload)).collect()
    };
    for limit in [1, 2, 7, 100, 1_000] {
        let query = ArrivalQuery { limit, ..query(&scopes, 0) };
        assert_eq!(told(read_on(&bench, query).await), sent, "in pages of {limit}");
    }
    // Some of the applications, from somewhere on.
    let some = &sent[50..];
    let expect: Vec<_> =
        some.iter().filter(|(_, owner, _)| *owner != scopes[0].application).cloned().collect();
    let found = read_on(&bench, query(&scopes[1..], sent[49].0.key())).await;
    assert_eq!(found[0].event_type, "user.created");
    assert_eq!((found[0].scope, found[0].created_at), (Scope { application: expect[0].1, ..scopes[0] }, NOW));
    assert_eq!((found[0].request.as_ref(), found[0].headers.len()), (None, 0));
    assert_eq!(told(found), expect);
    for nobody in [query(&scopes[4..], 0), ArrivalQuery { applications: vec![], ..query(&scopes, 7) }] {
        let nothing = bench.store.arrivals(nobody.clone()).await.unwrap();
        assert_eq!((nothing.items.len(), nothing.reached, nothing.done), (0, nobody.after, true));
    }
}

pub(super) async fn arrivals_are_bounded(bench: Bench<'_>) {
    let scopes = [bench.application("one").await, bench.application("two").await];
    let mut sent = Vec::new();
    for (index, bytes) in [10, 20, 5_000, 10, 10, 10].into_iter().enumerate() {
        sent.push(bench.send(scopes[index % 2], of_bytes(&bench, bytes)).await.id.key());
    }
    let page = async |after, limit, bytes| {
        let query = ArrivalQuery { limit, bytes, ..query(&scopes, after) };
        let page = bench.store.arrivals(query).await.unwrap();
        (keys(&page), page.reached, page.done)
    };
    assert_eq!(page(0, 2, 10_000).await, (sent[..2].to_vec(), sent[1], false));
    assert_eq!(page(0, 6, 10_000).await, (sent.clone(), sent[5], true));
    assert_eq!(page(0, 6, 30).await, (sent[..2].to_vec(), sent[1], false));
    assert_eq!(page(0, 6, 29).await, (sent[..1].to_vec(), sent[0], false));
    // One comes, whatever its size.
    assert_eq!(page(sent[1], 6, 29).await, (sent[2..3].to_vec(), sent[2], false));
    assert_eq!(page(0, 6, 0).await, (sent[..1].to_vec(), sent[0], false));
    assert_eq!(page(sent[2], 6, 29).await, (sent[3..5].to_vec(), sent[4], false));
    assert_eq!(page(sent[4], 1, 0).await, (sent[5..].to_vec(), sent[5], true));
    assert_eq!(page(sent[5], 6, 100).await, (vec![], sent[5], true));
}

pub(super) async fn what_has_no_content_is_passed_over(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.push(bench.send(scope, bench.message()).await.id);
    }
    let gone = [sent[0], sent[2], sent[4]].map(|id| Reference::Id(id.0)).to_vec();
    bench.store.expunge(scope, gone).await.unwrap();
    let page = async |after, limit, bytes| {
        let query = ArrivalQuery { limit, bytes, ..query(&[scope], after) };
        let page = bench.store.arrivals(query).await.unwrap();
        (keys(&page), page.reached, page.done)
    };
    let key = |index: usize| sent[index].key();
    assert_eq!(page(0, 10, 1_000).await, (vec![key(1), key(3)], key(4), true));
    assert_eq!(page(key(3), 10, 1_000).await, (vec![], key(4), true));
    assert_eq!(page(0, 1, 1_000).await, (vec![], key(0), false), "a page that looked at one");
    let all = read_on(&bench, ArrivalQuery { limit: 2, bytes: 0, ..query(&[scope], 0) }).await;
    assert_eq!(all.iter().map(|item| item.id).collect::<Vec<_>>(), [sent[1], sent[3]]);
}

pub(super) async fn arrivals_know_whom_they_concern(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let list = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    let (channels, tags) = (list(&["a", "b"]), list(&["tag"]));
    let labelled = NewMessage { channels, tags, ..bench.message() };
    bench.send(scope, labelled.clone()).await;
    bench.send(scope, NewMessage { channels: None, tags: None, ..bench.message() }).await;
    let heard = read_on(&bench, query(&[scope], 0)).await;
    assert_eq!((&heard[0].channels, &heard[0].tags), (&labelled.channels, &labelled.tags));
    assert_eq!((&heard[1].channels, &heard[1].tags), (&None, &None));
}

pub(super) async fn arrivals_know_what_they_were_as_requests(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let scope = scope_of(&bench, &source);
    let at_once = arrived(&bench, &source);
    bench.append_one(Append { claim: Some(bench.claim("a", "b")), ..at_once.clone() }).await.unwrap();
    // What repeats it is another request, and no message.
    bench.append_one(Append { claim: Some(bench.claim("a", "b")), ..at_once.clone() }).await.unwrap();
    bench.store.log_request(refused(&bench, &source, Fate::Quarantined)).await.unwrap();
    let query_of = RequestQuery { fates: vec![Fate::Quarantined], ..request::all() };
    let kept = requests(&bench, &source, query_of).await.remove(0);
    let mut sibling = bench.to(scope, bench.message());
    sibling.application = at_once.application.clone();
    let messages = vec![arrived(&bench, &source), sibling];
    bench.store.release(release(&kept, messages)).await.unwrap();

    let all = read_on(&bench, query(&[scope], 0)).await;
    let [first, released, sibling] = all.as_slice() else { panic!("{all:?}") };
    let was = |method: &str, target: &str, address: &str, event_id: &str| ArrivedRequest {
        method: method.to_owned(),
        target: target.to_owned(),
        verdict: "verified".to_owned(),
        address: Some(address.to_owned()),
        event_id: Some(event_id.to_owned()),
    };
    assert_eq!(first.request, Some(was("POST", "?team=1", "192.0.2.7", "delivery-1")));
    assert_eq!(first.headers, request::headers(&[("x-event", "push"), ("x-event", "again")]).into());
    assert_eq!(&*first.payload, br#"{"user": 1}"#);
    // It is what it was when it came; the verdict is the one with which it was let in.
    assert_eq!(released.request, Some(was("PUT", "/more?a=b", "2001:db8::1", "delivery-2")));
    assert_eq!(sibling.request, None, "one message of a request is that request");
}

pub(super) async fn how_far_behind_is_counted_to_a_bound(bench: Bench<'_>) {
    let scopes = [bench.application("one").await, bench.application("two").await];
    let mut sent = Vec::new();
    for number in 0..6 {
        let message = NewMessage { accepted_at: at(number), ..bench.message() };
        // The oldest are the second's.
        sent.push(bench.send(scopes[usize::from(number < 3)], message).await.id.key());
    }
    let behind = async |scopes: &[Scope], after, at_most| {
        let applications = scopes.iter().map(|scope| scope.application).collect();
        let environment = bench.environment;
        let query = BehindQuery { environment, applications, after, at_most };
        let Behind { count, oldest } = bench.store.behind(query).await.unwrap();
        (count, oldest)
    };
    assert_eq!(behind(&scopes, 0, 100).await, (6, Some(NOW)));
    assert_eq!(behind(&scopes, 0, 6).await, (6, Some(NOW)));
    assert_eq!(behind(&scopes, 0, 2).await, (2, Some(NOW)), "counted no farther");
    assert_eq!(behind(&scopes, sent[0], 100).await, (5, Some(at(1))));
    assert_eq!(behind(&scopes[..1], 0, 100).await, (3, Some(at(3))));
    assert_eq!(behind(&scopes, sent[5], 100).await, (0, None));
    assert_eq!(behind(&[], 0, 100).await, (0, None));
}

pub(super) async fn nobody_listens_to_what_belongs_to_others(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let scope = scope_of(&bench, &source);
    let sent = bench.append_one(arrived(&bench, &source)).await.unwrap().id.key();
    let (mine, _) = bench.store.put_listener(bench.new_listener("one")).await.unwrap();
    bench.put_stream(&source, 1).await.unwrap();
    let (elsewhere, store) = (bench.other_environment().await, &bench.store);
    for name in [uid("one"), by_id(&mine)] {
        assert_eq!(store.listener(elsewhere, name.clone()).await, Err(MISSING));
        let moved = store.seek_listener(elsewhere, name.clone(), sent, NOW).await;
        assert_eq!(moved, Err(NOT_THERE));
        assert_eq!(store.delete_listener(elsewhere, name, NOW).await, Err(NOT_THERE));
    }
    let put = PutListener { listener: by_id(&mine), environment: elsewhere, ..bench.new_listener("") };
    assert_eq!(store.put_listener(put).await, Err(NOT_THERE));
    assert_eq!(store.listeners(elsewhere, everything(Order::Ascending)).await.unwrap().items, []);
    let put = PutListener { environment: elsewhere, ..bench.new_listener("one") };
    let (theirs, is_new) = store.put_listener(put).await.unwrap();
    assert!(is_new && theirs.id != mine.id, "a name is one's own environment's");

    let foreign = Scope { environment: elsewhere, ..scope };
    let heard = store.arrivals(query(&[foreign], 0)).await.unwrap();
    assert_eq!((heard.items.len(), heard.done), (0, true));
    let (environment, applications) = (elsewhere, vec![scope.application]);
    let behind = BehindQuery { environment, applications, after: 0, at_most: 10 };
    assert_eq!(store.behind(behind).await, Ok(Behind::default()));

    let source = named(&source);
    let (not_read, not_written) = (ReadError::NotFound("source"), WriteError::NotFound("source"));
    assert_eq!(store.stream(elsewhere, source.clone()).await, Err(not_read));
    let deleted = store.delete_stream(elsewhere, source.clone(), NOW).await;
    assert_eq!(deleted, Err(not_written.clone()));
    let put = PutStream { environment: elsewhere, source: source.clone(), ..stream(&bench, 2) };
    assert_eq!(store.put_stream(put).await, Err(not_written));
    // Nothing of it has changed.
    assert_eq!(store.listener(bench.environment, by_id(&mine)).await, Ok(mine));
    assert!(store.stream(bench.environment, source).await.unwrap().is_some());
}

// ── event streams ──────────────────────────────────────────────────────────────────────────────────

fn stream(bench: &Bench<'_>, number: u8) -> PutStream {
    PutStream {
        environment: bench.environment,
        source: uid(""),
        hash: hash(number),
        sealed: format!("sealed stream {number}").into_bytes(),
        now: at(number.into()),
        answer: None,
    }
}

pub(super) async fn event_streams_are_kept(mut bench: Bench<'_>) {
    let (one, two) = (bench.source("one").await, bench.source("two").await);
    bench.put_stream(&one, 1).await.unwrap();
    bench.put_stream(&two, 2).await.unwrap();
    assert_eq!(bench.put_stream(&two, 1).await, Err(WriteError::Conflict("stream token")));
    bench.reopen().await;
    let read = |source: &Source| bench.store.stream(bench.environment, named(source));
    let found = |number| bench.store.stream_by_token(hash(number));
    let kept = |number: u8| Stream {
        sealed: format!("sealed stream {number}").into_bytes(),
        created_at: at(number.into()),
    };
    assert_eq!(read(&one).await, Ok(Some(kept(1))));
    assert_eq!(found(1).await, Ok(Some((scope_of(&bench, &one), one.id))));
    assert_eq!(found(2).await, Ok(Some((scope_of(&bench, &two), two.id))), "as it was");
    // The next one takes its place.
    bench.put_stream(&one, 3).await.unwrap();
    assert_eq!((read(&one).await, found(1).await), (Ok(Some(kept(3))), Ok(None)));
    assert_eq!(found(3).await.unwrap().unwrap().1, one.id);
    let delete = |source: &Source| bench.store.delete_stream(bench.environment, named(source), NOW);
    delete(&one).await.unwrap();
    assert_eq!(delete(&one).await, Err(WriteError::NotFound("event stream")));
    assert_eq!((read(&one).await, found(3).await), (Ok(None), Ok(None)));
    // It goes with its source.
    bench.put_stream(&one, 4).await.unwrap();
    bench.store.delete_source(bench.environment, named(&one), NOW).await.unwrap();
    assert_eq!(found(4).await, Ok(None));
    assert_eq!(read(&one).await, Err(ReadError::NotFound("source")));
    bench.put_stream(&two, 4).await.unwrap();
}

// ── races ──────────────────────────────────────────────────────────────────────────────────────────

/// So often each of those who write does so.
const ROUNDS: usize = 40;

/// Whoever goes from page to page while others write in every way there is sees all that they were
/// told was written, once and in the order of the keys.
pub(super) async fn whoever_reads_on_misses_nothing(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let scopes = [scope_of(&bench, &source), bench.application("two").await];
    let (listener, _) = bench.store.put_listener(bench.new_listener("one")).await.unwrap();
    for _ in 0..ROUNDS {
        bench.store.log_request(refused(&bench, &source, Fate::Quarantined)).await.unwrap();
    }
    let all = requests(&bench, &source, request::all()).await;
    let releases = all.iter().map(|kept| release(kept, vec![arrived(&bench, &source)]));
    let releases: Vec<Release> = releases.collect();
    let mut callbacks = Vec::new();
    for _ in 0..2 * ROUNDS {
        callbacks.push(callback::new(&bench, scopes[1]).await);
    }

    let mut writing = JoinSet::new();
    for writer in 0..3 {
        let batches: Vec<Vec<Append>> = (0..ROUNDS)
            .map(|_| {
                let twice = [arrived(&bench, &source), bench.to(scopes[1], bench.message())];
                twice.into_iter().cycle().take(1 + writer).collect()
            })
            .collect();
        let store = Arc::clone(&bench.store);
        writing.spawn(async move {
            let mut told = Vec::new();
            for batch in batches {
                told.extend(store.append(batch).await.into_iter().map(|it| it.unwrap().id));
            }
            told
        });
    }
    for some in callbacks.chunks(ROUNDS) {
        let (store, some) = (Arc::clone(&bench.store), some.to_vec());
        writing.spawn(async move {
            let mut told = Vec::new();
            for new in some {
                let created = store.create_callback(new).await.unwrap();
                told.extend(created.told.into_iter().map(|(message, _)| message));
            }
            told
        });
    }
    let store = Arc::clone(&bench.store);
    writing.spawn(async move {
        let mut told = Vec::new();
        for release in releases {
            let Released::Now(appended) = store.release(release).await.unwrap() else {
                panic!("nobody else releases it")
            };
            told.extend(appended.into_iter().map(|appended| appended.id));
        }
        told
    });

    let writers = Arc::new(AtomicUsize::new(writing.len()));
    let mut reading = JoinSet::new();
    // One whose pages end before what there is; the others are where it comes into being.
    for limit in [7, 100, 100, 100] {
        let query = ArrivalQuery { limit, ..query(&scopes, listener.place) };
        reading.spawn(read_along(Arc::clone(&bench.store), query, Arc::clone(&writers)));
    }
    let mut acknowledged = BTreeSet::new();
    while let Some(told) = writing.join_next().await {
        acknowledged.extend(told.unwrap());
        writers.fetch_sub(1, Ordering::AcqRel);
    }
    assert_eq!(acknowledged.len(), 9 * ROUNDS);
    while let Some(seen) = reading.join_next().await {
        let seen = seen.unwrap();
        let missed = acknowledged.iter().filter(|id| !seen.contains(id)).count();
        assert_eq!(missed, 0, "of {}", acknowledged.len());
        assert!(seen.iter().eq(&acknowledged), "each once, in order: {seen:?}");
    }
}

/// Goes from page to page until nobody writes any more and there is nothing left.
async fn read_along(
    store: Arc<dyn Store>,
    mut query: ArrivalQuery,
    writers: Arc<AtomicUsize>,
) -> Vec<MessageId> {
    let mut seen = Vec::new();
    loop {
        let nobody_writes = writers.load(Ordering::Acquire) == 0;
        let page = store.arrivals(query.clone()).await.unwrap();
        seen.extend(page.items.iter().map(|item| item.id));
        query.after = page.reached;
        if nobody_writes && page.done {
            return seen;
        }
    }
}

impl Bench<'_> {
    /// A listener that begins with what comes.
    pub(super) fn new_listener(&self, name: &str) -> PutListener {
        PutListener {
            environment: self.environment,
            listener: uid(name),
            id: ListenerId(self.id(NOW)),
            terms: r#"{"sources":[]}"#.to_owned(),
            place: None,
            now: NOW,
            answer: None,
        }
    }

    /// An event stream whose token has this number.
    pub(super) fn new_stream(&self, source: &Source, number: u8) -> PutStream {
        PutStream { source: named(source), ..stream(self, number) }
    }

    /// Gives a source an event stream.
    pub(super) async fn put_stream(&self, source: &Source, number: u8) -> Result<(), WriteError> {
        self.store.put_stream(self.new_stream(source, number)).await
    }
}
