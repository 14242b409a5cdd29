//! JSON that is signed: ID tokens, signed responses (JARM), request objects and client assertions.
//!
//! ```text
//!  text ─► verify (algorithm, key, signature) ─► Verified ─┬─ check_id_token ─► who it is
//!                                                          └─ check_jarm ────► what was brought
//!  claims ─► SigningKey::sign ─► text
//! ```
//!
//! Invariant: what is checked further has been verified, and by a key that fits the algorithm: that is
//! why the checks take a [`Verified`], which only [`verify`] makes.

mod claims;
mod id_token;
mod jwk;
mod jws;
mod signed_response;
mod signing_key;

pub use crate::jwa::Algorithm;
pub use claims::ClaimError;
pub use id_token::{IdTokenRules, check_id_token, check_userinfo};
pub use jwk::JwkSet;
pub use jws::{JoseError, Verified, VerifyKey, verify};
pub use signed_response::{JarmError, check_jarm};
pub use signing_key::{KeyError, SigningKey};

#[cfg(test)]
pub(super) mod published;
#[cfg(test)]
mod tests;
