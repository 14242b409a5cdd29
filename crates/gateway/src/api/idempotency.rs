//! `Idempotency-Key` on every POST that is not a message: the same request happens once.
//!
//! The extractor [`Posted`] reads the body, finds out whether the request was answered before, and
//! if so never calls the handler. A twin that arrives while the first is under way waits for it.
//! Otherwise the handler hands [`Once::answer`] to the store call, which keeps the answer in the
//! same transaction as what was done, so that a crash cannot come between the two.
//!
//! ```text
//! stored body = 0 | body, or 1 | body sealed for (environment, fingerprint, "idempotent-response")
//! ```

mod turns;

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use ringback_domain::{idempotency::Claim, time::Timestamp};
use ringback_store::{Answer, Claimed};
use serde::de::DeserializeOwned;

use super::{
    Api, Rules,
    error::Error,
    extract::{self, Caller},
    reply,
    vault::{self, Vault},
};

pub(super) use turns::Turns;

/// The header, as it is looked up.
const HEADER: &str = "idempotency-key";

const PLAIN: u8 = 0;
const SEALED: u8 = 1;

/// The JSON body of a POST, and that it happens once.
pub(super) struct Posted<T> {
    /// The body.
    pub(super) body: T,
    /// To be asked for what the store has to keep.
    pub(super) once: Once,
}

/// A request's claim to happen once. Its twins wait until it is dropped.
pub(super) struct Once {
    claim: Option<Claim>,
    environment: i64,
    _turn: Option<turns::Turn>,
}

/// Why the handler is not called: the request is wrong, or was answered before.
pub(super) enum Answered {
    /// It is wrong.
    Wrong(Error),
    /// It was answered with this.
    Before(Response),
}

impl<E: Into<Error>> From<E> for Answered {
    fn from(error: E) -> Answered {
        Answered::Wrong(error.into())
    }
}

impl IntoResponse for Answered {
    fn into_response(self) -> Response {
        match self {
            Answered::Wrong(error) => error.into_response(),
            Answered::Before(response) => response,
        }
    }
}

impl<T: DeserializeOwned> FromRequest<Api> for Posted<T> {
    type Rejection = Answered;

    async fn from_request(request: Request, api: &Api) -> Result<Posted<T>, Answered> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, api).await?;
        let path = parts.uri.path().to_owned();
        let key = key(&parts.headers)?.map(str::to_owned);
        let Rules { body_limit, read_timeout, .. } = api.rules;
        let bytes = extract::read_body(&parts.headers, body, body_limit, read_timeout).await?;
        let once = match key {
            None => Once { claim: None, environment: caller.environment, _turn: None },
            Some(key) => claim(api, caller, &path, &key, &bytes).await?,
        };
        let body = extract::parse(&bytes, api.rules.json_depth)?;
        Ok(Posted { body, once })
    }
}

/// The request's key, if it has one.
///
/// # Errors
/// 422 when it is not ASCII. (Its length is checked with the claim.)
pub fn key(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let value = headers.get(HEADER).map(|value| value.to_str());
    value.transpose().map_err(|_| ringback_domain::idempotency::KeyError.into())
}

/// Checks a key that is claimed elsewhere.
///
/// # Errors
/// 422 when it is none.
pub(super) fn check(environment: i64, key: &str, now: Timestamp) -> Result<(), Error> {
    Ok(Claim::new(environment, "POST", "", key, b"", now).map(|_| ())?)
}

async fn claim(
    api: &Api,
    Caller { environment, now }: Caller,
    path: &str,
    key: &str,
    body: &[u8],
) -> Result<Once, Answered> {
    let claim = Claim::new(environment, "POST", path, key, body, now)?;
    let turn = api.turns.wait(claim.fingerprint).await;
    match api.store.claimed(claim, now).await? {
        None => Ok(Once { claim: Some(claim), environment, _turn: Some(turn) }),
        Some(Claimed { same_body: false, .. }) => {
            let detail = "the idempotency key was used with another request body".to_owned();
            Err(Error::Conflict { code: "idempotency_conflict", detail }.into())
        }
        Some(Claimed { status, body, .. }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            let body = opened(&api.vault, environment, &claim, &body)?;
            Err(Answered::Before(reply::rendered(status, body)))
        }
    }
}

impl Once {
    /// Of a request that may happen as often as it comes.
    pub(super) fn unclaimed(environment: i64) -> Once {
        Once { claim: None, environment, _turn: None }
    }

    /// The claim, where what follows from it is kept with a message.
    pub(super) fn claim(&self) -> Option<Claim> {
        self.claim
    }

    /// What the store keeps of this answer, in the clear.
    pub(super) fn answer(&self, status: StatusCode, body: &[u8]) -> Option<Answer> {
        let stored = [&[PLAIN], body].concat();
        self.claim.map(|claim| Answer { claim, status: status.as_u16(), body: stored })
    }

    /// What the store keeps of this answer, which holds a secret.
    pub(super) fn secret_answer(
        &self,
        vault: &Vault,
        status: StatusCode,
        body: &[u8],
    ) -> Result<Option<Answer>, Error> {
        let Some(claim) = self.claim else { return Ok(None) };
        let place = place(self.environment, &claim);
        let stored = [&[SEALED], vault.seal(&place, body)?.as_slice()].concat();
        Ok(Some(Answer { claim, status: status.as_u16(), body: stored }))
    }
}

fn opened(vault: &Vault, environment: i64, claim: &Claim, stored: &[u8]) -> Result<Bytes, Error> {
    match stored.split_first() {
        Some((&PLAIN, body)) => Ok(Bytes::copy_from_slice(body)),
        Some((&SEALED, sealed)) => {
            let body = vault.open(&place(environment, claim), sealed)?;
            Ok(Bytes::copy_from_slice(&body))
        }
        _ => Err(Error::Internal),
    }
}

/// A stored answer opens only for the claim that it was made for.
fn place(environment: i64, claim: &Claim) -> vault::Context<'static> {
    let owner = claim.fingerprint as i64;
    vault::Context { environment, owner, purpose: "idempotent-response" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_answers_come_back_and_secret_ones_are_not_readable() {
        let vault = Vault::for_test();
        let claim = Claim::new(1, "POST", "/a", "key", b"{}", Timestamp(0)).unwrap();
        let once = Once { claim: Some(claim), environment: 1, _turn: None };
        let body = br#"{"key":"whsec_made-up"}"#;

        let plain = once.answer(StatusCode::CREATED, body).unwrap();
        assert_eq!(plain.status, 201);
        assert_eq!(opened(&vault, 1, &claim, &plain.body).unwrap(), &body[..]);

        let secret = once.secret_answer(&vault, StatusCode::OK, body).unwrap().unwrap();
        assert!(!secret.body.windows(5).any(|window| window == b"whsec"));
        assert_eq!(opened(&vault, 1, &claim, &secret.body).unwrap(), &body[..]);

        let other = Claim::new(1, "POST", "/b", "key", b"{}", Timestamp(0)).unwrap();
        assert_eq!(opened(&vault, 1, &other, &secret.body), Err(Error::Internal));
        assert_eq!(opened(&vault, 2, &claim, &secret.body), Err(Error::Internal));
    }

    #[test]
    fn without_a_key_nothing_is_kept() {
        let once = Once { claim: None, environment: 1, _turn: None };
        assert!(once.answer(StatusCode::CREATED, b"{}").is_none());
    }
}
