//! Rules 3 and 7, and what keeps a store small and known.

use ringback_domain::scope::Reference;

use super::bench::{Bench, EXPIRY, NOW, all_attempts, all_messages, at, reference, uid};
use crate::*;

pub(super) async fn the_sweep_deletes_what_expired(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    // More than one round can delete; every third message stays.
    let mut kept = Vec::new();
    let mut batch = Vec::new();
    for number in 0..1_500 {
        let expires_at = if number % 3 == 0 { EXPIRY } else { at(10) };
        let message = NewMessage { expires_at, ..bench.message() };
        batch.push(bench.to(scope, message));
    }
    for (number, appended) in bench.store.append(batch).await.into_iter().enumerate() {
        if number % 3 == 0 {
            kept.push(appended.unwrap().id);
        }
    }
    loop {
        let due = bench.due(&endpoint, NOW).await.due;
        if due.is_empty() {
            break;
        }
        let records = due.iter().map(|due| bench.attempt(due, 200)).collect();
        bench.store.record(records).await.unwrap();
    }
    bench.sweep(at(9)).await;
    let all = MessageQuery { page: Page { limit: 2_000, ..all_messages().page }, ..all_messages() };
    assert_eq!(bench.store.messages(scope, all.clone()).await.unwrap().items.len(), 1_500);
    // What lies between rows that stay takes a few rounds more.
    for _ in 0..10 {
        bench.sweep(at(10)).await;
    }
    let left = bench.store.messages(scope, all).await.unwrap().items;
    assert_eq!(left.iter().map(|message| message.id).collect::<Vec<_>>(), kept);
    let page = Page { limit: 2_000, ..all_attempts().page };
    let attempts = bench.store.attempts(scope, AttemptQuery { page, ..all_attempts() }).await;
    assert_eq!(attempts.unwrap().items.len(), kept.len());
}

pub(super) async fn the_sweep_spares_what_is_pending(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let short = || NewMessage { expires_at: at(10), ..bench.message() };
    let scheduled = bench.send(scope, short()).await.id;
    let first = bench.only_due(&endpoint).await;
    bench.record(bench.retry(&first, at(5))).await;
    let resent = bench.send(scope, short()).await.id;
    bench.record(bench.attempt(&bench.only_due(&endpoint).await, 500)).await;
    bench.store.resend(bench.resend(scope, resent, &endpoint)).await.unwrap();
    bench.sweep(at(10)).await;
    for message in [scheduled, resent] {
        assert!(bench.store.message(scope, Reference::Id(message.0), true).await.is_ok());
    }
    for due in bench.due(&endpoint, at(10)).await.due {
        bench.record(bench.attempt(&due, 500)).await;
    }
    bench.sweep(at(10)).await;
    let left = bench.store.messages(scope, all_messages()).await.unwrap().items;
    assert_eq!(left, []);
}

pub(super) async fn the_sweep_cancels_what_was_deleted(bench: Bench<'_>) {
    let (one, two) = (bench.application("one").await, bench.application("two").await);
    let [kept, deleted] = [bench.endpoint(one).await, bench.endpoint(one).await];
    let orphan = bench.endpoint(two).await;
    let batch = (0..600).map(|_| bench.to(one, bench.message())).collect();
    assert!(bench.store.append(batch).await.iter().all(Result::is_ok));
    bench.send(two, bench.message()).await;
    bench.store.delete_endpoint(one, reference(&deleted), NOW).await.unwrap();
    bench.store.delete_application(two.environment, uid("two"), NOW).await.unwrap();
    bench.sweep(NOW).await;
    let waiting = bench.store.waiting_endpoints(0, 10).await.unwrap();
    assert_eq!(waiting, [Waiting { endpoint: kept.id.key(), next_due: NOW }]);
    assert_eq!(bench.due(&orphan, NOW).await, DuePage::default());
    assert_eq!(bench.store.backlog().await.unwrap().pending, 600);
}

pub(super) async fn a_store_is_checked_and_measured(bench: Bench<'_>) {
    assert_eq!(bench.store.check().await, Ok(()));
    assert_eq!(bench.store.check().await, Ok(()));
    let space = bench.store.space();
    assert!(space.used > 0);
    assert_eq!(space.used, space.parts.values().sum::<u64>());
    assert!(space.free.is_none_or(|free| free > 0));
}

pub(super) async fn a_closed_store_says_so(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    bench.store.close().await;
    let closed = Unavailable::Closed;
    let appended = bench.append_one(bench.to(scope, bench.message())).await;
    assert_eq!(appended, Err(AppendError::Unavailable(closed.clone())));
    assert_eq!(bench.store.record(Vec::new()).await, Err(closed.clone()));
    assert_eq!(bench.store.check().await, Err(closed.clone()));
    assert_eq!(bench.store.backlog().await, Err(closed));
    bench.store.close().await;
}

pub(super) async fn epochs_grow(mut bench: Bench<'_>) {
    let mut last = bench.store.epoch();
    for _ in 0..3 {
        bench.reopen().await;
        assert!(bench.store.epoch() > last);
        last = bench.store.epoch();
    }
}
