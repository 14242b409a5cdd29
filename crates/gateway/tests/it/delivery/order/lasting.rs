//! The order of many keys, kept through retries, `kill -9`, restarts and whatever else moves a lane.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::Method;
use ringback::api_client::ApiClient;
use serde_json::{Value, json};
use tokio::{
    sync::{RwLock, Semaphore},
    task::JoinSet,
    time::sleep,
};

use super::{super::Bench, check_sequences, message, order, place};
use crate::{
    delivery::schedule,
    support::{Answer, Receipt, Receiver, TOKEN},
};

/// How many ordering keys there are, each with a client of its own.
const KEYS: usize = 12;
/// How many messages of a key may be on their way: enough that some wait, and few enough that all
/// arrive soon.
const AHEAD: usize = 4;
/// A lane with nothing to do is forgotten when lanes are looked at, every 250 ms.
const FORGOTTEN: Duration = Duration::from_millis(600);

/// Clients that post, each to its key, and the receiver.
struct Traffic {
    bench: Bench,
    endpoint: String,
    receiver: Receiver,
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

/// What clients, the receiver and the test have in common.
struct Shared {
    /// Where the server is at the moment.
    address: Mutex<String>,
    path: String,
    /// What was acknowledged.
    ledger: Mutex<HashSet<String>>,
    /// By key, how many more messages its client may post.
    room: Vec<Semaphore>,
    /// Whoever has all of it lets nobody post.
    gate: RwLock<()>,
    done: AtomicBool,
}

/// How the endpoint wants its deliveries. Every key comes to a halt at what is refused, so refusals come
/// in a row: that is no reason to leave the endpoint alone for half a minute.
fn wanted(on_exhausted: &str) -> Value {
    let mut delivery = order(on_exhausted);
    delivery["breaker"] = json!(false);
    delivery
}

/// Whether the receiver does not take this message now: every fifth is refused once.
fn is_refused(receipt: &Receipt, before: usize) -> bool {
    let (key, number) = place(receipt);
    (number + index(&key) as u64).is_multiple_of(5) && before == 0
}

fn index(key: &str) -> usize {
    key.trim_start_matches("key-").parse().unwrap()
}

impl Traffic {
    async fn start() -> Traffic {
        let bench = Bench::new(schedule("0.1,0.1,0.1")).await;
        let shared = Arc::new(Shared {
            address: Mutex::new(bench.server.url.clone()),
            path: bench.path("/msg"),
            ledger: Mutex::default(),
            room: (0..KEYS).map(|_| Semaphore::new(AHEAD)).collect(),
            gate: RwLock::default(),
            done: AtomicBool::new(false),
        });
        let taking = Arc::clone(&shared);
        let receiver = Receiver::with(move |receipt, before| {
            if is_refused(receipt, before) {
                return Answer::status(500);
            }
            taking.room[index(&place(receipt).0)].add_permits(1);
            Answer::status(204)
        });
        let wanted = json!({ "url": receiver.url(), "delivery": wanted("block") });
        let endpoint = bench.endpoint_with(wanted).await;
        let mut clients = JoinSet::new();
        for key in 0..KEYS {
            clients.spawn(post(key, Arc::clone(&shared)));
        }
        Traffic { bench, endpoint, receiver, shared, clients }
    }

    /// The server lives again: it listens elsewhere now.
    fn restarted(&self) {
        self.shared.address.lock().unwrap().clone_from(&self.bench.server.url);
    }

    async fn patch(&self, change: Value) {
        self.bench.patch(&self.endpoint, change).await;
    }

    async fn call(&self, verb: &str) {
        let path = self.bench.path(&format!("/endpoint/{}/{verb}", self.endpoint));
        let (status, answer) = self.bench.server.call(Method::POST, &path, Some(json!({}))).await;
        assert!(status < 300, "{verb}: {status} {answer}");
    }

    /// Waits until everything that was acknowledged was taken.
    async fn arrived(&self) {
        let ledger = self.shared.ledger.lock().unwrap().clone();
        let taken = move |receipts: &[Receipt]| {
            let mut times: HashMap<&str, usize> = HashMap::new();
            let mut taken = HashSet::new();
            for receipt in receipts {
                let before = times.entry(receipt.id()).or_default();
                if !is_refused(receipt, *before) {
                    taken.insert(receipt.id());
                }
                *before += 1;
            }
            ledger.iter().all(|id| taken.contains(&**id))
        };
        self.receiver.arrived_until(taken).await;
    }

