//! What a change does to a thing: the part of changing that every store needs.

use ringback_domain::{
    endpoint::{Endpoint, State},
    id::Key,
    source::Source,
    time::Timestamp,
};

use crate::{EndpointChange, SourceChange, VersionRow, WriteError};

impl EndpointChange {
    /// Changes everything but what is sealed.
    pub(crate) fn apply(self, endpoint: &mut Endpoint) {
        let EndpointChange {
            uid,
            url,
            description,
            event_types,
            channels,
            filter,
            sign_as,
            delivery,
            metadata,
            throttle_rate,
            state,
        } = self;
        set(&mut endpoint.uid, uid);
        set(&mut endpoint.url, url.map(|(url, _)| url));
        set(&mut endpoint.description, description);
        set(&mut endpoint.event_types, event_types);
        set(&mut endpoint.channels, channels);
        set(&mut endpoint.filter, filter);
        set(&mut endpoint.sign_as, sign_as);
        set(&mut endpoint.delivery, delivery);
        set(&mut endpoint.metadata, metadata);
        set(&mut endpoint.throttle_rate, throttle_rate);
        set(&mut endpoint.state, state);
        // Whoever enables an endpoint gives it a fresh start.
        if state == Some(State::Enabled) {
            endpoint.failing_since = None;
        }
    }
}

impl SourceChange {
    /// Changes everything; whether the settings are as expected was looked at before.
    pub(crate) fn apply(self, source: &mut Source) {
        let SourceChange { uid, name, provider, config, settings, armed_until, metadata } = self;
        set(&mut source.uid, uid);
        set(&mut source.name, name);
        set(&mut source.provider, provider);
        set(&mut source.config, config);
        set(&mut source.settings, settings.map(|settings| settings.sealed));
        set(&mut source.armed_until, armed_until);
        set(&mut source.metadata, metadata);
    }
}

fn set<T>(field: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *field = new;
    }
}

impl VersionRow {
    /// What is written for this version of a type that has these, if it may be.
    pub(crate) fn replacing(
        self,
        event_type: Key,
        versions: &[VersionRow],
        expected: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<VersionRow, WriteError> {
        let known = versions.iter().find(|known| known.ordinal == self.ordinal);
        let mut others = versions.iter().filter(|other| other.ordinal != self.ordinal);
        if others.any(|other| other.label == self.label) {
            return Err(WriteError::Conflict("version"));
        }
        match (known, expected) {
            (None, None) => Ok(VersionRow { event_type, created_at: now, updated_at: now, ..self }),
            (Some(_), None) => Err(WriteError::Conflict("version")),
            (None, Some(_)) => Err(WriteError::NotFound("version")),
            (Some(known), Some(expected)) if known.updated_at != expected => {
                Err(WriteError::Conflict("version change"))
            }
            (Some(known), Some(_)) => Ok(VersionRow {
                key: known.key,
                event_type,
                created_at: known.created_at,
                // The clock may stand still, and the next one has to see that it was changed.
                updated_at: now.max(Timestamp(known.updated_at.millis() + 1)),
                ..self
            }),
        }
    }
}
