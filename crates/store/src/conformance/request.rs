//! What arrives at sources: every request is written down once, with its message or by itself, and
//! what anybody can send takes a bounded room.

use bytes::Bytes;
use ringback_domain::{
    id::{ApplicationId, Id, RequestId},
    idempotency::Claim,
    message::Origin,
    scope::{Reference, Scope},
    source::{Fate, Received, Source},
    time::Timestamp,
};

use super::{
    bench::{Bench, EXPIRY, NOW, all_messages, at, everything, uid},
    source::{hash, named, scope_of},
};
use crate::*;

pub(super) fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Every request of a source.
pub(super) fn all() -> RequestQuery {
    RequestQuery {
        page: everything(Order::Ascending),
        fates: Vec::new(),
        event_id: None,
        event_type: None,
        before: None,
        after: None,
    }
}

/// A message that arrived at a source.
pub(super) fn arrived(bench: &Bench<'_>, source: &Source) -> Append {
    let arrival = Arrival {
        source: source.id.key(),
        nonce: bench.number(),
        verdict: "verified".to_owned(),
        reason: None,
        status: 202,
        method: "POST".to_owned(),
        target: "?team=1".to_owned(),
        address: Some("192.0.2.7".to_owned()),
        event_id: Some("delivery-1".to_owned()),
    };
    let message = NewMessage {
        origin: Origin::Receive,
        headers: Some(headers(&[("x-event", "push"), ("x-event", "again")]).into()),
        arrival: Some(Box::new(arrival)),
        ..bench.message()
    };
    Append {
        environment: bench.environment,
        application: Reference::Id(source.application.0),
        message,
        claim: None,
    }
}

/// The same with another arrival.
fn with(mut append: Append, change: impl FnOnce(&mut Arrival)) -> Append {
    append.message.arrival.as_deref_mut().map(change).unwrap();
    append
}

/// A request that did not become a message.
pub(super) fn refused(bench: &Bench<'_>, source: &Source, fate: Fate) -> NewRequest {
    let id = RequestId(Id { key: 0, shard: 0, nonce: bench.number() });
    let request = Received {
        id,
        fate,
        reason: Some("wrong_secret".to_owned()),
        verdict: "failed".to_owned(),
        status: 401,
        method: "PUT".to_owned(),
        target: "/more?a=b".to_owned(),
        headers: headers(&[("content-type", "text/plain"), ("x-signature", "***")]),
        address: Some("2001:db8::1".to_owned()),
        event_id: Some("delivery-2".to_owned()),
        event_type: Some("push".to_owned()),
        bytes: 70_000,
        body: Some(vec![0, 255, b'"']),
        message: None,
        received_at: NOW,
    };
    let scope = scope_of(bench, source);
    NewRequest { scope, source: source.id.key(), request, expires_at: EXPIRY }
}

pub(super) async fn requests(
    bench: &Bench<'_>,
    source: &Source,
    query: RequestQuery,
) -> Vec<Received> {
    let found = bench.store.requests(bench.environment, named(source), query).await.unwrap();
    assert!(found.done, "all of them are on the page");
    found.items
}

/// The only request of a source, as it is read by its id.
async fn only_request(bench: &Bench<'_>, source: &Source) -> Received {
    let listed = requests(bench, source, all()).await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    request(bench, source, listed[0].id).await
}

async fn request(bench: &Bench<'_>, source: &Source, id: RequestId) -> Received {
    bench.store.request(bench.environment, named(source), id).await.unwrap()
}

async fn fates(bench: &Bench<'_>, source: &Source) -> Vec<Fate> {
    requests(bench, source, all()).await.iter().map(|request| request.fate).collect()
}

