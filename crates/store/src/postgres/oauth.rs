//! OAuth clients, authorizations and connections: keeping them, and the steps of the last two.
//!
//! Whoever writes more than one of them locks in one order: the application, the client, the flow, the
//! connection.

use ringback_domain::{
    id::{AuthorizationId, ConnectionId, Id, Key, OauthClientId},
    oauth::{Authorization, Client, Connection},
    scope::Scope,
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    Postgres, answer, append,
    fault::Stop,
    transaction::{Parameter, Transaction, boolean, bytea, int8, text},
};
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
const BOUND: i64 = 100;

impl Connections for Postgres {
    fn create_oauth_client(
        &self,
        client: Client,
        answer: Option<Answer>,
    ) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                hold_application(transaction, client.scope).await?;
                insert(transaction, &client).await?;
                answer::keep(transaction, client.created_at, answer.as_ref()).await
            })
        })
    }

    fn update_oauth_client(&self, client: Client) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                let environment = client.scope.environment;
                locked::<Client>(transaction, Some(environment), client.id.0).await?;
                Ok(update(transaction, &client).await?)
            })
        })
    }

    fn delete_oauth_client(
        &self,
        environment: Key,
        client: OauthClientId,
    ) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                locked::<Client>(transaction, Some(environment), client.0).await?;
                let (used, key) = (include_str!("queries/oauth_client_used.sql"), client.key());
                if transaction.holds(used, &[int8(&key)]).await? {
                    return Err(Stop::Refused(WriteError::Conflict("connections")));
                }
                delete::<Authorization>(transaction, "client", key).await?;
                Ok(delete::<Client>(transaction, "key", key).await?)
            })
        })
    }

    fn oauth_client(
        &self,
        environment: Key,
        client: OauthClientId,
    ) -> BoxFuture<'_, Result<Client, ReadError>> {
        self.transact(move |transaction| Box::pin(found(transaction, environment, client.0)))
    }

    fn oauth_client_by_id(
        &self,
        client: OauthClientId,
    ) -> BoxFuture<'_, Result<Option<Client>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(by_id(transaction, client.0).await?) })
        })
    }

    fn oauth_clients(
        &self,
        environment: Key,
        query: OauthClientQuery,
    ) -> BoxFuture<'_, Result<Listed<Client>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let Found { items, done, .. } =
                    list(transaction, environment, &query.page, query.filter()).await?;
                Ok(Listed { items, done })
            })
        })
    }

    fn create_authorization(
        &self,
        authorization: Authorization,
        answer: Option<Answer>,
    ) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                hold_owner(transaction, authorization.scope, authorization.client).await?;
                if let Some(granted) = authorization.connection {
                    by_id::<Connection>(transaction, granted.0)
                        .await?
                        .filter(|granted| granted.client == authorization.client)
                        .ok_or(missing::<Connection>())?;
                }
                insert(transaction, &authorization).await?;
                answer::keep(transaction, authorization.created_at, answer.as_ref()).await
            })
        })
    }

    fn authorization(
        &self,
        environment: Key,
        authorization: AuthorizationId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Authorization, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let found: Authorization = found(transaction, environment, authorization.0).await?;
                Ok(found.at(now))
            })
        })
    }

    fn authorization_by_id(
        &self,
        authorization: AuthorizationId,
    ) -> BoxFuture<'_, Result<Option<Authorization>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(by_id(transaction, authorization.0).await?) })
        })
    }

    fn authorizations(
        &self,
        environment: Key,
        query: AuthorizationQuery,
    ) -> BoxFuture<'_, Result<Found<Authorization>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let mut found: Found<Authorization> =
                    list(transaction, environment, &query.page, query.filter()).await?;
                found.items = found.items.into_iter().map(|flow| flow.at(query.now)).collect();
                Ok(found)
            })
        })
    }

    fn step_authorization(
        &self,
        step: AuthorizationStep,
    ) -> BoxFuture<'_, Result<AuthorizationStepped, WriteError>> {
        self.change_if(AuthorizationStepped::is_change, move |transaction| {
            Box::pin(step_authorization(transaction, step))
        })
    }

    fn settle_authorizations(
        &self,
        now: Timestamp,
        ended_before: Timestamp,
    ) -> BoxFuture<'_, Result<bool, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(settle(transaction, now, ended_before).await?) })
        })
    }

    fn create_connection(
        &self,
        connection: Connection,
        answer: Option<Answer>,
        keeping: Keeping,
    ) -> BoxFuture<'_, Result<Vec<Notified>, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                hold_owner(transaction, connection.scope, connection.client).await?;
                insert(transaction, &connection).await?;
                let created = connection.created_at;
                answer::keep(transaction, created, answer.as_ref()).await?;
                let message = crate::connection::message(&connection, None, keeping, created);
                Ok(tell(transaction, Some(message)).await?)
            })
        })
    }

    fn connection(
        &self,
        environment: Key,
        connection: ConnectionId,
    ) -> BoxFuture<'_, Result<Connection, ReadError>> {
        self.transact(move |transaction| Box::pin(found(transaction, environment, connection.0)))
    }

    fn connections(
        &self,
        environment: Key,
        query: ConnectionQuery,
    ) -> BoxFuture<'_, Result<Found<Connection>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                Ok(list(transaction, environment, &query.page, query.filter()).await?)
            })
        })
    }

    fn step_connection(
        &self,
        step: ConnectionStep,
    ) -> BoxFuture<'_, Result<ConnectionStepped, WriteError>> {
        self.change_if(ConnectionStepped::is_change, move |transaction| {
            Box::pin(step_connection(transaction, step))
        })
    }

    fn delete_connection(
        &self,
        environment: Key,
        connection: ConnectionId,
    ) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                locked::<Connection>(transaction, Some(environment), connection.0).await?;
                Ok(delete::<Connection>(transaction, "key", connection.key()).await?)
            })
        })
    }
}

