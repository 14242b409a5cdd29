//! What templates can do with a value. None of these makes more than it was given, but for a bound.

use data_encoding::{BASE64, HEXLOWER};
use md5::{Digest, Md5};
use minijinja::value::Rest;
use minijinja::{Environment, Error, ErrorKind, Value};
use url::{Url, form_urlencoded::byte_serialize};

use super::aws;
use super::text::{Bounded, WRITTEN};

/// How far a list is looked through.
const ITEMS: usize = 100_000;

/// Their names.
pub(super) const NAMES: [&str; 21] = [
    "default",
    "tojson",
    "lower",
    "upper",
    "trim",
    "escape",
    "urlencode",
    "origin",
    "base64",
    "md5",
    "sha256",
    "string",
    "int",
    "fixed",
    "length",
    "first",
    "last",
    "join",
    "replace",
    "truncate",
    "time",
];
/// What can be asked with `is`.
pub(super) const TESTS: [&str; 4] = ["defined", "none", "string", "endingwith"];

/// Adds all of them.
pub(super) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("default", default);
    environment.add_filter("tojson", |value: Value| json(&value));
    environment.add_filter("lower", |text: String| text.to_lowercase());
    environment.add_filter("upper", |text: String| text.to_uppercase());
    environment.add_filter("trim", |text: String| text.trim().to_owned());
    environment.add_filter("escape", |text: String| escape(&text));
    environment.add_filter("urlencode", |text: String| -> String {
        byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
    });
    environment.add_filter("origin", origin);
    environment.add_filter("base64", |text: String| BASE64.encode(text.as_bytes()));
    environment.add_filter("md5", |text: String| md5(&text));
    environment.add_filter("sha256", |text: String| aws::hash(text.as_bytes()));
    environment.add_filter("string", |value: Value| value.to_string());
    environment.add_filter("int", int);
    environment.add_filter("fixed", fixed);
    environment.add_filter("length", length);
    environment.add_filter("first", first);
    environment.add_filter("last", last);
    environment.add_filter("join", join);
    environment.add_filter("replace", replace);
    environment.add_filter("truncate", truncate);
    environment.add_filter("time", time);
    environment.add_test("defined", |value: Value| !value.is_undefined());
    environment.add_test("none", |value: Value| value.is_none());
    environment.add_test("string", |value: Value| value.as_str().is_some());
    environment.add_test("endingwith", |text: String, end: String| text.ends_with(&end));
}

/// `{{ value | default("-") }}`: for what is not there, or null.
fn default(value: Value, other: Value) -> Value {
    if value.is_undefined() || value.is_none() { other } else { value }
}

/// The scheme and the host of a URL, and its port if that is not the usual one.
fn origin(url: String) -> Result<String, Error> {
    let url = Url::parse(&url).map_err(|_| wrong("`origin` needs a URL"))?;
    Ok(url.origin().ascii_serialization())
}

pub(super) fn json(value: &Value) -> Result<String, Error> {
    let mut written = Bounded(Vec::new());
    serde_json::to_writer(&mut written, value).map_err(|_| too_much())?;
    String::from_utf8(written.0).map_err(|_| too_much())
}

/// The five characters that HTML knows; three of them are Slack's too
/// (<https://docs.slack.dev/messaging/formatting-message-text#escaping>).
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// Hexadecimal. Some interfaces name records by it (Mailchimp's members); it protects nothing.
fn md5(text: &str) -> String {
    HEXLOWER.encode(&Md5::digest(text.as_bytes()))
}

fn int(value: Value) -> Result<i64, Error> {
    let number = match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => i64::try_from(value.clone()).ok().or_else(|| {
            // Rounded towards zero, as everywhere; what does not fit is the nearest that does.
            f64::try_from(value).ok().map(|number| number as i64)
        }),
    };
    number.ok_or_else(|| wrong("`int` needs a number"))
}

/// `{{ 12.5 | fixed(2) }}`: `12.50`.
fn fixed(value: Value, digits: usize) -> Result<String, Error> {
    let number = match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => f64::try_from(value).ok(),
    };
    let number = number.ok_or_else(|| wrong("`fixed` needs a number"))?;
    Ok(format!("{number:.digits$}", digits = digits.min(20)))
}

/// Characters of a text, items of a list or object.
fn length(value: Value) -> Result<usize, Error> {
    match value.as_str() {
        Some(text) => Ok(text.chars().count()),
        None => value.len().ok_or_else(|| wrong("`length` needs a text or a list")),
    }
}

fn first(list: Value) -> Result<Value, Error> {
    Ok(list.try_iter()?.next().unwrap_or_default())
}

fn last(list: Value) -> Result<Value, Error> {
    Ok(list.try_iter()?.take(ITEMS).last().unwrap_or_default())
}

fn join(list: Value, between: String) -> Result<String, Error> {
    let mut out = String::new();
    for (at, item) in list.try_iter()?.enumerate() {
        if at > 0 {
            out.push_str(&between);
        }
        out.push_str(&item.to_string());
        if out.len() > WRITTEN {
            return Err(too_much());
        }
    }
    Ok(out)
}

fn replace(text: String, from: String, to: String) -> Result<String, Error> {
    let found =
        if from.is_empty() { text.chars().count() + 1 } else { text.matches(&from).count() };
    let grown = text.len().saturating_add(found.saturating_mul(to.len()));
    if grown > 2 * WRITTEN { Err(too_much()) } else { Ok(text.replace(&from, &to)) }
}

/// At most so many characters.
fn truncate(text: String, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

/// Seconds since 1970 as a time in UTC: `2026-11-22T10:00:00Z`, or as
/// [strftime](jiff::fmt::strtime) says: `{{ body.created | time("%d %B %Y") }}`.
fn time(seconds: Value, format: Rest<String>) -> Result<String, Error> {
    let seconds = int(seconds)?;
    let time = jiff::Timestamp::from_second(seconds).map_err(|_| wrong("`time` needs seconds"))?;
    match format.first() {
        None => Ok(time.to_string()),
        Some(format) => jiff::fmt::strtime::format(format, time)
            .map_err(|_| wrong("`time` has a format that cannot be used")),
    }
}

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

fn too_much() -> Error {
    wrong("the text would be too long")
}
