//! What a table holds, as a number that both sides come to by themselves.
//!
//! Each row has one canonical form, whatever the database calls its types; the checksum of a table
//! is the sum of its rows' hashes, so the order in which they are read does not matter.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    /// How much memory it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Value::Null | Value::Number(_) => 8,
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
        }
    }

    fn write(&self, context: &mut Context) {
        let (tag, bytes) = match self {
            Value::Null => (0, &[][..]),
            Value::Number(number) => (1, &number.to_be_bytes()[..]),
            Value::Text(text) => (2, text.as_bytes()),
            Value::Bytes(bytes) => (3, bytes.as_slice()),
        };
        context.update(&[tag]);
        // The length in front keeps ("ab", "c") and ("a", "bc") apart.
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    }
}

/// How many rows a table has, and what they add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many rows.
    pub rows: u64,
    /// The sum of their hashes, modulo 2^128.
    pub checksum: u128,
}

impl Sum {
    /// Adds a row.
    pub(crate) fn add(&mut self, row: &[Value]) {
        let mut context = Context::new(&SHA256);
        row.iter().for_each(|value| value.write(&mut context));
        let hash = context.finish();
        let half = hash.as_ref().iter().take(16);
        let number = half.fold(0, |sum: u128, byte| (sum << 8) | u128::from(*byte));
        self.rows += 1;
        self.checksum = self.checksum.wrapping_add(number);
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, checksum {:032x}", self.rows, self.checksum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(rows: &[&[Value]]) -> Sum {
        let mut sum = Sum::default();
        rows.iter().for_each(|row| sum.add(row));
        sum
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn every_value_counts_and_the_order_of_rows_does_not() {
        let (one, two) = ([text("a"), Value::Number(1)], [text("b"), Value::Null]);
        assert_eq!(sum(&[&one, &two]), sum(&[&two, &one]));
        let expect = sum(&[&one]);
        for other in [
            [text("b"), Value::Number(1)],
            [text("a"), Value::Number(2)],
            [text("a"), Value::Null],
            [Value::Bytes(b"a".to_vec()), Value::Number(1)],
            [Value::Number(1), text("a")],
        ] {
            assert_ne!(sum(&[&other]), expect, "{other:?}");
        }
        assert_ne!(sum(&[&[text("ab"), text("c")]]), sum(&[&[text("a"), text("bc")]]));
        assert_ne!(sum(&[&one, &one]), sum(&[]), "twice the same is not nothing");
    }
}
