//! What of a message a filter can look at.

use serde_json::{Map, Value, map::Entry};
use url::form_urlencoded;

use super::{BODY_BYTES, pattern::Part};
use crate::json;

/// Deeper than this the JSON reader gives up.
const READABLE_DEPTH: usize = 127;

/// A message as a filter sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event<'a> {
    /// Names and values, names in any case.
    pub headers: &'a [(String, String)],
    /// The content type of the body; JSON when absent.
    pub content_type: Option<&'a str>,
    /// The exact bytes.
    pub body: &'a [u8],
    /// Path and query below the URL that it came to, where it is known: `/orders?dry=1`.
    pub target: Option<&'a str>,
}

/// A body that would cost too much to read.
#[derive(Debug)]
pub(super) struct TooMuch;

/// The parts of an event as values. Each is made when it is first asked for: most filters look at
/// the body only, and some never do.
pub(super) struct Parts<'a> {
    event: Event<'a>,
    made: [Option<Option<Value>>; 4],
}

impl<'a> Parts<'a> {
    pub(super) fn new(event: Event<'a>) -> Parts<'a> {
        Parts { event, made: [const { None }; 4] }
    }

    /// The value of a part; absent if the message has none.
    pub(super) fn get(&mut self, part: Part) -> Result<Option<&Value>, TooMuch> {
        let made = &mut self.made[part as usize];
        if made.is_none() {
            *made = Some(self.event.part(part)?);
        }
        Ok(made.as_ref().and_then(Option::as_ref))
    }
}

impl Event<'_> {
    fn part(&self, part: Part) -> Result<Option<Value>, TooMuch> {
        let target = self.target.map(|target| target.split_once('?').unwrap_or((target, "")));
        Ok(match part {
            Part::Headers => Some(fields(
                self.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())),
            )),
            Part::Body => self.read_body()?,
            Part::Query => Some(form(target.map_or("", |(_, query)| query).as_bytes())),
            Part::Path => target.map(|(path, _)| Value::from(path)),
        })
    }

    /// JSON as it is, a form as an object of its fields, anything else as a text.
    fn read_body(&self) -> Result<Option<Value>, TooMuch> {
        if self.body.is_empty() {
            return Ok(None);
        }
        if self.body.len() > BODY_BYTES {
            return Err(TooMuch);
        }
        let essence = self.content_type.and_then(|value| value.split(';').next()).map(str::trim);
        if essence.is_some_and(|it| it.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
            return Ok(Some(form(self.body)));
        }
        match serde_json::from_slice(self.body) {
            Ok(value) => Ok(Some(value)),
            Err(_) if json::check_depth(self.body, READABLE_DEPTH).is_err() => Err(TooMuch),
            Err(_) => Ok(std::str::from_utf8(self.body).ok().map(Value::from)),
        }
    }
}

fn form(text: &[u8]) -> Value {
    let pairs = form_urlencoded::parse(text);
    fields(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())))
}

/// An object of texts; a name that comes again has an array of them.
fn fields(pairs: impl Iterator<Item = (String, String)>) -> Value {
    let mut fields = Map::new();
    for (name, value) in pairs {
        match fields.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(Value::from(value));
            }
            Entry::Occupied(mut occupied) => match occupied.get_mut() {
                Value::Array(values) => values.push(Value::from(value)),
                first => *first = Value::from(vec![first.take(), Value::from(value)]),
            },
        }
    }
    Value::Object(fields)
}
