//! What opens an endpoint, ready for its requests and connections.

use http::{HeaderName, HeaderValue, header};
use ringback_domain::delivery::access::{self, ApiKey, Basic, Bearer, Credentials};
use ringback_store::Lane;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{
    sealed::sensitive,
    services::Services,
    token::{Held, NoToken, Source},
};
use crate::outbound::{self, Identity, Own, Tls};

/// What opens an endpoint.
pub(super) struct Access {
    shown: Shown,
    /// Of its own, if it shows a certificate or believes only some.
    tls: Option<Tls>,
}

/// What requests carry.
enum Shown {
    Nothing,
    /// Always the same.
    Same(HeaderName, HeaderValue),
    /// A token that is fetched.
    Token(Source),
}

/// What one request carries.
pub(super) struct Pass {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
    token: Option<Held>,
}

impl Access {
    /// What opens the endpoint of a lane.
    ///
    /// # Errors
    /// The word that says what cannot be used.
    pub(super) fn of(
        lane: &Lane,
        access: Option<access::Access>,
        services: &Services,
    ) -> Result<Option<Access>, &'static str> {
        let Some(access) = access else { return Ok(None) };
        let tls = tls(&access, services.connector.tls())?;
        let shown = match access.credentials {
            None => Shown::Nothing,
            Some(Credentials::Bearer(Bearer { token })) => {
                Shown::Same(header::AUTHORIZATION, bearer(&token)?)
            }
            Some(Credentials::Basic(Basic { user, password })) => {
                Shown::Same(header::AUTHORIZATION, basic(&user, &password)?)
            }
            Some(Credentials::ApiKey(ApiKey { header, value })) => {
                let name = header.parse().map_err(|_| "access_unreadable")?;
                Shown::Same(name, sensitive(&value).map_err(|_| "access_unreadable")?)
            }
            Some(Credentials::Oauth2(oauth2)) => {
                Shown::Token(services.tokens.source(lane.endpoint.id.key(), oauth2))
            }
        };
        Ok(Some(Access { shown, tls }))
    }

    /// The TLS of its connections, if it is its own.
    pub(super) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// What a request carries that begins now.
    ///
    /// # Errors
    /// [`NoToken`]
    pub(super) async fn pass(
        &self,
        services: &Services,
        deadline: Instant,
    ) -> Result<Option<Pass>, NoToken> {
        Ok(match &self.shown {
            Shown::Nothing => None,
            Shown::Same(name, value) => {
                Some(Pass { name: name.clone(), value: value.clone(), token: None })
            }
            Shown::Token(source) => {
                // Boxed: to fetch one is rare, and every attempt would carry its state around.
                let held = Box::pin(source.token(services, deadline)).await?;
                let value = held.value.clone();
                Some(Pass { name: header::AUTHORIZATION, value, token: Some(held) })
            }
        })
    }
}

impl Pass {
    /// The endpoint refuses it: a token is let go of. Whether it was an old one, so that a new one
    /// may do better.
    pub(super) fn spoil(&self) -> bool {
        self.token.as_ref().is_some_and(Held::spoil)
    }
}

pub(super) fn bearer(token: &str) -> Result<HeaderValue, &'static str> {
    let value = Zeroizing::new(format!("Bearer {token}"));
    sensitive(&value).map_err(|_| "access_unreadable")
}

fn basic(user: &str, password: &str) -> Result<HeaderValue, &'static str> {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    let pair = Zeroizing::new(data_encoding::BASE64.encode(pair.as_bytes()));
    let value = Zeroizing::new(format!("Basic {}", *pair));
    sensitive(&value).map_err(|_| "access_unreadable")
}

/// TLS that shows a certificate, or believes only some.
fn tls(access: &access::Access, usual: &Tls) -> Result<Option<Tls>, &'static str> {
    if access.tls.is_none() && access.ca.is_none() {
        return Ok(None);
    }
    let roots = access.ca.as_ref().map(|ca| outbound::roots(ca.as_bytes()));
    let identity = access
        .tls
        .as_ref()
        .map(|tls| Identity::read(tls.client_certificate.as_bytes(), tls.client_key.as_bytes()));
    let own = Own {
        roots: roots.transpose().map_err(|_| "access_unreadable")?,
        identity: identity.transpose().map_err(|_| "access_unreadable")?,
    };
    usual.towards(own).map(Some).map_err(|_| "access_unreadable")
}
