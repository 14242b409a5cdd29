//! Listening through a network that is slow and breaks, from a server that is killed, on a machine
//! that sleeps: every event comes to localhost once, in order, byte for byte.
//!
//! The short form runs with all tests. `cargo xtask hostile` runs the long one: 10,000 events, 2 s of
//! latency each way, a connection that is cut every few seconds.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::*;
use crate::support::{Answer, Receiver, tried};

/// How bad it is.
struct Plan {
    events: usize,
    /// Of every byte, each way.
    latency: Duration,
    /// A connection lives between so long and so long.
    life: [Duration; 2],
    /// How often the server is killed.
    kills: usize,
    /// How long the machine sleeps.
    sleep: Duration,
    /// How long it may all take.
    patience: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_in_a_hostile_network() {
    let long = std::env::var("RINGBACK_TEST_HOSTILE").is_ok_and(|value| value == "long");
    let millis = Duration::from_millis;
    let plan = match long {
        true => Plan {
            events: 10_000,
            latency: millis(2_000),
            life: [millis(6_000), millis(14_000)],
            kills: 3,
            sleep: millis(50_000),
            patience: millis(1_800_000),
        },
        false => Plan {
            events: 600,
            latency: millis(60),
            life: [millis(300), millis(900)],
            kills: 1,
            sleep: millis(1_500),
            patience: millis(100_000),
        },
    };
    plan.carry_out().await;
}

impl Plan {
    async fn carry_out(&self) {
        let begun = Instant::now();
        let mut bench = Bench::new().await;
        let address: SocketAddr = bench.server.url.trim_start_matches("http://").parse().unwrap();
        let network = Network::before(address, self.latency, self.life);
        let receiver = Receiver::with(|_, _| Answer::Slowly(204, Duration::from_millis(2)));
        let listening = Listening::start(&network.url(), &receiver.url());
        while bench.server.get("/api/v1/listener").await["data"].as_array().unwrap().is_empty() {
            network.wait_for_a_cut();
        }
        // The provider sends meanwhile, and again what was not taken.
        let (mut killed, mut slept) = (0, Instant::now());
        for number in 0..self.events {
            if number == (killed + 1) * self.events / (self.kills + 1) && killed < self.kills {
                killed += 1;
                bench.server.kill();
                bench.server.restart_in_place();
            }
            if number == self.events / 10 {
                listening.signal(Signal::STOP);
                slept = Instant::now();
            }
            if slept.elapsed() >= self.sleep {
                listening.signal(Signal::CONT);
            }
            if number % (self.events / 10) == 0 {
                network.wait_for_a_cut();
            }
            send_until_taken(&bench, number).await;
        }
        // It wakes up after the connection is gone.
        while slept.elapsed() < self.sleep {
            network.wait_for_a_cut();
        }
        listening.signal(Signal::CONT);
        while receiver.count() < self.events {
            let waited = begun.elapsed();
            let count = receiver.count();
            assert!(waited < self.patience, "{count} of {} after {waited:?}", self.events);
            network.wait_for_a_cut();
        }
        let cuts = network.cuts();
        assert!(cuts > 3, "the network was not hostile: {cuts}");
        let receipts = receiver.receipts();
        for (number, receipt) in receipts.iter().enumerate() {
            assert_eq!(receipt.header("x-github-delivery"), number.to_string(), "in order, once");
            assert_eq!(receipt.body, body(number));
        }
        assert_eq!(receipts.len(), self.events);
        println!(
            "{} events, 0 lost, 0 twice, in order, bytes equal; {cuts} cuts, {} kills, {:?}",
            self.events,
            self.kills,
            begun.elapsed()
        );
    }
}

/// As a provider does: again, with the same id, until it is taken.
async fn send_until_taken(bench: &Bench, number: usize) {
    let (id, text) = (number.to_string(), body(number));
    let named = [("x-github-event", "push"), ("x-github-delivery", &*id)];
    let begun = Instant::now();
    loop {
        let made = signed("github", SECRET, now(), &bench.path, &named, &text);
        let made = made.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers: Vec<_> = named.into_iter().chain(made).collect();
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let answered = tried(&bench.server.url, Method::POST, &bench.path, &headers, bytes).await;
        if answered.is_some_and(|answered| answered.status == 200) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "event {number} is not taken");
    }
}