pub(super) async fn an_accepted_request_comes_with_its_message(mut bench: Bench<'_>) {
    let source = bench.source("one").await;
    let scope = scope_of(&bench, &source);
    let endpoint = bench.endpoint(scope).await;
    let append = with(arrived(&bench, &source), |arrival| {
        arrival.reason = Some("not_enforced".to_owned());
    });
    let plain = bench.to_application(source.application, bench.message());
    let batch = vec![plain.clone(), append.clone(), plain];
    let appended = bench.store.append(batch).await.remove(1).unwrap();
    assert!(!appended.repeated);
    bench.reopen().await;

    let arrival = append.message.arrival.as_deref().unwrap();
    let expect = Received {
        id: RequestId(Id { key: appended.id.key(), shard: 0, nonce: arrival.nonce }),
        fate: Fate::Accepted,
        reason: arrival.reason.clone(),
        verdict: arrival.verdict.clone(),
        status: 202,
        method: arrival.method.clone(),
        target: arrival.target.clone(),
        headers: append.message.headers.as_deref().unwrap().to_vec(),
        address: arrival.address.clone(),
        event_id: arrival.event_id.clone(),
        event_type: Some(append.message.event_type.clone()),
        bytes: append.message.payload.len() as u64,
        body: Some(append.message.payload.to_vec()),
        message: Some(appended.id),
        received_at: NOW,
    };
    let read = only_request(&bench, &source).await;
    assert_eq!(Received { id: read.id, ..expect.clone() }, read);
    assert_eq!((read.id.key(), read.id.0.nonce), (expect.id.key(), arrival.nonce));
    let listed = requests(&bench, &source, all()).await.remove(0);
    let light = Received { headers: Vec::new(), body: None, id: read.id, ..expect };
    assert_eq!(listed, light, "a list has neither headers nor bodies");

    // The message has them, too, and whoever sends it.
    let sent = append.message.headers.clone();
    let message =
        |with_content| bench.store.message(scope, Reference::Id(appended.id.0), with_content);
    assert_eq!(message(true).await.unwrap().headers.as_deref(), sent.as_deref());
    assert_eq!(message(false).await.unwrap().headers, None);
    let query = MessageQuery { with_content: true, ..all_messages() };
    let listed = bench.store.messages(scope, query.clone()).await.unwrap().items;
    let found = MessageSearch { query, status: None };
    let found = bench.store.search_messages(scope, found).await.unwrap().items;
    assert_eq!(listed, found);
    let with_headers: Vec<_> = listed.iter().map(|message| message.headers.is_some()).collect();
    assert_eq!(with_headers, [false, true, false]);
    let due = bench.due(&endpoint, NOW).await.due;
    let sending: Vec<_> = due.iter().map(|due| due.content.headers.clone()).collect();
    assert_eq!(sending, [None, sent.clone(), None]);
    let again = bench.store.resend(bench.resend(scope, appended.id, &endpoint)).await.unwrap();
    assert_eq!(again.content.headers, sent);
}

pub(super) async fn a_repeated_arrival_is_a_duplicate(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let scope = scope_of(&bench, &source);
    let endpoint = bench.endpoint(scope).await;
    let claimed = |body: &'static str| {
        let claim = Some(bench.claim("delivery-1", body));
        let mut append = Append { claim, ..arrived(&bench, &source) };
        append.message.payload = Bytes::from_static(body.as_bytes());
        append
    };
    // In one batch and in the next; with the same body and with another.
    let answers = bench.store.append(vec![claimed("1"), claimed("1"), claimed("2")]).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let third = bench.append_one(claimed("3")).await.unwrap();
    let first = answers[0].id;
    assert!(!answers[0].repeated);
    for again in [&answers[1], &answers[2], &third] {
        assert_eq!((again.id, again.repeated), (first, true));
        assert!(again.endpoints.is_empty(), "nothing new is to be delivered");
    }
    assert_eq!(bench.only_due(&endpoint).await.content.id, first);
    let listed = requests(&bench, &source, all()).await;
    let shown: Vec<_> = listed.iter().map(|request| (request.fate, request.message)).collect();
    let duplicate = (Fate::Duplicate, Some(first));
    assert_eq!(shown, [(Fate::Accepted, Some(first)), duplicate, duplicate, duplicate]);
    assert!(listed.windows(2).all(|pair| pair[0].id.key() < pair[1].id.key()));
    // Each has a body of its own.
    for (listed, body) in listed.iter().zip(["1", "1", "2", "3"]) {
        let read = request(&bench, &source, listed.id).await;
        assert_eq!(read.body.as_deref(), Some(body.as_bytes()));
        assert_eq!(read.headers.len(), 2);
        assert_eq!((read.bytes, read.event_id.as_deref()), (1, Some("delivery-1")));
    }
    // Without an arrival it is what it was.
    let plain = Append { message: bench.message(), ..claimed("2") };
    assert_eq!(bench.append_one(plain).await, Err(AppendError::ClaimConflict));
}

