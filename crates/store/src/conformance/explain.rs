//! Rule 6, seen from outside: "why did this message not reach that endpoint" has an answer.

use ringback_domain::{
    attempt::Outcome,
    endpoint::{Endpoint, State},
    id::MessageId,
    route::Verdict,
    scope::{Reference, Scope},
};

use super::bench::{Bench, NOW, all_attempts, all_messages, at, reference, words};
use crate::*;

async fn line(
    bench: &Bench<'_>,
    scope: Scope,
    message: MessageId,
    endpoint: &Endpoint,
) -> Option<Explained> {
    let explanation = bench.store.explain(scope, Reference::Id(message.0)).await.unwrap();
    assert_eq!(explanation.message.id, message);
    explanation.endpoints.into_iter().find(|line| line.endpoint.id == endpoint.id)
}

async fn verdict(
    bench: &Bench<'_>,
    scope: Scope,
    message: MessageId,
    endpoint: &Endpoint,
) -> Option<Verdict> {
    line(bench, scope, message, endpoint).await.map(|line| line.verdict)
}

pub(super) async fn every_endpoint_has_a_verdict(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let plain = bench.endpoint(scope).await;
    let other_type = bench.filtered(scope, Some(&["user.deleted"]), None).await;
    let other_channel = bench.filtered(scope, None, Some(&["a"])).await;
    let disabled = bench.endpoint(scope).await;
    bench.set_state(scope, &disabled, State::Disabled).await;
    let message = bench.send(scope, bench.message()).await.id;
    let late = bench.endpoint(scope).await;
    for (endpoint, expect) in [
        (&plain, Verdict::Matched),
        (&other_type, Verdict::EventType),
        (&other_channel, Verdict::Channel),
        (&disabled, Verdict::State(State::Disabled)),
        (&late, Verdict::Later),
    ] {
        assert_eq!(verdict(&bench, scope, message, endpoint).await, Some(expect));
    }
}

pub(super) async fn changes_count_for_later_messages_only(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let mut expected = Vec::new();
    let mut revision = endpoint.revision;
    let event_types = |list: Option<&[&str]>| EndpointChange {
        event_types: Some(list.map(words)),
        ..EndpointChange::default()
    };
    let state = |state| EndpointChange { state: Some(state), ..EndpointChange::default() };
    for (change, expect) in [
        (EndpointChange::default(), Verdict::Matched),
        (event_types(Some(&["user.deleted"])), Verdict::EventType),
        (event_types(Some(&["user.created"])), Verdict::Matched),
        (event_types(None), Verdict::Matched),
        (state(State::Paused), Verdict::Matched),
        (state(State::Disabled), Verdict::State(State::Disabled)),
    ] {
        let changed =
            bench.store.change_endpoint(scope, reference(&endpoint), change, NOW).await.unwrap();
        assert!(changed.revision > revision);
        revision = changed.revision;
        let sent = bench.send(scope, bench.message()).await;
        assert!(sent.id.key() > revision, "what comes after a change has a greater key");
        assert_eq!(sent.endpoints.is_empty(), expect != Verdict::Matched);
        expected.push((sent.id, expect));
    }
    bench.reopen().await;
    bench.store.delete_endpoint(scope, reference(&endpoint), NOW).await.unwrap();
    let after = bench.send(scope, bench.message()).await.id;
    expected.push((after, Verdict::State(State::Deleted)));
    for (message, expect) in expected {
        assert_eq!(verdict(&bench, scope, message, &endpoint).await, Some(expect));
    }
    // Whatever came and went later has nothing to do with a message.
    let short_lived = bench.endpoint(scope).await;
    bench.store.delete_endpoint(scope, reference(&short_lived), NOW).await.unwrap();
    assert_eq!(verdict(&bench, scope, after, &short_lived).await, None);
}

pub(super) async fn progress_is_told(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let message = bench.send(scope, bench.message()).await.id;
    let told = line(&bench, scope, message, &endpoint).await.unwrap();
    assert_eq!(told.pending, Some(Pending { due_at: NOW, rank: Rank::First, attempts: 0 }));
    assert_eq!((told.attempts, told.last, told.delivered), (0, None, false));

    let due = bench.only_due(&endpoint).await;
    let failure = bench.retry(&due, at(5));
    bench.record(failure.clone()).await;
    let told = line(&bench, scope, message, &endpoint).await.unwrap();
    assert_eq!(told.pending, Some(Pending { due_at: at(5), rank: Rank::First, attempts: 1 }));
    let last = told.last.unwrap();
    assert_eq!((told.attempts, last.id, told.delivered), (1, failure.id, false));
    assert_eq!(last.next_at, Some(at(5)));

    let due = bench.due(&endpoint, at(5)).await.due.remove(0);
    let success = bench.attempt(&due, 200);
    bench.record(success.clone()).await;
    let told = line(&bench, scope, message, &endpoint).await.unwrap();
    assert_eq!((told.pending, told.attempts, told.delivered), (None, 2, true));
    assert_eq!(told.last.unwrap().id, success.id);
}

pub(super) async fn what_a_filter_does_not_want_is_settled(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let message = bench.send(scope, bench.message()).await.id;
    let due = bench.only_due(&endpoint).await;
    let record = bench.filtered_out(&due);
    assert!(bench.record(record.clone()).await.applied);
    assert_eq!(bench.due(&endpoint, at(60)).await, DuePage::default());
    let told = line(&bench, scope, message, &endpoint).await.unwrap();
    assert_eq!((told.pending, told.attempts, told.delivered), (None, 0, false));
    let last = told.last.unwrap();
    assert_eq!((last.id, last.outcome), (record.id, Outcome::Filtered));
    assert_eq!(last.reason.as_deref(), Some("filtered"));

    // It has not failed, wherever somebody asks.
    for (success, expect) in [(true, 1), (false, 0)] {
        let query = AttemptQuery { succeeded: Some(success), ..all_attempts() };
        let found = bench.store.attempts(scope, query).await.unwrap();
        assert_eq!(found.items.len(), expect, "{success}");
    }
    for status in DeliveryStatus::ALL {
        let search = MessageSearch { query: all_messages(), status: Some(status) };
        let expect = usize::from(status == DeliveryStatus::Success);
        let found = bench.store.search_messages(scope, search.clone()).await.unwrap();
        assert_eq!(found.items.len(), expect, "{status:?}");
        let found = bench.store.attempted_messages(scope, reference(&endpoint), search).await;
        assert_eq!(found.unwrap().items.len(), expect, "{status:?}");
    }
}
