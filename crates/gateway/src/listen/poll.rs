//! Endpoints that are read: nothing is sent to them, whoever wants their messages comes and asks.
//!
//! ```text
//!  store ── arrivals ──► wanted? ──► given (what a message becomes) ──► an answer, or an event stream
//!                          types, channels
//! ```
//!
//! Nothing is kept for such an endpoint but how far its consumers are: messages are stored anyway, and
//! reading on from a place passes over none of them.

mod follow;
mod given;

use std::time::Duration;

use ringback_domain::{
    endpoint::Endpoint,
    id::Key,
    poll::{Consumer, Cursor, start},
    route::{Filter, Verdict},
    scope::Scope,
    time::Timestamp,
};
use ringback_store::{ArrivalQuery, Arrived, Unavailable, WriteError};
use tokio::time::Instant;

use self::given::{Giver, Giving};
pub use self::{follow::Followed, given::Given};
use super::Listeners;

/// Messages that are read at a time, and their bytes.
const PAGE: usize = 100;
const PAGE_BYTES: usize = 1024 * 1024;
/// Pages that are looked at for one answer, wanted or not.
const PAGES: usize = 20;
/// How long a ring may stay out until the store is looked at all the same.
const LOOK: Duration = Duration::from_secs(1);
/// A consumer that is where it was is noted to be there this often.
const PRESENT: Duration = Duration::from_secs(24 * 3600);

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Only with greater keys.
    pub after: Key,
    /// At most so many messages.
    pub limit: usize,
    /// How long to wait for the first of them.
    pub wait: Duration,
    /// Only this event type, of those that the endpoint wants.
    pub event_type: Option<String>,
    /// Only with this channel, of those that the endpoint wants.
    pub channel: Option<String>,
}

/// What there is.
#[derive(Debug)]
pub struct Polled {
    /// Messages by the order in which they were accepted, each with its key.
    pub given: Vec<(Key, Given)>,
    /// Everything up to here was looked at.
    pub reached: Key,
    /// Whether there was nothing beyond.
    pub done: bool,
}

/// What an endpoint wants, and what the one who asks wants of that.
struct Wanting<'a> {
    filter: Filter,
    asked: &'a Asked,
}

impl<'a> Wanting<'a> {
    fn new(endpoint: &Endpoint, asked: &'a Asked) -> Wanting<'a> {
        let (event_types, channels) = (endpoint.event_types.clone(), endpoint.channels.clone());
        Wanting { filter: Filter { event_types, channels, ..Filter::default() }, asked }
    }

    fn wants(&self, arrived: &Arrived) -> bool {
        let Asked { event_type, channel, .. } = self.asked;
        let channels = arrived.channels.as_deref();
        let has = |one: &String| channels.unwrap_or_default().contains(one);
        event_type.as_ref().is_none_or(|one| *one == arrived.event_type)
            && channel.as_ref().is_none_or(has)
            && self.filter.verdict(&arrived.event_type, channels) == Verdict::Matched
    }
}

impl Listeners {
    /// What an endpoint gets of the messages after a place, once there is any of it.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub async fn poll(
        &self,
        scope: Scope,
        endpoint: &Endpoint,
        asked: Asked,
    ) -> Result<Polled, Unavailable> {
        let until = Instant::now() + asked.wait;
        let parts = self.parts();
        // First of all, so that nothing is missed.
        let bell = parts.bells.wait_for(vec![scope.application]);
        let mut closing = self.closing();
        let wanting = Wanting::new(endpoint, &asked);
        let giving = Giving::new(parts, scope, endpoint).await?;
        let mut polled = Polled { given: Vec::new(), reached: asked.after, done: false };
        let mut pages = 0;
        loop {
            let query = ArrivalQuery {
                environment: scope.environment,
                applications: vec![scope.application],
                after: polled.reached,
                limit: PAGE,
                bytes: PAGE_BYTES,
            };
            let page = parts.store.arrivals(query).await?;
            pages += 1;
            // As long as there is something in it that was not looked at.
            polled.done = false;
            for arrived in &page.items {
                if polled.given.len() == asked.limit {
                    return Ok(polled);
                }
                if wanting.wants(arrived) {
                    match giving.give(arrived).await {
                        Giver::Gives(given) => polled.given.push((arrived.id.key(), *given)),
                        Giver::Withholds => {}
                        // Whoever asks again gets it then, before all that comes after it.
                        Giver::Waits => {
                            if polled.given.is_empty() {
                                bell.rung(LOOK).await;
                            }
                            return Ok(polled);
                        }
                    }
                }
                polled.reached = arrived.id.key();
            }
            (polled.reached, polled.done) = (page.reached, page.done);
            let is_idle = polled.done && polled.given.is_empty() && Instant::now() < until;
            if is_idle && !*closing.borrow() {
                let left = until.saturating_duration_since(Instant::now());
                tokio::select! {
                    () = bell.rung(LOOK.min(left)) => {}
                    _ = closing.wait_for(|closing| *closing) => {}
                }
            } else if polled.done || pages >= PAGES || polled.given.len() >= asked.limit {
                return Ok(polled);
            }
        }
    }

    /// A consumer as it is known, or as it begins: with what came since the endpoint was made.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub async fn consumer(
        &self,
        endpoint: &Endpoint,
        name: &str,
        now: Timestamp,
    ) -> Result<Consumer, Unavailable> {
        let key = endpoint.id.key();
        let known = self.parts().store.consumer(key, name.to_owned()).await?;
        Ok(known.unwrap_or_else(|| Consumer::new(key, name, endpoint.created_at, now)))
    }

    /// Everything up to `cursor` is acknowledged; it is written down when this returns. Returns the
    /// consumer as it is then.
    ///
    /// # Errors
    /// [`WriteError::Limit`] if the endpoint has too many consumers.
    pub async fn acknowledge(
        &self,
        consumer: Consumer,
        cursor: Cursor,
        now: Timestamp,
    ) -> Result<Consumer, WriteError> {
        let is_news = cursor.turn == consumer.turn && cursor.place > consumer.place;
        if !is_news && now.since(consumer.seen_at) < PRESENT {
            return Ok(consumer);
        }
        self.parts().store.advance_consumer(consumer.name, cursor, now).await
    }

    /// Moves a consumer before everything that was accepted at a time or later.
    ///
    /// # Errors
    /// [`WriteError::Limit`] if the endpoint has too many consumers.
    pub async fn seek(
        &self,
        scope: Scope,
        endpoint: Key,
        name: String,
        after: Timestamp,
        now: Timestamp,
    ) -> Result<Consumer, WriteError> {
        let place = start(after.min(now));
        let moved = self.parts().store.seek_consumer(endpoint, name, place, now).await?;
        // Whoever follows goes on there.
        self.parts().bells.ring(scope.application);
        Ok(moved)
    }
}
