//! Secrets on their way to the store and back.

use std::sync::Arc;

use ringback_domain::seal::Keyring;
use zeroize::Zeroizing;

use super::error::Error;
use crate::seam::Entropy;

pub(super) use ringback_domain::seal::Context;

/// What an endpoint's signing secrets are sealed as: the text of the key (`whsec_…`, `whsk_…`).
pub(crate) const SECRET: &str = "endpoint-secret";
/// What an endpoint's custom headers are sealed as: a JSON object of names and values.
pub(crate) const HEADERS: &str = "endpoint-headers";
/// What the credentials of an endpoint's URL are sealed as: the value of its `Authorization`
/// header.
pub(crate) const CREDENTIALS: &str = "endpoint-credentials";
/// What an endpoint's transformation is sealed as: its JSON.
pub(crate) use crate::transform::PURPOSE as TRANSFORMATION;
/// What opens an endpoint is sealed as: its JSON.
pub(crate) use ringback_domain::delivery::access::PURPOSE as ACCESS;

/// Seals with fresh nonces, and opens.
#[derive(Clone)]
pub(super) struct Vault {
    keyring: Arc<Keyring>,
    entropy: Arc<dyn Entropy>,
}

impl Vault {
    pub(super) fn new(keyring: Arc<Keyring>, entropy: Arc<dyn Entropy>) -> Vault {
        Vault { keyring, entropy }
    }

    /// # Errors
    /// 500: see [`Keyring::seal`].
    pub(super) fn seal(&self, place: &Context<'_>, plain: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.keyring.seal(self.entropy.bytes(), place, plain)?)
    }

    /// # Errors
    /// 500: see [`Keyring::open`].
    pub(super) fn open(
        &self,
        place: &Context<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        Ok(self.keyring.open(place, sealed)?)
    }
}

#[cfg(test)]
mod for_test {
    use ringback_domain::seal::MasterKey;

    use super::*;

    struct Zeros;

    impl Entropy for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    impl Vault {
        /// With a made-up key.
        pub(in crate::api) fn for_test() -> Vault {
            let keyring = Keyring::new(&MasterKey::new([7; 32]), []);
            Vault::new(Arc::new(keyring), Arc::new(Zeros))
        }
    }
}
