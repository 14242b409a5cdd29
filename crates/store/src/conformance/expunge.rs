//! Rules of [`Expunge`].

use ringback_domain::{
    id::{AttemptId, Id, TaskId},
    message::Message,
    replay::{Selection, Which},
    scope::{Reference, Scope},
    task::{Kind, Status},
};
use serde_json::{Map, Value};

use super::bench::{Bench, NOW, all_messages, at, reference, uid};
use crate::*;

async fn message(bench: &Bench<'_>, scope: Scope, id: ringback_domain::id::MessageId) -> Message {
    bench.store.message(scope, Reference::Id(id.0), true).await.unwrap()
}

pub(super) async fn an_expunged_message_stays_without_content(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let named = NewMessage { event_id: Some("mine".to_owned()), ..bench.message() };
    let [gone, kept] = [bench.send(scope, named).await, bench.send(scope, bench.message()).await];
    let asked = bench.store.resend(bench.resend(scope, gone.id, &endpoint)).await.unwrap();
    let none = Reference::Id(Id { key: 5, shard: 0, nonce: 5 });
    let expunged =
        bench.store.expunge(scope, vec![none, uid("mine"), uid("nobody's")]).await.unwrap();
    assert_eq!(expunged.found, [false, true, false]);
    let mut canceled = expunged.canceled;
    canceled.sort();
    let pending = |delivery| Canceled { endpoint: endpoint.id.key(), delivery };
    assert_eq!(canceled, [pending(delivery_key(gone.id, 0)), pending(asked.delivery)]);

    let left = message(&bench, scope, gone.id).await;
    assert_eq!((left.payload, left.event_id.as_deref()), (None, Some("mine")));
    assert!(message(&bench, scope, kept.id).await.payload.is_some());
    let due = bench.only_due(&endpoint).await;
    assert_eq!(due.content.id, kept.id, "what has no content is not sent");
    let resent = bench.store.resend(bench.resend(scope, gone.id, &endpoint)).await;
    assert_eq!(resent, Err(ResendError::NoContent));

    let again = bench.store.expunge(scope, vec![Reference::Id(gone.id.0)]).await.unwrap();
    assert_eq!(again, Expunged { found: vec![true], canceled: vec![] });
    let foreign = bench.application("two").await;
    let elsewhere = bench.store.expunge(foreign, vec![Reference::Id(kept.id.0)]).await.unwrap();
    assert_eq!(elsewhere, Expunged { found: vec![false], canceled: vec![] });
    assert!(message(&bench, scope, kept.id).await.payload.is_some());
}

pub(super) async fn a_replay_counts_what_has_no_content(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let sent = bench.send(scope, bench.message()).await.id;
    bench.record(bench.attempt(&bench.only_due(&endpoint).await, 500)).await;
    bench.store.expunge(scope, vec![Reference::Id(sent.0)]).await.unwrap();
    let place = Place::Endpoint(scope.application, reference(&endpoint));
    let mut new = purge(&bench, place);
    new.kind = Kind::Recover;
    new.request = serde_json::to_value(Selection::all(Which::Failed)).unwrap();
    let task = bench.store.create_task(new).await.unwrap();
    let stepped = bench.store.replay(task.clone(), at(10)).await.unwrap();
    assert_eq!((stepped.turn, stepped.planned), (Turn::Over, 0));
    let task = bench.store.task(bench.environment, task.id).await.unwrap();
    assert_eq!(task.data["messagesWithoutContent"], 1);
}

pub(super) async fn an_expunged_answer_is_gone(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let sent = Reference::Id(bench.send(scope, bench.message()).await.id.0);
    let record = bench.attempt(&bench.only_due(&endpoint).await, 200);
    bench.record(record.clone()).await;
    let guessed = AttemptId(Id { nonce: record.id.0.nonce + 1, ..record.id.0 });
    let foreign = bench.application("two").await;
    let expunge = async |scope, id| bench.store.expunge_attempt(scope, sent.clone(), id).await;
    assert_eq!(expunge(scope, guessed).await, Err(ReadError::NotFound("attempt")));
    assert_eq!(expunge(foreign, record.id).await, Err(ReadError::NotFound("message")));
    let read = async || bench.store.attempt(scope, sent.clone(), record.id).await.unwrap();
    let before = read().await;
    assert_eq!(before.response, b"answer");
    assert_eq!(expunge(scope, record.id).await, Ok(()));
    let response = EXPUNGED.as_bytes().to_vec();
    assert_eq!(read().await, ringback_domain::attempt::Attempt { response, ..before });
}

fn purge(bench: &Bench<'_>, place: Place) -> NewTask {
    let number = bench.number();
    let id = Id { key: Id::first_key_at(NOW) + number as i64, shard: 0, nonce: number };
    NewTask {
        id: TaskId(id),
        environment: bench.environment,
        place,
        kind: Kind::PurgeContent,
        request: Value::Null,
        data: Map::new(),
        since: None,
        until: None,
        now: NOW,
        answer: None,
    }
}

pub(super) async fn a_purge_empties_what_was_there(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let neighbour = bench.application("two").await;
    let batch = (0..600).map(|_| bench.to(scope, bench.message())).collect();
    assert!(bench.store.append(batch).await.iter().all(Result::is_ok));
    let spared = bench.send(neighbour, bench.message()).await.id;
    let new = purge(&bench, Place::Application(scope.application));
    let task = bench.store.create_task(new).await.unwrap();
    let later = bench.send(scope, bench.message()).await.id;

    let first = bench.store.purge(task.clone(), at(10)).await.unwrap();
    assert_eq!(first.turn, Turn::GoesOn);
    bench.reopen().await;
    let again = bench.store.purge(task.clone(), at(10)).await.unwrap();
    assert_eq!(again, Stepped { turn: Turn::Elsewhere, ..Stepped::default() });
    let mut canceled = first.canceled;
    loop {
        let task = bench.store.task(bench.environment, task.id).await.unwrap();
        let stepped = bench.store.purge(task, at(10)).await.unwrap();
        canceled.extend(stepped.canceled);
        if stepped.turn != Turn::GoesOn {
            assert_eq!(stepped.turn, Turn::Over);
            break;
        }
    }
    canceled.dedup();
    assert_eq!(canceled.len(), 600);
    let task = bench.store.task(bench.environment, task.id).await.unwrap();
    assert_eq!((task.status, task.percent()), (Status::Finished, 100));
    assert_eq!(task.data["messagesPurged"], 600);
    let page = Page { limit: 1_000, ..all_messages().page };
    let query = MessageQuery { page, with_content: true, ..all_messages() };
    let listed = bench.store.messages(scope, query).await.unwrap().items;
    let with_content = listed.iter().filter(|message| message.payload.is_some());
    let with_content: Vec<_> = with_content.map(|message| message.id).collect();
    assert_eq!((listed.len(), with_content), (601, vec![later]));
    assert_eq!(bench.only_due(&endpoint).await.content.id, later);
    assert!(message(&bench, neighbour, spared).await.payload.is_some());
}
