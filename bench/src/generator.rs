//! The load generator: kept-alive HTTP/1.1 connections on one runtime per core.
//!
//! Paced, it is an open loop: a thread of its own hands out each message at its intended time, and
//! latency counts from that time whether or not a connection was free, so a server that stalls
//! cannot hide the messages it held up. Flat out, it is a closed loop: each connection sends the
//! next message as soon as the last was answered.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clock;
use crate::ledger::{self, Ack};
use crate::payload::{self, Lengths};

/// How long a refused message (503) waits before it is offered again, as the SDKs do.
const OFFER_AGAIN: Duration = Duration::from_millis(50);
/// Broken connections after which one connection's loop gives up.
const BREAKS_ALLOWED: u32 = 20;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const GITHUB_SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");
const GITHUB_DELIVERY: HeaderName = HeaderName::from_static("x-github-delivery");

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Where messages go and what they look like.
#[derive(Clone)]
pub struct Target {
    addr: SocketAddr,
    /// Taken in turn, by sequence number.
    paths: Vec<Uri>,
    headers: HeaderMap,
    lengths: Lengths,
    face: Face,
}

/// How a message is dressed.
#[derive(Clone)]
enum Face {
    /// The payload alone: no token, no key, no signature.
    Bare,
    /// As the SDKs create messages: in an envelope, under a fresh key.
    Api,
    /// As GitHub sends: signed, under a fresh delivery id.
    Github(Hmac<Sha256>),
}

/// What stands before and after the payload where a message is created.
const ENVELOPE: (&[u8], &[u8]) = (b"{\"eventType\":\"bench.sent\",\"payload\":", b"}");

impl Target {
    /// The bare receiver.
    pub fn bare(addr: SocketAddr, lengths: Lengths) -> Result<Self> {
        let paths = vec![Uri::from_static("/0")];
        Ok(Self { addr, paths, headers: headers(addr)?, lengths, face: Face::Bare })
    }

    /// Message creation for these applications, in turn.
    pub fn messages(addr: SocketAddr, token: &str, applications: &[String]) -> Result<Self> {
        let mut headers = headers(addr)?;
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
        let paths = applications
            .iter()
            .map(|app| Ok(format!("/api/v1/app/{app}/msg").parse()?))
            .collect::<Result<Vec<Uri>>>()?;
        Ok(Self { addr, paths, headers, lengths: Lengths::ONE_KIB, face: Face::Api })
    }

    /// A source for GitHub at `path`, called as GitHub does.
    pub fn github(addr: SocketAddr, path: &str, secret: &str, lengths: Lengths) -> Result<Self> {
        let mut headers = headers(addr)?;
        headers.insert("x-github-event", HeaderValue::from_static("push"));
        let key = Hmac::new_from_slice(secret.as_bytes())?;
        Ok(Self { addr, paths: vec![path.parse()?], headers, lengths, face: Face::Github(key) })
    }

    /// Before its time is taken: what goes out for `seq`, under `keys`' next one.
    fn request(&self, seq: u32, keys: &mut Keys) -> Outgoing {
        let mut headers = self.headers.clone();
        let mut body = Vec::new();
        let (before, after) = if let Face::Api = self.face { ENVELOPE } else { Default::default() };
        body.extend_from_slice(before);
        payload::write(seq, self.lengths, &mut body);
        body.extend_from_slice(after);
        match &self.face {
            Face::Bare => {}
            Face::Api => drop(headers.insert(IDEMPOTENCY_KEY, keys.fresh(b"auto_"))),
            Face::Github(key) => {
                let code = key.clone().chain_update(&body).finalize().into_bytes();
                headers.insert(GITHUB_SIGNATURE, signature(&code));
                headers.insert(GITHUB_DELIVERY, keys.fresh(b""));
            }
        }
        let path = self.paths[seq as usize % self.paths.len()].clone();
        Outgoing { path, headers, body: body.into() }
    }
}

