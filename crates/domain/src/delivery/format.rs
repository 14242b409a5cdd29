//! What a message looks like in the request: its body, its content type, its headers.

use serde::{Deserialize, Serialize};

use super::{
    cloudevents,
    form::{self, Unfit},
    plain::{Plain, essence_of},
};

/// The content type of a message that names none.
pub(super) const JSON: &str = "application/json";
/// The content type of bytes about which nothing else is known.
const BYTES: &str = "application/octet-stream";

/// What requests look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The payload as it is, as Standard Webhooks has it.
    #[default]
    Standard,
    /// A CloudEvent whose attributes stand in the body, around the payload.
    Cloudevents,
    /// A CloudEvent whose attributes stand in headers; the body is the payload as it is.
    CloudeventsBinary,
    /// What a browser makes of a form: an object's fields, one after the other.
    Form,
    /// The payload as it is, under another content type.
    Raw,
}

/// How an endpoint wants its requests to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// What they look like.
    pub format: Format,
    /// Of [`Format::Raw`], the content type.
    pub content_type: Option<String>,
    /// Of a CloudEvent, where it happened.
    pub source: Option<String>,
}

/// A message in its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shaped {
    /// The body; the payload itself if there is none here.
    pub body: Option<Vec<u8>>,
    /// Its content type.
    pub content_type: String,
    /// Headers that belong to the shape.
    pub headers: Vec<(&'static str, String)>,
}

impl Shape {
    /// What this shape calls a payload that came with this content type.
    pub fn content_type<'a>(&'a self, came_with: Option<&'a str>) -> &'a str {
        match self.format {
            Format::Raw => self.content_type.as_deref().unwrap_or(BYTES),
            _ => came_with.unwrap_or(JSON),
        }
    }

    /// Gives a message this shape.
    ///
    /// # Errors
    /// [`Unfit`]: it cannot have it.
    pub fn of(&self, plain: &Plain<'_>) -> Result<Shaped, Unfit> {
        let content_type = plain.content_type.unwrap_or(JSON);
        let as_is = |content_type: &str| Shaped {
            body: None,
            content_type: content_type.to_owned(),
            headers: Vec::new(),
        };
        let plain = Plain { source: self.source.as_deref().unwrap_or(plain.source), ..*plain };
        Ok(match self.format {
            Format::Standard => as_is(content_type),
            Format::Raw => as_is(self.content_type(None)),
            Format::Cloudevents => Shaped {
                body: Some(cloudevents::structured(&plain, content_type)),
                ..as_is(cloudevents::STRUCTURED)
            },
            Format::CloudeventsBinary => {
                Shaped { headers: cloudevents::attributes(&plain), ..as_is(content_type) }
            }
            // What is a form already stays one.
            Format::Form if is(content_type, form::CONTENT_TYPE) => as_is(content_type),
            Format::Form => {
                Shaped { body: Some(form::encode(plain.body)?), ..as_is(form::CONTENT_TYPE) }
            }
        })
    }
}

/// Whether a content type is this one, whatever its parameters.
fn is(content_type: &str, essence: &str) -> bool {
    essence_of(content_type).eq_ignore_ascii_case(essence)
}

#[cfg(test)]
mod tests {
    use super::{super::plain::PLAIN, *};

    fn shaped(format: Format) -> Shaped {
        Shape { format, ..Shape::default() }.of(&PLAIN).unwrap()
    }

    #[test]
    fn the_payload_stays_as_it_is_unless_something_is_made_of_it() {
        for (format, content_type) in [
            (Format::Standard, "application/json"),
            (Format::CloudeventsBinary, "application/json"),
            (Format::Raw, "application/octet-stream"),
        ] {
            let shaped = shaped(format);
            assert_eq!((shaped.body, shaped.content_type.as_str()), (None, content_type));
        }
        let content_type = Some("text/csv; header=absent".to_owned());
        let raw = Shape { format: Format::Raw, content_type, source: None };
        assert_eq!(raw.of(&PLAIN).unwrap().content_type, "text/csv; header=absent");
    }

    #[test]
    fn a_form_stays_a_form() {
        let content_type = Some("application/x-www-form-urlencoded; charset=utf-8");
        let form = Shape { format: Format::Form, ..Shape::default() };
        let shaped = form.of(&Plain { content_type, body: b"a=1", ..PLAIN }).unwrap();
        assert_eq!(shaped.body, None);
        let shaped = form.of(&PLAIN).unwrap();
        assert_eq!(shaped.body.as_deref(), Some(&b"a=1.50"[..]));
        assert_eq!(shaped.content_type, form::CONTENT_TYPE);
        assert_eq!(form.of(&Plain { body: b"[1]", ..PLAIN }), Err(Unfit::NoObject));
    }

    #[test]
    fn the_endpoints_source_comes_before_the_usual_one() {
        let source = |source: Option<&str>| {
            let source = source.map(str::to_owned);
            let shape = Shape { format: Format::CloudeventsBinary, content_type: None, source };
            let headers = shape.of(&PLAIN).unwrap().headers;
            headers.into_iter().find(|(name, _)| *name == "ce-source").unwrap().1
        };
        assert_eq!(source(None), "/app/app_1");
        assert_eq!(source(Some("https://shop.example")), "https://shop.example");
    }
}
