//! Where programs are run: turns, and the children that are there for them.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ringback_domain::{id::Key, time::Timestamp};
use tokio::{runtime::Handle, task::JoinSet, time::timeout};

use super::{
    Call, Entry, Failure, MAX_INPUT, MAX_PROGRAM, PER_TENANT, Ran,
    child::{Child, Lost},
    frame::{self, Asked, Told},
    turn::{Bounds, Turns},
};
use crate::telemetry::metrics::Metrics;

/// How long a call waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a sandbox is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This program: its children are started from it.
    pub program: PathBuf,
    /// Children at most.
    pub children: usize,
    /// Calls of one tenant that may wait.
    pub waiting: usize,
}

/// This very program, even if another was put in its place meanwhile.
///
/// # Errors
/// If the system does not say where it is.
pub fn this_program() -> io::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe() }
}

/// Runs programs of users. Clones share its children, which are started when there is something to do
/// and end with the last clone.
#[derive(Clone, Debug)]
pub struct Sandbox {
    settings: Arc<Settings>,
    turns: Turns,
    idle: Arc<Mutex<Vec<Child>>>,
    metrics: Metrics,
    /// Where the pipes are read and written: not on a core, whoever asks.
    runtime: Handle,
}

impl Sandbox {
    /// A sandbox without a child yet, whose pipes `runtime` reads and writes.
    #[must_use]
    pub fn new(settings: Settings, runtime: Handle, metrics: Metrics) -> Sandbox {
        let Settings { children, waiting, .. } = settings;
        let bounds = Bounds { turns: children, per_tenant: PER_TENANT, waiting };
        Sandbox {
            settings: Arc::new(settings),
            turns: Turns::new(bounds),
            idle: Arc::default(),
            metrics,
            runtime,
        }
    }

    /// Calls a program.
    ///
    /// # Errors
    /// [`Failure`] says what of it was at fault.
    pub async fn run(&self, call: Call) -> Result<Ran, Failure> {
        let Call { tenant, program, entry, input, at, seed } = call;
        if input.len() > MAX_INPUT {
            let what = format!("the program would be given more than {} MiB", MAX_INPUT >> 20);
            return Err(Failure::TooLarge(what));
        }
        let program = program.to_string();
        let asked = Asked { program, entry, input: Some(input), at: at.millis(), seed };
        match self.ask(tenant, asked).await? {
            Told::Ran(ran) => Ok(ran),
            Told::Failed(failure) => Err(failure),
            Told::Checked => Err(Failure::Died),
        }
    }

    /// Whether a program compiles and defines the function: it is run, but the function is not called.
    ///
    /// # Errors
    /// [`Failure`] says what is wrong, with line and column.
    pub async fn check(&self, tenant: Key, program: &str, entry: Entry) -> Result<(), Failure> {
        let at = Timestamp(0).millis();
        let asked = Asked { program: program.to_owned(), entry, input: None, at, seed: 0 };
        match self.ask(tenant, asked).await? {
            Told::Checked => Ok(()),
            Told::Failed(failure) => Err(failure),
            Told::Ran(_) => Err(Failure::Died),
        }
    }

    async fn ask(&self, tenant: Key, asked: Asked) -> Result<Told, Failure> {
        if asked.program.len() > MAX_PROGRAM {
            let what = format!("the program is longer than {} KiB", MAX_PROGRAM / 1024);
            return Err(Failure::TooLarge(what));
        }
        let told = match self.exchanged(tenant, asked).await {
            Ok(Told::Failed(failure)) => Ok(Told::Failed(failure.shortened())),
            told => told,
        };
        let failure = match &told {
            Ok(Told::Failed(failure)) | Err(failure) => Some(failure.name()),
            Ok(_) => None,
        };
        self.metrics.transformed(failure);
        told
    }

    async fn exchanged(&self, tenant: Key, asked: Asked) -> Result<Told, Failure> {
        let frame = frame::encode(&asked).map_err(|_| {
            Failure::TooLarge("the program and what it is given are too long".to_owned())
        })?;
        drop(asked);
        let turn = timeout(PATIENCE, self.turns.take(tenant)).await;
        let turn = turn.ok().flatten().ok_or(Failure::Busy)?;
        // A call ends with whoever waits for it: its child is dropped with the task.
        let mut task = JoinSet::new();
        let sandbox = self.clone();
        task.spawn_on(
            async move {
                let told = sandbox.asked_of_a_child(&frame).await;
                drop(turn);
                told
            },
            &self.runtime,
        );
        task.join_next().await.and_then(Result::ok).unwrap_or(Err(Failure::Gone))
    }

    /// Must run on the runtime that has the pipes.
    async fn asked_of_a_child(&self, frame: &[u8]) -> Result<Told, Failure> {
        loop {
            let kept = self.idle().pop();
            let was_kept = kept.is_some();
            let mut child = match kept {
                Some(child) => child,
                None => self.started()?,
            };
            match child.ask(frame).await {
                Ok(told) => {
                    if !child.is_worn() {
                        self.idle().push(child);
                    }
                    return Ok(told);
                }
                Err(Lost::Late) => return Err(Failure::Timeout),
                // It may have ended while nobody asked; a program has no effect that would be there
                // twice.
                Err(Lost::Ended) if was_kept => {}
                Err(Lost::Ended) => return Err(Failure::Died),
            }
        }
    }

    fn started(&self) -> Result<Child, Failure> {
        let child = Child::start(&self.settings.program).map_err(|error| {
            tracing::error!(%error, "no child for transformations can be started");
            Failure::Gone
        })?;
        self.metrics.transform_children.inc();
        Ok(child)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Child>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
