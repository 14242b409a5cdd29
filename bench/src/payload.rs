//! The payload every message carries: 1 KiB of JSON that begins with its sequence number.
//!
//! The number is what ties a receipt to the accept, independently of the id the server gave. The
//! server must pass payload bytes through untouched, so the receiver reads the number at a fixed
//! place.

use serde_json::Value;

/// Bytes of one payload.
pub const SIZE: usize = 1024;

const HEAD: &[u8] = b"{\"seq\":";
const BODY: &[u8] = b",\"order\":\"made-up\",\"amount\":12.50,\"note\":\"";
const TAIL: &[u8] = b"\"}";

/// Appends the payload of `seq`, exactly [`SIZE`] bytes.
pub fn write(seq: u32, into: &mut Vec<u8>) {
    let start = into.len();
    into.extend_from_slice(HEAD);
    into.extend_from_slice(seq.to_string().as_bytes());
    into.extend_from_slice(BODY);
    into.resize(start + SIZE - TAIL.len(), b'x');
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

    fn check(seq: u32) {
        let mut bytes = b"before".to_vec();
        write(seq, &mut bytes);
        let payload = &bytes[6..];
        assert_eq!(payload.len(), SIZE);
        assert_eq!(super::seq(payload), Some(seq));
        let parsed: Value = serde_json::from_slice(payload).unwrap();
        assert_eq!(parsed["seq"], seq);
    }

    #[test]
    fn a_payload_is_json_of_one_kib_that_names_its_number() {
        check(0);
        check(29_999);
        check(u32::MAX);
    }

    #[test]
    fn a_respelled_payload_is_still_recognised_and_a_foreign_one_is_not() {
        assert_eq!(seq(br#"{ "note": "x", "seq": 7 }"#), Some(7));
        assert_eq!(seq(br#"{"type":"endpoint.disabled"}"#), None);
        assert_eq!(seq(b"not json"), None);
    }
}
