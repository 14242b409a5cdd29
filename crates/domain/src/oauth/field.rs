//! Where something stands in a JSON answer.

use serde_json::Value;

/// What is at `path`: names of members or indexes of items, with dots between them
/// (`authed_user.access_token`, `0.id`). A member whose whole name is `path` is found first.
pub fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(found) = value.get(path) {
        return Some(found);
    }
    path.split('.').try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => value.get(step),
    })
}

/// The text at `path`, which is not empty.
pub(super) fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    at(value, path)?.as_str().filter(|text| !text.is_empty())
}

/// The whole number at `path`, which several providers write as a text, and others with a fraction.
pub(super) fn number(value: &Value, path: &str) -> Option<i64> {
    match at(value, path)? {
        Value::String(text) => text.trim().parse().ok(),
        // A fraction is cut off, and what is beyond the range ends at it.
        value => value.as_i64().or_else(|| value.as_f64().map(|number| number as i64)),
    }
}

/// The texts of the list at `path`.
pub(super) fn texts(value: &Value, path: &str) -> Option<Vec<String>> {
    let items = at(value, path)?.as_array()?;
    Some(items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
}

/// A text of somebody else's as it can be stored, logged and shown: without control characters, and not
/// longer than `most` characters. It is not escaped.
pub(super) fn shown(text: &str, most: usize) -> String {
    text.chars().filter(|one| !one.is_control()).take(most).collect()
}

/// The most characters of the word that says what is wrong.
pub(super) const WORD: usize = 100;
/// The most characters of what says the same to people.
pub(super) const DESCRIPTION: usize = 500;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths() {
        let value = json!({"a": {"b": [{"c": "x"}]}, "https://claims.example/d": "y", "e": ""});
        for (path, expect) in [
            ("a.b.0.c", Some("x")),
            ("https://claims.example/d", Some("y")),
            ("a.b.1.c", None),
            ("a.b.-1", None),
            ("a.x", None),
            ("e", None),
            ("", None),
        ] {
            assert_eq!(text(&value, path), expect, "{path}");
        }
    }

    #[test]
    fn numbers() {
        for (value, expect) in [
            (json!(3600), Some(3600)),
            (json!("3600"), Some(3600)),
            (json!(" 3600 "), Some(3600)),
            (json!(3599.9), Some(3599)),
            (json!(1e30), Some(i64::MAX)),
            (json!(u64::MAX), Some(i64::MAX)),
            (json!(-1), Some(-1)),
            (json!("soon"), None),
            (json!(null), None),
            (json!([1]), None),
        ] {
            assert_eq!(number(&json!({"n": value.clone()}), "n"), expect, "{value}");
        }
    }
}
