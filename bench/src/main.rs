//! The benchmark of Ringback: one command that starts the server, loads it from outside, and says
//! what it did beside the floor of the machine.
//!
//! It knows the server by its command line, its HTTP API and what it delivers, and nothing of its
//! internals. Read on in `shape` for what is measured, `generator` and `receiver` for how, `ledger`
//! for what counts as delivered and lost, `report` for what is printed.

mod api;
mod backing;
mod callbacks;
mod clock;
mod floor;
mod fsync_probe;
mod generator;
mod ledger;
mod payload;
mod proc;
mod receiver;
mod report;
mod server;
mod shape;
mod stage;
mod stats;
mod workdir;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs, thread};

use anyhow::{Context, Result};
use clap::Parser;

use crate::backing::{Postgres, Store};
use crate::report::{Run, Shaped};
use crate::shape::{Bench, Case, Dead, Shape, Sizes, Width};
use crate::stats::Percentiles;
use crate::workdir::Workdir;

/// Measures a Ringback server beside the floor of this machine
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Shapes to measure [default: all but wide]
    #[arg(long, value_enum, value_delimiter = ',')]
    shapes: Vec<Shape>,
    /// Stores to measure them on, one after the other in every round
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sqlite")]
    stores: Vec<Store>,
    /// Rounds; the floor is measured before every shape in every round
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Rounds of the shape `pending`, which takes long
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=50))]
    pending_rounds: u32,
    /// One short round of everything, to see that it works
    #[arg(long)]
    quick: bool,
    /// Only callbacks: how soon whoever waits is told, how late deadlines are; without the floor
    #[arg(long, conflicts_with_all = ["shapes", "floor_only", "json"])]
    callbacks: bool,
    /// How many callbacks are open while deadlines pass
    #[arg(long, value_name = "N", default_value_t = 1_000_000,
        value_parser = clap::value_parser!(u32).range(0..=5_000_000))]
    open: u32,
    /// Only the floor and the disk; no server is needed
    #[arg(long)]
    floor_only: bool,
    /// Messages of a flat-out round
    #[arg(long, value_name = "N", default_value_t = 30_000,
        value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    messages: u32,
    /// Connections of the generator
    #[arg(long, value_name = "N", default_value_t = 64,
        value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// Seconds of a paced round
    #[arg(long, value_name = "N", default_value_t = 7,
        value_parser = clap::value_parser!(u32).range(1..=120))]
    paced_seconds: u32,
    /// Seconds of a hanging round; the server's own limit per attempt is 15 s
    #[arg(long, value_name = "N", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=120))]
    hanging_seconds: u32,
    /// Endpoints that never answer in the shape `hanging`
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    hanging: u32,
    /// Live endpoints in the shape `hanging`
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    live: u32,
    /// Pending messages in the shape `pending`
    #[arg(long, value_name = "N", default_value_t = 1_000_000,
        value_parser = clap::value_parser!(u32).range(100..=5_000_000))]
    pending: u32,
    /// Seconds of posts at a source whose endpoint is down
    #[arg(long, value_name = "N", default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=120))]
    source_seconds: u32,
    /// How many endpoints the shape `wide` has
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1000",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    endpoints: Vec<u32>,
    /// How many messages are pending beside the shape `wide`
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "0",
        value_parser = clap::value_parser!(u32).range(0..=5_000_000))]
    beside: Vec<u32>,
    /// How the endpoint of the shape `pending` is dead
    #[arg(long, value_enum, default_value = "down")]
    dead: Dead,
    /// The server's binary [default: the repository's, after cargo build --profile dist]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// A directory on a real disk to work in [default: target/ beside this benchmark]
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
    /// Writes every round and the summary to this file
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
}

impl Arguments {
    fn sizes(&self) -> Sizes {
        let full = Sizes {
            messages: self.messages,
            connections: self.connections.into(),
            paced_seconds: self.paced_seconds,
            hanging_seconds: self.hanging_seconds,
            hanging_endpoints: self.hanging,
            live_endpoints: self.live,
            pending: self.pending,
            dead: self.dead,
            source_seconds: self.source_seconds,
        };
        if !self.quick {
            return full;
        }
        Sizes {
            messages: full.messages.min(3_000),
            paced_seconds: full.paced_seconds.min(2),
            hanging_seconds: full.hanging_seconds.min(3),
            pending: full.pending.min(10_000),
            source_seconds: full.source_seconds.min(2),
            ..full
        }
    }

    fn shapes(&self) -> Vec<Shape> {
        match (self.floor_only, self.shapes.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => Shape::USUAL.to_vec(),
            (false, false) => self.shapes.clone(),
        }
    }