/// For as long as its claim holds, which is as long as somebody likes, and no longer.
pub(super) async fn a_repeated_arrival_is_recognised_in_time(mut bench: Bench<'_>) {
    let source = bench.source("one").await;
    for hours in [1, 2, 24, 30, 72, 96, 168, 720] {
        for day in 0..4 {
            let key = format!("{hours} hours from day {day}");
            let arrives = |seconds: u64| {
                let mut append = arrived(&bench, &source);
                let now = at(day * 86_400 + seconds);
                append.message.accepted_at = now;
                let expires_at = now + std::time::Duration::from_secs(hours * 3_600);
                append.claim = Some(Claim { expires_at, ..bench.claim(&key, "body") });
                append
            };
            let first = bench.append_one(arrives(0)).await.unwrap().id;
            for seconds in [1, hours * 1_800, hours * 3_600 - 1] {
                let again = bench.append_one(arrives(seconds)).await.unwrap();
                assert_eq!((again.id, again.repeated), (first, true), "{key}: {seconds} s later");
            }
            let anew = bench.append_one(arrives(hours * 3_600)).await.unwrap();
            assert!(!anew.repeated, "{key}");
        }
        bench.reopen().await;
    }
}

pub(super) async fn a_duplicate_may_outlive_its_message(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let claimed = |expires_at: Timestamp| {
        let claim = Some(bench.claim("delivery-1", "body"));
        let mut append = Append { claim, ..arrived(&bench, &source) };
        append.message.expires_at = expires_at;
        append
    };
    let first = bench.append_one(claimed(at(10))).await.unwrap();
    bench.sweep(at(10)).await;
    let gone = bench.store.message(scope_of(&bench, &source), Reference::Id(first.id.0), false);
    assert_eq!(gone.await, Err(ReadError::NotFound("message")));
    let again = bench.append_one(claimed(EXPIRY)).await.unwrap();
    assert_eq!((again.id.key(), again.repeated), (first.id.key(), true));
    assert_eq!(fates(&bench, &source).await, [Fate::Duplicate]);
}

pub(super) async fn what_is_refused_is_written_down(mut bench: Bench<'_>) {
    let source = bench.source("one").await;
    let new = refused(&bench, &source, Fate::Unverified);
    bench.store.log_request(new.clone()).await.unwrap();
    bench.reopen().await;
    let read = only_request(&bench, &source).await;
    assert_eq!(read.id.0.nonce, new.request.id.0.nonce);
    assert_eq!(read, Received { id: read.id, ..new.request.clone() });
    let listed = requests(&bench, &source, all()).await.remove(0);
    assert_eq!(listed, Received { headers: Vec::new(), body: None, ..read.clone() });
    // What comes later has a greater key, and a request without anything is one, too.
    let mut bare = refused(&bench, &source, Fate::MethodNotAllowed);
    bare.request = Received {
        reason: None,
        headers: Vec::new(),
        address: None,
        event_id: None,
        event_type: None,
        body: None,
        ..bare.request
    };
    bench.store.log_request(bare.clone()).await.unwrap();
    let second = requests(&bench, &source, all()).await.remove(1);
    assert!(second.id.key() > read.id.key());
    let second = request(&bench, &source, second.id).await;
    assert_eq!(second, Received { id: second.id, ..bare.request });
    // Not every store can keep a NUL, so none does.
    let mut nul = refused(&bench, &source, Fate::Malformed);
    nul.request.event_id = Some("a\0b".to_owned());
    nul.request.event_type = Some("\0".to_owned());
    nul.request.target = "?\0".to_owned();
    bench.store.log_request(nul).await.unwrap();
    let nul = requests(&bench, &source, all()).await.remove(2);
    let texts = (nul.event_id.as_deref(), nul.event_type.as_deref(), &*nul.target);
    assert_eq!(texts, (Some("a\u{fffd}b"), Some("\u{fffd}"), "?\u{fffd}"));
    let named = RequestQuery { event_id: Some("a\0b".to_owned()), ..all() };
    assert_eq!(requests(&bench, &source, named).await, [nul]);
    for fate in Fate::ALL {
        if fate != Fate::Accepted {
            bench.store.log_request(refused(&bench, &source, fate)).await.unwrap();
        }
    }
    assert_eq!(fates(&bench, &source).await[3..], Fate::ALL[1..]);

    let elsewhere = bench.other_environment().await;
    let other = bench.source("two").await;
    for scope in [
        Scope { environment: elsewhere, ..new.scope },
        Scope { application: other.application.key(), ..new.scope },
    ] {
        let foreign = NewRequest { scope, ..new.clone() };
        let logged = bench.store.log_request(foreign).await;
        assert_eq!(logged, Err(WriteError::NotFound("source")));
    }
}

