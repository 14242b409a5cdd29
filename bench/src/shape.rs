//! The shapes of load, and one round of each: a fresh server on a fresh directory, a receiver, the
//! load, and the accounts of what it took.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;

use crate::backing::{Cost, Postgres, Store};
use crate::clock;
use crate::generator::{self, Load, Pace, Target};
use crate::payload::Lengths;
use crate::receiver::{Behaviour, Receiver};
use crate::stage::{Hole, Stage, millis};
use crate::stats::Percentiles;

/// Messages per second where the load is paced.
pub const RATE: u32 = 200;
/// Posts per second at a source.
const POSTS: u32 = 5_000;
const LOAD_LIMIT: Duration = Duration::from_secs(180);
const FILL_LIMIT: Duration = Duration::from_secs(900);
/// Made up, like everything it signs.
const SOURCE_SECRET: &str = "made-up-secret-of-a-source";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
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
    /// Signed posts at a source, 5,000 a second, whose endpoint is down; the server is killed and
    /// started again, the endpoint is up, and everything is delivered. Then flat out.
    Source,
    /// The same with the lengths of GitHub's payloads.
    SourceGithub,
}

impl Shape {
    /// What runs unless shapes are named.
    pub const USUAL: [Self; 8] = [
        Self::One,
        Self::Five,
        Self::Paced,
        Self::Failing,
        Self::Hanging,
        Self::Pending,
        Self::Source,
        Self::SourceGithub,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Five => "five",
            Self::Paced => "paced",
            Self::Failing => "failing",
            Self::Hanging => "hanging",
            Self::Pending => "pending",
            Self::Wide => "wide",
            Self::Source => "source",
            Self::SourceGithub => "source-github",
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
    pub source_seconds: u32,
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
    pub posts: Option<Posts>,
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

/// The story of [`Shape::Source`]. Times are milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Posts {
    pub per_second: u32,
    /// Answered 2xx while the endpoint was down.
    pub accepted: u64,
    pub failed: u64,
    /// From the intended time of sending to the answer.
    pub ack: Percentiles,
    /// The same of a bare server that only answers, under the same posts.
    pub bare: Percentiles,
    /// From the start of the killed server's successor to the line that says it listens.
    pub restart_ms: f64,
    /// From the call that recovers the endpoint until all was delivered.
    pub recovered_ms: f64,
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
            Shape::Source => self.source(case, Lengths::ONE_KIB),
            Shape::SourceGithub => self.source(case, Lengths::GITHUB),
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
        let mut stage = Stage::new(self, case.shape, case.store, behaviour, settings)?;
        let target = stage.application("flat-out", endpoints)?;
        let idle = stage.idle()?;
        stage.warm_up(&target, endpoints, self.warming())?;
        let measured = stage.measure(&target, endpoints, self.sizes.messages, Pace::FlatOut)?;
        Ok(measured.round(&stage.server, idle))
    }

    fn paced(&self, store: Store) -> Result<Round> {
        let mut stage = Stage::new(self, Shape::Paced, store, Behaviour::Take, &[])?;
        let target = stage.application("paced", 1)?;
        let idle = stage.idle()?;
        stage.warm_up(&target, 1, self.warming())?;
        let count = RATE * self.sizes.paced_seconds;
        let measured = stage.measure(&target, 1, count, Pace::PerSecond(RATE))?;
        Ok(measured.round(&stage.server, idle))
    }

    fn hanging(&self, store: Store) -> Result<Round> {
        let mut stage = Stage::new(self, Shape::Hanging, store, Behaviour::Take, &[])?;
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
        let mut stage = Stage::new(self, Shape::Pending, store, Behaviour::Take, &[])?;
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
        let mut stage = Stage::new(self, Shape::Wide, store, Behaviour::Take, &[])?;
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

    fn source(&self, case: Case, lengths: Lengths) -> Result<Round> {
        let mut stage = Stage::new(self, case.shape, case.store, Behaviour::Take, &[])?;
        let api = &stage.server.api;
        let hole = Hole::open(Dead::Down, self.cores)?;
        let source = api.create_source("bench", SOURCE_SECRET)?;
        let endpoint = api.create_endpoint(&source.application, &hole.url)?;
        let github = |stage: &Stage<'_>| {
            Target::github(stage.server.api.addr, &source.path, SOURCE_SECRET, lengths)
        };
        let idle = stage.idle()?;

        let seqs = stage.take(POSTS * self.sizes.source_seconds);
        let load = self.load(seqs.clone(), Pace::PerSecond(POSTS));
        let bare = generator::run(&Target::bare(stage.receiver.addr(), lengths)?, &load)?;
        let posts = generator::run(&github(&stage)?, &load)?;
        stage.restart()?;
        stage.receiver = hole.revive(self.cores)?;
        let since = Instant::now();
        stage.server.api.recover(&source.application, &endpoint, "2000-01-01T00:00:00Z")?;
        let since = clock::at(since);
        let verdict = stage.await_all(seqs, 1, &posts, 0);
        let recovered = Duration::from_nanos(verdict.last_straight.saturating_sub(since));

        let story = Posts {
            per_second: POSTS,
            accepted: posts.acks.len() as u64,
            failed: posts.failed,
            ack: Percentiles::of(posts.latencies()),
            bare: Percentiles::of(bare.latencies()),
            restart_ms: millis(stage.server.start),
            recovered_ms: millis(recovered),
        };
        let flat = stage.measure(&github(&stage)?, 1, self.sizes.messages, Pace::FlatOut)?;
        let mut round = flat.round(&stage.server, idle);
        round.lost += verdict.lost;
        round.duplicated += verdict.duplicated;
        round.complaint = round.complaint.or(posts.complaint);
        round.posts = Some(story);
        Ok(round)
    }

    /// How many messages are not measured.
    pub fn warming(&self) -> u32 {
        (self.sizes.messages / 10).min(2_000)
    }

    /// A load of these messages by all the generator's connections.
    pub fn load(&self, seqs: Range<u32>, pace: Pace) -> Load {
        let connections = self.sizes.connections;
        Load { seqs, pace, connections, cores: self.cores, limit: LOAD_LIMIT }
    }
}
