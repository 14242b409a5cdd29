//! Endpoints: creating, changing, deleting, and the revisions of all that.
//!
//! Whatever decides which messages an endpoint gets, or where they go, is a revision: a row under a
//! key of its own. The application's row has the key of the newest, and a message names the one
//! that its append knew. What changes an endpoint locks the application first.

mod secrets;

use std::{collections::HashMap, sync::Arc};

use ringback_domain::{
    endpoint::{Endpoint, State},
    id::{ApplicationId, EndpointId, Id, Key},
    scope::{Reference, Scope},
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

pub(super) use self::secrets::{rotate, secrets, set_access, set_headers, set_transformation};
use super::{
    Node, answer, application,
    fault::{self, Stop},
    order, rows,
    transaction::{self, Transaction, boolean, bytea, int4, int8, int8s, text},
};
use crate::{
    EndpointChange, Lane, Listed, NewEndpoint, Page, ReadError, Targets, Unavailable, WriteError,
    ordering::Turned, pages::Cut,
};

/// Creates an endpoint with its first secret.
pub(super) async fn create(
    transaction: &Transaction<'_>,
    new: &NewEndpoint,
) -> Result<Endpoint, Stop<WriteError>> {
    application::lock(transaction, new.scope).await?;
    application::check_scope(transaction, new.scope).await?;
    let key = new.endpoint.id.key();
    if transaction.holds(include_str!("queries/endpoint_exists.sql"), &[int8(&key)]).await? {
        return Err(Stop::Refused(WriteError::Conflict("endpoint id")));
    }
    check_uid(transaction, new.scope, new.endpoint.uid.as_deref(), None).await?;
    check_count(transaction, new).await?;
    let now = new.endpoint.created_at;
    let revision = transaction.next_key(now);
    let endpoint = Endpoint { revision, ..new.endpoint.clone() };
    insert(transaction, new, &endpoint).await.map_err(fault::conflict)?;
    insert_revision(transaction, new.scope.application, key).await?;
    secrets::insert(transaction, key, &new.secret, now).await?;
    answer::keep(transaction, now, new.answer.as_ref()).await?;
    Ok(endpoint)
}

/// Refuses an endpoint that is one too many. The application is locked: nobody else adds one.
async fn check_count(
    transaction: &Transaction<'_>,
    new: &NewEndpoint,
) -> Result<(), Stop<WriteError>> {
    let Some(most) = new.most else { return Ok(()) };
    let sql = include_str!("queries/endpoints_count.sql");
    let there = transaction.row(sql, &[int8(&new.scope.application)]).await?;
    let there = there.map_or(0, |row| row.get::<_, i64>(0));
    if there as u64 >= most { Err(Stop::Refused(WriteError::Limit("endpoints"))) } else { Ok(()) }
}

/// One endpoint.
pub(super) async fn get(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
) -> Result<Endpoint, Stop<ReadError>> {
    let missing = || Stop::Refused(ReadError::NotFound("endpoint"));
    let key = key(transaction, scope, reference).await?.ok_or_else(missing)?;
    let row = transaction.row(include_str!("queries/endpoint.sql"), &[int8(&key)]).await?;
    row.as_ref().map(from_row).ok_or_else(missing)
}

/// A page of the application's endpoints.
pub(super) async fn list(
    transaction: &Transaction<'_>,
    scope: Scope,
    targets: Targets,
    page: &Page,
) -> Result<Listed<Endpoint>, Error> {
    let Cut { walk, low, high } = Cut::new(page);
    let Scope { environment, application } = scope;
    let sql = walk.sql(include_str!("queries/endpoints.sql"));
    let (limit, destinations) = (walk.rows(), targets.are_destinations());
    let parameters = [
        int8(&application),
        int8(&environment),
        int8(&low),
        int8(&high),
        int8(&limit),
        boolean(&destinations),
    ];
    let found = transaction.rows(&sql, &parameters).await?;
    Ok(walk.page(found.iter().map(from_row).collect()))
}

/// Changes an endpoint, under a new revision. Returns it, and whether more is left to be let go of an order
/// that it gave up.
pub(super) async fn change(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    change: EndpointChange,
    now: Timestamp,
) -> Result<(Endpoint, bool), Stop<WriteError>> {
    application::lock(transaction, scope).await?;
    if change.delivery.is_some()
        && let Some(key) = key(transaction, scope, reference).await?
    {
        order::hold_kept(transaction, key).await?;
    }
    let mut endpoint = to_change(transaction, scope, reference).await?;
    let key = endpoint.id.key();
    if let Some(uid) = &change.uid {
        check_uid(transaction, scope, uid.as_deref(), Some(key)).await?;
    }
    if let Some((_, credentials)) = &change.url {
        let sql = include_str!("queries/endpoint_set_credentials.sql");
        transaction.execute(sql, &[int8(&key), bytea(credentials)]).await?;
    }
    if let Some(access) = &change.access {
        let sql = include_str!("queries/endpoint_seal_access.sql");
        let sealed = access.as_ref().map(|access| &access.sealed);
        transaction.execute(sql, &[int8(&key), bytea(&sealed)]).await?;
    }
    let before = endpoint.delivery.clone();
    change.apply(&mut endpoint);
    endpoint.revision = transaction.next_key(now);
    endpoint.updated_at = now;
    update(transaction, &endpoint).await.map_err(fault::conflict)?;
    let turned = Turned::between(before.as_deref(), endpoint.delivery.as_deref());
    let more = order::turn(transaction, scope.application, key, turned).await?;
    insert_revision(transaction, scope.application, key).await?;
    Ok((endpoint, more))
}

/// Deletes an endpoint; the sweep cancels what is pending. Returns its key.
pub(super) async fn delete(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    now: Timestamp,
) -> Result<Key, Stop<WriteError>> {
    application::lock(transaction, scope).await?;
    let key = existing(transaction, scope, reference).await?;
    mark_deleted(transaction, scope.application, key, now).await?;
    Ok(key)
}

/// Marks an endpoint as deleted, under a new revision; its secrets and headers are gone. The caller
/// has locked the application.
pub(super) async fn mark_deleted(
    transaction: &Transaction<'_>,
    application: Key,
    endpoint: Key,
    now: Timestamp,
) -> Result<(), Error> {
    let revision = transaction.next_key(now);
    let (state, now) = (State::Deleted.number(), now.millis());
    let parameters = [int8(&endpoint), int8(&state), int8(&revision), int8(&now)];
    transaction.execute(include_str!("queries/endpoint_delete.sql"), &parameters).await?;
    transaction.execute(include_str!("queries/secrets_delete.sql"), &[int8(&endpoint)]).await?;
    insert_revision(transaction, application, endpoint).await
}

/// What lanes need to know, of deleted endpoints too; in the order in which they are asked for.
pub(super) async fn lanes(
    node: Arc<Node>,
    keys: Vec<Key>,
) -> Result<Vec<Option<Lane>>, Unavailable> {
    let client = node.pool.get().await?;
    let parameters = [int8s(&keys)];
    // One statement sees one moment: the credentials belong to the URL.
    let read = client.query_typed(include_str!("queries/lanes.sql"), &parameters);
    let rows = match tokio::time::timeout(transaction::LIMIT, read).await {
        Ok(rows) => rows.map_err(|error| fault::unavailable(&error))?,
        Err(_) => return Err(transaction::given_up(client)),
    };
    let of_one = rows.chunk_by(|one, next| one.get::<_, Key>(0) == next.get::<_, Key>(0));
    let found: HashMap<Key, &[Row]> = of_one.map(|rows| (rows[0].get(0), rows)).collect();
    Ok(keys.iter().map(|key| found.get(key).and_then(|rows| lane(*key, rows))).collect())
}

/// A lane from its rows, one for each secret.
fn lane(endpoint: Key, rows: &[Row]) -> Option<Lane> {
    let row = rows.first()?;
    let scope = Scope { environment: row.get(24), application: row.get(25) };
    let nonce = row.get::<_, i64>(26) as u64;
    Some(Lane {
        scope,
        application_uid: row.get(27),
        application: ApplicationId(Id { key: scope.application, shard: 0, nonce }),
        endpoint: from_row(row),
        secrets: secrets::from_rows(endpoint, rows, 18),
    })
}

/// Writes down what is in force from now on: the endpoint's row as it is, under its new revision.
/// Routes that were read before are not good any more. The caller has locked the application.
pub(super) async fn insert_revision(
    transaction: &Transaction<'_>,
    application: Key,
    endpoint: Key,
) -> Result<(), Error> {
    let sql = include_str!("queries/revision_insert.sql");
    transaction.execute(sql, &[int8(&endpoint), int8(&application)]).await?;
    transaction.forget_routes(application);
    Ok(())
}

/// The key of an endpoint that is not deleted.
pub(super) async fn key(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
) -> Result<Option<Key>, Error> {
    let Scope { environment, application } = scope;
    let row = match reference {
        Reference::Id(id) => {
            let nonce = id.nonce as i64;
            let parameters = [int8(&id.key), int8(&nonce), int8(&environment), int8(&application)];
            transaction.row(include_str!("queries/endpoint_key.sql"), &parameters).await?
        }
        Reference::Uid(uid) => {
            let parameters = [text(uid), int8(&environment), int8(&application)];
            transaction.row(include_str!("queries/endpoint_key_by_uid.sql"), &parameters).await?
        }
    };
    Ok(row.map(|row| row.get(0)))
}

/// An endpoint from a row that begins with the columns of `endpoint.sql`.
pub(super) fn from_row(row: &Row) -> Endpoint {
    let failing_since: Option<i64> = row.get(10);
    Endpoint {
        id: EndpointId(rows::id(row, 0, 1)),
        uid: row.get(2),
        url: row.get(3),
        description: row.get(4),
        event_types: rows::optional(row, 5),
        channels: rows::optional(row, 6),
        metadata: rows::parsed(row, 7),
        throttle_rate: rows::throttle_rate(row, 8),
        state: rows::state(row, 9),
        failing_since: failing_since.map(Timestamp),
        revision: row.get(11),
        created_at: Timestamp(row.get(12)),
        updated_at: Timestamp(row.get(13)),
        filter: row.get(14),
        sign_as: row.get(15),
        delivery: row.get(16),
        access: row.get(17),
    }
}

async fn existing(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
) -> Result<Key, Stop<WriteError>> {
    let missing = || Stop::Refused(WriteError::NotFound("endpoint"));
    key(transaction, scope, reference).await?.ok_or_else(missing)
}

/// An endpoint as it stays until it is written back: results note its health without a lock of the
/// application.
async fn to_change(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
) -> Result<Endpoint, Stop<WriteError>> {
    let missing = || Stop::Refused(WriteError::NotFound("endpoint"));
    let key = existing(transaction, scope, reference).await?;
    let sql = concat!(include_str!("queries/endpoint.sql"), "FOR UPDATE");
    let row = transaction.row(sql, &[int8(&key)]).await?;
    row.as_ref().map(from_row).ok_or_else(missing)
}

async fn check_uid(
    transaction: &Transaction<'_>,
    scope: Scope,
    uid: Option<&str>,
    mine: Option<Key>,
) -> Result<(), Stop<WriteError>> {
    let Some(uid) = uid else { return Ok(()) };
    let other = key(transaction, scope, &Reference::Uid(uid.to_owned())).await?;
    if other.is_some() && other != mine {
        return Err(Stop::Refused(WriteError::Conflict("endpoint uid")));
    }
    Ok(())
}

async fn insert(
    transaction: &Transaction<'_>,
    new: &NewEndpoint,
    endpoint: &Endpoint,
) -> Result<(), Error> {
    let sql = include_str!("queries/endpoint_insert.sql");
    transaction
        .execute(
            sql,
            &[
                int8(&endpoint.id.key()),
                int8(&(endpoint.id.0.nonce as i64)),
                int4(&rows::shard(new.scope)),
                int8(&new.scope.environment),
                int8(&new.scope.application),
                text(&endpoint.uid),
                text(&endpoint.url),
                text(&endpoint.description),
                text(&rows::json_list(endpoint.event_types.as_deref())),
                text(&rows::json_list(endpoint.channels.as_deref())),
                text(&rows::json(&endpoint.metadata)),
                int8(&endpoint.throttle_rate.map(i64::from)),
                int8(&endpoint.state.number()),
                int8(&endpoint.failing_since.map(Timestamp::millis)),
                int8(&endpoint.revision),
                bytea(&new.headers),
                bytea(&new.credentials),
                int8(&endpoint.created_at.millis()),
                int8(&endpoint.updated_at.millis()),
                text(&endpoint.filter),
                text(&endpoint.sign_as),
                text(&endpoint.delivery),
                bytea(&new.access),
                text(&endpoint.access),
            ],
        )
        .await?;
    Ok(())
}

async fn update(transaction: &Transaction<'_>, endpoint: &Endpoint) -> Result<(), Error> {
    let sql = include_str!("queries/endpoint_update.sql");
    transaction
        .execute(
            sql,
            &[
                int8(&endpoint.id.key()),
                text(&endpoint.uid),
                text(&endpoint.url),
                text(&endpoint.description),
                text(&rows::json_list(endpoint.event_types.as_deref())),
                text(&rows::json_list(endpoint.channels.as_deref())),
                text(&rows::json(&endpoint.metadata)),
                int8(&endpoint.throttle_rate.map(i64::from)),
                int8(&endpoint.state.number()),
                int8(&endpoint.failing_since.map(Timestamp::millis)),
                int8(&endpoint.revision),
                int8(&endpoint.updated_at.millis()),
                text(&endpoint.filter),
                text(&endpoint.sign_as),
                text(&endpoint.delivery),
                text(&endpoint.access),
            ],
        )
        .await?;
    Ok(())
}
