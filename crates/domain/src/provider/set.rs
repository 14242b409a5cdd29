//! Fields of a request's body set to other values, in its text: what is not set keeps its bytes.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;
use url::form_urlencoded;

use super::vector::WireRequest;
use crate::json::check_depth;

/// Levels of JSON that are looked into.
const DEPTH: usize = 64;
/// Places that are named when a field is several.
const NAMED: usize = 8;

/// Why a field cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// There are no fields.
    #[error("the body is neither json nor a form, so no field of it can be set")]
    Body,
    /// A lone name that stands nowhere.
    #[error(
        "there is no field `{0}`: a path with dots (such as data.{0}) or .{0} for the top adds one"
    )]
    Nowhere(String),
    /// A lone name that stands in several places.
    #[error("`{name}` is several fields, name one: {}", places.join(", "))]
    Several {
        /// The name.
        name: String,
        /// Their paths, not all if they are many.
        places: Vec<String>,
    },
    /// A path through something that is not there.
    #[error("`{path}` leads nowhere: there is no `{missing}`")]
    NoWay {
        /// The whole path.
        path: String,
        /// As far as it was followed, and one more.
        missing: String,
    },
}

impl WireRequest {
    /// The same request with a field of its body set. `path` is the way to it through objects and
    /// lists, `data.items.0.amount`; `.amount` is a field at the top; a lone `amount` is the one
    /// field of that name, wherever it stands. Of a form it is the field's name.
    ///
    /// # Errors
    /// [`SetError`]; nothing is changed then.
    pub fn set(self, path: &str, value: &Value) -> Result<WireRequest, SetError> {
        if self.body_base64.is_some() {
            return Err(SetError::Body);
        }
        let content =
            self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let is_form = content.is_some_and(|(_, kind)| kind.contains("x-www-form-urlencoded"));
        let body = match is_form || (!is_tree(&self.body) && self.body.contains('=')) {
            true => set_in_form(&self.body, path, value),
            false => set_in_json(&self.body, path, value)?,
        };
        Ok(WireRequest { body, ..self })
    }
}

fn is_tree(body: &str) -> bool {
    body.trim_start().starts_with(['{', '['])
}

fn set_in_form(body: &str, name: &str, value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut form = form_urlencoded::Serializer::new(String::new());
    let mut found = false;
    for (key, old) in form_urlencoded::parse(body.as_bytes()) {
        let hit = key == name;
        found |= hit;
        form.append_pair(&key, if hit { &text } else { &old });
    }
    if !found {
        form.append_pair(name, &text);
    }
    form.finish()
}

fn set_in_json(body: &str, path: &str, value: &Value) -> Result<String, SetError> {
    let whole: &RawValue = serde_json::from_str(body).map_err(|_| SetError::Body)?;
    if !is_tree(body) || check_depth(body.as_bytes(), DEPTH).is_err() {
        return Err(SetError::Body);
    }
    let top = whole.get();
    let found: String;
    let way = match (path.strip_prefix('.'), path.contains('.')) {
        (Some(top), _) => top,
        (None, true) => path,
        (None, false) => {
            let mut places = Vec::new();
            named(top, path, "", &mut places);
            found = match places.len() {
                0 => return Err(SetError::Nowhere(path.to_owned())),
                1 => places.remove(0),
                _ => {
                    places.truncate(NAMED);
                    return Err(SetError::Several { name: path.to_owned(), places });
                }
            };
            &found
        }
    };
    let (parents, leaf) = way.rsplit_once('.').map_or((None, way), |(up, leaf)| (Some(up), leaf));
    let mut parent = top;
    let mut gone: Vec<&str> = Vec::new();
    for segment in parents.into_iter().flat_map(|parents| parents.split('.')) {
        gone.push(segment);
        let no_way = || SetError::NoWay { path: path.to_owned(), missing: gone.join(".") };
        parent = child(parent, segment).ok_or_else(no_way)?;
    }
    // Where in the body a part of it begins.
    let start = |part: &str| part.as_ptr() as usize - body.as_ptr() as usize;
    if let Some(old) = child(parent, leaf) {
        let at = start(old);
        return Ok(format!("{}{value}{}", &body[..at], &body[at + old.len()..]));
    }
    if !parent.starts_with('{') {
        return Err(SetError::NoWay { path: path.to_owned(), missing: way.to_owned() });
    }
    let end = start(parent) + parent.len() - 1;
    let comma = if fields(parent).is_some_and(|fields| fields.is_empty()) { "" } else { "," };
    let key = Value::from(leaf);
    Ok(format!("{}{comma}{key}:{value}{}", body[..end].trim_end(), &body[end..]))
}

