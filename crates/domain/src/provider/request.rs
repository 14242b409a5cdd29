//! What arrived, as the rules of a provider see it.

use std::borrow::Cow;
use std::sync::OnceLock;

/// A request to a source.
#[derive(Debug)]
pub struct Request<'a> {
    /// `POST`, `GET` …
    pub method: &'a str,
    /// The public URL as it is registered with the provider, with the query of this request. Never
    /// put together from the `Host` header.
    pub url: &'a str,
    /// Names in lower case, in the order of arrival.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The bytes as they arrived.
    pub body: &'a [u8],
    text: Option<&'a str>,
    form: OnceLock<Vec<(String, String)>>,
}

impl<'a> Request<'a> {
    /// A request; forms are not parsed before they are asked for.
    pub fn new(
        method: &'a str,
        url: &'a str,
        headers: &'a [(&'a str, &'a [u8])],
        body: &'a [u8],
    ) -> Self {
        let text = std::str::from_utf8(body).ok();
        Self { method, url, headers, body, text, form: OnceLock::new() }
    }

    /// The same request with another body, to find out what happened to the one that arrived.
    pub(super) fn with_body<'b>(&'b self, body: &'b [u8]) -> Request<'b> {
        Request::new(self.method, self.url, self.headers, body)
    }

    /// The body, if it is UTF-8.
    pub(super) fn text(&self) -> Option<&'a str> {
        self.text
    }

    /// A header by its lower-case name; several of one name are joined by a comma (RFC 9110, 5.3).
    pub(super) fn header(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let mut found = self.headers.iter().filter(|(n, _)| *n == name).map(|(_, value)| *value);
        let first = found.next()?;
        let mut joined = Cow::Borrowed(first);
        for next in found {
            let whole = joined.to_mut();
            whole.push(b',');
            whole.extend_from_slice(next);
        }
        Some(joined)
    }

    /// The path of the URL.
    pub(super) fn path(&self) -> &'a str {
        let rest = split_url(self.url).map_or(self.url, |(_, _, rest)| rest);
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        if path.is_empty() { "/" } else { path }
    }

    /// The query as it was sent.
    pub(super) fn query(&self) -> Option<&'a str> {
        self.url.split_once('?').map(|(_, query)| query)
    }

    /// The host and port of the URL.
    pub(super) fn authority(&self) -> Option<&'a str> {
        split_url(self.url).map(|(_, authority, _)| authority)
    }

    /// The first field of that name in the query, decoded.
    pub(super) fn query_field(&self, name: &str) -> Option<Cow<'a, str>> {
        url::form_urlencoded::parse(self.query()?.as_bytes())
            .find(|(found, _)| found == name)
            .map(|(_, value)| value)
    }

    /// The first field of that name in a form body, decoded.
    pub(super) fn form_field(&self, name: &str) -> Option<&str> {
        self.form().iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Whether the body says that it is a form.
    pub(super) fn is_form(&self) -> bool {
        let kind = self.header("content-type").unwrap_or_default();
        let start = kind.trim_ascii_start().get(..FORM.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(FORM))
    }

    /// The fields of a form body, decoded, in the order of arrival.
    pub(super) fn form(&self) -> &[(String, String)] {
        self.form.get_or_init(|| {
            if !self.is_form() {
                return Vec::new();
            }
            url::form_urlencoded::parse(self.body).into_owned().collect()
        })
    }
}

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// Scheme, authority and the rest of an absolute URL, each as it is written.
pub(super) fn split_url(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some((scheme, &rest[..end], &rest[end..]))
}
