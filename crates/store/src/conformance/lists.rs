//! Lists: every page fits to the next, nothing is left out or shown twice.

use ringback_domain::{
    id::{Id, Key},
    scope::Reference,
};

use super::bench::{
    Bench, NOW, all_attempts, all_messages, at, everything, reference, uid, words,
};
use crate::*;

/// Walks a list page by page, forwards from its start and then backwards from its end, and checks
/// both against `expect`.
async fn walk<T: Identified, F>(expect: &[Key], order: Order, list: impl Fn(Page) -> F)
where
    F: Future<Output = Listed<T>>,
{
    let expect: Vec<Key> = match order {
        Order::Ascending => expect.to_vec(),
        Order::Descending => expect.iter().rev().copied().collect(),
    };
    for limit in [1, 2, expect.len(), expect.len() + 1] {
        let mut seen: Vec<Id> = Vec::new();
        loop {
            let from = seen.last().map_or(Position::Start, |id| Position::After(*id));
            let listed = list(Page { limit, from, order }).await;
            assert!(listed.items.len() <= limit);
            seen.extend(listed.items.iter().map(Identified::id));
            assert_eq!(listed.done, seen.len() == expect.len(), "limit {limit}");
            if listed.done {
                break;
            }
        }
        assert_eq!(seen.iter().map(|id| id.key).collect::<Vec<_>>(), expect);

        let mut back: Vec<Key> = Vec::new();
        let mut first = *seen.last().unwrap();
        loop {
            let from = Position::Before(first);
            let listed = list(Page { limit, from, order }).await;
            let page: Vec<Id> = listed.items.iter().map(Identified::id).collect();
            back.splice(0..0, page.iter().map(|id| id.key));
            assert_eq!(listed.done, back.len() == expect.len() - 1, "limit {limit}");
            if listed.done {
                break;
            }
            first = page[0];
        }
        assert_eq!(back, expect[..expect.len() - 1]);
    }
}

pub(super) async fn pages_join_in_both_orders_and_both_ways(bench: Bench<'_>) {
    let scope = bench.application("a").await;
    let mut applications = vec![scope.application];
    for name in ["b", "c", "d", "e"] {
        applications.push(bench.application(name).await.application);
    }
    let (mut endpoints, mut messages, mut attempts) = (Vec::new(), Vec::new(), Vec::new());
    let target = bench.endpoint(scope).await;
    endpoints.push(target.id.key());
    for _ in 0..4 {
        endpoints.push(bench.filtered(scope, Some(&["other"]), None).await.id.key());
    }
    for _ in 0..5 {
        messages.push(bench.send(scope, bench.message()).await.id.key());
    }
    for due in bench.due(&target, NOW).await.due {
        let record = bench.attempt(&due, 200);
        attempts.push(record.id.key());
        bench.record(record).await;
    }
    applications.sort_unstable();
    endpoints.sort_unstable();
    let store = &bench.store;
    for order in [Order::Ascending, Order::Descending] {
        let environment = bench.environment;
        walk(&applications, order, |page| async {
            store.applications(environment, page).await.unwrap()
        })
        .await;
        walk(&endpoints, order, |page| async { store.endpoints(scope, Targets::All, page).await.unwrap() })
            .await;
        walk(&messages, order, |page| async {
            store.messages(scope, MessageQuery { page, ..all_messages() }).await.unwrap()
        })
        .await;
        walk(&attempts, order, |page| async {
            store.attempts(scope, AttemptQuery { page, ..all_attempts() }).await.unwrap()
        })
        .await;
        let to_target = AttemptQuery { endpoint: Some(reference(&target)), ..all_attempts() };
        walk(&attempts, order, |page| async {
            store.attempts(scope, AttemptQuery { page, ..to_target.clone() }).await.unwrap()
        })
        .await;
    }
}

