//! What an event becomes at a destination: JSON whose texts are templates.

use std::collections::BTreeMap;

use minijinja::Value as Filled;
use serde::Deserialize;
use serde_json::Value;

use super::text::{self, Text};

/// How many templates a mapping may have.
pub const TEMPLATES: usize = 64;
/// How deep it may be nested.
pub const DEPTH: usize = 16;

/// A mapping that was read and can be filled.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Mapping(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(Text),
    /// A number, a boolean, or null.
    Plain(Value),
    List(Vec<Node>),
    Object(BTreeMap<String, Node>),
}

/// A mapping that cannot be used, or could not be filled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", if place.is_empty() { String::new() } else { format!("`{place}`: ") })]
pub struct Mistake {
    /// Where: `properties.email`, `lines.0`.
    pub place: String,
    /// What is wrong there.
    pub what: text::Mistake,
}

/// What becomes of an expression whose value is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It is a mistake: people are to say `default` where they mean it.
    Missing,
    /// The field is left out.
    LeftOut,
}

impl Mapping {
    /// Reads a mapping.
    ///
    /// # Errors
    /// The first [`Mistake`].
    pub fn parse(value: &Value) -> Result<Mapping, Mistake> {
        let mut left = TEMPLATES;
        Node::parse(value, &mut Place::default(), &mut left).map(Mapping)
    }

    /// The names at its top; empty unless it is an object.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let object = match &self.0 {
            Node::Object(object) => Some(object),
            _ => None,
        };
        object.into_iter().flat_map(|object| object.keys().map(String::as_str))
    }

    /// Fills it from what templates may see.
    ///
    /// # Errors
    /// The first [`Mistake`].
    pub fn fill(&self, seen: &Filled, absent: Absent) -> Result<Value, Mistake> {
        let filled = self.0.fill(seen, absent, &mut Place::default())?;
        Ok(filled.unwrap_or_default())
    }
}

impl TryFrom<Value> for Mapping {
    type Error = Mistake;

    fn try_from(value: Value) -> Result<Mapping, Mistake> {
        Mapping::parse(&value)
    }
}

impl Node {
    fn parse(value: &Value, place: &mut Place, left: &mut usize) -> Result<Node, Mistake> {
        if place.0.len() > DEPTH {
            return Err(place.is(text::Mistake::Syntax(format!("nested deeper than {DEPTH}"))));
        }
        Ok(match value {
            Value::String(source) => {
                let Some(fewer) = left.checked_sub(1) else {
                    let what = format!("more than {TEMPLATES} templates");
                    return Err(place.is(text::Mistake::Syntax(what)));
                };
                *left = fewer;
                Node::Text(Text::parse(source).map_err(|what| place.is(what))?)
            }
            Value::Array(items) => {
                let one = |(at, item): (usize, &Value)| {
                    place.within(at.to_string(), |place| Node::parse(item, place, left))
                };
                Node::List(items.iter().enumerate().map(one).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let one = |(name, value): (&String, &Value)| {
                    let node =
                        place.within(name.clone(), |place| Node::parse(value, place, left))?;
                    Ok((name.clone(), node))
                };
                Node::Object(fields.iter().map(one).collect::<Result<_, _>>()?)
            }
            plain => Node::Plain(plain.clone()),
        })
    }

    /// None if it is to be left out.
    fn fill(
        &self,
        seen: &Filled,
        absent: Absent,
        place: &mut Place,
    ) -> Result<Option<Value>, Mistake> {
        Ok(Some(match self {
            Node::Plain(plain) => plain.clone(),
            Node::Text(text) => {
                let value = match (text.value(seen), absent) {
                    (Ok(value), Absent::LeftOut) if value.is_undefined() => return Ok(None),
                    (Err(text::Mistake::Missing(_)), Absent::LeftOut) if text.is_expression() => {
                        return Ok(None);
                    }
                    (Ok(value), Absent::Missing) if value.is_undefined() => {
                        return Err(place.is(text::Mistake::Missing(text.absent(seen))));
                    }
                    (value, _) => value.map_err(|what| place.is(what))?,
                };
                serde_json::to_value(&value)
                    .map_err(|_| place.is(text::Mistake::Value("it is no JSON".to_owned())))?
            }
            Node::List(nodes) => {
                let mut items = Vec::with_capacity(nodes.len());
                for (at, node) in nodes.iter().enumerate() {
                    let item =
                        place.within(at.to_string(), |place| node.fill(seen, absent, place))?;
                    items.extend(item);
                }
                Value::Array(items)
            }
            Node::Object(nodes) => {
                let mut fields = serde_json::Map::new();
                for (name, node) in nodes {
                    let value =
                        place.within(name.clone(), |place| node.fill(seen, absent, place))?;
                    fields.extend(value.map(|value| (name.clone(), value)));
                }
                Value::Object(fields)
            }
        }))
    }
}

/// The way from the top to where one is.
#[derive(Default)]
struct Place(Vec<String>);

impl Place {
    fn within<T>(&mut self, step: String, act: impl FnOnce(&mut Place) -> T) -> T {
        self.0.push(step);
        let result = act(self);
        self.0.pop();
        result
    }

    fn is(&self, what: text::Mistake) -> Mistake {
        Mistake { place: self.0.join("."), what }
    }
}

#[cfg(test)]
mod tests {
    use minijinja::value::Serde;
    use serde_json::json;

    use super::*;

    fn seen() -> Filled {
        Filled::from(Serde(json!({ "body": { "email": "a@example.com", "n": 3 } })))
    }

    #[test]
    fn texts_are_filled_and_values_keep_their_types() {
        let mapping = Mapping::parse(&json!({
            "properties": { "email": "{{ body.email }}", "n": "{{ body.n }}", "note": "no. {{ body.n }}" },
            "list": ["{{ body.n }}", 1, true, null],
        }));
        let expect = json!({
            "properties": { "email": "a@example.com", "n": 3, "note": "no. 3" },
            "list": [3, 1, true, null],
        });
        assert_eq!(mapping.unwrap().fill(&seen(), Absent::Missing), Ok(expect));
    }

    #[test]
    fn what_is_missing_is_named_or_left_out() {
        let mapping =
            Mapping::parse(&json!({ "a": ["{{ body.x }}"], "b": "{{ body.n }}" })).unwrap();
        let mistake = mapping.fill(&seen(), Absent::Missing).unwrap_err();
        assert_eq!(mistake.to_string(), "`a.0`: the event has no body.x");
        assert_eq!(mapping.fill(&seen(), Absent::LeftOut), Ok(json!({ "a": [], "b": 3 })));
        // In the middle of a text there is nothing to leave out.
        let mapping = Mapping::parse(&json!({ "a": "is {{ body.x }}" })).unwrap();
        assert!(mapping.fill(&seen(), Absent::LeftOut).is_err());
    }

    #[test]
    fn mistakes_say_where() {
        let mistake = Mapping::parse(&json!({ "a": { "b": ["{{ x"] } })).unwrap_err();
        assert_eq!(mistake.place, "a.b.0");
        let many: Vec<String> = vec!["x".to_owned(); TEMPLATES + 1];
        assert_eq!(Mapping::parse(&json!(many)).unwrap_err().place, TEMPLATES.to_string());
        let mut deep = json!("x");
        (0..=DEPTH).for_each(|_| deep = json!([deep]));
        assert!(Mapping::parse(&deep).unwrap_err().to_string().contains("nested deeper"));
    }
}
