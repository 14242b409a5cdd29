//! W3C Trace Context (level 1): the `traceparent` header, read and made.

use std::fmt;

/// The ids that tie log lines and requests of several processes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The whole trace; never zero.
    pub trace_id: u128,
    /// The caller's span, or our own after [`TraceContext::child`]; never zero.
    pub span_id: u64,
    /// Whether the caller records this trace.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent` header: `00-<32 hex>-<16 hex>-<2 hex>`, lowercase. Of later versions
    /// the known part is read. `None` for anything else, and the caller starts a trace of its own.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let (version, rest) = header.split_once('-')?;
        let (trace_id, rest) = rest.split_once('-')?;
        let (span_id, rest) = rest.split_once('-')?;
        let (flags, more) = match rest.split_once('-') {
            Some((flags, _)) => (flags, true),
            None => (rest, false),
        };
        let version = hex(version, 2)?;
        if version == 0xff || (version == 0 && more) {
            return None;
        }
        let trace_id = hex(trace_id, 32).filter(|id| *id != 0)?;
        let span_id = u64::try_from(hex(span_id, 16)?).ok().filter(|id| *id != 0)?;
        let sampled = hex(flags, 2)? & 1 == 1;
        Some(Self { trace_id, span_id, sampled })
    }

    /// A trace of our own, from 24 random bytes.
    #[must_use]
    pub fn start(random: [u8; 24]) -> Self {
        let [trace_id @ .., a, b, c, d, e, f, g, h] = random;
        Self {
            // Zero is forbidden on the wire, however unlikely.
            trace_id: u128::from_be_bytes(trace_id).max(1),
            span_id: u64::from_be_bytes([a, b, c, d, e, f, g, h]).max(1),
            sampled: false,
        }
    }

    /// The same trace with a span of our own, from 8 random bytes.
    #[must_use]
    pub fn child(self, random: [u8; 8]) -> Self {
        Self { span_id: u64::from_be_bytes(random).max(1), ..self }
    }
}

/// As the header is sent.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let lowercase = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != digits || !text.bytes().all(lowercase) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::TraceContext;

    #[test]
    fn headers_are_read_and_written() {
        fn check(header: &str, expected: Option<&str>) {
            let found = TraceContext::parse(header).map(|context| context.to_string());
            assert_eq!(found.as_deref(), expected, "{header}");
        }
        // The specification's example.
        let example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        check(example, Some(example));
        check(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-fe",
            Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
        );
        check("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what", Some(example));
        check("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what", None);
        check("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None);
        check("00-00000000000000000000000000000000-b7ad6b7169203331-01", None);
        check("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", None);
        check("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None);
        check("00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01", None);
        check("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", None);
        check("", None);
    }

    #[test]
    fn a_child_keeps_the_trace_and_no_id_is_zero() {
        let own = TraceContext::start([0; 24]);
        assert_eq!((own.trace_id, own.span_id), (1, 1));
        let child = TraceContext::start([7; 24]).child([9; 8]);
        assert_eq!(child.trace_id, u128::from_be_bytes([7; 16]));
        assert_eq!(child.span_id, u64::from_be_bytes([9; 8]));
    }
}
