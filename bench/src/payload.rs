//! The payload every message carries: JSON that begins with its sequence number, of 1 KiB unless the
//! shape is about other lengths.
//!
//! The number is what ties a receipt to the accept, independently of the id the server gave. The
//! server must pass payload bytes through untouched, so the receiver reads the number at a fixed
//! place.

use serde_json::Value;

/// How long payloads are, in bytes: taken in turn, by sequence number.
#[derive(Clone, Copy, Debug)]
pub struct Lengths(&'static [usize]);

impl Lengths {
    /// What every message has, where lengths are no matter.
    pub const ONE_KIB: Self = Self(&[1024]);
    /// As GitHub sends them: every tenth of the 329 examples in `@octokit/webhooks-examples` 7.6.1,
    /// sorted by length, from the shortest to the longest.
    pub const GITHUB: Self =
        Self(&[915, 2894, 6114, 6683, 7328, 7741, 8414, 10068, 12672, 23571, 26935]);

    fn of(self, seq: u32) -> usize {
        self.0[seq as usize % self.0.len()]
    }
}

const HEAD: &[u8] = b"{\"seq\":";
const BODY: &[u8] = b",\"order\":\"made-up\",\"amount\":12.50,\"note\":\"";
const TAIL: &[u8] = b"\"}";

/// Appends the payload of `seq`, exactly as long as `lengths` says.
pub fn write(seq: u32, lengths: Lengths, into: &mut Vec<u8>) {
    let length = lengths.of(seq);
    let start = into.len();
    into.reserve(length);
    into.extend_from_slice(HEAD);
    into.extend_from_slice(seq.to_string().as_bytes());
    into.extend_from_slice(BODY);
    into.resize(start + length - TAIL.len(), b'x');
    into.extend_from_slice(TAIL);
}

/// The sequence number of a received body, if it is one of ours.
pub fn seq(body: &[u8]) -> Option<u32> {
    let Some(rest) = body.strip_prefix(HEAD) else {
        return serde_json::from_slice::<Value>(body).ok()?["seq"].as_u64()?.try_into().ok();
    };
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seq: u32, lengths: Lengths, expect: usize) {
        let mut bytes = b"before".to_vec();
        write(seq, lengths, &mut bytes);
        let payload = &bytes[6..];
        assert_eq!(payload.len(), expect);
        assert_eq!(super::seq(payload), Some(seq));
        let parsed: Value = serde_json::from_slice(payload).unwrap();
        assert_eq!(parsed["seq"], seq);
    }

    #[test]
    fn a_payload_is_json_of_its_length_that_names_its_number() {
        check(0, Lengths::ONE_KIB, 1024);
        check(29_999, Lengths::ONE_KIB, 1024);
        check(u32::MAX, Lengths::ONE_KIB, 1024);
        check(0, Lengths::GITHUB, 915);
        check(u32::MAX - u32::MAX % 11 - 1, Lengths::GITHUB, 26_935);
    }

    #[test]
    fn a_respelled_payload_is_still_recognised_and_a_foreign_one_is_not() {
        assert_eq!(seq(br#"{ "note": "x", "seq": 7 }"#), Some(7));
        assert_eq!(seq(br#"{"type":"endpoint.disabled"}"#), None);
        assert_eq!(seq(b"not json"), None);
    }
}
