//! Which headers of a request are kept and forwarded.

use http::HeaderMap;

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
const REDACTED: &str = "[redacted]";

/// A header with its lower-case name.
pub(super) type Header = (String, String);

/// All headers with lower-case names, in the order of arrival, for the judgement.
pub(super) fn all(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// What a delivery carries on: not what belongs to the connection, no secrets, and nothing that
/// could be mistaken for Ringback's own word.
pub(super) fn forwarded(headers: &HeaderMap, secret: &[&str]) -> Vec<Header> {
    let passes = |name: &str| {
        !OWN.contains(&name) && !secret.contains(&name) && !name.starts_with("ringback-")
    };
    bounded(headers.iter().filter_map(|(name, value)| {
        let name = name.as_str();
        let value = value.to_str().ok()?;
        passes(name).then(|| (name.to_owned(), value.to_owned()))
    }))
}

/// What is shown of a request: everything, with secrets replaced.
pub(super) fn shown(headers: &HeaderMap, secret: &[&str]) -> Vec<Header> {
    let is_secret = |name: &str| {
        ["authorization", "proxy-authorization", "cookie"].contains(&name) || secret.contains(&name)
    };
    bounded(headers.iter().map(|(name, value)| {
        let name = name.as_str();
        let value = match value.to_str() {
            _ if is_secret(name) => REDACTED.to_owned(),
            Ok(text) => text.to_owned(),
            Err(_) => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        (name.to_owned(), value)
    }))
}

fn bounded(headers: impl Iterator<Item = Header>) -> Vec<Header> {
    let mut bytes = 0;
    headers
        .take(MAX_HEADERS)
        .take_while(|(name, value)| {
            bytes += name.len() + value.len();
            bytes <= MAX_BYTES
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    #[test]
    fn secrets_and_framing_stay_here() {
        let sent = headers(&[
            ("host", "x"),
            ("authorization", "Bearer rb-test"),
            ("x-gitlab-token", "rb-test"),
            ("x-gitlab-event", "Push Hook"),
            ("ringback-verdict", "verified"),
            ("content-type", "application/json"),
        ]);
        let names = |headers: Vec<Header>| -> Vec<String> {
            headers.into_iter().map(|(name, _)| name).collect()
        };
        let kept = names(forwarded(&sent, &["x-gitlab-token"]));
        assert_eq!(kept, ["x-gitlab-event", "content-type"]);
        let shown = shown(&sent, &["x-gitlab-token"]);
        let value = |name: &str| shown.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(value("x-gitlab-token"), Some(REDACTED));
        assert_eq!(value("authorization"), Some(REDACTED));
        assert_eq!(value("x-gitlab-event"), Some("Push Hook"));
    }
}
