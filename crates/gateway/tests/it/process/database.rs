//! The database away: refused in time, finished what was under way, and back without a restart.

use std::sync::Arc;

use http::Method;
use ringback_pg_cluster::{Cluster, Database, Pooler};
use serde_json::json;
use tokio::time::{Duration, Instant, sleep};

use super::raw;
use crate::support::{Answer, PATIENCE, Receiver, Server, Settings, Store};

/// How long a request may wait for a database that does not answer, until that is known.
const BOUND: Duration = Duration::from_secs(8);
/// And afterwards.
const SOON: Duration = Duration::from_secs(1);

/// A server on a database server of the test's own, and an application with one endpoint.
struct Bench {
    cluster: Cluster,
    server: Server,
    receiver: Receiver,
    path: String,
    acknowledged: Vec<String>,
}

impl Bench {
    /// The receiver takes a while: what it got before the database goes is answered afterwards.
    async fn new(answer_after: Duration) -> Bench {
        let cluster = Cluster::start(&Default::default()).unwrap();
        let database = Database::create_on(&cluster.dsn()).unwrap();
        let store = Some(Store::Postgres(Arc::new(database)));
        let receiver = Receiver::with(move |_, _| Answer::Slowly(204, answer_after));
        let server = Server::start(Settings { store, ..Settings::default() });
        let (app, _) = server.application(&receiver.url()).await;
        let path = format!("/api/v1/app/{app}/msg");
        Bench { cluster, server, receiver, path, acknowledged: Vec::new() }
    }

    /// Posts a message; the status, and how long it took.
    fn post(&mut self) -> (u16, Duration) {
        let (begun, message) = (Instant::now(), json!({ "eventType": "a", "payload": {} }));
        let (status, head, body) = raw(&self.server, &self.path, "", &message);
        match status {
            202 => self.acknowledged.push(body["id"].as_str().unwrap().to_owned()),
            503 => assert!(head.contains("\r\nretry-after: "), "{head}"),
            other => panic!("{other}: {body}"),
        }
        (status, begun.elapsed())
    }

    async fn status(&self, path: &str) -> u16 {
        self.server.call(Method::GET, path, None).await.0
    }

    /// What is told while the database is away.
    async fn is_away(&mut self) {
        let (status, took) = self.post();
        assert!(status == 503 && took < BOUND, "{status} after {took:?}");
        for _ in 0..3 {
            let (status, took) = self.post();
            assert!(status == 503 && took < SOON, "{status} after {took:?}");
        }
        let begun = Instant::now();
        for (path, expect) in [
            ("/api/v1/app", 503),
            ("/health/ready", 503),
            ("/api/v1/health", 503),
            ("/health/live", 200),
        ] {
            assert_eq!(self.status(path).await, expect, "{path}");
        }
        assert!(begun.elapsed() < 4 * SOON, "{:?}", begun.elapsed());
    }

    /// The database is there again: so is everything else, and nothing acknowledged is lost. What
    /// was under way when it went was finished and is not sent again.
    async fn is_back(&mut self) {
        let begun = Instant::now();
        while self.status("/health/ready").await != 200 {
            assert!(begun.elapsed() < PATIENCE, "it is not ready again");
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.post().0, 202);
        let acknowledged = &self.acknowledged;
        self.receiver.wait_until(|_, by_id| acknowledged.iter().all(|id| by_id.contains_key(id)));
        for id in acknowledged {
            let attempts = self.path.replace("/msg", &format!("/attempt/msg/{id}"));
            let begun = Instant::now();
            while self.server.get(&attempts).await["data"][0]["status"] != 0 {
                assert!(begun.elapsed() < PATIENCE, "the attempt of {id} was not recorded");
                sleep(Duration::from_millis(50)).await;
            }
        }
        let times = self.receiver.by_id();
        assert!(acknowledged.iter().all(|id| times[id] == 1), "{times:?}");
        assert!(self.server.stop().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stops_is_waited_for() {
    let mut bench = Bench::new(Duration::from_secs(1)).await;
    for _ in 0..10 {
        assert_eq!(bench.post().0, 202);
    }
    bench.receiver.wait_for(10);
    bench.cluster.stop_immediately().unwrap();
    bench.is_away().await;
    bench.cluster.start_again().unwrap();
    bench.is_back().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_holds_nobody_up() {
    let mut bench = Bench::new(Duration::from_secs(1)).await;
    for _ in 0..10 {
        assert_eq!(bench.post().0, 202);
    }
    bench.receiver.wait_for(10);
    bench.cluster.freeze().unwrap();
    bench.is_away().await;
    bench.cluster.thaw().unwrap();
    bench.is_back().await;
    bench.server.wait_for_log("the database does not answer");
}

/// A connection is ours for one transaction only; messages, retries, lists and a restart all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_works_behind_a_pooler() {
    let cluster = Cluster::start(&Default::default()).unwrap();
    let pooler = Pooler::start(&cluster.dsn()).unwrap();
    let database = Arc::new(Database::create_on(&cluster.dsn()).unwrap());
    let receiver = Receiver::with(|_, before| Answer::status(if before == 0 { 500 } else { 204 }));
    let store = Some(Store::Postgres(Arc::clone(&database)));
    let settings = Settings { store, ..Settings::default() }
        .env("RINGBACK_STORE", &pooler.dsn(&database.dsn()))
        .env("RINGBACK_DELIVERY_RETRY_SCHEDULE", "0.2,0.2")
        .env("RINGBACK_DELIVERY_RETRY_JITTER", "0")
        // Fifty first attempts fail on purpose.
        .env("RINGBACK_DELIVERY_BREAKER", "false");
    let mut server = Server::start(settings);
    let (app, endpoint) = server.application(&receiver.url()).await;
    let path = format!("/api/v1/app/{app}/msg");
    for round in 1..=2 {
        for _ in 0..50 {
            server.post(&path, json!({ "eventType": "a", "payload": {} })).await;
        }
        receiver.wait_until(|_, by_id| {
            by_id.len() == 50 * round && by_id.values().all(|times| *times >= 2)
        });
        let listed = server.get(&format!("{path}?limit=250")).await;
        assert_eq!(listed["data"].as_array().unwrap().len(), 50 * round);
        assert!(server.stop().success());
        server.restart();
    }
    let message = server.get(&format!("{path}?limit=1")).await["data"][0]["id"].clone();
    let resend = format!("{path}/{}/endpoint/{endpoint}/resend", message.as_str().unwrap());
    assert_eq!(server.call(Method::POST, &resend, None).await.0, 202);
    receiver.wait_until(|receipts, _| receipts.len() > 200);
    // It has more connections to the pooler than the pooler has for it.
    let used = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ringback'";
    let used: u32 = database.ask(used).unwrap().parse().unwrap();
    assert!((1..=4).contains(&used), "{used}");
    assert!(server.stop().success());
}
