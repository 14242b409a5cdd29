//! Samples: what a provider might send now, from the events in its file.

use std::fmt::Write as _;

use super::definition::{Provider, Sample};
use super::request::Request;
use super::vector::WireRequest;

/// Says of a request that it is a sample; it goes on to the endpoints.
pub const SAMPLE_HEADER: &str = "x-ringback-sample";

/// Characters of an event's id that are made anew.
const RENEWED: usize = 8;

impl Provider {
    /// The sample of this event, or the first one.
    pub fn sample(&self, event: Option<&str>) -> Option<&Sample> {
        self.samples.iter().find(|sample| event.is_none_or(|event| sample.event == event))
    }

    /// The sample as a request to `url`, not signed yet. Where the event's id stands in it, it
    /// becomes another one by `random`, so that no sample is a duplicate of the one before.
    pub fn request_of(&self, sample: &Sample, url: &str, random: u64) -> WireRequest {
        let headers = sample.headers.iter();
        let mut headers: Vec<(String, String)> =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        let mut body = sample.body.clone();
        if let Some(id) = self.id_of(url, &headers, &body) {
            self.renew(&id, url, (&mut headers, &mut body), random);
        }
        if !headers.iter().any(|(name, _)| name == "content-type") && is_json(&body) {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        headers.push((SAMPLE_HEADER.to_owned(), "1".to_owned()));
        WireRequest {
            method: "POST".to_owned(),
            url: Some(url.to_owned()),
            headers: headers.into_iter().collect(),
            body,
            body_base64: None,
        }
    }
}

impl Provider {
    /// A recorded request as another event: its id becomes another one by `random`, wherever it
    /// stands. One without an id, or whose body is not text, stays as it is.
    pub fn renewed(&self, request: WireRequest, random: u64) -> WireRequest {
        let url = request.url.clone().unwrap_or_default();
        let headers = request.headers.iter();
        let mut headers: Vec<_> =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        let mut body = request.body.clone();
        let id = self.id_of(&url, &headers, &body).filter(|_| request.body_base64.is_none());
        let Some(id) = id else { return request };
        self.renew(&id, &url, (&mut headers, &mut body), random);
        WireRequest { headers: headers.into_iter().collect(), body, ..request }
    }
}

fn is_json(body: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok()
}

impl Provider {
    fn id_of(&self, url: &str, headers: &[(String, String)], body: &str) -> Option<String> {
        let sent: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        self.event(&Request::new("POST", url, &sent, body.as_bytes()), None).id
    }

    /// Makes another event of a request: with another id, or another part of one that is made of
    /// several, or, where it is a hash of the body, another body.
    fn renew(
        &self,
        id: &str,
        url: &str,
        (headers, body): (&mut Vec<(String, String)>, &mut String),
        random: u64,
    ) {
        let parts = id.split(|c: char| !c.is_alphanumeric() && c != '_');
        for part in [id].into_iter().chain(parts.rev()).filter(|part| !part.is_empty()) {
            let new = renewed(part, random);
            let changed: Vec<_> = headers
                .iter()
                .map(|(name, value)| (name.clone(), value.replace(part, &new)))
                .collect();
            let other = body.replace(part, &new);
            if self.id_of(url, &changed, &other).is_some_and(|other| other != id) {
                (*headers, *body) = (changed, other);
                return;
            }
        }
        // White space at the end of JSON says nothing, and is part of what is hashed.
        if is_json(body) {
            let bits = (0..u64::BITS).map(|bit| if random >> bit & 1 == 0 { ' ' } else { '\n' });
            body.extend(bits);
        } else if body.contains('=') {
            // A form, in which one field more is passed over.
            let _ = write!(body, "&ringback_sample={random:x}");
        }
    }
}

/// The id with other digits at its end: as long, and still a number if it was one.
fn renewed(id: &str, mut random: u64) -> String {
    let mut letters: Vec<char> = id.chars().collect();
    for letter in letters.iter_mut().rev().filter(|c| c.is_ascii_alphanumeric()).take(RENEWED) {
        // No zero, as a number does not begin with one.
        *letter = char::from(b'1' + (random % 9) as u8);
        random /= 9;
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No sample is a duplicate of the one before, but for those whose event is one opaque word.
    #[test]
    fn every_sample_is_an_event_of_its_own() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../providers");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let (mut seen, mut same) = (0, std::collections::BTreeSet::new());
        for path in files.filter(|path| path.extension().is_some_and(|end| end == "toml")) {
            let provider = Provider::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
            assert!(!provider.samples.is_empty(), "{} has no sample", provider.id);
            for sample in &provider.samples {
                let url = "https://example.com/in/made-up";
                let id = |random| {
                    let WireRequest { headers, body, .. } =
                        provider.request_of(sample, url, random);
                    let headers: Vec<_> = headers.into_iter().collect();
                    provider.id_of(url, &headers, &body)
                };
                let (first, second) = (id(1), id(2));
                seen += usize::from(first.is_some());
                if first.is_some() && first == second {
                    same.insert(provider.id.clone());
                }
            }
        }
        assert!(seen > 100, "{seen}");
        assert!(same.iter().eq(["braintree"]), "{same:?}");
    }

    #[test]
    fn an_id_keeps_its_shape() {
        assert_eq!(renewed("evt_rbtest0001", 0), "evt_rb11111111");
        assert_eq!(renewed("100", 8), "119");
        assert_eq!(renewed("1.2.rbtest", u64::MAX).len(), 10);
    }
}
