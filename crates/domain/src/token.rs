//! API tokens: `rbt_`, 43 base62 characters that hold 256 random bits, 6 of checksum.
//!
//! The shape is the one GitHub introduced: a fixed prefix and a checksum let a scanner find a
//! leaked token in a repository without asking anybody and with practically no false alarm.
//! Base62 has no dot, so the text never ends like the region suffixes (`.eu`) that SDKs look for.
//!
//! A token has 256 random bits, so a plain SHA-256 of it is safe to store; only that is stored.

use std::fmt;

use aws_lc_rs::digest;
use zeroize::Zeroizing;

/// What every token begins with.
pub const PREFIX: &str = "rbt_";

/// The length of a token, in characters.
pub const LEN: usize = PREFIX.len() + BODY_LEN + CHECKSUM_LEN;

/// 62⁴³ is the first power of 62 above 2²⁵⁶.
const BODY_LEN: usize = 43;

/// 62⁶ is the first power of 62 above 2³².
const CHECKSUM_LEN: usize = 6;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The text is not one of our tokens; never says what it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Another prefix, length or alphabet.
    #[error("not a token of ringback: one is `rbt_` and 49 letters and digits")]
    NotAToken,
    /// The right shape, but mistyped or cut and filled up.
    #[error("the checksum of the token is wrong, it was probably mistyped")]
    Checksum,
}

/// An API token in the clear: at its making, or as a client sent it.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// A token that holds these random bytes.
    pub fn mint(random: [u8; 32]) -> Self {
        let random = Zeroizing::new(random);
        let mut text = Zeroizing::new(String::with_capacity(LEN));
        text.push_str(PREFIX);
        push_base62(random.as_slice(), BODY_LEN, &mut text);
        let checksum = crc32(text.as_bytes());
        push_base62(&checksum.to_be_bytes(), CHECKSUM_LEN, &mut text);
        Self(text)
    }

    /// Reads a token and checks its checksum. Whether it is valid only the store knows.
    ///
    /// # Errors
    /// [`ParseError`], without the text.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let body = text.strip_prefix(PREFIX).ok_or(ParseError::NotAToken)?;
        if text.len() != LEN || !body.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(ParseError::NotAToken);
        }
        let (signed, checksum) = text.split_at(LEN - CHECKSUM_LEN);
        let mut expected = String::with_capacity(CHECKSUM_LEN);
        push_base62(&crc32(signed.as_bytes()).to_be_bytes(), CHECKSUM_LEN, &mut expected);
        // A checksum over the visible text is no secret: comparing it may take any time.
        if checksum != expected {
            return Err(ParseError::Checksum);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The whole token, to be shown once to whoever asked for it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is stored and looked up instead of the token; see [`hash`].
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }

    /// Enough to recognise the token in a list: its first 8 characters, an ellipsis, its last 4.
    pub fn hint(&self) -> String {
        format!("{}…{}", &self.0[..8], &self.0[LEN - 4..])
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.hint())
    }
}

/// SHA-256 of a bearer's text, be it a [`Token`] or a bootstrap token of any spelling.
pub fn hash(bearer: &str) -> [u8; 32] {
    let hash = digest::digest(&digest::SHA256, bearer.as_bytes());
    std::array::from_fn(|i| hash.as_ref()[i])
}

/// Appends a big-endian number as exactly `len` base62 digits, the most significant first.
fn push_base62(number: &[u8], len: usize, text: &mut String) {
    let mut number = Zeroizing::new(number.to_vec());
    let mut digits = Zeroizing::new(vec![0; len]);
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[usize::from(divide_by_62(&mut number))];
    }
    text.extend(digits.iter().map(|&digit| char::from(digit)));
}

/// Long division of a big-endian number in place; the remainder is the answer.
fn divide_by_62(number: &mut [u8]) -> u8 {
    let mut remainder = 0u16;
    for byte in number {
        let dividend = remainder << 8 | u16::from(*byte);
        // At most (61 * 256 + 255) / 62 = 255, so neither cast loses anything.
        *byte = (dividend / 62) as u8;
        remainder = dividend % 62;
    }
    remainder as u8
}

/// CRC-32 as in ISO-HDLC, zlib and PNG: reflected, polynomial 0x04C11DB7.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Computed with Python's `int`, `zlib.crc32` and `hashlib`.
    #[test]
    fn another_implementation_agrees() {
        for (random, text) in [
            ([0; 32], "rbt_00000000000000000000000000000000000000000000kxVMb"),
            (
                std::array::from_fn(|i| u8::try_from(i).unwrap()),
                "rbt_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf04u5zZ",
            ),
            ([255; 32], "rbt_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp12OXxzZ"),
        ] {
            assert_eq!(Token::mint(random).as_str(), text);
        }
        let hash = Token::mint([0; 32]).hash();
        let expect = "911e03d56eec85d9cea6a08c9cab1a9bceae78be252961ad1907af1f96263c3d";
        assert_eq!(data_encoding::HEXLOWER.encode(&hash), expect);
    }

    /// The check value of the CRC catalogue for this variant.
    #[test]
    fn crc32_is_the_common_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn what_is_no_token_is_told_from_a_mistyped_one() {
        let token = Token::mint([9; 32]);
        let good = token.as_str();
        let check = |text: &str, expect| {
            assert_eq!(Token::parse(text).err(), Some(expect), "{text}");
        };
        check("", ParseError::NotAToken);
        check("rbt_", ParseError::NotAToken);
        check("testsk_made-up-bootstrap-token", ParseError::NotAToken);
        check(&good[..LEN - 1], ParseError::NotAToken);
        check(&format!("{good}0"), ParseError::NotAToken);
        check(&format!(" {}", &good[1..]), ParseError::NotAToken);
        check(&good.replace("rbt_", "rbk_"), ParseError::NotAToken);
        check(&format!("{}-", &good[..LEN - 1]), ParseError::NotAToken);
        check(&format!("{}é", &good[..LEN - 2]), ParseError::NotAToken);
        let swapped = format!("rbt_{}{}{}", &good[5..6], &good[4..5], &good[6..]);
        assert_ne!(swapped, good, "the test needs two different characters");
        check(&swapped, ParseError::Checksum);
    }

    #[test]
    fn the_hint_and_debug_tell_little() {
        let token = Token::mint(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        assert_eq!(token.hint(), "rbt_003a…u5zZ");
        assert_eq!(format!("{token:?}"), "Token(rbt_003a…u5zZ)");
    }

    proptest! {
        #[test]
        fn minted_parses(random: [u8; 32]) {
            let token = Token::mint(random);
            prop_assert_eq!(token.as_str().len(), LEN);
            let parsed = Token::parse(token.as_str()).unwrap();
            prop_assert_eq!(parsed.hash(), token.hash());
        }

        /// Any one wrong character is noticed; a CRC-32 guarantees as much.
        #[test]
        fn a_typing_error_is_noticed(random: [u8; 32], at in PREFIX.len()..LEN, digit in 0..62usize) {
            let token = Token::mint(random);
            let mut typed = token.as_str().as_bytes().to_vec();
            prop_assume!(typed[at] != ALPHABET[digit]);
            typed[at] = ALPHABET[digit];
            let typed = String::from_utf8(typed).unwrap();
            prop_assert_eq!(Token::parse(&typed).err(), Some(ParseError::Checksum));
        }

        #[test]
        fn any_text_is_survived(text in "(rbt_)?.{0,60}") {
            let _ = Token::parse(&text);
        }
    }
}
