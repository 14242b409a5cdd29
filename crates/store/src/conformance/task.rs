//! Rules of [`Tasks`] and of the steps that tasks do.

use std::collections::BTreeSet;

use ringback_domain::{
    endpoint::{Endpoint, State},
    id::{Id, Key, MessageId, TaskId},
    message::Origin,
    replay::{Selection, Standing, Which},
    scope::Scope,
    task::{Kind, Status, Task},
    time::Timestamp,
};
use serde_json::{Map, Value, json};

use super::bench::{Bench, NOW, at, everything, reference, uid, words};
use crate::*;

fn new_task(bench: &Bench<'_>, kind: Kind, place: Place) -> NewTask {
    let number = bench.number();
    let id = Id { key: Id::first_key_at(NOW) + number as Key, shard: 0, nonce: number };
    NewTask {
        id: TaskId(id),
        environment: bench.environment,
        place,
        kind,
        request: Value::Null,
        data: Map::new(),
        since: None,
        until: None,
        now: NOW,
        answer: None,
    }
}

fn at_endpoint(scope: Scope, endpoint: &Endpoint) -> Place {
    Place::Endpoint(scope.application, reference(endpoint))
}

async fn replay(
    bench: &Bench<'_>,
    scope: Scope,
    endpoint: &Endpoint,
    selection: &Selection,
) -> Task {
    let mut new = new_task(bench, Kind::Recover, at_endpoint(scope, endpoint));
    new.request = serde_json::to_value(selection).unwrap();
    bench.store.create_task(new).await.unwrap()
}

async fn stored(bench: &Bench<'_>, task: &Task) -> Task {
    bench.store.task(bench.environment, task.id).await.unwrap()
}

/// Does what is left of a replay, making every attempt that it plans; these messages were sent.
async fn finish(bench: &Bench<'_>, endpoint: &Endpoint, task: &Task) -> Vec<MessageId> {
    let mut sent = Vec::new();
    loop {
        let task = stored(bench, task).await;
        let stepped = bench.store.replay(task, at(10)).await.unwrap();
        let due = bench.due_all(endpoint, at(10)).await;
        assert_eq!(due.len(), stepped.planned);
        sent.extend(due.iter().map(|due| due.content.id));
        let records = due.iter().map(|due| bench.attempt(due, 200)).collect();
        bench.store.record(records).await.unwrap();
        if stepped.turn != Turn::GoesOn {
            assert_eq!(stepped.turn, Turn::Over);
            return sent;
        }
    }
}

/// Sends messages and makes one attempt of each, which ends with this status.
async fn sent(
    bench: &Bench<'_>,
    scope: Scope,
    endpoint: &Endpoint,
    count: usize,
    status: impl Fn(usize) -> u16,
) -> Vec<MessageId> {
    let batch = (0..count).map(|_| bench.to(scope, bench.message())).collect();
    let appended = bench.store.append(batch).await;
    let ids: Vec<_> = appended.into_iter().map(|appended| appended.unwrap().id).collect();
    let due = bench.due_all(endpoint, NOW).await;
    let number = |due: &Due| ids.iter().position(|id| *id == due.content.id).unwrap();
    let records = due.iter().map(|due| bench.attempt(due, status(number(due)))).collect();
    bench.store.record(records).await.unwrap();
    ids
}

pub(super) async fn tasks_are_kept(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let mut new = new_task(&bench, Kind::Replay, at_endpoint(scope, &endpoint));
    new.request = json!({ "a": [1, null] });
    new.data.insert("messagesSent".to_owned(), Value::from(0));
    (new.since, new.until) = (Some(at(5)), Some(at(9)));
    new.now = at(20);
    let made = bench.store.create_task(new.clone()).await.unwrap();
    assert_eq!((made.id, made.kind, made.status), (new.id, Kind::Replay, Status::Running));
    assert_eq!(
        (made.application, made.endpoint),
        (Some(scope.application), Some(endpoint.id.key()))
    );
    assert_eq!((&made.request, &made.data), (&new.request, &new.data));
    let first = Id::first_key_at(at(5)) - 1;
    assert_eq!((made.span.first, made.span.cursor), (first, first));
    assert_eq!(made.span.end, Id::first_key_at(at(9)));
    assert_eq!(bench.store.create_task(new).await, Err(TaskError::Conflict));
    bench.reopen().await;
    assert_eq!(stored(&bench, &made).await, made);

    let whole = new_task(&bench, Kind::PurgeContent, Place::Application(scope.application));
    let whole = bench.store.create_task(whole).await.unwrap();
    let later = bench.send(scope, bench.message()).await.id;
    assert!(whole.span.end <= later.key(), "what comes later is none of its business");

    let elsewhere = bench.other_environment().await;
    let missing = Err(ReadError::NotFound("task"));
    assert_eq!(bench.store.task(elsewhere, made.id).await, missing);
    let guessed = TaskId(Id { nonce: made.id.0.nonce + 1, ..made.id.0 });
    assert_eq!(bench.store.task(bench.environment, guessed).await, missing);
}

