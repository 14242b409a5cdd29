//! Rules 1, 2 and 6: what is acknowledged is there, once, under keys that grow.

use bytes::Bytes;
use ringback_domain::{id::MessageId, message::Origin, scope::Reference};

use super::bench::{Bench, EXPIRY, NOW, all_messages, at, uid, words};
use crate::*;

pub(super) async fn what_is_appended_survives(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let claim = bench.claim("key", "body");
    let append = Append { claim: Some(claim), ..bench.to(scope, bench.message()) };
    let appended = bench.append_one(append.clone()).await.unwrap();
    assert_eq!(appended.application, scope.application);
    assert_eq!(*appended.endpoints, [endpoint.id.key()]);
    assert!(!appended.repeated);

    bench.reopen().await;
    let due = bench.only_due(&endpoint).await;
    assert_eq!(due.content.id, appended.id);
    assert_eq!(due.delivery, delivery_key(appended.id, 0));
    let stored = bench.store.message(scope, Reference::Id(appended.id.0), true).await.unwrap();
    assert_eq!(stored.payload.as_deref(), Some(append.message.payload.as_ref()));
    assert_eq!(stored.created_at, NOW);
    let again = bench.append_one(append).await.unwrap();
    assert_eq!((again.id, again.repeated), (appended.id, true), "the claim survived, too");
}

pub(super) async fn only_ringback_writes_to_the_hidden_application(bench: Bench<'_>) {
    let named = uid(ringback_domain::application::OPERATIONAL_UID);
    let hidden = bench.store.application(bench.environment, named.clone()).await.unwrap();
    let to = |application: Reference, origin| Append {
        environment: bench.environment,
        application,
        message: NewMessage { origin, ..bench.message() },
        claim: None,
    };
    for reference in [named, Reference::Id(hidden.id.0)] {
        let forged = bench.append_one(to(reference.clone(), Origin::Send)).await;
        assert_eq!(forged.unwrap_err(), AppendError::NoApplication);
        bench.append_one(to(reference, Origin::Operational)).await.unwrap();
    }
}

pub(super) async fn one_batch_may_have_an_event_id_many_times(bench: Bench<'_>) {
    let message = || NewMessage { event_id: Some("same".to_owned()), ..bench.message() };
    let mut batch = Vec::new();
    for number in 0..15 {
        let scope = bench.application(&format!("app-{number}")).await;
        batch.push(bench.to(scope, message()));
    }
    let last = batch[0].clone();
    batch.extend((0..15).map(|_| last.clone()));
    let answers = bench.store.append(batch).await;
    let first = answers[0].as_ref().unwrap().id;
    assert!(answers[..15].iter().all(Result::is_ok), "event ids are an application's own");
    for answer in &answers[15..] {
        assert_eq!(answer.clone().unwrap_err(), AppendError::EventIdTaken { existing: first });
    }
}

pub(super) async fn payloads_are_kept_byte_by_byte(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let every_byte: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    for payload in [b"".to_vec(), b"{\"a\": 1.0, \"a\":2e0}".to_vec(), every_byte] {
        let message = NewMessage {
            payload: Bytes::from(payload.clone()),
            content_type: Some("text/plain".to_owned()),
            ..bench.message()
        };
        bench.send(scope, message).await;
        let due = bench.only_due(&endpoint).await;
        assert_eq!(due.content.payload, payload);
        assert_eq!(due.content.content_type.as_deref(), Some("text/plain"));
        bench.record(bench.attempt(&due, 200)).await;
    }
}

pub(super) async fn a_repeated_claim_returns_the_first_message(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let claim = Some(bench.claim("key", "body"));
    let first = Append { claim, ..bench.to(scope, bench.message()) };
    let first = bench.append_one(first).await.unwrap();
    let second = Append { claim, ..bench.to(scope, bench.message()) };
    let second = bench.append_one(second).await.unwrap();
    assert_eq!((second.id, second.repeated), (first.id, true));
    assert!(second.endpoints.is_empty(), "nothing new is to be delivered");
    assert_eq!(bench.only_due(&endpoint).await.content.id, first.id);
}

