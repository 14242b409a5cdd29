//! PostgreSQL beside those who hold it back: a dump that runs again and again, and a transaction
//! that keeps an old snapshot and locks on everything. Neither slows deliveries down, and what is
//! past its retention goes when they are gone.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ringback_pg_cluster::{Database, Held};
use serde_json::Value;
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, interval, sleep_until},
};

use crate::support::{Receiver, Server, Settings, Store, TOKEN};

/// Messages a second.
const RATE: u64 = 500;
/// Connections that they are posted over.
const CLIENTS: u64 = 10;
/// How long deliveries are measured before, at most.
const BEFORE: Duration = Duration::from_secs(20);
/// How long the database is held back, unless `RINGBACK_TEST_HELD_SECONDS` says so. It is longer
/// than the pause between two looks at what is past its retention.
const HELD: u64 = 65;
/// Days whose partitions are over.
const OVER: i64 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_and_an_old_snapshot_hold_up_neither_deliveries_nor_retention() {
    let seconds = std::env::var("RINGBACK_TEST_HELD_SECONDS").map_or(HELD, |s| s.parse().unwrap());
    let database = Arc::new(Database::create().unwrap());
    let store = Some(Store::Postgres(Arc::clone(&database)));
    let log = "info,ringback_store=debug";
    let server =
        Server::start(Settings { store, ..Settings::default() }.env("RINGBACK_LOG_LEVEL", log));
    let receiver = Receiver::ok();
    let (app, _) = server.application(&receiver.url()).await;
    let load = Load::start(&server.url, &app);

    // The first seconds are for getting warm.
    sleep_until(Instant::now() + Duration::from_secs(3)).await;
    let alone = load.watch(&receiver, BEFORE.min(Duration::from_secs(seconds))).await;
    let partitions = make_some_that_are_over(&database);
    let snapshot = Held::begin(&database.dsn(), &look_at_everything(&database)).unwrap();
    let dumping = Dumping::start(Arc::clone(&database));
    let beside = load.watch(&receiver, Duration::from_secs(seconds)).await;
    let waited = server.logged("somebody holds a lock");
    let still_there = count(&database, &partitions);
    let dumps = dumping.stop();
    drop(snapshot);

    let accepted = load.stop().await;
    receiver.wait_until(|_, by_id| accepted.iter().all(|id| by_id.contains_key(id)));
    println!(
        "{} messages; delivered a second: {alone:.0} alone, {beside:.0} beside {dumps} dumps and an \
         old snapshot ({seconds} s); retention gave way {waited} times",
        accepted.len(),
    );
    assert!(dumps > 0 && waited > 0, "nothing was in the way, so this shows nothing");
    assert_eq!(still_there, partitions.len(), "locks were not respected");
    assert!(alone > RATE as f64 * 0.9, "{alone:.0} a second alone: this machine is too slow");
    assert!(beside >= alone * 0.9, "{beside:.0} a second beside {alone:.0} alone");
    // With nobody in the way what is over goes, at the next look.
    for partition in &partitions {
        server.wait_for_log(&format!("dropped what is over partition={partition:?}"));
    }
    assert_eq!(count(&database, &partitions), 0);
}

/// Content and claims of days that are over, one partition each, as they would be found after a
/// while.
fn make_some_that_are_over(database: &Database) -> Vec<String> {
    let today: i64 =
        database.ask("SELECT extract(epoch FROM now())::int8 / 86400").unwrap().parse().unwrap();
    let mut made = Vec::new();
    for day in today - 10..today - 10 + OVER {
        for (table, first, end) in [
            ("content", day * 86_400_000, (day + 1) * 86_400_000),
            ("claim", day * 24, (day + 1) * 24),
        ] {
            let name = format!("{table}_d{day}");
            let sql = format!(
                "CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ({first}) TO ({end})"
            );
            database.ask(&sql).unwrap();
            made.push(name);
        }
    }
    made
}

/// A statement that reads every table, and so locks it.
fn look_at_everything(database: &Database) -> String {
    let list =
        "SELECT string_agg('SELECT count(*) FROM ' || relname, '; ') FROM pg_stat_user_tables";
    database.ask(list).unwrap()
}

/// How many of these tables there are.
fn count(database: &Database, tables: &[String]) -> usize {
    let names = tables.join("', '");
    let sql = format!("SELECT count(*) FROM pg_class WHERE relname IN ('{names}')");
    database.ask(&sql).unwrap().parse().unwrap()
}

/// One dump after the other.
struct Dumping {
    done: Arc<AtomicBool>,
    thread: thread::JoinHandle<usize>,
}

impl Dumping {
    fn start(database: Arc<Database>) -> Dumping {
        let done = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&done);
        let thread = thread::spawn(move || {
            let mut dumps = 0;
            while !told.load(Ordering::Relaxed) {
                database.dump().unwrap();
                dumps += 1;
            }
            dumps
        });
        Dumping { done, thread }
    }

    /// How many were made.
    fn stop(self) -> usize {
        self.done.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Messages at a steady rate: whoever is late catches up.
struct Load {
    accepted: Arc<Mutex<Vec<String>>>,
    done: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Load {
    fn start(url: &str, app: &str) -> Load {
        let accepted = Arc::new(Mutex::new(Vec::new()));
        let done = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        let address = url.trim_start_matches("http://").to_owned();
        let path = format!("/api/v1/app/{app}/msg");
        for _ in 0..CLIENTS {
            let (accepted, done) = (Arc::clone(&accepted), Arc::clone(&done));
            clients.spawn(post(address.clone(), path.clone(), accepted, done));
        }
        Load { accepted, done, clients }
    }

    /// Deliveries a second during this time.
    async fn watch(&self, receiver: &Receiver, time: Duration) -> f64 {
        let (begun, before) = (Instant::now(), receiver.count());
        sleep_until(begun + time).await;
        (receiver.count() - before) as f64 / begun.elapsed().as_secs_f64()
    }

    /// The ids of all messages.
    async fn stop(mut self) -> Vec<String> {
        self.done.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
        std::mem::take(&mut *self.accepted.lock().unwrap())
    }
}

async fn post(
    address: String,
    path: String,
    accepted: Arc<Mutex<Vec<String>>>,
    done: Arc<AtomicBool>,
) {
    let stream = TcpStream::connect(&address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let body = Bytes::from_static(br#"{"eventType":"held.test","payload":{"size":"small"}}"#);
    let mut ticks = interval(Duration::from_millis(1_000 * CLIENTS / RATE));
    while !done.load(Ordering::Relaxed) {
        ticks.tick().await;
        let request = Request::post(&path)
            .header("host", &address)
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json")
            .body(Full::new(body.clone()))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        let answer = response.into_body().collect().await.unwrap().to_bytes();
        let message: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(status, 202, "{message}");
        accepted.lock().unwrap().push(message["id"].as_str().unwrap().to_owned());
    }
}