/// What a request becomes that was kept.
pub(super) fn release(kept: &Received, messages: Vec<Append>) -> Release {
    let arrival = messages[0].message.arrival.as_deref().unwrap();
    Release { source: arrival.source, request: kept.id.key(), messages }
}

pub(super) async fn a_kept_request_becomes_a_message_once(mut bench: Bench<'_>) {
    let source = bench.source("one").await;
    let scope = scope_of(&bench, &source);
    let endpoint = bench.endpoint(scope).await;
    bench.store.log_request(refused(&bench, &source, Fate::Quarantined)).await.unwrap();
    let kept = only_request(&bench, &source).await;
    let message = || {
        with(arrived(&bench, &source), |arrival| {
            arrival.verdict = "authenticated".to_owned();
            arrival.reason = Some("released".to_owned());
        })
    };
    let again = release(&kept, vec![message()]);
    let Ok(Released::Now(released)) = bench.store.release(again.clone()).await else {
        panic!("it was released before")
    };
    assert_eq!((released.len(), released[0].repeated), (1, false));
    assert_eq!(*released[0].endpoints, [endpoint.id.key()]);
    bench.reopen().await;
    assert_eq!(bench.only_due(&endpoint).await.content.id, released[0].id);
    let expect = Received {
        fate: Fate::Accepted,
        verdict: "authenticated".to_owned(),
        reason: Some("released".to_owned()),
        message: Some(released[0].id),
        ..kept.clone()
    };
    assert_eq!(only_request(&bench, &source).await, expect, "nothing else of it is changed");
    for _ in 0..2 {
        let before = Released::Before(released[0].id);
        assert_eq!(bench.store.release(again.clone()).await, Ok(before));
    }
    bench.only_due(&endpoint).await;
    assert_eq!(only_request(&bench, &source).await, expect);
}

pub(super) async fn what_was_kept_may_be_a_duplicate_by_now(bench: Bench<'_>) {
    let source = bench.source("one").await;
    bench.store.log_request(refused(&bench, &source, Fate::Quarantined)).await.unwrap();
    let kept = only_request(&bench, &source).await;
    let claim = Some(bench.claim("delivery-1", "body"));
    let first = Append { claim, ..arrived(&bench, &source) };
    let first = bench.append_one(first).await.unwrap();
    let again = release(&kept, vec![Append { claim, ..arrived(&bench, &source) }]);
    let Ok(Released::Now(released)) = bench.store.release(again.clone()).await else {
        panic!("it was released before")
    };
    assert_eq!((released[0].id, released[0].repeated), (first.id, true));
    assert_eq!(fates(&bench, &source).await, [Fate::Duplicate, Fate::Accepted]);
    assert_eq!(bench.store.release(again).await, Ok(Released::Before(first.id)));
    let kept = request(&bench, &source, kept.id).await;
    assert_eq!((kept.message, kept.body.is_some()), (Some(first.id), true));
}

/// A batch becomes its messages together; those that arrived meanwhile are left out.
pub(super) async fn a_kept_batch_becomes_its_messages_at_once(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let endpoint = bench.endpoint(scope_of(&bench, &source)).await;
    bench.store.log_request(refused(&bench, &source, Fate::Quarantined)).await.unwrap();
    let kept = only_request(&bench, &source).await;
    let item = |name: &str, body: &str| {
        let claim = Some(bench.claim(name, body));
        let mut append = Append { claim, ..arrived(&bench, &source) };
        append.message.arrival = None;
        append
    };
    let same = bench.append_one(item("same", "body")).await.unwrap().id;
    bench.append_one(item("differs", "body")).await.unwrap();
    let first = arrived(&bench, &source);
    let items = vec![first, item("same", "body"), item("differs", "other"), item("new", "body")];
    let batch = release(&kept, items);
    let Ok(Released::Now(released)) = bench.store.release(batch.clone()).await else {
        panic!("it was released before")
    };
    let repeated: Vec<_> = released.iter().map(|appended| appended.repeated).collect();
    assert_eq!((repeated, released[1].id), (vec![false, true, false], same));
    assert_eq!(bench.due_all(&endpoint, NOW).await.len(), 4);
    assert_eq!(fates(&bench, &source).await, [Fate::Accepted]);
    let before = Released::Before(released[0].id);
    assert_eq!(bench.store.release(batch).await, Ok(before));
    assert_eq!(bench.due_all(&endpoint, NOW).await.len(), 4);
}