pub(super) async fn tasks_are_listed(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let place = || Place::Application(scope.application);
    let purge = bench.store.create_task(new_task(&bench, Kind::PurgeContent, place())).await;
    let purge = purge.unwrap();
    let endpoint = bench.endpoint(scope).await;
    let replay = new_task(&bench, Kind::Replay, at_endpoint(scope, &endpoint));
    let mut replay = bench.store.create_task(replay).await.unwrap();
    replay.fail("endpoint_deleted");
    assert_eq!(bench.store.advance_task(replay.span.cursor, replay.clone()).await, Ok(true));
    let (environment, elsewhere) = (bench.environment, bench.other_environment().await);
    for (environment, status, kind, expect) in [
        (environment, None, None, vec![&replay, &purge]),
        (environment, Some(Status::Running), None, vec![&purge]),
        (environment, Some(Status::Failed), None, vec![&replay]),
        (environment, Some(Status::Finished), None, vec![]),
        (environment, None, Some(Kind::PurgeContent), vec![&purge]),
        (environment, Some(Status::Running), Some(Kind::Replay), vec![]),
        (elsewhere, None, None, vec![]),
    ] {
        let query = TaskQuery { page: everything(Order::Descending), status, kind };
        let listed = bench.store.tasks(environment, query).await.unwrap();
        assert_eq!(listed.items.iter().collect::<Vec<_>>(), expect, "{status:?} {kind:?}");
    }
    let after = purge.id.key();
    assert_eq!(bench.store.running_tasks(0, 10).await.unwrap(), [purge]);
    assert_eq!(bench.store.running_tasks(after, 10).await.unwrap(), []);
}

pub(super) async fn a_task_needs_what_it_is_about(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let foreign = bench.application("two").await;
    let create = async |place| {
        bench.store.create_task(new_task(&bench, Kind::Recover, place)).await.map(drop)
    };
    let no_application = Err(TaskError::NotFound("application"));
    assert_eq!(create(Place::Application(5)).await, no_application);
    let no_endpoint = Err(TaskError::NotFound("endpoint"));
    assert_eq!(create(at_endpoint(foreign, &endpoint)).await, no_endpoint);
    assert_eq!(create(Place::Endpoint(scope.application, uid("none"))).await, no_endpoint);
    for state in [State::Disabled, State::Gone, State::Failing] {
        bench.set_state(scope, &endpoint, state).await;
        assert_eq!(create(at_endpoint(scope, &endpoint)).await, Err(TaskError::State(state)));
    }
    for state in [State::Paused, State::Enabled] {
        bench.set_state(scope, &endpoint, state).await;
        assert_eq!(create(at_endpoint(scope, &endpoint)).await, Ok(()));
    }
    bench.store.delete_endpoint(scope, reference(&endpoint), NOW).await.unwrap();
    assert_eq!(create(at_endpoint(scope, &endpoint)).await, no_endpoint);
    assert_eq!(create(Place::Environment).await, Ok(()));
}

pub(super) async fn running_tasks_are_limited(bench: Bench<'_>) {
    let create =
        async || bench.store.create_task(new_task(&bench, Kind::Recover, Place::Environment)).await;
    let mut last = create().await.unwrap();
    for _ in 1..RUNNING_TASKS {
        last = create().await.unwrap();
    }
    assert_eq!(create().await, Err(TaskError::Limit));
    last.status = Status::Finished;
    assert_eq!(bench.store.advance_task(last.span.cursor, last).await, Ok(true));
    assert!(create().await.is_ok());
}

