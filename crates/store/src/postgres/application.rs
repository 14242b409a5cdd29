//! Applications: creating, changing, deleting with all that hangs on them.

use ringback_domain::{
    application::Application,
    id::{ApplicationId, Key},
    scope::{Reference, Scope},
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    answer, endpoint,
    fault::{self, Stop},
    oauth, rows, source,
    transaction::{Transaction, int4, int8, text},
};
use crate::{ApplicationChange, Listed, NewApplication, Page, ReadError, WriteError, pages::Cut};

/// Creates an application.
pub(super) async fn create(
    transaction: &Transaction<'_>,
    new: &NewApplication,
) -> Result<Application, Stop<WriteError>> {
    let application = &new.application;
    let environments = include_str!("queries/environment_exists.sql");
    if !transaction.holds(environments, &[int8(&new.environment)]).await? {
        return Err(Stop::Refused(WriteError::NotFound("environment")));
    }
    let key = application.id.key();
    if transaction.holds(include_str!("queries/application_exists.sql"), &[int8(&key)]).await? {
        return Err(Stop::Refused(WriteError::Conflict("application id")));
    }
    check_uid(transaction, new.environment, application.uid.as_deref(), None).await?;
    insert(transaction, new.environment, application).await.map_err(fault::conflict)?;
    answer::keep(transaction, application.created_at, new.answer.as_ref()).await?;
    Ok(application.clone())
}

/// One application; the hidden one can be asked for by its uid.
pub(super) async fn get(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
) -> Result<Application, Stop<ReadError>> {
    let missing = || Stop::Refused(ReadError::NotFound("application"));
    let key = rows::application_key(transaction, environment, reference).await?;
    by_key(transaction, key.ok_or_else(missing)?).await?.ok_or_else(missing)
}

/// A page of the environment's applications.
pub(super) async fn list(
    transaction: &Transaction<'_>,
    environment: Key,
    page: &Page,
) -> Result<Listed<Application>, Error> {
    let Cut { walk, low, high } = Cut::new(page);
    let sql = walk.sql(include_str!("queries/applications.sql"));
    let limit = walk.rows();
    let parameters = [int8(&environment), int8(&low), int8(&high), int8(&limit)];
    let found = transaction.rows(&sql, &parameters).await?;
    Ok(walk.page(found.iter().map(from_row).collect()))
}

/// Changes an application.
pub(super) async fn change(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
    change: ApplicationChange,
    now: Timestamp,
) -> Result<Application, Stop<WriteError>> {
    let missing = || Stop::Refused(WriteError::NotFound("application"));
    let key = visible(transaction, environment, reference).await?;
    let mut application = by_key(transaction, key).await?.ok_or_else(missing)?;
    if let Some(uid) = change.uid {
        check_uid(transaction, environment, uid.as_deref(), Some(key)).await?;
        application.uid = uid;
    }
    application.name = change.name.unwrap_or(application.name);
    application.metadata = change.metadata.unwrap_or(application.metadata);
    application.throttle_rate = change.throttle_rate.unwrap_or(application.throttle_rate);
    application.updated_at = now;
    update(transaction, &application).await.map_err(fault::conflict)?;
    transaction.forget_routes(key);
    Ok(application)
}

/// Deletes an application with its endpoints and the source that owns it; the sweep cancels what is pending. Returns the keys
/// of the endpoints.
pub(super) async fn delete(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
    now: Timestamp,
) -> Result<Vec<Key>, Stop<WriteError>> {
    let key = visible(transaction, environment, reference).await?;
    let sql = include_str!("queries/application_endpoints.sql");
    let found = transaction.rows(sql, &[int8(&key)]).await?;
    let endpoints: Vec<Key> = found.iter().map(|row| row.get(0)).collect();
    for endpoint in &endpoints {
        endpoint::mark_deleted(transaction, key, *endpoint, now).await?;
    }
    source::delete_owner(transaction, key).await?;
    let sql = include_str!("queries/callbacks_cancel.sql");
    transaction.execute(sql, &[int8(&key), int8(&now.millis())]).await?;
    oauth::delete_of(transaction, key).await?;
    let sql = include_str!("queries/application_delete.sql");
    transaction.execute(sql, &[int8(&key), int8(&now.millis())]).await?;
    transaction.forget_routes(key);
    Ok(endpoints)
}

