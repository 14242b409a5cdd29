//! What a filter is once it is compiled.

use regex::Regex;
use serde_json::Value;

use super::reference::Reference;

/// What is said about the parts of a message. All of it must hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Rule {
    pub(super) parts: Vec<(Part, Pattern)>,
    pub(super) or: Option<Vec<Rule>>,
    pub(super) and: Vec<Rule>,
    pub(super) not: Option<Box<Rule>>,
}

/// A part of a message, with a filter of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Headers,
    Body,
    Query,
    Path,
}

impl Part {
    pub(super) const ALL: [Part; 4] = [Part::Headers, Part::Body, Part::Query, Part::Path];

    pub(super) fn name(self) -> &'static str {
        match self {
            Part::Headers => "headers",
            Part::Body => "body",
            Part::Query => "query",
            Part::Path => "path",
        }
    }
}

/// What a value must be.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// Null, a boolean, a number or a text: equal, or in an array an element that is.
    Scalar(Value),
    /// An array that has an element for each.
    Each(Vec<Pattern>),
    /// Fields and operators.
    Object(Object),
}

/// What is said in one object of a filter. All of it must hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Object {
    /// About the value, or in an array about one of its elements.
    pub(super) about: About,
    /// About the value as a whole.
    pub(super) tests: Vec<Test>,
    pub(super) not: Option<Box<Pattern>>,
    pub(super) same: Option<Reference>,
}

/// The part of an object that looks into arrays: one element must satisfy all of it.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) fields: Vec<(Box<str>, Pattern)>,
    /// Whether the value must be an object: it has fields, or nothing is said at all.
    pub(super) object: bool,
    pub(super) or: Option<Vec<Pattern>>,
    pub(super) and: Vec<Pattern>,
}

impl About {
    pub(super) fn is_empty(&self) -> bool {
        !self.object && self.or.is_none() && self.and.is_empty()
    }
}

/// An operator with what it compares with.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Exist(bool),
    Equal(Wanted, Operand),
    Order(Order, Operand),
    In(Wanted, Operand),
    /// A text that begins or ends with one of these.
    Affix(Side, Operand),
    Regex(Regex),
}

/// Whether an operator or its opposite is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Yes,
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Start,
    End,
}

/// What is compared with: written in the filter, or found in the message.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Value(Value),
    Reference(Reference),
}
