//! Environments, and the sessions of portals in them.

use ringback_domain::{
    id::{EnvironmentId, Id},
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    Postgres, answer, environment,
    fault::Stop,
    transaction::{Transaction, int8, texts},
};
use crate::{
    Access, BoxFuture, Environment, ExpireSessions, Listed, NewEnvironment, Page, Unavailable,
    WriteError, pages::Cut,
};

impl Access for Postgres {
    fn create_environment(
        &self,
        new: NewEnvironment,
    ) -> BoxFuture<'_, Result<Environment, WriteError>> {
        self.change(move |transaction| Box::pin(async move { create(transaction, &new).await }))
    }

    fn environments(&self, page: Page) -> BoxFuture<'_, Result<Listed<Environment>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(list(transaction, &page).await?) })
        })
    }

    fn expire_sessions(&self, expire: ExpireSessions) -> BoxFuture<'_, Result<bool, Unavailable>> {
        self.change(move |transaction| {
            Box::pin(async move { Ok(end(transaction, &expire).await?) })
        })
    }
}

async fn create(
    transaction: &Transaction<'_>,
    new: &NewEnvironment,
) -> Result<Environment, Stop<WriteError>> {
    let Environment { id, name, created_at } = &new.environment;
    if !environment::insert(transaction, id.key(), name, *created_at).await? {
        return Err(Stop::Refused(WriteError::Conflict("environment")));
    }
    answer::keep(transaction, *created_at, new.answer.as_ref()).await?;
    Ok(new.environment.clone())
}

async fn list(transaction: &Transaction<'_>, page: &Page) -> Result<Listed<Environment>, Error> {
    let Cut { walk, low, high } = Cut::new(page);
    let sql = walk.sql(include_str!("queries/environments.sql"));
    let limit = walk.rows();
    let found = transaction.rows(&sql, &[int8(&low), int8(&high), int8(&limit)]).await?;
    Ok(walk.page(found.iter().map(from_row).collect()))
}

async fn end(transaction: &Transaction<'_>, expire: &ExpireSessions) -> Result<bool, Error> {
    let (at, limit) = (expire.at.millis(), expire.limit as i64);
    let parameters = [
        int8(&expire.environment),
        int8(&expire.application),
        texts(&expire.sessions),
        int8(&at),
        int8(&limit),
    ];
    let sql = include_str!("queries/sessions_expire.sql");
    Ok(transaction.execute(sql, &parameters).await? >= expire.limit as u64)
}

fn from_row(row: &Row) -> Environment {
    // Nobody asks for an environment by its id, so nothing has to make it hard to guess.
    Environment {
        id: EnvironmentId(Id { key: row.get(0), shard: 0, nonce: 0 }),
        name: row.get(1),
        created_at: Timestamp(row.get(2)),
    }
}
