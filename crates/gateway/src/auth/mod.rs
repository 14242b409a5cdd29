//! Who is calling, and what they may do: a bearer token names an environment and grants a role.
//!
//! [`Authenticator::admit`] is the one place where a request is let in, whichever router has it:
//! the token is valid, its role has the right that the route takes ([`rights`]), and the application
//! in the path is the token's own if it is confined to one.
//!
//! Only the SHA-256 of a token is kept, in the store and here. What the store said is remembered
//! for [`REMEMBERED`], so a token that another process revokes stops working within that time, and
//! one that this process revokes stops at once ([`Authenticator::forget`]).
//!
//! Invariants: cookies are never looked at; what is remembered is bounded, and unknown tokens can
//! never push known ones out of memory.

mod cache;
pub(crate) mod rights;

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Method};
use ringback_domain::{
    access::{Denied, Grant, Role},
    id::{Key, TokenId},
    scope::Reference,
    time::Timestamp,
    token,
};
use ringback_store::{ReadError, Store, TokenRow, Unavailable};

use cache::Cache;

/// How long an answer of the store is believed: half of the 5 s within which a revocation counts.
pub const REMEMBERED: Duration = Duration::from_millis(2_500);

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The environment that its holder may use.
    pub environment: Key,
    /// The token; none for the bootstrap token.
    pub token: Option<TokenId>,
    /// What the token is for, for people.
    pub name: String,
    /// Enough of the token to recognise it.
    pub hint: String,
    /// What its holder may do.
    pub grant: Grant,
    /// When the token ends.
    pub expires_at: Option<Timestamp>,
}

/// Why a caller is turned away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No `Authorization: Bearer …` header.
    #[error("a bearer token is needed")]
    Missing,
    /// Never given out, expired or revoked; which of these is not told.
    #[error("the token is not valid")]
    Invalid,
    /// The token is valid, but not for this.
    #[error("this takes a token with {needs}; this one has the role {has}")]
    Denied {
        /// What it would take.
        needs: Denied,
        /// What the token is for.
        has: Role,
    },
    /// The application is not the one that the token is confined to, or there is none.
    #[error("the application does not exist")]
    NoApplication,
    /// The store cannot be asked.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Its method.
    pub method: &'a Method,
    /// The route that it takes: a path with the names of its parameters.
    pub route: &'a str,
    /// The application that its path names.
    pub application: Option<&'a Reference>,
}

/// The token of automation: valid from the start, known from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Bootstrap {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// The environment that it opens.
    pub environment: Key,
}

/// Tells whom a token stands for.
pub struct Authenticator {
    store: Arc<dyn Store>,
    bootstrap: Option<([u8; 32], Arc<Identity>)>,
    cache: Cache,
}

impl Authenticator {
    /// Asks `store` for every token but the bootstrap token.
    pub fn new(store: Arc<dyn Store>, bootstrap: Option<Bootstrap>) -> Authenticator {
        let bootstrap = bootstrap.map(|Bootstrap { hash, environment }| {
            let identity = Identity {
                environment,
                token: None,
                name: String::new(),
                hint: "bootstrap".to_owned(),
                grant: Grant::default(),
                expires_at: None,
            };
            (hash, Arc::new(identity))
        });
        Authenticator { store, bootstrap, cache: Cache::default() }
    }

    /// Whom the holder of this `Authorization` header is, if that is somebody who may do what the
    /// request asks for.
    ///
    /// # Errors
    /// [`AuthError`] says what is missing.
    pub async fn admit(
        &self,
        header: Option<&HeaderValue>,
        wish: Wish<'_>,
        now: Timestamp,
    ) -> Result<Arc<Identity>, AuthError> {
        let identity = self.authenticate(header, now).await?;
        let permitted = identity.grant.permits(rights::of(wish.method, wish.route));
        permitted.map_err(|needs| AuthError::Denied { needs, has: identity.grant.role })?;
        if let Some(application) = wish.application {
            self.confine(&identity, application).await?;
        }
        Ok(identity)
    }

