//! The engine as the rest of the process sees it: which core has which lane.

use std::sync::Arc;

use ringback_domain::{id::Key, pace::Wait};
use ringback_store::{Canceled, Due};
use tokio::sync::oneshot;

use crate::{core::Mailbox, log::Lanes, seam::BoxFuture};

/// What a worker is told.
pub enum Post {
    /// These deliveries were committed and are due.
    Deliver(Vec<Due>),
    /// This endpoint has work in the store.
    Look(Key),
    /// These deliveries were taken back.
    Canceled(Vec<Canceled>),
    /// This endpoint was changed; say when the lane uses the change.
    Changed(Key, oneshot::Sender<()>),
    /// Say what this endpoint's due deliveries wait for.
    Waits(Key, oneshot::Sender<Option<Wait>>),
    /// Begin nothing new; say when everything begun is recorded.
    Drain(oneshot::Sender<()>),
}

/// Hands posts to the core that has the lane.
#[derive(Clone)]
pub struct Engine {
    mailboxes: Arc<[Arc<Mailbox<Post>>]>,
}

impl Engine {
    /// An engine of this many cores.
    pub fn new(cores: usize) -> Engine {
        Engine { mailboxes: (0..cores.max(1)).map(|_| Arc::default()).collect() }
    }

    /// The mailbox of each core.
    pub fn mailboxes(&self) -> &[Arc<Mailbox<Post>>] {
        &self.mailboxes
    }

    /// An endpoint has work in the store.
    pub fn look(&self, endpoint: Key) {
        self.mailboxes[self.core_of(endpoint)].post(Post::Look(endpoint));
    }

    /// Stops beginning attempts; resolves when all that were begun are recorded.
    pub async fn drain(&self) {
        let mut drained = Vec::new();
        for mailbox in self.mailboxes.iter() {
            let (done, wait) = oneshot::channel();
            mailbox.post(Post::Drain(done));
            drained.push(wait);
        }
        for wait in drained {
            // A worker that ended has nothing more to record.
            let _ = wait.await;
        }
    }

    fn core_of(&self, endpoint: Key) -> usize {
        // Keys made in the same millisecond differ in their low bits only: mix them (Fibonacci
        // hashing, Knuth, TAOCP 6.4).
        let mixed = (endpoint as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        (mixed % self.mailboxes.len() as u64) as usize
    }
}

impl Lanes for Engine {
    fn deliver(&self, due: Vec<Due>) {
        if let [mailbox] = &*self.mailboxes {
            return mailbox.post(Post::Deliver(due));
        }
        let mut by_core: Vec<Vec<Due>> = self.mailboxes.iter().map(|_| Vec::new()).collect();
        for one in due {
            by_core[self.core_of(one.endpoint)].push(one);
        }
        for (mailbox, due) in self.mailboxes.iter().zip(by_core) {
            if !due.is_empty() {
                mailbox.post(Post::Deliver(due));
            }
        }
    }

    fn look(&self, endpoint: Key) {
        Engine::look(self, endpoint);
    }

    fn canceled(&self, canceled: Vec<Canceled>) {
        let mut by_core: Vec<Vec<Canceled>> = self.mailboxes.iter().map(|_| Vec::new()).collect();
        for one in canceled {
            by_core[self.core_of(one.endpoint)].push(one);
        }
        for (mailbox, canceled) in self.mailboxes.iter().zip(by_core) {
            if !canceled.is_empty() {
                mailbox.post(Post::Canceled(canceled));
            }
        }
    }

    fn changed(&self, endpoint: Key) -> BoxFuture<'static, ()> {
        let (used, wait) = oneshot::channel();
        self.mailboxes[self.core_of(endpoint)].post(Post::Changed(endpoint, used));
        Box::pin(async move {
            // A worker that ended makes no more attempts, so it uses every change.
            let _ = wait.await;
        })
    }

    fn waits(&self, endpoint: Key) -> BoxFuture<'static, Option<Wait>> {
        let (said, wait) = oneshot::channel();
        self.mailboxes[self.core_of(endpoint)].post(Post::Waits(endpoint, said));
        Box::pin(async move { wait.await.ok().flatten() })
    }
}
