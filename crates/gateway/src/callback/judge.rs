//! What a request to a callback's URL says: an answer, a failure, or that it is under way. Pure.

use http::Method;
use ringback_domain::{
    callback::{Act, state, told},
    filter::{Event, Expression, Outcome},
    schema::{Schema, Violation},
};
use serde_json::Value;

use super::{Terms, commit::answer, page};

/// A request, as far as it matters for what it says.
pub(super) struct Arrived<'a> {
    /// Query and further path, without the secret.
    pub(super) target: &'a str,
    /// Names in lower case, and values.
    pub(super) headers: &'a [(String, String)],
    /// What the content is.
    pub(super) content_type: Option<&'a str>,
    /// The body; of a method that has none, the query.
    pub(super) content: &'a [u8],
}

/// Why it is not taken; the callback is as it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is not what the schema says.
    Schema(Violation),
    /// Judging it by the filters would cost too much.
    TooComplex,
}

impl Refused {
    /// In a stable word.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Refused::Schema(_) => "schema_invalid",
            Refused::TooComplex => "too_complex",
        }
    }
}

/// What it says: what is done, and what that is kept as.
///
/// # Errors
/// [`Refused`], with why.
pub(super) fn judge(terms: &Terms, arrived: &Arrived<'_>) -> Result<(state::Act, Act), Refused> {
    if page::declines(terms, arrived.content_type, arrived.content) {
        return Ok((answer(true, arrived.content), Act::Fail));
    }
    if matches(terms.failure_when.as_ref(), arrived)? == Some(true) {
        return Ok((answer(true, arrived.content), Act::Fail));
    }
    if matches(terms.success_when.as_ref(), arrived)? == Some(false) {
        // Neither the answer nor a failure: they say how far they are.
        return Ok((state::Act::Progress, Act::Progress));
    }
    check(terms.schema.as_ref(), arrived)?;
    Ok((answer(false, arrived.content), Act::Complete))
}

/// The content of a request: its body, or the query where the method has no body.
pub(super) fn content<'a>(
    method: &Method,
    query: &'a str,
    content_type: Option<&'a str>,
    body: &'a [u8],
) -> (Option<&'a str>, &'a [u8]) {
    if *method == Method::GET && body.is_empty() {
        return (Some(told::FORM), query.as_bytes());
    }
    (content_type, body)
}

/// Whether a filter matches; none if there is no filter.
fn matches(filter: Option<&Value>, arrived: &Arrived<'_>) -> Result<Option<bool>, Refused> {
    let Some(filter) = filter else { return Ok(None) };
    // It was compiled when the callback was made.
    let Ok(filter) = Expression::compile(filter) else { return Err(Refused::TooComplex) };
    let event = Event {
        headers: arrived.headers,
        content_type: arrived.content_type,
        body: arrived.content,
        target: Some(arrived.target),
    };
    match filter.judge(&event) {
        Outcome::Match => Ok(Some(true)),
        Outcome::NoMatch => Ok(Some(false)),
        Outcome::Overrun => Err(Refused::TooComplex),
    }
}

fn check(schema: Option<&Value>, arrived: &Arrived<'_>) -> Result<(), Refused> {
    let Some(schema) = schema else { return Ok(()) };
    let Ok(schema) = Schema::compile(schema) else { return Err(Refused::TooComplex) };
    let checked = if told::is_form(arrived.content_type) {
        schema.check(told::form(arrived.content).to_string().as_bytes())
    } else {
        schema.check(arrived.content)
    };
    checked.map_err(Refused::Schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(terms: &str, content_type: &str, content: &str) -> &'static str {
        let terms: Terms = serde_json::from_str(terms).unwrap();
        let arrived = Arrived {
            target: "?phase=done",
            headers: &[("x-status".to_owned(), "ok".to_owned())],
            content_type: Some(content_type),
            content: content.as_bytes(),
        };
        match judge(&terms, &arrived) {
            Ok((_, act)) => act.name(),
            Err(Refused::Schema(_)) => "schema",
            Err(Refused::TooComplex) => "too complex",
        }
    }

    #[test]
    fn filters_say_what_an_answer_is() {
        let both = r#"{"successWhen":{"body":{"s":"ok"}},"failureWhen":{"body":{"s":"bad"}}}"#;
        let (json, form) = ("application/json", told::FORM);
        for (terms, content_type, content, expect) in [
            ("{}", json, r#"{"s":"bad"}"#, "complete"),
            ("{}", "text/plain", "anything", "complete"),
            (both, json, r#"{"s":"ok"}"#, "complete"),
            (both, json, r#"{"s":"bad"}"#, "fail"),
            (both, json, r#"{"s":"started"}"#, "progress"),
            (both, form, "s=ok", "complete"),
            (r#"{"failureWhen":{"body":{"s":"bad"}}}"#, json, r#"{"s":"x"}"#, "complete"),
            (r#"{"successWhen":{"query":{"phase":"done"}}}"#, json, "1", "complete"),
            (r#"{"successWhen":{"headers":{"x-status":"ok"}}}"#, json, "1", "complete"),
            (r#"{"confirm":{"decline":"No"}}"#, form, "confirm=decline", "fail"),
            (r#"{"confirm":{"decline":"No"}}"#, form, "confirm=accept", "complete"),
            ("{}", form, "confirm=decline", "complete"),
        ] {
            assert_eq!(judged(terms, content_type, content), expect, "{terms} {content}");
        }
    }

    #[test]
    fn only_an_answer_is_held_against_the_schema() {
        let terms =
            r#"{"schema":{"required":["id"]},"failureWhen":{"body":{"error":{"$exist":true}}}}"#;
        let json = "application/json";
        assert_eq!(judged(terms, json, r#"{"id":1}"#), "complete");
        assert_eq!(judged(terms, json, "{}"), "schema");
        assert_eq!(judged(terms, json, "no json"), "schema");
        assert_eq!(judged(terms, json, r#"{"error":1}"#), "fail");
        assert_eq!(judged(terms, told::FORM, "id=1"), "complete");
    }
}
