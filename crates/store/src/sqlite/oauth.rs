//! OAuth clients, authorizations and connections: keeping them, and the steps of the last two.

use ringback_domain::{
    id::{AuthorizationId, ConnectionId, Id, Key, OauthClientId},
    oauth::{Authorization, Client, Connection as Grant},
    scope::Scope,
    time::Timestamp,
};
use rusqlite::{
    Connection, OptionalExtension, Row, ToSql, params_from_iter,
    types::{Null, ToSqlOutput},
};

use super::{Sqlite, answer, append, application, fault::Stop, rows, writer::Transaction};
use crate::{
    Answer, Append, AuthorizationQuery, AuthorizationStep, AuthorizationStepped, BoxFuture,
    ConnectionQuery, ConnectionStep, ConnectionStepped, Connections, Found, Keeping, Listed,
    Notified, OauthClientQuery, Page, ReadError, Unavailable, WriteError,
    connection::{
        Filter,
        row::{Cell, Cells, Kept, Reader},
    },
    pages::Cut,
    search::Reach,
};

/// The most flows that are settled in one transaction, and the most that are forgotten.
const BOUND: i64 = 250;

impl Connections for Sqlite {
    fn create_oauth_client(
        &self,
        client: Client,
        answer: Option<Answer>,
    ) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| {
            application::check_scope(transaction.connection, client.scope)?;
            insert(transaction.connection, &client)?;
            answer::keep(transaction, client.created_at, answer.as_ref())
        })
    }

    fn update_oauth_client(&self, client: Client) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| {
            let connection = transaction.connection;
            let environment = client.scope.environment;
            in_environment::<Client>(connection, environment, client.id.0)?
                .ok_or(missing::<Client>())?;
            Ok(update(connection, &client)?)
        })
    }

    fn delete_oauth_client(
        &self,
        environment: Key,
        client: OauthClientId,
    ) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| {
            let connection = transaction.connection;
            in_environment::<Client>(connection, environment, client.0)?
                .ok_or(missing::<Client>())?;
            let used = include_str!("queries/oauth_client_used.sql");
            if rows::exists(connection, used, [client.key()])? {
                return Err(Stop::Refused(WriteError::Conflict("connections")));
            }
            delete::<Authorization>(connection, "client", client.key())?;
            Ok(delete::<Client>(connection, "key", client.key())?)
        })
    }

    fn oauth_client(
        &self,
        environment: Key,
        client: OauthClientId,
    ) -> BoxFuture<'_, Result<Client, ReadError>> {
        self.read(move |connection| found(connection, environment, client.0))
    }

    fn oauth_client_by_id(
        &self,
        client: OauthClientId,
    ) -> BoxFuture<'_, Result<Option<Client>, Unavailable>> {
        self.read(move |connection| Ok(by_id(connection, client.0)?))
    }

    fn oauth_clients(
        &self,
        environment: Key,
        query: OauthClientQuery,
    ) -> BoxFuture<'_, Result<Listed<Client>, ReadError>> {
        self.read(move |connection| {
            let Found { items, done, .. } =
                list(connection, environment, &query.page, query.filter())?;
            Ok(Listed { items, done })
        })
    }

    fn create_authorization(
        &self,
        authorization: Authorization,
        answer: Option<Answer>,
    ) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| {
            let connection = transaction.connection;
            check_owner(connection, authorization.scope, authorization.client)?;
            if let Some(granted) = authorization.connection {
                by_id::<Grant>(connection, granted.0)?
                    .filter(|granted| granted.client == authorization.client)
                    .ok_or(missing::<Grant>())?;
            }
            insert(connection, &authorization)?;
            answer::keep(transaction, authorization.created_at, answer.as_ref())
        })
    }

    fn authorization(
        &self,
        environment: Key,
        authorization: AuthorizationId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Authorization, ReadError>> {
        self.read(move |connection| {
            let found: Authorization = found(connection, environment, authorization.0)?;
            Ok(found.at(now))
        })
    }

    fn authorization_by_id(
        &self,
        authorization: AuthorizationId,
    ) -> BoxFuture<'_, Result<Option<Authorization>, Unavailable>> {
        self.read(move |connection| Ok(by_id(connection, authorization.0)?))
    }

    fn authorizations(
        &self,
        environment: Key,
        query: AuthorizationQuery,
    ) -> BoxFuture<'_, Result<Found<Authorization>, ReadError>> {
        self.read(move |connection| {
            let mut found: Found<Authorization> =
                list(connection, environment, &query.page, query.filter())?;
            found.items = found.items.into_iter().map(|flow| flow.at(query.now)).collect();
            Ok(found)
        })
    }

    fn step_authorization(
        &self,
        step: AuthorizationStep,
    ) -> BoxFuture<'_, Result<AuthorizationStepped, WriteError>> {
        self.change_if(AuthorizationStepped::is_change, move |transaction| {
            step_authorization(transaction, step)
        })
    }

    fn settle_authorizations(
        &self,
        now: Timestamp,
        ended_before: Timestamp,
    ) -> BoxFuture<'_, Result<bool, Unavailable>> {
        self.write(move |transaction| Ok(settle(transaction.connection, now, ended_before)?))
    }

    fn create_connection(
        &self,
        connection: Grant,
        answer: Option<Answer>,
        keeping: Keeping,
    ) -> BoxFuture<'_, Result<Vec<Notified>, WriteError>> {
        self.change(move |transaction| {
            check_owner(transaction.connection, connection.scope, connection.client)?;
            insert(transaction.connection, &connection)?;
            let created = connection.created_at;
            answer::keep(transaction, created, answer.as_ref())?;
            let message = crate::connection::message(&connection, None, keeping, created);
            Ok(tell(transaction, Some(&message))?)
        })
    }

    fn connection(
        &self,
        environment: Key,
        connection: ConnectionId,
    ) -> BoxFuture<'_, Result<Grant, ReadError>> {
        self.read(move |database| found(database, environment, connection.0))
    }

    fn connections(
        &self,
        environment: Key,
        query: ConnectionQuery,
    ) -> BoxFuture<'_, Result<Found<Grant>, ReadError>> {
        self.read(move |connection| Ok(list(connection, environment, &query.page, query.filter())?))
    }

    fn step_connection(
        &self,
        step: ConnectionStep,
    ) -> BoxFuture<'_, Result<ConnectionStepped, WriteError>> {
        self.change_if(ConnectionStepped::is_change, move |transaction| {
            step_connection(transaction, step)
        })
    }

    fn delete_connection(
        &self,
        environment: Key,
        connection: ConnectionId,
    ) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| {
            in_environment::<Grant>(transaction.connection, environment, connection.0)?
                .ok_or(missing::<Grant>())?;
            Ok(delete::<Grant>(transaction.connection, "key", connection.key())?)
        })
    }
}

