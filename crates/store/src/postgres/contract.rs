//! Versions and conversions of event types. Whoever changes any of one type holds the type's row.

use ringback_domain::{id::Key, time::Timestamp};
use tokio_postgres::{Error, Row};

use super::{
    Postgres,
    fault::Stop,
    transaction::{Transaction, int4, int8, text},
};
use crate::{
    BoxFuture, Contract, Contracts, ConversionRow, NewConversion, PutVersion, ReadError, Terms,
    Unavailable, VersionRow, WriteError,
};

/// One moment for all that is read.
const SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

impl Contracts for Postgres {
    fn contract(
        &self,
        environment: Key,
        event_type: String,
    ) -> BoxFuture<'_, Result<Contract, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                transaction.execute(SNAPSHOT, &[]).await?;
                let sql = include_str!("queries/contract.sql");
                let row = transaction.row(sql, &[int8(&environment), text(&event_type)]).await?;
                let missing = Stop::Refused(ReadError::NotFound("event type"));
                let found = row.as_ref().map(from_row).ok_or(missing)?;
                Ok(whole(transaction, found, include_str!("queries/conversions.sql")).await?)
            })
        })
    }

    fn contracts(
        &self,
        environment: Key,
        after: Key,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Contract>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                transaction.execute(SNAPSHOT, &[]).await?;
                let limit = limit as i64;
                let sql = include_str!("queries/contracts.sql");
                let parameters = [int8(&environment), int8(&after), int8(&limit)];
                let in_force = include_str!("queries/conversions_in_force.sql");
                let mut all = Vec::new();
                for row in transaction.rows(sql, &parameters).await? {
                    all.push(whole(transaction, from_row(&row), in_force).await?);
                }
                Ok(all)
            })
        })
    }

    fn set_terms(
        &self,
        environment: Key,
        event_type: String,
        terms: Terms,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Contract, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                let found = locked(transaction, environment, &event_type).await?;
                let (validation, now) = (terms.validation as i32, now.millis());
                let parameters = [
                    int8(&found.event_type),
                    int4(&validation),
                    text(&terms.ordering_pointer),
                    int8(&now),
                ];
                transaction
                    .execute(include_str!("queries/contract_terms.sql"), &parameters)
                    .await?;
                let found = Contract { terms, ..found };
                Ok(whole(transaction, found, include_str!("queries/conversions.sql")).await?)
            })
        })
    }

    fn put_version(&self, put: PutVersion) -> BoxFuture<'_, Result<VersionRow, WriteError>> {
        self.change(move |transaction| Box::pin(async move { put_version(transaction, put).await }))
    }

    fn add_conversion(
        &self,
        new: NewConversion,
    ) -> BoxFuture<'_, Result<ConversionRow, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move { add_conversion(transaction, new).await })
        })
    }
}

/// Removes everything that an event type promised.
pub(super) async fn delete(transaction: &Transaction<'_>, event_type: Key) -> Result<(), Error> {
    for sql in [
        include_str!("queries/versions_delete.sql"),
        include_str!("queries/conversions_delete.sql"),
    ] {
        transaction.execute(sql, &[int8(&event_type)]).await?;
    }
    Ok(())
}

async fn put_version(
    transaction: &Transaction<'_>,
    put: PutVersion,
) -> Result<VersionRow, Stop<WriteError>> {
    let PutVersion { event_type, version, expected, now } = put;
    let event_type = locked(transaction, version.environment, &event_type).await?.event_type;
    let others = versions(transaction, event_type).await?;
    let version = version.replacing(event_type, &others, expected, now).map_err(Stop::Refused)?;
    if expected.is_none() {
        let key = transaction.next_key(now);
        let version = VersionRow { key, ..version };
        insert(transaction, &version).await?;
        return Ok(version);
    }
    update(transaction, &version).await?;
    Ok(version)
}

async fn insert(transaction: &Transaction<'_>, version: &VersionRow) -> Result<(), Error> {
    let sql = include_str!("queries/version_insert.sql");
    transaction
        .execute(
            sql,
            &[
                int8(&version.key),
                int8(&version.environment),
                int8(&version.event_type),
                text(&version.label),
                int8(&i64::from(version.ordinal)),
                int8(&version.status),
                int8(&version.dialect),
                text(&version.schema),
                text(&version.changelog),
                text(&version.examples),
                int8(&version.deprecated_at.map(Timestamp::millis)),
                int8(&version.sunset_at.map(Timestamp::millis)),
                int8(&version.default_since.map(Timestamp::millis)),
                int8(&version.created_at.millis()),
                int8(&version.updated_at.millis()),
            ],
        )
        .await?;
    Ok(())
}

