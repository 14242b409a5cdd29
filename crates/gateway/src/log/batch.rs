//! Appends of one core, gathered: what arrives in the same turn of the event loop goes to the store
//! together, so the writer is asked and answers once.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use ringback_store::{Append, AppendError, Appended, Unavailable};
use tokio::{sync::oneshot, task::spawn_local};

use super::Log;

type Answer = Result<Appended, AppendError>;

/// The gathered appends of one core.
pub struct Batch {
    log: Log,
    waiting: RefCell<Vec<(Append, oneshot::Sender<Answer>)>>,
    /// Whether a task will send what is waiting.
    scheduled: Cell<bool>,
}

impl Batch {
    /// Nothing gathered yet.
    pub fn new(log: Log) -> Rc<Batch> {
        Rc::new(Batch { log, waiting: RefCell::default(), scheduled: Cell::new(false) })
    }

    /// Appends one message together with the others of this turn; the answer may be waited for.
    pub fn append(self: &Rc<Self>, append: Append) -> impl Future<Output = Answer> + use<> {
        let (answer, wait) = oneshot::channel();
        self.waiting.borrow_mut().push((append, answer));
        if !self.scheduled.replace(true) {
            // It runs after the tasks that are ready now, each of which may add a message.
            spawn_local(Rc::clone(self).send());
        }
        async { wait.await.unwrap_or_else(|_| Err(Unavailable::Closed.into())) }
    }

    async fn send(self: Rc<Self>) {
        self.scheduled.set(false);
        let (appends, answers): (Vec<_>, Vec<_>) = self.waiting.take().into_iter().unzip();
        for (answer, result) in answers.into_iter().zip(self.log.append(appends).await) {
            // Whoever went away is not told; the message is accepted all the same.
            let _ = answer.send(result);
        }
    }
}
