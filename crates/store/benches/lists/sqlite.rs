//! Filling the embedded store: rows straight into its file, in large transactions.

use std::path::Path;

use ringback_domain::{id::Key, shard};
use rusqlite::{Connection, params};

use super::rows::{Plan, Rows};

pub(crate) struct Filler {
    connection: Connection,
    environment: Key,
}

impl Filler {
    pub(crate) fn new(directory: &Path, environment: Key) -> Filler {
        let connection = Connection::open(directory.join("ringback.sqlite")).unwrap();
        connection.pragma_update(None, "cache_size", -200_000).unwrap();
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        Filler { connection, environment }
    }

    /// What is not of the hot path.
    pub(crate) fn catalog(&self, plan: &Plan) {
        let all = self.connection.unchecked_transaction().unwrap();
        let mut application = all.prepare(include_str!("queries/sqlite_application.sql")).unwrap();
        let mut endpoint = all.prepare(include_str!("queries/sqlite_endpoint.sql")).unwrap();
        for (number, each) in plan.applications.iter().enumerate() {
            let (shard, uid) = (shard::of(each.key), format!("customer-{number}"));
            application.execute(params![each.key, shard, self.environment, uid]).unwrap();
            for key in &each.endpoints {
                endpoint.execute(params![key, shard, self.environment, each.key]).unwrap();
            }
        }
        all.execute_batch(
            &include_str!("queries/sqlite_catalog.sql")
                .replace("{environment}", &self.environment.to_string())
                .replace("{start}", &plan.start.to_string()),
        )
        .unwrap();
        drop((application, endpoint));
        all.commit().unwrap();
    }

    pub(crate) fn write(&mut self, rows: &Rows) {
        let all = self.connection.unchecked_transaction().unwrap();
        self.messages(rows);
        self.attempts(rows);
        self.deliveries(rows);
        all.commit().unwrap();
    }

    fn messages(&self, rows: &Rows) {
        let sql = include_str!("queries/sqlite_message.sql");
        let mut insert = self.connection.prepare_cached(sql).unwrap();
        for m in &rows.messages {
            let numbers = (m.key, shard::of(m.application), self.environment, m.application);
            let (key, shard, environment, application) = numbers;
            let values = params![
                key,
                shard,
                environment,
                application,
                m.fanout,
                m.expires_at,
                m.event_type,
                m.channels,
                m.tags,
                m.payload
            ];
            insert.execute(values).unwrap();
        }
    }

    fn attempts(&self, rows: &Rows) {
        let sql = include_str!("queries/sqlite_attempt.sql");
        let mut insert = self.connection.prepare_cached(sql).unwrap();
        for a in &rows.attempts {
            let values = params![
                a.key,
                self.environment,
                a.application,
                a.message,
                a.endpoint,
                a.number,
                a.trigger,
                a.outcome,
                a.status_code
            ];
            insert.execute(values).unwrap();
        }
    }

    fn deliveries(&self, rows: &Rows) {
        let sql = include_str!("queries/sqlite_delivery.sql");
        let mut insert = self.connection.prepare_cached(sql).unwrap();
        for d in &rows.deliveries {
            let shard = shard::of(d.application);
            let values = params![
                d.key,
                d.message,
                shard,
                self.environment,
                d.application,
                d.endpoint,
                d.attempts,
                d.due_at
            ];
            insert.execute(values).unwrap();
        }
    }

    pub(crate) fn finish(self) {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }
}
