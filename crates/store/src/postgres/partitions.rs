//! Partitions by days or weeks: made some days ahead, dropped when everything in them is over.
//!
//! Changing partitions takes locks that a dump or a long report may hold. So nobody waits for them
//! long: what could not be locked is tried again in the next round, and there are days to spare.
//! What is written for a time without a partition goes into the default one, where the sweep
//! deletes it row by row.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::RangeInclusive,
};

use ringback_domain::{id::SEQUENCE_BITS, shard::SHARDS, time::Timestamp};
use tokio_postgres::{Client, error::SqlState};

use super::{
    Node,
    append::WINDOWS,
    connect::described,
    transaction::{int4, int8},
};
use crate::Unavailable;

/// A day in milliseconds.
const DAY: i64 = 86_400_000;
/// How many days ahead partitions are made.
const AHEAD: i64 = 3;
/// The most days of one table that partitions are made for at once.
const MOST: usize = 1_000;

/// The tables that are divided by time.
pub(crate) const DIVIDED: [&str; 5] = ["message", "attempt", "content", "claim", "request"];

/// A table that is divided by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Table {
    Message,
    Attempt,
    Content,
    Claim,
    /// Claims that hold for days, as those of what arrives at sources do.
    Window,
    /// Claims that hold for weeks.
    LongWindow,
    Request,
}

impl Table {
    const ALL: [Table; 7] = [
        Table::Message,
        Table::Attempt,
        Table::Content,
        Table::Claim,
        Table::Window,
        Table::LongWindow,
        Table::Request,
    ];

    fn name(self) -> &'static str {
        match self {
            Table::Message => "message",
            Table::Attempt => "attempt",
            Table::Content => "content",
            Table::Claim | Table::Window | Table::LongWindow => "claim",
            Table::Request => "request",
        }
    }

    /// How many days a partition holds. A page of a list may have to look into all of them, and
    /// planning that over ninety took longer than reading: messages, attempts and requests, which
    /// lists read, are divided by the week.
    fn width(self) -> i64 {
        match self {
            Table::Message | Table::Attempt | Table::Request => 7,
            Table::Content | Table::Claim => 1,
            Table::Window => WINDOWS[0].days,
            Table::LongWindow => WINDOWS[1].days,
        }
    }

    /// The first day of the partition that a day belongs to.
    fn first_day(self, day: i64) -> i64 {
        day - day.rem_euclid(self.width())
    }

    /// The value of the partitioning column at the beginning of a day.
    fn bound(self, day: i64) -> i64 {
        match self {
            Table::Message | Table::Attempt | Table::Request => (day * DAY) << SEQUENCE_BITS,
            Table::Content => day * DAY,
            Table::Claim => day * 24,
            Table::Window => WINDOWS[0].first + day,
            Table::LongWindow => WINDOWS[1].first + day,
        }
    }

    /// What the names of its partitions begin with; the first day follows.
    fn prefix(self) -> &'static str {
        match self {
            Table::Message => "message_d",
            Table::Attempt => "attempt_d",
            Table::Content => "content_d",
            Table::Claim => "claim_d",
            Table::Window => "claim_w",
            Table::LongWindow => "claim_l",
            Table::Request => "request_d",
        }
    }

    fn partition(self, day: i64) -> String {
        format!("{}{day}", self.prefix())
    }

    /// Whether it is there for sources only.
    fn is_of_sources(self) -> bool {
        matches!(self, Table::Window | Table::LongWindow)
    }

    /// The days that rows written from now on may belong to.
    fn needed(self, today: i64, retention: i64) -> RangeInclusive<i64> {
        match self {
            // It is divided by the day it expires; what expires sooner is there already.
            Table::Content => today + retention..=today + retention + AHEAD,
            // So are claims, and these hold for as long as a partition is wide.
            Table::Window | Table::LongWindow => today..=today + self.width() + AHEAD,
            _ => today..=today + AHEAD,
        }
    }
}