pub(super) async fn a_cursor_may_be_deleted(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let mut endpoints = Vec::new();
    for _ in 0..4 {
        endpoints.push(bench.endpoint(scope).await);
    }
    endpoints.sort_by_key(|endpoint| endpoint.id);
    let page = Page { limit: 2, ..everything(Order::Ascending) };
    let first = bench.store.endpoints(scope, Targets::All, page.clone()).await.unwrap();
    let cursor = first.items[1].id.0;
    for endpoint in &endpoints[1..3] {
        bench.store.delete_endpoint(scope, reference(endpoint), NOW).await.unwrap();
    }
    let after = Page { from: Position::After(cursor), ..page.clone() };
    let after = bench.store.endpoints(scope, Targets::All, after).await.unwrap();
    assert_eq!((after.items, after.done), (vec![endpoints[3].clone()], true));
    let before = Page { from: Position::Before(cursor), ..page };
    let before = bench.store.endpoints(scope, Targets::All, before).await.unwrap();
    assert_eq!((before.items, before.done), (vec![endpoints[0].clone()], true));
}

pub(super) async fn event_types_are_listed_by_name(bench: Bench<'_>) {
    for name in ["c", "a", "b.1", "b"] {
        bench.store.create_event_type(bench.new_event_type(name)).await.unwrap();
    }
    let list = async |from, order| {
        let query = EventTypeQuery { limit: 2, from, order, include_archived: false, flags: None };
        let listed = bench.store.event_types(bench.environment, query).await.unwrap();
        let names: Vec<_> = listed.items.into_iter().map(|one| one.name).collect();
        (names.join(" "), listed.done)
    };
    let name = |text: &str| text.to_owned();
    for (from, order, expect, done) in [
        (Position::Start, Order::Ascending, "a b", false),
        (Position::After(name("b")), Order::Ascending, "b.1 c", true),
        (Position::After(name("bzzz")), Order::Ascending, "c", true),
        (Position::Before(name("c")), Order::Ascending, "b b.1", false),
        (Position::Start, Order::Descending, "c b.1", false),
        (Position::After(name("b.1")), Order::Descending, "b a", true),
        (Position::Before(name("b")), Order::Descending, "c b.1", true),
    ] {
        let got = list(from.clone(), order).await;
        assert_eq!((got.0.as_str(), got.1), (expect, done), "{from:?} {order:?}");
    }
}

pub(super) async fn messages_are_filtered(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let mut ids = Vec::new();
    for (seconds, event_type, channels, tags) in [
        (1, "a", None, None),
        (2, "b", Some(words(&["x", "y"])), None),
        (3, "a", Some(words(&["y"])), Some(words(&["t", "it's"]))),
    ] {
        let message = NewMessage {
            accepted_at: at(seconds),
            event_type: event_type.to_owned(),
            channels,
            tags,
            ..bench.message()
        };
        ids.push(bench.send(scope, message).await.id);
    }
    let check = async |query: MessageQuery, expect: &[usize]| {
        let listed = bench.store.messages(scope, query.clone()).await.unwrap();
        assert!(listed.done);
        let found: Vec<_> = listed.items.iter().map(|message| message.id).collect();
        let expect: Vec<_> = expect.iter().map(|index| ids[*index]).collect();
        assert_eq!(found, expect, "{query:?}");
        let loaded = listed.items.iter().all(|one| one.payload.is_some() == query.with_content);
        assert!(loaded, "content comes when it is asked for");
    };
    let some = |text: &str| Some(text.to_owned());
    let all = all_messages;
    check(all(), &[0, 1, 2]).await;
    check(MessageQuery { with_content: true, ..all() }, &[0, 1, 2]).await;
    check(MessageQuery { event_types: words(&["a", "z"]), ..all() }, &[0, 2]).await;
    check(MessageQuery { channel: some("y"), ..all() }, &[1, 2]).await;
    check(MessageQuery { channel: some("Y"), ..all() }, &[]).await;
    check(MessageQuery { tag: some("it's"), ..all() }, &[2]).await;
    check(MessageQuery { after: Some(at(1)), ..all() }, &[1, 2]).await;
    check(MessageQuery { before: Some(at(3)), ..all() }, &[0, 1]).await;
    let between = MessageQuery { after: Some(at(1)), before: Some(at(3)), ..all() };
    check(between, &[1]).await;
}