/// Only what is there can be released, and only as what it is.
pub(super) async fn what_was_kept_may_be_gone_by_now(bench: Bench<'_>) {
    let [source, other] = [bench.source("one").await, bench.source("two").await];
    bench.store.log_request(refused(&bench, &other, Fate::Quarantined)).await.unwrap();
    let foreign = only_request(&bench, &other).await;
    let missing = |what| Err(WriteError::NotFound(what));
    let message = || vec![arrived(&bench, &source)];
    let gone = Release { request: 1, ..release(&foreign, message()) };
    assert_eq!(bench.store.release(gone).await, missing("request"));
    assert_eq!(bench.store.release(release(&foreign, message())).await, missing("request"));
    let elsewhere = bench.other_environment().await;
    let mut stolen = release(&foreign, vec![arrived(&bench, &other)]);
    stolen.messages[0].environment = elsewhere;
    assert_eq!(bench.store.release(stolen).await, missing("request"));
    assert_eq!(fates(&bench, &source).await, []);
    assert_eq!(only_request(&bench, &other).await, foreign);
    bench.store.delete_source(bench.environment, named(&other), NOW).await.unwrap();
    let late = bench.store.release(release(&foreign, vec![arrived(&bench, &other)])).await;
    assert!(matches!(late, Err(WriteError::NotFound(_))), "{late:?}");
}

pub(super) async fn requests_are_filtered(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let other = bench.source("two").await;
    bench.store.log_request(refused(&bench, &other, Fate::Unverified)).await.unwrap();
    for (second, fate) in [Fate::Unverified, Fate::Stale, Fate::Unverified].into_iter().enumerate()
    {
        let mut new = refused(&bench, &source, fate);
        new.request.received_at = at(second as u64);
        new.request.event_id = Some(format!("event-{second}"));
        new.request.event_type = Some(if second == 1 { "pull" } else { "push" }.to_owned());
        bench.store.log_request(new).await.unwrap();
    }
    let mut accepted = arrived(&bench, &source);
    accepted.message.accepted_at = at(3);
    bench.append_one(accepted).await.unwrap();
    let with = |fates: &[Fate]| RequestQuery { fates: fates.to_vec(), ..all() };
    let named = |name: &str| RequestQuery { event_id: Some(name.to_owned()), ..all() };
    let of_type = |name: &str| RequestQuery { event_type: Some(name.to_owned()), ..all() };
    for (query, expect) in [
        (all(), &[0, 1, 2, 3][..]),
        (with(&[Fate::Unverified]), &[0, 2]),
        (with(&[Fate::Stale, Fate::Quarantined]), &[1]),
        (with(&[Fate::Accepted]), &[3]),
        (with(&[Fate::Accepted, Fate::Stale]), &[1, 3]),
        (with(&[Fate::Challenge]), &[]),
        (named("event-2"), &[2]),
        (named("delivery-1"), &[3]),
        (named("event"), &[]),
        (of_type("push"), &[0, 2]),
        (of_type("pull"), &[1]),
        (RequestQuery { event_id: Some("event-1".to_owned()), ..of_type("push") }, &[]),
        (RequestQuery { fates: vec![Fate::Unverified], ..named("event-1") }, &[]),
        (RequestQuery { fates: vec![Fate::Stale], ..named("event-1") }, &[1]),
        (RequestQuery { after: Some(at(1)), ..all() }, &[2, 3]),
        (RequestQuery { before: Some(at(1)), ..all() }, &[0]),
        (RequestQuery { before: Some(at(2)), after: Some(at(0)), ..all() }, &[1]),
        (RequestQuery { after: Some(at(0)), ..with(&[Fate::Unverified]) }, &[2]),
    ] {
        for order in [Order::Ascending, Order::Descending] {
            let query = RequestQuery { page: everything(order), ..query.clone() };
            let mut found = seconds(&requests(&bench, &source, query.clone()).await);
            if order == Order::Descending {
                found.reverse();
            }
            assert_eq!(found, expect, "{query:?}");
        }
    }
    for (order, from, expect, done) in [
        (Order::Ascending, None, &[0, 1][..], false),
        (Order::Ascending, Some((true, 1)), &[2, 3], true),
        (Order::Ascending, Some((false, 3)), &[1, 2], false),
        (Order::Descending, None, &[3, 2], false),
        (Order::Descending, Some((true, 2)), &[1, 0], true),
    ] {
        let listed = requests(&bench, &source, all()).await;
        let from = from.map_or(Position::Start, |(after, index): (bool, usize)| {
            let id = listed[index].id.0;
            if after { Position::After(id) } else { Position::Before(id) }
        });
        let page = Page { limit: 2, from, order };
        let query = RequestQuery { page: page.clone(), ..all() };
        let found = bench.store.requests(bench.environment, uid("one"), query).await.unwrap();
        assert_eq!((&*seconds(&found.items), found.done), (expect, done), "{page:?}");
        assert_eq!(found.reached, None);
    }
}

