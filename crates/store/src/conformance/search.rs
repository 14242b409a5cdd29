//! Searching: by what became of a message, and never further than a page may look.

use ringback_domain::{
    endpoint::{Endpoint, State},
    id::{Key, MessageId},
    scope::{Reference, Scope},
};

use super::bench::{
    Bench, NOW, all_attempts, all_messages, at, everything, reference, uid, words,
};
use crate::*;

fn all() -> MessageSearch {
    MessageSearch { query: all_messages(), status: None }
}

fn with(status: DeliveryStatus) -> MessageSearch {
    MessageSearch { status: Some(status), ..all() }
}

/// The messages that are at an endpoint, with how far they are and when they are due.
async fn at_endpoint(
    bench: &Bench<'_>,
    scope: Scope,
    endpoint: &Endpoint,
    search: MessageSearch,
) -> Vec<(MessageId, DeliveryStatus, bool)> {
    let found = bench.store.attempted_messages(scope, reference(endpoint), search).await.unwrap();
    assert!(found.done);
    found.items.into_iter().map(|one| (one.message.id, one.status, one.due_at.is_some())).collect()
}

/// A message for every status, in the order of `expect`: delivered, new, given up, waiting for its
/// second attempt, and given up but resent.
pub(super) async fn one_of_each(bench: &Bench<'_>, scope: Scope, endpoint: &Endpoint) -> Vec<Due> {
    for _ in 0..5 {
        bench.send(scope, bench.message()).await;
    }
    let due = bench.due(endpoint, NOW).await.due;
    assert_eq!(due.len(), 5);
    bench.record(bench.attempt(&due[0], 200)).await;
    bench.record(bench.attempt(&due[2], 500)).await;
    bench.record(bench.retry(&due[3], at(5))).await;
    bench.record(bench.attempt(&due[4], 500)).await;
    let again = bench.resend(scope, due[4].content.id, endpoint);
    let again = bench.store.resend(again).await.unwrap();
    bench.record(bench.attempt(&again, 200)).await;
    due
}

pub(super) async fn messages_are_found_by_what_became_of_them(bench: Bench<'_>) {
    use DeliveryStatus::{Canceled, Fail, Pending, Sending, Success};
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let due = one_of_each(&bench, scope, &endpoint).await;
    let id = |index: usize| due[index].content.id;
    for (status, open, expect) in [
        (Success, false, &[0, 4][..]),
        (Pending, true, &[1]),
        (Fail, false, &[2]),
        (Sending, true, &[3]),
        (Canceled, false, &[]),
    ] {
        let expect: Vec<_> = expect.iter().map(|index| (id(*index), status, open)).collect();
        assert_eq!(at_endpoint(&bench, scope, &endpoint, with(status)).await, expect);
        let found = bench.store.search_messages(scope, with(status)).await.unwrap();
        let found: Vec<_> = found.items.iter().map(|message| (message.id, status, open)).collect();
        assert_eq!(found, expect, "{status:?}");
    }
    let all: Vec<_> = at_endpoint(&bench, scope, &endpoint, all()).await;
    let ids: Vec<_> = all.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids, (0..5).map(id).collect::<Vec<_>>());

    // One that was given up is on its way again while a resend is planned.
    let again = bench.store.resend(bench.resend(scope, id(2), &endpoint)).await.unwrap();
    let sending = at_endpoint(&bench, scope, &endpoint, with(Sending)).await;
    assert_eq!(sending, [(id(2), Sending, true), (id(3), Sending, true)]);
    bench.record(bench.attempt(&again, 500)).await;
    assert_eq!(at_endpoint(&bench, scope, &endpoint, with(Fail)).await, [(id(2), Fail, false)]);

    // What is open at a deleted endpoint will never be sent.
    bench.store.delete_endpoint(scope, reference(&endpoint), NOW).await.unwrap();
    let found = bench.store.search_messages(scope, with(Canceled)).await.unwrap();
    let found: Vec<_> = found.items.iter().map(|message| message.id).collect();
    assert_eq!(found, [id(1), id(3)]);
    assert_eq!(bench.store.search_messages(scope, with(Pending)).await.unwrap().items, []);
    assert_eq!(bench.store.search_messages(scope, with(Sending)).await.unwrap().items, []);
}

