//! From an event to what a destination is sent.

use std::collections::BTreeMap;
use std::fmt;

use minijinja::Value as Seen;
use minijinja::value::Serde;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::aws;
use super::given::Given;
use super::kind::{Body, Kind, Request, Sign};
use super::mapping::{Absent, Mapping, Mistake};
use super::text;
use crate::source::TARGET_HEADER;
use crate::time::Timestamp;

/// The largest body of an event that templates look into, in bytes.
pub const SEEN: usize = 256 * 1024;

/// What templates may see of an event.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The message's id.
    pub id: &'a str,
    /// Its event type.
    pub kind: &'a str,
    /// When it arrived, milliseconds since 1970.
    pub at: i64,
    /// What its body is.
    pub content_type: Option<&'a str>,
    /// The exact bytes.
    pub body: &'a [u8],
    /// The headers that it came with, their names in lower case.
    pub headers: &'a [(String, String)],
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// `POST`.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Besides those that every request has; among them `content-type`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why nothing is sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfilled {
    /// The event does not have what the mapping asks for.
    #[error("{0}")]
    Missing(Mistake),
    /// A template cannot be filled from this event.
    #[error("{0}")]
    Template(Mistake),
    /// The destination takes no body of this size.
    #[error("{bytes} bytes, and {limit} are taken")]
    TooLarge {
        /// What it would have been.
        bytes: usize,
        /// What is taken.
        limit: usize,
    },
}

impl Unfilled {
    fn of(mistake: Mistake) -> Unfilled {
        match mistake.what {
            text::Mistake::Missing(_) => Unfilled::Missing(mistake),
            _ => Unfilled::Template(mistake),
        }
    }

    /// Of one of the kind's own templates.
    fn at(place: &str) -> impl Fn(text::Mistake) -> Unfilled {
        move |what| Unfilled::of(Mistake { place: place.to_owned(), what })
    }
}

impl Event<'_> {
    /// What templates see: `event`, `body` (JSON, or the fields of a form), `text`, `headers`.
    fn seen(&self) -> Value {
        let small = self.body.len() <= SEEN;
        let text = std::str::from_utf8(self.body).ok().filter(|_| small);
        let form = || {
            let is_form = self.content_type?.starts_with("application/x-www-form-urlencoded");
            let fields = is_form.then(|| form_urlencoded::parse(self.body).into_owned())?;
            Some(Value::Object(fields.map(|(name, value)| (name, Value::String(value))).collect()))
        };
        let body = text.and_then(|text| serde_json::from_str(text).ok().or_else(form));
        let headers = self.headers.iter().map(|(name, value)| (&**name, &**value));
        let headers: BTreeMap<&str, &str> =
            headers.filter(|(name, _)| *name != TARGET_HEADER).collect();
        let mut seen = json!({ "event": self.about(), "headers": headers });
        // What is not there is undefined, so that it is a mistake to use it.
        if let Value::Object(seen) = &mut seen {
            seen.extend(text.map(|text| ("text".to_owned(), text.into())));
            seen.extend(body.map(|body| ("body".to_owned(), body)));
        }
        seen
    }

    /// What is known without looking into it.
    fn about(&self) -> Value {
        json!({ "id": self.id, "type": self.kind, "time": self.at / 1000 })
    }
}

impl Kind {
    /// The mapping, filled: the fields that were given, and the defaults of those that were not.
    ///
    /// # Errors
    /// [`Unfilled`] if the event lacks something, or what code is to send is too large.
    pub fn fields(&self, given: &Given, event: &Event<'_>) -> Result<Value, Unfilled> {
        let seen = Seen::from(Serde(event.seen()));
        let mut fields = given.fields.fill(&seen, Absent::Missing).map_err(Unfilled::of)?;
        let Value::Object(named) = &mut fields else { return Ok(json!({})) };
        for field in &self.fields {
            let default = field.default.as_ref().filter(|_| !named.contains_key(&field.name));
            if let Some(default) = default {
                let value = default.fill(&seen, Absent::Missing).map_err(Unfilled::of)?;
                named.insert(field.name.clone(), value);
            }
        }
        // What a request holds is measured when it is made of them.
        let bytes = if self.has_code() { fields.to_string().len() } else { 0 };
        let limit = self.limits.body;
        if bytes > limit { Err(Unfilled::TooLarge { bytes, limit }) } else { Ok(fields) }
    }

