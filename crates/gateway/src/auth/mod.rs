//! Who is calling: a bearer token names an environment.
//!
//! Only the SHA-256 of a token is kept, in the store and here. What the store said is remembered
//! for [`REMEMBERED`], so a token that another process revokes stops working within that time, and
//! one that this process revokes stops at once ([`Authenticator::forget`]).
//!
//! Invariants: cookies are never looked at; what is remembered is bounded, and unknown tokens can
//! never push known ones out of memory.

mod cache;

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use ringback_domain::{
    id::{Key, TokenId},
    time::Timestamp,
    token,
};
use ringback_store::{Store, TokenRow, Unavailable};

use cache::Cache;

/// How long an answer of the store is believed: half of the 5 s within which a revocation counts.
pub const REMEMBERED: Duration = Duration::from_millis(2_500);

/// Whom a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The environment that its holder may use.
    pub environment: Key,
    /// The token; none for the bootstrap token.
    pub token: Option<TokenId>,
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
    /// The store cannot be asked.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
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
    bootstrap: Option<Bootstrap>,
    cache: Cache,
}

impl Authenticator {
    /// Asks `store` for every token but the bootstrap token.
    pub fn new(store: Arc<dyn Store>, bootstrap: Option<Bootstrap>) -> Authenticator {
        Authenticator { store, bootstrap, cache: Cache::default() }
    }

    /// Whom the holder of this `Authorization` header is.
    ///
    /// # Errors
    /// [`AuthError`] says whether there is no token, a wrong one, or nobody to ask.
    pub async fn authenticate(
        &self,
        header: Option<&HeaderValue>,
        now: Timestamp,
    ) -> Result<Identity, AuthError> {
        let hash = token::hash(bearer(header).ok_or(AuthError::Missing)?);
        if let Some(known) = self.known(&hash, now) {
            return known;
        }
        let asked = self.cache.begin();
        let row = self.store.token_by_hash(hash).await?;
        let identity = row.and_then(|row| identity(&row));
        self.cache.learn(asked, hash, identity, now);
        valid(identity, now)
    }

    /// Forgets what was remembered: the next request asks the store. To be called after a
    /// revocation.
    pub fn forget(&self) {
        self.cache.clear();
    }

    fn known(&self, hash: &[u8; 32], now: Timestamp) -> Option<Result<Identity, AuthError>> {
        if let Some(bootstrap) = self.bootstrap.filter(|bootstrap| bootstrap.hash == *hash) {
            let environment = bootstrap.environment;
            return Some(Ok(Identity { environment, token: None, expires_at: None }));
        }
        self.cache.get(hash, now).map(|identity| valid(identity, now))
    }
}

/// The token of an `Authorization: Bearer …` header (RFC 6750, section 2.1).
pub fn bearer(header: Option<&HeaderValue>) -> Option<&str> {
    let (scheme, token) = header?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

fn identity(row: &TokenRow) -> Option<Identity> {
    let TokenRow { id, environment, expires_at, .. } = *row;
    row.revoked_at.is_none().then_some(Identity { environment, token: Some(id), expires_at })
}

fn valid(identity: Option<Identity>, now: Timestamp) -> Result<Identity, AuthError> {
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
        let identity =
            |end| Some(Identity { environment: 1, token: None, expires_at: Some(Timestamp(end)) });
        assert!(valid(identity(10), Timestamp(9)).is_ok());
        assert_eq!(valid(identity(10), Timestamp(10)), Err(AuthError::Invalid));
        assert_eq!(valid(None, Timestamp(0)), Err(AuthError::Invalid));
    }
}
