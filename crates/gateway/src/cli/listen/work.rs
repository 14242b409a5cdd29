//! One event at a time to its end: handed over, and again until somebody takes it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::backoff::Backoff;
use super::event::{Ended, Event, Outcome, Unreached};
use super::exec::Exec;
use super::forward::Forward;
use crate::seam::Entropy;

/// In a group somebody else may get what nobody takes here for so long.
const GROUP_PATIENCE: Duration = Duration::from_secs(10);

/// What takes events.
pub(super) enum Taker {
    /// Nobody: they are only shown.
    Nobody,
    Forward(Forward),
    Exec(Exec),
}

impl Taker {
    async fn hand(&self, event: &Event) -> Result<Ended, Unreached> {
        match self {
            Self::Nobody => Ok(Ended::Shown),
            Self::Forward(forward) => forward.hand(event).await.map(Ended::Answered),
            Self::Exec(exec) => exec.run(event).await.map(Ended::Exited),
        }
    }
}

/// How events are handed over.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) taker: Arc<Taker>,
    pub(super) give_up: Option<Duration>,
    /// What is given up goes to somebody else.
    pub(super) is_shared: bool,
    pub(super) entropy: Arc<dyn Entropy>,
    /// Nothing is begun, and nothing tried again, while it says so.
    pub(super) pace: watch::Receiver<Pace>,
    /// One for each reason of an event, so it needs no bound.
    pub(super) notices: mpsc::UnboundedSender<Notice>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    Going,
    Paused,
    /// What is under way may end, nothing is tried again.
    Stopping,
}

/// What is to be said of an event that is under way.
#[derive(Debug)]
pub(super) enum Notice {
    /// Nobody takes it, for this reason; it is tried again.
    Waits(String, String),
    /// It was taken after all.
    Taken,
}

impl Worker {
    /// Hands an event over until somebody takes it; none if we are stopping.
    pub(super) async fn deal_with(mut self, event: Arc<Event>) -> (Arc<Event>, Option<Outcome>) {
        let begun = Instant::now();
        let ended = self.end(&event, begun).await;
        let took = begun.elapsed();
        (event, ended.map(|ended| Outcome { ended, took }))
    }

    /// Once, whatever comes of it.
    pub(super) async fn try_once(self, event: Arc<Event>) -> (Arc<Event>, Outcome) {
        let begun = Instant::now();
        let ended = self.taker.hand(&event).await;
        let ended = ended.unwrap_or_else(|Unreached(why)| Ended::GivenUp(why));
        (event, Outcome { ended, took: begun.elapsed() })
    }

    async fn end(&mut self, event: &Event, begun: Instant) -> Option<Ended> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let mut said: Option<String> = None;
        loop {
            // A closed channel means that nobody is there to pause.
            let _ = self.pace.wait_for(|pace| *pace != Pace::Paused).await;
            if *self.pace.borrow() == Pace::Stopping {
                return None;
            }
            let Unreached(why) = match self.taker.hand(event).await {
                Ok(ended) => {
                    if said.is_some() {
                        let _ = self.notices.send(Notice::Taken);
                    }
                    return Some(ended);
                }
                Err(unreached) => unreached,
            };
            let patience = self.give_up.or(self.is_shared.then_some(GROUP_PATIENCE));
            if patience.is_some_and(|patience| begun.elapsed() >= patience) {
                let _ = said.map(|_| self.notices.send(Notice::Taken));
                return Some(match self.is_shared {
                    true => Ended::GivenBack(why),
                    false => Ended::GivenUp(why),
                });
            }
            if said.as_ref() != Some(&why) {
                let _ = self.notices.send(Notice::Waits(event.id.clone(), why.clone()));
                said = Some(why);
            }
            let wait = backoff.next(u64::from_be_bytes(self.entropy.bytes()));
            tokio::select! {
                () = sleep(wait) => {}
                _ = self.pace.wait_for(|pace| *pace == Pace::Stopping) => return None,
            }
        }
    }
}