async fn update(transaction: &Transaction<'_>, version: &VersionRow) -> Result<(), Error> {
    let sql = include_str!("queries/version_update.sql");
    transaction
        .execute(
            sql,
            &[
                int8(&version.key),
                text(&version.label),
                int8(&version.status),
                int8(&version.dialect),
                text(&version.schema),
                text(&version.changelog),
                text(&version.examples),
                int8(&version.deprecated_at.map(Timestamp::millis)),
                int8(&version.sunset_at.map(Timestamp::millis)),
                int8(&version.default_since.map(Timestamp::millis)),
                int8(&version.updated_at.millis()),
            ],
        )
        .await?;
    Ok(())
}

async fn add_conversion(
    transaction: &Transaction<'_>,
    new: NewConversion,
) -> Result<ConversionRow, Stop<WriteError>> {
    let NewConversion { environment, event_type, ordinal, program, now } = new;
    let event_type = locked(transaction, environment, &event_type).await?.event_type;
    if !versions(transaction, event_type).await?.iter().any(|version| version.ordinal == ordinal) {
        return Err(Stop::Refused(WriteError::NotFound("version")));
    }
    let key = transaction.next_key(now);
    let (stored, created_at) = (ordinal as i32, now.millis());
    let parameters = [
        int8(&key),
        int8(&environment),
        int8(&event_type),
        int4(&stored),
        text(&program),
        int8(&created_at),
    ];
    transaction.execute(include_str!("queries/conversion_insert.sql"), &parameters).await?;
    Ok(ConversionRow { key, environment, event_type, ordinal, program, created_at: now })
}

/// The contract of this name, without versions and conversions, that nobody else changes until this
/// transaction ends.
async fn locked(
    transaction: &Transaction<'_>,
    environment: Key,
    name: &str,
) -> Result<Contract, Stop<WriteError>> {
    let sql = concat!(include_str!("queries/contract.sql"), "FOR UPDATE");
    let row = transaction.row(sql, &[int8(&environment), text(&name)]).await?;
    row.as_ref().map(from_row).ok_or(Stop::Refused(WriteError::NotFound("event type")))
}

/// The contract with its versions, and those conversions that the statement finds.
async fn whole(
    transaction: &Transaction<'_>,
    found: Contract,
    sql: &str,
) -> Result<Contract, Error> {
    let versions = versions(transaction, found.event_type).await?;
    let conversions = transaction.rows(sql, &[int8(&found.event_type)]).await?;
    let conversions = conversions.iter().map(conversion).collect();
    Ok(Contract { versions, conversions, ..found })
}

async fn versions(
    transaction: &Transaction<'_>,
    event_type: Key,
) -> Result<Vec<VersionRow>, Error> {
    let found =
        transaction.rows(include_str!("queries/versions.sql"), &[int8(&event_type)]).await?;
    Ok(found.iter().map(version).collect())
}

fn from_row(row: &Row) -> Contract {
    let validation = row.get::<_, i16>(3).into();
    Contract {
        event_type: row.get(0),
        environment: row.get(1),
        name: row.get(2),
        terms: Terms { validation, ordering_pointer: row.get(4) },
        ..Contract::default()
    }
}

fn version(row: &Row) -> VersionRow {
    let time = |column| row.get::<_, Option<i64>>(column).map(Timestamp);
    VersionRow {
        key: row.get(0),
        environment: row.get(1),
        event_type: row.get(2),
        label: row.get(3),
        ordinal: row.get::<_, i32>(4) as u32,
        status: row.get::<_, i16>(5).into(),
        dialect: row.get::<_, i16>(6).into(),
        schema: row.get(7),
        changelog: row.get(8),
        examples: row.get(9),
        deprecated_at: time(10),
        sunset_at: time(11),
        default_since: time(12),
        created_at: Timestamp(row.get(13)),
        updated_at: Timestamp(row.get(14)),
    }
}

fn conversion(row: &Row) -> ConversionRow {
    ConversionRow {
        key: row.get(0),
        environment: row.get(1),
        event_type: row.get(2),
        ordinal: row.get::<_, i32>(3) as u32,
        program: row.get(4),
        created_at: Timestamp(row.get(5)),
    }
}
