//! Deliveries with the same ordering key are made one after the other, whatever happens to them.

use ringback_domain::{
    attempt::{Outcome, Trigger},
    endpoint::Endpoint,
    scope::{Reference, Scope},
};

use super::bench::{Bench, NOW, at, reference};
use crate::*;

pub(super) const BLOCK: &str = r#"{"order":{"onExhausted":"block"}}"#;
pub(super) const SKIP: &str = r#"{"order":{"onExhausted":"skip"}}"#;

/// An application with an endpoint that keeps an order.
pub(super) async fn ordered(bench: &Bench<'_>) -> (Scope, Endpoint) {
    ordered_in(bench, "one").await
}

/// The same in an application with this uid.
pub(super) async fn ordered_in(bench: &Bench<'_>, uid: &str) -> (Scope, Endpoint) {
    let scope = bench.application(uid).await;
    let mut new = bench.new_endpoint(scope);
    new.endpoint.delivery = Some(BLOCK.to_owned());
    (scope, bench.store.create_endpoint(new).await.unwrap())
}

/// Sends a message with an ordering key; returns its key.
async fn send(bench: &Bench<'_>, scope: Scope, ordering_key: &str) -> i64 {
    let ordering_key = Some(ordering_key.to_owned());
    bench.send(scope, NewMessage { ordering_key, ..bench.message() }).await.id.key()
}

/// The keys of the messages whose deliveries are due.
async fn due(bench: &Bench<'_>, endpoint: &Endpoint) -> Vec<i64> {
    let mut due: Vec<i64> =
        bench.due_all(endpoint, at(60)).await.iter().map(|due| due.content.id.key()).collect();
    due.sort_unstable();
    due
}

/// The delivery of this message, which is due.
async fn due_of(bench: &Bench<'_>, endpoint: &Endpoint, message: i64) -> Due {
    let mut due = bench.due_all(endpoint, at(60)).await;
    due.retain(|due| due.content.id.key() == message);
    due.pop().unwrap()
}

fn blocked(bench: &Bench<'_>, due: &Due) -> Record {
    Record { outcome: Outcome::Blocked, ..bench.attempt(due, 500) }
}

async fn rank(bench: &Bench<'_>, scope: Scope, message: i64) -> Option<Rank> {
    let page = bench.store.messages(scope, super::bench::all_messages()).await.unwrap();
    let id = page.items.iter().find(|one| one.id.key() == message).unwrap().id;
    let told = bench.store.explain(scope, Reference::Id(id.0)).await.unwrap();
    told.endpoints[0].pending.map(|pending| pending.rank)
}

pub(super) async fn of_an_order_one_is_due(mut bench: Bench<'_>) {
    let (scope, endpoint) = ordered(&bench).await;
    let other = bench.endpoint(scope).await;
    let (first, second) = (send(&bench, scope, "k").await, send(&bench, scope, "k").await);
    let beside = send(&bench, scope, "j").await;
    let third = send(&bench, scope, "k").await;
    let without = bench.send(scope, bench.message()).await;
    assert_eq!(*without.ordered, [endpoint.id.key()], "one of the two keeps an order");
    bench.reopen().await;
    assert_eq!(due(&bench, &endpoint).await, [first, beside, without.id.key()]);
    assert_eq!(due(&bench, &other).await.len(), 5, "no order, no waiting");
    assert_eq!(bench.due(&endpoint, at(60)).await.next_due, None, "nothing waits for a time");
    assert_eq!(rank(&bench, scope, first).await, Some(Rank::First));
    assert_eq!(rank(&bench, scope, second).await, Some(Rank::Waits));

    let mut sequences = Vec::new();
    let one = due_of(&bench, &endpoint, first).await;
    sequences.push(one.sequence.unwrap());
    assert!(bench.record(bench.retry(&one, at(5))).await.applied);
    assert_eq!(bench.due_all(&endpoint, NOW).await.len(), 2, "what is tried again goes first");
    let again = due_of(&bench, &endpoint, first).await;
    assert_eq!((again.sequence, again.due_at), (one.sequence, at(5)));
    assert!(bench.record(bench.attempt(&again, 200)).await.applied);
    let next = due_of(&bench, &endpoint, second).await;
    assert_eq!(next.due_at, NOW, "it was due when it came");
    sequences.push(next.sequence.unwrap());
    assert!(bench.record(bench.filtered_out(&next)).await.applied);
    let last = due_of(&bench, &endpoint, third).await;
    sequences.push(last.sequence.unwrap());
    assert!(bench.record(bench.attempt(&last, 200)).await.applied);
    let late = send(&bench, scope, "k").await;
    sequences.push(due_of(&bench, &endpoint, late).await.sequence.unwrap());
    assert!(sequences.is_sorted_by(|one, next| one < next), "{sequences:?}");
    assert_eq!(due(&bench, &endpoint).await, [beside, without.id.key(), late]);
}