pub(super) async fn one_endpoint_is_not_another(bench: Bench<'_>) {
    use DeliveryStatus::{Pending, Success};
    let scope = bench.application("one").await;
    let first = bench.endpoint(scope).await;
    let picky = bench.filtered(scope, Some(&["rare"]), None).await;
    let common = bench.send(scope, bench.message()).await.id;
    let rare = NewMessage {
        event_type: "rare".to_owned(),
        channels: Some(words(&["x"])),
        tags: Some(words(&["t"])),
        ..bench.message()
    };
    let rare = bench.send(scope, rare).await.id;
    assert_eq!(at_endpoint(&bench, scope, &picky, all()).await, [(rare, Pending, true)]);
    let due = bench.only_due(&picky).await;
    bench.record(bench.attempt(&due, 204)).await;
    assert_eq!(at_endpoint(&bench, scope, &picky, all()).await, [(rare, Success, false)]);
    let both = [(common, Pending, true), (rare, Pending, true)];
    assert_eq!(at_endpoint(&bench, scope, &first, all()).await, both);
    // At one or more endpoints: it is delivered at the one and new at the other.
    for status in [Pending, Success] {
        let found = bench.store.search_messages(scope, with(status)).await.unwrap();
        assert!(found.items.iter().any(|message| message.id == rare), "{status:?}");
    }
    // Somebody asked for it, though it was not for this endpoint.
    bench.store.resend(bench.resend(scope, common, &picky)).await.unwrap();
    let asked = [(common, Pending, true), (rare, Success, false)];
    assert_eq!(at_endpoint(&bench, scope, &picky, all()).await, asked);

    let query = |query: MessageQuery| MessageSearch { query, status: None };
    for (search, expect) in [
        (MessageQuery { event_types: words(&["rare", "z"]), ..all_messages() }, Some(rare)),
        (MessageQuery { channel: Some("x".to_owned()), ..all_messages() }, Some(rare)),
        (MessageQuery { tag: Some("t".to_owned()), ..all_messages() }, Some(rare)),
        (MessageQuery { tag: Some("T".to_owned()), ..all_messages() }, None),
        (MessageQuery { before: Some(NOW), ..all_messages() }, None),
    ] {
        let found = at_endpoint(&bench, scope, &first, query(search.clone())).await;
        assert_eq!(found.first().map(|one| one.0), expect, "{search:?}");
        let found = bench.store.search_messages(scope, query(search)).await.unwrap();
        assert_eq!(found.items.first().map(|one| one.id), expect);
    }
    let content = query(MessageQuery { with_content: true, ..all_messages() });
    let found = bench.store.attempted_messages(scope, reference(&first), content).await.unwrap();
    assert!(found.items.iter().all(|one| one.message.payload.is_some()));
}

pub(super) async fn every_endpoint_of_a_message_is_listed(bench: Bench<'_>) {
    use DeliveryStatus::{Canceled, Pending, Sending, Success};
    let scope = bench.application("one").await;
    let [delivered, failing, fresh, gone] = [
        bench.endpoint(scope).await,
        bench.endpoint(scope).await,
        bench.endpoint(scope).await,
        bench.endpoint(scope).await,
    ];
    let other = bench.filtered(scope, Some(&["other"]), None).await;
    let event_id = Some("order-1".to_owned());
    bench.send(scope, NewMessage { event_id, ..bench.message() }).await;
    bench.record(bench.attempt(&bench.only_due(&delivered).await, 200)).await;
    bench.record(bench.retry(&bench.only_due(&failing).await, at(7))).await;
    bench.store.delete_endpoint(scope, reference(&gone), NOW).await.unwrap();
    bench.set_state(scope, &fresh, State::Paused).await;
    let mut expect = vec![
        (delivered.id, Success, None),
        (failing.id, Sending, Some(at(7))),
        (fresh.id, Pending, Some(NOW)),
        (gone.id, Canceled, Some(NOW)),
    ];
    expect.sort_unstable_by_key(|one| one.0);
    for order in [Order::Ascending, Order::Descending] {
        let mut seen = Vec::new();
        let mut from = Position::Start;
        loop {
            let page = Page { limit: 3, from, order };
            let listed = bench.store.attempted_endpoints(scope, uid("order-1"), page).await;
            let listed = listed.unwrap();
            let shown = |one: &AttemptedEndpoint| (one.endpoint.id, one.status, one.due_at);
            seen.extend(listed.items.iter().map(shown));
            if listed.done {
                break;
            }
            from = Position::After(seen.last().unwrap().0.0);
        }
        assert_eq!(seen, expect, "{order:?}");
        expect.reverse();
    }
    assert!(expect.iter().all(|one| one.0 != other.id), "it was not for this one");
}

