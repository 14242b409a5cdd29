//! `cargo xtask lists`: how long a page of every list takes in a store with millions of attempts.
//!
//! ```text
//! cargo bench -p ringback-store --bench lists -- [--attempts N] [--store sqlite|postgres|both]
//!                                                [--only TEXT] [--times N] [--hold yes]
//! ```

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement prints, looks at the clock, and ends with what it cannot do"
)]

mod cases;
mod measure;
mod postgres;
mod rows;
mod sqlite;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use measure::Measured;
use ringback_domain::{id::Key, time::Timestamp};
use ringback_pg_cluster::{Cluster, Database};
use ringback_store::{Store, postgres::Postgres, sqlite::Sqlite};
use rows::{Plan, Rows};

/// What 95 of 100 pages have to stay below.
const LIMIT: Duration = Duration::from_millis(50);
/// As many days, and daily partitions, as there usually are.
const DAYS: i64 = 90;
/// Messages that are written at once.
const BATCH: u64 = 4_000;

struct Choice {
    attempts: u64,
    store: String,
    only: String,
    times: u64,
    /// Keeps what was filled in, to look at it with other tools.
    hold: bool,
}

fn choice() -> Choice {
    let mut choice = Choice {
        attempts: 10_000_000,
        store: "both".to_owned(),
        only: String::new(),
        times: 20,
        hold: false,
    };
    // Cargo adds a word of its own.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_default();
        match word.as_str() {
            "--attempts" => choice.attempts = value.parse().unwrap(),
            "--store" => choice.store = value,
            "--only" => choice.only = value,
            "--hold" => choice.hold = value == "yes",
            "--times" => choice.times = value.parse().unwrap(),
            _ => panic!("no such choice: {word}"),
        }
    }
    choice
}

#[tokio::main]
async fn main() -> ExitCode {
    let choice = choice();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let plan = Plan::new(choice.attempts, DAYS, now.as_millis() as i64);
    let mut slow = 0;
    if choice.store != "postgres" {
        slow += on_sqlite(&plan, &choice).await;
    }
    if choice.store != "sqlite" {
        slow += on_postgres(&plan, &choice).await;
    }
    if slow > 0 {
        println!("{slow} pages take more than {} ms at p95", LIMIT.as_millis());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn on_sqlite(plan: &Plan, choice: &Choice) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let open = || Arc::new(Sqlite::open(directory.path(), &Default::default()).unwrap());
    let environment = prepared(&*open()).await;
    let begun = Instant::now();
    let mut filler = sqlite::Filler::new(directory.path(), environment);
    filler.catalog(plan);
    let mut counted = Counted::default();
    each_batch(plan, |rows| {
        counted.add(rows);
        filler.write(rows);
    });
    filler.finish();
    let bytes = std::fs::metadata(directory.path().join("ringback.sqlite")).unwrap().len();
    counted.tell("SQLite", begun, bytes);
    let slow = report(open(), plan, environment, choice).await;
    hold(choice, &directory.path().display().to_string());
    slow
}

async fn on_postgres(plan: &Plan, choice: &Choice) -> usize {
    let settings = [("max_wal_size", "2GB"), ("shared_buffers", "512MB")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options = ringback_pg_cluster::Options { settings: settings.into(), ..Default::default() };
    let cluster = Cluster::start(&options).unwrap();
    let database = Database::create_on(&cluster.dsn()).unwrap();
    let open = || Arc::new(Postgres::open(&database.dsn(), &Default::default()).unwrap());
    let environment = prepared(&*open()).await;
    let begun = Instant::now();
    let mut filler = postgres::Filler::new(&database.dsn(), environment).await;
    filler.catalog(plan).await;
    let mut counted = Counted::default();
    let mut rows = Rows::default();
    for first in (0..plan.messages).step_by(BATCH as usize) {
        batch(plan, first, &mut rows);
        counted.add(&rows);
        filler.write(&rows).await;
    }
    filler.finish(plan).await;
    let bytes = database.ask("SELECT pg_database_size(current_database())").unwrap();
    counted.tell("PostgreSQL", begun, bytes.parse().unwrap());
    let store = open();
    let slow = report(store.clone(), plan, environment, choice).await;
    store.close().await;
    hold(choice, &database.dsn());
    slow
}

fn hold(choice: &Choice, place: &str) {
    if choice.hold {
        println!("in {place}, until the input ends");
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    }
}

async fn prepared(store: &dyn Store) -> Key {
    let environment = store.environment("production".to_owned(), Timestamp(0)).await.unwrap();
    store.close().await;
    environment
}

fn each_batch(plan: &Plan, mut write: impl FnMut(&Rows)) {
    let mut rows = Rows::default();
    for first in (0..plan.messages).step_by(BATCH as usize) {
        batch(plan, first, &mut rows);
        write(&rows);
    }
}

fn batch(plan: &Plan, first: u64, rows: &mut Rows) {
    *rows = Rows::default();
    (first..(first + BATCH).min(plan.messages)).for_each(|number| plan.message(number, rows));
}

#[derive(Default)]
struct Counted {
    messages: usize,
    attempts: usize,
    deliveries: usize,
}

impl Counted {
    fn add(&mut self, rows: &Rows) {
        self.messages += rows.messages.len();
        self.attempts += rows.attempts.len();
        self.deliveries += rows.deliveries.len();
    }

    fn tell(&self, store: &str, begun: Instant, bytes: u64) {
        let Counted { messages, attempts, deliveries } = self;
        println!(
            "{store}: {messages} messages, {attempts} attempts, {deliveries} pending deliveries; \
             {} MB, filled in {} s",
            bytes / 1_000_000,
            begun.elapsed().as_secs()
        );
    }
}

/// Measures every list and prints it; how many are too slow.
async fn report(store: Arc<dyn Store>, plan: &Plan, environment: Key, choice: &Choice) -> usize {
    println!("| list | page | rows | p50 ms | p95 ms | max ms |");
    println!("|---|---|---|---|---|---|");
    let mut slow = 0;
    for list in cases::lists(plan, environment) {
        if !list.name.contains(&choice.only) {
            continue;
        }
        for measured in measure::measure(&store, &list, list.which(), choice.times).await {
            let is_slow = list.pages && measured.percentile(95) > LIMIT;
            slow += usize::from(is_slow);
            println!("{}", line(&measured, is_slow));
        }
    }
    slow
}

fn line(measured: &Measured, is_slow: bool) -> String {
    let Measured { name, which, rows: (fewest, most), .. } = measured;
    let ms = |of| format!("{:.1}", measured.percentile(of).as_secs_f64() * 1000.0);
    let mark = if is_slow { " **slow**" } else { "" };
    let (p50, p95, max) = (ms(50), ms(95), ms(100));
    format!("| {name} | {which:?} | {fewest}-{most} | {p50} | {p95}{mark} | {max} |")
}
