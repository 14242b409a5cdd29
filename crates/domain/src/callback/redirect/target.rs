//! Where browsers are sent on to: pages of the application's, and nowhere else.
//!
//! A target is one that the operator lists, text for text. Nothing is normalized, completed or
//! matched by its beginning: every way to write another place as if it were a listed one (`//evil`,
//! `\evil`, `@evil`, line ends, look-alike letters, `..`) is another text.

use std::fmt;

use url::Url;

use super::status;

/// The longest target, in bytes.
const LENGTH: usize = 2_000;

/// A page that browsers may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(String);

/// Why a text is no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotATarget {
    /// It is no URL, or not written as every browser would write it.
    #[error("is no absolute http or https url, written as browsers write it")]
    Url,
    /// It names a user.
    #[error("has a user name")]
    User,
    /// What follows `#` never reaches a server, and would come after what is appended.
    #[error("has a fragment")]
    Fragment,
    /// It has a field that is appended.
    #[error("has a query field `callback`, `status`, `expires` or `signature`")]
    Reserved,
    /// It is not one of those that are listed.
    #[error("is not one of the listed targets")]
    NotListed,
}

impl Target {
    /// Reads a target that an operator lists.
    ///
    /// # Errors
    /// Why it cannot be one.
    pub fn parse(text: &str) -> Result<Target, NotATarget> {
        let url = Url::parse(text).ok().filter(|_| text.len() <= LENGTH).ok_or(NotATarget::Url)?;
        // What is written otherwise than it is read could be read otherwise by another reader.
        let is_page = matches!(url.scheme(), "http" | "https") && url.has_host();
        // A program's own scheme is the name of a domain of its makers, turned around (RFC 8252,
        // section 7.1): no browser has one with a dot.
        let is_program = url.scheme().contains('.') && !url.has_host();
        if url.as_str() != text || !(is_page || is_program) {
            return Err(NotATarget::Url);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotATarget::User);
        }
        if url.fragment().is_some() {
            return Err(NotATarget::Fragment);
        }
        if url.query_pairs().any(|(name, _)| status::FIELDS.contains(&&*name)) {
            return Err(NotATarget::Reserved);
        }
        Ok(Target(text.to_owned()))
    }

    /// The listed target that `text` is.
    ///
    /// # Errors
    /// Why it is none.
    pub fn of<'a>(text: &str, listed: &'a [Target]) -> Result<&'a Target, NotATarget> {
        match listed.iter().find(|target| target.0 == text) {
            Some(target) => Ok(target),
            None => Target::parse(text).and(Err(NotATarget::NotListed)),
        }
    }

    /// Whether `text` is listed. A program listens on whichever port of its own machine is free, so
    /// what is listed as `http://127.0.0.1/path` or `http://[::1]/path` is so with any port
    /// (RFC 8252, section 7.3).
    ///
    /// # Errors
    /// Why it is not.
    pub fn listed(text: &str, listed: &[Target]) -> Result<(), NotATarget> {
        let Err(not) = Target::of(text, listed) else { return Ok(()) };
        let portless = |text: &str| {
            let mut url = Url::parse(text).ok().filter(|url| url.as_str() == text)?;
            let is_loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]"));
            (url.scheme() == "http" && is_loopback).then_some(())?;
            url.set_port(None).ok()?;
            Some(url.to_string())
        };
        let is_listed =
            portless(text).is_some_and(|text| listed.iter().any(|target| target.0 == text));
        if is_listed && Target::parse(text).is_ok() { Ok(()) } else { Err(not) }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "https://shop.example.com/paid";

    #[test]
    fn what_is_listed_is_a_target() {
        for text in [PAGE, "https://shop.example.com/", "http://127.0.0.1:8080/a?b=c"] {
            let listed = [Target::parse(text).unwrap()];
            assert_eq!(Target::of(text, &listed).unwrap().as_str(), text);
        }
    }

    /// RFC 8252, sections 7.1 and 7.3: programs come back to a port of their own machine, or by a scheme
    /// of their own.
    #[test]
    fn programs_are_targets() {
        let listed = ["http://127.0.0.1/done", "http://[::1]/done", "com.example.app:/done"]
            .map(|text| Target::parse(text).unwrap());
        for text in [
            "http://127.0.0.1/done",
            "http://127.0.0.1:51004/done",
            "http://[::1]:8000/done",
            "com.example.app:/done",
        ] {
            assert_eq!(Target::listed(text, &listed), Ok(()), "{text}");
        }
        for text in [
            "http://127.0.0.1:51004/other",
            "https://127.0.0.1:51004/done",
            "http://127.0.0.2:51004/done",
            "http://localhost:51004/done",
            "http://127.0.0.1:51004@evil.example/done",
            "http://127.0.0.1:51004/done#x",
            "http://127.1:51004/done",
            "com.example.app:/other",
            "com.example.evil:/done",
            "javascript:alert(1)",
            "file:///done",
        ] {
            assert!(Target::listed(text, &listed).is_err(), "{text}");
        }
        assert!(Target::parse("javascript:alert(1)").is_err());
    }

    /// Ways to write another place as if it were a listed one: none is listed, and none is a target
    /// that could be, unless it is an ordinary URL of another place.
    #[test]
    fn nothing_else_is() {
        let listed = [Target::parse(PAGE).unwrap()];
        for evil in [
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\evil.example",
            "/paid",
            "https:evil.example",
            "https:/evil.example",
            "https:\\\\shop.example.com\\paid",
            "https://shop.example.com@evil.example/paid",
            "https://shop.example.com:pw@evil.example/",
            "https://evil.example\\@shop.example.com/paid",
            "https://shop.example.com\\.evil.example/paid",
            "https://shop.example.com/paid\r\nlocation: https://evil.example",
            "https://shop.example.com/paid\n",
            " https://shop.example.com/paid",
            "https://shop.example.com/paid\t",
            "https://shop.example.com/\u{0}paid",
            "https://shop.example.com/../paid",
            "https://shop.example.com/./paid",
            "https://shop.example.com/x/%2e%2e/paid",
            "https://shop.example.com/paid/..",
            "https://ſhop.example.com/paid",
            "https://shop。example.com/paid",
            "https://ｓhop.example.com/paid",
            "https://shop.example.com:443/paid",
            "HTTPS://shop.example.com/paid",
            "https://SHOP.example.com/paid",
            "https://shop.example.com/paid#@evil.example",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java\nscript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "file:///etc/passwd",
            "https://",
            "https:///paid",
            "",
        ] {
            let told = Target::of(evil, &listed).unwrap_err();
            assert_ne!(told, NotATarget::NotListed, "{evil:?} could be listed");
        }
        for other in [
            "https://shop.example.com/paid%0d%0alocation:%20https://evil.example",
            "https://shop.example.com/paid/",
            "https://shop.example.com/paid?",
            "https://shop.example.com/paid?next=//evil.example",
            "https://shop.example.com/paid.evil.example",
            "https://shop.example.com./paid",
            "https://shop.example.com.evil.example/paid",
            "https://xn--mnchen-3ya.example.com/paid",
            "http://shop.example.com/paid",
            "https://shop.example.com:8443/paid",
            "https://evil.example/https://shop.example.com/paid",
        ] {
            assert_eq!(Target::of(other, &listed), Err(NotATarget::NotListed), "{other:?}");
        }
    }

    #[test]
    fn what_is_appended_is_ours() {
        for name in status::FIELDS {
            let text = format!("{PAGE}?a=1&{name}=x");
            assert_eq!(Target::parse(&text), Err(NotATarget::Reserved), "{text}");
        }
        assert_eq!(Target::parse(&format!("{PAGE}?stat%75s=x")), Err(NotATarget::Reserved));
    }
}
