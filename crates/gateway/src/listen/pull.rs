//! Asking for events over HTTP, and coming again: nothing runs between two requests.
//!
//! What was given and not acknowledged is given again, so it is at least once and in order. The place
//! in the store is all there is to it.

use std::time::Duration;

use ringback_domain::{
    id::{Key, MessageId},
    listener::Listener,
};
use ringback_store::Unavailable;
use tokio::time::Instant;

use super::{Event, Listeners, Terms, heard::Heard, live::Paged};

/// Messages that are read at a time.
const PAGE: usize = 100;
/// How long a ring may stay out until the store is looked at all the same.
const LOOK: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Pulling {
    /// At most so many events.
    pub max: usize,
    /// How long to wait for the first of them.
    pub wait: Duration,
    /// Everything up to here is dealt with.
    pub acknowledged: Option<MessageId>,
}

/// What there is.
pub struct Pulled {
    /// Events with their bodies, by the order in which they arrived.
    pub events: Vec<(Event, bytes::Bytes)>,
    /// How many messages there are from the place on, wanted or not, as far as they are counted.
    pub behind: u64,
}

impl Listeners {
    /// The events after a listener's place, once there are any.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub async fn pull(
        &self,
        environment: Key,
        mut listener: Listener,
        pulling: Pulling,
    ) -> Result<Pulled, Unavailable> {
        let until = Instant::now() + pulling.wait;
        if let Some(message) = pulling.acknowledged {
            self.note(listener.id.key(), message.key());
            self.settle(listener.id.key()).await;
            listener.place = listener.place.max(message.key());
        }
        let parts = self.parts();
        let terms = Terms::read(&listener.terms);
        let wanting = terms.wanting();
        let mut heard = Heard::default();
        let mut events = Vec::new();
        let mut after = listener.place;
        loop {
            // First of all, so that nothing is missed.
            let bell = parts.bells.wait_for(heard.applications());
            let paged = Paged { environment, terms: &terms, after, limit: PAGE };
            let page = paged.read(parts, &mut heard).await?;
            for arrived in page.items.iter().filter(|arrived| wanting.wants(arrived)) {
                let source = heard.source(arrived.scope.application);
                if let Some(source) = source.filter(|_| events.len() < pulling.max) {
                    events.push((Event::of(arrived, source), arrived.payload.clone()));
                }
            }
            after = page.reached;
            if events.is_empty() && after > listener.place {
                // Nothing in it is wanted: nobody has to look at it again.
                self.note(listener.id.key(), after);
                listener.place = after;
            }
            let is_enough = events.len() >= pulling.max || (page.done && !events.is_empty());
            if is_enough || (page.done && Instant::now() >= until) {
                break;
            }
            if page.done && bell.applications() == heard.applications() {
                bell.rung(LOOK.min(until.saturating_duration_since(Instant::now()))).await;
            }
        }
        let behind = self.behind(environment, &listener).await?.count;
        Ok(Pulled { events, behind })
    }
}
