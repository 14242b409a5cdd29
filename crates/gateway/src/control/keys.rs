//! What an operator does with the keys that seal secrets.

use super::{KeyInfo, Response, tokens::Refusal};
use crate::keyring::{Rotation, Use};

/// The keys, and how much each is needed for.
pub(super) async fn list(keys: &Rotation) -> Result<Response, Refusal> {
    let uses = keys.list().await?;
    Ok(Response::Keys(uses.into_iter().map(KeyInfo::from).collect()))
}

/// A new key, which seals from now on.
pub(super) async fn rotate(keys: &Rotation) -> Result<Response, Refusal> {
    let id = keys.rotate().await?.to_string();
    Ok(Response::Rotated { id })
}

/// The end of the old ones.
pub(super) async fn retire(keys: &Rotation) -> Result<Response, Refusal> {
    let ids: Vec<_> = keys.retire().await?.iter().map(ToString::to_string).collect();
    Ok(Response::Retired { ids })
}

impl From<Use> for KeyInfo {
    fn from(Use { id, seals, at_hand, values, answers }: Use) -> KeyInfo {
        KeyInfo { id: id.to_string(), seals, at_hand, values, answers }
    }
}