/// One message, as often as it has to be offered.
struct Outgoing {
    path: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Outgoing {
    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// `X-Hub-Signature-256`.
fn signature(code: &[u8]) -> HeaderValue {
    let mut text = b"sha256=".to_vec();
    text.extend(
        code.iter().flat_map(|byte| [byte >> 4, byte & 0xf]).map(|digit| HEX[digit as usize]),
    );
    HeaderValue::from_maybe_shared(Bytes::from(text)).expect("hexadecimal is a header value")
}

fn headers(addr: SocketAddr) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(HOST, HeaderValue::from_str(&addr.to_string())?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(headers)
}

/// How fast messages are sent.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    FlatOut,
    PerSecond(u32),
}

/// One run of the generator.
#[derive(Clone, Debug)]
pub struct Load {
    pub seqs: Range<u32>,
    pub pace: Pace,
    pub connections: usize,
    pub cores: usize,
    /// When to stop waiting for answers, however many are missing.
    pub limit: Duration,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Sent {
    pub acks: Vec<Ack>,
    /// Answers 503; the message was offered again under the same key.
    pub refused: u64,
    /// Messages without a 2xx at the end: another status, a broken connection, or out of time.
    pub failed: u64,
    /// Status of the first answer that was neither 2xx nor 503, with the start of its body.
    pub complaint: Option<String>,
    /// `clock` nanoseconds.
    pub first_sent: u64,
    pub last_answered: u64,
}

impl Sent {
    /// Acknowledged messages per second, from the first send to the last answer.
    pub fn rate(&self) -> f64 {
        per_second(self.acks.len() as u64, self.first_sent, self.last_answered)
    }

    /// Send to answer of each acknowledged message, nanoseconds.
    pub fn latencies(&self) -> Vec<u64> {
        self.acks.iter().map(|ack| ack.answered.saturating_sub(ack.sent)).collect()
    }
}

/// `count` per second between two readings of the clock; 0 when there was no time between them.
pub fn per_second(count: u64, from: u64, to: u64) -> f64 {
    if to <= from { 0.0 } else { count as f64 * 1e9 / (to - from) as f64 }
}

/// Sends the messages of `load` and waits for the answers. Blocks.
pub fn run(target: &Target, load: &Load) -> Result<Sent> {
    let connections = load.connections.max(1);
    let cores = load.cores.clamp(1, connections);
    let (source, pacer) = Source::new(load);
    let source = Arc::new(source);

    // Connections are opened before the clock starts.
    let (ready, opened) = std::sync::mpsc::channel();
    let go = Arc::new(tokio::sync::Semaphore::new(0));
    let (mut threads, mut tallies) = (Vec::new(), Vec::new());
    for core in 0..cores {
        let tally = Arc::new(Tally::default());
        tallies.push(Arc::clone(&tally));
        let share = connections / cores + usize::from(core < connections % cores);
        let crew = Crew {
            target: target.clone(),
            source: Arc::clone(&source),
            tally,
            go: Arc::clone(&go),
            ready: ready.clone(),
        };
        let limit = load.limit;
        let name = format!("generate-{core}");
        threads.push(thread::Builder::new().name(name).spawn(move || crew.work(share, limit))?);
    }
    drop(ready);
    for _ in 0..cores {
        opened.recv().context("the generator could not connect")??;
    }

    let first_sent = clock::now();
    go.add_permits(cores);
    let pacer = pacer.map(|pacer| thread::spawn(move || pacer.hand_out(first_sent)));
    for thread in threads {
        if thread.join().is_err() {
            bail!("a generator thread panicked");
        }
    }
    source.close();
    if let Some(pacer) = pacer {
        let _ = pacer.join();
    }

    let acks: Vec<Ack> =
        tallies.iter().flat_map(|tally| std::mem::take(&mut *tally.acks())).collect();
    let refused = tallies.iter().map(|tally| tally.refused.load(Ordering::Relaxed)).sum();
    let complaint = tallies
        .iter()
        .find_map(|tally| tally.complaint.lock().unwrap_or_else(PoisonError::into_inner).take());
    Ok(Sent {
        refused,
        failed: (load.seqs.len() as u64).saturating_sub(acks.len() as u64),
        complaint,
        first_sent: acks.iter().map(|ack| ack.sent).min().unwrap_or(first_sent),
        last_answered: acks.iter().map(|ack| ack.answered).max().unwrap_or(first_sent),
        acks,
    })
}

/// Where connections get their next message from.
enum Source {
    Counter { next: AtomicU32, end: u32 },
    Schedule(tokio::sync::Mutex<mpsc::UnboundedReceiver<(u32, u64)>>),
}

impl Source {
    fn new(load: &Load) -> (Self, Option<Pacer>) {
        match load.pace {
            Pace::FlatOut => {
                let next = AtomicU32::new(load.seqs.start);
                (Self::Counter { next, end: load.seqs.end }, None)
            }
            Pace::PerSecond(rate) => {
                let (out, due) = mpsc::unbounded_channel();
                let gap = 1_000_000_000 / u64::from(rate.max(1));
                let pacer = Pacer { seqs: load.seqs.clone(), gap, out };
                (Self::Schedule(tokio::sync::Mutex::new(due)), Some(pacer))
            }
        }
    }

