//! The shapes of load, and one round of each: a fresh server on a fresh directory, a receiver, the
//! load, and the accounts of what it took.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde::Serialize;
use tokio::net::TcpSocket;

use crate::backing::{Backing, Cost, Postgres, Store, Work};
use crate::generator::{self, Load, Pace, Sent, Target, per_second};
use crate::ledger::{self, Verdict};
use crate::payload;
use crate::proc::Usage;
use crate::receiver::{Behaviour, Receiver};
use crate::server::{self, Server};
use crate::stats::Percentiles;

/// Messages per second where the load is paced.
pub const RATE: u32 = 200;
/// With nothing arriving for this long, what is still missing is lost.
const PATIENCE: Duration = Duration::from_secs(10);
const DRAIN_LIMIT: Duration = Duration::from_secs(180);
const LOAD_LIMIT: Duration = Duration::from_secs(180);
const FILL_LIMIT: Duration = Duration::from_secs(900);
/// After a start and after a load: what is lazy gets done, and counts.
const SETTLE: Duration = Duration::from_millis(300);
/// Who create applications and endpoints at the same time.
const CLERKS: u32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// One endpoint, flat out.
    One,
    /// Five endpoints, so five deliveries for each message, flat out.
    Five,
    /// One endpoint, 200 messages a second.
    Paced,
    /// One endpoint that answers 500 to a tenth of the attempts, flat out.
    Failing,
    /// Endpoints that accept and never answer, with messages for them all the time, beside a live
    /// one; both at 200 messages a second.
    Hanging,
    /// A dead endpoint with a great many messages pending; the server is killed and started again,
    /// and a live endpoint is served beside them.
    Pending,
    /// A great many endpoints in turn, flat out, beside a dead one with messages pending.
    Wide,
}

impl Shape {
    /// What runs unless shapes are named.
    pub const USUAL: [Self; 6] =
        [Self::One, Self::Five, Self::Paced, Self::Failing, Self::Hanging, Self::Pending];

    pub fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Five => "five",
            Self::Paced => "paced",
            Self::Failing => "failing",
            Self::Hanging => "hanging",
            Self::Pending => "pending",
            Self::Wide => "wide",
        }
    }

    /// Whether its speed is the server's own, and not that of the pace.
    pub fn is_flat_out(self) -> bool {
        !matches!(self, Self::Paced | Self::Hanging)
    }
}

/// What is measured: a shape of load on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Case {
    pub shape: Shape,
    pub store: Store,
    /// For [`Shape::Wide`].
    pub width: Option<Width>,
}

/// How wide [`Shape::Wide`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Width {
    /// In an application each, and all at the receiver.
    pub endpoints: u32,
    /// Messages for the dead endpoint.
    pub pending: u32,
}

impl Case {
    /// The shape, what is special about it, and the store unless it is the embedded one.
    pub fn name(&self) -> String {
        let width = self.width.map(|width| {
            format!(" {} endpoints, {} pending", short(width.endpoints), short(width.pending))
        });
        let store = match self.store {
            Store::Sqlite => "",
            Store::Postgres => " (PostgreSQL)",
        };
        format!("{}{}{store}", self.shape.name(), width.unwrap_or_default())
    }
}

/// Thousands as `k`, millions as `M`.
fn short(count: u32) -> String {
    match count {
        0 => "0".into(),
        count if count.is_multiple_of(1_000_000) => format!("{} M", count / 1_000_000),
        count if count.is_multiple_of(1_000) => format!("{} k", count / 1_000),
        count => count.to_string(),
    }
}

/// How the endpoint of [`Shape::Pending`] is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Dead {
    /// It refuses connections.
    Down,
    /// It accepts and never answers.
    Hanging,
}

impl Dead {
    pub fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Hanging => "hanging",
        }
    }
}

/// How much of everything.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sizes {
    /// Messages of a flat-out round.
    pub messages: u32,
    pub connections: usize,
    pub paced_seconds: u32,
    pub hanging_seconds: u32,
    pub hanging_endpoints: u32,
    pub live_endpoints: u32,
    pub pending: u32,
    pub dead: Dead,
}

/// What every round shares.
pub struct Bench {
    pub binary: PathBuf,
    /// Where data directories are made.
    pub dir: PathBuf,
    pub cores: usize,
    pub sizes: Sizes,
    /// If something is measured on it.
    pub postgres: Option<Postgres>,
}

