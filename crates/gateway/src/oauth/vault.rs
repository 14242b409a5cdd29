//! Secrets on their way to the store and back, as JSON.

use ringback_domain::seal::Context;
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::{Oauth, Trouble};

impl Oauth {
    /// What is kept of a secret value; it opens at its place and nowhere else.
    pub(super) fn seal(
        &self,
        place: &Context<'_>,
        value: &impl Serialize,
    ) -> Result<Vec<u8>, Trouble> {
        let text = serde_json::to_vec(value).map(Zeroizing::new);
        let text = text.map_err(|error| Trouble::internal("a secret cannot be kept", error))?;
        let random = self.parts().world.entropy.bytes();
        let sealed = self.parts().keyring.seal(random, place, &text);
        sealed.map_err(|error| Trouble::internal("a secret cannot be sealed", error))
    }

    /// The secret value that was kept at a place.
    pub(super) fn open<T: DeserializeOwned>(
        &self,
        place: &Context<'_>,
        sealed: &[u8],
    ) -> Result<T, Trouble> {
        let opened = self.parts().keyring.open(place, sealed);
        let opened =
            opened.map_err(|error| Trouble::internal("a secret cannot be opened", error))?;
        serde_json::from_slice(&opened)
            .map_err(|error| Trouble::internal("what was sealed is no longer read", error))
    }
}
