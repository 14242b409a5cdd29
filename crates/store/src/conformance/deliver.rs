//! Rules 3 and 4: what is due, and what becomes of it.

use bytes::Bytes;
use ringback_domain::{
    application::OPERATIONAL_UID,
    attempt::{Outcome, Trigger},
    endpoint::State,
    id::Key,
    replay::Shape,
    scope::{Reference, Scope},
};

use super::bench::{Bench, EXPIRY, NOW, all_attempts, at, reference, uid};
use crate::*;

pub(super) async fn due_is_oldest_first_and_cut(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    for seconds in [3, 1, 2] {
        bench.send(scope, NewMessage { accepted_at: at(seconds), ..bench.message() }).await;
    }
    let query = DueQuery { endpoint: endpoint.id.key(), until: at(9), limit: 2, bytes: 1 << 20 };
    let page = bench.store.due(query).await.unwrap();
    let times: Vec<_> = page.due.iter().map(|due| due.due_at).collect();
    assert_eq!(times, [at(1), at(2)]);
    assert!(page.more);
    let page = bench.store.due(DueQuery { limit: 3, ..query }).await.unwrap();
    assert_eq!((page.due.len(), page.more), (3, false));
    // However little may be read, one is read: a large payload must not block its lane.
    let page = bench.store.due(DueQuery { limit: 3, bytes: 0, ..query }).await.unwrap();
    assert_eq!((page.due.len(), page.more), (1, true));
}

pub(super) async fn due_leaves_out_the_future(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    for seconds in [0, 5, 7] {
        bench.send(scope, NewMessage { accepted_at: at(seconds), ..bench.message() }).await;
    }
    let page = bench.due(&endpoint, NOW).await;
    assert_eq!((page.due.len(), page.more, page.next_due), (1, false, Some(at(5))));
    let page = bench.due(&endpoint, at(7)).await;
    assert_eq!((page.due.len(), page.next_due), (3, None));
}

pub(super) async fn a_retry_moves_the_delivery(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    bench.send(scope, bench.message()).await;
    let due = bench.only_due(&endpoint).await;
    let recorded = bench.record(bench.retry(&due, at(5))).await;
    assert_eq!(recorded, Recorded { applied: true, ..Recorded::default() });
    let page = bench.due(&endpoint, NOW).await;
    assert_eq!((page.due.len(), page.next_due), (0, Some(at(5))));
    let page = bench.due(&endpoint, at(5)).await;
    assert_eq!(page.due, [Due { attempts: 1, due_at: at(5), ..due }]);
}

pub(super) async fn a_settled_delivery_is_gone(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    for status in [204, 500] {
        let message = bench.send(scope, bench.message()).await;
        let due = bench.only_due(&endpoint).await;
        let record = bench.attempt(&due, status);
        assert!(bench.record(record.clone()).await.applied);
        assert_eq!(bench.due(&endpoint, at(1000)).await, DuePage::default());
        let of = Reference::Id(message.id.0);
        let attempt = bench.store.attempt(scope, of, record.id).await.unwrap();
        assert_eq!(attempt.id, record.id);
        assert_eq!((attempt.message, attempt.endpoint), (message.id, endpoint.id));
        assert_eq!((attempt.status_code, attempt.outcome), (status, record.outcome));
        assert_eq!((attempt.number, attempt.trigger), (1, Trigger::Scheduled));
        assert_eq!(attempt.url, endpoint.url);
        assert_eq!(attempt.response, record.response);
        assert_eq!(attempt.failed, record.failed);
        assert_eq!(attempt.reason.as_deref(), record.reason);
    }
}

pub(super) async fn an_attempt_takes_effect_once(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    bench.send(scope, bench.message()).await;
    let due = bench.only_due(&endpoint).await;
    let failure = bench.retry(&due, at(5));
    assert!(bench.record(failure.clone()).await.applied);
    // The same again, and a twin of it, which a second owner could have made.
    assert!(!bench.record(failure).await.applied);
    assert!(!bench.record(bench.retry(&due, at(9))).await.applied);
    let later = bench.due(&endpoint, at(5)).await.due.remove(0);
    assert_eq!((later.attempts, later.due_at), (1, at(5)));

    let success = bench.attempt(&later, 200);
    let both = bench.store.record(vec![success.clone(), success.clone()]).await.unwrap();
    assert_eq!(both.iter().map(|one| one.applied).collect::<Vec<_>>(), [true, false]);
    assert!(!bench.record(success).await.applied);
    let attempts = bench.store.attempts(scope, all_attempts()).await.unwrap().items;
    assert_eq!(attempts.len(), 3, "each attempt is kept once");
}