fn seconds(requests: &[Received]) -> Vec<u64> {
    requests.iter().map(|request| request.received_at.since(NOW).as_secs()).collect()
}

/// However many messages lie around it, and whatever is asked for.
pub(super) async fn a_page_of_requests_looks_at_a_bounded_number(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let rare = |name: &str| {
        let mut new = refused(&bench, &source, Fate::Unverified);
        new.request.event_id = Some(name.to_owned());
        new
    };
    bench.store.log_request(rare("first")).await.unwrap();
    let batch = (0..LOOK + 50).map(|_| arrived(&bench, &source)).collect();
    assert!(bench.store.append(batch).await.iter().all(Result::is_ok));
    for name in ["second", "third"] {
        bench.store.log_request(rare(name)).await.unwrap();
    }
    for order in [Order::Ascending, Order::Descending] {
        let walk = async |query: RequestQuery| {
            let mut query = RequestQuery { page: everything(order), ..query };
            let mut pages = Vec::new();
            loop {
                let found = bench.store.requests(bench.environment, uid("one"), query.clone());
                let found = found.await.unwrap();
                pages.push(found.items.iter().filter_map(|one| one.event_id.clone()).collect());
                match found.next(&query.page.from) {
                    Some(from) => query.page.from = from,
                    None => return pages,
                }
                assert!(pages.len() < 100, "it ends");
            }
        };
        let pages: Vec<Vec<String>> =
            walk(RequestQuery { event_id: Some("first".to_owned()), ..all() }).await;
        assert_eq!(pages.concat(), ["first"], "{order:?}");
        let expect = if order == Order::Ascending { [1, 0] } else { [0, 1] };
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), expect);
        // All pages together show each of them once.
        let fates = vec![Fate::Unverified, Fate::Stale];
        let mut found = walk(RequestQuery { fates, ..all() }).await.concat();
        found.sort_unstable();
        assert_eq!(found, ["first", "second", "third"]);
        // What leaves nothing out looks at no more than it shows.
        let plain = walk(all()).await;
        assert_eq!(plain.len(), (LOOK + 53).div_ceil(100));
        assert_eq!(plain.iter().map(Vec::len).sum::<usize>(), LOOK + 53);
    }
}

