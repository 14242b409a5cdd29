//! Reading and writing values that take more than one column, or more than a number.

use ringback_domain::{
    endpoint::State,
    id::{Id, Key},
    scope::{Reference, Scope},
};
use rusqlite::{Connection, OptionalExtension, Row, types::Type};

/// An id from its key and nonce columns.
pub(super) fn id(row: &Row<'_>, key: usize, nonce: usize) -> rusqlite::Result<Id> {
    Ok(Id { key: row.get(key)?, shard: 0, nonce: row.get::<_, i64>(nonce)? as u64 })
}

/// A value stored as JSON text, or nothing.
pub(super) fn optional<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| from_json(&text, column)).transpose()
}

/// A value stored as JSON text.
pub(super) fn parsed<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    from_json(&row.get::<_, String>(column)?, column)
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

/// The JSON text of a list of strings.
pub(super) fn json_list(list: Option<&[String]>) -> Option<String> {
    list.map(|list| serde_json::Value::from(list).to_string())
}

/// The JSON text of headers.
pub(super) fn json_headers(
    headers: Option<&[(String, String)]>,
) -> rusqlite::Result<Option<String>> {
    headers.map(|headers| json(&headers)).transpose()
}

/// The JSON text of a list that filters; nothing if it is empty, which filters nothing.
pub(super) fn json_filter(list: &[String]) -> Option<String> {
    (!list.is_empty()).then(|| serde_json::Value::from(list).to_string())
}

/// An endpoint's state.
pub(super) fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<State> {
    Ok(State::from_number(row.get(column)?).unwrap_or_default())
}

/// The JSON text of a value.
pub(super) fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// The answer of a query for one truth value.
pub(super) fn exists(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<bool> {
    connection.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))
}

/// The key of an application of this environment; no row if there is none.
pub(super) fn application_key(
    connection: &Connection,
    environment: Key,
    reference: &Reference,
) -> rusqlite::Result<Key> {
    match reference {
        Reference::Id(id) => {
            let sql = include_str!("queries/application_key.sql");
            let nonce = id.nonce as i64;
            connection
                .prepare_cached(sql)?
                .query_row((id.key, nonce, environment), |row| row.get(0))
        }
        Reference::Uid(uid) => {
            let sql = include_str!("queries/application_key_by_uid.sql");
            connection.prepare_cached(sql)?.query_row((environment, uid), |row| row.get(0))
        }
    }
}

/// The key of something inside an application, by its id or by the caller's name for it.
pub(super) fn key_in_scope(
    connection: &Connection,
    scope: Scope,
    reference: &Reference,
    by_id: &str,
    by_uid: &str,
) -> rusqlite::Result<Option<Key>> {
    let Scope { environment, application } = scope;
    match reference {
        Reference::Id(id) => connection
            .prepare_cached(by_id)?
            .query_row((id.key, id.nonce as i64, environment, application), |row| row.get(0))
            .optional(),
        Reference::Uid(uid) => connection
            .prepare_cached(by_uid)?
            .query_row((uid, environment, application), |row| row.get(0))
            .optional(),
    }
}
