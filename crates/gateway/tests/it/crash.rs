//! kill -9 in a loop under load, with a ledger outside the server: every 202 and every receipt.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::Method;
use ringback::api_client::ApiClient;
use ringback_pg_cluster::{Cluster, Database};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Receiver, Server, Settings, Store, TOKEN};

/// How many clients post at the same time.
const CLIENTS: usize = 8;
/// Requests that can be under way to the one endpoint when the server dies.
const IN_FLIGHT: usize = 32;

/// What is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Server,
    Database,
    Both,
}

/// Kills the server, its database or both at random moments and starts them again. Whatever was
/// acknowledged must arrive; what arrives twice was in flight, or not yet recorded, at the moment.
async fn kill_in_a_loop(kills: usize, victim: Victim, mut cluster: Option<Cluster>) {
    let receiver = Receiver::ok();
    let mut settings = Settings::default()
        .env("RINGBACK_DELIVERY_IN_FLIGHT_PER_ENDPOINT", &IN_FLIGHT.to_string())
        .env("RINGBACK_LIMITS_IN_FLIGHT", &IN_FLIGHT.to_string());
    if let Some(cluster) = &cluster {
        let database = Database::create_on(&cluster.dsn()).unwrap();
        settings.store = Some(Store::Postgres(Arc::new(database)));
    }
    let mut server = Server::start(settings);
    let (app, _) = server.application(&receiver.url()).await;
    let path = Arc::new(format!("/api/v1/app/{app}/msg"));
    let ledger = Arc::new(Mutex::new(HashSet::new()));
    let address = Arc::new(Mutex::new(server.url.clone()));
    let done = Arc::new(AtomicBool::new(false));

    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(post_until(Posting {
            number,
            path: Arc::clone(&path),
            ledger: Arc::clone(&ledger),
            address: Arc::clone(&address),
            done: Arc::clone(&done),
        }));
    }

    // The moments of death are fixed, not random, so that a failing run can be repeated; what the
    // server does at that moment is random enough.
    for round in 0..kills {
        let life = Duration::from_millis(50 + (round as u64 * 37) % 250);
        tokio::time::sleep(life).await;
        if victim != Victim::Database {
            server.kill();
        }
        if victim != Victim::Server {
            let cluster = cluster.as_mut().unwrap();
            cluster.kill().unwrap();
            cluster.start_again().unwrap();
        }
        if victim != Victim::Database {
            server.restart();
            address.lock().unwrap().clone_from(&server.url);
        }
    }
    done.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }

    let acknowledged = ledger.lock().unwrap().clone();
    // What arrives is at least what was acknowledged; so waiting for its number comes first, and
    // then for each of them.
    receiver.wait_until(|_, by_id| acknowledged.iter().all(|id| by_id.contains_key(id)));
    let arrived = receiver.by_id();
    let twice: usize = arrived.values().map(|times| times - 1).sum();
    println!(
        "{kills} kills: {} acknowledged, {} arrived, 0 lost, {twice} duplicated",
        acknowledged.len(),
        arrived.len(),
    );
    assert!(acknowledged.len() > kills, "the load was too small to show anything");
    assert!(twice <= kills * IN_FLIGHT, "{twice} duplicates");
    assert_eq!(server.stop().code(), Some(0));
}

/// A client that posts one message after the other.
struct Posting {
    number: usize,
    path: Arc<String>,
    ledger: Arc<Mutex<HashSet<String>>>,
    address: Arc<Mutex<String>>,
    done: Arc<AtomicBool>,
}

async fn post_until(client: Posting) {
    let world = ringback::wiring::world(&[], tokio::runtime::Handle::current()).unwrap();
    let mut posted = 0;
    while !client.done.load(Ordering::Relaxed) {
        posted += 1;
        let url = client.address.lock().unwrap().clone();
        let network = Arc::clone(&world.network);
        let api = ApiClient::new(&url, TOKEN.to_owned(), network).unwrap();
        let payload = json!({ "client": client.number, "posted": posted });
        let body = json!({ "eventType": "crash.test", "payload": payload }).to_string();
        // A request that the crash cut off was not acknowledged: it may or may not have happened.
        let Ok(answer) = api.call(Method::POST, &client.path, Some(body.into())).await else {
            tokio::task::yield_now().await;
            continue;
        };
        if answer.status == 202 {
            let message: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            let id = message["id"].as_str().unwrap().to_owned();
            assert!(client.ledger.lock().unwrap().insert(id), "an id was given out twice");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_in_50_kills() {
    kill_in_a_loop(50, Victim::Server, None).await;
}

/// A database server of the test's own, as it is going to be killed.
fn cluster() -> Option<Cluster> {
    Some(Cluster::start(&ringback_pg_cluster::Options::default()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_nothing_is_lost_in_20_kills_of_the_server() {
    kill_in_a_loop(20, Victim::Server, cluster()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_nothing_is_lost_in_8_kills_of_the_database() {
    kill_in_a_loop(8, Victim::Database, cluster()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_nothing_is_lost_in_8_kills_of_both() {
    kill_in_a_loop(8, Victim::Both, cluster()).await;
}
