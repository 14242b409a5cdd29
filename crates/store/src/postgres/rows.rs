//! Reading and writing values that take more than one column, or more than a number.

use ringback_domain::{
    endpoint::State,
    id::{Id, Key},
    scope::{Reference, Scope},
    shard,
};
use tokio_postgres::{Error, Row};

use super::transaction::{Transaction, int8, text};

/// The shard of a scope's rows.
pub(super) fn shard(scope: Scope) -> i32 {
    shard_of(scope.application)
}

/// The shard of an application's rows.
pub(super) fn shard_of(application: Key) -> i32 {
    shard::of(application) as i32
}

/// An id from its key and nonce columns.
pub(super) fn id(row: &Row, key: usize, nonce: usize) -> Id {
    Id { key: row.get(key), shard: 0, nonce: row.get::<_, i64>(nonce) as u64 }
}

/// A value stored as JSON text, or nothing. What cannot be read counts as nothing: only this store
/// writes it.
pub(super) fn optional<T: serde::de::DeserializeOwned>(row: &Row, column: usize) -> Option<T> {
    serde_json::from_str(row.get::<_, Option<&str>>(column)?).ok()
}

/// A value stored as JSON text.
pub(super) fn parsed<T: serde::de::DeserializeOwned + Default>(row: &Row, column: usize) -> T {
    optional(row, column).unwrap_or_default()
}

/// The JSON text of a list of strings.
pub(super) fn json_list(list: Option<&[String]>) -> Option<String> {
    list.map(|list| serde_json::Value::from(list).to_string())
}

/// A list that filters; nothing if it is empty, which filters nothing.
pub(super) fn filter(list: &[String]) -> Option<&[String]> {
    (!list.is_empty()).then_some(list)
}

/// Headers, from the JSON text of name and value pairs.
pub(super) fn headers(row: &Row, column: usize) -> Option<Vec<(String, String)>> {
    optional(row, column)
}

/// The JSON text of a value that can always be written.
pub(super) fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Puts a value at a place of a column that ends with the last one, and nothing at those before that
/// have none.
pub(super) fn put<T>(column: &mut Vec<Option<T>>, place: usize, value: T) {
    column.resize_with(place, || None);
    column.push(Some(value));
}

/// The ordinal of a version.
pub(super) fn version(row: &Row, column: usize) -> Option<u32> {
    row.get::<_, Option<i32>>(column).map(|ordinal| ordinal as u32)
}

/// A limit of requests a second.
pub(super) fn throttle_rate(row: &Row, column: usize) -> Option<u32> {
    row.get::<_, Option<i64>>(column).and_then(|rate| u32::try_from(rate).ok())
}

/// An endpoint's state.
pub(super) fn state(row: &Row, column: usize) -> State {
    State::from_number(row.get::<_, i16>(column).into()).unwrap_or_default()
}

/// The key of an application of this environment, if there is one.
pub(super) async fn application_key(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
) -> Result<Option<Key>, Error> {
    let row = match reference {
        Reference::Id(id) => {
            let sql = include_str!("queries/application_key.sql");
            let nonce = id.nonce as i64;
            transaction.row(sql, &[int8(&id.key), int8(&nonce), int8(&environment)]).await?
        }
        Reference::Uid(uid) => {
            let sql = include_str!("queries/application_key_by_uid.sql");
            transaction.row(sql, &[int8(&environment), text(uid)]).await?
        }
    };
    Ok(row.map(|row| row.get(0)))
}
