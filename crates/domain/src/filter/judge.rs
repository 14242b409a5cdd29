//! Holding a message against an expression, within a budget.

use std::cmp::Ordering;

use serde_json::Value;

use super::{
    Expression, Outcome, VISITS,
    event::{Event, Parts, TooMuch},
    number,
    pattern::{About, Object, Operand, Order, Pattern, Rule, Side, Test, Wanted},
    reference::Reference,
};

/// Looking for a text is so much quicker than looking at values.
const SEARCHED_BYTES: usize = 256;
/// The same for a regular expression, which may follow many possibilities at once.
const MATCHED_BYTES: usize = 4;

impl Expression {
    /// Judges a message.
    #[must_use]
    pub fn judge(&self, event: &Event<'_>) -> Outcome {
        let mut visits = VISITS;
        match self.rule.holds(&mut Parts::new(*event), &mut visits) {
            Ok(true) => Outcome::Match,
            Ok(false) => Outcome::NoMatch,
            Err(Spent) => Outcome::Overrun,
        }
    }
}

/// The budget is used up.
struct Spent;

impl From<TooMuch> for Spent {
    fn from(_: TooMuch) -> Spent {
        Spent
    }
}

type Judged = Result<bool, Spent>;

impl Rule {
    fn holds(&self, parts: &mut Parts<'_>, visits: &mut u32) -> Judged {
        for (part, pattern) in &self.parts {
            let root = parts.get(*part)?;
            let mut judge = Judge { root, visits, indexes: Vec::new() };
            if !judge.matches(pattern, root)? {
                return Ok(false);
            }
        }
        if let Some(rules) = &self.or
            && !any(rules, |rule| rule.holds(parts, visits))?
        {
            return Ok(false);
        }
        if !all(&self.and, |rule| rule.holds(parts, visits))? {
            return Ok(false);
        }
        match &self.not {
            Some(rule) => Ok(!rule.holds(parts, visits)?),
            None => Ok(true),
        }
    }
}

/// Judges one part. A value that is not there is `None`.
struct Judge<'a, 'b> {
    root: Option<&'a Value>,
    visits: &'b mut u32,
    /// Which elements of the arrays around are being looked at, the outermost first.
    indexes: Vec<usize>,
}

