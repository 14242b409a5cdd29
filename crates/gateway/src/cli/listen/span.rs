//! Lengths of time as they are typed and shown.

use std::time::Duration;

/// `500ms`, `30s`, `5m`, `2h`; a plain number is seconds.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.find(|one: char| !one.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let number = number.parse::<u64>().ok();
    let span = number.zip(millis).and_then(|(number, millis)| number.checked_mul(millis));
    span.map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is not a time such as 500ms, 30s, 5m or 2h"))
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
        ] {
            assert_eq!(shown(parse(typed).unwrap()), expected);
        }
        for wrong in
            ["", "s", "-1s", "1.5s", "1w", "99999999999999999999s", "18446744073709551615h"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