    /// The request that an event becomes, signed at `now`; none for kinds that are code.
    ///
    /// # Errors
    /// [`Unfilled`] if the event lacks something, or is too large.
    pub fn fill(
        &self,
        given: &Given,
        event: &Event<'_>,
        now: Timestamp,
    ) -> Option<Result<Filled, Unfilled>> {
        let request = self.request.as_ref()?;
        let filled = self.fields(given, event).and_then(|fields| {
            let Given { settings, .. } = given;
            let seen = json!({ "settings": settings, "fields": fields, "event": event.about() });
            let filled = request.fill(&Seen::from(Serde(seen)), event)?;
            let (bytes, limit) = (filled.body.len(), self.limits.body);
            if bytes > limit {
                return Err(Unfilled::TooLarge { bytes, limit });
            }
            Ok(match request.sign {
                Some(Sign::AwsSqs) => filled.signed_for_aws(settings, now),
                None => filled,
            })
        });
        Some(filled)
    }
}

impl Request {
    fn fill(&self, seen: &Seen, event: &Event<'_>) -> Result<Filled, Unfilled> {
        let mut url = self.base.render(seen).map_err(Unfilled::at("base"))?;
        if let Some(path) = &self.path {
            url.push_str(&path.render(seen).map_err(Unfilled::at("path"))?);
        }
        let (content_type, body) = self.body.fill(seen, event)?;
        let mut headers = vec![("content-type".to_owned(), content_type.to_owned())];
        for (name, text) in &self.headers {
            let value = text.render(seen).map_err(Unfilled::at(name))?;
            // A header that came out empty is not meant.
            if !value.is_empty() {
                headers.retain(|(other, _)| other != name);
                headers.push((name.clone(), value));
            }
        }
        Ok(Filled { method: self.method.clone(), url, headers, body })
    }
}

impl Body {
    /// The content type, and the bytes.
    fn fill<'a>(&self, seen: &Seen, event: &Event<'a>) -> Result<(&'a str, Vec<u8>), Unfilled> {
        let filled = |mapping: &Mapping| mapping.fill(seen, Absent::LeftOut).map_err(Unfilled::of);
        Ok(match self {
            Body::Raw(_) => (event.content_type.unwrap_or("application/json"), event.body.to_vec()),
            Body::Json(mapping) => ("application/json", filled(mapping)?.to_string().into_bytes()),
            Body::Form(mapping) => {
                ("application/x-www-form-urlencoded", form(&filled(mapping)?).into_bytes())
            }
        })
    }
}

/// As HTTP/1.1 writes it, with the whole URL and without its version.
impl fmt::Display for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.method, self.url)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        write!(f, "\n{}", String::from_utf8_lossy(&self.body))
    }
}

impl Filled {
    /// The same with the headers that prove who sends it.
    fn signed_for_aws(mut self, settings: &BTreeMap<String, String>, now: Timestamp) -> Filled {
        let setting = |name: &str| settings.get(name).map(String::as_str).unwrap_or_default();
        let signer = aws::Signer {
            access_key_id: setting("accessKeyId"),
            secret_access_key: setting("secretAccessKey"),
            region: setting("region"),
            service: "sqs",
        };
        // What is no URL is refused where it is dialled.
        if let Ok(url) = Url::parse(&self.url) {
            let Filled { method, headers, body, .. } = &self;
            let proof = signer.sign(&aws::Request { method, url: &url, headers, body }, now);
            self.headers.extend(proof);
        }
        self
    }
}

/// An object as a form; a list is its name several times, an object within becomes `name[key]`, and
/// the one called `*` fields of its own.
fn form(value: &Value) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let mut append = |name: &str, value: &Value| match value {
        Value::Null => {}
        Value::String(text) => drop(form.append_pair(name, text)),
        other => drop(form.append_pair(name, &other.to_string())),
    };
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Array(items) => items.iter().for_each(|item| append(name, item)),
            Value::Object(fields) if name == "*" => {
                fields.iter().for_each(|(key, value)| append(key, value));
            }
            Value::Object(fields) => {
                fields.iter().for_each(|(key, value)| append(&format!("{name}[{key}]"), value));
            }
            plain => append(name, plain),
        }
    }
    form.finish()
}