/// Deletes what an application has that is locked.
pub(super) async fn delete_of(
    transaction: &Transaction<'_>,
    application: Key,
) -> Result<(), Error> {
    delete::<Authorization>(transaction, "application", application).await?;
    delete::<Connection>(transaction, "application", application).await?;
    delete::<Client>(transaction, "application", application).await
}

async fn step_authorization(
    transaction: &Transaction<'_>,
    step: AuthorizationStep,
) -> Result<AuthorizationStepped, Stop<WriteError>> {
    if let Some(Connection { scope, client, .. }) = &step.connection {
        hold_owner(transaction, *scope, *client).await?;
    }
    let stored = locked(transaction, None, step.authorization.0).await?;
    let kept = match &step.connection {
        Some(connection) => lock(transaction, connection.id.0).await?,
        None => None,
    };
    let worked = step.work(stored, kept).map_err(Stop::Refused)?;
    let mut stepped = worked.stepped;
    if worked.is_changed {
        update(transaction, &stepped.authorization).await?;
    }
    match &stepped.connection {
        Some(granted) if worked.is_new => insert(transaction, granted).await?,
        Some(granted) => update(transaction, granted).await?,
        None => {}
    }
    stepped.told = tell(transaction, worked.message).await?;
    Ok(stepped)
}

async fn step_connection(
    transaction: &Transaction<'_>,
    step: ConnectionStep,
) -> Result<ConnectionStepped, Stop<WriteError>> {
    let stored = locked(transaction, Some(step.environment), step.connection.0).await?;
    let (mut stepped, message) = step.work(stored);
    if stepped.is_change() {
        update(transaction, &stepped.connection).await?;
    }
    stepped.told = tell(transaction, message).await?;
    Ok(stepped)
}

