//! Consumers: a place only moves forward, unless it is moved by hand.

use ringback_domain::{
    id::Key,
    poll::{CONSUMERS, Consumer, Cursor},
    scope::Scope,
};

use super::bench::{Bench, NOW, at};
use crate::*;

/// The endpoint of all these cases. Nothing asks whether there is one: who calls has looked.
const ENDPOINT: Key = 77;

fn cursor(place: Key, turn: u32) -> Cursor {
    Cursor { endpoint: ENDPOINT, place, turn }
}

async fn advanced(bench: &Bench<'_>, name: &str, place: Key, turn: u32) -> Consumer {
    let now = at(1);
    bench.store.advance_consumer(name.to_owned(), cursor(place, turn), now).await.unwrap()
}

async fn sought(bench: &Bench<'_>, name: &str, place: Key) -> Consumer {
    bench.store.seek_consumer(ENDPOINT, name.to_owned(), place, at(2)).await.unwrap()
}

async fn sent(bench: &Bench<'_>, scope: Scope, count: usize) -> Vec<Key> {
    let mut keys = Vec::new();
    for _ in 0..count {
        keys.push(bench.send(scope, bench.message()).await.id.key());
    }
    keys
}

pub(super) async fn consumers_are_kept(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let keys = sent(&bench, scope, 3).await;
    assert_eq!(bench.store.consumer(ENDPOINT, "me".to_owned()).await, Ok(None));
    let made = bench.store.advance_consumer("me".to_owned(), cursor(keys[1], 0), NOW).await;
    let name = "me".to_owned();
    let (endpoint, place) = (ENDPOINT, keys[1]);
    let expect = Consumer { endpoint, name, place, turn: 0, created_at: NOW, seen_at: NOW };
    assert_eq!(made.as_ref(), Ok(&expect));
    // Another's, and one of the same name at another endpoint, are their own.
    advanced(&bench, "other", keys[0], 0).await;
    let elsewhere = Cursor { endpoint: ENDPOINT + 1, ..cursor(keys[2], 0) };
    bench.store.advance_consumer("me".to_owned(), elsewhere, NOW).await.unwrap();
    bench.reopen().await;
    assert_eq!(bench.store.consumer(ENDPOINT, "me".to_owned()).await, Ok(Some(expect)));
}

pub(super) async fn a_consumer_goes_forward(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let keys = sent(&bench, scope, 4).await;
    assert_eq!(advanced(&bench, "me", keys[1], 0).await.place, keys[1]);
    assert_eq!(advanced(&bench, "me", keys[0], 0).await.place, keys[1], "not back");
    assert_eq!(advanced(&bench, "me", keys[2], 0).await.place, keys[2]);
    let moved = sought(&bench, "me", keys[0]).await;
    assert_eq!((moved.place, moved.turn), (keys[0], 1));
    // What was told before it was moved does not move it.
    assert_eq!(advanced(&bench, "me", keys[3], 0).await.place, keys[0]);
    assert_eq!(advanced(&bench, "me", keys[3], 1).await.place, keys[3]);
    let moved = sought(&bench, "me", keys[1]).await;
    assert_eq!((moved.place, moved.turn, moved.created_at), (keys[1], 2, at(1)));
    // One that is not there yet is made where it is moved to; one that was forgotten, where it was.
    assert_eq!((sought(&bench, "new", keys[0]).await.turn), 1);
    let back = advanced(&bench, "forgotten", keys[2], 5).await;
    assert_eq!((back.place, back.turn), (keys[2], 5));
}

/// Whatever is said, nobody gets ahead of what there is, in this process or the next.
pub(super) async fn a_consumer_is_never_ahead(mut bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let last = sent(&bench, scope, 1).await[0];
    let places = [
        advanced(&bench, "eager", Key::MAX, 0).await.place,
        sought(&bench, "sought", Key::MAX).await.place,
    ];
    assert!(places.iter().all(|place| *place >= last && *place < Key::MAX), "{places:?}");
    bench.reopen().await;
    let next = sent(&bench, scope, 1).await[0];
    assert!(places.iter().all(|place| *place < next), "{places:?} {next}");
}

pub(super) async fn consumers_are_bounded_and_forgotten(bench: Bench<'_>) {
    for number in 0..CONSUMERS {
        advanced(&bench, &number.to_string(), 0, 0).await;
    }
    let too_many = Err(WriteError::Limit("consumers"));
    let more = "more".to_owned();
    assert_eq!(bench.store.advance_consumer(more.clone(), cursor(0, 0), NOW).await, too_many);
    assert_eq!(bench.store.seek_consumer(ENDPOINT, more.clone(), 0, NOW).await, too_many);
    // One that is there has its room, and another endpoint has its own.
    sought(&bench, "0", 0).await;
    let elsewhere = Cursor { endpoint: ENDPOINT + 1, ..cursor(0, 0) };
    assert!(bench.store.advance_consumer(more.clone(), elsewhere, at(9)).await.is_ok());
    let kept = CONSUMER_KEPT as u64 / 1_000;
    while bench.store.sweep(at(kept + 1)).await.unwrap() {}
    let there = async |name: &str| {
        bench.store.consumer(ENDPOINT, name.to_owned()).await.unwrap().is_some()
    };
    assert_eq!((there("0").await, there("1").await), (true, false));
    advanced(&bench, "more", 0, 0).await;
}
