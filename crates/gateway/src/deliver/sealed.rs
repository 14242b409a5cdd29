//! What an endpoint has that is sealed: opened when its lane is prepared.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use ringback_domain::{
    delivery::access::{self, Access},
    scope::Scope,
    seal::{Context, Keyring},
    signature::SigningKey,
    target::Rules,
    time::Timestamp,
};
use ringback_store::{EndpointSecrets, Lane};
use zeroize::Zeroizing;

use super::services::Services;
use crate::transform::{self, Transformation};

/// What an endpoint has that is sealed, with what opens it.
pub(super) struct Sealed<'a> {
    pub(super) scope: Scope,
    pub(super) secrets: &'a EndpointSecrets,
    pub(super) keyring: &'a Keyring,
}

impl<'a> Sealed<'a> {
    pub(super) fn of(lane: &'a Lane, services: &'a Services) -> Sealed<'a> {
        Sealed { scope: lane.scope, secrets: &lane.secrets, keyring: &services.keyring }
    }

    /// What is made of the endpoint's messages; none if nothing is.
    pub(super) fn transformation(&self) -> Result<Option<Arc<Transformation>>, &'static str> {
        let Some(sealed) = &self.secrets.transformation else { return Ok(None) };
        let json = self.open(transform::PURPOSE, sealed)?;
        let made: Transformation =
            serde_json::from_str(&json).map_err(|_| "transformation_unreadable")?;
        Ok(made.in_use().is_some().then(|| Arc::new(made)))
    }

    pub(super) fn keys(&self) -> Result<Vec<(SigningKey, Option<Timestamp>)>, &'static str> {
        let one = |secret: &ringback_domain::endpoint::SealedSecret| {
            let text = self.open("endpoint-secret", &secret.sealed)?;
            let key = SigningKey::parse(&text).map_err(|_| "secret_unreadable")?;
            Ok((key, secret.expires_at))
        };
        self.secrets.secrets.iter().map(one).collect()
    }

    /// The text of the newest secret.
    pub(super) fn newest(&self) -> Result<Zeroizing<String>, &'static str> {
        let newest = self.secrets.secrets.iter().find(|secret| secret.expires_at.is_none());
        let newest = newest.ok_or("secret_unreadable")?;
        self.open("endpoint-secret", &newest.sealed).map(Zeroizing::new)
    }

    /// What belongs to the URL: the value of a header, or what a destination was given.
    pub(super) fn credentials(&self) -> Result<Option<Zeroizing<String>>, &'static str> {
        let sealed = self.secrets.credentials.as_deref();
        sealed
            .map(|sealed| self.open("endpoint-credentials", sealed).map(Zeroizing::new))
            .transpose()
    }

    /// What opens the endpoint beside that.
    pub(super) fn access(&self, rules: Rules) -> Result<Option<Access>, &'static str> {
        let Some(sealed) = &self.secrets.access else { return Ok(None) };
        let json = Zeroizing::new(self.open(access::PURPOSE, sealed)?);
        let value = serde_json::from_str(&json).map_err(|_| "access_unreadable")?;
        Access::read(&value, rules).map(Some).map_err(|_| "access_unreadable")
    }

    pub(super) fn headers(&self) -> Result<HeaderMap, &'static str> {
        let mut headers = HeaderMap::new();
        if let Some(sealed) = &self.secrets.headers {
            let json = self.open("endpoint-headers", sealed)?;
            let named: std::collections::BTreeMap<String, String> =
                serde_json::from_str(&json).map_err(|_| "headers_unreadable")?;
            for (name, value) in named {
                let name: HeaderName = name.parse().map_err(|_| "headers_unreadable")?;
                headers.insert(name, sensitive(&value)?);
            }
        }
        Ok(headers)
    }

    fn open(&self, purpose: &str, sealed: &[u8]) -> Result<String, &'static str> {
        let owner = self.secrets.endpoint;
        let context = Context { environment: self.scope.environment, owner, purpose };
        let plain = self.keyring.open(&context, sealed).map_err(|error| {
            tracing::error!(%error, purpose, "a sealed value cannot be opened");
            "secret_unreadable"
        })?;
        String::from_utf8(plain.to_vec()).map_err(|_| "secret_unreadable")
    }
}

/// The value of a header that no log shows.
pub(super) fn sensitive(value: &str) -> Result<HeaderValue, &'static str> {
    let mut value = HeaderValue::from_str(value).map_err(|_| "headers_unreadable")?;
    value.set_sensitive(true);
    Ok(value)
}
