//! Whether the server answers.
//!
//! A server that is stopped refuses, and everybody is told at once. One that hangs, or that nothing
//! reaches any more, says nothing, and waiting for it would hold up every request for as long as its
//! statement may take. So whoever waits long has the server asked something easy, over a connection
//! of its own; if that is not answered either, everybody is refused until it is.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::{Node, connect::Pool};
use crate::Unavailable;

/// After this long the server is asked whether it is there.
const SLOW: Duration = Duration::from_secs(2);
/// How long it may take to answer that.
const LIMIT: Duration = Duration::from_secs(3);
/// The pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(250);

/// What is known about it.
#[derive(Default)]
pub(super) struct Health {
    away: watch::Sender<bool>,
    suspected: Notify,
}

impl Health {
    /// Waits for work on the database, but not for a server that does not answer.
    ///
    /// # Errors
    /// When the server is away, before or meanwhile. Then nobody knows what became of the work.
    pub(super) async fn minded<T>(&self, work: impl Future<Output = T>) -> Result<T, Unavailable> {
        let mut work = pin!(work);
        tokio::select! {
            biased;
            () = self.away() => return Err(away()),
            done = &mut work => return Ok(done),
            () = sleep(SLOW) => self.suspected.notify_one(),
        }
        tokio::select! {
            done = &mut work => Ok(done),
            () = self.away() => Err(away()),
        }
    }

    /// Resolves as soon as the server is away.
    async fn away(&self) {
        // It only fails when there is nobody left to say so.
        if self.away.subscribe().wait_for(|away| *away).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Asks the server whenever it is suspected, until the store is closed.
pub(super) async fn mind(node: Arc<Node>, line: Pool) {
    loop {
        node.health.suspected.notified().await;
        while !node.is_closed() && !answers(&line).await {
            if !node.health.away.send_replace(true) {
                tracing::warn!("the database does not answer: requests are refused until it does");
            }
            sleep(PAUSE).await;
        }
        if node.health.away.send_replace(false) {
            tracing::info!("the database answers again");
        }
    }
}

async fn answers(line: &Pool) -> bool {
    let Ok(Ok(client)) = timeout(LIMIT, line.get()).await else { return false };
    let answered = timeout(LIMIT, client.batch_execute("SELECT 1")).await;
    if answered.is_err() {
        // The next question goes over another one.
        drop(deadpool_postgres::Object::take(client));
    }
    matches!(answered, Ok(Ok(())))
}

fn away() -> Unavailable {
    Unavailable::Failed("the database does not answer".to_owned())
}
