//! What a change does to a thing: the part of changing that every store needs.

use ringback_domain::endpoint::{Endpoint, State};

use crate::EndpointChange;

impl EndpointChange {
    /// Changes everything but what is sealed.
    pub(crate) fn apply(self, endpoint: &mut Endpoint) {
        let EndpointChange {
            uid,
            url,
            description,
            event_types,
            channels,
            metadata,
            throttle_rate,
            state,
        } = self;
        fn set<T>(field: &mut T, new: Option<T>) {
            if let Some(new) = new {
                *field = new;
            }
        }
        set(&mut endpoint.uid, uid);
        set(&mut endpoint.url, url.map(|(url, _)| url));
        set(&mut endpoint.description, description);
        set(&mut endpoint.event_types, event_types);
        set(&mut endpoint.channels, channels);
        set(&mut endpoint.metadata, metadata);
        set(&mut endpoint.throttle_rate, throttle_rate);
        set(&mut endpoint.state, state);
        // Whoever enables an endpoint gives it a fresh start.
        if state == Some(State::Enabled) {
            endpoint.failing_since = None;
        }
    }
}