/// What one round showed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Round {
    pub accepted_per_second: f64,
    /// Deliveries that were not refused by the receiver, per second.
    pub delivered_per_second: f64,
    /// Send to answer, milliseconds.
    pub ack: Percentiles,
    /// Send to receipt, milliseconds, of deliveries that were not refused by the receiver.
    pub end_to_end: Percentiles,
    pub delivered: u64,
    pub lost: u64,
    pub duplicated: u64,
    /// Delivered under another id than the one acknowledged.
    pub misnamed: u64,
    /// Answers 503; offered again.
    pub refused: u64,
    /// Never acknowledged.
    pub failed: u64,
    /// The server's CPU time per delivery, microseconds.
    pub cpu_us: f64,
    /// The same of the generator and the receiver together.
    pub bench_cpu_us: f64,
    /// kB the server wrote per accepted message.
    pub written_kb: f64,
    pub idle_mib: f64,
    pub after_mib: f64,
    pub peak_mib: f64,
    pub start_ms: f64,
    /// Of the database server, if there is one, for each accepted message.
    pub database: Option<Cost>,
    pub retried: Option<Retried>,
    pub hanging: Option<Hanging>,
    pub pending: Option<Pending>,
    /// The first unexpected answer of the server.
    pub complaint: Option<String>,
}

/// Deliveries that arrived after a refusal.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Retried {
    pub count: u64,
    pub end_to_end: Percentiles,
}

/// What went on beside the live endpoints of [`Shape::Hanging`].
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Hanging {
    pub endpoints: u32,
    pub accepted: u64,
    pub attempts: u64,
}

/// The story of [`Shape::Pending`].
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pending {
    pub pending: u64,
    pub accepted_per_second: f64,
    /// From the start of the killed server's successor to the line that says it listens.
    pub restart_ms: f64,
    /// From there to the first delivery at a live endpoint.
    pub first_dispatch_ms: f64,
    /// Of the live endpoint at 200 messages a second, milliseconds.
    pub live_ack: Percentiles,
    pub live_end_to_end: Percentiles,
}

impl Bench {
    /// One round of `case`.
    pub fn round(&self, case: Case) -> Result<Round> {
        let Case { shape, store, width } = case;
        let data = self.dir.join(shape.name());
        fs::create_dir_all(&data)?;
        let round = match shape {
            Shape::One => self.flat_out(case, 1, Behaviour::Take, &[]),
            Shape::Five => self.flat_out(case, 5, Behaviour::Take, &[]),
            Shape::Failing => {
                let schedule = ("RINGBACK_DELIVERY_RETRY_SCHEDULE", "1,2,5".to_owned());
                // Two of the three retries may be refused as well, never the last.
                let behaviour = Behaviour::RefuseSome { percent: 10, at_most: 2 };
                self.flat_out(case, 1, behaviour, &[schedule])
            }
            Shape::Paced => self.paced(store),
            Shape::Hanging => self.hanging(store),
            Shape::Pending => self.pending(store),
            Shape::Wide => width.context("how wide?").and_then(|width| self.wide(store, width)),
        };
        let round = round.with_context(|| format!("shape {}", case.name()));
        // The directory goes even when the round failed; what the server said is in the error.
        fs::remove_dir_all(&data)?;
        let round = round?;
        // A server that accepts nothing loses nothing; that is no result either.
        ensure!(
            round.delivered > 0,
            "shape {}: nothing was delivered; first unexpected answer: {:?}",
            case.name(),
            round.complaint
        );
        Ok(round)
    }