    /// Ends it, and checks what arrived. Of a key, a message comes when all before it were taken, and
    /// none comes back after a later one.
    async fn finish(mut self) {
        self.shared.done.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
        self.arrived().await;
        let receipts = self.receiver.receipts();
        check_sequences(&receipts);
        let mut times: HashMap<(String, u64), usize> = HashMap::new();
        let mut latest: HashMap<String, (u64, bool)> = HashMap::new();
        let mut repeated = 0;
        for receipt in &receipts {
            let (key, number) = place(receipt);
            let before = times.entry((key.clone(), number)).or_default();
            let taken = !is_refused(receipt, *before);
            *before += 1;
            let (last, was_taken) = latest.entry(key.clone()).or_insert((number, false));
            if number == *last {
                repeated += usize::from(*was_taken);
                *was_taken |= taken;
            } else {
                assert!(number > *last, "{key}: {number} came after {last}");
                assert!(*was_taken, "{key}: {number} came before {last} was taken");
                (*last, *was_taken) = (number, taken);
            }
        }
        let acknowledged = self.shared.ledger.lock().unwrap().len();
        println!("{acknowledged} acknowledged, {} requests, {repeated} repeated", receipts.len());
        assert!(acknowledged > 10 * KEYS, "the load was too small to show anything");
        assert_eq!(latest.len(), KEYS);
        assert_eq!(self.bench.server.stop().code(), Some(0));
    }
}

/// A client that posts one message of its key after the other.
async fn post(key: usize, shared: Arc<Shared>) {
    let world = ringback::wiring::world(&[], tokio::runtime::Handle::current()).unwrap();
    let mut number = 0;
    loop {
        shared.room[key].acquire().await.unwrap().forget();
        let _open = shared.gate.read().await;
        if shared.done.load(Ordering::Relaxed) {
            return;
        }
        number += 1;
        let url = shared.address.lock().unwrap().clone();
        let network = Arc::clone(&world.network);
        let api = ApiClient::new(&url, TOKEN.to_owned(), network).unwrap();
        let body = message(&format!("key-{key}"), number).to_string();
        // A request that the crash cut off was not acknowledged: it may or may not have happened.
        match api.call(Method::POST, &shared.path, Some(body.into())).await {
            Ok(answer) if answer.status == 202 => {
                let message: Value = serde_json::from_slice(&answer.body).unwrap();
                let id = message["id"].as_str().unwrap().to_owned();
                shared.ledger.lock().unwrap().insert(id);
            }
            _ => {
                shared.room[key].add_permits(1);
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Small random numbers, the same in every run (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// A command that has a program see one core, so that all lanes are on it.
fn on_one_core() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let first = allowed.trim().split([',', '-']).next().unwrap();
    ["taskset", "-c", first].map(str::to_owned).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_28_kills_keep_the_order_of_many_keys() {
    let mut traffic = Traffic::start().await;
    for round in 0..12u64 {
        sleep(Duration::from_millis(80 + round * 37 % 250)).await;
        traffic.bench.server.kill();
        traffic.bench.server.restart();
        traffic.restarted();
    }
    traffic.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_moves_a_lane_keeps_the_order() {
    let mut traffic = Traffic::start().await;
    let mut dice = Dice(9);
    for step in 0..30 {
        sleep(Duration::from_millis(20 + dice.roll(100))).await;
        match dice.roll(8) {
            0 => traffic.patch(json!({ "description": format!("step {step}") })).await,
            1 => {
                traffic.call("pause").await;
                traffic.call("resume").await;
            }
            2 => traffic.call("secret/rotate").await,
            3 => {
                let mut delivery = wanted(["block", "skip"][dice.roll(2) as usize]);
                delivery["concurrency"] = json!(1 + dice.roll(8));
                traffic.patch(json!({ "delivery": delivery })).await;
            }
            4 => {
                let filter = json!({ "body": { "number": { "$gte": dice.roll(2) } } });
                traffic.patch(json!({ "filter": filter })).await;
            }
            5 => {
                assert_eq!(traffic.bench.server.stop().code(), Some(0));
                traffic.bench.server.restart();
                traffic.restarted();
            }
            6 => {
                traffic.bench.server.kill();
                let through = if dice.roll(2) == 0 { on_one_core() } else { Vec::new() };
                traffic.bench.server.restart_through(through);
                traffic.restarted();
            }
            _ => {
                let shared = Arc::clone(&traffic.shared);
                let _closed = shared.gate.write().await;
                traffic.arrived().await;
                // Nothing tells of a lane that is forgotten.
                sleep(FORGOTTEN).await;
            }
        }
    }
    traffic.finish().await;
}
