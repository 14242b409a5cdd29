//! Samples: what a provider might send now, from the events in its file.

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
        let sent: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let id = self.event(&Request::new("POST", url, &sent, body.as_bytes()), None).id;
        if let Some(id) = id {
            let new = renewed(&id, random);
            body = body.replace(&id, &new);
            for (_, value) in &mut headers {
                *value = value.replace(&id, &new);
            }
        }
        if !headers.iter().any(|(name, _)| name == "content-type")
            && serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok()
        {
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

    #[test]
    fn an_id_keeps_its_shape() {
        assert_eq!(renewed("evt_rbtest0001", 0), "evt_rb11111111");
        assert_eq!(renewed("100", 8), "119");
        assert_eq!(renewed("1.2.rbtest", u64::MAX).len(), 10);
    }
}
