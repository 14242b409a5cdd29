//! One HTTP request to make.

use std::fmt;

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
