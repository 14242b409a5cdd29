//! Trying a message again: at once, and only where it is missing.

use ringback_domain::{
    attempt::Trigger,
    endpoint::State,
    id::{Id, MessageId},
    scope::{Reference, Scope},
};

use super::{
    bench::{Bench, NOW, at, reference},
    request::headers,
};
use crate::*;

pub(super) async fn redelivering_tries_where_it_is_missing(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let [delivered, waiting, given_up, fresh, resent, rescued] = [
        bench.endpoint(scope).await,
        bench.endpoint(scope).await,
        bench.endpoint(scope).await,
        bench.endpoint(scope).await,
        bench.endpoint(scope).await,
        bench.endpoint(scope).await,
    ];
    bench.filtered(scope, Some(&["other"]), None).await;
    let message = NewMessage {
        headers: Some(headers(&[("x-event", "push")]).into()),
        content_type: Some("text/plain".to_owned()),
        event_id: Some("mine".to_owned()),
        ..bench.message()
    };
    let id = bench.send(scope, message).await.id;
    bench.record(bench.attempt(&bench.only_due(&delivered).await, 200)).await;
    bench.record(bench.retry(&bench.only_due(&waiting).await, at(3_600))).await;
    bench.record(bench.attempt(&bench.only_due(&given_up).await, 500)).await;
    bench.record(bench.attempt(&bench.only_due(&resent).await, 500)).await;
    bench.store.resend(bench.resend(scope, id, &resent)).await.unwrap();
    bench.record(bench.attempt(&bench.only_due(&rescued).await, 500)).await;
    let rescue = bench.store.resend(bench.resend(scope, id, &rescued)).await.unwrap();
    bench.record(bench.attempt(&rescue, 200)).await;

    let mut due = bench.store.redeliver(scope, id, at(60)).await.unwrap();
    due.sort_unstable_by_key(|due| due.endpoint);
    let mut expect = [(waiting.id.key(), 1, false), (given_up.id.key(), 0, true)];
    expect.sort_unstable();
    let manual = |due: &Due| due.trigger == Trigger::Manual;
    let shown: Vec<_> = due.iter().map(|due| (due.endpoint, due.attempts, manual(due))).collect();
    assert_eq!(shown, expect, "what was due before is on its way");
    // It is what the lanes would have read.
    for endpoint in [&waiting, &given_up] {
        let page = bench.due(endpoint, at(60)).await;
        let mine = due.iter().find(|due| due.endpoint == endpoint.id.key()).unwrap();
        assert_eq!(page.due, std::slice::from_ref(mine));
        assert_eq!(mine.due_at, at(60));
    }
    assert_eq!(bench.due(&fresh, at(60)).await.due.len(), 1);
    assert_eq!(bench.due(&resent, at(60)).await.due.len(), 1);
    for endpoint in [&delivered, &rescued] {
        assert_eq!(bench.due(endpoint, at(60)).await.due, []);
    }
    // Asked for once more, nothing is left to be done.
    assert_eq!(bench.store.redeliver(scope, id, at(61)).await, Ok(vec![]));
    // The schedule goes on where it was.
    let hastened = due.iter().find(|due| !manual(due)).unwrap();
    assert!(bench.record(bench.retry(hastened, at(7_200))).await.applied);
    let next = bench.due(&waiting, at(7_200)).await.due.remove(0);
    assert_eq!(next.attempts, 2);
}

pub(super) async fn redelivering_leaves_what_is_held(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let id = {
        let mut endpoints = Vec::new();
        for _ in 0..6 {
            endpoints.push(bench.endpoint(scope).await);
        }
        let id = bench.send(scope, bench.message()).await.id;
        for (number, endpoint) in endpoints.iter().enumerate() {
            let due = bench.only_due(endpoint).await;
            // One of each pair waits for its next attempt, the other was given up.
            let ended = if number % 2 == 0 {
                bench.retry(&due, at(3_600))
            } else {
                bench.attempt(&due, 500)
            };
            bench.record(ended).await;
        }
        for (endpoint, state) in
            endpoints.iter().zip([State::Paused, State::Paused, State::Disabled, State::Disabled])
        {
            bench.set_state(scope, endpoint, state).await;
        }
        for endpoint in &endpoints[4..] {
            bench.store.delete_endpoint(scope, reference(endpoint), NOW).await.unwrap();
        }
        assert_eq!(bench.store.redeliver(scope, id, at(60)).await, Ok(vec![]));
        let next = bench.due(&endpoints[0], at(60)).await.next_due;
        assert_eq!(next, Some(at(3_600)), "it waits as it did");
        id
    };
    // Nor does anybody else reach it, nor what has nothing to send.
    let endpoint = bench.endpoint(scope).await;
    let sent = bench.send(scope, bench.message()).await.id;
    bench.record(bench.attempt(&bench.only_due(&endpoint).await, 500)).await;
    let elsewhere = Scope { environment: bench.other_environment().await, ..scope };
    let neighbour = bench.application("two").await;
    for foreign in [elsewhere, neighbour] {
        assert_eq!(bench.store.redeliver(foreign, sent, NOW).await, Ok(vec![]));
    }
    let guessed = MessageId(Id { nonce: sent.0.nonce ^ 1, ..sent.0 });
    assert_eq!(bench.store.redeliver(scope, guessed, NOW).await, Ok(vec![]));
    bench.store.expunge(scope, vec![Reference::Id(sent.0)]).await.unwrap();
    assert_eq!(bench.store.redeliver(scope, sent, NOW).await, Ok(vec![]));
    assert_eq!(bench.due(&endpoint, NOW).await.due, []);
    assert_ne!(id, sent);
}
