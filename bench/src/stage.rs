//! A server and a receiver that face each other, and what a load between them took.

use std::ops::Range;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::net::TcpSocket;

use crate::backing::{Backing, Cost, Store, Work};
use crate::generator::{self, Pace, Sent, Target, per_second};
use crate::ledger::{self, Verdict};
use crate::payload::{self, Lengths};
use crate::proc::Usage;
use crate::receiver::{Behaviour, Receiver};
use crate::server::{self, Server};
use crate::shape::{Bench, Dead, Retried, Round, Shape};
use crate::stats::Percentiles;

/// With nothing arriving for this long, what is still missing is lost.
const PATIENCE: Duration = Duration::from_secs(10);
const DRAIN_LIMIT: Duration = Duration::from_secs(180);
/// After a start and after a load: what is lazy gets done, and counts.
const SETTLE: Duration = Duration::from_millis(300);
/// Who create applications and endpoints at the same time.
const CLERKS: u32 = 16;

/// A server and a receiver that face each other.
pub struct Stage<'a> {
    bench: &'a Bench,
    data: PathBuf,
    /// With which the server was started.
    settings: Vec<(&'static str, String)>,
    pub server: Server,
    pub receiver: Receiver,
    /// The database, if the store is not the embedded one. It goes after the server.
    backing: Option<Backing>,
    /// The next free sequence number.
    next: u32,
    /// Not measured, and still not allowed to be lost.
    lost_warming_up: u64,
}

impl<'a> Stage<'a> {
    /// A fresh server on a fresh store, started with `settings`, and a receiver.
    pub fn new(
        bench: &'a Bench,
        shape: Shape,
        store: Store,
        behaviour: Behaviour,
        settings: &[(&'static str, String)],
    ) -> Result<Self> {
        let data = bench.dir.join(shape.name()).join("data");
        let mut settings = settings.to_vec();
        let backing = match store {
            Store::Sqlite => None,
            Store::Postgres => {
                Some(bench.postgres.as_ref().context("no PostgreSQL was started")?.database()?)
            }
        };
        settings.extend(backing.as_ref().map(|backing| ("RINGBACK_STORE", backing.dsn())));
        let server = Server::start(&bench.binary, &data, &settings)?;
        let receiver = Receiver::start(bench.cores, behaviour)?;
        Ok(Self { bench, data, settings, server, receiver, backing, next: 0, lost_warming_up: 0 })
    }

    /// Where an endpoint reaches the receiver.
    pub fn url(&self, endpoint: u16) -> String {
        format!("http://{}/{endpoint}", self.receiver.addr())
    }

    pub fn messages(&self, applications: &[String]) -> Result<Target> {
        Target::messages(self.server.api.addr, &self.server.api.token, applications)
    }

    /// One application with `endpoints` endpoints at the receiver.
    pub fn application(&self, name: &str, endpoints: u16) -> Result<Target> {
        let app = self.server.api.create_application(name)?;
        for endpoint in 0..endpoints {
            self.server.api.create_endpoint(&app, &self.url(endpoint))?;
        }
        self.messages(&[app])
    }

    /// `count` applications with one endpoint each, all at `url`.
    pub fn applications(&self, name: &str, count: u32, url: &str) -> Result<Target> {
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

    pub fn idle(&self) -> Result<Usage> {
        thread::sleep(SETTLE);
        self.server.usage()
    }

    /// Kills the server as a crash would, and starts it again on the same data.
    pub fn restart(&mut self) -> Result<()> {
        server::kill();
        self.server = Server::start(&self.bench.binary, &self.data, &self.settings)?;
        Ok(())
    }

    /// Sends one message; the time from the start of the server to its receipt.
    pub fn first_dispatch(&mut self, application: &str) -> Result<Duration> {
        let mut payload = Vec::new();
        payload::write(self.take(1).start, Lengths::ONE_KIB, &mut payload);
        self.server.api.create_message(application, &payload)?;
        self.drain(1);
        let receipts = self.receiver.receipts();
        let receipt = receipts.first().context("nothing was dispatched after the restart")?;
        Ok(Duration::from_nanos(receipt.at - self.server.spawned))
    }

    /// Some messages that are not measured: connections, pages and branch tables get warm.
    pub fn warm_up(&mut self, target: &Target, fan_out: u16, count: u32) -> Result<()> {
        let seqs = self.take(count);
        let sent = generator::run(target, &self.bench.load(seqs.clone(), Pace::FlatOut))?;
        self.drain(sent.acks.len() as u64 * u64::from(fan_out));
        thread::sleep(SETTLE);
        let verdict = ledger::judge(seqs, fan_out, &sent.acks, self.receiver.receipts());
        self.lost_warming_up = verdict.lost;
        Ok(())
    }

    pub fn measure(
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

        let mut verdict = self.await_all(seqs, fan_out, &sent, taken);
        verdict.lost += std::mem::take(&mut self.lost_warming_up);
        let (after, own) = (self.server.usage()?, Usage::own_cpu() - own);
        let database = work
            .zip(self.work()?)
            .map(|(before, after)| Backing::cost(before, after, sent.acks.len()));
        Ok(Measured { sent, verdict, before, after, own, database })
    }

    /// Waits until everything that was acknowledged has arrived at a receiver that had taken `taken`
    /// requests before, or nothing comes any more.
    pub fn await_all(&self, seqs: Range<u32>, fan_out: u16, sent: &Sent, taken: u64) -> Verdict {
        let quiet = self.drain(taken + sent.acks.len() as u64 * u64::from(fan_out));
        thread::sleep(SETTLE);
        let judge = || ledger::judge(seqs.clone(), fan_out, &sent.acks, self.receiver.receipts());
        let verdict = judge();
        if verdict.lost == 0 || quiet {
            return verdict;
        }
        // Duplicates had made up the number before the last first copy arrived.
        self.drain(u64::MAX);
        judge()
    }

    /// What the database server has done so far, if there is one.
    fn work(&self) -> Result<Option<Work>> {
        self.backing.as_ref().map(Backing::work).transpose()
    }

    /// Waits until the receiver has taken `owed` requests in all; whether it gave up because
    /// nothing came any more.
    pub fn drain(&self, owed: u64) -> bool {
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

    pub fn take(&mut self, count: u32) -> Range<u32> {
        let start = self.next;
        self.next += count;
        start..self.next
    }
}

/// A load and what it took.
pub struct Measured {
    pub sent: Sent,
    pub verdict: Verdict,
    before: Usage,
    after: Usage,
    /// CPU time of the generator and the receiver.
    own: Duration,
    database: Option<Cost>,
}

impl Measured {
    pub fn round(self, server: &Server, idle: Usage) -> Round {
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
            posts: None,
            complaint: sent.complaint,
        }
    }
}

/// Where messages go to stay pending.
pub struct Hole {
    pub url: String,
    hold: Hold,
}

/// What keeps the address dead; without it the address is free.
enum Hold {
    Port(TcpSocket),
    Receiver(Receiver),
}

impl Hole {
    pub fn open(dead: Dead, cores: usize) -> Result<Self> {
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
        Ok(Self { url: format!("http://{addr}/0"), hold })
    }

    /// A receiver at the same address: what was down is up again.
    pub fn revive(self, cores: usize) -> Result<Receiver> {
        match self.hold {
            Hold::Port(socket) => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
                let _inside = runtime.enter();
                Ok(Receiver::on(socket.listen(1024)?.into_std()?, cores, Behaviour::Take)?)
            }
            Hold::Receiver(hanging) => bail!("{} hangs, and is not down", hanging.addr()),
        }
    }
}

/// Milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// MiB.
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
