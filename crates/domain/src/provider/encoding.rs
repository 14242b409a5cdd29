//! How signatures and keys are written as text.

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::Deserialize;

use crate::base64::unbase64;

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Hexadecimal in any case.
    #[default]
    Hex,
    /// Hexadecimal in any case; in capital letters when it is written.
    UpperHex,
    /// Base64, with or without padding.
    Base64,
    /// Base64 with `-` and `_`, with or without padding.
    Base64url,
    /// The text itself.
    Text,
}

impl Encoding {
    /// The bytes behind `text`.
    pub(super) fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Hex | Self::UpperHex => HEXLOWER_PERMISSIVE.decode(text).ok(),
            Self::Base64 | Self::Base64url => unbase64(text),
            Self::Text => Some(text.to_vec()),
        }
    }

    /// The text for `bytes`; bytes that are no text become base64 with [`Encoding::Text`].
    pub(super) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => HEXLOWER.encode(bytes),
            Self::UpperHex => data_encoding::HEXUPPER.encode(bytes),
            Self::Base64 => BASE64.encode(bytes),
            Self::Base64url => BASE64URL_NOPAD.encode(bytes),
            Self::Text => {
                std::str::from_utf8(bytes).map_or_else(|_| BASE64.encode(bytes), str::to_owned)
            }
        }
    }
}