pub(super) async fn requests_go_with_their_messages(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let endpoint = bench.endpoint(scope_of(&bench, &source)).await;
    // One is pending, one was released from what would be kept longer, and both have a repetition.
    bench.store.log_request(refused(&bench, &source, Fate::Quarantined)).await.unwrap();
    let kept = only_request(&bench, &source).await;
    let claimed = |name: &str| {
        let claim = Some(bench.claim(name, ""));
        let mut append = Append { claim, ..arrived(&bench, &source) };
        append.message.expires_at = at(10);
        append
    };
    let [first, second] = ["1", "2"].map(claimed);
    bench.store.release(release(&kept, vec![first.clone()])).await.unwrap();
    bench.append_one(second.clone()).await.unwrap();
    for (claim, expires_at) in [(first.claim, EXPIRY), (second.claim, at(5))] {
        let mut append = Append { claim, ..arrived(&bench, &source) };
        append.message.expires_at = expires_at;
        assert!(bench.append_one(append).await.unwrap().repeated);
    }
    let due = bench.due(&endpoint, NOW).await.due;
    assert_eq!(due.len(), 2);
    bench.record(bench.attempt(&due[0], 200)).await;
    bench.sweep(at(4)).await;
    assert_eq!(fates(&bench, &source).await.len(), 4, "nothing is past its time");
    // What was delivered goes with its request; a repetition goes when its own time is over.
    bench.sweep(at(10)).await;
    assert_eq!(fates(&bench, &source).await, [Fate::Accepted, Fate::Duplicate]);
    bench.record(bench.attempt(&due[1], 200)).await;
    bench.sweep(at(10)).await;
    assert_eq!(fates(&bench, &source).await, [Fate::Duplicate]);
    bench.sweep(EXPIRY).await;
    assert_eq!(fates(&bench, &source).await, []);
}

/// What somebody else can make arrive takes a bounded room, and takes none from what is held.
pub(super) async fn the_sweep_keeps_the_newest_requests(bench: Bench<'_>) {
    let [source, other] = [bench.source("one").await, bench.source("two").await];
    let log = async |source: &Source, fate, count: usize| {
        let new = |_| bench.store.log_request(refused(&bench, source, fate));
        for logged in (0..count).map(new).collect::<Vec<_>>() {
            logged.await.unwrap();
        }
    };
    log(&source, Fate::SchemaInvalid, 1).await;
    log(&source, Fate::Quarantined, 1).await;
    log(&other, Fate::Unverified, 3).await;
    let accepted = bench.append_one(arrived(&bench, &source)).await.unwrap().id;
    log(&source, Fate::Unverified, 40).await;
    log(&source, Fate::Stale, REQUESTS_KEPT).await;
    bench.sweep(NOW).await;
    let found = bench.counted(&source).await;
    let expect = [
        (Fate::Accepted, 1),
        (Fate::Stale, REQUESTS_KEPT),
        (Fate::SchemaInvalid, 1),
        (Fate::Quarantined, 1),
    ];
    assert_eq!(found, expect);
    assert_eq!(bench.counted(&other).await, [(Fate::Unverified, 3)]);
    let kept = bench.store.request(bench.environment, named(&source), {
        RequestId(Id { key: accepted.key(), shard: 0, nonce: 0 })
    });
    assert_eq!(kept.await, Err(ReadError::NotFound("request")), "the random bits count");
    // What is held is bounded for itself.
    log(&source, Fate::Quarantined, REQUESTS_KEPT).await;
    bench.sweep(NOW).await;
    let expect =
        [(Fate::Accepted, 1), (Fate::Stale, REQUESTS_KEPT), (Fate::Quarantined, REQUESTS_KEPT)];
    assert_eq!(bench.counted(&source).await, expect);
    // And everything has its time.
    bench.sweep(EXPIRY).await;
    assert_eq!(bench.counted(&source).await, []);
    assert_eq!(bench.counted(&other).await, []);
}

/// However fast it comes.
pub(super) async fn a_flood_of_requests_stays_small_without_a_sweep(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let new = |_| bench.store.log_request(refused(&bench, &source, Fate::Unverified));
    for logged in (0..2 * REQUESTS_KEPT).map(new).collect::<Vec<_>>() {
        logged.await.unwrap();
    }
    let [(_, kept)] = bench.counted(&source).await[..] else { panic!("all of one fate") };
    assert!((REQUESTS_KEPT..3 * REQUESTS_KEPT / 2).contains(&kept), "{kept} are kept");
}

