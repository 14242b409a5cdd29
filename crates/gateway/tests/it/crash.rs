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
use serde_json::json;

use crate::support::{Receiver, Server, Settings};

/// How many clients post at the same time.
const CLIENTS: usize = 8;
/// Requests that can be under way to the one endpoint when the server dies.
const IN_FLIGHT: usize = 32;

/// Kills the server at random moments and starts it again. Whatever was acknowledged must arrive;
/// what arrives twice was in flight, or not yet recorded, when the server died.
async fn kill_in_a_loop(kills: usize) {
    let receiver = Receiver::ok();
    let settings = Settings::default()
        .env("RINGBACK_DELIVERY_IN_FLIGHT_PER_ENDPOINT", &IN_FLIGHT.to_string())
        .env("RINGBACK_LIMITS_IN_FLIGHT", &IN_FLIGHT.to_string());
    let mut server = Server::start(settings);
    let (app, _) = server.application(&receiver.url()).await;
    let path = Arc::new(format!("/api/v1/app/{app}/msg"));
    let ledger = Arc::new(Mutex::new(HashSet::new()));
    let address = Arc::new(Mutex::new(server.url.clone()));
    let done = Arc::new(AtomicBool::new(false));

    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (path, ledger) = (Arc::clone(&path), Arc::clone(&ledger));
            let (address, done) = (Arc::clone(&address), Arc::clone(&done));
            let world = ringback::wiring::world(&[], tokio::runtime::Handle::current()).unwrap();
            tokio::task::spawn(async move {
                let mut posted = 0;
                while !done.load(Ordering::Relaxed) {
                    posted += 1;
                    let url = address.lock().unwrap().clone();
                    let token = crate::support::TOKEN.to_owned();
                    let network = Arc::clone(&world.network);
                    let client =
                        ringback::api_client::ApiClient::new(&url, token, network).unwrap();
                    let body = json!({ "eventType": "crash.test",
                                       "payload": { "client": number, "posted": posted } });
                    let body = Some(body.to_string().into());
                    // A request that the crash cut off was not acknowledged: it may or may not
                    // have happened.
                    let Ok(answer) = client.call(Method::POST, &path, body).await else {
                        tokio::task::yield_now().await;
                        continue;
                    };
                    if answer.status == 202 {
                        let message: serde_json::Value =
                            serde_json::from_slice(&answer.body).unwrap();
                        let id = message["id"].as_str().unwrap().to_owned();
                        assert!(ledger.lock().unwrap().insert(id), "an id was given out twice");
                    }
                }
            })
        })
        .collect();

    // The moments of death are fixed, not random, so that a failing run can be repeated; what the
    // server does at that moment is random enough.
    for round in 0..kills {
        let life = Duration::from_millis(50 + (round as u64 * 37) % 250);
        tokio::time::sleep(life).await;
        server.kill();
        server.restart();
        address.lock().unwrap().clone_from(&server.url);
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_in_50_kills() {
    kill_in_a_loop(50).await;
}