pub(super) async fn a_claim_with_another_body_is_a_conflict(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    for (body, expect) in [("one", Ok(())), ("two", Err(AppendError::ClaimConflict))] {
        let claim = Some(bench.claim("key", body));
        let append = Append { claim, ..bench.to(scope, bench.message()) };
        assert_eq!(bench.append_one(append).await.map(drop), expect, "{body}");
        bench.reopen().await;
    }
    bench.only_due(&endpoint).await;
}

pub(super) async fn an_expired_claim_is_forgotten(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let claim = Some(bench.claim("key", "body"));
    let first = Append { claim, ..bench.to(scope, bench.message()) };
    let first = bench.append_one(first).await.unwrap();
    let later = NewMessage { accepted_at: at(2 * 86_400), ..bench.message() };
    let second = Append { claim, ..bench.to(scope, later) };
    let second = bench.append_one(second).await.unwrap();
    assert!(!second.repeated);
    assert_ne!(second.id, first.id);
}

pub(super) async fn a_duplicate_fails_alone(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let with_claim = |body| Append {
        claim: Some(bench.claim("key", body)),
        ..bench.to(scope, bench.message())
    };
    let with_event_id = || {
        let message = NewMessage { event_id: Some("order-1".to_owned()), ..bench.message() };
        bench.to(scope, message)
    };
    let nowhere = || Append { application: uid("nobody"), ..bench.to(scope, bench.message()) };
    let batch = vec![
        with_claim("one"),
        with_claim("one"),
        with_claim("two"),
        with_event_id(),
        with_event_id(),
        nowhere(),
        bench.to(scope, bench.message()),
    ];
    let results = bench.store.append(batch).await;
    let id = |index: usize| results[index].as_ref().unwrap().id;
    assert!(results[1].as_ref().unwrap().repeated);
    assert_eq!(id(1), id(0));
    assert_eq!(results[2], Err(AppendError::ClaimConflict));
    assert_eq!(results[4], Err(AppendError::EventIdTaken { existing: id(3) }));
    assert_eq!(results[5], Err(AppendError::NoApplication));
    let due = bench.due(&endpoint, NOW).await.due;
    let delivered: Vec<MessageId> = due.iter().map(|due| due.content.id).collect();
    assert_eq!(delivered, [id(0), id(3), id(6)]);
}

pub(super) async fn an_event_id_is_unique_in_its_application(bench: Bench<'_>) {
    let (one, two) = (bench.application("one").await, bench.application("two").await);
    let message = || NewMessage { event_id: Some("order-1".to_owned()), ..bench.message() };
    let first = bench.send(one, message()).await;
    bench.send(two, message()).await;
    let again = bench.append_one(bench.to(one, message())).await;
    assert_eq!(again, Err(AppendError::EventIdTaken { existing: first.id }));
    let found = bench.store.message(one, uid("order-1"), false).await.unwrap();
    assert_eq!(found.id, first.id);
    bench.sweep(EXPIRY).await;
    bench.send(one, message()).await;
}

pub(super) async fn a_missing_application_gets_nothing(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    bench.send(scope, bench.message()).await;
    let elsewhere = bench.other_environment().await;
    let foreign = Append { environment: elsewhere, ..bench.to(scope, bench.message()) };
    let unknown = Append { application: uid("nobody"), ..bench.to(scope, bench.message()) };
    let deleted = Append { application: uid("one"), ..bench.to(scope, bench.message()) };
    assert_eq!(bench.append_one(foreign).await, Err(AppendError::NoApplication));
    assert_eq!(bench.append_one(unknown).await, Err(AppendError::NoApplication));
    bench.append_one(deleted.clone()).await.unwrap();
    bench.store.delete_application(scope.environment, uid("one"), NOW).await.unwrap();
    assert_eq!(bench.append_one(deleted).await, Err(AppendError::NoApplication));
}

