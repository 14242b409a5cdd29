//! Headers that an endpoint's owner adds to every request to it.
//!
//! Refused are those that frame the message, that this service sets itself, that speak to the hops
//! in between, or that clouds trust because only their own front ends set them.

/// The longest name accepted, in bytes.
pub const MAX_NAME_LEN: usize = 128;

/// The longest value accepted, in bytes.
pub const MAX_VALUE_LEN: usize = 4096;

/// Why a header is refused; never repeats the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No name.
    #[error("the name of the header is empty")]
    NameEmpty,
    /// More than [`MAX_NAME_LEN`] bytes.
    #[error("the name of the header is longer than {MAX_NAME_LEN} bytes")]
    NameTooLong,
    /// A character outside of `token` (RFC 9110, section 5.6.2).
    #[error(
        "the name of the header has a character other than letters, digits and !#$%&'*+-.^_`|~"
    )]
    NameCharacter,
    /// A name that is taken.
    #[error("the header {name} cannot be set")]
    Forbidden {
        /// The name, in lower case.
        name: &'static str,
    },
    /// A family of names that is taken.
    #[error("headers that begin with {prefix} cannot be set")]
    ForbiddenPrefix {
        /// The beginning, in lower case.
        prefix: &'static str,
    },
    /// More than [`MAX_VALUE_LEN`] bytes.
    #[error("the value of the header is longer than {MAX_VALUE_LEN} bytes")]
    ValueTooLong,
    /// Something else than visible ASCII, spaces and tabs.
    #[error("the value of the header has a character that is not visible ASCII, space or tab")]
    ValueCharacter,
}

/// Whether an endpoint may have this header.
///
/// # Errors
/// [`HeaderError`]: the first thing that is wrong.
pub fn validate(name: &str, value: &str) -> Result<(), HeaderError> {
    if name.is_empty() {
        return Err(HeaderError::NameEmpty);
    }
    if name.len() > MAX_NAME_LEN {
        return Err(HeaderError::NameTooLong);
    }
    if !name.bytes().all(is_token) {
        return Err(HeaderError::NameCharacter);
    }
    if let Some(name) = FORBIDDEN.into_iter().find(|taken| taken.eq_ignore_ascii_case(name)) {
        return Err(HeaderError::Forbidden { name });
    }
    if let Some(prefix) = FORBIDDEN_PREFIXES.into_iter().find(|taken| begins_with(name, taken)) {
        return Err(HeaderError::ForbiddenPrefix { prefix });
    }
    if value.len() > MAX_VALUE_LEN {
        return Err(HeaderError::ValueTooLong);
    }
    if !value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')) {
        return Err(HeaderError::ValueCharacter);
    }
    Ok(())
}

/// Whether a header usually holds a credential: its value is stored encrypted and never shown.
pub fn is_sensitive(name: &str) -> bool {
    SENSITIVE.iter().any(|sensitive| sensitive.eq_ignore_ascii_case(name))
        || begins_with(name, "proxy-")
}

const FORBIDDEN: [&str; 25] = [
    // They frame the message or steer the connection.
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "via",
    // They say who sends, and when.
    "date",
    "user-agent",
    // They are for caches, or mean something in answers only.
    "age",
    "cache-control",
    "clear-site-data",
    "expires",
    "pragma",
    "warning",
    "set-cookie",
];

const FORBIDDEN_PREFIXES: [&str; 11] = [
    // Ours: they must say what was signed.
    "webhook-",
    "svix-",
    "x-svix-",
    "ringback-",
    // The next hop's.
    "proxy-",
    // Front ends of clouds set them, and services behind trust them.
    "x-amz-",
    "x-amzn-",
    "x-goog",
    "x-gfe",
    "x-azure-",
    "x-fd-",
];

const SENSITIVE: [&str; 5] =
    ["authorization", "cookie", "www-authenticate", "x-api-key", "x-auth-token"];

fn begins_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, expect: Result<(), HeaderError>) {
        assert_eq!(validate(name, value), expect, "{name}: {value}");
    }

    #[test]
    fn names() {
        for name in ["x-custom", "X-Custom", "authorization", "Cookie", "a", "!#$%&'*+-.^_`|~09Az"]
        {
            check(name, "value", Ok(()));
        }
        check(&"x".repeat(128), "value", Ok(()));
        check(&"x".repeat(129), "value", Err(HeaderError::NameTooLong));
        check("", "value", Err(HeaderError::NameEmpty));
        for name in ["x y", "x:", "x\r\n", "x\0", "é", "x(", "x\u{7f}", "\u{ff58}"] {
            check(name, "value", Err(HeaderError::NameCharacter));
        }
    }

    #[test]
    fn values() {
        for value in ["", "Bearer made-up", " \t!~", &"x".repeat(4096)] {
            check("x-custom", value, Ok(()));
        }
        check("x-custom", &"x".repeat(4097), Err(HeaderError::ValueTooLong));
        for value in ["a\r\nhost: b", "\n", "\0", "\u{7f}", "caf\u{e9}", "\u{2028}"] {
            check("x-custom", value, Err(HeaderError::ValueCharacter));
        }
    }

    #[test]
    fn taken_names() {
        for name in FORBIDDEN {
            check(name, "value", Err(HeaderError::Forbidden { name }));
            check(&name.to_uppercase(), "value", Err(HeaderError::Forbidden { name }));
        }
        for (name, prefix) in [
            ("Webhook-Id", "webhook-"),
            ("svix-signature", "svix-"),
            ("X-Svix-Anything", "x-svix-"),
            ("ringback-x", "ringback-"),
            ("proxy-authorization", "proxy-"),
            ("x-amz-date", "x-amz-"),
            ("x-amzn-trace-id", "x-amzn-"),
            ("x-goog-user", "x-goog"),
            ("x-google-cache", "x-goog"),
            ("x-gfe-ssl", "x-gfe"),
            ("x-azure-fdid", "x-azure-"),
            ("x-fd-healthprobe", "x-fd-"),
        ] {
            check(name, "value", Err(HeaderError::ForbiddenPrefix { prefix }));
        }
        for name in ["webhook", "x-webhook-id", "x-fdx", "hosts", "x-host"] {
            check(name, "value", Ok(()));
        }
    }

    #[test]
    fn sensitivity() {
        for name in ["Authorization", "X-API-Key", "x-auth-token", "cookie", "Proxy-Anything"] {
            assert!(is_sensitive(name), "{name}");
        }
        for name in ["x-custom", "proxy", "x-api-keys", ""] {
            assert!(!is_sensitive(name), "{name}");
        }
    }
}
