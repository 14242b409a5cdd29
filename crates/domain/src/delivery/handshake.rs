//! Whether a receiver wants to be sent to, as "HTTP 1.1 Web Hooks for Event Delivery" of CloudEvents
//! has it (section 4): asked with `OPTIONS` before the first delivery.

/// Who asks: the sender's name in DNS.
pub const REQUEST_ORIGIN: &str = "webhook-request-origin";
/// How many requests a minute are meant to be sent.
pub const REQUEST_RATE: &str = "webhook-request-rate";
/// Who may send: the name that asked, or `*`.
pub const ALLOWED_ORIGIN: &str = "webhook-allowed-origin";
/// How many requests a minute may be sent, or `*`.
pub const ALLOWED_RATE: &str = "webhook-allowed-rate";

/// What a receiver allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowed {
    /// Requests a second, at most; none if it names no bound.
    pub rate: Option<f64>,
}

/// Why nothing may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The answer is none of success.
    #[error("it answered with status {0}")]
    Status(u16),
    /// It names nobody who may.
    #[error("its answer has no webhook-allowed-origin")]
    Silent,
    /// It names somebody else.
    #[error("its answer allows another origin")]
    Other,
    /// It names a rate that is none.
    #[error("the webhook-allowed-rate of its answer is no rate")]
    Rate,
}

/// What an answer says to whoever asked as `origin`.
///
/// # Errors
/// [`Refused`]: nothing may be sent.
pub fn judge<'a>(
    origin: &str,
    status: u16,
    header: impl Fn(&str) -> Option<&'a str>,
) -> Result<Allowed, Refused> {
    if !(200..300).contains(&status) {
        return Err(Refused::Status(status));
    }
    let allowed = header(ALLOWED_ORIGIN).ok_or(Refused::Silent)?.trim();
    if allowed != "*" && !allowed.eq_ignore_ascii_case(origin) {
        return Err(Refused::Other);
    }
    let rate = match header(ALLOWED_RATE).map(str::trim) {
        None | Some("*") => None,
        Some(rate) => {
            let rate = rate.parse::<u32>().ok().filter(|rate| *rate > 0).ok_or(Refused::Rate)?;
            Some(f64::from(rate) / 60.0)
        }
    };
    Ok(Allowed { rate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_named_may_send_and_not_faster_than_allowed() {
        let origin = "hooks.example.com";
        for (status, allowed, rate, expect) in [
            (200, Some("hooks.example.com"), None, Ok(None)),
            (204, Some("Hooks.Example.com"), Some("*"), Ok(None)),
            (200, Some("*"), Some("120"), Ok(Some(2.0))),
            (200, Some("*"), Some("30"), Ok(Some(0.5))),
            (200, Some("*"), Some("0"), Err(Refused::Rate)),
            (200, Some("*"), Some("many"), Err(Refused::Rate)),
            (200, Some("evil.example"), None, Err(Refused::Other)),
            (200, None, Some("*"), Err(Refused::Silent)),
            (405, Some("*"), None, Err(Refused::Status(405))),
            (302, Some("*"), None, Err(Refused::Status(302))),
        ] {
            let header = |name: &str| match name {
                ALLOWED_ORIGIN => allowed,
                ALLOWED_RATE => rate,
                other => panic!("{other}"),
            };
            let judged = judge(origin, status, header).map(|allowed| allowed.rate);
            assert_eq!(judged, expect, "{status} {allowed:?} {rate:?}");
        }
    }
}