    /// The next message and the time its latency counts from.
    async fn next(&self) -> Option<(u32, u64)> {
        match self {
            Self::Counter { next, end } => {
                let seq = next.fetch_add(1, Ordering::Relaxed);
                (seq < *end).then(|| (seq, clock::now()))
            }
            Self::Schedule(due) => due.lock().await.recv().await,
        }
    }

    /// Ends a pacer whose connections have all gone.
    fn close(&self) {
        if let Self::Schedule(due) = self
            && let Ok(mut due) = due.try_lock()
        {
            due.close();
        }
    }
}

/// Hands messages out on time. A thread, because the runtime's timer counts whole milliseconds.
struct Pacer {
    seqs: Range<u32>,
    gap: u64,
    out: mpsc::UnboundedSender<(u32, u64)>,
}

impl Pacer {
    fn hand_out(self, start: u64) {
        for (turn, seq) in (0_u64..).zip(self.seqs) {
            let due = start + turn * self.gap;
            clock::sleep_until(due);
            if self.out.send((seq, due)).is_err() {
                return;
            }
        }
    }
}

/// What the connections of one core have to show.
#[derive(Default)]
struct Tally {
    acks: Mutex<Vec<Ack>>,
    refused: AtomicU64,
    complaint: Mutex<Option<String>>,
}

impl Tally {
    fn acks(&self) -> std::sync::MutexGuard<'_, Vec<Ack>> {
        self.acks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn complain(&self, what: impl FnOnce() -> String) {
        let mut complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        complaint.get_or_insert_with(what);
    }
}

/// The connections of one core.
struct Crew {
    target: Target,
    source: Arc<Source>,
    tally: Arc<Tally>,
    go: Arc<tokio::sync::Semaphore>,
    ready: std::sync::mpsc::Sender<Result<()>>,
}

impl Crew {
    fn work(self, connections: usize, limit: Duration) {
        let Self { target, source, tally, go, ready } = self;
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error.into()))),
        };
        runtime.block_on(async {
            let mut opened = Vec::new();
            for _ in 0..connections {
                match open(target.addr).await {
                    Ok(connection) => opened.push(connection),
                    Err(error) => return drop(ready.send(Err(error))),
                }
            }
            drop(ready.send(Ok(())));
            let Ok(permit) = go.acquire().await else { return };
            permit.forget();

            let mut crew = JoinSet::new();
            for connection in opened {
                let worker = Worker {
                    connection,
                    target: target.clone(),
                    source: Arc::clone(&source),
                    tally: Arc::clone(&tally),
                    keys: Keys::new(),
                };
                crew.spawn(worker.work());
            }
            // Out of time, the rest is dropped and counts as failed.
            let _ =
                tokio::time::timeout(limit, async { while crew.join_next().await.is_some() {} })
                    .await;
        });
    }
}