/// Makes the partitions that will be needed, and drops those that are over.
pub(super) async fn keep(node: &Node, now: Timestamp) -> Result<(), Unavailable> {
    let client = node.pool.get().await?;
    let kept = Kept { client: &client, today: now.millis().div_euclid(DAY), now };
    kept.keep(node.retention_days).await.map_err(|error| Unavailable::Failed(described(&error)))
}

/// Makes the partitions that the first source needs; otherwise they are [kept](keep) with the others.
pub(super) async fn make_for_sources(node: &Node, now: Timestamp) -> Result<(), Unavailable> {
    let client = node.pool.get().await?;
    let kept = Kept { client: &client, today: now.millis().div_euclid(DAY), now };
    let failed = |error| Unavailable::Failed(described(&error));
    let there = kept.days().await.map_err(failed)?;
    for table in Table::ALL.into_iter().filter(|table| table.is_of_sources()) {
        kept.make(table, table.needed(kept.today, node.retention_days), &there).await;
    }
    Ok(())
}

/// Makes partitions for these days, by table: what is copied there is dropped by the day like
/// everything else. What is older than all of them goes into the default one.
pub(super) async fn make_for(
    client: &Client,
    days: &BTreeMap<&'static str, Vec<i64>>,
) -> Result<(), tokio_postgres::Error> {
    let kept = Kept { client, today: 0, now: Timestamp(0) };
    let there = kept.days().await?;
    for table in Table::ALL {
        let needed = days.get(table.name()).map_or(&[][..], Vec::as_slice);
        let needed: BTreeSet<i64> = needed.iter().map(|day| table.first_day(*day)).collect();
        let missing = needed.into_iter().filter(|day| !there[&table].contains(day));
        for day in missing.rev().take(MOST) {
            kept.change(table, day, &make(table, day)).await;
        }
    }
    Ok(())
}

struct Kept<'a> {
    client: &'a Client,
    /// Days since 1970.
    today: i64,
    now: Timestamp,
}

