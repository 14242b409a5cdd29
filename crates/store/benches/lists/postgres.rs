//! Filling the store on PostgreSQL: partitions for every day, and rows straight into them.

use std::collections::BTreeSet;

use ringback_domain::{
    id::{Key, SEQUENCE_BITS},
    shard,
};
use tokio_postgres::{
    Client, NoTls,
    types::{ToSql, Type},
};

use super::rows::{Plan, Rows};

const DAY: i64 = 86_400_000;

pub(crate) struct Filler {
    client: Client,
    connection: tokio::task::JoinHandle<()>,
    environment: Key,
}

impl Filler {
    pub(crate) async fn new(url: &str, environment: Key) -> Filler {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        let connection = tokio::spawn(async move { connection.await.unwrap() });
        client.batch_execute("SET synchronous_commit = off").await.unwrap();
        Filler { client, connection, environment }
    }

    /// Partitions as the store would have made them, and what is not of the hot path.
    pub(crate) async fn catalog(&self, plan: &Plan) {
        for day in weeks(plan) {
            for table in ["message", "attempt"] {
                let first = (day * DAY) << SEQUENCE_BITS;
                self.partition(table, day, first, (7 * DAY) << SEQUENCE_BITS).await;
            }
        }
        for day in plan.expiries() {
            self.partition("content", day, day * DAY, DAY).await;
        }
        let all = &plan.applications;
        let keys: Vec<Key> = all.iter().map(|each| each.key).collect();
        let shards: Vec<i64> = keys.iter().map(|key| shard::of(*key).into()).collect();
        let uids: Vec<String> = (0..keys.len()).map(|n| format!("customer-{n}")).collect();
        let sql = include_str!("queries/postgres_application.sql");
        self.insert(sql, &[&keys, &shards], &[&uids], None).await;
        let pairs =
            || all.iter().flat_map(|each| each.endpoints.iter().map(|key| (*key, each.key)));
        let keys: Vec<Key> = pairs().map(|(key, _)| key).collect();
        let shards: Vec<i64> = pairs().map(|(_, of)| shard::of(of).into()).collect();
        let applications: Vec<Key> = pairs().map(|(_, of)| of).collect();
        let sql = include_str!("queries/postgres_endpoint.sql");
        self.insert(sql, &[&keys, &shards, &applications], &[], None).await;
        let catalog = include_str!("queries/postgres_catalog.sql")
            .replace("{environment}", &self.environment.to_string())
            .replace("{start}", &plan.start.to_string());
        self.client.batch_execute(&catalog).await.unwrap();
    }

    async fn partition(&self, table: &str, day: i64, first: i64, length: i64) {
        let end = first + length;
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {table}_d{day} PARTITION OF {table} \
             FOR VALUES FROM ({first}) TO ({end})"
        );
        self.client.batch_execute(&sql).await.unwrap();
    }

    pub(crate) async fn write(&mut self, rows: &Rows) {
        let m = &rows.messages;
        let column = |get: fn(&super::rows::Message) -> i64| m.iter().map(get).collect::<Vec<_>>();
        let event_types: Vec<&str> = m.iter().map(|m| m.event_type.as_str()).collect();
        let channels: Vec<Option<&str>> = m.iter().map(|m| m.channels.as_deref()).collect();
        let tags: Vec<Option<&str>> = m.iter().map(|m| m.tags.as_deref()).collect();
        let payloads: Vec<&[u8]> = m.iter().map(|m| m.payload.as_slice()).collect();
        let numbers = [
            column(|m| m.key),
            column(|m| shard::of(m.application).into()),
            column(|m| m.application),
            column(|m| m.fanout),
            column(|m| m.expires_at),
        ];
        let numbers = numbers.each_ref();
        let sql = include_str!("queries/postgres_message.sql");
        self.insert(sql, &numbers, &[&event_types, &channels, &tags], Some(&payloads)).await;

        let a = &rows.attempts;
        let column = |get: fn(&super::rows::Attempt) -> i64| a.iter().map(get).collect::<Vec<_>>();
        let numbers = [
            column(|a| shard::of(a.application).into()),
            column(|a| a.key),
            column(|a| a.application),
            column(|a| a.message),
            column(|a| a.endpoint),
            column(|a| a.number),
            column(|a| a.trigger),
            column(|a| a.outcome),
            column(|a| a.status_code),
        ];
        let sql = include_str!("queries/postgres_attempt.sql");
        self.insert(sql, &numbers.each_ref(), &[], None).await;

        let d = &rows.deliveries;
        let column = |get: fn(&super::rows::Delivery) -> i64| d.iter().map(get).collect::<Vec<_>>();
        let numbers = [
            column(|d| shard::of(d.application).into()),
            column(|d| d.key),
            column(|d| d.message),
            column(|d| d.application),
            column(|d| d.endpoint),
            column(|d| d.attempts),
            column(|d| d.due_at),
        ];
        let sql = include_str!("queries/postgres_delivery.sql");
        self.insert(sql, &numbers.each_ref(), &[], None).await;
    }

    async fn insert(
        &self,
        sql: &str,
        numbers: &[&Vec<i64>],
        texts: &[&(dyn ToSql + Sync)],
        bytes: Option<&(dyn ToSql + Sync)>,
    ) {
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            vec![(&self.environment, Type::INT8)];
        parameters.extend(numbers.iter().map(|n| (*n as &(dyn ToSql + Sync), Type::INT8_ARRAY)));
        parameters.extend(texts.iter().map(|text| (*text, Type::TEXT_ARRAY)));
        parameters.extend(bytes.map(|bytes| (bytes, Type::BYTEA_ARRAY)));
        self.client.execute_typed(sql, &parameters).await.unwrap();
    }

    /// Leaves what autovacuum would: statistics of each partition, none of the tables above them.
    pub(crate) async fn finish(self, plan: &Plan) {
        for day in weeks(plan) {
            for table in ["message", "attempt"] {
                self.vacuum(&format!("{table}_d{day}")).await;
            }
        }
        for table in
            ["delivery", "endpoint", "endpoint_revision", "application", "event_type", "task"]
        {
            self.vacuum(table).await;
        }
        for day in plan.expiries() {
            self.vacuum(&format!("content_d{day}")).await;
        }
        drop(self.client);
        self.connection.await.unwrap();
    }

    async fn vacuum(&self, table: &str) {
        self.client.batch_execute(&format!("VACUUM (ANALYZE) {table}")).await.unwrap();
    }
}

/// The first days of the weeks that messages are of.
fn weeks(plan: &Plan) -> BTreeSet<i64> {
    plan.days().map(|day| day - day.rem_euclid(7)).collect()
}
