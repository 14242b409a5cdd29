//! Imports of event types: a few statements, however many they are.

use std::collections::HashMap;

use ringback_domain::{event_type::EventType, id::Key, time::Timestamp};
use tokio_postgres::types::Type;

use super::{
    Postgres, answer, event_type,
    fault::Stop,
    transaction::{Transaction, int8, texts},
};
use crate::{BoxFuture, Import, Imports, Others, WriteError, import::replaced};

impl Imports for Postgres {
    fn import_event_types(&self, import: Import) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| Box::pin(async move { run(transaction, import).await }))
    }
}

async fn run(transaction: &Transaction<'_>, import: Import) -> Result<(), Stop<WriteError>> {
    let Import { environment, event_types, others, now, answer } = import;
    let environments = include_str!("queries/environment_exists.sql");
    if !transaction.holds(environments, &[int8(&environment)]).await? {
        return Err(Stop::Refused(WriteError::NotFound("environment")));
    }
    let names: Vec<&str> = event_types.iter().map(|one| one.name.as_str()).collect();
    let sql = include_str!("queries/event_types_by_name.sql");
    let found = transaction.rows(sql, &[int8(&environment), texts(&names)]).await?;
    if others == Others::Archive {
        let sql = include_str!("queries/event_types_archive_others.sql");
        let now = now.millis();
        transaction.execute(sql, &[int8(&environment), texts(&names), int8(&now)]).await?;
    }
    let known: HashMap<String, EventType> =
        found.iter().map(event_type::from_row).map(|one| (one.name.clone(), one)).collect();
    let (mut changed, mut new) = (Vec::new(), Vec::new());
    for one in event_types {
        match known.get(&one.name) {
            Some(known) => changed.extend(replaced(known, &one)),
            None => new.push(one),
        }
    }
    write(transaction, environment, now, changed, new).await?;
    answer::keep(transaction, now, answer.as_ref()).await
}

/// Writes what is changed and what is new. What somebody else made new since it was looked for is
/// replaced.
async fn write(
    transaction: &Transaction<'_>,
    environment: Key,
    now: Timestamp,
    changed: Vec<EventType>,
    new: Vec<EventType>,
) -> Result<(), Stop<WriteError>> {
    let ids: Vec<Key> = new.iter().map(|one| one.id.key()).collect();
    let sql = include_str!("queries/event_types_known_ids.sql");
    if transaction.holds(sql, &[(&ids, Type::INT8_ARRAY)]).await? {
        return Err(Stop::Refused(WriteError::Conflict("event type id")));
    }
    let columns: Columns = changed.into_iter().chain(new).collect();
    if columns.key.is_empty() {
        return Ok(());
    }
    let now = now.millis();
    let parameters = [
        int8(&environment),
        int8(&now),
        (&columns.key as _, Type::INT8_ARRAY),
        (&columns.nonce as _, Type::INT8_ARRAY),
        texts(&columns.name),
        texts(&columns.description),
        texts(&columns.schemas),
        (&columns.archived as _, Type::BOOL_ARRAY),
        (&columns.deprecated as _, Type::BOOL_ARRAY),
        texts(&columns.feature_flag),
        texts(&columns.group_name),
    ];
    transaction.execute(include_str!("queries/event_types_insert.sql"), &parameters).await?;
    Ok(())
}

/// Event types, column by column.
#[derive(Default)]
struct Columns {
    key: Vec<i64>,
    nonce: Vec<i64>,
    name: Vec<String>,
    description: Vec<String>,
    schemas: Vec<Option<String>>,
    archived: Vec<bool>,
    deprecated: Vec<bool>,
    feature_flag: Vec<Option<String>>,
    group_name: Vec<Option<String>>,
}

impl FromIterator<EventType> for Columns {
    fn from_iter<I: IntoIterator<Item = EventType>>(event_types: I) -> Columns {
        let mut columns = Columns::default();
        for one in event_types {
            columns.key.push(one.id.key());
            columns.nonce.push(one.id.0.nonce as i64);
            columns.name.push(one.name);
            columns.description.push(one.description);
            columns.schemas.push(one.schemas.map(|schemas| schemas.to_string()));
            columns.archived.push(one.archived);
            columns.deprecated.push(one.deprecated);
            columns.feature_flag.push(one.feature_flag);
            columns.group_name.push(one.group_name);
        }
        columns
    }
}
