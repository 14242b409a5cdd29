//! The audit log: an entry is written in the transaction of its change.

use ringback_domain::{
    id::{AuditId, Id, Key},
    time::Timestamp,
};
use rusqlite::{Connection, Row};

use super::{Sqlite, fault::Stop, rows, writer::Transaction};
use crate::{
    Act, Actor, Audit, AuditQuery, BoxFuture, Entry, Listed, Unavailable, audit::Note, pages::Cut,
};

/// The most entries that are forgotten in one transaction.
const BOUND: i64 = 250;

impl Sqlite {
    /// Runs an operation that changes something, with the entry of whoever asked for it.
    pub(super) fn change<T, E, F>(&self, operation: F) -> BoxFuture<'_, Result<T, E>>
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<T, Stop<E>> + Send + 'static,
        T: Send + 'static,
        E: From<Unavailable> + Send + 'static,
    {
        self.change_if(|_| true, operation)
    }

    /// The same for an operation that may find nothing to change.
    pub(super) fn change_if<T, E, F>(
        &self,
        changed: fn(&T) -> bool,
        operation: F,
    ) -> BoxFuture<'_, Result<T, E>>
    where
        F: FnOnce(&mut Transaction<'_>) -> Result<T, Stop<E>> + Send + 'static,
        T: Send + 'static,
        E: From<Unavailable> + Send + 'static,
    {
        let note = Note::current();
        let act = note.as_ref().and_then(Note::pending);
        let done = self.write(move |transaction| {
            let value = operation(transaction)?;
            let act = act.filter(|_| changed(&value));
            if let Some(act) = &act {
                insert(transaction, act)?;
            }
            Ok((value, act.is_some()))
        });
        Box::pin(async move {
            let (value, written) = done.await?;
            if let Some(note) = note.filter(|_| written) {
                note.written();
            }
            Ok(value)
        })
    }
}

impl Audit for Sqlite {
    fn audit(
        &self,
        environment: Key,
        query: AuditQuery,
    ) -> BoxFuture<'_, Result<Listed<Entry>, Unavailable>> {
        self.read(move |connection| Ok(list(connection, environment, &query)?))
    }

    fn forget_audit(&self, before: Timestamp) -> BoxFuture<'_, Result<bool, Unavailable>> {
        self.write(move |transaction| {
            let sql = include_str!("queries/audit_forget.sql");
            let mut delete = transaction.connection.prepare_cached(sql)?;
            Ok(delete.execute((Id::first_key_at(before), BOUND))? as i64 == BOUND)
        })
    }
}

/// Writes an entry.
pub(super) fn insert(transaction: &mut Transaction<'_>, act: &Act) -> rusqlite::Result<()> {
    let key = transaction.memory.keys.next(act.at, 0);
    let (token, name, role) = act.actor.token();
    let mut insert =
        transaction.connection.prepare_cached(include_str!("queries/audit_insert.sql"))?;
    insert.execute((
        key,
        act.environment,
        act.application,
        act.actor.number(),
        token,
        name,
        role,
        &act.operation,
        rows::json(&act.resources)?,
        &act.request,
        &act.address,
    ))?;
    Ok(())
}

fn list(
    connection: &Connection,
    environment: Key,
    query: &AuditQuery,
) -> rusqlite::Result<Listed<Entry>> {
    let Cut { walk, low, high } = Cut::new(&query.page).between(query.after, query.before);
    let sql = walk.sql(include_str!("queries/audit.sql")).replace("{filter}", query.filter());
    let mut select = connection.prepare_cached(&sql)?;
    let parameters = (environment, low, high, query.application, &query.operation, walk.rows());
    let found = select.query_map(parameters, from_row)?;
    Ok(walk.page(found.collect::<rusqlite::Result<_>>()?))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let id = Id { key: row.get(0)?, shard: 0, nonce: 0 };
    let actor = Actor::from_stored(row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?);
    let act = Act {
        environment: row.get(1)?,
        application: row.get(2)?,
        actor: actor.unwrap_or(Actor::System),
        operation: row.get(7)?,
        resources: rows::parsed(row, 8)?,
        request: row.get(9)?,
        address: row.get(10)?,
        at: id.created_at(),
    };
    Ok(Entry { id: AuditId(id), act })
}