/// Refuses a scope whose application does not exist, or belongs to another environment.
pub(super) async fn check_scope(
    transaction: &Transaction<'_>,
    scope: Scope,
) -> Result<(), Stop<WriteError>> {
    let sql = include_str!("queries/application_in_scope.sql");
    if transaction.holds(sql, &[int8(&scope.application), int8(&scope.environment)]).await? {
        Ok(())
    } else {
        Err(Stop::Refused(WriteError::NotFound("application")))
    }
}

/// Makes changes of an application and its endpoints wait for each other. It comes before what the
/// change is made of is read, before a row of an endpoint is locked (or two transactions could wait
/// for each other for ever), and before the revision's key is taken: so keys grow in the order in
/// which the revisions take effect.
pub(super) async fn lock(transaction: &Transaction<'_>, scope: Scope) -> Result<(), Error> {
    let Scope { environment, application } = scope;
    let sql = include_str!("queries/application_lock.sql");
    transaction.row(sql, &[int8(&application), int8(&environment)]).await?;
    Ok(())
}

/// The key of an application that may be changed, locked: operational messages need the hidden one
/// as it is.
pub(super) async fn visible(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
) -> Result<Key, Stop<WriteError>> {
    if let Some(key) = rows::application_key(transaction, environment, reference).await? {
        lock(transaction, Scope { environment, application: key }).await?;
        // Only now it is certain that nobody else deletes it.
        let sql = include_str!("queries/application_visible.sql");
        if transaction.holds(sql, &[int8(&key)]).await? {
            return Ok(key);
        }
    }
    Err(Stop::Refused(WriteError::NotFound("application")))
}

async fn check_uid(
    transaction: &Transaction<'_>,
    environment: Key,
    uid: Option<&str>,
    mine: Option<Key>,
) -> Result<(), Stop<WriteError>> {
    let Some(uid) = uid else { return Ok(()) };
    let reference = Reference::Uid(uid.to_owned());
    let other = rows::application_key(transaction, environment, &reference).await?;
    if other.is_some() && other != mine {
        return Err(Stop::Refused(WriteError::Conflict("application uid")));
    }
    Ok(())
}

async fn by_key(transaction: &Transaction<'_>, key: Key) -> Result<Option<Application>, Error> {
    let row = transaction.row(include_str!("queries/application.sql"), &[int8(&key)]).await?;
    Ok(row.as_ref().map(from_row))
}

fn from_row(row: &Row) -> Application {
    Application {
        id: ApplicationId(rows::id(row, 0, 1)),
        uid: row.get(2),
        name: row.get(3),
        metadata: rows::parsed(row, 4),
        throttle_rate: rows::throttle_rate(row, 5),
        created_at: Timestamp(row.get(6)),
        updated_at: Timestamp(row.get(7)),
    }
}

async fn insert(
    transaction: &Transaction<'_>,
    environment: Key,
    application: &Application,
) -> Result<(), Error> {
    let id = application.id;
    let sql = include_str!("queries/application_insert.sql");
    transaction
        .execute(
            sql,
            &[
                int8(&id.key()),
                int8(&(id.0.nonce as i64)),
                int4(&rows::shard_of(id.key())),
                int8(&environment),
                text(&application.uid),
                text(&application.name),
                text(&rows::json(&application.metadata)),
                int8(&application.throttle_rate.map(i64::from)),
                int8(&application.created_at.millis()),
                int8(&application.updated_at.millis()),
            ],
        )
        .await?;
    Ok(())
}

async fn update(transaction: &Transaction<'_>, application: &Application) -> Result<(), Error> {
    let sql = include_str!("queries/application_update.sql");
    transaction
        .execute(
            sql,
            &[
                int8(&application.id.key()),
                text(&application.uid),
                text(&application.name),
                text(&rows::json(&application.metadata)),
                int8(&application.throttle_rate.map(i64::from)),
                int8(&application.updated_at.millis()),
                int8(&transaction.next_key(application.updated_at)),
            ],
        )
        .await?;
    Ok(())
}
