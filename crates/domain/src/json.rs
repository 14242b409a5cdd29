//! What a payload may look like, decided on its bytes.
//!
//! A payload is forwarded as it was received, so it is not parsed into a value. But what is stored
//! must be readable later, by parsers with a recursion limit too: that is why depth is checked.

/// Why a JSON text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nested deeper than {limit} levels")]
pub struct TooDeep {
    /// The deepest that is accepted.
    pub limit: usize,
}

/// Checks how deep arrays and objects of a *valid* JSON text are nested; a scalar has depth 0.
///
/// # Errors
/// [`TooDeep`] as soon as a level beyond `limit` opens.
pub fn check_depth(text: &[u8], limit: usize) -> Result<(), TooDeep> {
    // Nearly every text opens fewer brackets than may be nested; counting them is much quicker than
    // following them.
    if text.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() <= limit {
        return Ok(());
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return Err(TooDeep { limit });
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        for (text, limit, expect) in [
            ("1".to_owned(), 0, true),
            (nested(64), 64, true),
            (nested(65), 64, false),
            (nested(5_000), 64, false),
            (r#"{"a":"[[[[{{{{","b":"\"[[[["}"#.to_owned(), 1, true),
            (r#"[{"a":[]},{"a":[]}]"#.to_owned(), 3, true),
            (r#"[{"a":[[]]}]"#.to_owned(), 3, false),
        ] {
            assert_eq!(check_depth(text.as_bytes(), limit).is_ok(), expect, "{text:.40}");
        }
    }
}
