//! Signing anew, as the provider does, with a secret that the application on this machine knows.

use std::collections::HashSet;

use ringback_domain::provider::{Provider, Request};
use ringback_domain::time::Timestamp;

use super::event::{Event, Headers};
use crate::receive::catalog::Catalog;

/// Whoever signs.
pub(super) struct Signer {
    catalog: Catalog,
    secret: String,
    /// Providers of which it was said that it cannot be done.
    told: HashSet<String>,
}

impl Signer {
    pub(super) fn new(catalog: Catalog, secret: String) -> Self {
        Self { catalog, secret, told: HashSet::new() }
    }

    /// The event with a proof made now for this URL; or why there is none, said once for a
    /// provider, and the event as it came.
    pub(super) fn sign(
        &mut self,
        event: Event,
        url: &str,
        now: Timestamp,
    ) -> (Event, Option<String>) {
        let signed = match self.catalog.get(&event.provider) {
            Some(provider) => headers(&provider, &self.secret, &event, url, now),
            None => Err(format!("there is no provider {:?}", event.provider)),
        };
        match signed {
            Ok(headers) => (Event { headers, ..event }, None),
            Err(why) => {
                let is_new = self.told.insert(event.provider.clone());
                let why = format!("events of {} go on as they came: {why}", event.provider);
                (event, is_new.then_some(why))
            }
        }
    }
}

/// The headers, with the new proof in place of the old one.
fn headers(
    provider: &Provider,
    secret: &str,
    event: &Event,
    url: &str,
    now: Timestamp,
) -> Result<Headers, String> {
    let settings = provider.settings_of(secret).map_err(|error| error.to_string())?;
    let lower: Headers = event
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect();
    let borrowed: Vec<_> =
        lower.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let id = event.event_id.as_deref().unwrap_or(&event.id);
    let request = Request::new(&event.method, url, &borrowed, &event.body);
    let made = provider.sign(&request, &settings, id, now).map_err(|error| error.to_string())?;
    let is_replaced =
        |name: &str| provider.is_proof(name) || made.iter().any(|(one, _)| one == name);
    let mut headers: Headers =
        lower.iter().filter(|(name, _)| !is_replaced(name)).cloned().collect();
    headers.extend(made);
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use ringback_domain::provider::vector::WireRequest;

    use super::super::sample::event;
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const URL: &str = "http://localhost:3000/";

    #[test]
    fn what_is_signed_anew_verifies_and_the_rest_stays() {
        let mut signer = Signer::new(Catalog::open(None).unwrap(), "made-up-secret".to_owned());
        let old = ("x-hub-signature-256".to_owned(), "sha256=00".to_owned());
        let kind = ("X-GitHub-Event".to_owned(), "push".to_owned());
        let event = Event { headers: vec![old, kind], ..event("msg_1") };
        let (signed, told) = signer.sign(event, URL, NOW);
        assert_eq!(told, None);
        let named = ("x-github-event".to_owned(), "push".to_owned());
        assert!(signed.headers.contains(&named), "{:?}", signed.headers);
        let request = WireRequest {
            method: "POST".to_owned(),
            url: Some(URL.to_owned()),
            headers: signed.headers.into_iter().collect(),
            body: "{\"a\":1}".to_owned(),
            body_base64: None,
        };
        let provider = Catalog::open(None).unwrap().get("github").unwrap();
        let settings = provider.settings_of("made-up-secret").unwrap();
        let judged = request.judge(&provider, &settings, None, None, NOW).unwrap();
        assert!(judged.is_valid(), "{judged:?}");
    }

    #[test]
    fn what_cannot_be_signed_is_told_once() {
        let mut signer = Signer::new(Catalog::open(None).unwrap(), "made-up-secret".to_owned());
        let unknown = Event { provider: "nobody".to_owned(), ..event("msg_1") };
        let (same, told) = signer.sign(unknown.clone(), URL, NOW);
        assert_eq!(same, unknown);
        assert!(told.unwrap().contains("nobody"));
        assert_eq!(signer.sign(unknown, URL, NOW).1, None);
    }
}
