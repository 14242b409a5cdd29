//! Callbacks under load: how soon whoever waits has the answer, how late a deadline is told, and what
//! a great many that are open cost.
//!
//! ```text
//!  wake    10,000 are open, 2,000 wait for 2,000 of them; these are answered, paced. From the begin of
//!          the post that answers to the end of the waiter's answer.
//!  expire  1,000,000 more are open; then 2,000 a second pass their deadlines. From the deadline to the
//!          message about it at an endpoint; and some are read right after their deadlines.
//! ```

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use crate::backing::{Backing, Postgres, Store};
use crate::clock;
use crate::server::Server;
use crate::stats::Percentiles;

/// Connections that make callbacks and answer them.
const CLIENTS: usize = 64;
/// Answers a second while others wait.
const ANSWERS: u64 = 200;
/// Deadlines a second.
const DEADLINES: u64 = 2_000;
/// Seconds of them.
const SPAN: u64 = 10;
/// How far ahead they are: long enough that all are made before the first passes.
const AHEAD: u64 = SPAN + 10;
/// How many are made over the API for those that are copied in the database.
const TEMPLATES: usize = 10_000;
/// How many are read right after their deadlines.
const READ: usize = 200;
/// The longest that anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Open while others wait.
    pub open: usize,
    /// Those that wait.
    pub waiters: usize,
    /// Open while deadlines pass.
    pub many: usize,
}

/// Measures a server on this store; what there is to say.
pub fn run(
    binary: &Path,
    dir: &Path,
    store: Store,
    postgres: Option<&Postgres>,
    sizes: Sizes,
) -> Result<String> {
    let mut settings: Vec<(&str, String)> = Vec::new();
    let backing = match (store, postgres) {
        (Store::Postgres, Some(postgres)) => Some(postgres.database()?),
        _ => None,
    };
    if let Some(backing) = &backing {
        settings.push(("RINGBACK_STORE", backing.dsn()));
    }
    let data = dir.join(format!("callbacks-{store:?}"));
    let server = Server::start(binary, &data, &settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut text = format!("callbacks on {store:?}\n");
        text.push_str(&wake(&server, sizes).await?);
        text.push_str(&expire(&server, backing.as_ref(), sizes).await?);
        Ok(text)
    })
}

// ── waking ─────────────────────────────────────────────────────────────────────────────────────────

async fn wake(server: &Server, sizes: Sizes) -> Result<String> {
    let addr = server.api.addr;
    let application = Client::open(server).await?.application("wake").await?;
    let before = server.usage()?.resident;
    let made = make(server, &application, sizes.open, 86_400).await?;
    let open = server.usage()?.resident;
    let mut waiting = JoinSet::new();
    for callback in &made[..sizes.waiters] {
        let (mut client, id) = (Client::open(server).await?, callback.id.clone());
        waiting.spawn(async move {
            let path = format!("/api/v1/callback/{id}/result");
            let (status, _) = client.call(Method::GET, &path, Some("wait=60"), None).await?;
            ensure!(status == StatusCode::OK, "{id}: {status}");
            anyhow::Ok((id, clock::now()))
        });
        // They begin on this thread.
        tokio::task::yield_now().await;
    }
    // Whoever waits costs memory once the server has their request; there is no signal for that.
    let settled = settle(server).await?;
    let answered = answer(addr, &made[..sizes.waiters]).await?;
    let mut times = Vec::new();
    while let Some(woken) = waiting.join_next().await {
        let (id, at) = woken??;
        let sent = answered.iter().find(|(answered, _)| *answered == id);
        times.push(at.saturating_sub(sent.context("nobody answered it")?.1));
    }
    let woken = Percentiles::of(times);
    let kib =
        |from: u64, to: u64, count: usize| to.saturating_sub(from) as f64 / 1024.0 / count as f64;
    Ok(format!(
        "  wake    {} open, {} wait, {ANSWERS} answers/s: from the post to the waiter's answer \
         p50 {:.2} p99 {:.2} max {:.2} ms (limit of p99: 20, {})\n\
         \x20         memory: {:.1} MiB at first, {:.1} with all open ({:.2} KiB each), {:.1} with all \
         waiting ({:.2} KiB each)\n",
        sizes.open,
        sizes.waiters,
        woken.p50,
        woken.p99,
        woken.max,
        if woken.p99 <= 20.0 { "met" } else { "NOT met" },
        mib(before),
        mib(open),
        kib(before, open, sizes.open),
        mib(settled),
        kib(open, settled, sizes.waiters),
    ))
}

