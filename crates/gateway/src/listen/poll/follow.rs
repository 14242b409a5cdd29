//! An event stream of what an endpoint gets: the same as asking, over one connection.
//!
//! Each event's id is a cursor. Being told is no acknowledgement: that is said beside the stream, and
//! whoever comes again without `Last-Event-ID` is told again what was not acknowledged.

use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use ringback_domain::{
    endpoint::{Endpoint, State},
    id::{EndpointId, Key},
    poll::{Consumer, Cursor},
    scope::{Reference, Scope},
};
use tokio::{sync::watch, time::Instant};

use super::{Asked, Polled};
use crate::{
    http::{Happening, event, event_stream},
    listen::Listeners,
    log::Bell,
};

/// How often something is sent, so that nothing in between gives up.
const ALIVE: Duration = Duration::from_secs(15);
/// Messages that are told at a time.
const TOLD: usize = 32;
/// How long a ring may stay out until the store is looked at all the same.
const LOOK: Duration = Duration::from_secs(5);

/// Somebody who follows an endpoint.
pub struct Followed {
    listeners: Listeners,
    scope: Scope,
    endpoint: EndpointId,
    name: String,
    turn: u32,
    after: Key,
    bell: Bell,
    closing: watch::Receiver<bool>,
    has_begun: bool,
    told_at: Instant,
}

impl Followed {
    /// What a consumer is told from now on, after `last` if it says what it saw last.
    pub fn response(
        listeners: &Listeners,
        scope: Scope,
        endpoint: &Endpoint,
        consumer: Consumer,
        last: Option<Cursor>,
    ) -> Response {
        event_stream(Followed {
            listeners: listeners.clone(),
            scope,
            endpoint: endpoint.id,
            turn: consumer.turn,
            after: consumer.after(last),
            name: consumer.name,
            bell: listeners.parts().bells.wait_for(vec![scope.application]),
            closing: listeners.closing(),
            has_begun: false,
            told_at: Instant::now(),
        })
    }

    /// What is told next, and whether there was nothing beyond. None if the endpoint is read no more.
    async fn told(&mut self) -> Option<(String, bool)> {
        let parts = self.listeners.parts();
        let named = Reference::Id(self.endpoint.0);
        let endpoint = parts.store.endpoint(self.scope, named).await.ok()?;
        if endpoint.state != State::Pulled {
            return None;
        }
        let now = parts.world.clock.now();
        let consumer = self.listeners.consumer(&endpoint, &self.name, now).await.ok()?;
        if consumer.turn != self.turn {
            (self.turn, self.after) = (consumer.turn, consumer.place);
        }
        let asked = Asked { after: self.after, limit: TOLD, ..Asked::default() };
        let Polled { given, reached, done } =
            self.listeners.poll(self.scope, &endpoint, asked).await.ok()?;
        self.after = reached;
        let told = given.iter().map(|(place, given)| {
            let cursor = Cursor { endpoint: self.endpoint.key(), place: *place, turn: self.turn };
            // What has only text as keys is always JSON. Its strings have no line breaks, and
            // elsewhere a space is as good.
            let data = serde_json::to_string(given).unwrap_or_default().replace(['\n', '\r'], " ");
            event(Some("message"), Some(&cursor), &data)
        });
        Some((told.collect(), done))
    }
}

impl Happening for Followed {
    async fn next(mut self) -> Option<(Bytes, Followed)> {
        if !self.has_begun {
            self.has_begun = true;
            // Sent at once, so that whoever follows knows that they do.
            return Some((Bytes::from_static(b"retry: 1000\n\n"), self));
        }
        loop {
            if *self.closing.borrow() {
                return None;
            }
            let (text, done) = self.told().await?;
            if !text.is_empty() {
                self.told_at = Instant::now();
                return Some((text.into(), self));
            }
            if self.told_at.elapsed() >= ALIVE {
                self.told_at = Instant::now();
                return Some((Bytes::from_static(b":\n\n"), self));
            }
            if done {
                let left = ALIVE.saturating_sub(self.told_at.elapsed());
                tokio::select! {
                    () = self.bell.rung(LOOK.min(left)) => {}
                    _ = self.closing.wait_for(|closing| *closing) => return None,
                }
            }
        }
    }
}
