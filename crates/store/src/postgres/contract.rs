//! Contracts of event types.

use std::collections::HashMap;

use ringback_domain::{
    contract::{
        Terms,
        version::{Dialect, Status, Validation, Version},
    },
    id::Key,
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    Postgres, answer,
    fault::Stop,
    rows,
    transaction::{Transaction, boolean, int8, text},
};
use crate::{
    Amendment, BoxFuture, Contract, ContractChange, Contracts, ConversionRow, ReadError,
    Unavailable, VersionRow, WriteError, change::later,
};

impl Contracts for Postgres {
    fn contract(
        &self,
        environment: Key,
        event_type: String,
    ) -> BoxFuture<'_, Result<Contract, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let sql = include_str!("queries/contract.sql");
                let found = one(transaction, sql, environment, &event_type).await?;
                found.ok_or(Stop::Refused(ReadError::NotFound("event type")))
            })
        })
    }

    fn contracts(&self, environment: Key) -> BoxFuture<'_, Result<Vec<Contract>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(all(transaction, environment).await?) })
        })
    }

    fn change_contract(
        &self,
        change: ContractChange,
    ) -> BoxFuture<'_, Result<Contract, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move { self::change(transaction, &change).await })
        })
    }
}

async fn change(
    transaction: &Transaction<'_>,
    change: &ContractChange,
) -> Result<Contract, Stop<WriteError>> {
    let (environment, name) = (change.environment, &change.event_type);
    let missing = || Stop::Refused(WriteError::NotFound("event type"));
    let sql = concat!(include_str!("queries/contract.sql"), "FOR UPDATE");
    let known = one(transaction, sql, environment, name).await?.ok_or_else(missing)?;
    change.check(&known).map_err(Stop::Refused)?;
    let event_type = known.event_type;
    put_versions(transaction, (environment, event_type), &change.versions).await?;
    for row in &change.conversions {
        let (ordinal, created_at) = (i64::from(row.ordinal), row.created_at.millis());
        let program = row.program.to_string();
        let sql = include_str!("queries/contract_conversion_insert.sql");
        let parameters = [
            int8(&row.key),
            int8(&environment),
            int8(&event_type),
            int8(&ordinal),
            text(&program),
            int8(&created_at),
        ];
        transaction.execute(sql, &parameters).await?;
    }
    let terms = change.terms.as_ref().unwrap_or(&known.terms);
    let updated_at = later(known.updated_at, change.now);
    update(transaction, event_type, terms, updated_at, change.schemas.as_ref()).await?;
    answer::keep(transaction, change.now, change.answer.as_ref()).await?;
    let sql = include_str!("queries/contract.sql");
    one(transaction, sql, environment, name).await?.ok_or_else(missing)
}

/// Changes a contract together with its event type, whose row is there, locked, and has its old time.
pub(super) async fn amend(
    transaction: &Transaction<'_>,
    (environment, name): (Key, &str),
    amendment: Option<&Amendment>,
) -> Result<(), Stop<WriteError>> {
    let Some(amendment) = amendment else { return Ok(()) };
    let missing = || Stop::Refused(WriteError::NotFound("event type"));
    let sql = include_str!("queries/contract.sql");
    let known = one(transaction, sql, environment, name).await?.ok_or_else(missing)?;
    amendment.check(&known).map_err(Stop::Refused)?;
    put_versions(transaction, (environment, known.event_type), &amendment.versions).await?;
    update(transaction, known.event_type, &amendment.terms, known.updated_at, None).await?;
    Ok(())
}

async fn update(
    transaction: &Transaction<'_>,
    event_type: Key,
    terms: &Terms,
    updated_at: Timestamp,
    schemas: Option<&Option<serde_json::Value>>,
) -> Result<(), Error> {
    let (validation, updated_at) = (terms.validation.number(), updated_at.millis());
    let given = schemas.is_some();
    let schemas = schemas.and_then(Option::as_ref).map(ToString::to_string);
    let parameters = [
        int8(&event_type),
        int8(&validation),
        text(&terms.ordering_pointer),
        boolean(&terms.deliver_original),
        int8(&updated_at),
        boolean(&given),
        text(&schemas),
    ];
    transaction.execute(include_str!("queries/contract_update.sql"), &parameters).await?;
    Ok(())
}

/// Deletes the contract of an event type that is deleted for good.
pub(super) async fn delete(transaction: &Transaction<'_>, event_type: Key) -> Result<(), Error> {
    for sql in [
        include_str!("queries/contract_delete.sql"),
        include_str!("queries/contract_delete_conversions.sql"),
    ] {
        transaction.execute(sql, &[int8(&event_type)]).await?;
    }
    Ok(())
}

async fn put_versions(
    transaction: &Transaction<'_>,
    owner: (Key, Key),
    rows: &[VersionRow],
) -> Result<(), Stop<WriteError>> {
    for row in rows {
        put_version(transaction, owner, row).await?;
    }
    Ok(())
}

