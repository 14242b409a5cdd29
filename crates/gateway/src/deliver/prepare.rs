//! From an endpoint's row to what its attempts need.

use std::{sync::Arc, time::Duration};

use ringback_domain::{
    application::OPERATIONAL_UID,
    breaker::Waits,
    delivery::{self, Delivery, OnExhausted},
    endpoint::State,
    id::{ApplicationId, EndpointId, Key},
    retry::Schedule,
    time::Timestamp,
};
use ringback_store::Lane;

use super::{handshake::Handshake, recipe::Recipe, route::Route, services::Services};

/// How long an idle connection is kept: shorter than most receivers keep theirs.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How many messages go in one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Batch {
    /// At most.
    pub(super) messages: usize,
    /// How long the first waits for more.
    pub(super) wait: Duration,
}

/// An endpoint, ready to be sent to.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) application: ApplicationId,
    pub(super) application_uid: Option<String>,
    pub(super) endpoint: EndpointId,
    pub(super) endpoint_uid: Option<String>,
    pub(super) revision: Key,
    pub(super) state: State,
    pub(super) failing_since: Option<Timestamp>,
    /// What is made of its messages.
    pub(super) recipe: Recipe,
    /// Attempts a second that it asks for, or its kind of destination takes, at most.
    rate: Option<f64>,
    /// Requests open at once, at most.
    pub(super) concurrency: u32,
    /// Whether a delivery that has no attempts left blocks its order.
    pub(super) blocks: bool,
    /// How long its circuit stays open; none if it never opens.
    pub(super) breaker: Option<Waits>,
    /// How many messages it wants in one request, if it wants several.
    pub(super) batch: Option<Batch>,
    /// When to try again, if it has an opinion of its own.
    pub(super) schedule: Option<Arc<Schedule>>,
    /// What to dial and how to sign; or the word that says why that cannot be known.
    pub(super) route: Result<Route, &'static str>,
}

impl Prepared {
    /// Prepares what the store knows about an endpoint.
    pub(super) fn new(lane: Lane, services: &Services) -> Prepared {
        let delivery = delivery(lane.endpoint.delivery.as_deref());
        let sealed = (lane.scope, &lane.secrets, &*services.keyring);
        let made = delivery.as_ref().map_err(|reason| *reason).and_then(|delivery| {
            let recipe = Recipe::read(&lane.endpoint, delivery, sealed)?;
            Ok((recipe, Route::new(&lane, delivery, services)))
        });
        let (recipe, route) = match made {
            Ok((recipe, route)) => (recipe, route),
            Err(reason) => (Recipe::none(), Err(reason)),
        };
        // Nobody sends to what was deleted or is read, and there is nothing to be prepared with.
        let is_sent_to = !matches!(lane.endpoint.state, State::Deleted | State::Pulled);
        if let (Err(reason), true) = (&route, is_sent_to) {
            tracing::error!(endpoint = %lane.endpoint.id, reason, "an endpoint cannot be sent to");
        }
        let wanted = delivery.unwrap_or_default();
        let breaker = services.breakers.waits.filter(|_| wanted.breaker != Some(false));
        Prepared {
            application: lane.application,
            application_uid: lane.application_uid,
            endpoint: lane.endpoint.id,
            endpoint_uid: lane.endpoint.uid,
            revision: lane.endpoint.revision,
            state: lane.endpoint.state,
            failing_since: lane.endpoint.failing_since,
            recipe,
            rate: least(lane.endpoint.throttle_rate, route.as_ref().ok()),
            concurrency: wanted.concurrency.unwrap_or(u32::MAX),
            blocks: wanted.order.is_some_and(|order| order.on_exhausted == OnExhausted::Block),
            breaker,
            batch: batch(wanted.batch, route.as_ref().ok()),
            schedule: wanted.retry.map(|retry| Arc::new(retry.schedule(&services.schedule))),
            route,
        }
    }

    /// Attempts a second, at most; what the receiver allows is known once it was asked.
    pub(super) fn rate(&self) -> Option<f64> {
        let Ok(Route::Http(http)) = &self.route else { return self.rate };
        let allowed = http.handshake.as_deref().and_then(Handshake::rate);
        self.rate.into_iter().chain(allowed).reduce(f64::min)
    }

    /// The same endpoint in another state.
    pub(super) fn stopped(&self, state: State) -> Prepared {
        Prepared { state, ..self.clone() }
    }

    /// Whether its messages are operational ones, about which nothing operational is told.
    pub(super) fn is_operational(&self) -> bool {
        self.application_uid.as_deref() == Some(OPERATIONAL_UID)
    }
}

#[cfg(test)]
impl Prepared {
    /// The same endpoint with several messages in one request.
    pub(super) fn with_batch(self, messages: usize, wait: Duration) -> Prepared {
        Prepared { batch: Some(Batch { messages, wait }), ..self }
    }

    /// The same endpoint with a circuit that stays open for this long.
    pub(super) fn with_breaker(self, waits: Waits) -> Prepared {
        Prepared { breaker: Some(waits), ..self }
    }

    /// An endpoint with this rate that takes messages, for tests of what does not send any.
    pub(super) fn with_rate(rate: Option<f64>) -> Prepared {
        let id = ringback_domain::id::Id { key: 3, shard: 0, nonce: 0 };
        Prepared {
            application: ApplicationId(id),
            application_uid: None,
            endpoint: EndpointId(id),
            endpoint_uid: None,
            revision: 0,
            state: State::Enabled,
            failing_since: None,
            recipe: Recipe::none(),
            blocks: false,
            rate,
            concurrency: u32::MAX,
            breaker: None,
            batch: None,
            schedule: None,
            route: Err("none"),
        }
    }
}

/// The smaller of what the endpoint asks for and what its kind of destination takes, in attempts a
/// second.
fn least(own: Option<u32>, route: Option<&Route>) -> Option<f64> {
    own.map(f64::from).into_iter().chain(route.and_then(Route::rate)).reduce(f64::min)
}

/// Where requests are the endpoint's to decide about: a kind of destination has its own.
fn batch(wanted: Option<delivery::Batch>, route: Option<&Route>) -> Option<Batch> {
    let wanted = wanted.filter(|_| matches!(route, Some(Route::Http(http)) if http.is_ours()))?;
    Some(Batch { messages: wanted.messages as usize, wait: wanted.wait() })
}

/// How the endpoint wants its deliveries.
fn delivery(text: Option<&str>) -> Result<Delivery, &'static str> {
    let Some(text) = text else { return Ok(Delivery::default()) };
    let value = serde_json::from_str(text).map_err(|_| "delivery_unreadable")?;
    Delivery::read(&value).map_err(|_| "delivery_unreadable")
}
