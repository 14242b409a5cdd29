//! Threads and runtimes.

use std::{future::Future, io, thread::JoinHandle};

use tokio::{
    runtime::{Builder, Runtime},
    task::LocalSet,
};

/// A thread with a single-threaded runtime. Whatever runs on it owns its connections alone, so
/// nothing on the hot path is locked or moved between threads.
pub struct Core {
    thread: JoinHandle<()>,
}

impl Core {
    /// Starts a core that runs `body` and everything that it spawns locally, until `body` ends.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn start<F, Fut>(name: &str, body: F) -> io::Result<Core>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()>,
    {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // What was spawned and still runs when the body ends is dropped with the set.
            LocalSet::new().block_on(&runtime, async { body().await });
        })?;
        Ok(Core { thread })
    }

    /// Waits for the core's body to end.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("a core panicked");
        }
    }
}

/// The runtime that cores and everything else share: the API, name look-ups, upkeep.
pub struct Shared(Runtime);

impl Shared {
    /// Starts the shared runtime.
    ///
    /// # Errors
    /// When the system gives no threads or no event queue.
    pub fn start(threads: usize) -> io::Result<Shared> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("shared")
            .enable_all()
            .build()?;
        Ok(Shared(runtime))
    }

    /// A handle for spawning.
    pub fn handle(&self) -> tokio::runtime::Handle {
        self.0.handle().clone()
    }

    /// Runs the process's main future.
    pub fn run<F: Future>(&self, main: F) -> F::Output {
        self.0.block_on(main)
    }

    /// Ends the runtime, giving what still runs on it a moment.
    pub fn stop(self) {
        self.0.shutdown_timeout(std::time::Duration::from_millis(200));
    }
}
