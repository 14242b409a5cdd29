//! A JSON text as a tree in which every value that nobody touches is written back as it was read:
//! numbers with all their digits, texts with their escapes, keys in their order.

use std::collections::HashSet;

use serde_json::value::RawValue;

use crate::json;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    /// A text, number, `true`, `false` or `null`: its JSON text.
    Scalar(Box<str>),
    Array(Vec<Tree>),
    /// Names are not repeated: of those that were, the last one counts.
    Object(Vec<(Box<str>, Tree)>),
}

/// How deep a tree may be: what reads its text again gives up at 128.
pub(super) const DEPTH: usize = 120;

/// A text that is no tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("not JSON: {0}")]
    Syntax(String),
    #[error(transparent)]
    Deep(#[from] json::TooDeep),
}

impl Tree {
    pub(super) fn parse(text: &[u8]) -> Result<Tree, Unreadable> {
        let syntax = |error: serde_json::Error| Unreadable::Syntax(error.to_string());
        // What follows relies on the text being valid.
        let whole: &RawValue = serde_json::from_slice(text).map_err(syntax)?;
        json::check_depth(text, DEPTH)?;
        let mut reader = Reader { text: whole.get(), at: 0 };
        Ok(reader.value())
    }

    /// How many bytes its text has, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Tree::Scalar(text) => text.len() + 1,
            Tree::Array(items) => items.iter().map(Tree::size).sum::<usize>() + 2,
            Tree::Object(fields) => {
                fields.iter().map(|(name, value)| name.len() + 4 + value.size()).sum::<usize>() + 2
            }
        }
    }

    /// How deep arrays and objects are nested.
    pub(super) fn depth(&self) -> usize {
        match self {
            Tree::Scalar(_) => 0,
            Tree::Array(items) => 1 + items.iter().map(Tree::depth).max().unwrap_or(0),
            Tree::Object(fields) => {
                1 + fields.iter().map(|(_, value)| value.depth()).max().unwrap_or(0)
            }
        }
    }

    pub(super) fn write(&self) -> String {
        let mut out = String::with_capacity(self.size());
        self.write_into(&mut out);
        out
    }

    fn write_into(&self, out: &mut String) {
        match self {
            Tree::Scalar(text) => out.push_str(text),
            Tree::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write_into(out);
                }
                out.push(']');
            }
            Tree::Object(fields) => {
                out.push('{');
                for (index, (name, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    out.push_str(&quoted(name));
                    out.push(':');
                    value.write_into(out);
                }
                out.push('}');
            }
        }
    }

    /// A scalar that is a text, without its escapes.
    pub(super) fn as_text(&self) -> Option<String> {
        match self {
            Tree::Scalar(text) if text.starts_with('"') => serde_json::from_str(text).ok(),
            _ => None,
        }
    }

    /// What stands below a name or an index.
    pub(super) fn child(&mut self, key: &str) -> Option<&mut Tree> {
        match self {
            Tree::Scalar(_) => None,
            Tree::Array(items) => items.get_mut(index(key)?),
            Tree::Object(fields) => {
                fields.iter_mut().find(|(name, _)| **name == *key).map(|(_, value)| value)
            }
        }
    }
}

/// An array's index as a JSON Pointer has it: no leading zeros.
pub(super) fn index(key: &str) -> Option<usize> {
    let plain = key == "0" || (!key.starts_with('0') && key.bytes().all(|it| it.is_ascii_digit()));
    key.parse().ok().filter(|_| plain)
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    // A text can always be written.
    serde_json::to_string(text).unwrap_or_default()
}

impl From<&serde_json::Value> for Tree {
    fn from(value: &serde_json::Value) -> Tree {
        match value {
            serde_json::Value::Array(items) => Tree::Array(items.iter().map(Tree::from).collect()),
            serde_json::Value::Object(fields) => Tree::Object(
                fields.iter().map(|(name, value)| (name.as_str().into(), value.into())).collect(),
            ),
            scalar => Tree::Scalar(scalar.to_string().into()),
        }
    }
}