pub(super) async fn a_page_looks_at_a_bounded_number(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let rare = NewMessage { tags: Some(words(&["rare"])), ..bench.message() };
    let rare = bench.send(scope, rare).await.id;
    let (due_first, many) = (bench.only_due(&endpoint).await, LOOK + 50);
    let batch: Vec<_> = (0..many).map(|_| bench.to(scope, bench.message())).collect();
    assert!(bench.store.append(batch).await.iter().all(Result::is_ok));
    let query = DueQuery { endpoint: endpoint.id.key(), until: NOW, limit: many + 1, bytes: 1 << 30 };
    let due = bench.store.due(query).await.unwrap().due;
    let records: Vec<Record> = due
        .iter()
        .map(|one| bench.attempt(one, if one.delivery == due_first.delivery { 500 } else { 200 }))
        .collect();
    let failed = records.iter().find(|one| one.status_code == 500).unwrap().id;
    bench.store.record(records).await.unwrap();

    let messages = |search: MessageSearch| async {
        bench.store.search_messages(scope, search).await.unwrap()
    };
    let tagged = MessageQuery { tag: Some("rare".to_owned()), ..all_messages() };
    let tagged = MessageSearch { query: tagged, status: None };
    let fail = with(DeliveryStatus::Fail);
    for search in [tagged.clone(), fail.clone()] {
        let found = walk(search, messages).await;
        assert_eq!(found, [(0, vec![]), (1, vec![rare.key()])]);
    }
    let at_endpoint = |search: MessageSearch| async {
        bench.store.attempted_messages(scope, reference(&endpoint), search).await.unwrap()
    };
    for search in [tagged, fail] {
        let found = walk(search, at_endpoint).await;
        assert_eq!(found, [(0, vec![]), (1, vec![rare.key()])]);
    }
    let failures =
        AttemptQuery { endpoint: Some(reference(&endpoint)), succeeded: Some(false), ..all_attempts() };
    let page = Page { from: Position::Start, ..everything(Order::Descending) };
    let first = AttemptQuery { page: page.clone(), ..failures.clone() };
    let first = bench.store.search_attempts(scope, first).await.unwrap();
    assert_eq!((first.items.len(), first.done), (0, false));
    let from = first.next(&page.from).unwrap();
    let second = AttemptQuery { page: Page { from, ..page }, ..failures };
    let second = bench.store.search_attempts(scope, second).await.unwrap();
    assert_eq!(second.items.iter().map(|one| one.id).collect::<Vec<_>>(), [failed]);
    assert!(second.done);

    // What leaves nothing out looks at no more than it shows.
    let plain = walk(MessageSearch { status: None, ..all() }, messages).await;
    assert_eq!(plain.len(), (many + 1).div_ceil(100));
    assert!(plain.iter().all(|(_, keys)| keys.len() == 100 || keys.len() == (many + 1) % 100));
}

/// The keys on each page of a search, newest first.
async fn walk<T: Identified, F: Future<Output = Found<T>>>(
    mut search: MessageSearch,
    find: impl Fn(MessageSearch) -> F,
) -> Vec<(usize, Vec<Key>)> {
    search.query.page = everything(Order::Descending);
    let mut pages = Vec::new();
    loop {
        let found = find(search.clone()).await;
        pages.push((pages.len(), found.items.iter().map(|one| one.id().key).collect()));
        match found.next(&search.query.page.from) {
            Some(from) => search.query.page.from = from,
            None => return pages,
        }
        assert!(pages.len() < 1_000, "it ends");
    }
}

pub(super) async fn messages_are_found_by_their_keys(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let first = bench.send(scope, bench.message()).await.id;
    let second = bench.send(scope, bench.message()).await.id;
    let keys = vec![second.key(), first.key(), second.key(), second.key() + 1];
    let found = bench.store.messages_of(scope, keys).await.unwrap();
    assert_eq!(found.iter().map(|message| message.id).collect::<Vec<_>>(), [first, second]);
    assert_eq!(bench.store.messages_of(scope, vec![]).await, Ok(vec![]));
}

pub(super) async fn nobody_finds_what_belongs_to_others(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let message = bench.send(scope, bench.message()).await.id;
    let elsewhere = Scope { environment: bench.other_environment().await, ..scope };
    for foreign in [bench.application("two").await, elsewhere] {
        let found = bench.store.search_messages(foreign, all()).await.unwrap();
        assert_eq!((found.items, found.done), (vec![], true));
        let found = bench.store.attempted_messages(foreign, reference(&endpoint), all()).await;
        assert_eq!(found, Err(ReadError::NotFound("endpoint")));
        let found = bench.store.messages_of(foreign, vec![message.key()]).await;
        assert_eq!(found, Ok(vec![]));
        let of = Reference::Id(message.0);
        let found =
            bench.store.attempted_endpoints(foreign, of.clone(), everything(Order::Ascending));
        assert_eq!(found.await, Err(ReadError::NotFound("message")));
        let query = AttemptQuery { message: Some(of), ..all_attempts() };
        let found = bench.store.search_attempts(foreign, query).await;
        assert_eq!(found, Err(ReadError::NotFound("message")));
        let window = Window { since: NOW, until: at(1), most: 10 };
        let counted = bench.store.endpoint_stats(foreign, reference(&endpoint), window).await;
        assert_eq!(counted, Err(ReadError::NotFound("endpoint")));
        let counted = bench.store.attempt_stats(foreign, reference(&endpoint), window).await;
        assert_eq!(counted, Err(ReadError::NotFound("endpoint")));
        assert_eq!(bench.store.usage(foreign, window, 0).await, Ok(Usage::default()));
    }
}