pub(super) async fn a_task_moves_on_once(bench: Bench<'_>) {
    let task = new_task(&bench, Kind::Recover, Place::Environment);
    let task = bench.store.create_task(task).await.unwrap();
    let mut moved = task.clone();
    moved.span.cursor = 5;
    moved.count("seen", 3);
    let advance = async |from: &Task, to: &Task| {
        bench.store.advance_task(from.span.cursor, to.clone()).await.unwrap()
    };
    assert!(advance(&task, &moved).await);
    assert!(!advance(&task, &moved).await, "it is no longer there");
    let mut over = moved.clone();
    over.status = Status::Finished;
    assert!(advance(&moved, &over).await);
    assert!(!advance(&moved, &moved).await, "what is over does not go on");
    assert_eq!(stored(&bench, &task).await, over);
}

pub(super) async fn tasks_that_ended_are_forgotten(bench: Bench<'_>) {
    let create = async |ended: Option<Timestamp>| {
        let task = new_task(&bench, Kind::Recover, Place::Environment);
        let task = bench.store.create_task(task).await.unwrap();
        if let Some(updated_at) = ended {
            let over = Task { status: Status::Finished, updated_at, ..task.clone() };
            assert_eq!(bench.store.advance_task(task.span.cursor, over).await, Ok(true));
        }
        task
    };
    let gone = create(Some(at(4))).await;
    let kept = [create(Some(at(5))).await, create(None).await];
    assert_eq!(bench.store.forget_tasks(at(5)).await, Ok(false));
    let missing = Err(ReadError::NotFound("task"));
    assert_eq!(bench.store.task(bench.environment, gone.id).await, missing);
    for task in kept {
        stored(&bench, &task).await;
    }
}

/// Pages that are cut by one thing and ordered by another leave messages out. These are not.
pub(super) async fn a_recovery_skips_no_message(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    // More than two steps send, and more than one sees.
    let ids = sent(&bench, scope, &endpoint, 1_300, |n| if n % 2 == 0 { 500 } else { 200 }).await;
    // Some were resent meanwhile, so the order of attempts is not the order of messages.
    for (number, status) in [(1_200, 500), (0, 500), (600, 200)] {
        let resend = bench.resend(scope, ids[number], &endpoint);
        let due = bench.store.resend(resend).await.unwrap();
        bench.record(bench.attempt(&due, status)).await;
    }
    let task = replay(&bench, scope, &endpoint, &Selection::all(Which::Failed)).await;
    let recovered = finish(&bench, &endpoint, &task).await;
    let failed = ids.iter().enumerate().filter(|(n, _)| n % 2 == 0 && *n != 600);
    let failed: Vec<_> = failed.map(|(_, id)| *id).collect();
    assert_eq!(recovered.iter().copied().collect::<BTreeSet<_>>().len(), recovered.len());
    assert_eq!(recovered, failed);
    let task = stored(&bench, &task).await;
    assert_eq!((task.status, task.percent()), (Status::Finished, 100));
    assert_eq!(task.data["messagesSent"], failed.len());
    assert_eq!(task.data["messagesSeen"], 1_300);
}

/// A process that ends after a step, and one that was told of a step it had already done.
pub(super) async fn a_step_is_done_once_whoever_does_it(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let ids = sent(&bench, scope, &endpoint, 600, |_| 500).await;
    let task = replay(&bench, scope, &endpoint, &Selection::all(Which::Failed)).await;
    let first = bench.store.replay(task.clone(), at(10)).await.unwrap();
    assert!(first.turn == Turn::GoesOn && first.planned > 0, "{first:?}");
    bench.reopen().await;
    let again = bench.store.replay(task.clone(), at(10)).await.unwrap();
    assert_eq!(again, Stepped { turn: Turn::Elsewhere, ..Stepped::default() });
    let running = bench.store.running_tasks(0, 10).await.unwrap();
    assert_eq!(running, [stored(&bench, &task).await]);
    assert!((1..100).contains(&running[0].percent()) || running[0].span.cursor > task.span.cursor);

    let due = bench.due_all(&endpoint, at(10)).await;
    let mut recovered: Vec<_> = due.iter().map(|due| due.content.id).collect();
    let records = due.iter().map(|due| bench.attempt(due, 200)).collect();
    bench.store.record(records).await.unwrap();
    recovered.extend(finish(&bench, &endpoint, &task).await);
    assert_eq!(recovered, ids);
    let over = stored(&bench, &task).await;
    let after = bench.store.replay(over, at(11)).await.unwrap();
    assert_eq!(after.turn, Turn::Elsewhere, "what is over does not go on");
}

