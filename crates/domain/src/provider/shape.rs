//! What a value from a stranger may look like, where answering it would sign it.

use serde::Deserialize;

/// The longest value that any shape lets pass.
const MAX_LEN: usize = 1024;

/// A set of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Shape {
    /// Letters, digits and `-._~+/=`: what tokens are made of, and no JSON or form is.
    Token68,
    Digits,
    Hex,
    /// At most 64 characters of hex.
    ShortHex,
    /// Anything but that.
    NotShortHex,
    Uuid,
    /// A host name, as `WebHook-Request-Origin` has it.
    Origin,
    /// Anything without a dot: what ids are where dots separate what is signed.
    Dotless,
}

impl Shape {
    pub(super) fn fits(self, value: &[u8]) -> bool {
        let all = |allowed: fn(u8) -> bool| value.iter().all(|byte| allowed(*byte));
        let bounded = !value.is_empty() && value.len() <= MAX_LEN;
        match self {
            Self::Token68 => {
                bounded && all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b))
            }
            Self::Digits => bounded && all(|b| b.is_ascii_digit()),
            Self::Hex => bounded && all(|b| b.is_ascii_hexdigit()),
            Self::ShortHex => bounded && value.len() <= 64 && all(|b| b.is_ascii_hexdigit()),
            Self::NotShortHex => !Self::ShortHex.fits(value),
            Self::Uuid => {
                value.len() == 36
                    && value.iter().enumerate().all(|(index, byte)| match index {
                        8 | 13 | 18 | 23 => *byte == b'-',
                        _ => byte.is_ascii_hexdigit(),
                    })
            }
            Self::Origin => bounded && all(|b| b.is_ascii_alphanumeric() || b"-.:/".contains(&b)),
            Self::Dotless => bounded && all(|b| b != b'.'),
        }
    }
}
