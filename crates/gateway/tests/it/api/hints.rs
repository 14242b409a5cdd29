//! What the engine is told are hints: the store decides. Here the lanes that hints are for only note
//! them ([`super::Told`]), and an engine works on the same store.

use std::{thread, time::Duration};

use ringback::{
    deliver::{self, Breakers, Engine, Limits, Services},
    outbound::{self, Connector, Guard, Ports, Tls},
};
use ringback_domain::{address::Policy, id::KeySequence, retry::Schedule};
use serde_json::json;
use tokio::{sync::oneshot, task::LocalSet};

use super::*;
use crate::support::Receiver;

/// An engine of one core, on a thread of its own.
struct Works {
    engine: Engine,
    end: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Works {
    /// On the bench's store, with the real clock. Whether it looks for work that nobody told it of.
    fn on(bench: &Bench, recovers: bool) -> Works {
        let engine = Engine::new(1);
        let services = Arc::new(services(bench, engine.clone()));
        let mailbox = Arc::clone(&engine.mailboxes()[0]);
        let (end, ended) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let local = LocalSet::new();
            local.spawn_local(deliver::work(services, mailbox, recovers));
            local.block_on(&runtime.unwrap(), async { drop(ended.await) });
        });
        Works { engine, end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Works {
    fn drop(&mut self) {
        drop(self.end.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

fn services(bench: &Bench, engine: Engine) -> Services {
    let world = wiring::world(&[], tokio::runtime::Handle::current()).unwrap();
    let policy = Policy::new(["127.0.0.0/8".parse().unwrap()], [], []).unwrap();
    let guard = Guard::new(policy, Ports::default(), Vec::new());
    let network = Arc::clone(&world.network);
    let second = Duration::from_secs(1);
    let connector = Connector::new(network, guard, Tls::new([]).unwrap(), second);
    Services {
        payloads: None,
        world,
        sandbox: support::sandbox(),
        contracts: ringback::contract::Directory::new(Arc::clone(&bench.store), support::sandbox()),
        store: Arc::clone(&bench.store),
        connector: Arc::new(connector),
        providers: Arc::new(|_| None),
        hosts: Arc::default(),
        keyring: Arc::new(Keyring::new(&MasterKey::new([7; 32]), [])),
        schedule: Schedule { gaps: vec![second], jitter: 0.0, disable_after: 60 * second },
        breakers: Arc::new(Breakers::new(None, Metrics::new())),
        limits: Limits {
            timeout: 5 * second,
            longest: 5 * second,
            per_endpoint: 4,
            sockets: 64,
            in_flight: 64,
            head: 16,
            heads: 1_000,
            head_bytes: 1 << 20,
            refill_bytes: 1 << 20,
            answer: outbound::Limits::default(),
        },
        require_https: false,
        retention: Duration::from_secs(86_400),
        metrics: Metrics::new(),
        engine,
        pressure: Arc::default(),
        replies: Arc::default(),
        taps: Default::default(),
        consents: Default::default(),
        tokens: deliver::Tokens::default(),
        origin: "hooks.example.com".to_owned(),
        attempt_keys: Mutex::new(KeySequence::after(bench.store.last_attempt_key())),
    }
}

/// A bench whose messages have been due for a minute, and an application with an endpoint at the
/// receiver.
async fn bench_for(receiver: &Receiver) -> (Bench, String) {
    let bench = Bench::make(Quota::default(), false).await;
    let real = wiring::world(&[], tokio::runtime::Handle::current()).unwrap().clock.now();
    bench.clock.0.store(real.millis() - 60_000, Ordering::SeqCst);
    let app = bench.post("/api/v1/app", json!({ "name": "hints" })).await.expect(201);
    let path = format!("/api/v1/app/{}", app["id"].as_str().unwrap());
    let endpoint = json!({ "url": receiver.url() });
    bench.post(&format!("{path}/endpoint"), endpoint).await.expect(201);
    (bench, format!("{path}/msg"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_hint_was_given_for_is_delivered() {
    let receiver = Receiver::ok();
    let (bench, path) = bench_for(&receiver).await;
    let _works = Works::on(&bench, true);
    let body = json!({ "eventType": "hint.lost", "payload": {} });
    let mut ids = Vec::new();
    for _ in 0..20 {
        let message = bench.post(&path, body.clone()).await.expect(202);
        ids.push(message["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(bench.lanes.delivered.lock().unwrap().len(), ids.len(), "all hints were dropped");
    receiver.wait_until(|_, by_id| ids.iter().all(|id| by_id.contains_key(id)));
    assert_eq!(receiver.receipts().len(), ids.len(), "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_hinted_at_many_times_is_delivered_once() {
    let receiver = Receiver::ok();
    let (bench, path) = bench_for(&receiver).await;
    let works = Works::on(&bench, false);
    let body = json!({ "eventType": "hint.doubled", "payload": {} });
    for count in 1..=20 {
        bench.post(&path, body.clone()).await.expect(202);
        let hints: Vec<Due> = std::mem::take(&mut *bench.lanes.delivered.lock().unwrap());
        let endpoint = hints[0].endpoint;
        let doubled = hints.iter().chain(&hints).cloned().collect();
        works.engine.deliver(doubled);
        works.engine.deliver(hints);
        works.engine.look(endpoint);
        works.engine.look(endpoint);
        receiver.wait_for(count);
    }
    // Whatever the hints made it begin is over then.
    works.engine.drain().await;
    assert_eq!(receiver.receipts().len(), 20, "each once");
}