/// Waits until the server's memory stands still, and says how much it is.
async fn settle(server: &Server) -> Result<u64> {
    let mut before = 0;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let now = server.usage()?.resident;
        if now.abs_diff(before) < 64 * 1024 {
            return Ok(now);
        }
        before = now;
    }
    Ok(before)
}

/// Answers callbacks at their URLs, paced; when each post began.
async fn answer(addr: SocketAddr, callbacks: &[Made]) -> Result<Vec<(String, u64)>> {
    let mut ticks = interval(Duration::from_nanos(1_000_000_000 / ANSWERS));
    let idle: Arc<Mutex<Vec<Client>>> = Arc::default();
    let mut posts = JoinSet::new();
    for Made { id, path } in callbacks {
        ticks.tick().await;
        let (idle, id, path) = (Arc::clone(&idle), id.clone(), path.clone());
        posts.spawn(async move {
            let kept = lock(&idle).pop();
            let mut client = match kept {
                Some(client) => client,
                None => Client::to(addr, None).await?,
            };
            let sent = clock::now();
            let body = Some(json!({"answer": id}));
            let (status, _) = client.call(Method::POST, &path, None, body).await?;
            ensure!(status == StatusCode::OK, "{id}: {status}");
            lock(&idle).push(client);
            anyhow::Ok((id, sent))
        });
    }
    posts.join_all().await.into_iter().collect()
}

// ── expiring ───────────────────────────────────────────────────────────────────────────────────────