impl Kept<'_> {
    async fn keep(&self, retention: i64) -> Result<(), tokio_postgres::Error> {
        let there = self.days().await?;
        // Whoever has no sources shall not look for claims in partitions that are there for them.
        let row = self.client.query_typed_one("SELECT EXISTS (SELECT FROM source)", &[]).await?;
        let sources: bool = row.get(0);
        for table in Table::ALL.into_iter().filter(|table| sources || !table.is_of_sources()) {
            self.make(table, table.needed(self.today, retention), &there).await;
        }
        self.drop_over(&there).await
    }

    async fn make(
        &self,
        table: Table,
        days: RangeInclusive<i64>,
        there: &HashMap<Table, Vec<i64>>,
    ) {
        let needed: BTreeSet<i64> = days.map(|day| table.first_day(day)).collect();
        for day in needed.into_iter().filter(|day| !there[&table].contains(day)) {
            self.change(table, day, &make(table, day)).await;
        }
    }

    /// The first days of the partitions that there are.
    async fn days(&self) -> Result<HashMap<Table, Vec<i64>>, tokio_postgres::Error> {
        let mut days: HashMap<Table, Vec<i64>> =
            Table::ALL.into_iter().map(|table| (table, Vec::new())).collect();
        let rows = self.client.query_typed(include_str!("queries/partitions.sql"), &[]).await?;
        for row in rows {
            let child: &str = row.get(0);
            let first = |table: Table| child.strip_prefix(table.prefix())?.parse::<i64>().ok();
            let known = Table::ALL.into_iter().find_map(|table| Some((table, first(table)?)));
            if let Some((table, day)) = known {
                days.entry(table).or_default().push(day);
            }
        }
        days.values_mut().for_each(|days| days.sort_unstable());
        Ok(days)
    }

    async fn drop_over(
        &self,
        there: &HashMap<Table, Vec<i64>>,
    ) -> Result<(), tokio_postgres::Error> {
        let is_past = |table: Table, day: i64| day + table.width() <= self.today;
        let past = |table| there[&table].iter().copied().filter(move |day| is_past(table, *day));
        for table in [Table::Claim, Table::Window, Table::LongWindow] {
            for day in past(table) {
                self.drop(table, day, "").await;
            }
        }
        for day in past(Table::Content) {
            self.drop(Table::Content, day, include_str!("queries/content_spare.sql")).await;
        }
        let mut oldest = self.today;
        for day in past(Table::Message) {
            if !self.is_over(day).await? {
                // Something of that time is pending. Others need not wait for it, but attempts and
                // requests, which go after the oldest messages.
                oldest = oldest.min(day);
                continue;
            }
            // By itself, as it may take long, and nobody can append while a partition is taken away.
            let over = Table::Message.partition(day);
            let forget = include_str!("queries/event_ids_delete.sql").replace("{over}", &over);
            self.client.batch_execute(&forget).await?;
            self.drop(Table::Message, day, "").await;
        }
        for day in past(Table::Request).filter(|day| *day < oldest) {
            if self.requests_are_over(day).await? {
                self.drop(Table::Request, day, "").await;
            }
        }
        for day in past(Table::Attempt).filter(|day| *day < oldest) {
            self.drop(Table::Attempt, day, "").await;
        }
        Ok(())
    }

    /// `between` runs when the partition is detached, as `over`, and not dropped yet.
    async fn drop(&self, table: Table, day: i64, between: &str) {
        if self.change(table, day, &drop(table, day, between)).await {
            let partition = table.partition(day);
            tracing::info!(partition, "dropped what is over");
        }
    }

    /// Whether every message of that partition has expired and none is pending.
    async fn is_over(&self, day: i64) -> Result<bool, tokio_postgres::Error> {
        let end = Table::Message.bound(day + Table::Message.width());
        let first = Table::Message.bound(day);
        let (now, shards) = (self.now.millis(), SHARDS as i32);
        let parameters = [int8(&first), int8(&end), int8(&now), int4(&shards)];
        let sql = include_str!("queries/messages_over.sql");
        let row = self.client.query_typed_one(sql, &parameters).await?;
        Ok(row.get(0))
    }

    /// Whether every request of that partition has expired.
    async fn requests_are_over(&self, day: i64) -> Result<bool, tokio_postgres::Error> {
        let end = Table::Request.bound(day + Table::Request.width());
        let first = Table::Request.bound(day);
        let now = self.now.millis();
        let sql = include_str!("queries/requests_over.sql");
        let row = self.client.query_typed_one(sql, &[int8(&first), int8(&end), int8(&now)]).await?;
        Ok(row.get(0))
    }

    /// Runs a change of partitions, if the locks can be had at once; whether it was made.
    async fn change(&self, table: Table, day: i64, sql: &str) -> bool {
        let sql = format!("BEGIN; SET LOCAL lock_timeout = '50ms'; {sql} COMMIT");
        let Err(error) = self.client.batch_execute(&sql).await else { return true };
        let _ = self.client.batch_execute("ROLLBACK").await;
        let partition = table.partition(day);
        match error.code() {
            // Rows for that time are in the default partition, another process was quicker, or
            // partitions of another width are in the way until they are over.
            Some(
                &SqlState::CHECK_VIOLATION
                | &SqlState::DUPLICATE_TABLE
                | &SqlState::INVALID_OBJECT_DEFINITION,
            ) => {
                tracing::debug!(partition, "the partition was not made");
            }
            Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                tracing::debug!(partition, "somebody holds a lock: the partition has to wait");
            }
            _ => {
                tracing::warn!(partition, error = described(&error), "a partition was not changed")
            }
        }
        false
    }
}

/// Making it apart and attaching it takes weaker locks than making it in place.
fn make(table: Table, day: i64) -> String {
    let (name, partition) = (table.name(), table.partition(day));
    let (first, end) = (table.bound(day), table.bound(day + table.width()));
    format!(
        "CREATE TABLE {partition} (LIKE {name} INCLUDING DEFAULTS INCLUDING STORAGE); \
         ALTER TABLE {name} ATTACH PARTITION {partition} FOR VALUES FROM ({first}) TO ({end});"
    )
}

fn drop(table: Table, day: i64, between: &str) -> String {
    let (name, partition) = (table.name(), table.partition(day));
    let between = between.replace("{over}", &partition);
    format!("ALTER TABLE {name} DETACH PARTITION {partition}; {between} DROP TABLE {partition};")
}