/// Reads a text that is known to be JSON.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Tree {
        match self.peek() {
            b'{' => self.object(),
            b'[' => self.array(),
            _ => Tree::Scalar(self.scalar().into()),
        }
    }

    fn object(&mut self) -> Tree {
        let mut fields: Vec<(Box<str>, Tree)> = Vec::new();
        self.at += 1;
        while !matches!(self.peek(), b'}' | 0) {
            let name: String = serde_json::from_str(self.scalar()).unwrap_or_default();
            self.skip(b':');
            fields.push((name.into(), self.value()));
            self.skip(b',');
        }
        self.at += 1;
        let mut seen = HashSet::new();
        if !fields.iter().all(|(name, _)| seen.insert(name.clone())) {
            seen.clear();
            fields.reverse();
            fields.retain(|(name, _)| seen.insert(name.clone()));
            fields.reverse();
        }
        Tree::Object(fields)
    }

    fn array(&mut self) -> Tree {
        let mut items = Vec::new();
        self.at += 1;
        while !matches!(self.peek(), b']' | 0) {
            items.push(self.value());
            self.skip(b',');
        }
        self.at += 1;
        Tree::Array(items)
    }

    /// The next text, number or word.
    fn scalar(&mut self) -> &'a str {
        let quoted = self.peek() == b'"';
        let start = self.at;
        let bytes = self.text.as_bytes();
        if quoted {
            self.at += 1;
            while self.at < bytes.len() && bytes[self.at] != b'"' {
                self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
            }
            self.at = (self.at + 1).min(bytes.len());
        } else {
            let ends =
                |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
            let length = bytes[start..].iter().position(ends);
            self.at = length.map_or(bytes.len(), |length| start + length);
        }
        &self.text[start..self.at]
    }

    /// The next byte that is no white space; 0 at the end.
    fn peek(&mut self) -> u8 {
        let rest = &self.text.as_bytes()[self.at.min(self.text.len())..];
        let white = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.at += white;
        rest.get(white).copied().unwrap_or(0)
    }

    fn skip(&mut self, byte: u8) {
        if self.peek() == byte {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_not_touched_stays() {
        for text in [
            r#"{"z":1.10,"a":123456789012345678901234567890,"e":1E+2,"m":-0.0}"#,
            r#"["\u00e9","\/","\\\"",true,false,null,{},[],""]"#,
            r#"{"":{"a b":[[[1]]],"\"":"}"}}"#,
            "17",
        ] {
            assert_eq!(Tree::parse(text.as_bytes()).unwrap().write(), text);
        }
        let spaced = Tree::parse(b" { \"a\" : [ 1 , 2.50 ] , \"b\" : \"x\" } \n").unwrap();
        assert_eq!(spaced.write(), r#"{"a":[1,2.50],"b":"x"}"#);
        let repeated = Tree::parse(br#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(repeated.write(), r#"{"b":2,"a":3}"#);
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let deep = "[".repeat(DEPTH + 1) + &"]".repeat(DEPTH + 1);
        for text in ["", "{", "{\"a\"}", "1 2", &deep] {
            assert!(Tree::parse(text.as_bytes()).is_err(), "{text:.20}");
        }
        assert!(Tree::parse(b"\"\xff\"").is_err());
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null),
            "\\PC{0,6}".prop_map(Value::from),
            any::<f64>().prop_map(|it| if it.is_finite() { it.into() } else { 0.into() }),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,4}", inner, 0..5)
                    .prop_map(|fields| fields.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_tree_is_what_the_json_reader_reads(value in values()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let tree = Tree::parse(text.as_bytes()).unwrap();
                prop_assert_eq!(&tree.write(), &value.to_string());
                prop_assert_eq!(&tree, &Tree::from(&value));
            }
        }
    }
}