    fn flat_out(
        &self,
        case: Case,
        endpoints: u16,
        behaviour: Behaviour,
        settings: &[(&'static str, String)],
    ) -> Result<Round> {
        let mut stage = self.stage(case.shape, case.store, behaviour, settings)?;
        let target = stage.application("flat-out", endpoints)?;
        let idle = stage.idle()?;
        stage.warm_up(&target, endpoints, self.warming())?;
        let measured = stage.measure(&target, endpoints, self.sizes.messages, Pace::FlatOut)?;
        Ok(measured.round(&stage.server, idle))
    }

    fn paced(&self, store: Store) -> Result<Round> {
        let mut stage = self.stage(Shape::Paced, store, Behaviour::Take, &[])?;
        let target = stage.application("paced", 1)?;
        let idle = stage.idle()?;
        stage.warm_up(&target, 1, self.warming())?;
        let count = RATE * self.sizes.paced_seconds;
        let measured = stage.measure(&target, 1, count, Pace::PerSecond(RATE))?;
        Ok(measured.round(&stage.server, idle))
    }

    fn hanging(&self, store: Store) -> Result<Round> {
        let mut stage = self.stage(Shape::Hanging, store, Behaviour::Take, &[])?;
        let hole = Receiver::start(self.cores, Behaviour::Hang)?;
        let live = stage.applications("live", self.sizes.live_endpoints, &stage.url(0))?;
        let url = format!("http://{}/0", hole.addr());
        let dead = stage.applications("hanging", self.sizes.hanging_endpoints, &url)?;
        let idle = stage.idle()?;
        stage.warm_up(&live, 1, self.warming())?;

        let count = RATE * self.sizes.hanging_seconds;
        let load = self.load(0..count, Pace::PerSecond(RATE));
        let (measured, beside) = thread::scope(|scope| {
            let beside = scope.spawn(|| generator::run(&dead, &load));
            let measured = stage.measure(&live, 1, count, Pace::PerSecond(RATE));
            (measured, beside.join())
        });
        let beside = beside.ok().context("the load on the hanging endpoints panicked")??;
        let mut round = measured?.round(&stage.server, idle);
        round.hanging = Some(Hanging {
            endpoints: self.sizes.hanging_endpoints,
            accepted: beside.acks.len() as u64,
            attempts: hole.arrived(),
        });
        round.complaint = round.complaint.or(beside.complaint);
        Ok(round)
    }

    fn pending(&self, store: Store) -> Result<Round> {
        let mut stage = self.stage(Shape::Pending, store, Behaviour::Take, &[])?;
        let hole = Hole::open(self.sizes.dead, self.cores)?;
        let dead = stage.applications("dead", 1, &hole.url)?;
        let live_app = stage.server.api.create_application("live")?;
        stage.server.api.create_endpoint(&live_app, &stage.url(0))?;
        let idle = stage.idle()?;

        let seqs = 0..self.sizes.pending;
        let fill = Load { limit: FILL_LIMIT, ..self.load(seqs, Pace::FlatOut) };
        let filled = generator::run(&dead, &fill)?;
        stage.restart()?;

        let live = stage.messages(std::slice::from_ref(&live_app))?;
        let first = stage.first_dispatch(&live_app)?;
        let paced = RATE * self.sizes.paced_seconds;
        let paced = stage.measure(&live, 1, paced, Pace::PerSecond(RATE))?;
        let flat = stage.measure(&live, 1, self.sizes.messages, Pace::FlatOut)?;

        let pending = Pending {
            pending: filled.acks.len() as u64,
            accepted_per_second: filled.rate(),
            restart_ms: millis(stage.server.start),
            first_dispatch_ms: millis(first),
            live_ack: Percentiles::of(paced.sent.latencies()),
            live_end_to_end: Percentiles::of(paced.verdict.straight),
        };
        let mut round = flat.round(&stage.server, idle);
        round.lost += paced.verdict.lost;
        round.duplicated += paced.verdict.duplicated;
        round.complaint = round.complaint.or(filled.complaint);
        round.pending = Some(pending);
        Ok(round)
    }

    fn wide(&self, store: Store, width: Width) -> Result<Round> {
        let Width { endpoints, pending } = width;
        let mut stage = self.stage(Shape::Wide, store, Behaviour::Take, &[])?;
        let hole = Hole::open(Dead::Down, self.cores)?;
        let dead = stage.applications("dead", 1, &hole.url)?;
        let fill = Load { limit: FILL_LIMIT, ..self.load(0..pending, Pace::FlatOut) };
        generator::run(&dead, &fill)?;
        let target = stage.applications("wide", endpoints, &stage.url(0))?;
        let idle = stage.idle()?;
        // Each has had a message before: the first one reads where an application's messages go.
        stage.warm_up(&target, 1, endpoints.max(self.warming()))?;
        let measured = stage.measure(&target, 1, self.sizes.messages, Pace::FlatOut)?;
        Ok(measured.round(&stage.server, idle))
    }

    fn stage(
        &self,
        shape: Shape,
        store: Store,
        behaviour: Behaviour,
        settings: &[(&'static str, String)],
    ) -> Result<Stage<'_>> {
        let data = self.dir.join(shape.name()).join("data");
        let mut settings = settings.to_vec();
        let backing = match store {
            Store::Sqlite => None,
            Store::Postgres => {
                Some(self.postgres.as_ref().context("no PostgreSQL was started")?.database()?)
            }
        };
        settings.extend(backing.as_ref().map(|backing| ("RINGBACK_STORE", backing.dsn())));
        let server = Server::start(&self.binary, &data, &settings)?;
        let receiver = Receiver::start(self.cores, behaviour)?;
        Ok(Stage {
            bench: self,
            data,
            settings,
            server,
            receiver,
            backing,
            next: 0,
            lost_warming_up: 0,
        })
    }

    /// How many messages are not measured.
    fn warming(&self) -> u32 {
        (self.sizes.messages / 10).min(2_000)
    }

    fn load(&self, seqs: std::ops::Range<u32>, pace: Pace) -> Load {
        let connections = self.sizes.connections;
        Load { seqs, pace, connections, cores: self.cores, limit: LOAD_LIMIT }
    }
}

/// A server and a receiver that face each other.
struct Stage<'a> {
    bench: &'a Bench,
    data: PathBuf,
    /// With which the server was started.
    settings: Vec<(&'static str, String)>,
    server: Server,
    receiver: Receiver,
    /// The database, if the store is not the embedded one. It goes after the server.
    backing: Option<Backing>,
    /// The next free sequence number.
    next: u32,
    /// Not measured, and still not allowed to be lost.
    lost_warming_up: u64,
}

impl Stage<'_> {
    fn url(&self, endpoint: u16) -> String {
        format!("http://{}/{endpoint}", self.receiver.addr())
    }

    fn messages(&self, applications: &[String]) -> Result<Target> {
        Target::messages(self.server.api.addr, &self.server.api.token, applications)
    }

    /// One application with `endpoints` endpoints at the receiver.
    fn application(&self, name: &str, endpoints: u16) -> Result<Target> {
        let app = self.server.api.create_application(name)?;
        for endpoint in 0..endpoints {
            self.server.api.create_endpoint(&app, &self.url(endpoint))?;
        }
        self.messages(&[app])
    }

    /// `count` applications with one endpoint each, all at `url`.
    fn applications(&self, name: &str, count: u32, url: &str) -> Result<Target> {
        let one = |turn| {
            let app = self.server.api.create_application(&format!("{name} {turn}"))?;
            self.server.api.create_endpoint(&app, url)?;
            Ok(app)
        };
        let clerks = CLERKS.min(count);
        let some = |clerk| (clerk..count).step_by(clerks as usize).map(one).collect();
        let apps = thread::scope(|scope| {
            let working: Vec<_> =
                (0..clerks).map(|clerk| scope.spawn(move || some(clerk))).collect();
            working
                .into_iter()
                .map(|clerk| clerk.join().unwrap_or_else(|_| bail!("creating them panicked")))
                .collect::<Result<Vec<Vec<String>>>>()
        })?;
        self.messages(&apps.concat())
    }

    fn idle(&self) -> Result<Usage> {
        thread::sleep(SETTLE);
        self.server.usage()
    }

    /// Kills the server as a crash would, and starts it again on the same data.
    fn restart(&mut self) -> Result<()> {
        server::kill();
        self.server = Server::start(&self.bench.binary, &self.data, &self.settings)?;
        Ok(())
    }

    /// Sends one message; the time from the start of the server to its receipt.
    fn first_dispatch(&mut self, application: &str) -> Result<Duration> {
        let mut payload = Vec::new();
        payload::write(self.take(1).start, &mut payload);
        self.server.api.create_message(application, &payload)?;
        self.drain(1);
        let receipts = self.receiver.receipts();
        let receipt = receipts.first().context("nothing was dispatched after the restart")?;
        Ok(Duration::from_nanos(receipt.at - self.server.spawned))
    }

    /// Some messages that are not measured: connections, pages and branch tables get warm.
    fn warm_up(&mut self, target: &Target, fan_out: u16, count: u32) -> Result<()> {
        let seqs = self.take(count);
        let sent = generator::run(target, &self.bench.load(seqs.clone(), Pace::FlatOut))?;
        self.drain(sent.acks.len() as u64 * u64::from(fan_out));
        thread::sleep(SETTLE);
        let verdict = ledger::judge(seqs, fan_out, &sent.acks, self.receiver.receipts());
        self.lost_warming_up = verdict.lost;
        Ok(())
    }

    fn measure(
        &mut self,
        target: &Target,
        fan_out: u16,
        count: u32,
        pace: Pace,
    ) -> Result<Measured> {
        let seqs = self.take(count);
        let taken = self.receiver.taken();
        let work = self.work()?;
        let (before, own) = (self.server.usage()?, Usage::own_cpu());
        let sent = generator::run(target, &self.bench.load(seqs.clone(), pace))?;

        let quiet = self.drain(taken + sent.acks.len() as u64 * u64::from(fan_out));
        thread::sleep(SETTLE);
        let judge = || ledger::judge(seqs.clone(), fan_out, &sent.acks, self.receiver.receipts());
        let mut verdict = judge();
        if verdict.lost > 0 && !quiet {
            // Duplicates had made up the number before the last first copy arrived.
            self.drain(u64::MAX);
            verdict = judge();
        }
        verdict.lost += std::mem::take(&mut self.lost_warming_up);
        let (after, own) = (self.server.usage()?, Usage::own_cpu() - own);
        let database = work
            .zip(self.work()?)
            .map(|(before, after)| Backing::cost(before, after, sent.acks.len()));
        Ok(Measured { sent, verdict, before, after, own, database })
    }

    /// What the database server has done so far, if there is one.
    fn work(&self) -> Result<Option<Work>> {
        self.backing.as_ref().map(Backing::work).transpose()
    }

    /// Waits until the receiver has taken `owed` requests in all; whether it gave up because
    /// nothing came any more.
    fn drain(&self, owed: u64) -> bool {
        let start = Instant::now();
        let (mut arrived, mut last) = (self.receiver.arrived(), start);
        while self.receiver.taken() < owed {
            thread::sleep(Duration::from_millis(2));
            if self.receiver.arrived() != arrived {
                (arrived, last) = (self.receiver.arrived(), Instant::now());
            }
            if last.elapsed() > PATIENCE || start.elapsed() > DRAIN_LIMIT {
                return true;
            }
        }
        false
    }

    fn take(&mut self, count: u32) -> std::ops::Range<u32> {
        let start = self.next;
        self.next += count;
        start..self.next
    }
}

/// A load and what it took.
struct Measured {
    sent: Sent,
    verdict: Verdict,
    before: Usage,
    after: Usage,
    /// CPU time of the generator and the receiver.
    own: Duration,
    database: Option<Cost>,
}

impl Measured {
    fn round(self, server: &Server, idle: Usage) -> Round {
        let Self { sent, verdict, before, after, own, database } = self;
        let deliveries = verdict.delivered.max(1) as f64;
        let cpu = after.cpu.saturating_sub(before.cpu);
        let written = after.written.saturating_sub(before.written) as f64;
        let straight = verdict.straight.len() as u64;
        let retried = (!verdict.retried.is_empty()).then(|| Retried {
            count: verdict.retried.len() as u64,
            end_to_end: Percentiles::of(verdict.retried),
        });
        Round {
            accepted_per_second: sent.rate(),
            delivered_per_second: per_second(straight, sent.first_sent, verdict.last_straight),
            ack: Percentiles::of(sent.latencies()),
            end_to_end: Percentiles::of(verdict.straight),
            delivered: verdict.delivered,
            lost: verdict.lost,
            duplicated: verdict.duplicated,
            misnamed: verdict.misnamed,
            refused: sent.refused,
            failed: sent.failed,
            cpu_us: cpu.as_secs_f64() * 1e6 / deliveries,
            bench_cpu_us: own.as_secs_f64() * 1e6 / deliveries,
            written_kb: written / 1e3 / sent.acks.len().max(1) as f64,
            idle_mib: mib(idle.resident),
            after_mib: mib(after.resident),
            peak_mib: mib(after.peak),
            start_ms: millis(server.start),
            database,
            retried,
            hanging: None,
            pending: None,
            complaint: sent.complaint,
        }
    }
}

/// Where messages go to stay pending.
struct Hole {
    url: String,
    /// Held for as long as the address is to be dead.
    _hold: Hold,
}

#[expect(dead_code, reason = "held, never read: dropping them would free the address")]
enum Hold {
    Port(TcpSocket),
    Receiver(Receiver),
}

impl Hole {
    fn open(dead: Dead, cores: usize) -> Result<Self> {
        let (addr, hold) = match dead {
            // Bound and not listening: refused, and nobody else can get the port meanwhile.
            Dead::Down => {
                let socket = TcpSocket::new_v4()?;
                socket.bind(([127, 0, 0, 1], 0).into())?;
                (socket.local_addr()?, Hold::Port(socket))
            }
            Dead::Hanging => {
                let receiver = Receiver::start(cores, Behaviour::Hang)?;
                (receiver.addr(), Hold::Receiver(receiver))
            }
        };
        Ok(Self { url: format!("http://{addr}/0"), _hold: hold })
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