/// Deleting the content of a message leaves it nowhere.
pub(super) async fn an_expunged_message_is_expunged_as_it_arrived(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let scope = scope_of(&bench, &source);
    let claim = Some(bench.claim("delivery-1", "body"));
    bench.store.log_request(refused(&bench, &source, Fate::Quarantined)).await.unwrap();
    let kept = only_request(&bench, &source).await;
    let again = release(&kept, vec![arrived(&bench, &source)]);
    let Ok(Released::Now(released)) = bench.store.release(again).await else {
        panic!("it was released before")
    };
    let released = released[0].id;
    let accepted = Append { claim, ..arrived(&bench, &source) };
    let accepted = bench.append_one(accepted).await.unwrap().id;
    let again = Append { claim, ..arrived(&bench, &source) };
    assert!(bench.append_one(again).await.unwrap().repeated);
    bench.store.log_request(refused(&bench, &source, Fate::Quarantined)).await.unwrap();
    let sent = [released, accepted].map(|id| Reference::Id(id.0)).to_vec();
    bench.store.expunge(scope, sent).await.unwrap();
    let listed = requests(&bench, &source, all()).await;
    let mut left = Vec::new();
    for listed in listed {
        let read = request(&bench, &source, listed.id).await;
        left.push((read.fate, read.body.is_some(), !read.headers.is_empty()));
    }
    let expect = [
        (Fate::Accepted, false, false),
        (Fate::Accepted, false, false),
        (Fate::Duplicate, false, false),
        (Fate::Quarantined, true, true),
    ];
    assert_eq!(left, expect);
    let message = bench.store.message(scope, Reference::Id(accepted.0), true).await.unwrap();
    assert_eq!((message.payload, message.headers), (None, None));
}

pub(super) async fn nobody_reads_what_arrived_elsewhere(bench: Bench<'_>) {
    let source = bench.source("one").await;
    bench.append_one(arrived(&bench, &source)).await.unwrap();
    let request = only_request(&bench, &source).await.id;
    let elsewhere = bench.other_environment().await;
    let neighbour = bench.source("two").await;
    let store = &bench.store;
    let missing = || ReadError::NotFound("source");
    let guessed = Reference::Id(Id { nonce: source.id.0.nonce ^ 1, ..source.id.0 });
    for (environment, name) in [
        (elsewhere, named(&source)),
        (elsewhere, uid("one")),
        (0, named(&source)),
        (bench.environment, guessed),
    ] {
        assert_eq!(store.source(environment, name.clone()).await, Err(missing()));
        let found = store.request(environment, name.clone(), request).await;
        assert_eq!(found, Err(missing()));
        let found = store.requests(environment, name.clone(), all()).await;
        assert_eq!(found, Err(missing()));
        let changed =
            store.change_source(environment, name.clone(), SourceChange::default(), at(9)).await;
        assert_eq!(changed, Err(WriteError::NotFound("source")));
        let rotated = store.rotate_source_token(RotateSourceToken {
            environment,
            source: name.clone(),
            hash: hash(250),
            sealed: vec![],
            old_until: NOW,
            now: NOW,
            answer: None,
        });
        assert_eq!(rotated.await, Err(WriteError::NotFound("source")));
        let deleted = store.delete_source(environment, name, NOW).await;
        assert_eq!(deleted, Err(WriteError::NotFound("source")));
    }
    let page = everything(Order::Ascending);
    assert_eq!(store.sources(elsewhere, page).await.unwrap().items, []);
    // Another source's request is not there, nor one whose random bits are wrong.
    let found = store.request(bench.environment, named(&neighbour), request).await;
    assert_eq!(found, Err(ReadError::NotFound("request")));
    assert_eq!(requests(&bench, &neighbour, all()).await, []);
    let guessed = RequestId(Id { nonce: request.0.nonce ^ 1, ..request.0 });
    let found = store.request(bench.environment, named(&source), guessed).await;
    assert_eq!(found, Err(ReadError::NotFound("request")));
    assert_eq!(store.source(bench.environment, named(&source)).await, Ok(source));
}

impl Bench<'_> {
    /// An append to an application by its id.
    fn to_application(&self, application: ApplicationId, message: NewMessage) -> Append {
        let application = Reference::Id(application.0);
        Append { environment: self.environment, application, message, claim: None }
    }

    /// How many requests of each fate a source has, by the fate's number.
    async fn counted(&self, source: &Source) -> Vec<(Fate, usize)> {
        let mut counts = [0; Fate::ALL.len()];
        let page = Page { limit: 10_000, ..everything(Order::Ascending) };
        for request in requests(self, source, RequestQuery { page, ..all() }).await {
            counts[request.fate.number() as usize] += 1;
        }
        let counted = Fate::ALL.into_iter().zip(counts);
        counted.filter(|(_, count)| *count > 0).collect()
    }
}
