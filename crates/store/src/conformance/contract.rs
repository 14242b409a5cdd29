//! What events are promised to look like is kept as it was said, and changed by one at a time.

use ringback_domain::{
    contract::{
        Terms,
        version::{Dialect, Status, Validation, Version},
    },
    id::Key,
};
use serde_json::json;

use super::bench::{Bench, NOW, at};
use crate::*;

const NAME: &str = "user.created";

/// A version, made at [`NOW`].
pub(super) fn version(key: Key, ordinal: u32) -> VersionRow {
    let examples = r#"[{"name":"e","payload":{"n":1.10},"expected":{"v1":{"n":1.1}}}]"#;
    let version = Version {
        label: format!("v{ordinal}"),
        ordinal,
        status: Status::Deprecated,
        dialect: Dialect::Draft7,
        schema: json!({ "type": "object" }),
        changelog: "Something is new".to_owned(),
        examples: serde_json::from_str(examples).unwrap(),
        deprecated_at: Some(at(1)),
        sunset_at: Some(at(2)),
        default_since: Some(at(3)),
    };
    VersionRow { key, version, created_at: NOW, updated_at: NOW }
}

fn conversion(key: Key, ordinal: u32) -> ConversionRow {
    ConversionRow { key, ordinal, program: json!({ "steps": [key] }), created_at: NOW }
}

/// A change of nothing, of the contract as it is.
pub(super) async fn change(bench: &Bench<'_>, name: &str) -> ContractChange {
    let found = bench.store.contract(bench.environment, name.to_owned()).await.unwrap();
    ContractChange {
        environment: bench.environment,
        event_type: name.to_owned(),
        expected: found.updated_at,
        terms: None,
        schemas: None,
        versions: Vec::new(),
        conversions: Vec::new(),
        now: at(1),
        answer: None,
    }
}

/// What there is to compare: examples keep their text.
fn told(contract: &Contract) -> String {
    format!("{:?} {:?} {:?}", contract.terms, contract.versions, contract.conversions)
}

pub(super) async fn a_contract_is_kept(mut bench: Bench<'_>) {
    bench.store.create_event_type(bench.new_event_type(NAME)).await.unwrap();
    let terms = Terms {
        validation: Validation::Reject,
        ordering_pointer: Some("/user/id".to_owned()),
        deliver_original: true,
    };
    let whole = ContractChange {
        terms: Some(terms),
        schemas: Some(Some(json!({ "v1": {} }))),
        versions: vec![version(12, 2), version(11, 1)],
        conversions: vec![conversion(7, 2), conversion(9, 2), conversion(8, 3)],
        ..change(&bench, NAME).await
    };
    let written = bench.store.change_contract(whole).await.unwrap();
    assert!(told(&written).contains("1.10"), "numbers keep their digits");
    bench.reopen().await;
    let found = bench.store.contract(bench.environment, NAME.to_owned()).await.unwrap();
    assert_eq!(told(&found), told(&written));
    let keys: Vec<Key> = found.versions.iter().map(|row| row.key).collect();
    assert_eq!(keys, [11, 12], "by ordinal");
    let keys: Vec<Key> = found.conversions.iter().map(|row| row.key).collect();
    assert_eq!(keys, [7, 9, 8], "by ordinal, then by age");
    let all = bench.store.contracts(bench.environment).await.unwrap();
    let keys: Vec<Key> = all[0].conversions.iter().map(|row| row.key).collect();
    assert_eq!(keys, [9, 8], "those in force");
    let event_type = bench.store.event_type(bench.environment, NAME.to_owned()).await.unwrap();
    assert_eq!(event_type.schemas, Some(json!({ "v1": {} })));

    let mut changed = version(12, 2);
    changed.version.label = "two".to_owned();
    changed.version.status = Status::Retired;
    changed.version.sunset_at = None;
    let put = ContractChange { versions: vec![changed], ..change(&bench, NAME).await };
    let found = bench.store.change_contract(put).await.unwrap();
    let second = &found.versions[1].version;
    assert_eq!((&*second.label, second.status, second.sunset_at), ("two", Status::Retired, None));
    assert_eq!(found.terms.validation, Validation::Reject, "what is not named stays");
}