pub(super) async fn what_is_planned_is_not_planned_twice(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    sent(&bench, scope, &endpoint, 3, |_| 500).await;
    let planned = async || {
        let task = replay(&bench, scope, &endpoint, &Selection::all(Which::Failed)).await;
        bench.store.replay(task, at(10)).await.unwrap().planned
    };
    assert_eq!(planned().await, 3);
    assert_eq!(planned().await, 0, "they are about to be sent");
    let due = bench.due_all(&endpoint, at(10)).await;
    let records = due.iter().map(|due| bench.attempt(due, 500)).collect();
    bench.store.record(records).await.unwrap();
    assert_eq!(planned().await, 3, "they failed again");
}

pub(super) async fn what_waits_long_is_sent_now(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let message = bench.send(scope, bench.message()).await.id;
    bench.record(bench.retry(&bench.only_due(&endpoint).await, at(1_000))).await;
    let task = replay(&bench, scope, &endpoint, &Selection::all(Which::Failed)).await;
    assert_eq!(finish(&bench, &endpoint, &task).await, [message]);
    // The success settles what the schedule had planned.
    assert_eq!(bench.due(&endpoint, at(2_000)).await.due, []);
}

pub(super) async fn missing_messages_are_those_never_sent(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let early = bench.endpoint(scope).await;
    let plain = bench.send(scope, bench.message()).await.id;
    let other = NewMessage { event_type: "user.deleted".to_owned(), ..bench.message() };
    bench.send(scope, other).await;
    let example = NewMessage { origin: Origin::Example, ..bench.message() };
    bench.send(scope, example).await;
    let late = bench.filtered(scope, Some(&["user.created"]), None).await;
    let tried = bench.send(scope, bench.message()).await.id;
    let due = bench.only_due(&late).await;
    assert_eq!(due.content.id, tried);
    bench.record(bench.attempt(&due, 500)).await;
    bench.send(scope, bench.message()).await;
    let missing = Selection::all(Which::Missing);
    let task = replay(&bench, scope, &late, &missing).await;
    let pending = bench.only_due(&late).await;
    let stepped = bench.store.replay(task, at(10)).await.unwrap();
    assert_eq!((stepped.turn, stepped.planned), (Turn::Over, 1));
    let due = bench.due_all(&late, at(10)).await;
    let due: Vec<_> = due.iter().map(|due| due.content.id).collect();
    assert_eq!(due, [pending.content.id, plain]);
    // The other endpoint has all of them already.
    let task = replay(&bench, scope, &early, &missing).await;
    assert_eq!(bench.store.replay(task, at(10)).await.unwrap().planned, 0);
}

pub(super) async fn a_selection_narrows_down_what_is_replayed(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let labelled = |event_type: &str, label: &str| NewMessage {
        event_type: event_type.to_owned(),
        channels: Some(words(&[label])),
        tags: Some(words(&[label, "all"])),
        ..bench.message()
    };
    let mut ids = Vec::new();
    for (message, status) in [
        (labelled("a", "x"), 200),
        (labelled("a", "y"), 404),
        (labelled("b", "x"), 503),
        (labelled("b", "y"), 0),
    ] {
        ids.push(bench.send(scope, message).await.id);
        bench.record(bench.attempt(&bench.only_due(&endpoint).await, status)).await;
    }
    let all = || Selection::all(Which::Sent);
    for (selection, expect) in [
        (all(), vec![0, 1, 2, 3]),
        (Selection { event_types: words(&["a"]), ..all() }, vec![0, 1]),
        (Selection { event_types: words(&["a", "b"]), ..all() }, vec![0, 1, 2, 3]),
        (Selection { channel: Some("x".to_owned()), ..all() }, vec![0, 2]),
        (Selection { tag: Some("y".to_owned()), ..all() }, vec![1, 3]),
        (Selection { tag: Some("none".to_owned()), ..all() }, vec![]),
        (Selection { standing: Some(Standing::Delivered), ..all() }, vec![0]),
        (Selection { standing: Some(Standing::Failed), ..all() }, vec![1, 2, 3]),
        (Selection { standing: Some(Standing::Retrying), ..all() }, vec![]),
        (Selection { status_codes: Some((400, 499)), ..all() }, vec![1]),
        (Selection { status_codes: Some((0, 0)), ..all() }, vec![3]),
    ] {
        let task = replay(&bench, scope, &endpoint, &selection).await;
        let stepped = bench.store.replay(task, at(10)).await.unwrap();
        assert_eq!(stepped.planned, expect.len(), "{selection:?}");
        let due = bench.due_all(&endpoint, at(10)).await;
        let replayed: Vec<_> = due.iter().map(|due| due.content.id).collect();
        let expect: Vec<_> = expect.into_iter().map(|n: usize| ids[n]).collect();
        assert_eq!(replayed, expect, "{selection:?}");
        // A failed resend changes how nothing stands, only what was answered last.
        for due in due {
            let number = ids.iter().position(|id| *id == due.content.id).unwrap();
            bench.record(bench.attempt(&due, [200, 404, 503, 0][number])).await;
        }
    }
}