async fn settle(
    transaction: &Transaction<'_>,
    now: Timestamp,
    ended_before: Timestamp,
) -> Result<bool, Error> {
    let sql = concat!(
        include_str!("queries/oauth_authorization.sql"),
        include_str!("queries/oauth_authorizations_due.sql")
    );
    let due = transaction.rows(sql, &[int8(&now.millis()), int8(&BOUND)]).await?;
    for row in &due {
        update(transaction, &read::<Authorization>(row).at(now)).await?;
    }
    let sql = include_str!("queries/oauth_authorizations_forget.sql");
    let forgotten = transaction.execute(sql, &[int8(&ended_before.millis()), int8(&BOUND)]).await?;
    Ok(due.len() as i64 == BOUND || forgotten as i64 == BOUND)
}

/// Appends a message to the application. One that is gone is told nothing.
async fn tell(
    transaction: &Transaction<'_>,
    message: Option<Append>,
) -> Result<Vec<Notified>, Error> {
    let Some(message) = message else { return Ok(Vec::new()) };
    let appended = append::within(transaction, message).await?;
    Ok(appended.map(|appended| (appended.id, appended.endpoints)).into_iter().collect())
}

/// Refuses an application that is not there; one that is stays until the transaction ends.
async fn hold_application(
    transaction: &Transaction<'_>,
    Scope { environment, application }: Scope,
) -> Result<(), Stop<WriteError>> {
    let sql = include_str!("queries/application_hold.sql");
    match transaction.row(sql, &[int8(&application), int8(&environment)]).await? {
        Some(_) => Ok(()),
        None => Err(Stop::Refused(WriteError::NotFound("application"))),
    }
}

/// The same with a client of the application.
async fn hold_owner(
    transaction: &Transaction<'_>,
    scope: Scope,
    client: OauthClientId,
) -> Result<(), Stop<WriteError>> {
    hold_application(transaction, scope).await?;
    let (key, nonce) = (client.key(), client.0.nonce as i64);
    let sql = include_str!("queries/oauth_client_hold.sql");
    let parameters = [int8(&key), int8(&nonce), int8(&scope.application)];
    transaction.row(sql, &parameters).await?.map(drop).ok_or(missing::<Client>())
}

// ── rows ───────────────────────────────────────────────────────────────────────────────────────

/// The statements about one table.
trait Table: Kept + Send + Sync {
    const SELECT: &'static str;
    const LOCK: &'static str;
    const LIST: &'static str;
    const INSERT: &'static str;
    const UPDATE: &'static str;
}