/// Deletes what an application has.
pub(super) fn delete_of(connection: &Connection, application: Key) -> rusqlite::Result<()> {
    delete::<Grant>(connection, "application", application)?;
    delete::<Authorization>(connection, "application", application)?;
    delete::<Client>(connection, "application", application)
}

fn step_authorization(
    transaction: &mut Transaction<'_>,
    step: AuthorizationStep,
) -> Result<AuthorizationStepped, Stop<WriteError>> {
    let connection = transaction.connection;
    let mut kept = None;
    if let Some(Grant { id, scope, client, .. }) = &step.connection {
        check_owner(connection, *scope, *client)?;
        kept = by_id(connection, id.0)?;
    }
    let stored = by_id(connection, step.authorization.0)?.ok_or(missing::<Authorization>())?;
    let worked = step.work(stored, kept).map_err(Stop::Refused)?;
    let mut stepped = worked.stepped;
    if worked.is_changed {
        update(connection, &stepped.authorization)?;
    }
    match &stepped.connection {
        Some(granted) if worked.is_new => insert(connection, granted)?,
        Some(granted) => update(connection, granted)?,
        None => {}
    }
    stepped.told = tell(transaction, worked.message.as_ref())?;
    Ok(stepped)
}

fn step_connection(
    transaction: &mut Transaction<'_>,
    step: ConnectionStep,
) -> Result<ConnectionStepped, Stop<WriteError>> {
    let connection = transaction.connection;
    let stored = in_environment(connection, step.environment, step.connection.0)?
        .ok_or(missing::<Grant>())?;
    let (mut stepped, message) = step.work(stored);
    if stepped.is_change() {
        update(connection, &stepped.connection)?;
    }
    stepped.told = tell(transaction, message.as_ref())?;
    Ok(stepped)
}

