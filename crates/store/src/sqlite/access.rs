//! Environments, and the sessions of portals in them.

use ringback_domain::{
    id::{EnvironmentId, Id},
    time::Timestamp,
};
use rusqlite::{Connection, Row};

use super::{Sqlite, answer, environment, fault::Stop, rows, writer::Transaction};
use crate::{
    Access, BoxFuture, Environment, ExpireSessions, Listed, NewEnvironment, Page, Unavailable,
    WriteError, pages::Cut,
};

impl Access for Sqlite {
    fn create_environment(
        &self,
        new: NewEnvironment,
    ) -> BoxFuture<'_, Result<Environment, WriteError>> {
        self.change(move |transaction| create(transaction, &new))
    }

    fn environments(&self, page: Page) -> BoxFuture<'_, Result<Listed<Environment>, Unavailable>> {
        self.read(move |connection| Ok(list(connection, &page)?))
    }

    fn expire_sessions(&self, expire: ExpireSessions) -> BoxFuture<'_, Result<bool, Unavailable>> {
        self.change(move |transaction| Ok(end(transaction.connection, &expire)?))
    }
}

fn create(
    transaction: &mut Transaction<'_>,
    new: &NewEnvironment,
) -> Result<Environment, Stop<WriteError>> {
    let Environment { id, name, created_at } = &new.environment;
    let connection = transaction.connection;
    if environment::key(connection, name)?.is_some() {
        return Err(Stop::Refused(WriteError::Conflict("environment")));
    }
    let known = include_str!("queries/environment_exists.sql");
    if rows::exists(connection, known, [id.key()])? {
        return Err(Stop::Refused(WriteError::Conflict("environment id")));
    }
    environment::insert(transaction, id.key(), name, *created_at)?;
    answer::keep(transaction, *created_at, new.answer.as_ref())?;
    Ok(new.environment.clone())
}

fn list(connection: &Connection, page: &Page) -> rusqlite::Result<Listed<Environment>> {
    let Cut { walk, low, high } = Cut::new(page);
    let mut select =
        connection.prepare_cached(&walk.sql(include_str!("queries/environments.sql")))?;
    let found = select.query_map((low, high, walk.rows()), from_row)?;
    Ok(walk.page(found.collect::<rusqlite::Result<_>>()?))
}

fn end(connection: &Connection, expire: &ExpireSessions) -> rusqlite::Result<bool> {
    let ExpireSessions { environment, application, sessions, at, limit } = expire;
    let sessions = rows::json_list(sessions.as_deref());
    let mut update = connection.prepare_cached(include_str!("queries/sessions_expire.sql"))?;
    let parameters = (environment, application, sessions, at.millis(), *limit as i64);
    Ok(update.execute(parameters)? >= *limit)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Environment> {
    // Nobody asks for an environment by its id, so nothing has to make it hard to guess.
    Ok(Environment {
        id: EnvironmentId(Id { key: row.get(0)?, shard: 0, nonce: 0 }),
        name: row.get(1)?,
        created_at: Timestamp(row.get(2)?),
    })
}