pub(super) async fn contracts_are_listed(mut bench: Bench<'_>) {
    for name in ["silent", NAME, "checked", "ordered"] {
        bench.store.create_event_type(bench.new_event_type(name)).await.unwrap();
    }
    let checked = Terms { validation: Validation::Warn, ..Terms::default() };
    let ordered = Terms { ordering_pointer: Some("/id".to_owned()), ..Terms::default() };
    for (name, terms) in [("checked", checked), ("ordered", ordered)] {
        let set = ContractChange { terms: Some(terms), ..change(&bench, name).await };
        bench.store.change_contract(set).await.unwrap();
    }
    let put = ContractChange { versions: vec![version(11, 1)], ..change(&bench, NAME).await };
    bench.store.change_contract(put).await.unwrap();
    let elsewhere = bench.other_environment().await;
    bench.reopen().await;
    let all = bench.store.contracts(bench.environment).await.unwrap();
    let mut names: Vec<String> = all.into_iter().map(|contract| contract.name).collect();
    names.sort();
    assert_eq!(names, ["checked", "ordered", NAME], "those that say something");
    assert!(bench.store.contracts(elsewhere).await.unwrap().is_empty());
    let missing = bench.store.contract(elsewhere, NAME.to_owned()).await.map(drop);
    assert_eq!(missing, Err(ReadError::NotFound("event type")));

    bench.store.delete_event_type(bench.environment, NAME.to_owned(), true, at(6)).await.unwrap();
    bench.store.create_event_type(bench.new_event_type(NAME)).await.unwrap();
    let found = bench.store.contract(bench.environment, NAME.to_owned()).await.unwrap();
    assert!(found.versions.is_empty(), "a new type has no old versions");
}

pub(super) async fn a_contract_is_changed_as_a_whole(bench: Bench<'_>) {
    bench.store.create_event_type(bench.new_event_type(NAME)).await.unwrap();
    let first = change(&bench, NAME).await;
    let put = ContractChange { versions: vec![version(11, 1)], ..first.clone() };
    bench.store.change_contract(put.clone()).await.unwrap();
    let late = bench.store.change_contract(put).await.map(drop);
    assert_eq!(late, Err(WriteError::Conflict("event type")), "somebody was quicker");
    for taken in [version(12, 1), {
        let mut twin = version(12, 2);
        twin.version.label = "v1".to_owned();
        twin
    }] {
        let put = ContractChange {
            terms: Some(Terms { deliver_original: true, ..Terms::default() }),
            versions: vec![version(13, 3), taken],
            ..change(&bench, NAME).await
        };
        let refused = bench.store.change_contract(put).await.map(drop);
        assert_eq!(refused, Err(WriteError::Conflict("version")));
    }
    let found = bench.store.contract(bench.environment, NAME.to_owned()).await.unwrap();
    assert_eq!((found.versions.len(), found.terms), (1, Terms::default()), "nothing of it");
    bench.store.create_event_type(bench.new_event_type("another")).await.unwrap();
    let another = change(&bench, "another").await;
    let taken = ContractChange { versions: vec![version(11, 1)], ..another };
    let refused = bench.store.change_contract(taken).await.map(drop);
    assert_eq!(refused, Err(WriteError::Conflict("version")), "a key that another type has");
    let environment = bench.other_environment().await;
    let foreign = ContractChange { environment, ..change(&bench, NAME).await };
    let refused = bench.store.change_contract(foreign).await.map(drop);
    assert_eq!(refused, Err(WriteError::NotFound("event type")));
}

pub(super) async fn a_contract_changes_with_its_event_type(mut bench: Bench<'_>) {
    let environment = bench.environment;
    let amended = |expected, versions, deliver_original| Amendment {
        expected,
        terms: Terms { deliver_original, ..Terms::default() },
        versions,
    };
    let mut new = bench.new_event_type(NAME);
    let made_at = new.event_type.updated_at;
    new.contract = Some(amended(made_at, vec![version(11, 1)], true));
    let created = bench.store.create_event_type(new.clone()).await.unwrap();
    assert_eq!(created, new.event_type, "it is changed no second time");
    bench.reopen().await;
    let found = bench.store.contract(environment, NAME.to_owned()).await.unwrap();
    let shown = (found.versions.len(), found.terms.deliver_original, found.updated_at);
    assert_eq!(shown, (1, true, made_at));

    let change = |contract| EventTypeChange {
        description: Some("changed".to_owned()),
        contract: Some(contract),
        ..EventTypeChange::default()
    };
    let put = change(amended(made_at, vec![version(12, 2)], false));
    let changed = bench.store.change_event_type(environment, NAME.to_owned(), put, made_at).await;
    let changed = changed.unwrap();
    assert!(changed.updated_at > made_at, "two changes have different times");
    let late = change(amended(made_at, vec![version(13, 3)], true));
    let late = bench.store.change_event_type(environment, NAME.to_owned(), late, at(9)).await;
    assert_eq!(late.map(drop), Err(WriteError::Conflict("event type")));
    let found = bench.store.contract(environment, NAME.to_owned()).await.unwrap();
    let shown = (found.versions.len(), found.terms.deliver_original, found.updated_at);
    assert_eq!(shown, (2, false, changed.updated_at), "all of the one, nothing of the other");
}
