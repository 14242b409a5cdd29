//! What a change does to a thing: the part of changing that every store needs.

use ringback_domain::{
    endpoint::{Endpoint, State},
    source::Source,
    time::Timestamp,
};

use crate::{
    Amendment, Contract, ContractChange, EndpointChange, SourceChange, VersionRow, WriteError,
};

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
            access,
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
        set(&mut endpoint.access, access.map(|access| access.map(|access| access.shown)));
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

impl ContractChange {
    /// Whether it may be made of a contract.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] if somebody else was quicker, or a label or ordinal is taken.
    pub(crate) fn check(&self, known: &Contract) -> Result<(), WriteError> {
        fits(known, self.expected, &self.versions)
    }
}

impl Amendment {
    /// Whether it may be made of a contract.
    ///
    /// # Errors
    /// Those of [`ContractChange::check`].
    pub(crate) fn check(&self, known: &Contract) -> Result<(), WriteError> {
        fits(known, self.expected, &self.versions)
    }
}

/// When a change happens of what was last changed at `before`: two have different times.
pub(crate) fn later(before: Timestamp, now: Timestamp) -> Timestamp {
    now.max(Timestamp(before.millis() + 1))
}

fn fits(known: &Contract, expected: Timestamp, versions: &[VersionRow]) -> Result<(), WriteError> {
    if known.updated_at != expected {
        return Err(WriteError::Conflict("event type"));
    }
    let takes = |new: &VersionRow, row: &VersionRow| {
        let (new_version, version) = (&new.version, &row.version);
        let same = new_version.label == version.label || new_version.ordinal == version.ordinal;
        same && new.key != row.key
    };
    let taken = |new: &VersionRow| known.versions.iter().any(|row| takes(new, row));
    if versions.iter().any(taken) {
        return Err(WriteError::Conflict("version"));
    }
    Ok(())
}