pub(super) async fn an_older_epoch_changes_nothing(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    bench.send(scope, bench.message()).await;
    let due = bench.only_due(&endpoint).await;
    let health = HealthChange { failing_since: Some(NOW), disable: Some(State::Gone) };
    let success = bench.attempt(&due, 200);
    let failure = Record { health: Some(health), ..bench.retry(&due, at(5)) };
    bench.reopen().await;
    for late in [success, failure] {
        assert_eq!(bench.record(late).await, Recorded::default());
        assert_eq!(bench.only_due(&endpoint).await, due);
    }
    let now = bench.store.endpoint(scope, reference(&endpoint)).await.unwrap();
    assert_eq!(now, endpoint);
    assert!(bench.record(bench.attempt(&due, 200)).await.applied, "the new owner goes on");
}

/// A message that failed once and is tried again later, and a resend of it.
async fn resent(bench: &Bench<'_>) -> (Scope, ringback_domain::endpoint::Endpoint, Due, Due) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let message = bench.send(scope, bench.message()).await;
    let due = bench.only_due(&endpoint).await;
    bench.record(bench.retry(&due, at(60))).await;
    let manual = bench.store.resend(bench.resend(scope, message.id, &endpoint)).await.unwrap();
    assert_eq!(manual.trigger, Trigger::Manual);
    assert_eq!((manual.endpoint, manual.due_at), (endpoint.id.key(), NOW));
    assert_eq!(manual.content, due.content);
    assert_eq!(bench.only_due(&endpoint).await, manual);
    (scope, endpoint, due, manual)
}

pub(super) async fn a_failed_resend_changes_nothing(bench: Bench<'_>) {
    let (_, endpoint, due, manual) = resent(&bench).await;
    let recorded = bench.record(bench.attempt(&manual, 500)).await;
    assert_eq!((recorded.applied, recorded.settled), (true, None));
    let left = bench.due(&endpoint, at(1000)).await.due;
    assert_eq!(left, [Due { attempts: 1, due_at: at(60), ..due }]);
}

pub(super) async fn a_successful_resend_settles_the_schedule(bench: Bench<'_>) {
    let (_, endpoint, due, manual) = resent(&bench).await;
    let recorded = bench.record(bench.attempt(&manual, 200)).await;
    assert_eq!((recorded.applied, recorded.settled), (true, Some(due.delivery)));
    assert_eq!(bench.due(&endpoint, at(1000)).await, DuePage::default());
    // A scheduled attempt that was under way meanwhile finds its delivery gone.
    assert!(!bench.record(bench.retry(&due, at(99))).await.applied);
    assert_eq!(bench.due(&endpoint, at(1000)).await, DuePage::default());
}

pub(super) async fn a_resend_needs_an_endpoint_that_takes_messages(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let message = bench.send(scope, bench.message()).await;
    let resend = || bench.store.resend(bench.resend(scope, message.id, &endpoint));
    for state in [State::Disabled, State::Gone, State::Failing] {
        bench.set_state(scope, &endpoint, state).await;
        assert_eq!(resend().await, Err(ResendError::State(state)));
    }
    for state in [State::Paused, State::Enabled] {
        bench.set_state(scope, &endpoint, state).await;
        assert!(resend().await.is_ok(), "{state:?}");
    }
    bench.store.delete_endpoint(scope, reference(&endpoint), NOW).await.unwrap();
    assert_eq!(resend().await, Err(ResendError::NotFound("endpoint")));
    let unknown = Resend {
        message: uid("unknown"),
        ..bench.resend(scope, message.id, &bench.endpoint(scope).await)
    };
    assert_eq!(bench.store.resend(unknown).await, Err(ResendError::NotFound("message")));
}