fn fields(text: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(text).ok()
}

fn items(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

fn child<'a>(text: &'a str, segment: &str) -> Option<&'a str> {
    let value = match text.as_bytes().first()? {
        b'{' => fields(text)?.remove(segment)?,
        b'[' => *items(text)?.get(segment.parse::<usize>().ok()?)?,
        _ => return None,
    };
    Some(value.get())
}

/// Collects the paths of all fields of this name.
fn named(text: &str, name: &str, path: &str, places: &mut Vec<String>) {
    let below = |key: &str| match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match text.as_bytes().first() {
        Some(b'{') => {
            for (key, value) in fields(text).into_iter().flatten() {
                if key == name {
                    places.push(below(&key));
                }
                named(value.get(), name, &below(&key), places);
            }
        }
        Some(b'[') => {
            for (index, value) in items(text).into_iter().flatten().enumerate() {
                named(value.get(), name, &below(&index.to_string()), places);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &str) -> WireRequest {
        serde_json::from_value(serde_json::json!({ "body": body })).unwrap()
    }

    const BODY: &str =
        r#"{ "b": 1.50, "data": {"amount":2,"items":[{"sku":"x"},{"sku":"y"}],"none":{}} }"#;

    #[test]
    fn what_is_not_set_keeps_its_bytes() {
        for (path, value, old, new) in [
            ("amount", "5000", "\"amount\":2", "\"amount\":5000"),
            ("data.amount", "\"a\\\"b\"", "\"amount\":2", "\"amount\":\"a\\\"b\""),
            ("data.items.1.sku", "null", "\"sku\":\"y\"", "\"sku\":null"),
            ("b", "{\"c\":[1]}", "1.50", "{\"c\":[1]}"),
            ("data.new", "true", "\"none\":{}", "\"none\":{},\"new\":true"),
            ("data.none.new", "1", "\"none\":{}", "\"none\":{\"new\":1}"),
            (".amount", "1", "}} }", "}},\"amount\":1}"),
        ] {
            let value: Value = serde_json::from_str(value).unwrap();
            let set = request(BODY).set(path, &value).unwrap().body;
            assert_eq!(set, BODY.replace(old, new), "{path}");
        }
    }

    #[test]
    fn what_cannot_be_set_is_told() {
        for (body, path, told) in [
            (BODY, "nothing", "there is no field `nothing`: a path with dots"),
            (BODY, "sku", "name one: data.items.0.sku, data.items.1.sku"),
            (BODY, "data.items.7.sku", "there is no `data.items.7`"),
            (BODY, "data.amount.x", "there is no `data.amount.x`"),
            (BODY, "data.items.2", "there is no `data.items.2`"),
            ("plain", "a", "neither json nor a form"),
            ("{", "a", "neither json nor a form"),
        ] {
            let error = request(body).set(path, &Value::Null).unwrap_err().to_string();
            assert!(error.contains(told), "{path}: {error}");
        }
        let deep = "[".repeat(DEPTH + 1) + &"]".repeat(DEPTH + 1);
        assert_eq!(request(&deep).set("a", &Value::Null).unwrap_err(), SetError::Body);
    }

    #[test]
    fn a_form_has_fields_too() {
        let set = |name, value: Value| request("a=1&b=x+y").set(name, &value).unwrap().body;
        assert_eq!(set("a", 5.into()), "a=5&b=x+y");
        assert_eq!(set("c", "d&e".into()), "a=1&b=x+y&c=d%26e");
    }
}