pub(super) async fn a_batch_is_in_order(bench: Bench<'_>) {
    let (scope, endpoint) = ordered(&bench).await;
    let message = |key: &str| {
        let ordering_key = Some(key.to_owned());
        bench.to(scope, NewMessage { ordering_key, ..bench.message() })
    };
    // One of them has been there before: it is left out, and the others are judged one by one.
    let claim = Some(bench.claim("key", "body"));
    bench.append_one(Append { claim, ..message("k") }).await.unwrap();
    let again = Append { claim, ..message("k") };
    let batch = vec![message("k"), again, message("j"), message("k"), message("j")];
    let appended = bench.store.append(batch).await;
    let keys: Vec<i64> = appended.iter().map(|one| one.as_ref().unwrap().id.key()).collect();
    let mut seen = Vec::new();
    while let Some(one) = bench.due_all(&endpoint, NOW).await.into_iter().next_back() {
        seen.push((one.content.id.key(), one.sequence));
        assert!(bench.record(bench.attempt(&one, 200)).await.applied);
    }
    let of = |wanted: &[usize]| {
        let places: Vec<_> = wanted.iter().map(|index| keys[*index]).collect();
        let found: Vec<_> = seen.iter().filter(|(key, _)| places.contains(key)).collect();
        let in_order = found.is_sorted_by(|one, next| one.0 < next.0 && one.1 < next.1);
        assert!(found.len() == wanted.len() && in_order, "{wanted:?}: {seen:?}");
    };
    of(&[1, 0, 3]);
    of(&[2, 4]);
}

pub(super) async fn what_blocks_an_order_stays(mut bench: Bench<'_>) {
    let (scope, endpoint) = ordered(&bench).await;
    let (first, second) = (send(&bench, scope, "k").await, send(&bench, scope, "k").await);
    let one = due_of(&bench, &endpoint, first).await;
    assert!(bench.record(blocked(&bench, &one)).await.applied);
    bench.reopen().await;
    assert!(due(&bench, &endpoint).await.is_empty());
    assert_eq!(bench.store.waiting_endpoints(0, 10).await, Ok(Vec::new()));
    assert_eq!(bench.due(&endpoint, at(60)).await.next_due, None);
    let backlog = bench.store.backlog().await.unwrap();
    assert_eq!((backlog.pending, backlog.oldest_due), (2, None));
    assert_eq!(rank(&bench, scope, first).await, Some(Rank::Blocks));
    assert_eq!(rank(&bench, scope, second).await, Some(Rank::Waits));
    let beside = send(&bench, scope, "j").await;
    assert_eq!(due(&bench, &endpoint).await, [beside], "others go on");

    // A manual attempt that fails changes nothing; one that succeeds settles it.
    for (status, expect) in [(500, vec![beside]), (200, vec![second, beside])] {
        let resend = bench.resend(scope, one.content.id, &endpoint);
        let manual = bench.store.resend(resend).await.unwrap();
        assert_eq!((manual.trigger, manual.sequence), (Trigger::Manual, None));
        let recorded = bench.record(bench.attempt(&manual, status)).await;
        assert_eq!(recorded.settled, (status == 200).then_some(one.delivery));
        assert_eq!(due(&bench, &endpoint).await, expect);
    }
}

pub(super) async fn what_blocks_an_order_is_skipped(bench: Bench<'_>) {
    let (scope, endpoint) = ordered(&bench).await;
    let skip = async |key: &str| {
        bench.store.skip(scope, reference(&endpoint), key.to_owned(), None).await
    };
    let missing = Err(WriteError::NotFound("blocked delivery"));
    let (first, second) = (send(&bench, scope, "k").await, send(&bench, scope, "k").await);
    assert_eq!(skip("k").await, missing, "it is still tried");
    let one = due_of(&bench, &endpoint, first).await;
    bench.record(blocked(&bench, &one)).await;
    assert_eq!(skip("j").await, missing);
    let (endpoint_key, message) = (endpoint.id.key(), one.content.id);
    let expect = Skipped { endpoint: endpoint_key, delivery: one.delivery, message };
    assert_eq!(skip("k").await, Ok(expect));
    assert_eq!(due(&bench, &endpoint).await, [second]);
    // Whoever names the message skips no other one by asking twice.
    let two = due_of(&bench, &endpoint, second).await;
    bench.record(blocked(&bench, &two)).await;
    let named = async |message| {
        bench.store.skip(scope, reference(&endpoint), "k".to_owned(), Some(message)).await
    };
    assert_eq!(named(message).await, missing);
    assert_eq!(named(two.content.id).await.map(|it| it.message), Ok(two.content.id));
    assert_eq!(skip("k").await, missing);
    let elsewhere = Scope { application: scope.application + 1, ..scope };
    let foreign = bench.store.skip(elsewhere, reference(&endpoint), "k".to_owned(), None).await;
    assert_eq!(foreign, Err(WriteError::NotFound("endpoint")));
}