pub(super) async fn a_failing_endpoint_is_disabled(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    bench.send(scope, bench.message()).await;
    let due = bench.only_due(&endpoint).await;
    let health = |failing_since, disable| Some(HealthChange { failing_since, disable });
    let now = || bench.store.endpoint(scope, reference(&endpoint));

    let failure = Record { health: health(Some(NOW), None), ..bench.retry(&due, NOW) };
    bench.record(failure).await;
    assert_eq!(now().await.unwrap().failing_since, Some(NOW));
    assert_eq!(now().await.unwrap().revision, endpoint.revision, "nothing else changed");

    let due = bench.only_due(&endpoint).await;
    let gone = |due: &Due, revision| Record {
        health: health(Some(NOW), Some(State::Gone)),
        revision,
        outcome: Outcome::Held,
        ..bench.retry(due, at(5))
    };
    // An attempt under an older revision says nothing about the endpoint as it is now.
    bench.record(gone(&due, endpoint.revision - 1)).await;
    assert_eq!(now().await.unwrap().state, State::Enabled);
    let due = bench.due(&endpoint, at(5)).await.due.remove(0);
    bench.record(gone(&due, endpoint.revision)).await;
    let disabled = now().await.unwrap();
    assert_eq!(disabled.state, State::Gone);
    assert!(disabled.revision > endpoint.revision);
    assert_eq!(bench.due(&endpoint, at(5)).await.due.len(), 1, "what is pending is held");
    assert!(bench.send(scope, bench.message()).await.endpoints.is_empty());

    // What is disabled already stays as it is.
    let due = bench.due(&endpoint, at(5)).await.due.remove(0);
    let again = health(Some(NOW), Some(State::Failing));
    bench.record(Record { health: again, ..bench.retry(&due, at(9)) }).await;
    assert_eq!(now().await.unwrap(), disabled);

    let enabled = bench.set_state(scope, &endpoint, State::Enabled).await;
    assert_eq!(enabled.failing_since, None, "enabled means a fresh start");
    assert_eq!(*bench.send(scope, bench.message()).await.endpoints, [endpoint.id.key()]);
}

pub(super) async fn notices_come_with_their_record(bench: Bench<'_>) {
    let hidden = bench.store.application(bench.environment, uid(OPERATIONAL_UID)).await.unwrap();
    let operational =
        Scope { environment: bench.environment, application: hidden.id.key() };
    let watcher = bench.endpoint(operational).await;
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    bench.send(scope, bench.message()).await;
    let due = bench.only_due(&endpoint).await;
    let notice = Notice {
        event_type: "message.attempt.exhausted",
        nonce: 77,
        payload: Bytes::from_static(b"{}"),
        at: NOW,
        expires_at: EXPIRY,
    };
    let record = Record { notices: vec![notice], ..bench.attempt(&due, 500) };
    let recorded = bench.record(record.clone()).await;
    let [(message, endpoints)] = recorded.notified.as_slice() else { panic!("one notice") };
    assert_eq!(**endpoints, [watcher.id.key()]);
    let told = bench.only_due(&watcher).await;
    assert_eq!((told.content.id, told.scope), (*message, operational));
    let stored = bench.store.message(operational, Reference::Id(message.0), true).await.unwrap();
    assert_eq!(stored.event_type, "message.attempt.exhausted");
    assert_eq!(stored.origin, ringback_domain::message::Origin::Operational);
    // What takes no effect tells nothing.
    assert!(bench.record(record).await.notified.is_empty());
    bench.only_due(&watcher).await;
}

pub(super) async fn waiting_endpoints_are_each_found_once(bench: Bench<'_>) {
    let mut keys: Vec<Key> = Vec::new();
    let mut idle = Vec::new();
    for name in ["one", "two", "three"] {
        let scope = bench.application(name).await;
        keys.push(bench.endpoint(scope).await.id.key());
        keys.push(bench.endpoint(scope).await.id.key());
        for seconds in [4, 2] {
            bench.send(scope, NewMessage { accepted_at: at(seconds), ..bench.message() }).await;
        }
        idle.push(bench.endpoint(scope).await.id.key());
    }
    keys.sort_unstable();
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let page = bench.store.waiting_endpoints(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        after = last.endpoint;
        found.extend(page);
    }
    found.sort_unstable_by_key(|one| one.endpoint);
    let expect: Vec<_> =
        keys.iter().map(|key| Waiting { endpoint: *key, next_due: at(2) }).collect();
    assert_eq!(found, expect, "each once, and none of {idle:?}");
}

pub(super) async fn the_backlog_counts_what_is_attempted(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    assert_eq!(bench.store.backlog().await.unwrap(), Backlog::default());
    let [first, second] = [bench.endpoint(scope).await, bench.endpoint(scope).await];
    for seconds in [3, 1] {
        bench.send(scope, NewMessage { accepted_at: at(seconds), ..bench.message() }).await;
    }
    let expect = |pending| Backlog { pending, oldest_due: Some(at(1)) };
    assert_eq!(bench.store.backlog().await.unwrap(), expect(4));
    bench.set_state(scope, &first, State::Paused).await;
    assert_eq!(bench.store.backlog().await.unwrap(), expect(2));
    bench.store.delete_endpoint(scope, reference(&second), NOW).await.unwrap();
    assert_eq!(bench.store.backlog().await.unwrap(), Backlog::default());
}

