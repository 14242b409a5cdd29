//! The order of JSON numbers, exactly: identifiers have more digits than a double has.

use std::cmp::Ordering;

use serde_json::Number;

/// The first integers with more than 64 bits, of both signs. The JSON reader makes doubles of them,
/// which are no longer exact.
const INEXACT: [f64; 2] = [-9_223_372_036_854_775_808.0, 18_446_744_073_709_551_616.0];

/// Whether a number may have been an integer that the JSON reader has rounded.
pub(super) fn is_inexact(number: &Number) -> bool {
    let double = double(number);
    number.is_f64() && (double <= INEXACT[0] || double >= INEXACT[1])
}

/// Compares two numbers by their value; `1` and `1.0` are equal.
///
/// An integer of more than 64 bits counts as the double that is nearest to it; it is still greater
/// than (or, negative, less than) all that have fewer.
pub(super) fn compare(left: &Number, right: &Number) -> Ordering {
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(left), None) => against(left, double(right)),
        (None, Some(right)) => against(right, double(left)).reverse(),
        (None, None) => double(left).total_cmp(&double(right)),
    }
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn double(number: &Number) -> f64 {
    // Negative zero is zero.
    number.as_f64().unwrap_or_default() + 0.0
}

/// An integer against a double, without making a double of it.
fn against(integer: i128, double: f64) -> Ordering {
    // It may be the smallest of 64 bits rounded up from something smaller.
    if double <= INEXACT[0] {
        return Ordering::Greater;
    }
    // The cast saturates far beyond 64 bits.
    let whole = double.trunc();
    integer.cmp(&(whole as i128)).then_with(|| whole.total_cmp(&double))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact() {
        let number = |text: &str| serde_json::from_str::<Number>(text).unwrap();
        for (left, right, expect) in [
            ("1", "1.0", Ordering::Equal),
            ("0", "-0.0", Ordering::Equal),
            ("-0.0", "0.0", Ordering::Equal),
            ("1", "1.5", Ordering::Less),
            ("-1", "-1.5", Ordering::Greater),
            ("-2", "-1.5", Ordering::Less),
            ("2", "1.5", Ordering::Greater),
            // Both are 9007199254740992 as doubles.
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("9007199254740993", "9007199254740992.0", Ordering::Greater),
            ("18446744073709551615", "18446744073709551614", Ordering::Greater),
            ("18446744073709551615", "18446744073709551616", Ordering::Less),
            ("-9223372036854775808", "18446744073709551615", Ordering::Less),
            ("-9223372036854775808", "-9223372036854775809", Ordering::Greater),
            ("1", "1e300", Ordering::Less),
            ("1", "-1e300", Ordering::Greater),
        ] {
            let [a, b] = [number(left), number(right)];
            assert_eq!(compare(&a, &b), expect, "{left} {right}");
            assert_eq!(compare(&b, &a), expect.reverse(), "{right} {left}");
        }
    }
}
