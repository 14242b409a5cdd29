//! Imports: a catalogue becomes what a document says.

use ringback_domain::event_type::EventType;

use super::bench::{Bench, NOW, at};
use crate::*;

/// What a document says about one event type.
fn declared(bench: &Bench<'_>, name: &str, description: &str) -> EventType {
    let new = bench.new_event_type(name).event_type;
    let schemas = Some(serde_json::json!({"1": {"type": "object", "title": name}}));
    let (created_at, updated_at) = (at(5), at(5));
    EventType { description: description.to_owned(), schemas, created_at, updated_at, ..new }
}

fn import(bench: &Bench<'_>, event_types: Vec<EventType>, others: Others) -> Import {
    let environment = bench.environment;
    Import { environment, event_types, others, now: at(5), answer: None }
}

async fn catalogue(bench: &Bench<'_>) -> Vec<EventType> {
    let query = EventTypeQuery {
        limit: 100,
        from: Position::Start,
        order: Order::Ascending,
        include_archived: true,
        flags: None,
    };
    bench.store.event_types(bench.environment, query).await.unwrap().items
}

pub(super) async fn an_import_creates_and_replaces(mut bench: Bench<'_>) {
    let old = bench.store.create_event_type(bench.new_event_type("a.old")).await.unwrap();
    let other = bench.store.create_event_type(bench.new_event_type("b.other")).await.unwrap();
    let [replaced, new] = [declared(&bench, "a.old", "anew"), declared(&bench, "c/new", "")];
    let wanted = vec![new.clone(), replaced.clone()];
    bench.store.import_event_types(import(&bench, wanted, Others::Keep)).await.unwrap();
    bench.reopen().await;
    // It is the one that was there, with what is said about it now.
    let replaced = EventType { id: old.id, created_at: NOW, ..replaced };
    assert_eq!(catalogue(&bench).await, [replaced, other, new]);
    let nothing = import(&bench, Vec::new(), Others::Keep);
    assert_eq!(bench.store.import_event_types(nothing).await, Ok(()));
    assert_eq!(catalogue(&bench).await.len(), 3);
}

pub(super) async fn an_import_archives_what_it_does_not_name(bench: Bench<'_>) {
    for name in ["a", "b", "c"] {
        bench.store.create_event_type(bench.new_event_type(name)).await.unwrap();
    }
    bench.store.delete_event_type(bench.environment, "c".to_owned(), false, at(1)).await.unwrap();
    let environment = bench.other_environment().await;
    let elsewhere = NewEventType { environment, ..bench.new_event_type("a") };
    bench.store.create_event_type(elsewhere).await.unwrap();
    let wanted = vec![declared(&bench, "b", "kept")];
    bench.store.import_event_types(import(&bench, wanted, Others::Archive)).await.unwrap();
    let told = |found: Vec<EventType>| -> Vec<(String, bool, _)> {
        found.into_iter().map(|one| (one.name, one.archived, one.updated_at)).collect()
    };
    let name = str::to_owned;
    assert_eq!(
        told(catalogue(&bench).await),
        [(name("a"), true, at(5)), (name("b"), false, at(5)), (name("c"), true, at(1))]
    );
    assert!(!bench.store.event_type(environment, name("a")).await.unwrap().archived);
    // What the next one names comes out of the archive.
    let wanted = vec![declared(&bench, "a", "back")];
    bench.store.import_event_types(import(&bench, wanted, Others::Keep)).await.unwrap();
    assert!(!bench.store.event_type(bench.environment, name("a")).await.unwrap().archived);
}

pub(super) async fn what_is_imported_again_is_not_touched(bench: Bench<'_>) {
    let first = declared(&bench, "a", "the same");
    let wanted = vec![first.clone()];
    bench.store.import_event_types(import(&bench, wanted, Others::Archive)).await.unwrap();
    let again = EventType { updated_at: at(9), ..declared(&bench, "a", "the same") };
    let again = Import { now: at(9), ..import(&bench, vec![again], Others::Archive) };
    bench.store.import_event_types(again).await.unwrap();
    assert_eq!(catalogue(&bench).await, [first]);
}

pub(super) async fn an_import_is_done_or_not(bench: Bench<'_>) {
    let taken = bench.store.create_event_type(bench.new_event_type("a")).await.unwrap();
    let clash = EventType { id: taken.id, ..declared(&bench, "z", "") };
    let wanted = vec![declared(&bench, "b", ""), clash];
    let refused = bench.store.import_event_types(import(&bench, wanted, Others::Archive)).await;
    assert_eq!(refused, Err(WriteError::Conflict("event type id")));
    assert_eq!(catalogue(&bench).await, [taken]);
    let nowhere = Import { environment: 1, ..import(&bench, Vec::new(), Others::Keep) };
    let refused = bench.store.import_event_types(nowhere).await;
    assert_eq!(refused, Err(WriteError::NotFound("environment")));
}

pub(super) async fn a_large_import_is_one(bench: Bench<'_>) {
    let wanted: Vec<_> = (0..IMPORTED_EVENT_TYPES)
        .map(|number| declared(&bench, &format!("type.{number:04}"), "one of many"))
        .collect();
    bench.store.import_event_types(import(&bench, wanted.clone(), Others::Keep)).await.unwrap();
    assert_eq!(catalogue(&bench).await, wanted[..100]);
    let last = bench.store.event_type(bench.environment, "type.0999".to_owned()).await;
    assert_eq!(last.as_ref(), Ok(&wanted[999]));
}
