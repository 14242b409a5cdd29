//! Correlation rules: which messages of a source answer a callback, and which one.
//!
//! A rule says where a message has the reference of the callback that it is about (a template, as in
//! a provider's file: `{json.data.object.client_reference_id}`), which messages it is for (a filter),
//! and what they mean for the callback. Rules are read in their order; of those that find the same
//! reference, the first counts.

use std::time::Duration;

use serde_json::Value;

use super::Price;
use crate::{
    filter::{self, Event, Expression},
    provider::{Request, Template, TemplateMistake},
};

/// The most rules of a source.
pub const MAX_RULES: usize = 20;
/// How long a message is remembered for a callback that is made later, in seconds, if a rule does not
/// say.
pub const LOOKBACK: u32 = 24 * 3600;
/// The longest that it is remembered, in seconds.
pub const MAX_LOOKBACK: u32 = 7 * 24 * 3600;
/// The longest reference, in bytes.
pub const MAX_REFERENCE: usize = 256;

/// Whether a text can be the reference of a callback: not empty, within [`MAX_REFERENCE`], and without
/// control characters, which no provider sends and not every store keeps.
pub fn is_reference(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_REFERENCE && !text.contains(char::is_control)
}

/// A rule, ready to judge.
#[derive(Clone, Debug)]
pub struct Rule {
    name: String,
    reference: Template,
    amount: Option<Template>,
    currency: Option<Template>,
    when: Option<Expression>,
    outcome: Outcome,
    lookback: Duration,
}

/// A rule as its owner writes it.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// What it is called: for people, and in the log.
    pub name: &'a str,
    /// A template of the reference.
    pub reference: &'a str,
    /// A template of the amount that was paid.
    pub amount: Option<&'a str>,
    /// A template of its currency.
    pub currency: Option<&'a str>,
    /// Only messages that this filter matches; all when absent.
    pub when: Option<&'a Value>,
    /// What they mean.
    pub outcome: Outcome,
    /// For how long a message is remembered that met no callback, in seconds; 0: not at all.
    pub lookback: u32,
}

/// What a message means for its callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is the answer.
    Complete,
    /// There will be none.
    Fail,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It has no name, or one that is too long.
    #[error("takes 1 to 100 characters")]
    Name,
    /// The template of the reference.
    #[error(transparent)]
    Reference(TemplateMistake),
    /// The same for every message: not one of them could be told from another.
    #[error("names no value of the message, as `{{json.data.reference}}` does")]
    Constant,
    /// The template of the amount.
    #[error(transparent)]
    Amount(TemplateMistake),
    /// The template of the currency.
    #[error(transparent)]
    Currency(TemplateMistake),
    /// The filter.
    #[error(transparent)]
    When(filter::Mistake),
    /// It is remembered for too long.
    #[error("has to be at most {MAX_LOOKBACK} seconds")]
    Lookback,
}

impl Wrong {
    /// The field that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Wrong::Name => "name",
            Wrong::Reference(_) | Wrong::Constant => "reference",
            Wrong::Amount(_) => "amount",
            Wrong::Currency(_) => "currency",
            Wrong::When(_) => "when",
            Wrong::Lookback => "lookback",
        }
    }
}

/// What a rule says of a message that is about a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The callback's reference.
    pub reference: String,
    /// What the message means.
    pub outcome: Outcome,
    /// What was paid, as far as the message says it.
    pub price: Price,
    /// For how long it is remembered.
    pub lookback: Duration,
}

/// What rules say of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found<'a> {
    /// Which callbacks it is about, each reference once.
    pub matches: Vec<Match>,
    /// Rules whose filter would have cost too much to judge, by their names: nothing is said of the
    /// reference that they found.
    pub overrun: Vec<&'a str>,
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// The first thing that is [`Wrong`].
    pub fn compile(written: &Written<'_>) -> Result<Rule, Wrong> {
        let Written { name, outcome, lookback, .. } = *written;
        if name.is_empty() || name.chars().count() > 100 {
            return Err(Wrong::Name);
        }
        let reference = Template::parse(written.reference).map_err(Wrong::Reference)?;
        if reference.is_constant() {
            return Err(Wrong::Constant);
        }
        let amount = written.amount.map(Template::parse).transpose().map_err(Wrong::Amount)?;
        let currency =
            written.currency.map(Template::parse).transpose().map_err(Wrong::Currency)?;
        let when = written.when.map(Expression::compile).transpose().map_err(Wrong::When)?;
        if lookback > MAX_LOOKBACK {
            return Err(Wrong::Lookback);
        }
        let lookback = Duration::from_secs(lookback.into());
        Ok(Rule { name: name.to_owned(), reference, amount, currency, when, outcome, lookback })
    }
}

