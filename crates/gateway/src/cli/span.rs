//! Lengths of time as they are typed and shown.

use std::time::Duration;

use ringback_domain::time::Timestamp;

/// A number with a unit: `500ms`, `30s`, `5m`, `2h`, `3d`, `1w`.
pub(super) fn with_unit(text: &str) -> Option<Duration> {
    let digits = text.find(|one: char| !one.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(millis).map(Duration::from_millis)
}

/// A number with a unit, or one of seconds.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let is_number = text.bytes().all(|one| one.is_ascii_digit());
    let span = if is_number { with_unit(&format!("{text}s")) } else { with_unit(text) };
    span.ok_or_else(|| format!("{text:?} is not a time such as 500ms, 30s, 5m or 2h"))
}

/// The time so long ago. A number alone is none: it could be anything.
pub(super) fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    with_unit(text).map(|span| now - span)
}

/// One unit, or two: `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub(super) fn shown(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{} ms", span.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_shown() {
        for (typed, expected) in [
            ("500ms", "500 ms"),
            ("30", "30 s"),
            ("30s", "30 s"),
            ("5m", "5 min 0 s"),
            ("2h", "2 h 0 min"),
            ("1d", "24 h 0 min"),
            ("1w", "168 h 0 min"),
        ] {
            assert_eq!(shown(parse(typed).unwrap()), expected);
        }
        for wrong in [
            "",
            "s",
            "-1s",
            "+1",
            "1.5s",
            "1y",
            "2é",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn so_long_ago_has_a_unit() {
        let now = Timestamp(1_000_000_000_000);
        assert_eq!(ago("2h", now), Some(now - Duration::from_secs(7200)));
        for wrong in ["90", "now", "msg_1"] {
            assert_eq!(ago(wrong, now), None, "{wrong}");
        }
    }
}