pub(super) async fn whatever_goes_lets_the_next_one_go(bench: Bench<'_>) {
    let (scope, endpoint) = ordered(&bench).await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(send(&bench, scope, "k").await);
    }
    let id = async |message: i64| due_of(&bench, &endpoint, message).await.content.id.0;
    // The first is expunged.
    let expunged = vec![Reference::Id(id(all[0]).await)];
    bench.store.expunge(scope, expunged).await.unwrap();
    assert_eq!(due(&bench, &endpoint).await, [all[1]]);
    // One that waits is gone as well: nothing goes for it.
    let page = bench.store.messages(scope, super::bench::all_messages()).await.unwrap().items;
    let third = page.iter().find(|one| one.id.key() == all[2]).unwrap().id;
    bench.store.expunge(scope, vec![Reference::Id(third.0)]).await.unwrap();
    assert_eq!(due(&bench, &endpoint).await, [all[1]]);
    // The last attempt failed.
    let one = due_of(&bench, &endpoint, all[1]).await;
    assert!(bench.record(bench.attempt(&one, 500)).await.applied);
    assert_eq!(due(&bench, &endpoint).await, [all[3]]);
    // Somebody sent the last one by hand: it no longer waits.
    let last = page.iter().find(|one| one.id.key() == all[4]).unwrap().id;
    let manual = bench.store.resend(bench.resend(scope, last, &endpoint)).await.unwrap();
    bench.record(bench.attempt(&manual, 200)).await;
    let one = due_of(&bench, &endpoint, all[3]).await;
    assert!(bench.record(bench.attempt(&one, 200)).await.applied);
    assert!(due(&bench, &endpoint).await.is_empty());
    assert_eq!(bench.store.backlog().await.unwrap().pending, 0);
}

/// Whoever made an attempt knew the endpoint as it was when it began.
pub(super) async fn what_blocks_is_what_the_endpoint_wants_now(bench: Bench<'_>) {
    for wanted in [Some(SKIP), None] {
        let (scope, endpoint) = ordered_in(&bench, wanted.unwrap_or("none")).await;
        let (first, second) = (send(&bench, scope, "k").await, send(&bench, scope, "k").await);
        let one = due_of(&bench, &endpoint, first).await;
        let delivery = Some(wanted.map(str::to_owned));
        let change = EndpointChange { delivery, ..EndpointChange::default() };
        bench.store.change_endpoint(scope, reference(&endpoint), change, at(1)).await.unwrap();
        assert!(bench.record(blocked(&bench, &one)).await.applied);
        assert_eq!(due(&bench, &endpoint).await, [second], "{wanted:?}");
        let told = bench.store.explain(scope, Reference::Id(one.content.id.0)).await.unwrap();
        let last = told.endpoints[0].last.as_ref().unwrap();
        assert_eq!(last.outcome, Outcome::Exhausted, "{wanted:?}");
    }
}

/// More than one transaction lets go.
pub(super) async fn an_order_that_is_given_up_lets_all_go(bench: Bench<'_>) {
    let (scope, endpoint) = ordered(&bench).await;
    let count = crate::ordering::RELEASED as usize * 2 + 10;
    let message = || {
        let ordering_key = Some("k".to_owned());
        bench.to(scope, NewMessage { ordering_key, ..bench.message() })
    };
    let mut left = count;
    while left > 0 {
        let batch: Vec<_> = (0..left.min(500)).map(|_| message()).collect();
        left -= batch.len();
        for appended in bench.store.append(batch).await {
            appended.unwrap();
        }
    }
    assert_eq!(due(&bench, &endpoint).await.len(), 1);
    let change = EndpointChange { delivery: Some(None), ..EndpointChange::default() };
    bench.store.change_endpoint(scope, reference(&endpoint), change, at(1)).await.unwrap();
    assert_eq!(due(&bench, &endpoint).await.len(), count);
}

pub(super) async fn an_order_can_be_given_up(bench: Bench<'_>) {
    let (scope, endpoint) = ordered(&bench).await;
    let wants = async |delivery: Option<&str>| {
        let delivery = Some(delivery.map(str::to_owned));
        let change = EndpointChange { delivery, ..EndpointChange::default() };
        bench.store.change_endpoint(scope, reference(&endpoint), change, at(1)).await.unwrap();
    };
    let first = send(&bench, scope, "k").await;
    let (second, third) = (send(&bench, scope, "k").await, send(&bench, scope, "k").await);
    let one = due_of(&bench, &endpoint, first).await;
    bench.record(blocked(&bench, &one)).await;
    wants(Some(SKIP)).await;
    assert_eq!(due(&bench, &endpoint).await, [second], "what blocked is skipped");
    wants(Some(BLOCK)).await;
    let beside = send(&bench, scope, "j").await;
    let one = due_of(&bench, &endpoint, second).await;
    bench.record(blocked(&bench, &one)).await;
    let fourth = send(&bench, scope, "k").await;
    wants(None).await;
    assert_eq!(due(&bench, &endpoint).await, [third, beside, fourth], "nothing waits");
    let fifth = send(&bench, scope, "k").await;
    assert_eq!(due(&bench, &endpoint).await, [third, beside, fourth, fifth]);
    assert_eq!(due_of(&bench, &endpoint, fifth).await.sequence, None);
}
