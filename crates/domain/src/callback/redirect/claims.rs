//! What is proven or looked up, held against what was stored.

use serde_json::Value;

use super::super::price::same_amount;
use crate::{
    filter::{self, Event, Expression},
    provider::{Template, Values},
};

/// What was stored when the callback was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// What the other side calls it.
    pub reference: String,
    /// How much is to be paid, as the provider writes it: `12.50` or `1250`.
    pub amount: Option<String>,
    /// In which currency.
    pub currency: Option<String>,
}

impl Expected {
    /// Them as templates name them: `{callback.reference}` and the like.
    pub fn values(&self) -> Vec<(String, Vec<u8>)> {
        let Expected { reference, amount, currency } = self;
        [
            ("reference", Some(reference)),
            ("amount", amount.as_ref()),
            ("currency", currency.as_ref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.clone().into_bytes())))
        .collect()
    }
}

/// What a verifier found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is paid, granted, done.
    Complete,
    /// It will not be.
    Fail,
    /// Nothing is certain yet.
    Pending,
    /// It is about something else than what was stored; the field that differs.
    Mismatch(&'static str),
    /// Nothing is proven, and why.
    Unproven(String),
}

/// Where what is compared stands in an arrival or an answer, and which of them mean what.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    pub(super) reference: Template,
    pub(super) amount: Option<Template>,
    pub(super) currency: Option<Template>,
    pub(super) complete: Expression,
    pub(super) fail: Option<Expression>,
}

impl Claims {
    /// The templates in it.
    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        [&self.reference].into_iter().chain(&self.amount).chain(&self.currency)
    }

    /// The stored values that it cannot see, of which it therefore cannot be certain.
    pub(super) fn blind_to(&self, expected: &Expected) -> Option<&'static str> {
        match expected {
            Expected { amount: Some(_), .. } if self.amount.is_none() => Some("amount"),
            Expected { currency: Some(_), .. } if self.currency.is_none() => Some("currency"),
            _ => None,
        }
    }

    /// What was found, now that it is known that the provider said it.
    pub(super) fn judge(
        &self,
        values: &Values<'_>,
        event: &Event<'_>,
        expected: &Expected,
    ) -> Finding {
        match self.reference.filled(values) {
            Ok(reference) if reference == expected.reference => {}
            Ok(_) => return Finding::Mismatch("reference"),
            Err(missing) => return Finding::Unproven(format!("{missing} is missing")),
        }
        let holds = |when: &Expression| when.judge(event) == filter::Outcome::Match;
        if self.fail.as_ref().is_some_and(holds) {
            return Finding::Fail;
        }
        if !holds(&self.complete) {
            return Finding::Pending;
        }
        // Whatever is stored has to be found.
        let is_same =
            |stored: &Option<String>, place: &Option<Template>, same: fn(&str, &str) -> bool| {
                let Some(stored) = stored else { return true };
                let found = place.as_ref().and_then(|place| place.filled(values).ok());
                found.is_some_and(|found| same(&found, stored))
            };
        if !is_same(&expected.amount, &self.amount, same_amount) {
            return Finding::Mismatch("amount");
        }
        if !is_same(&expected.currency, &self.currency, str::eq_ignore_ascii_case) {
            return Finding::Mismatch("currency");
        }
        Finding::Complete
    }
}

/// A filter of fields alone: of a query or form that was signed, or of an answer.
pub(super) fn of_fields(filter: &Value) -> Result<Expression, filter::Mistake> {
    Expression::compile(&serde_json::json!({ "body": filter }))
}