pub(super) async fn attempts_are_filtered(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let [first, second] =
        [bench.endpoint(scope).await, bench.filtered(scope, None, Some(&["x"])).await];
    let tagged = NewMessage {
        event_type: "b".to_owned(),
        channels: Some(words(&["x"])),
        tags: Some(words(&["t"])),
        event_id: Some("order-1".to_owned()),
        ..bench.message()
    };
    bench.send(scope, bench.message()).await;
    bench.send(scope, tagged).await;
    let due = bench.due(&first, NOW).await.due;
    let records = [
        bench.attempt(&due[0], 200),
        Record { revision: first.revision, ..bench.retry(&due[1], at(5)) },
        bench.attempt(&bench.only_due(&second).await, 404),
    ];
    bench.store.record(records.to_vec()).await.unwrap();
    let check = async |query: AttemptQuery, expect: &[usize]| {
        let listed = bench.store.attempts(scope, query.clone()).await.unwrap();
        let found: Vec<_> = listed.items.iter().map(|attempt| attempt.id).collect();
        let expect: Vec<_> = expect.iter().map(|index| records[*index].id).collect();
        assert_eq!((found, listed.done), (expect, true), "{query:?}");
    };
    let some = |text: &str| Some(text.to_owned());
    let all = all_attempts;
    check(all(), &[0, 1, 2]).await;
    let of = Reference::Id(due[0].content.id.0);
    check(AttemptQuery { message: Some(of), ..all() }, &[0]).await;
    check(AttemptQuery { message: Some(uid("order-1")), ..all() }, &[1, 2]).await;
    let to = || Some(reference(&first));
    check(AttemptQuery { endpoint: to(), ..all() }, &[0, 1]).await;
    let both = AttemptQuery { endpoint: to(), message: Some(uid("order-1")), ..all() };
    check(both, &[1]).await;
    check(AttemptQuery { succeeded: Some(true), ..all() }, &[0]).await;
    check(AttemptQuery { succeeded: Some(false), ..all() }, &[1, 2]).await;
    check(AttemptQuery { retrying: Some(true), ..all() }, &[1]).await;
    check(AttemptQuery { retrying: Some(false), ..all() }, &[2]).await;
    check(AttemptQuery { status_codes: Some((400, 499)), ..all() }, &[2]).await;
    check(AttemptQuery { event_types: words(&["b"]), ..all() }, &[1, 2]).await;
    check(AttemptQuery { channel: some("x"), ..all() }, &[1, 2]).await;
    check(AttemptQuery { tag: some("none"), ..all() }, &[]).await;
    check(AttemptQuery { before: Some(NOW), ..all() }, &[]).await;
    check(AttemptQuery { before: Some(at(1)), ..all() }, &[0, 1, 2]).await;
    check(AttemptQuery { after: Some(NOW), ..all() }, &[]).await;

    // The URL is the one that was used, whatever it is now.
    let url = Some(("https://moved.example/".to_owned(), None));
    let change = EndpointChange { url, ..EndpointChange::default() };
    bench.store.change_endpoint(scope, reference(&first), change, NOW).await.unwrap();
    let of = uid("order-1");
    let attempt = bench.store.attempt(scope, of, records[1].id).await.unwrap();
    assert_eq!(attempt.url, first.url);
    let listed = bench.store.attempts(scope, all()).await.unwrap().items;
    assert_eq!(listed[1], attempt);

    for (message, endpoint, missing) in
        [(Some(uid("unknown")), None, "message"), (None, Some(uid("unknown")), "endpoint")]
    {
        let query = AttemptQuery { message, endpoint, ..all() };
        let listed = bench.store.attempts(scope, query).await;
        assert_eq!(listed, Err(ReadError::NotFound(missing)));
    }
}