async fn expire(server: &Server, backing: Option<&Backing>, sizes: Sizes) -> Result<String> {
    let many = Client::open(server).await?.application("many").await?;
    let began = Instant::now();
    let asked = if backing.is_some() { sizes.many.min(TEMPLATES) } else { sizes.many };
    make(server, &many, asked, 30 * 86_400).await?;
    let making = asked as f64 / began.elapsed().as_secs_f64();
    if let Some(backing) = backing {
        backing.run(&copies(sizes.many.saturating_sub(asked)))?;
    }
    let resident = server.usage()?.resident;

    // The server closes what is idle for long, so each has a connection of its own.
    let mut client = Client::open(server).await?;
    let application = client.application("expire").await?;
    let (endpoint, told) = Endpoint::listen().await?;
    let body = json!({"url": endpoint, "filterTypes": ["callback.expired"]});
    client.post(&format!("/api/v1/app/{application}/endpoint"), &body).await?;
    let cpu = server.usage()?.cpu;
    let count = (DEADLINES * SPAN) as usize;
    let made = make_paced(server, &application, count).await?;
    let making_cpu = server.usage()?.cpu - cpu;
    let exact = read_after(server, &made).await?;
    let all = timeout(LIMIT, async {
        while lock(&told).len() < count {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    ensure!(all.await.is_ok(), "{} of {count} deadlines were told", lock(&told).len());
    let late = Percentiles::of(lock(&told).clone());
    let mut client = Client::open(server).await?;
    let (mut reads, mut ids) = (Vec::new(), made.iter().cycle());
    for _ in 0..1_000 {
        let Some(Made { id, .. }) = ids.next() else { break };
        let began = clock::now();
        let (status, _) =
            client.call(Method::GET, &format!("/api/v1/callback/{id}"), None, None).await?;
        ensure!(status == StatusCode::OK, "{id}: {status}");
        reads.push(clock::now() - began);
    }
    let reads = Percentiles::of(reads);
    Ok(format!(
        "  expire  {} more open (made at {making:.0}/s, {:.1} MiB), {DEADLINES} deadlines/s for {SPAN} s: \
         told p50 {:.0} p99 {:.0} max {:.0} ms after the deadline (limit: 1000, {})\n\
         \x20         {exact} of {READ} read as expired right after their deadlines; one read of many: p50 \
         {:.2} p99 {:.2} ms; making one costs the server {:.0} µs of CPU\n",
        sizes.many,
        mib(resident),
        late.p50,
        late.p99,
        late.max,
        if late.max <= 1_000.0 && exact == READ { "met" } else { "NOT met" },
        reads.p50,
        reads.p99,
        making_cpu.as_secs_f64() * 1e6 / count as f64,
    ))
}

/// Makes so many callbacks in the database, of those that were made last: over the API it would take
/// a quarter of an hour, and what is measured is what they cost once they are there.
fn copies(count: usize) -> String {
    format!(
        "INSERT INTO callback
         SELECT (jsonb_populate_record(c, jsonb_build_object('key', c.key + n))).*
         FROM (SELECT * FROM callback ORDER BY key DESC LIMIT {TEMPLATES}) AS c,
              generate_series(1, {}) AS n
         ON CONFLICT DO NOTHING",
        count.div_ceil(TEMPLATES)
    )
}

/// Makes callbacks whose deadlines pass [`DEADLINES`] a second.
async fn make_paced(server: &Server, application: &str, count: usize) -> Result<Vec<Made>> {
    let mut all = Vec::with_capacity(count);
    let mut seconds = interval(Duration::from_secs(1));
    for _ in 0..count as u64 / DEADLINES {
        seconds.tick().await;
        all.extend(make(server, application, DEADLINES as usize, AHEAD).await?);
    }
    Ok(all)
}

/// Reads some of them, each a moment after its deadline; how many were expired then.
async fn read_after(server: &Server, made: &[Made]) -> Result<usize> {
    let mut exact = 0;
    for Made { id, .. } in made.iter().step_by((made.len() / READ).max(1)).take(READ) {
        let path = format!("/api/v1/callback/{id}");
        let mut client = Client::open(server).await?;
        let (_, body) = client.call(Method::GET, &path, None, None).await?;
        let deadline = unix_millis(body["expiresAt"].as_str().context("no deadline")?)?;
        let left = deadline.saturating_sub(unix_now());
        tokio::time::sleep(Duration::from_millis(left + 1)).await;
        let mut client = Client::open(server).await?;
        let (_, body) = client.call(Method::GET, &path, None, None).await?;
        exact += usize::from(body["status"] == "expired");
    }
    Ok(exact)
}

/// An endpoint that notes how late each message about a deadline is, in nanoseconds.
struct Endpoint;

impl Endpoint {
    async fn listen() -> Result<(String, Arc<Mutex<Vec<u64>>>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let told: Arc<Mutex<Vec<u64>>> = Arc::default();
        let noted = Arc::clone(&told);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let noted = Arc::clone(&noted);
                let service =
                    hyper::service::service_fn(move |request| take(Arc::clone(&noted), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Ok((url, told))
    }
}

async fn take(
    told: Arc<Mutex<Vec<u64>>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let arrived = unix_now();
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let deadline = body["data"]["expiresAt"].as_str().and_then(|text| unix_millis(text).ok());
    if let Some(deadline) = deadline {
        lock(&told).push(arrived.saturating_sub(deadline) * 1_000_000);
    }
    Ok(Response::new(Full::default()))
}

// ── the API ────────────────────────────────────────────────────────────────────────────────────────

/// A callback that was made.
struct Made {
    id: String,
    /// Of its URL.
    path: String,
}

/// Makes callbacks, over many connections.
async fn make(
    server: &Server,
    application: &str,
    count: usize,
    expires_in: u64,
) -> Result<Vec<Made>> {
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS.min(count) {
        let share = count / CLIENTS + usize::from(number < count % CLIENTS);
        let (mut client, application) = (Client::open(server).await?, application.to_owned());
        clients.spawn(async move {
            let mut all = VecDeque::with_capacity(share);
            let body = json!({"application": application, "expiresIn": expires_in});
            for _ in 0..share {
                let made = client.post("/api/v1/callback", &body).await?;
                let text = |name: &str| {
                    made[name].as_str().map(str::to_owned).with_context(|| format!("no {name}"))
                };
                let url = text("url")?;
                let path = url.find("/cb/").map(|at| url[at..].to_owned());
                all.push_back(Made { id: text("id")?, path: path.context("no path")? });
            }
            anyhow::Ok(all)
        });
    }
    // One of each in turn, so that the order is about that of their making.
    let mut shares = clients.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        all.extend(shares.iter_mut().filter_map(VecDeque::pop_front));
    }
    Ok(all)
}

/// A connection that is kept.
struct Client {
    sender: SendRequest<Full<Bytes>>,
    addr: SocketAddr,
    token: Option<String>,
}

impl Client {
    async fn open(server: &Server) -> Result<Client> {
        Client::to(server.api.addr, Some(server.api.token.clone())).await
    }

    async fn to(addr: SocketAddr, token: Option<String>) -> Result<Client> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Client { sender, addr, token })
    }

    async fn application(&mut self, name: &str) -> Result<String> {
        let made = self.post("/api/v1/app", &json!({"name": name})).await?;
        made["id"].as_str().map(str::to_owned).context("an application without an id")
    }

    async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let (status, answer) = self.call(Method::POST, path, None, Some(body.clone())).await?;
        if !status.is_success() {
            bail!("POST {path}: {status}: {answer}");
        }
        Ok(answer)
    }

    async fn call(
        &mut self,
        method: Method,
        path: &str,
        prefer: Option<&str>,
        body: Option<Value>,
    ) -> Result<(StatusCode, Value)> {
        let mut request =
            Request::builder().method(method).uri(path).header(HOST, self.addr.to_string());
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(prefer) = prefer {
            request = request.header("prefer", prefer);
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(body))?;
        let exchange = async {
            self.sender.ready().await?;
            let answer = self.sender.send_request(request).await?;
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            anyhow::Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
        };
        timeout(LIMIT + Duration::from_secs(10), exchange).await.context("no answer in time")?
    }
}

// ── times and sizes ────────────────────────────────────────────────────────────────────────────────

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

fn unix_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970 of `2026-01-31T12:00:00.123Z`; the fraction may be missing.
fn unix_millis(text: &str) -> Result<u64> {
    let wrong = || format!("{text} is no time");
    let (date, time) = text.trim_end_matches('Z').split_once('T').with_context(wrong)?;
    let date: Vec<i64> = date.split('-').map(str::parse).collect::<Result<_, _>>()?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let time: Vec<i64> = time.split(':').map(str::parse).collect::<Result<_, _>>()?;
    let ([year, month, day], [hour, minute, second]) = (&date[..], &time[..]) else {
        bail!(wrong());
    };
    // Days since 1970-01-01, with years that begin in March.
    let (year, month) = if *month <= 2 { (year - 1, month + 9) } else { (*year, month - 3) };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    let millis: i64 = format!("{fraction:0<3}")[..3].parse()?;
    Ok(u64::try_from(seconds * 1000 + millis)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, expect) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2000-03-01T00:00:00Z", 951_868_800_000),
            ("2024-02-29T23:59:59.999Z", 1_709_251_199_999),
            ("2026-11-22T18:19:54.5Z", 1_795_371_594_500),
        ] {
            assert_eq!(unix_millis(text).unwrap(), expect, "{text}");
        }
        assert!(unix_millis("now").is_err());
    }
}
