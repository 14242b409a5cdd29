//! Which headers of a request are forwarded and shown, and how those are kept that are not.

use data_encoding::BASE64;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

/// The most headers that are kept, and their bytes together.
const MAX_HEADERS: usize = 100;
const MAX_BYTES: usize = 16 * 1024;

/// Headers that belong to the connection (RFC 9110, 7.6.1) or that the delivery writes itself.
const OWN: [&str; 14] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "expect",
    "cookie",
    "authorization",
];

/// What stands in the place of a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// A header with its lower-case name.
pub(crate) type Header = (String, String);

/// A header as it came.
pub(crate) type Raw<'a> = (&'a str, &'a [u8]);

/// What the values are sealed as that are not shown.
pub(crate) const HIDDEN: &str = "request-headers";
/// Kept with the headers of a request, but none: the values that are not shown, sealed, in Base64.
const SEALED: &str = ":sealed";

/// All headers with lower-case names, in the order of arrival, for the judgement.
pub(crate) fn all(headers: &HeaderMap) -> Vec<Raw<'_>> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// What a delivery carries on: not what belongs to the connection, no secrets, and nothing that
/// could be mistaken for Ringback's own word.
pub(super) fn forwarded(headers: &[Raw<'_>], secret: &[&str]) -> Vec<Header> {
    let passes = |name: &str| {
        !OWN.contains(&name) && !secret.contains(&name) && !name.starts_with("ringback-")
    };
    let visible = |value: &[u8]| value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    let passing = headers.iter().filter(|(name, value)| passes(name) && visible(value));
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    bounded(passing.copied()).map(|(name, value)| (name.to_owned(), text(value))).collect()
}

/// What is shown of a request, and what is not.
pub(super) struct Shown {
    /// Everything, with secrets replaced.
    pub(super) headers: Vec<Header>,
    hidden: Hidden,
}

/// What is not shown.
#[derive(Default, Serialize, Deserialize)]
struct Hidden {
    /// Values that are shown in another way, by the place of their headers, in Base64.
    values: Vec<(usize, String)>,
    /// Whether there were more headers than are kept.
    cut: bool,
}

/// What is shown of these headers: not those with a secret name, nor those with a secret value.
pub(super) fn shown(headers: &[Raw<'_>], names: &[&str], values: &[String]) -> Shown {
    let is_secret = |name: &str, value: &[u8]| {
        ["authorization", "proxy-authorization", "cookie"].contains(&name)
            || names.contains(&name)
            || values.iter().any(|secret| secret.as_bytes() == value)
    };
    let mut shown = Shown { headers: Vec::new(), hidden: Hidden::default() };
    for (place, (name, value)) in bounded(headers.iter().copied()).enumerate() {
        let text = match is_secret(name, value) {
            true => REDACTED.to_owned(),
            false => String::from_utf8_lossy(value).into_owned(),
        };
        if text.as_bytes() != value {
            shown.hidden.values.push((place, BASE64.encode(value)));
        }
        shown.headers.push((name.to_owned(), text));
    }
    shown.hidden.cut = shown.headers.len() < headers.len();
    shown
}

/// What is shown of these headers where nobody asks for the rest again.
pub(crate) fn shown_only(headers: &[Raw<'_>], names: &[&str]) -> Vec<Header> {
    shown(headers, names, &[]).headers
}

impl Shown {
    /// The headers with what is not shown of them, so that all can be [restored].
    pub(super) fn with_hidden(
        mut self,
        seal: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> Vec<Header> {
        if self.hidden.cut || !self.hidden.values.is_empty() {
            let plain = serde_json::to_vec(&self.hidden).ok();
            if let Some(sealed) = plain.and_then(|plain| seal(&plain)) {
                self.headers.push((SEALED.to_owned(), BASE64.encode(&sealed)));
            }
        }
        self.headers
    }
}

/// Headers of a request that was kept.
pub(super) struct Restored {
    pub(super) headers: Vec<(String, Vec<u8>)>,
    /// Whether they are all there, as they came.
    pub(super) whole: bool,
}

/// The headers of a request that was kept, with what was not shown of them.
pub(super) fn restored(kept: &[Header], open: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> Restored {
    let shown = kept.iter().filter(|(name, _)| !name.starts_with(':'));
    let mut headers: Vec<_> =
        shown.map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let Some((_, sealed)) = kept.iter().find(|(name, _)| name == SEALED) else {
        let whole = headers.iter().all(|(_, value)| value != REDACTED.as_bytes());
        return Restored { headers, whole };
    };
    let sealed = BASE64.decode(sealed.as_bytes()).ok();
    let hidden = sealed.and_then(|sealed| serde_json::from_slice(&open(&sealed)?).ok());
    let Some(Hidden { values, cut }) = hidden else { return Restored { headers, whole: false } };
    let mut whole = !cut;
    for (place, value) in values {
        match (headers.get_mut(place), BASE64.decode(value.as_bytes())) {
            (Some(header), Ok(value)) => header.1 = value,
            _ => whole = false,
        }
    }
    Restored { headers, whole }
}

/// What is sealed among the headers of a request that was kept, as the store has them.
pub(crate) fn sealed_of(kept: &[u8]) -> Option<Vec<u8>> {
    let kept: Vec<Header> = serde_json::from_slice(kept).ok()?;
    let (_, sealed) = kept.iter().find(|(name, _)| name == SEALED)?;
    BASE64.decode(sealed.as_bytes()).ok()
}

/// The same headers with that replaced.
pub(crate) fn with_sealed(kept: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut kept: Vec<Header> = serde_json::from_slice(kept).ok()?;
    kept.iter_mut().find(|(name, _)| name == SEALED)?.1 = BASE64.encode(sealed);
    serde_json::to_vec(&kept).ok()
}

fn bounded<'a>(headers: impl Iterator<Item = Raw<'a>>) -> impl Iterator<Item = Raw<'a>> {
    let mut bytes = 0;
    headers.take(MAX_HEADERS).take_while(move |(name, value)| {
        bytes += name.len() + value.len();
        bytes <= MAX_BYTES
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: [Raw<'static>; 7] = [
        ("host", b"x"),
        ("authorization", b"Bearer rb-test"),
        ("x-gitlab-token", b"rb-test"),
        ("x-gitlab-event", b"Push Hook"),
        ("ringback-verdict", b"verified"),
        ("x-latin", b"caf\xe9"),
        ("content-type", b"application/json"),
    ];

    #[test]
    fn secrets_and_framing_stay_here() {
        let kept = forwarded(&SENT, &["x-gitlab-token"]);
        let names: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-gitlab-event", "content-type"]);
        let shown = shown(&SENT, &["x-gitlab-token"], &[]).headers;
        let value = |name: &str| shown.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(value("x-gitlab-token"), Some(REDACTED));
        assert_eq!(value("authorization"), Some(REDACTED));
        assert_eq!(value("x-gitlab-event"), Some("Push Hook"));
    }

    #[test]
    fn what_is_not_shown_is_restored() {
        let mark = |text: &[u8]| Some(text.iter().map(|byte| byte ^ 1).collect());
        let kept = shown(&SENT, &["x-gitlab-token"], &[]).with_hidden(mark);
        assert!(!format!("{kept:?}").contains("rb-test"));
        let back = restored(&kept, mark);
        let headers: Vec<Raw<'_>> = back.headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert!(back.whole);
        assert_eq!(headers, SENT);
        // Under another key, or kept without it, some are missing.
        assert!(!restored(&kept, |_| None).whole);
        assert!(!restored(&kept[..7], mark).whole);
        // What is all shown needs no key.
        let plain = shown(&SENT[3..5], &[], &[]).with_hidden(|_| None);
        assert!(restored(&plain, |_| None).whole);
        // More than is kept.
        let long = vec![b'x'; MAX_BYTES];
        let cut = shown(&[("a", b"1"), ("b", &long)], &[], &[]).with_hidden(mark);
        assert!(!restored(&cut, mark).whole);
    }
}