impl<'a> Judge<'a, '_> {
    fn matches(&mut self, pattern: &Pattern, value: Option<&'a Value>) -> Judged {
        self.spend(1)?;
        match (pattern, value) {
            (Pattern::Object(object), _) => self.object(object, value),
            (_, None) => Ok(false),
            (Pattern::Scalar(wanted), Some(Value::Array(_))) => {
                self.has_element(value, |this, item| this.is(wanted, Some(item)))
            }
            (Pattern::Scalar(wanted), Some(value)) => self.equal(wanted, value),
            (Pattern::Each(patterns), Some(Value::Array(_))) => all(patterns, |pattern| {
                self.has_element(value, |this, item| this.matches(pattern, Some(item)))
            }),
            (Pattern::Each(_), Some(_)) => Ok(false),
        }
    }

    fn object(&mut self, object: &Object, value: Option<&'a Value>) -> Judged {
        if !object.about.is_empty() && !self.about(&object.about, value)? {
            return Ok(false);
        }
        if !all(&object.tests, |test| self.passes(test, value))? {
            return Ok(false);
        }
        if let Some(reference) = &object.same {
            let wanted = self.resolve(reference);
            let same = match wanted {
                Some(wanted) => self.is(wanted, value)?,
                None => false,
            };
            if !same {
                return Ok(false);
            }
        }
        match &object.not {
            Some(pattern) => Ok(!self.matches(pattern, value)?),
            None => Ok(true),
        }
    }

    fn about(&mut self, about: &About, value: Option<&'a Value>) -> Judged {
        if matches!(value, Some(Value::Array(_))) {
            return self.has_element(value, |this, item| this.about(about, Some(item)));
        }
        if about.object {
            let Some(Value::Object(fields)) = value else { return Ok(false) };
            let field =
                |(name, pattern): &(Box<str>, Pattern)| self.matches(pattern, fields.get(&**name));
            if !all(&about.fields, field)? {
                return Ok(false);
            }
        }
        if let Some(patterns) = &about.or
            && !any(patterns, |pattern| self.matches(pattern, value))?
        {
            return Ok(false);
        }
        all(&about.and, |pattern| self.matches(pattern, value))
    }

    /// Whether an element of the array satisfies `matches`.
    fn has_element(
        &mut self,
        array: Option<&'a Value>,
        mut matches: impl FnMut(&mut Self, &'a Value) -> Judged,
    ) -> Judged {
        let items = array.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (index, item) in items.iter().enumerate() {
            self.spend(1)?;
            self.indexes.push(index);
            let matched = matches(self, item);
            self.indexes.pop();
            if matched? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the value is what a message says elsewhere. Nothing in that is an operator: senders
    /// of messages do not write filters.
    fn is(&mut self, wanted: &Value, value: Option<&'a Value>) -> Judged {
        let Some(value) = value else { return Ok(false) };
        match (wanted, value) {
            (Value::Array(wanted), Value::Array(_)) => all(wanted, |wanted| {
                self.has_element(Some(value), |this, item| this.is(wanted, Some(item)))
            }),
            (_, Value::Array(_)) => {
                self.has_element(Some(value), |this, item| this.is(wanted, Some(item)))
            }
            (Value::Object(wanted), Value::Object(fields)) => {
                all(wanted, |(name, wanted)| self.is(wanted, fields.get(name)))
            }
            _ => self.equal(wanted, value),
        }
    }

    fn passes(&mut self, test: &Test, value: Option<&'a Value>) -> Judged {
        self.spend(1)?;
        match test {
            Test::Exist(wanted) => Ok(value.is_some() == *wanted),
            Test::Equal(wanted, operand) => {
                let equal =
                    self.compare(operand, value, |this, operand, value| this.equal(operand, value));
                Ok(equal? == (*wanted == Wanted::Yes))
            }
            Test::In(wanted, operand) => {
                let contained =
                    self.compare(operand, value, |this, operand, value| this.is_in(operand, value));
                Ok(contained? == (*wanted == Wanted::Yes))
            }
            Test::Order(order, operand) => self.compare(operand, value, |this, operand, value| {
                let ordering = match (value, operand) {
                    (Value::Number(value), Value::Number(operand)) => {
                        number::compare(value, operand)
                    }
                    (Value::String(value), Value::String(operand)) => {
                        this.search(operand)?;
                        value.cmp(operand)
                    }
                    _ => return Ok(false),
                };
                Ok(order.holds(ordering))
            }),
            Test::Affix(side, operand) => self.compare(operand, value, |this, operand, value| {
                let Value::String(value) = value else { return Ok(false) };
                any(one_or_many(operand), |affix| {
                    let Value::String(affix) = affix else { return Ok(false) };
                    this.search(affix)?;
                    Ok(match side {
                        Side::Start => value.starts_with(&**affix),
                        Side::End => value.ends_with(&**affix),
                    })
                })
            }),
            Test::Regex(regex) => {
                let Some(Value::String(value)) = value else { return Ok(false) };
                self.spend(value.len() / MATCHED_BYTES)?;
                Ok(regex.is_match(value))
            }
        }
    }

    /// Compares two values that are there; if either is not, the answer is no.
    fn compare(
        &mut self,
        operand: &Operand,
        value: Option<&'a Value>,
        compare: impl FnOnce(&mut Self, &Value, &'a Value) -> Judged,
    ) -> Judged {
        let operand = match operand {
            Operand::Value(value) => Some(value),
            Operand::Reference(reference) => self.resolve(reference),
        };
        match (operand, value) {
            (Some(operand), Some(value)) => compare(self, operand, value),
            _ => Ok(false),
        }
    }

    /// `$in`: a text within a text, a value among several.
    fn is_in(&mut self, operand: &Value, value: &Value) -> Judged {
        if let (Value::String(part), Value::String(text)) = (operand, value) {
            self.search(text)?;
            return Ok(text.contains(&**part));
        }
        // An array may have thousands of values, and both may be arrays.
        any(one_or_many(value), |value| any(one_or_many(operand), |one| self.equal(one, value)))
    }

    /// Whether two values are the same; objects whatever the order of their keys.
    fn equal(&mut self, left: &Value, right: &Value) -> Judged {
        self.spend(1)?;
        match (left, right) {
            (Value::Number(left), Value::Number(right)) => {
                Ok(number::compare(left, right) == Ordering::Equal)
            }
            (Value::String(left), Value::String(right)) => {
                // Texts of different length are told apart at once.
                if left.len() == right.len() {
                    self.search(left)?;
                }
                Ok(left == right)
            }
            (Value::Array(left), Value::Array(right)) => {
                let mut pairs = left.iter().zip(right);
                Ok(left.len() == right.len()
                    && all(&mut pairs, |(left, right)| self.equal(left, right))?)
            }
            (Value::Object(left), Value::Object(right)) => Ok(left.len() == right.len()
                && all(left, |(name, left)| match right.get(name) {
                    Some(right) => self.equal(left, right),
                    None => Ok(false),
                })?),
            _ => Ok(left == right),
        }
    }

    fn resolve(&self, reference: &Reference) -> Option<&'a Value> {
        reference.resolve(self.root?, &self.indexes)
    }

    fn search(&mut self, text: &str) -> Result<(), Spent> {
        self.spend(text.len() / SEARCHED_BYTES)
    }

    fn spend(&mut self, visits: usize) -> Result<(), Spent> {
        let visits = u32::try_from(visits).map_err(|_| Spent)?;
        *self.visits = self.visits.checked_sub(visits).ok_or(Spent)?;
        Ok(())
    }
}

impl Order {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Order::Greater => ordering.is_gt(),
            Order::GreaterOrEqual => ordering.is_ge(),
            Order::Less => ordering.is_lt(),
            Order::LessOrEqual => ordering.is_le(),
        }
    }
}

fn one_or_many(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        one => std::slice::from_ref(one),
    }
}

fn all<T>(items: impl IntoIterator<Item = T>, mut holds: impl FnMut(T) -> Judged) -> Judged {
    for item in items {
        if !holds(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn any<T>(items: impl IntoIterator<Item = T>, mut holds: impl FnMut(T) -> Judged) -> Judged {
    for item in items {
        if holds(item)? {
            return Ok(true);
        }
    }
    Ok(false)
}