macro_rules! tables {
    ($($kept:ty: $one:literal $many:literal,)*) => {$(
        impl Table for $kept {
            const SELECT: &'static str =
                concat!(include_str!(concat!("queries/", $one, ".sql")), "WHERE key = $1");
            const LOCK: &'static str = concat!(
                include_str!(concat!("queries/", $one, ".sql")),
                "WHERE key = $1 FOR UPDATE"
            );
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
    Connection: "oauth_connection" "oauth_connections",
}

fn missing<T: Kept>() -> Stop<WriteError> {
    Stop::Refused(WriteError::NotFound(T::WHAT))
}

async fn by_id<T: Table>(transaction: &Transaction<'_>, id: Id) -> Result<Option<T>, Error> {
    select(transaction, T::SELECT, id).await
}

/// The same, and nobody else changes it until the transaction ends.
async fn lock<T: Table>(transaction: &Transaction<'_>, id: Id) -> Result<Option<T>, Error> {
    select(transaction, T::LOCK, id).await
}

async fn select<T: Table>(
    transaction: &Transaction<'_>,
    sql: &str,
    id: Id,
) -> Result<Option<T>, Error> {
    let row = transaction.row(sql, &[int8(&id.key)]).await?;
    // The nonce is what makes a guessed id fail.
    Ok(row.as_ref().map(read::<T>).filter(|found| found.id() == id))
}

/// What is there, in the environment if one is named, locked.
async fn locked<T: Table>(
    transaction: &Transaction<'_>,
    environment: Option<Key>,
    id: Id,
) -> Result<T, Stop<WriteError>> {
    let is_there = |found: &T| environment.is_none_or(|key| key == found.scope().environment);
    lock(transaction, id).await?.filter(is_there).ok_or(missing::<T>())
}

async fn found<T: Table>(
    transaction: &Transaction<'_>,
    environment: Key,
    id: Id,
) -> Result<T, Stop<ReadError>> {
    let found: Option<T> = by_id(transaction, id).await?;
    let missing = Stop::Refused(ReadError::NotFound(T::WHAT));
    found.filter(|found| found.scope().environment == environment).ok_or(missing)
}

async fn list<T: Table>(
    transaction: &Transaction<'_>,
    environment: Key,
    page: &Page,
    filter: Filter<'_>,
) -> Result<Found<T>, Error> {
    let cut = Cut::new(page);
    let Filter { column, wanted, others, is_narrow } = filter;
    let condition = column.map_or("$4 IS NULL".to_owned(), |column| format!("{column} = $4"));
    let through = |template: &str| {
        cut.walk.sql(template).replace("{table}", T::TABLE).replace("{condition}", &condition)
    };
    let number = |number| Cell::Number(Some(number));
    let bounds =
        |cut: Cut| [number(environment), number(cut.low), number(cut.high), wanted.clone()];
    let last: Option<Key> = if is_narrow {
        let cells: Vec<_> = bounds(cut).into_iter().chain([number(Reach::skip())]).collect();
        let parameters: Vec<_> = cells.iter().map(Cell::parameter).collect();
        let sql = through(include_str!("queries/oauth_reach.sql"));
        transaction.row(&sql, &parameters).await?.map(|row| row.get(0))
    } else {
        None
    };
    let reach = Reach::new(cut, last);
    let limit = [number(reach.cut.walk.rows())];
    let cells: Vec<_> = bounds(reach.cut).into_iter().chain(others).chain(limit).collect();
    let parameters: Vec<_> = cells.iter().map(Cell::parameter).collect();
    let found = transaction.rows(&through(T::LIST), &parameters).await?;
    Ok(reach.page(found.iter().map(read).collect()))
}

async fn insert<T: Table>(transaction: &Transaction<'_>, new: &T) -> Result<(), Stop<WriteError>> {
    let cells: Vec<_> = new.fixed().into_iter().chain(new.changing()).collect();
    let parameters: Vec<_> = cells.iter().map(Cell::parameter).collect();
    match transaction.execute(T::INSERT, &parameters).await? {
        0 => Err(Stop::Refused(WriteError::Conflict(T::ID))),
        _ => Ok(()),
    }
}

async fn update<T: Table>(transaction: &Transaction<'_>, after: &T) -> Result<(), Error> {
    let key = Cell::Number(Some(after.id().key));
    let cells: Vec<_> = [key].into_iter().chain(after.changing()).collect();
    let parameters: Vec<_> = cells.iter().map(Cell::parameter).collect();
    transaction.execute(T::UPDATE, &parameters).await?;
    Ok(())
}

async fn delete<T: Table>(
    transaction: &Transaction<'_>,
    column: &str,
    key: Key,
) -> Result<(), Error> {
    let sql = include_str!("queries/oauth_delete.sql");
    let sql = sql.replace("{table}", T::TABLE).replace("{column}", column);
    transaction.execute(&sql, &[int8(&key)]).await?;
    Ok(())
}

fn read<T: Kept>(row: &Row) -> T {
    T::read(&mut Reader::new(row))
}

impl Cells for Row {
    fn number(&self, column: usize) -> Option<i64> {
        self.get(column)
    }

    fn truth(&self, column: usize) -> bool {
        self.get(column)
    }

    fn text(&self, column: usize) -> Option<String> {
        self.get(column)
    }

    fn bytes(&self, column: usize) -> Option<Vec<u8>> {
        self.get(column)
    }
}

impl Cell<'_> {
    fn parameter(&self) -> Parameter<'_> {
        match self {
            Cell::Number(number) => int8(number),
            Cell::Truth(truth) => boolean(truth),
            Cell::Text(word) => text(word),
            Cell::Bytes(bytes) => bytea(bytes),
        }
    }
}
