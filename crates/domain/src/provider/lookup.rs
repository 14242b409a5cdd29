//! A field of a JSON text, found without building the whole tree.
//!
//! Numbers are given back as they are written: a signature over `1000.0` or over an id of twenty
//! digits does not survive a floating-point number.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The text at `path`: a string without its quotes, or a number, `true` or `false` as written.
///
/// `None` for an object, an array, `null`, or if there is no such field. If a key occurs more than
/// once, the last counts, as in every common parser.
pub(super) fn scalar<'a>(json: &'a str, path: &[Box<str>]) -> Option<Cow<'a, str>> {
    let raw = at(json, path)?;
    match raw.as_bytes().first()? {
        b'"' => match serde_json::from_str::<&'a str>(raw) {
            Ok(text) => Some(Cow::Borrowed(text)),
            Err(_) => serde_json::from_str::<String>(raw).ok().map(Cow::Owned),
        },
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

/// The JSON text of whatever is at `path`.
pub(super) fn at<'a>(json: &'a str, path: &[Box<str>]) -> Option<&'a str> {
    let mut found = json;
    for step in path {
        let mut deserializer = serde_json::Deserializer::from_str(found);
        let raw: &'a RawValue = Step(step).deserialize(&mut deserializer).ok().flatten()?;
        found = raw.get();
    }
    Some(found)
}

/// The JSON texts of the items of the array that the pointer names (RFC 6901; empty: the whole).
pub(super) fn items<'a>(json: &'a str, pointer: &str) -> Option<Vec<&'a str>> {
    let path: Vec<Box<str>> = match pointer.strip_prefix('/') {
        Some(rest) => rest
            .split('/')
            .map(|step| step.replace("~1", "/").replace("~0", "~").into_boxed_str())
            .collect(),
        None => Vec::new(),
    };
    let raw = at(json, &path)?;
    let items: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    Some(items.into_iter().map(RawValue::get).collect())
}

/// Finds one member of an object, or one item of an array, and skips the others.
struct Step<'s>(&'s str);

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(matches) = map.next_key_seed(Key(self.0))? {
            if matches {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let wanted: Option<usize> = self.0.parse().ok();
        let mut found = None;
        let mut index = 0;
        loop {
            if Some(index) == wanted {
                match seq.next_element()? {
                    Some(raw) => found = Some(raw),
                    None => break,
                }
            } else if seq.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
            index += 1;
        }
        Ok(found)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Compares an object's key without keeping it.
struct Key<'s>(&'s str);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, path: &str, expect: Option<&str>) {
        let path: Vec<Box<str>> = path.split('.').map(Box::from).collect();
        assert_eq!(scalar(json, &path).as_deref(), expect);
    }

    #[test]
    fn a_scalar_is_given_back_as_it_is_written() {
        let json = r#"{"a":{"b":[1.50,"x\ny",{"c":12345678901234567890123}]},"t":true,"n":null}"#;
        check(json, "a.b.0", Some("1.50"));
        check(json, "a.b.1", Some("x\ny"));
        check(json, "a.b.2.c", Some("12345678901234567890123"));
        check(json, "t", Some("true"));
        check(json, "n", None);
        check(json, "a", None);
        check(json, "a.b.3", None);
        check(json, "t.x", None);
        check("[1,2", "0", None);
        check(r#"{"a":1,"a":2}"#, "a", Some("2"));
    }

    #[test]
    fn items_of_a_batch_are_texts() {
        assert_eq!(items(r#"{"x":[ {"a":1}, 2 ]}"#, "/x"), Some(vec![r#"{"a":1}"#, "2"]));
        assert_eq!(items("[1]", ""), Some(vec!["1"]));
        assert_eq!(items("{}", ""), None);
    }
}
