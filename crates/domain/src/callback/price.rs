//! What has to be paid: an amount and a currency, as the other side writes them.

/// An amount and a currency, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// How much, as the other side writes it: `12.50` or `1250`.
    pub amount: Option<String>,
    /// In which currency.
    pub currency: Option<String>,
}

impl Price {
    /// What of `said` is not what this expects; what is expected and not said differs, too.
    pub fn differs(&self, said: &Price) -> Option<&'static str> {
        let differs =
            |expected: &Option<String>, said: &Option<String>, same: fn(&str, &str) -> bool| {
                let same = |expected: &str| said.as_ref().is_some_and(|said| same(said, expected));
                expected.as_ref().is_some_and(|expected| !same(expected))
            };
        if differs(&self.amount, &said.amount, same_amount) {
            return Some("amount");
        }
        differs(&self.currency, &said.currency, str::eq_ignore_ascii_case).then_some("currency")
    }
}

/// Whether two texts are the same decimal number: `10`, `10.0` and `10.00` are. Exact, as money is.
pub(super) fn same_amount(one: &str, other: &str) -> bool {
    match (decimal(one), decimal(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// The digits before and after the point that count.
fn decimal(text: &str) -> Option<(&str, &str)> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = digits(whole) && digits(part) && !whole.is_empty();
    let ends_in_point = text.ends_with('.');
    (is_number && !ends_in_point)
        .then(|| (whole.trim_start_matches('0'), part.trim_end_matches('0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_has_to_be_said() {
        let price = |amount: &str, currency: &str| Price {
            amount: (!amount.is_empty()).then(|| amount.to_owned()),
            currency: (!currency.is_empty()).then(|| currency.to_owned()),
        };
        for (expected, said, differs) in [
            (price("", ""), price("", ""), None),
            (price("", ""), price("1", "eur"), None),
            (price("12.50", "EUR"), price("12.5", "eur"), None),
            (price("12.50", ""), price("12.49", "eur"), Some("amount")),
            (price("12.50", ""), price("", "eur"), Some("amount")),
            (price("12.50", "EUR"), price("12.50", "usd"), Some("currency")),
            (price("", "EUR"), price("12.50", ""), Some("currency")),
        ] {
            assert_eq!(expected.differs(&said), differs, "{expected:?} {said:?}");
        }
    }

    #[test]
    fn amounts_are_numbers() {
        for (one, other) in [("10", "10.00"), ("0.5", "00.50"), ("0", "0.00"), ("1250", "1250")] {
            assert!(same_amount(one, other), "{one} and {other}");
        }
        let long = "123456789012345678901234567890.1";
        assert!(same_amount(long, long) && !same_amount(long, "123456789012345678901234567890.2"));
        for (one, other) in [
            ("10", "1"),
            ("10", "10.01"),
            ("1e1", "10"),
            ("-1", "-1"),
            ("", ""),
            ("1.", "1."),
            (".5", ".5"),
            ("10", "1 0"),
        ] {
            assert!(!same_amount(one, other), "{one} and {other}");
        }
    }
}