async fn put_version(
    transaction: &Transaction<'_>,
    (environment, event_type): (Key, Key),
    row: &VersionRow,
) -> Result<(), Stop<WriteError>> {
    let version = &row.version;
    let millis = |time: Option<Timestamp>| time.map(Timestamp::millis);
    let ordinal = i64::from(version.ordinal);
    let (status, dialect) = (version.status.number(), version.dialect.number());
    let (schema, examples) = (version.schema.to_string(), rows::json(&version.examples));
    let [deprecated_at, sunset_at, default_since] =
        [version.deprecated_at, version.sunset_at, version.default_since].map(millis);
    let (created_at, updated_at) = (row.created_at.millis(), row.updated_at.millis());
    let parameters = [
        int8(&row.key),
        int8(&environment),
        int8(&event_type),
        text(&version.label),
        int8(&ordinal),
        int8(&status),
        int8(&dialect),
        text(&schema),
        text(&version.changelog),
        text(&examples),
        int8(&deprecated_at),
        int8(&sunset_at),
        int8(&default_since),
        int8(&created_at),
        int8(&updated_at),
    ];
    let sql = include_str!("queries/contract_version_put.sql");
    let put = transaction.execute(sql, &parameters).await?;
    if put == 1 { Ok(()) } else { Err(Stop::Refused(WriteError::Conflict("version"))) }
}

async fn one(
    transaction: &Transaction<'_>,
    sql: &str,
    environment: Key,
    name: &str,
) -> Result<Option<Contract>, Error> {
    let row = transaction.row(sql, &[int8(&environment), text(&name)]).await?;
    let Some(mut contract) = row.as_ref().map(head) else { return Ok(None) };
    let owner = [int8(&contract.event_type)];
    let sql = include_str!("queries/contract_versions.sql");
    let versions = transaction.rows(sql, &owner).await?;
    let sql = include_str!("queries/contract_conversions.sql");
    let conversions = transaction.rows(sql, &owner).await?;
    contract.versions = versions.iter().map(|row| version(row).1).collect();
    contract.conversions = conversions.iter().map(|row| conversion(row).1).collect();
    Ok(Some(contract))
}

async fn all(transaction: &Transaction<'_>, environment: Key) -> Result<Vec<Contract>, Error> {
    let whose = [int8(&environment)];
    let found = transaction.rows(include_str!("queries/contracts.sql"), &whose).await?;
    let mut contracts: HashMap<Key, Contract> =
        found.iter().map(head).map(|contract| (contract.event_type, contract)).collect();
    if contracts.is_empty() {
        return Ok(Vec::new());
    }
    let sql = include_str!("queries/contracts_versions.sql");
    for (owner, row) in transaction.rows(sql, &whose).await?.iter().map(version) {
        if let Some(contract) = contracts.get_mut(&owner) {
            contract.versions.push(row);
        }
    }
    let sql = include_str!("queries/contracts_conversions.sql");
    for (owner, row) in transaction.rows(sql, &whose).await?.iter().map(conversion) {
        if let Some(contract) = contracts.get_mut(&owner) {
            contract.conversions.push(row);
        }
    }
    Ok(contracts.into_values().collect())
}

fn head(row: &Row) -> Contract {
    Contract {
        event_type: row.get(0),
        name: row.get(1),
        terms: Terms {
            validation: Validation::from_number(row.get(2)),
            ordering_pointer: row.get(3),
            deliver_original: row.get(4),
        },
        updated_at: Timestamp(row.get(5)),
        versions: Vec::new(),
        conversions: Vec::new(),
    }
}

fn version(row: &Row) -> (Key, VersionRow) {
    let time = |column: usize| row.get::<_, Option<i64>>(column).map(Timestamp);
    let version = Version {
        label: row.get(2),
        ordinal: ordinal(row, 3),
        status: Status::from_number(row.get(4)),
        dialect: Dialect::from_number(row.get(5)),
        schema: rows::parsed(row, 6),
        changelog: row.get(7),
        examples: rows::parsed(row, 8),
        deprecated_at: time(9),
        sunset_at: time(10),
        default_since: time(11),
    };
    let (created_at, updated_at) = (Timestamp(row.get(12)), Timestamp(row.get(13)));
    (row.get(1), VersionRow { key: row.get(0), version, created_at, updated_at })
}

fn conversion(row: &Row) -> (Key, ConversionRow) {
    let conversion = ConversionRow {
        key: row.get(0),
        ordinal: ordinal(row, 2),
        program: rows::parsed(row, 3),
        created_at: Timestamp(row.get(4)),
    };
    (row.get(1), conversion)
}

fn ordinal(row: &Row, column: usize) -> u32 {
    row.get::<_, i32>(column) as u32
}
