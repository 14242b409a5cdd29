//! The page that a person sees who opens the URL: its form's POST answers, and looking at it changes
//! nothing. It needs no script and fetches nothing.

use std::{fmt::Write as _, sync::LazyLock};

use axum::response::Response;
use data_encoding::BASE64;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use ringback_domain::callback::{State, told};

use super::{Terms, sha256};

/// The form's field, and what it says.
const FIELD: &str = "confirm";
const ACCEPT: &str = "accept";
const DECLINE: &str = "decline";

const STYLE: &str = include_str!("page.css");

/// Only this style, no script, and a form that goes nowhere else.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src 'sha256-{}'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
        BASE64.encode(&sha256(STYLE.as_bytes()))
    )
});

/// What a person sees of a callback in this state.
pub(super) fn show(terms: &Terms, state: State) -> Response {
    let words = terms.confirm.clone().unwrap_or_default();
    let title = words.title.as_deref().unwrap_or("Please confirm");
    let (mark, heading, text) = match state {
        State::Pending | State::Returned => ("", title, words.text.as_deref().unwrap_or_default()),
        State::Completed => ("✓", title, "Thank you. Your answer has been received."),
        State::Failed => ("✓", title, "This was declined, or could not be done."),
        State::Expired => ("–", title, "The time to answer is over."),
        State::Canceled => ("–", title, "An answer is no longer needed."),
    };
    let mut main = String::new();
    if !mark.is_empty() {
        let _ = write!(main, "<p class=\"mark\" aria-hidden=\"true\">{mark}</p>");
    }
    let _ = write!(main, "<h1>{}</h1>", escaped(heading));
    for paragraph in text.split("\n\n").filter(|part| !part.trim().is_empty()) {
        let _ = write!(main, "<p>{}</p>", escaped(paragraph.trim()));
    }
    if state.is_open() {
        let accept = words.accept.as_deref().unwrap_or("Confirm");
        main.push_str("<form method=\"post\">");
        button(&mut main, ACCEPT, accept);
        if let Some(decline) = &words.decline {
            button(&mut main, DECLINE, decline);
        }
        main.push_str("</form>");
    }
    html(title, &main)
}

/// What a person sees whose answer was not taken.
pub(super) fn refused(terms: &Terms) -> Response {
    let title = terms.confirm.as_ref().and_then(|words| words.title.as_deref());
    let title = title.unwrap_or("Please confirm");
    let text = "This cannot be answered here. Nothing has been changed.";
    html(title, &format!("<h1>{}</h1><p>{text}</p>", escaped(title)))
}

/// What a person sees whose link opens nothing.
pub(super) fn nothing() -> Response {
    let (title, text) = ("Nothing here", "This link is not valid, or no longer so.");
    let mut response = html(title, &format!("<h1>{title}</h1><p>{text}</p>"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// Whether it is a browser that asks, to show what it gets.
pub(super) fn is_wanted(parts: &http::request::Parts) -> bool {
    parts.method == http::Method::GET && accepts_html(&parts.headers)
}

/// What a person sees whose browser is held until something is certain.
pub(super) fn patience() -> Response {
    let text = "We are waiting for the confirmation. This page goes on by itself.";
    html("One moment, please", &format!("<h1>One moment, please</h1><p>{text}</p>"))
}

/// What a person sees whose browser can be sent on to nowhere.
pub(super) fn nowhere() -> Response {
    let text = "What you did has been received. You can close this page.";
    html("Thank you", &format!("<h1>Thank you</h1><p>{text}</p>"))
}

/// Sends the browser back to the page after its form's POST, so that looking again posts nothing.
/// Relative and without a path: the secret is not repeated, whatever stands in front of it.
pub(super) fn again() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("?answered"));
    response
}

/// Whether this is the page's form, sent by a browser.
pub(super) fn is_form(headers: &HeaderMap, content_type: Option<&str>, body: &[u8]) -> bool {
    accepts_html(headers) && choice(content_type, body).is_some()
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepts.is_some_and(|accepts| accepts.contains("text/html"))
}

/// Whether it says no, where that can be said.
pub(super) fn declines(terms: &Terms, content_type: Option<&str>, body: &[u8]) -> bool {
    terms.confirm.as_ref().is_some_and(|words| words.decline.is_some())
        && choice(content_type, body).as_deref() == Some(DECLINE)
}

/// What the form says, if it is nothing but the form.
fn choice(content_type: Option<&str>, body: &[u8]) -> Option<String> {
    if !told::is_form(content_type) || body.len() > 64 {
        return None;
    }
    let fields: Vec<_> = url::form_urlencoded::parse(body).collect();
    match fields.as_slice() {
        [(name, value)] if name == FIELD && [ACCEPT, DECLINE].contains(&&**value) => {
            Some(value.clone().into_owned())
        }
        _ => None,
    }
}

/// Whether a browser only prepares for somebody who may come.
pub(crate) fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz", "x-purpose"].iter().any(|name| {
        let value = headers.get(*name).map(|value| value.as_bytes().to_ascii_lowercase());
        value.is_some_and(|value| {
            [&b"prefetch"[..], b"prerender", b"preview"]
                .iter()
                .any(|word| value.windows(word.len()).any(|part| part == *word))
        })
    })
}

fn button(main: &mut String, value: &str, label: &str) {
    let _ = write!(
        main,
        "<button class=\"{value}\" name=\"{FIELD}\" value=\"{value}\">{}</button>",
        escaped(label)
    );
}

/// A page with this title and these contents, which are HTML.
pub(crate) fn html(title: &str, main: &str) -> Response {
    let text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{}</title>\
         <style>{STYLE}</style></head><body><main>{main}</main></body></html>\n",
        escaped(title)
    );
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Text as it can stand in HTML, between tags and in quotes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_words() {
        assert_eq!(
            escaped("<a href='x'>&\"</a>"),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;"
        );
    }

    #[test]
    fn only_the_form_itself_is_the_form() {
        let form = Some("application/x-www-form-urlencoded");
        for (content_type, body, expect) in [
            (form, "confirm=accept", Some("accept")),
            (form, "confirm=decline", Some("decline")),
            (form, "confirm=maybe", None),
            (form, "confirm=accept&amount=5", None),
            (form, "amount=5", None),
            (form, "", None),
            (Some("application/json"), "confirm=accept", None),
            (None, "confirm=accept", None),
        ] {
            assert_eq!(choice(content_type, body.as_bytes()).as_deref(), expect, "{body}");
        }
    }

    #[test]
    fn who_only_prepares_is_recognised() {
        for (name, value, expect) in [
            ("sec-purpose", "prefetch;prerender", true),
            ("purpose", "prefetch", true),
            ("x-moz", "prefetch", true),
            ("sec-purpose", "navigate", false),
            ("accept", "prefetch", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(is_prefetch(&headers), expect, "{name}: {value}");
        }
    }
}