fn settle(
    connection: &Connection,
    now: Timestamp,
    ended_before: Timestamp,
) -> rusqlite::Result<bool> {
    let sql = concat!(
        include_str!("queries/oauth_authorization.sql"),
        include_str!("queries/oauth_authorizations_due.sql")
    );
    let mut select = connection.prepare_cached(sql)?;
    let due: Vec<Authorization> = select
        .query_map([now.millis(), BOUND], |row| Ok(read(row)))?
        .collect::<rusqlite::Result<_>>()?;
    let is_full = due.len() as i64 == BOUND;
    for flow in due {
        update(connection, &flow.at(now))?;
    }
    let sql = include_str!("queries/oauth_authorizations_forget.sql");
    let forgotten = connection.prepare_cached(sql)?.execute([ended_before.millis(), BOUND])?;
    Ok(is_full || forgotten as i64 == BOUND)
}

/// Appends a message to the application. One that is gone is told nothing.
fn tell(
    transaction: &mut Transaction<'_>,
    message: Option<&Append>,
) -> rusqlite::Result<Vec<Notified>> {
    let Some(message) = message else { return Ok(Vec::new()) };
    let appended = append::append(transaction, message)?.ok();
    Ok(appended.map(|appended| (appended.id, appended.endpoints)).into_iter().collect())
}

/// Refuses an application that is not there, or has no such client.
fn check_owner(
    connection: &Connection,
    scope: Scope,
    client: OauthClientId,
) -> Result<(), Stop<WriteError>> {
    application::check_scope(connection, scope)?;
    let sql = include_str!("queries/oauth_client_exists.sql");
    let parameters = (client.key(), client.0.nonce as i64, scope.application);
    if rows::exists(connection, sql, parameters)? { Ok(()) } else { Err(missing::<Client>()) }
}

// ── rows ───────────────────────────────────────────────────────────────────────────────────────

/// The statements about one table.
trait Table: Kept {
    const SELECT: &'static str;
    const LIST: &'static str;
    const INSERT: &'static str;
    const UPDATE: &'static str;
}

macro_rules! tables {
    ($($kept:ty: $one:literal $many:literal,)*) => {$(
        impl Table for $kept {
            const SELECT: &'static str =
                concat!(include_str!(concat!("queries/", $one, ".sql")), "WHERE key = ?1");
            const LIST: &'static str = concat!(
                include_str!(concat!("queries/", $one, ".sql")),
                include_str!(concat!("queries/", $many, ".sql")),
            );
            const INSERT: &'static str = include_str!(concat!("queries/", $one, "_insert.sql"));
            const UPDATE: &'static str = include_str!(concat!("queries/", $one, "_update.sql"));
        }
    )*};
}

tables! {
    Client: "oauth_client" "oauth_clients",
    Authorization: "oauth_authorization" "oauth_authorizations",
    Grant: "oauth_connection" "oauth_connections",
}

fn missing<T: Kept>() -> Stop<WriteError> {
    Stop::Refused(WriteError::NotFound(T::WHAT))
}

fn by_id<T: Table>(connection: &Connection, id: Id) -> rusqlite::Result<Option<T>> {
    let mut select = connection.prepare_cached(T::SELECT)?;
    let found: Option<T> = select.query_row([id.key], |row| Ok(read(row))).optional()?;
    // The nonce is what makes a guessed id fail.
    Ok(found.filter(|found| found.id() == id))
}