async fn open(addr: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(addr).await.with_context(|| format!("cannot reach {addr}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the sender; a broken connection shows as the sender's error.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

struct Worker {
    connection: SendRequest<Full<Bytes>>,
    target: Target,
    source: Arc<Source>,
    tally: Arc<Tally>,
    keys: Keys,
}

impl Worker {
    async fn work(mut self) {
        let mut breaks = 0;
        while let Some((seq, sent)) = self.source.next().await {
            match self.offer(seq).await {
                Ok(Some(id)) => {
                    let answered = clock::now();
                    self.tally.acks().push(Ack { seq, sent, answered, id });
                }
                Ok(None) => {}
                Err(error) => {
                    self.tally.complain(|| format!("{error:#}"));
                    breaks += 1;
                    let Ok(connection) = open(self.target.addr).await else { return };
                    if breaks > BREAKS_ALLOWED {
                        return;
                    }
                    self.connection = connection;
                }
            }
        }
    }

    /// Sends one message until it is not refused; the id's fingerprint, or none if it was turned
    /// down for good.
    async fn offer(&mut self, seq: u32) -> Result<Option<u64>> {
        let outgoing = self.target.request(seq, &mut self.keys);
        loop {
            self.connection.ready().await?;
            let response = self.connection.send_request(outgoing.request()).await?;
            let status = response.status();
            let answer = response.into_body().collect().await?.to_bytes();
            if status.is_success() {
                return Ok(Some(id_in(&answer)));
            }
            if status != StatusCode::SERVICE_UNAVAILABLE {
                self.tally.complain(|| {
                    let start = &answer[..answer.len().min(300)];
                    format!("{status}: {}", String::from_utf8_lossy(start))
                });
                return Ok(None);
            }
            self.tally.refused.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(OFFER_AGAIN).await;
        }
    }
}

/// Fingerprint of the message id in an answer; 0 if there is none.
fn id_in(answer: &[u8]) -> u64 {
    const START: &[u8] = b"\"msg_";
    let Some(at) = answer.windows(START.len()).position(|window| window == START) else {
        return 0;
    };
    let id = &answer[at + 1..];
    id.iter().position(|byte| *byte == b'"').map_or(0, |end| ledger::fingerprint(&id[..end]))
}

/// Random keys: a version 4 UUID after whatever is to stand before it.
struct Keys {
    state: u64,
}

impl Keys {
    fn new() -> Self {
        Self { state: RandomState::new().build_hasher().finish() }
    }

    fn fresh(&mut self, before: &[u8]) -> HeaderValue {
        let random = u128::from(self.word()) << 64 | u128::from(self.word());
        let uuid = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let mut key = Vec::with_capacity(before.len() + 36);
        key.extend_from_slice(before);
        for digit in 0..32_u32 {
            if matches!(digit, 8 | 12 | 16 | 20) {
                key.push(b'-');
            }
            key.push(HEX[(uuid >> (124 - 4 * digit)) as usize & 0xf]);
        }
        HeaderValue::from_maybe_shared(Bytes::from(key)).expect("hexadecimal is a header value")
    }

    /// SplitMix64: cheap, and its keys only need to differ.
    fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::{Behaviour, Receiver};

    #[test]
    fn keys_are_version_4_uuids_and_differ() {
        let mut keys = Keys::new();
        let (one, two) = (keys.fresh(b"auto_"), keys.fresh(b"auto_"));
        assert_ne!(one, two);
        let one = one.to_str().unwrap();
        let uuid = one.strip_prefix("auto_").unwrap();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4", "{uuid}");
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"), "{uuid}");
        assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    }

    #[test]
    fn posts_are_signed_as_github_signs_them() {
        // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
        let key = Hmac::<Sha256>::new_from_slice(b"It's a Secret to Everybody").unwrap();
        let code = key.chain_update(b"Hello, World!").finalize().into_bytes();
        let expect = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(signature(&code), expect);
    }

    #[test]
    fn the_id_is_found_wherever_it_stands() {
        let expect = ledger::fingerprint(b"msg_1");
        assert_eq!(id_in(br#"{"id":"msg_1","payload":{}}"#), expect);
        assert_eq!(id_in(br#"{"payload":{"a":1}, "id": "msg_1"}"#), expect);
        assert_eq!(id_in(b"{}"), 0);
    }

    #[test]
    fn paced_messages_are_stamped_with_their_intended_times() {
        let receiver = Receiver::start(1, Behaviour::Take).unwrap();
        let target = Target::bare(receiver.addr(), Lengths::ONE_KIB).unwrap();
        let load = Load {
            seqs: 0..100,
            pace: Pace::PerSecond(1_000),
            connections: 1,
            cores: 1,
            limit: Duration::from_secs(20),
        };
        let sent = run(&target, &load).unwrap();
        assert_eq!((sent.acks.len(), sent.failed), (100, 0));
        let mut times: Vec<u64> = sent.acks.iter().map(|ack| ack.sent).collect();
        times.sort_unstable();
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 1_000_000));
    }

    #[test]
    fn a_receiver_that_hangs_ends_with_the_limit() {
        let receiver = Receiver::start(1, Behaviour::Hang).unwrap();
        let target = Target::bare(receiver.addr(), Lengths::ONE_KIB).unwrap();
        for pace in [Pace::FlatOut, Pace::PerSecond(1_000)] {
            let limit = Duration::from_millis(200);
            let load = Load { seqs: 0..100, pace, connections: 2, cores: 1, limit };
            let sent = run(&target, &load).unwrap();
            assert_eq!((sent.acks.len(), sent.failed), (0, 100));
        }
    }
}