pub(super) async fn a_lane_knows_its_endpoint(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let mut new = bench.new_endpoint(scope);
    new.headers = Some(b"sealed headers".to_vec());
    new.credentials = Some(b"sealed credentials".to_vec());
    let endpoint = bench.store.create_endpoint(new).await.unwrap();
    let key = endpoint.id.key();
    let lane = bench.store.lane(key).await.unwrap().unwrap();
    assert_eq!((lane.scope, lane.application.key()), (scope, scope.application));
    assert_eq!(lane.application_uid.as_deref(), Some("one"));
    assert_eq!(lane.endpoint, endpoint);
    assert_eq!(lane.secrets.endpoint, key);
    assert_eq!(lane.secrets.secrets.len(), 1);
    assert_eq!(lane.secrets.headers.as_deref(), Some(b"sealed headers".as_slice()));
    assert_eq!(lane.secrets.credentials.as_deref(), Some(b"sealed credentials".as_slice()));
    bench.store.delete_endpoint(scope, reference(&endpoint), NOW).await.unwrap();
    let lane = bench.store.lane(key).await.unwrap().unwrap();
    assert_eq!(lane.endpoint.state, State::Deleted);
    assert!(bench.store.lane(key + 1).await.unwrap().is_none());
}

pub(super) async fn attempt_keys_go_on_after_a_restart(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    bench.send(scope, bench.message()).await;
    assert_eq!(bench.store.last_attempt_key(), 0);
    let record = bench.attempt(&bench.only_due(&endpoint).await, 200);
    bench.record(record.clone()).await;
    bench.reopen().await;
    assert_eq!(bench.store.last_attempt_key(), record.id.key());
}

pub(super) async fn what_was_sent_is_kept(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    for _ in 0..2 {
        bench.send(scope, bench.message()).await;
    }
    let page = bench.due(&endpoint, at(1)).await.due;
    let rendering = Some(r#"{"bodySha256":"00"}"#.to_owned());
    let fix = Some(Bytes::from_static(b"what is sent"));
    let mut fixed = Record { fix: fix.clone(), rendering, ..bench.retry(&page[0], at(5)) };
    let plain = bench.retry(&page[1], at(5));
    let recorded = bench.store.record(vec![fixed.clone(), plain]).await.unwrap();
    assert!(recorded.iter().all(|recorded| recorded.applied));
    bench.reopen().await;
    let again = bench.due(&endpoint, at(5)).await.due;
    assert_eq!(again.iter().map(|due| &due.fixed).collect::<Vec<_>>(), [&fix, &None]);
    // Who says nothing about it leaves it.
    assert!(bench.record(bench.retry(&again[0], at(9))).await.applied);
    assert_eq!(bench.due(&endpoint, at(9)).await.due[1].fixed, fix);
    let attempts = bench.store.attempts(scope, all_attempts()).await.unwrap().items;
    let renderings = attempts.iter().map(|attempt| attempt.rendering.as_deref());
    assert_eq!(renderings.collect::<Vec<_>>(), [Some(r#"{"bodySha256":"00"}"#), None, None]);
    let of = Reference::Id(page[0].content.id.0);
    let one = bench.store.attempt(scope, of, fixed.id).await.unwrap();
    assert_eq!(one.rendering, fixed.rendering.take());
}

pub(super) async fn what_was_sent_first_can_be_asked_for(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let message = bench.send(scope, bench.message()).await;
    let rendered = |rendering: &str, record| Record {
        rendering: Some(rendering.to_owned()),
        ..record
    };
    let due = bench.only_due(&endpoint).await;
    bench.record(rendered("first", bench.retry(&due, at(1)))).await;
    let due = bench.due(&endpoint, at(1)).await.due.remove(0);
    bench.record(rendered("second", bench.attempt(&due, 200))).await;
    bench.reopen().await;
    for (version, fixed) in
        [(Shape::Current, None), (Shape::Original, Some(Bytes::from_static(b"first")))]
    {
        let resend = Resend { version, ..bench.resend(scope, message.id, &endpoint) };
        let due = bench.store.resend(resend).await.unwrap();
        assert_eq!(due.fixed, fixed, "{version:?}");
        assert_eq!(bench.only_due(&endpoint).await.fixed, fixed, "{version:?}");
        bench.record(bench.attempt(&due, 200)).await;
    }
}