pub(super) async fn a_span_of_time_is_kept_to(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    let mut ids = Vec::new();
    for seconds in 1..=4 {
        let message = NewMessage { accepted_at: at(seconds), ..bench.message() };
        ids.push(bench.send(scope, message).await.id);
        let due = bench.due(&endpoint, at(seconds)).await.due.remove(0);
        bench.record(bench.attempt(&due, 500)).await;
    }
    for (since, until, expect) in [
        (Some(at(2)), None, 1..4),
        (Some(at(2)), Some(at(4)), 1..3),
        (None, Some(at(2)), 0..1),
        (Some(at(3)), Some(at(3)), 0..0),
    ] {
        let mut new = new_task(&bench, Kind::Recover, at_endpoint(scope, &endpoint));
        new.request = serde_json::to_value(Selection::all(Which::Failed)).unwrap();
        (new.since, new.until, new.now) = (since, until, at(9));
        let task = bench.store.create_task(new).await.unwrap();
        let stepped = bench.store.replay(task, at(10)).await.unwrap();
        assert_eq!((stepped.turn, stepped.planned), (Turn::Over, expect.len()));
        let due = bench.due_all(&endpoint, at(10)).await;
        let replayed: Vec<_> = due.iter().map(|due| due.content.id).collect();
        assert_eq!(replayed, ids[expect]);
        let records = due.iter().map(|due| bench.attempt(due, 500)).collect();
        bench.store.record(records).await.unwrap();
    }
}

/// What comes in while much is replayed does not wait behind all of it.
pub(super) async fn a_replay_waits_for_its_endpoint(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let endpoint = bench.endpoint(scope).await;
    sent(&bench, scope, &endpoint, DUE_LIMIT + 300, |_| 500).await;
    let task = replay(&bench, scope, &endpoint, &Selection::all(Which::Failed)).await;
    let mut planned = 0;
    loop {
        let current = stored(&bench, &task).await;
        let stepped = bench.store.replay(current.clone(), at(10)).await.unwrap();
        if stepped.turn == Turn::Waits {
            assert_eq!(stored(&bench, &task).await, current, "nothing was done");
            break;
        }
        assert_eq!(stepped.turn, Turn::GoesOn);
        planned += stepped.planned;
    }
    let due = bench.due_all(&endpoint, at(10)).await;
    assert!(due.len() == planned && planned < DUE_LIMIT + 300, "{planned}");
    let records = due.iter().map(|due| bench.attempt(due, 200)).collect();
    bench.store.record(records).await.unwrap();
    let rest = finish(&bench, &endpoint, &task).await;
    assert_eq!(planned + rest.len(), DUE_LIMIT + 300);
}

pub(super) async fn a_replay_ends_with_its_endpoint(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    for (state, reason) in
        [(State::Gone, "endpoint_disabled"), (State::Deleted, "endpoint_deleted")]
    {
        let endpoint = bench.endpoint(scope).await;
        sent(&bench, scope, &endpoint, 1, |_| 500).await;
        let task = replay(&bench, scope, &endpoint, &Selection::all(Which::Failed)).await;
        if state == State::Deleted {
            bench.store.delete_endpoint(scope, reference(&endpoint), NOW).await.unwrap();
        } else {
            bench.set_state(scope, &endpoint, state).await;
        }
        let stepped = bench.store.replay(task.clone(), at(10)).await.unwrap();
        assert_eq!(stepped, Stepped { turn: Turn::Over, ..Stepped::default() });
        let task = stored(&bench, &task).await;
        assert_eq!((task.status, task.updated_at), (Status::Failed, at(10)));
        assert_eq!(task.data["error"], reason);
    }
}
