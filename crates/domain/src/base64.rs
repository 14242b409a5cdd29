//! Base64 as others write it.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};

/// Base64 in either alphabet, with or without padding.
pub(crate) fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    if text.len() - end > 2 {
        return None;
    }
    let bare = &text[..end];
    if bare.iter().any(|byte| matches!(byte, b'-' | b'_')) {
        return BASE64URL_NOPAD.decode(bare).ok();
    }
    BASE64_NOPAD.decode(bare).ok()
}
