//! Deadlines that pass: one task writes them down, in batches.
//!
//! A deadline counts by itself, whoever reads: what is done here is that the application is told, and
//! whoever waits is woken. So being late, or dying half-way, costs time and nothing else.

use std::time::Duration;

use ringback_domain::{callback::state, time::Timestamp};
use ringback_store::{CallbackStep, Unavailable};
use tokio::time::sleep;

use super::Callbacks;

/// Callbacks that end in one transaction: few enough that nobody else's commit waits for long.
const BATCH: usize = 200;
/// How long nobody looks, whatever the next deadline is: another process may have made one and gone.
const LOOK: Duration = Duration::from_secs(5);
/// The pause after the store failed, or ended none of those that were due.
const PAUSE: Duration = Duration::from_millis(200);
/// Later than any deadline.
const NEVER: Timestamp = Timestamp(i64::MAX);

impl Callbacks {
    /// Ends callbacks whose deadlines pass, until it is dropped.
    pub async fn keep_time(&self) {
        loop {
            let pause = match self.end_due().await {
                Ok(Some(ended)) if ended > 0 => continue,
                Ok(Some(_)) => PAUSE,
                Ok(None) => match self.until_next().await {
                    Ok(until) => until.min(LOOK),
                    Err(error) => failed(&error),
                },
                Err(error) => failed(&error),
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.sooner() => {}
            }
        }
    }

    /// Ends some of those that are due; how many it were, or none if none is.
    async fn end_due(&self) -> Result<Option<usize>, Unavailable> {
        let now = self.parts().world.clock.now();
        let due = self.parts().store.due_callbacks(now, BATCH).await?;
        if due.is_empty() {
            return Ok(None);
        }
        let step = |callback| CallbackStep {
            callback,
            act: Some(state::Act::Tick),
            request: None,
            price: None,
            keeping: self.keeping(now),
            now,
        };
        let stepped = self.steps(due.into_iter().map(step).collect()).await?;
        Ok(Some(stepped.iter().flatten().filter(|stepped| stepped.ended.is_some()).count()))
    }

    /// How long until the next deadline passes.
    async fn until_next(&self) -> Result<Duration, Unavailable> {
        // From now on whatever is made rings, so that none is missed while the store is asked.
        self.looks_at(NEVER);
        let next = self.parts().store.next_due_callback().await?.unwrap_or(NEVER);
        let now = self.parts().world.clock.now();
        self.looks_at(next.min(now + LOOK));
        Ok(next.since(now))
    }
}

fn failed(error: &Unavailable) -> Duration {
    tracing::warn!(%error, "deadlines of callbacks could not be written down yet");
    PAUSE
}