    /// For the holder of a confined token the other applications do not exist.
    async fn confine(&self, identity: &Identity, named: &Reference) -> Result<(), AuthError> {
        let Some(own) = identity.grant.application else { return Ok(()) };
        let named = match named {
            Reference::Id(id) => *id,
            Reference::Uid(_) => {
                let found = self.store.application(identity.environment, named.clone()).await;
                match found {
                    Ok(application) => application.id.0,
                    Err(ReadError::NotFound(_)) => return Err(AuthError::NoApplication),
                    Err(ReadError::Unavailable(unavailable)) => return Err(unavailable.into()),
                }
            }
        };
        let same = (named.key, named.nonce) == (own.0.key, own.0.nonce);
        if same { Ok(()) } else { Err(AuthError::NoApplication) }
    }

    async fn authenticate(
        &self,
        header: Option<&HeaderValue>,
        now: Timestamp,
    ) -> Result<Arc<Identity>, AuthError> {
        let hash = token::hash(bearer(header).ok_or(AuthError::Missing)?);
        if let Some(known) = self.known(&hash, now) {
            return known;
        }
        let asked = self.cache.begin();
        let row = self.store.token_by_hash(hash).await?;
        let identity = row.and_then(identity).map(Arc::new);
        self.cache.learn(asked, hash, identity.clone(), now);
        valid(identity, now)
    }

    /// Forgets what was remembered: the next request asks the store. To be called after a
    /// revocation.
    pub fn forget(&self) {
        self.cache.clear();
    }

    fn known(&self, hash: &[u8; 32], now: Timestamp) -> Option<Result<Arc<Identity>, AuthError>> {
        if let Some((_, identity)) = self.bootstrap.as_ref().filter(|(known, _)| known == hash) {
            return Some(Ok(Arc::clone(identity)));
        }
        self.cache.get(hash, now).map(|identity| valid(identity, now))
    }
}

/// The token of an `Authorization: Bearer …` header (RFC 6750, section 2.1).
pub fn bearer(header: Option<&HeaderValue>) -> Option<&str> {
    let (scheme, token) = header?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

fn identity(row: TokenRow) -> Option<Identity> {
    let TokenRow { id, environment, name, hint, grant, expires_at, revoked_at, .. } = row;
    let identity = Identity { environment, token: Some(id), name, hint, grant, expires_at };
    revoked_at.is_none().then_some(identity)
}

fn valid(identity: Option<Arc<Identity>>, now: Timestamp) -> Result<Arc<Identity>, AuthError> {
    identity
        .filter(|identity| identity.expires_at.is_none_or(|end| now < end))
        .ok_or(AuthError::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_header_counts() {
        for (header, expect) in [
            (Some("Bearer testsk_made-up"), Some("testsk_made-up")),
            (Some("bearer  testsk_made-up "), Some("testsk_made-up")),
            (Some("Basic dXNlcjpwYXNz"), None),
            (Some("Bearer "), None),
            (Some("testsk_made-up"), None),
            (None, None),
        ] {
            let value = header.map(HeaderValue::from_static);
            assert_eq!(bearer(value.as_ref()), expect, "{header:?}");
        }
    }

    #[test]
    fn a_token_ends_when_it_expires() {
        let identity = |end| {
            Some(Arc::new(Identity {
                environment: 1,
                token: None,
                name: String::new(),
                hint: String::new(),
                grant: Grant::default(),
                expires_at: Some(Timestamp(end)),
            }))
        };
        assert!(valid(identity(10), Timestamp(9)).is_ok());
        assert_eq!(valid(identity(10), Timestamp(10)), Err(AuthError::Invalid));
        assert_eq!(valid(None, Timestamp(0)), Err(AuthError::Invalid));
    }
}
