//! JSON objects as forms (`application/x-www-form-urlencoded`).
//!
//! Every value that is neither an object nor an array becomes one field, in the order of the
//! payload. What leads to it becomes its name: `{"a":{"b":[1,{"c":"x"}]}}` is `a[b][0]=1` and
//! `a[b][1][c]=x`, as PHP and the `qs` library of JavaScript read them. Numbers are spelled as
//! in the payload, null is an empty value, and an object or array without values leaves nothing.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use url::form_urlencoded::Serializer;

/// The content type of what is made here.
pub(super) const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";
/// How deep a payload may be nested.
pub(super) const DEPTH: usize = 32;

/// Why a message cannot be a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A form has fields, and only an object has them.
    #[error("only a JSON object becomes a form, and the payload is none")]
    NoObject,
    /// More than can be a name.
    #[error("the payload is nested deeper than {} levels, which no form is", DEPTH)]
    Deep,
}

/// Makes a form of a JSON object.
///
/// # Errors
/// [`Unfit`]: it is none, or nested too deep.
pub(super) fn encode(payload: &[u8]) -> Result<Vec<u8>, Unfit> {
    let payload: &RawValue = serde_json::from_slice(payload).map_err(|_| Unfit::NoObject)?;
    let Node::Object(fields) = Node::of(payload) else { return Err(Unfit::NoObject) };
    let mut form = Serializer::new(String::new());
    for (name, value) in fields {
        add(&mut form, &name, value, DEPTH)?;
    }
    Ok(form.finish().into_bytes())
}

fn add(
    form: &mut Serializer<'_, String>,
    name: &str,
    value: &RawValue,
    depth: usize,
) -> Result<(), Unfit> {
    let depth = depth.checked_sub(1).ok_or(Unfit::Deep)?;
    match Node::of(value) {
        Node::Object(fields) => fields
            .into_iter()
            .try_for_each(|(key, value)| add(form, &format!("{name}[{key}]"), value, depth)),
        Node::Array(items) => items
            .into_iter()
            .enumerate()
            .try_for_each(|(index, value)| add(form, &format!("{name}[{index}]"), value, depth)),
        Node::Value(text) => {
            form.append_pair(name, &text);
            Ok(())
        }
    }
}

/// A JSON value whose parts are still as they are spelled.
enum Node<'a> {
    Object(Vec<(String, &'a RawValue)>),
    Array(Vec<&'a RawValue>),
    Value(String),
}

impl<'a> Node<'a> {
    fn of(value: &'a RawValue) -> Node<'a> {
        let text = value.get();
        // A raw value is JSON, so what begins like an object is one. The bound on the depth keeps
        // what is read again with each level small.
        match text.as_bytes().first() {
            Some(b'{') => {
                Node::Object(parsed(text).map(|Fields(fields)| fields).unwrap_or_default())
            }
            Some(b'[') => Node::Array(parsed(text).unwrap_or_default()),
            Some(b'"') => Node::Value(parsed(text).unwrap_or_default()),
            _ if text == "null" => Node::Value(String::new()),
            _ => Node::Value(text.to_owned()),
        }
    }
}

fn parsed<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// An object's fields in their order, repeated ones too.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields<'a>, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Visitor).map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(payload: &str) -> Result<String, Unfit> {
        encode(payload.as_bytes()).map(|form| String::from_utf8(form).unwrap())
    }

    #[test]
    fn fields_have_the_names_that_lead_to_them() {
        for (payload, form) in [
            (r#"{"a":1,"b":"x y&z=ü"}"#, "a=1&b=x+y%26z%3D%C3%BC"),
            (
                r#" { "z":1.50, "a":1e2, "big":12345678901234567890123 } "#,
                "z=1.50&a=1e2&big=12345678901234567890123",
            ),
            (r#"{"a":{"b":[1,{"c":"x"}]}}"#, "a%5Bb%5D%5B0%5D=1&a%5Bb%5D%5B1%5D%5Bc%5D=x"),
            (r#"{"n":null,"t":true,"f":false,"e":""}"#, "n=&t=true&f=false&e="),
            (r#"{"o":{},"l":[],"k":1}"#, "k=1"),
            (r#"{"a":1,"a":2}"#, "a=1&a=2"),
            (r#"{"\u00e9":"\ud83d\ude00"}"#, "%C3%A9=%F0%9F%98%80"),
            ("{}", ""),
        ] {
            assert_eq!(encoded(payload).as_deref(), Ok(form), "{payload}");
        }
    }

    #[test]
    fn what_has_no_fields_is_no_form() {
        for payload in ["[]", "1", "\"a\"", "null", "", "<a/>", "{"] {
            assert_eq!(encoded(payload), Err(Unfit::NoObject), "{payload}");
        }
        let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(encoded(&nested(DEPTH)).is_ok());
        assert_eq!(encoded(&nested(DEPTH + 1)), Err(Unfit::Deep));
    }
}