fn in_environment<T: Table>(
    connection: &Connection,
    environment: Key,
    id: Id,
) -> rusqlite::Result<Option<T>> {
    Ok(by_id(connection, id)?.filter(|found: &T| found.scope().environment == environment))
}

fn found<T: Table>(
    connection: &Connection,
    environment: Key,
    id: Id,
) -> Result<T, Stop<ReadError>> {
    in_environment(connection, environment, id)?.ok_or(Stop::Refused(ReadError::NotFound(T::WHAT)))
}

fn list<T: Table>(
    connection: &Connection,
    environment: Key,
    page: &Page,
    filter: Filter<'_>,
) -> rusqlite::Result<Found<T>> {
    let snapshot = connection.unchecked_transaction()?;
    let cut = Cut::new(page);
    let Filter { column, wanted, others, is_narrow } = filter;
    let condition = column.map_or("?4 IS NULL".to_owned(), |column| format!("{column} = ?4"));
    let through = |template: &str| {
        cut.walk
            .sql(template)
            .replace("{table}", T::TABLE)
            .replace("{index}", column.unwrap_or("environment"))
            .replace("{condition}", &condition)
    };
    let bounds = |cut: Cut| {
        let number = |number| Cell::Number(Some(number));
        [number(environment), number(cut.low), number(cut.high), wanted.clone()]
    };
    let last = if is_narrow {
        let mut select =
            snapshot.prepare_cached(&through(include_str!("queries/oauth_reach.sql")))?;
        let skip = [Cell::Number(Some(Reach::skip()))];
        let parameters = params_from_iter(bounds(cut).into_iter().chain(skip));
        select.query_row(parameters, |row| row.get(0)).optional()?
    } else {
        None
    };
    let reach = Reach::new(cut, last);
    let mut select = snapshot.prepare_cached(&through(T::LIST))?;
    let limit = [Cell::Number(Some(reach.cut.walk.rows()))];
    let parameters = bounds(reach.cut).into_iter().chain(others).chain(limit);
    let found = select.query_map(params_from_iter(parameters), |row| Ok(read(row)))?;
    Ok(reach.page(found.collect::<rusqlite::Result<_>>()?))
}

fn insert<T: Table>(connection: &Connection, new: &T) -> Result<(), Stop<WriteError>> {
    let cells = new.fixed().into_iter().chain(new.changing());
    match connection.prepare_cached(T::INSERT)?.execute(params_from_iter(cells))? {
        0 => Err(Stop::Refused(WriteError::Conflict(T::ID))),
        _ => Ok(()),
    }
}

fn update<T: Table>(connection: &Connection, after: &T) -> rusqlite::Result<()> {
    let key = [Cell::Number(Some(after.id().key))];
    let cells = key.into_iter().chain(after.changing());
    connection.prepare_cached(T::UPDATE)?.execute(params_from_iter(cells))?;
    Ok(())
}

fn delete<T: Table>(connection: &Connection, column: &str, key: Key) -> rusqlite::Result<()> {
    let sql = include_str!("queries/oauth_delete.sql");
    let sql = sql.replace("{table}", T::TABLE).replace("{column}", column);
    connection.prepare_cached(&sql)?.execute([key])?;
    Ok(())
}

fn read<T: Kept>(row: &Row<'_>) -> T {
    T::read(&mut Reader::new(row))
}

impl Cells for Row<'_> {
    fn number(&self, column: usize) -> Option<i64> {
        self.get(column).unwrap_or_default()
    }

    fn truth(&self, column: usize) -> bool {
        self.get(column).unwrap_or_default()
    }

    fn text(&self, column: usize) -> Option<String> {
        self.get(column).unwrap_or_default()
    }

    fn bytes(&self, column: usize) -> Option<Vec<u8>> {
        self.get(column).unwrap_or_default()
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Cell::Number(number) => number.to_sql(),
            Cell::Truth(truth) => truth.to_sql(),
            Cell::Text(Some(text)) => text.as_ref().to_sql(),
            Cell::Text(None) => Ok(Null.into()),
            Cell::Bytes(bytes) => bytes.to_sql(),
        }
    }
}