/// `ringback listen` as a process.
struct Listening(Child);

impl Listening {
    fn start(url: &str, forward: &str) -> Listening {
        let child = Command::new(env!("CARGO_BIN_EXE_ringback"))
            .args(["listen", "hub", "--name", "me", "--since", "start", "--print", "quiet"])
            .args(["--forward", forward])
            .envs([("RINGBACK_URL", url), ("RINGBACK_TOKEN", TOKEN)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Listening(child)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.0.id() as i32).unwrap(), signal).unwrap();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A way to the server that is slow, and on which connections break.
struct Network {
    address: SocketAddr,
    shared: Arc<Shared>,
    ended: Mutex<mpsc::Receiver<()>>,
}

struct Shared {
    stop: AtomicBool,
    cuts: std::sync::atomic::AtomicUsize,
}

impl Network {
    fn before(server: SocketAddr, latency: Duration, life: [Duration; 2]) -> Network {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), cuts: Default::default() });
        let (told, ended) = mpsc::channel();
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            // The same lives in every run.
            let mut random = 0x9e37_79b9_7f4a_7c15_u64;
            for client in listener.incoming().map_while(Result::ok) {
                if of_thread.stop.load(Ordering::Relaxed) {
                    return;
                }
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let span = (life[1] - life[0]).as_millis() as u64;
                let lives = life[0] + Duration::from_millis((random >> 33) % span);
                let (shared, told) = (Arc::clone(&of_thread), told.clone());
                std::thread::spawn(move || {
                    carry(client, server, latency, lives);
                    shared.cuts.fetch_add(1, Ordering::Relaxed);
                    let _ = told.send(());
                });
            }
        });
        Network { address, shared, ended: Mutex::new(ended) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::Relaxed)
    }

    /// Waits until a connection has ended, or a moment.
    fn wait_for_a_cut(&self) {
        let _ = self.ended.lock().unwrap().recv_timeout(Duration::from_secs(1));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = std::net::TcpStream::connect(self.address);
    }
}

/// Carries a connection for so long, every byte so late, and cuts it.
fn carry(client: std::net::TcpStream, server: SocketAddr, latency: Duration, lives: Duration) {
    let end = Instant::now() + lives;
    let Ok(upstream) = std::net::TcpStream::connect(server) else { return };
    let both = [client, upstream];
    std::thread::scope(|scope| {
        for (from, to) in [(&both[0], &both[1]), (&both[1], &both[0])] {
            let (late, arriving) = mpsc::channel::<(Instant, Vec<u8>)>();
            scope.spawn(move || {
                let (mut from, mut bytes) = (from, vec![0; 64 * 1024]);
                let _ = from.set_read_timeout(Some(Duration::from_millis(20)));
                while Instant::now() < end {
                    match from.read(&mut bytes) {
                        Ok(0) => break,
                        Ok(count) => {
                            let chunk = bytes[..count].to_vec();
                            if late.send((Instant::now() + latency, chunk)).is_err() {
                                break;
                            }
                        }
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                        Err(_) => break,
                    }
                }
            });
            scope.spawn(move || {
                let mut to = to;
                for (at, chunk) in arriving {
                    std::thread::sleep(at.saturating_duration_since(Instant::now()));
                    // What is under way when it is cut never arrives: often half a frame.
                    let whole = Instant::now() < end;
                    let count = if whole { chunk.len() } else { chunk.len() / 2 };
                    if to.write_all(&chunk[..count]).is_err() || !whole {
                        break;
                    }
                }
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    });
}
