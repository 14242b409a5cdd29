//! The audit log: an entry is written in the transaction of its change.

use ringback_domain::{
    id::{AuditId, Id, Key},
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    Postgres,
    fault::Stop,
    rows,
    transaction::{Transaction, int8, text},
};
use crate::{
    Act, Actor, Audit, AuditQuery, BoxFuture, Entry, Listed, Unavailable, audit::Note, pages::Cut,
};

/// The most entries that are forgotten in one transaction.
const BOUND: i64 = 250;

impl Postgres {
    /// Runs an operation that changes something, with the entry of whoever asked for it.
    pub(super) fn change<T, E, F>(&self, operation: F) -> BoxFuture<'_, Result<T, E>>
    where
        F: for<'t> FnOnce(&'t Transaction<'t>) -> BoxFuture<'t, Result<T, Stop<E>>>
            + Send
            + 'static,
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
        F: for<'t> FnOnce(&'t Transaction<'t>) -> BoxFuture<'t, Result<T, Stop<E>>>
            + Send
            + 'static,
        T: Send + 'static,
        E: From<Unavailable> + Send + 'static,
    {
        let note = Note::current();
        let act = note.as_ref().and_then(Note::pending);
        let done = self.transact(move |transaction| {
            Box::pin(async move {
                let value = operation(transaction).await?;
                let act = act.filter(|_| changed(&value));
                if let Some(act) = &act {
                    insert(transaction, act).await?;
                }
                Ok((value, act.is_some()))
            })
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

impl Audit for Postgres {
    fn audit(
        &self,
        environment: Key,
        query: AuditQuery,
    ) -> BoxFuture<'_, Result<Listed<Entry>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(list(transaction, environment, &query).await?) })
        })
    }

    fn forget_audit(&self, before: Timestamp) -> BoxFuture<'_, Result<bool, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let before = Id::first_key_at(before);
                let sql = include_str!("queries/audit_forget.sql");
                let gone = transaction.execute(sql, &[int8(&before), int8(&BOUND)]).await?;
                Ok(gone as i64 == BOUND)
            })
        })
    }
}

/// Writes an entry.
pub(super) async fn insert(transaction: &Transaction<'_>, act: &Act) -> Result<(), Error> {
    let key = transaction.next_key(act.at);
    let (token, name, role) = act.actor.token();
    let (actor, resources) = (act.actor.number(), rows::json(&act.resources));
    let parameters = [
        int8(&key),
        int8(&act.environment),
        int8(&act.application),
        int8(&actor),
        text(&token),
        text(&name),
        int8(&role),
        text(&act.operation),
        text(&resources),
        text(&act.request),
        text(&act.address),
    ];
    transaction.execute(include_str!("queries/audit_insert.sql"), &parameters).await?;
    Ok(())
}

async fn list(
    transaction: &Transaction<'_>,
    environment: Key,
    query: &AuditQuery,
) -> Result<Listed<Entry>, Error> {
    let Cut { walk, low, high } = Cut::new(&query.page).between(query.after, query.before);
    let filter = query.filter().replace('?', "$");
    let sql = walk.sql(include_str!("queries/audit.sql")).replace("{filter}", &filter);
    let limit = walk.rows();
    let parameters = [
        int8(&environment),
        int8(&low),
        int8(&high),
        int8(&query.application),
        text(&query.operation),
        int8(&limit),
    ];
    let found = transaction.rows(&sql, &parameters).await?;
    Ok(walk.page(found.iter().map(from_row).collect()))
}

fn from_row(row: &Row) -> Entry {
    let id = Id { key: row.get(0), shard: 0, nonce: 0 };
    let actor = Actor::from_stored(row.get(3), row.get(4), row.get(5), row.get(6));
    let act = Act {
        environment: row.get(1),
        application: row.get(2),
        actor: actor.unwrap_or(Actor::System),
        operation: row.get(7),
        resources: rows::parsed(row, 8),
        request: row.get(9),
        address: row.get(10),
        at: id.created_at(),
    };
    Entry { id: AuditId(id), act }
}
