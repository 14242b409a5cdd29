//! Handlers that are under way, also behind an answer: bounded, and waited for at the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// Why an event cannot be handled now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// So many are under way as may be.
    Busy,
    /// The end has begun.
    Closing,
}

impl Full {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Closing => "closing",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Running {
    /// One for each event; whoever has them all knows that nothing is under way.
    places: Arc<Semaphore>,
    limit: u32,
    closing: AtomicBool,
    // The owner of the tasks: they end with the last receiver. Held while one is added.
    tasks: Mutex<JoinSet<()>>,
}

impl Running {
    pub(crate) fn new(limit: u32) -> Self {
        let places = Arc::new(Semaphore::new(limit as usize));
        Self { places, limit, closing: AtomicBool::new(false), tasks: Mutex::default() }
    }

    /// A place for an event, to be kept while it is handled.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, Full> {
        if self.is_closing() {
            return Err(Full::Closing);
        }
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Full::Busy)
    }

    /// Runs to its end, whoever waits for it or not.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    pub(crate) async fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        // The semaphore is never closed.
        drop(self.places.acquire_many(self.limit).await);
    }
}