    /// What is measured in a round.
    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for shape in self.shapes() {
            for width in self.widths(shape) {
                cases.extend(self.stores.iter().map(|&store| Case { shape, store, width }));
            }
        }
        cases
    }

    fn widths(&self, shape: Shape) -> Vec<Option<Width>> {
        if shape != Shape::Wide {
            return vec![None];
        }
        let beside = |&pending| {
            self.endpoints.iter().map(move |&endpoints| Some(Width { endpoints, pending }))
        };
        self.beside.iter().flat_map(beside).collect()
    }

    fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }

    fn rounds_of(&self, shape: Shape) -> u32 {
        if shape == Shape::Pending { self.rounds().min(self.pending_rounds) } else { self.rounds() }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.callbacks {
        run_callbacks(&arguments)
    } else {
        run(&arguments).map(|run| run.lost() == 0)
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether every limit was met.
fn run_callbacks(arguments: &Arguments) -> Result<bool> {
    let place = Place::prepare(arguments)?;
    let binary = place.server(arguments)?;
    let dir = place.workdir.path();
    let sizes = if arguments.quick {
        callbacks::Sizes { open: 500, waiters: 100, many: 2_000 }
    } else {
        callbacks::Sizes { open: 10_000, waiters: 2_000, many: arguments.open as usize }
    };
    let on_postgres = arguments.stores.contains(&Store::Postgres);
    let postgres = on_postgres.then(|| Postgres::start(dir)).transpose()?;
    let mut met = true;
    for store in &arguments.stores {
        let told = callbacks::run(&binary, dir, *store, postgres.as_ref(), sizes)?;
        met &= !told.contains("NOT met");
        print!("{told}");
    }
    Ok(met)
}

/// Where a run works.
struct Place {
    home: PathBuf,
    workdir: Workdir,
}

impl Place {
    fn prepare(arguments: &Arguments) -> Result<Place> {
        raise_descriptor_limit();
        let home = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let parent = arguments.dir.clone().unwrap_or_else(|| home.join("target").join("run"));
        let workdir = Workdir::create(&parent)?;
        clean_up_when_interrupted(workdir.path().to_owned())?;
        Ok(Place { home, workdir })
    }

    fn repository(&self) -> Result<&Path> {
        self.home.parent().context("the benchmark lies in no repository")
    }

    /// The server's binary, built if none is named.
    fn server(&self, arguments: &Arguments) -> Result<PathBuf> {
        match &arguments.server {
            Some(binary) => binary.canonicalize().with_context(|| binary.display().to_string()),
            None => server::build(self.repository()?),
        }
    }
}

fn run(arguments: &Arguments) -> Result<Run> {
    let place = Place::prepare(arguments)?;
    let (repository, workdir) = (place.repository()?, &place.workdir);
    let cases = arguments.cases();
    let binary = if cases.is_empty() { PathBuf::new() } else { place.server(arguments)? };
    let cores = thread::available_parallelism()?.get();
    let sizes = arguments.sizes();
    let on_postgres = cases.iter().any(|case| case.store == Store::Postgres);
    let postgres = on_postgres.then(|| Postgres::start(workdir.path())).transpose()?;
    let bench = Bench { binary, dir: workdir.path().to_owned(), cores, sizes, postgres };
    let server = match &arguments.server {
        Some(binary) => binary.display().to_string(),
        None => commit(repository).unwrap_or_else(|| "of no known commit".into()),
    };
    let run = measure(&bench, arguments, &cases, server)?;

    if let Some(path) = &arguments.json {
        fs::write(path, run.json()?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    print!("{}", run.text());
    Ok(run)
}

/// All rounds, with the floor before each measurement and once more at the end.
fn measure(bench: &Bench, arguments: &Arguments, cases: &[Case], server: String) -> Result<Run> {
    let sizes = bench.sizes;
    let one_floor = || floor::run(sizes.messages, sizes.connections, bench.cores);
    let mut shaped: Vec<Shaped> =
        cases.iter().map(|case| Shaped { case: *case, rounds: Vec::new() }).collect();
    let mut floors = Vec::new();
    let mut synced = fsync_probe::run(&bench.dir)?;
    for round in 1..=arguments.rounds() {
        for shaped in &mut shaped {
            if round > arguments.rounds_of(shaped.case.shape) {
                continue;
            }
            eprintln!("round {round}: {}", shaped.case.name());
            floors.push(one_floor()?);
            shaped.rounds.push(bench.round(shaped.case)?);
        }
        if cases.is_empty() {
            floors.push(one_floor()?);
        }
        synced.extend(fsync_probe::run(&bench.dir)?);
    }
    floors.push(one_floor()?);
    Ok(Run {
        machine: proc::machine(bench.cores),
        file_system: proc::file_system(&bench.dir),
        server,
        rounds: arguments.rounds(),
        sizes,
        floors,
        fsync: Percentiles::of(synced),
        shapes: shaped,
    })
}

/// Both ends of every connection are descriptors of this process, a thousand hanging ones too.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Where it cannot be raised, a shape that needs more says so by failing.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// On SIGINT and SIGTERM: no server and no directory stays behind.
fn clean_up_when_interrupted(dir: PathBuf) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        server::kill();
        let _ = fs::remove_dir_all(dir);
        std::process::exit(130);
    });
    Ok(())
}

fn commit(repository: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(repository).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let suffix = if changed.is_empty() { "" } else { " and local changes" };
    Some(format!("commit {commit}{suffix}"))
}
