//! One HTTP request to make.

use std::fmt;

use crate::provider::percent_encoded;

/// A request of ours to a provider. What is in it may be secret: only where it goes is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Ask {
    /// `GET`, `POST` …
    pub method: &'static str,
    /// Absolute, `http` or `https`.
    pub url: String,
    /// Names in lower case and values.
    pub headers: Vec<(String, String)>,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.split(['?', '#']).next().unwrap_or_default();
        f.debug_struct("Ask")
            .field("method", &self.method)
            .field("url", &url)
            .finish_non_exhaustive()
    }
}

/// How a provider takes the fields of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// As a form (RFC 6749, appendix B).
    #[default]
    Form,
    /// As an object of texts.
    Json,
}

/// A field of a request: its name and its value.
pub(super) type Pair<'a> = (&'a str, &'a str);

impl Ask {
    /// A `POST` of fields, to be answered with JSON.
    pub(super) fn post(url: &str, body: Body, fields: &[Pair<'_>]) -> Ask {
        let (content_type, body) = match body {
            Body::Form => ("application/x-www-form-urlencoded", form(fields).into_bytes()),
            Body::Json => {
                let object: serde_json::Map<_, _> =
                    fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
                ("application/json", serde_json::Value::Object(object).to_string().into_bytes())
            }
        };
        let headers = [("accept", "application/json"), ("content-type", content_type)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ask { method: "POST", url: url.to_owned(), headers: headers.into(), body }
    }

    /// The same with a header; one that it has already is replaced.
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Ask {
        self.headers.retain(|(had, _)| !had.eq_ignore_ascii_case(name));
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }
}

/// Fields as a form or a query, blanks as `%20`, which every reader of either takes.
pub(super) fn form(fields: &[Pair<'_>]) -> String {
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_may_be_secret_is_shown() {
        let ask = Ask::post("https://a.example/t?token=q-secret", Body::Form, &[("a", "b-secret")]);
        let shown = format!("{:?}", ask.with("authorization", "Bearer h-secret"));
        assert!(!shown.contains("secret") && shown.contains("https://a.example/t"), "{shown}");
    }

    #[test]
    fn what_is_escaped_is_read_back_by_every_reader() {
        let text = "a b+c%~*-._/?&=#\u{e9}\n";
        let written = form(&[(text, text)]);
        assert!(!written.contains('+') && !written.contains(' '), "{written}");
        let read: Vec<_> = url::form_urlencoded::parse(written.as_bytes()).collect();
        assert_eq!(read, [(text.into(), text.into())]);
    }
}
