//! Requests on their way to the database: whatever waits when a connection is free goes into one
//! statement, so a batch grows with the load and a commit is shared by all that wait for one.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use ringback_domain::id::Key;
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
    task::{JoinHandle, JoinSet},
};

use crate::{Append, Record, Unavailable};

/// The most messages or results of one statement; more would make the first wait for the last.
const BATCH: usize = 512;

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) count: usize,
    /// Of payload.
    pub(super) bytes: usize,
}

/// What is queued, as far as its size matters.
pub(super) trait Weighed {
    /// How many bytes of it are payload.
    fn bytes(&self) -> usize;
}

impl Weighed for Append {
    fn bytes(&self) -> usize {
        Bytes::len(&self.message.payload)
    }
}

impl Weighed for Record {
    fn bytes(&self) -> usize {
        0
    }
}

/// What is asked for by its key.
impl Weighed for Key {
    fn bytes(&self) -> usize {
        0
    }
}

type Reply<A> = oneshot::Sender<Result<Vec<A>, Unavailable>>;

/// A queue of requests `Q` that are answered with `A`.
pub(super) struct Batches<Q, A> {
    shared: Arc<Shared<Q, A>>,
    room: Option<Room>,
    running: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<Q, A> {
    state: Mutex<State<Q, A>>,
    arrived: Notify,
}

struct State<Q, A> {
    waiting: Vec<(Vec<Q>, Reply<A>)>,
    count: usize,
    bytes: usize,
    closed: bool,
}

impl<Q, A> Batches<Q, A>
where
    Q: Weighed + Send + 'static,
    A: Send + 'static,
{
    /// A queue whose batches are worked on by `work`, at most `limit` at the same time. It answers
    /// as many questions as it is given, in their order.
    pub(super) fn start<W, F>(
        handle: &Handle,
        limit: usize,
        room: Option<Room>,
        work: W,
    ) -> Batches<Q, A>
    where
        W: Fn(Vec<Q>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Vec<A>, Unavailable>> + Send + 'static,
    {
        let state = State { waiting: Vec::new(), count: 0, bytes: 0, closed: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), arrived: Notify::new() });
        let running = handle.spawn(Arc::clone(&shared).run(limit, Arc::new(work)));
        Batches { shared, room, running: Mutex::new(Some(running)) }
    }

    /// Queues a request; resolves when its batch is committed.
    pub(super) async fn ask(&self, questions: Vec<Q>) -> Result<Vec<A>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.push(questions, reply)?;
        answer.await.unwrap_or(Err(Unavailable::Closed))
    }

    fn push(&self, questions: Vec<Q>, reply: Reply<A>) -> Result<(), Unavailable> {
        let mut state = self.shared.lock();
        if state.closed {
            return Err(Unavailable::Closed);
        }
        let bytes: usize = questions.iter().map(Weighed::bytes).sum();
        let full = self.room.is_some_and(|room| {
            state.count + questions.len() > room.count || state.bytes + bytes > room.bytes
        });
        // An empty queue takes whatever comes, or a large request could never be taken.
        if full && state.count > 0 {
            return Err(Unavailable::Overloaded);
        }
        state.count += questions.len();
        state.bytes += bytes;
        state.waiting.push((questions, reply));
        drop(state);
        self.shared.arrived.notify_one();
        Ok(())
    }

    /// Takes no more, and resolves when what was queued has been worked on.
    pub(super) async fn finish(&self) {
        self.shared.lock().closed = true;
        self.shared.arrived.notify_one();
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            let _ = running.await;
        }
    }
}

impl<Q, A> Shared<Q, A>
where
    Q: Weighed + Send + 'static,
    A: Send + 'static,
{
    async fn run<W, F>(self: Arc<Self>, limit: usize, work: Arc<W>)
    where
        W: Fn(Vec<Q>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Vec<A>, Unavailable>> + Send + 'static,
    {
        let mut under_way = JoinSet::new();
        loop {
            // First a free place, then the batch: what arrives meanwhile is in it.
            while under_way.len() >= limit {
                under_way.join_next().await;
            }
            let Some(batch) = self.next().await else { break };
            let work = Arc::clone(&work);
            under_way.spawn(async move { answer(batch, &*work).await });
        }
        while under_way.join_next().await.is_some() {}
    }

    /// What waits, up to a bound; none when the queue is closed and empty.
    async fn next(&self) -> Option<Vec<(Vec<Q>, Reply<A>)>> {
        loop {
            {
                let mut state = self.lock();
                if !state.waiting.is_empty() {
                    return Some(state.take());
                }
                if state.closed {
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<Q, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q: Weighed, A> State<Q, A> {
    fn take(&mut self) -> Vec<(Vec<Q>, Reply<A>)> {
        let mut size = 0;
        let fits = |(questions, _): &(Vec<Q>, Reply<A>)| {
            size += questions.len();
            size > BATCH
        };
        // At least one request, however large.
        let count = self.waiting.iter().position(fits).unwrap_or(self.waiting.len()).max(1);
        let taken: Vec<_> = self.waiting.drain(..count).collect();
        for (questions, _) in &taken {
            self.count -= questions.len();
            self.bytes -= questions.iter().map(Weighed::bytes).sum::<usize>();
        }
        taken
    }
}

async fn answer<Q, A, W, F>(batch: Vec<(Vec<Q>, Reply<A>)>, work: &W)
where
    W: Fn(Vec<Q>) -> F,
    F: Future<Output = Result<Vec<A>, Unavailable>>,
{
    let mut replies = Vec::with_capacity(batch.len());
    let mut questions = Vec::new();
    for (some, reply) in batch {
        replies.push((some.len(), reply));
        questions.extend(some);
    }
    let answered = work(questions).await.map(Vec::into_iter);
    let mut answered = match answered {
        Ok(answers) => answers,
        Err(reason) => {
            for (_, reply) in replies {
                let _ = reply.send(Err(reason.clone()));
            }
            return;
        }
    };
    for (count, reply) in replies {
        // Whoever no longer waits is not told.
        let _ = reply.send(Ok(answered.by_ref().take(count).collect()));
    }
}
