//! Deliveries signed in a provider's own style, beside ours: a handler that was written for the
//! provider verifies them with the provider's library and the endpoint's secret.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use ringback_domain::{
    provider::{self, Provider},
    time::Timestamp,
};
use zeroize::Zeroizing;

/// Finds a provider by its id, as its file is now.
pub type Providers = Arc<dyn Fn(&str) -> Option<Arc<Provider>> + Send + Sync>;

/// Whose style, where to, and with what.
#[derive(Clone)]
pub(super) struct Style {
    pub(super) providers: Providers,
    pub(super) provider: String,
    /// The URL that the endpoint is known by, for those who sign it.
    pub(super) url: String,
    pub(super) secret: Zeroizing<String>,
}

/// What a request begins with.
pub(super) struct Line<'a> {
    pub(super) method: &'a str,
    /// Where it goes, if that is not the endpoint's URL.
    pub(super) url: Option<&'a str>,
}

impl Style {
    /// Adds the provider's proof to the headers of a request, made at `now`. One that is there (of
    /// the request that a source got) is replaced; whatever else the provider signs stays.
    ///
    /// # Errors
    /// A word that says why there is none: to send without it would look like a forgery.
    pub(super) fn sign(
        &self,
        line: Line<'_>,
        headers: &mut HeaderMap,
        id: &str,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<(), &'static str> {
        let provider = (self.providers)(&self.provider).ok_or("sign_as_unknown")?;
        let settings = provider.settings_of(&self.secret).map_err(|_| "sign_as_secret")?;
        let url = line.url.unwrap_or(&self.url);
        let made = {
            let sent = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            let sent: Vec<_> = sent.collect();
            let request = provider::Request::new(line.method, url, &sent, payload);
            provider.sign(&request, &settings, id, now).map_err(|_| "sign_as_impossible")?
        };
        let old: Vec<HeaderName> =
            headers.keys().filter(|name| provider.is_proof(name.as_str())).cloned().collect();
        for name in old {
            headers.remove(name);
        }
        for (name, value) in made {
            let pair = (HeaderName::try_from(name), HeaderValue::try_from(value));
            let (Ok(name), Ok(value)) = pair else { return Err("sign_as_impossible") };
            headers.insert(name, value);
        }
        Ok(())
    }
}