/// What `rules` say of a message: of `request` as templates see it, and of `event` as filters do.
///
/// A message without the field that a reference is in, or with a value there that
/// [is none](is_reference), is about no callback.
pub fn judge<'a>(rules: &'a [Rule], request: &Request<'_>, event: &Event<'_>) -> Found<'a> {
    let mut found = Found::default();
    let mut undecided = Vec::new();
    for rule in rules {
        let reference = rule.reference.for_request(request).filter(|text| is_reference(text));
        let Some(reference) = reference else { continue };
        let before = found.matches.iter().map(|before| &before.reference);
        if before.chain(&undecided).any(|before| *before == reference) {
            continue;
        }
        match rule.when.as_ref().map_or(filter::Outcome::Match, |when| when.judge(event)) {
            filter::Outcome::Match => {
                let Rule { outcome, lookback, .. } = *rule;
                let said = |place: &Option<Template>| place.as_ref()?.for_request(request);
                let price = Price { amount: said(&rule.amount), currency: said(&rule.currency) };
                found.matches.push(Match { reference, outcome, price, lookback });
            }
            filter::Outcome::NoMatch => {}
            // A rule after it may be for everything that this one is not for.
            filter::Outcome::Overrun => {
                found.overrun.push(&*rule.name);
                undecided.push(reference);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PAID: Written<'static> = Written {
        name: "paid",
        reference: "{json.data.order}",
        amount: None,
        currency: None,
        when: None,
        outcome: Outcome::Complete,
        lookback: LOOKBACK,
    };

    fn found(rules: &[Rule], body: &str, headers: &[(&str, &[u8])]) -> Vec<(String, Outcome)> {
        let url = "https://hooks.example.com/in/x?order=q-1";
        let request = Request::new("POST", url, headers, body.as_bytes());
        let event = Event {
            body: body.as_bytes(),
            target: Some("?order=q-1"),
            content_type: Some("application/json"),
            ..Event::default()
        };
        let found = judge(rules, &request, &event);
        assert_eq!(found.overrun, Vec::<&str>::new());
        found.matches.into_iter().map(|one| (one.reference, one.outcome)).collect()
    }

    #[track_caller]
    fn check(reference: &str, body: &str, expect: Option<&str>) {
        let rule = Rule::compile(&Written { reference, ..PAID }).unwrap();
        let found = found(&[rule], body, &[("x-order", b"h-1")]);
        let found: Vec<_> = found.iter().map(|(reference, _)| &**reference).collect();
        assert_eq!(found, Vec::from_iter(expect), "{reference} in {body}");
    }

    #[test]
    fn a_reference_is_found_anywhere_in_a_message() {
        check("{json.data.order}", r#"{"data":{"order":"o-1"}}"#, Some("o-1"));
        check("{json.data.order}", r#"{"data":{"order":12345678901234567890}}"#, {
            Some("12345678901234567890")
        });
        check("{query.order}", "{}", Some("q-1"));
        check("{header.x-order}", "{}", Some("h-1"));
        check("shop-{json.a}-{json.b}", r#"{"a":1,"b":2}"#, Some("shop-1-2"));
        check("{json.data.order}", r#"{"data":{"order":null}}"#, None);
        check("{json.data.order}", r#"{"data":{"order":""}}"#, None);
        check("{json.data.order}", r#"{"data":{"order":{"id":1}}}"#, None);
        check("{json.data.order}", "no JSON", None);
        check("{json.data.order}", r#"{"data":{"order":"a\u0000b"}}"#, None);
        let long = format!(r#"{{"data":{{"order":"{}"}}}}"#, "o".repeat(MAX_REFERENCE + 1));
        check("{json.data.order}", &long, None);
    }

    #[test]
    fn the_first_rule_of_a_reference_counts() {
        let status = |status: &str| json!({"body": {"status": status}});
        let (paid, failed) = (status("paid"), status("failed"));
        let rules = [
            Written { when: Some(&paid), ..PAID },
            Written { when: Some(&failed), outcome: Outcome::Fail, ..PAID },
            Written { outcome: Outcome::Fail, ..PAID },
            Written { reference: "{json.parent}", ..PAID },
        ];
        let rules = rules.map(|rule| Rule::compile(&rule).unwrap());
        let one = |body| found(&rules, body, &[]);
        let order = |outcome| vec![("o-1".to_owned(), outcome)];
        assert_eq!(one(r#"{"status":"paid","data":{"order":"o-1"}}"#), order(Outcome::Complete));
        assert_eq!(one(r#"{"status":"failed","data":{"order":"o-1"}}"#), order(Outcome::Fail));
        let mut both = order(Outcome::Complete);
        both.push(("p-1".to_owned(), Outcome::Complete));
        assert_eq!(one(r#"{"status":"paid","data":{"order":"o-1"},"parent":"p-1"}"#), both);
    }

    #[test]
    fn a_filter_that_cannot_be_judged_says_so() {
        let when = json!({"body": {"a": {"$regex": "x"}}});
        let rule = Rule::compile(&Written { when: Some(&when), ..PAID }).unwrap();
        let body = format!(r#"{{"data":{{"order":"o-1"}},"a":{}}}"#, json!("y".repeat(3_000_000)));
        let request = Request::new("POST", "https://example.com/", &[], body.as_bytes());
        let event = Event { body: body.as_bytes(), ..Event::default() };
        let rules = [rule, Rule::compile(&Written { outcome: Outcome::Fail, ..PAID }).unwrap()];
        let found = judge(&rules, &request, &event);
        assert_eq!(found, Found { matches: Vec::new(), overrun: vec!["paid"] });
    }

    #[test]
    fn what_cannot_be_meant_names_its_field() {
        let filter = json!({"body": {"a": {"$gtt": 1}}});
        for (written, field) in [
            (Written { name: "", ..PAID }, "name"),
            (Written { reference: "{jason.id}", ..PAID }, "reference"),
            (Written { reference: "order-17", ..PAID }, "reference"),
            (Written { when: Some(&filter), ..PAID }, "when"),
            (Written { lookback: MAX_LOOKBACK + 1, ..PAID }, "lookback"),
        ] {
            assert_eq!(Rule::compile(&written).unwrap_err().field(), field);
        }
    }
}
