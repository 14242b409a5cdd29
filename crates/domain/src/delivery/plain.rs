//! A message before it has a shape.

/// What a shape is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its event type.
    pub kind: &'a str,
    /// When it was accepted, as RFC 3339.
    pub at: &'a str,
    /// What the event's source is unless the endpoint names another.
    pub source: &'a str,
    /// The content type that it came with, if it is not plain JSON.
    pub content_type: Option<&'a str>,
    /// The payload.
    pub body: &'a [u8],
}

/// A content type without its parameters.
pub(super) fn essence_of(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// An example for tests.
#[cfg(test)]
pub(super) const PLAIN: Plain<'_> = Plain {
    id: "msg_1",
    kind: "order.paid",
    at: "2026-11-21T09:30:00.000Z",
    source: "/app/app_1",
    content_type: None,
    body: br#"{"a": 1.50}"#,
};