pub(super) async fn deliveries_follow_their_message(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let first = bench.endpoint(scope).await;
    let other_type = bench.filtered(scope, Some(&["user.deleted"]), None).await;
    let channel = bench.filtered(scope, Some(&["user.created"]), Some(&["a", "b"])).await;
    let paused = bench.endpoint(scope).await;
    bench.set_state(scope, &paused, ringback_domain::endpoint::State::Paused).await;
    let disabled = bench.endpoint(scope).await;
    bench.set_state(scope, &disabled, ringback_domain::endpoint::State::Disabled).await;

    let message = NewMessage { channels: Some(words(&["b", "c"])), ..bench.message() };
    let appended = bench.send(scope, message).await;
    let mut expect = [&first, &channel, &paused].map(|endpoint| endpoint.id.key());
    expect.sort_unstable();
    let mut endpoints = appended.endpoints.to_vec();
    endpoints.sort_unstable();
    assert_eq!(endpoints, expect);
    for endpoint in [&first, &channel, &paused] {
        let index = appended.endpoints.iter().position(|key| *key == endpoint.id.key()).unwrap();
        let due = bench.only_due(endpoint).await;
        assert_eq!(due.delivery, delivery_key(appended.id, index));
        assert_eq!((due.attempts, due.scope), (0, scope));
    }
    for endpoint in [&other_type, &disabled] {
        assert_eq!(bench.due(endpoint, NOW).await, DuePage::default());
    }
    // Without channels a message is not for an endpoint that wants some.
    let plain = bench.send(scope, bench.message()).await;
    assert!(!plain.endpoints.contains(&channel.id.key()));
    let last = delivery_key(appended.id, appended.endpoints.len());
    assert!(plain.id.key() >= last, "the next message comes after the deliveries");
}

pub(super) async fn keys_grow_when_the_clock_goes_back(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let mut last = 0;
    for seconds in [10, 5, 0, 3] {
        let message = NewMessage { accepted_at: at(seconds), ..bench.message() };
        let key = bench.send(scope, message).await.id.key();
        assert!(key > last);
        // The delivery's key is never given out again either, although its row goes.
        for due in bench.due(&endpoint, at(10)).await.due {
            last = due.delivery;
            bench.record(bench.attempt(&due, 200)).await;
        }
        bench.reopen().await;
    }
}

/// Whatever the endpoint wants, and only if it is one of the application's.
pub(super) async fn a_message_can_be_for_one_endpoint_only(bench: Bench<'_>) {
    let (scope, foreign) = (bench.application("one").await, bench.application("two").await);
    bench.endpoint(scope).await;
    let chosen = bench.filtered(scope, Some(&["user.deleted"]), Some(&["a"])).await;
    let stranger = bench.endpoint(foreign).await;
    for (only, expect) in [(&chosen, vec![chosen.id.key()]), (&stranger, vec![])] {
        let message = NewMessage { only: Some(only.id.key()), ..bench.message() };
        assert_eq!(&*bench.send(scope, message).await.endpoints, expect);
    }
    bench.only_due(&chosen).await;
    assert_eq!(bench.due(&stranger, NOW).await.due, []);
}

pub(super) async fn what_a_message_carries_is_kept(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let carried = [
        (Some(2), Some(false), Some("user 1")),
        (None, None, None),
        (Some(1), Some(true), None),
        (None, None, Some("")),
    ];
    let appends = carried.map(|(version, fits_schema, ordering_key)| {
        let ordering_key = ordering_key.map(str::to_owned);
        bench.to(scope, NewMessage { version, fits_schema, ordering_key, ..bench.message() })
    });
    let appended = bench.store.append(appends.to_vec()).await;
    bench.reopen().await;
    for (appended, (version, fits_schema, ordering_key)) in appended.into_iter().zip(carried) {
        let id = Reference::Id(appended.unwrap().id.0);
        let message = bench.store.message(scope, id, true).await.unwrap();
        let found = (message.version, message.fits_schema, message.ordering_key.as_deref());
        assert_eq!(found, (version, fits_schema, ordering_key));
        assert!(message.payload.is_some());
    }
    let listed = bench.store.messages(scope, all_messages()).await.unwrap().items;
    let listed = listed.iter().map(|one| (one.version, one.fits_schema, one.ordering_key.as_deref()));
    assert_eq!(listed.collect::<Vec<_>>(), carried);
    let due = bench.due(&endpoint, at(1)).await.due;
    let versions: Vec<_> = due.iter().map(|due| due.content.version).collect();
    assert_eq!(versions, carried.map(|(version, ..)| version));
    let unordered = due.iter().all(|due| due.sequence.is_none() && due.fixed.is_none());
    assert!(unordered, "the endpoint keeps no order");
}
