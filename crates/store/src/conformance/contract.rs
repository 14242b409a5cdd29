//! What events are promised to look like is kept as it was said, and changed by one at a time.

use super::bench::{Bench, NOW, at};
use crate::*;

/// A version of the event type "user.created", to be written at [`NOW`].
pub(super) fn version(bench: &Bench<'_>, ordinal: u32) -> PutVersion {
    let version = VersionRow {
        environment: bench.environment,
        label: format!("v{ordinal}"),
        ordinal,
        status: 1,
        dialect: 2,
        schema: r#"{"type":"object"}"#.to_owned(),
        changelog: "Something is new".to_owned(),
        examples: r#"[{"a":1}]"#.to_owned(),
        deprecated_at: Some(at(1)),
        sunset_at: Some(at(2)),
        default_since: Some(at(3)),
        ..VersionRow::default()
    };
    PutVersion { event_type: "user.created".to_owned(), version, expected: None, now: NOW }
}

/// A conversion of the same type, from this version to the one below.
pub(super) fn conversion(bench: &Bench<'_>, ordinal: u32, program: &str) -> NewConversion {
    NewConversion {
        environment: bench.environment,
        event_type: "user.created".to_owned(),
        ordinal,
        program: program.to_owned(),
        now: NOW,
    }
}

async fn contract(bench: &Bench<'_>) -> Contract {
    bench.store.contract(bench.environment, "user.created".to_owned()).await.unwrap()
}

pub(super) async fn versions_are_kept(mut bench: Bench<'_>) {
    let missing = Err(WriteError::NotFound("event type"));
    assert_eq!(bench.store.put_version(version(&bench, 1)).await, missing);
    bench.store.create_event_type(bench.new_event_type("user.created")).await.unwrap();
    let second = bench.store.put_version(version(&bench, 2)).await.unwrap();
    let first = bench.store.put_version(version(&bench, 1)).await.unwrap();
    bench.reopen().await;
    let found = contract(&bench).await;
    assert_eq!(found.versions, [first.clone(), second.clone()], "by ordinal");
    let asked = version(&bench, 2).version;
    let key = second.key;
    let (event_type, created_at, updated_at) = (found.event_type, NOW, NOW);
    assert_eq!(second, VersionRow { key, event_type, created_at, updated_at, ..asked });

    let conflict = Err(WriteError::Conflict("version"));
    assert_eq!(bench.store.put_version(version(&bench, 2)).await, conflict, "there is one");
    let mut twin = version(&bench, 3);
    twin.version.label = "v1".to_owned();
    assert_eq!(bench.store.put_version(twin).await, conflict, "the label is taken");
    let expected = Some(second.updated_at);
    let nowhere = PutVersion { expected, ..version(&bench, 3) };
    assert_eq!(bench.store.put_version(nowhere).await, Err(WriteError::NotFound("version")));

    let changed = VersionRow {
        label: "two".to_owned(),
        status: 3,
        schema: "true".to_owned(),
        sunset_at: None,
        ..second.clone()
    };
    let put = PutVersion { version: changed.clone(), expected, ..version(&bench, 2) };
    let written = bench.store.put_version(put.clone()).await.unwrap();
    assert!(written.updated_at > second.updated_at, "whoever comes next sees that it changed");
    assert_eq!(written, VersionRow { updated_at: written.updated_at, ..changed });
    let late = bench.store.put_version(put).await;
    assert_eq!(late, Err(WriteError::Conflict("version change")));
    assert_eq!(contract(&bench).await.versions, [first, written]);
}

pub(super) async fn conversions_are_kept(mut bench: Bench<'_>) {
    bench.store.create_event_type(bench.new_event_type("user.created")).await.unwrap();
    let add = async |ordinal, program: &str| {
        bench.store.add_conversion(conversion(&bench, ordinal, program)).await
    };
    assert_eq!(add(2, "[]").await, Err(WriteError::NotFound("version")));
    for ordinal in [1, 2, 3] {
        bench.store.put_version(version(&bench, ordinal)).await.unwrap();
    }
    let (old, other) = (add(2, "[1]").await.unwrap(), add(3, "[2]").await.unwrap());
    let new = add(2, "[3]").await.unwrap();
    assert!(new.key > old.key);
    bench.reopen().await;
    let found = contract(&bench).await;
    assert_eq!(found.conversions, [new.clone(), old, other.clone()], "all revisions");
    let all = bench.store.contracts(bench.environment, 0, 10).await.unwrap();
    assert_eq!(all[0].conversions, [new, other], "those in force");
}

pub(super) async fn contracts_are_listed(mut bench: Bench<'_>) {
    for name in ["silent", "user.created", "checked", "ordered"] {
        bench.store.create_event_type(bench.new_event_type(name)).await.unwrap();
    }
    bench.store.put_version(version(&bench, 1)).await.unwrap();
    let set = async |environment, name: &str, terms: &Terms| {
        bench.store.set_terms(environment, name.to_owned(), terms.clone(), at(5)).await
    };
    let checked = Terms { validation: 2, ordering_pointer: None };
    let ordered = Terms { validation: 0, ordering_pointer: Some("/user/id".to_owned()) };
    assert_eq!(set(bench.environment, "checked", &checked).await.unwrap().terms, checked);
    assert_eq!(set(bench.environment, "ordered", &ordered).await.unwrap().terms, ordered);
    let elsewhere = bench.other_environment().await;
    let missing = WriteError::NotFound("event type");
    assert_eq!(set(elsewhere, "checked", &ordered).await, Err(missing));
    bench.reopen().await;
    let (mut found, mut after) = (Vec::new(), 0);
    while let Some(one) = bench.store.contracts(bench.environment, after, 1).await.unwrap().pop() {
        after = one.event_type;
        found.push((one.name, one.terms, one.versions.len()));
    }
    let expect = [
        ("user.created".to_owned(), Terms::default(), 1),
        ("checked".to_owned(), checked, 0),
        ("ordered".to_owned(), ordered, 0),
    ];
    assert_eq!(found, expect, "those that say something");
    assert_eq!(bench.store.contracts(elsewhere, 0, 10).await, Ok(Vec::new()));

    let name = || "user.created".to_owned();
    bench.store.delete_event_type(bench.environment, name(), true, at(6)).await.unwrap();
    bench.store.create_event_type(bench.new_event_type("user.created")).await.unwrap();
    assert!(contract(&bench).await.versions.is_empty(), "a new type has no old versions");
}
