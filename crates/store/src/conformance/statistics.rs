//! Figures: each message once, those without an attempt too, and exact for the time they name.

use ringback_domain::{
    endpoint::Endpoint,
    id::{AttemptId, Id},
    scope::Scope,
};

use super::{
    bench::{Bench, NOW, at, reference},
    search::one_of_each,
};
use crate::*;

const ALWAYS: Window =
    Window { since: NOW, until: ringback_domain::time::Timestamp(NOW.0 + 1_000_000), most: 1_000 };

/// Success, pending, sending, fail, and since when (in seconds after `NOW`).
async fn stats(
    bench: &Bench<'_>,
    scope: Scope,
    endpoint: &Endpoint,
    window: Window,
) -> ([u64; 4], i64) {
    let EndpointStats { success, pending, sending, fail, since } =
        bench.store.endpoint_stats(scope, reference(endpoint), window).await.unwrap();
    ([success, pending, sending, fail], since.0 - NOW.0)
}

/// Success, fail, and since when.
async fn attempts(
    bench: &Bench<'_>,
    scope: Scope,
    endpoint: &Endpoint,
    window: Window,
) -> ([u64; 2], i64) {
    let AttemptStats { success, fail, since } =
        bench.store.attempt_stats(scope, reference(endpoint), window).await.unwrap();
    ([success, fail], since.0 - NOW.0)
}

/// A message that comes some seconds later and, if `status` is one, is attempted then.
async fn later(bench: &Bench<'_>, scope: Scope, endpoint: &Endpoint, seconds: u64, status: u16) {
    let now = at(seconds);
    let sent = bench.send(scope, NewMessage { accepted_at: now, ..bench.message() }).await;
    if status == 0 {
        return;
    }
    let due = bench.due(endpoint, now).await.due;
    let due = due.iter().find(|due| due.content.id == sent.id).unwrap();
    let record = bench.attempt(due, status);
    let key = Id::first_key_at(now) + (record.id.key() & 0xfffff);
    bench.record(Record { id: AttemptId(Id { key, ..record.id.0 }), ..record }).await;
}

pub(super) async fn a_message_counts_once(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    assert_eq!(stats(&bench, scope, &endpoint, ALWAYS).await, ([0; 4], 0));
    let due = one_of_each(&bench, scope, &endpoint).await;
    // The fifth failed and then succeeded: it is a success, and nothing else.
    assert_eq!(stats(&bench, scope, &endpoint, ALWAYS).await, ([2, 1, 1, 1], 0));
    // Delivered once more, it is still one.
    let again = bench.resend(scope, due[0].content.id, &endpoint);
    let again = bench.store.resend(again).await.unwrap();
    assert_eq!(stats(&bench, scope, &endpoint, ALWAYS).await, ([2, 1, 1, 1], 0));
    bench.record(bench.attempt(&again, 200)).await;
    assert_eq!(stats(&bench, scope, &endpoint, ALWAYS).await, ([2, 1, 1, 1], 0));
    // Attempts are counted one by one: three successes; two that were the last, and one to go on.
    assert_eq!(attempts(&bench, scope, &endpoint, ALWAYS).await, ([3, 3], 0));

    let other = bench.endpoint(scope).await;
    assert_eq!(stats(&bench, scope, &other, ALWAYS).await, ([0; 4], 0));
    assert_eq!(attempts(&bench, scope, &other, ALWAYS).await, ([0; 2], 0));
}

pub(super) async fn windows_have_a_first_and_no_last(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    for (seconds, status) in [(10, 200), (20, 500), (30, 0), (40, 200)] {
        later(&bench, scope, &endpoint, seconds, status).await;
    }
    for (since, until, expect, attempted) in [
        (0, 50, [2, 1, 0, 1], [2, 1]),
        (10, 40, [1, 1, 0, 1], [1, 1]),
        (11, 30, [0, 0, 0, 1], [0, 1]),
        (21, 40, [0, 1, 0, 0], [0, 0]),
        (41, 50, [0; 4], [0; 2]),
    ] {
        let window = Window { since: at(since), until: at(until), most: 100 };
        let from = since as i64 * 1_000;
        assert_eq!(stats(&bench, scope, &endpoint, window).await, (expect, from), "{window:?}");
        let counted = attempts(&bench, scope, &endpoint, window).await;
        assert_eq!(counted, (attempted, from), "{window:?}");
    }
}

pub(super) async fn too_many_are_counted_for_a_shorter_time(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    for (seconds, status) in [(10, 200), (20, 500), (30, 200), (40, 0), (50, 0), (60, 200)] {
        later(&bench, scope, &endpoint, seconds, status).await;
    }
    let window = |most| Window { since: at(5), until: at(100), most };
    // All four attempts, and both that are pending.
    assert_eq!(stats(&bench, scope, &endpoint, window(4)).await, ([3, 2, 0, 1], 5_000));
    // The fourth attempt from the end is one too many: that of 10 seconds.
    assert_eq!(stats(&bench, scope, &endpoint, window(3)).await, ([2, 2, 0, 1], 10_001));
    assert_eq!(attempts(&bench, scope, &endpoint, window(3)).await, ([2, 1], 10_001));
    // The second pending one from the end is one too many, though there is room for an attempt.
    assert_eq!(stats(&bench, scope, &endpoint, window(1)).await, ([1, 1, 0, 0], 40_001));
    // What came after the window takes no part in counting its attempts.
    let early = Window { until: at(25), ..window(2) };
    assert_eq!(attempts(&bench, scope, &endpoint, early).await, ([1, 1], 5_000));
}

pub(super) async fn usage_is_counted_step_by_step(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    for _ in 0..2 {
        bench.endpoint(scope).await;
    }
    bench.filtered(scope, Some(&["rare"]), None).await;
    for (seconds, event_type) in [(1, "common"), (2, "rare"), (3, "common"), (9, "common")] {
        let event_type = event_type.to_owned();
        let message = NewMessage { accepted_at: at(seconds), event_type, ..bench.message() };
        bench.send(scope, message).await;
    }
    let window = Window { since: at(1), until: at(9), most: 2 };
    let first = bench.store.usage(scope, window, 0).await.unwrap();
    assert_eq!((first.messages, first.destinations), (2, 5));
    let second = bench.store.usage(scope, window, first.reached.unwrap()).await.unwrap();
    assert_eq!(second, Usage { messages: 1, destinations: 2, reached: None });
}
