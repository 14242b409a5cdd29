//! What the routes of versions and conversions have in common: a contract is read, a new one made of
//! it, and written if nobody else changed it meanwhile.

use std::{collections::BTreeMap, sync::Arc};

use ringback_domain::{
    contract::{
        conversion::Conversion,
        gate::{self, Report, Subject},
        pin,
        version::{Status, Version},
    },
    delivery::Delivery,
    endpoint::Endpoint,
    id::Key,
    scope::Scope,
    time::Timestamp,
};
use ringback_store::{Contract, ContractChange, Order, Page, Position, Targets, VersionRow};

use crate::{
    api::{
        Api,
        error::{Error, Problem},
    },
    contract::revision,
};

/// How many applications or endpoints are read at a time.
const PAGE: usize = 250;
/// How many endpoints an error names.
const NAMED: usize = 20;

/// A change of nothing, for this contract.
pub(super) fn change(environment: Key, contract: &Contract, now: Timestamp) -> ContractChange {
    ContractChange {
        environment,
        event_type: contract.name.clone(),
        expected: contract.updated_at,
        terms: None,
        schemas: None,
        versions: Vec::new(),
        conversions: Vec::new(),
        now,
        answer: None,
    }
}

/// Writes a change, and has everybody who knew the contract look again.
pub(super) async fn write(api: &Api, change: ContractChange) -> Result<Contract, Error> {
    let environment = change.environment;
    let written = api.store.change_contract(change).await;
    api.contracts.forget(environment);
    Ok(written?)
}

/// The version with this label.
pub(super) fn version<'a>(contract: &'a Contract, label: &str) -> Result<&'a VersionRow, Error> {
    let found = contract.versions.iter().find(|row| row.version.label == label);
    found.ok_or(Error::NotFound("version"))
}

/// The place of the next version.
pub(super) fn next_ordinal(versions: &[VersionRow]) -> u32 {
    versions.iter().map(|row| row.version.ordinal).max().unwrap_or(0) + 1
}

/// The conversions in force, by the ordinal that they lead from. What cannot be read any more counts
/// as not there.
pub(super) fn in_force(contract: &Contract) -> BTreeMap<u32, (Arc<str>, Arc<Conversion>)> {
    let read = |row: &ringback_store::ConversionRow| {
        let conversion = Conversion::read(&row.program).ok()?;
        Some((row.ordinal, (revision(row.key), Arc::new(conversion))))
    };
    // The newest comes last.
    contract.conversions.iter().filter_map(read).collect()
}

/// What the gate says of a version as it would be, with a conversion that would be new.
pub(super) async fn judged(
    api: &Api,
    environment: Key,
    contract: &Contract,
    candidate: &Version,
    conversion: Option<Conversion>,
) -> Report {
    let mut versions: Vec<Version> =
        contract.versions.iter().map(|row| row.version.clone()).collect();
    versions.retain(|version| version.ordinal != candidate.ordinal);
    versions.push(candidate.clone());
    let mut conversions = in_force(contract);
    if let Some(conversion) = conversion {
        conversions.insert(candidate.ordinal, ("new".into(), Arc::new(conversion)));
    }
    let candidate = candidate.ordinal;
    let event_type = contract.name.clone();
    let subject = Subject { event_type, versions, conversions, candidate };
    gate::check(&subject, &api.contracts.trial(environment)).await
}

/// 422 with everything that speaks against it.
pub(super) fn refused(report: Report) -> Error {
    let problem = |problem: gate::Problem| {
        let loc = std::iter::once("body".to_owned()).chain(problem.place).collect();
        Problem { loc, msg: problem.what, kind: "value_error" }
    };
    Error::Invalid(report.problems.into_iter().map(problem).collect())
}

/// An endpoint that is pinned to a version.
pub(super) struct Pinned {
    pub(super) scope: Scope,
    pub(super) endpoint: Endpoint,
    pub(super) delivery: Delivery,
}

/// All endpoints of the environment that want the type and are pinned to the version, by name or by
/// when they were made.
pub(super) async fn pinned(
    api: &Api,
    environment: Key,
    contract: &Contract,
    ordinal: u32,
) -> Result<Vec<Pinned>, Error> {
    let versions: Vec<Version> = contract.versions.iter().map(|row| row.version.clone()).collect();
    let mut found = Vec::new();
    let mut from = Position::Start;
    loop {
        let page = Page { limit: PAGE, from, order: Order::Ascending };
        let listed = api.store.applications(environment, page).await?;
        for application in &listed.items {
            let scope = Scope { environment, application: application.id.key() };
            of_application(api, scope, (contract, &versions, ordinal), &mut found).await?;
        }
        match listed.items.last() {
            Some(last) if !listed.done => from = Position::After(last.id.0),
            _ => return Ok(found),
        }
    }
}

async fn of_application(
    api: &Api,
    scope: Scope,
    (contract, versions, ordinal): (&Contract, &[Version], u32),
    found: &mut Vec<Pinned>,
) -> Result<(), Error> {
    let mut from = Position::Start;
    loop {
        let page = Page { limit: PAGE, from, order: Order::Ascending };
        let listed = api.store.endpoints(scope, Targets::All, page).await?;
        let last = listed.items.last().map(|endpoint| endpoint.id.0);
        for endpoint in listed.items {
            let delivery: Delivery = endpoint
                .delivery
                .as_deref()
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default();
            let pins = delivery.versions.as_ref();
            let pin = pin::pinned(versions, &contract.name, pins, endpoint.created_at);
            if wants(&endpoint, &contract.name) && pin.is_some_and(|it| it.ordinal == ordinal) {
                found.push(Pinned { scope, endpoint, delivery });
            }
        }
        match last {
            Some(last) if !listed.done => from = Position::After(last),
            _ => return Ok(()),
        }
    }
}

/// Whether it would ever get a message of the type.
fn wants(endpoint: &Endpoint, event_type: &str) -> bool {
    let types = endpoint.event_types.as_ref();
    types.is_none_or(|types| types.iter().any(|it| it == event_type))
}

/// 409 that names the endpoints.
pub(super) fn still_pinned(label: &str, pinned: &[Pinned]) -> Error {
    let ids: Vec<String> =
        pinned.iter().take(NAMED).map(|one| one.endpoint.id.to_string()).collect();
    let more = pinned.len().saturating_sub(NAMED);
    let mut detail = format!("version {label} is what these endpoints get: {}", ids.join(", "));
    if more > 0 {
        detail.push_str(&format!(" and {more} more"));
    }
    detail.push_str("; name a successor, or pin them to another version");
    Error::Conflict { code: "version_pinned", detail }
}

/// Whether a version is what new endpoints and unnamed messages get.
pub(super) fn is_default(contract: &Contract, version: &Version, now: Timestamp) -> bool {
    let versions: Vec<Version> = contract.versions.iter().map(|row| row.version.clone()).collect();
    let default = pin::default_at(&versions, now);
    version.status != Status::Draft && default.is_some_and(|it| it.ordinal == version.ordinal)
}
