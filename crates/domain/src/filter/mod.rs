//! Content filters: which messages an endpoint gets, by what is in them.
//!
//! The dialect is Hookdeck's: JSON that looks like what it matches, with operators for the rest.
//!
//! ```json
//! { "body": { "type": "order.paid", "amount": { "$gte": 100 } },
//!   "headers": { "x-shop": { "$startsWith": "eu-" } } }
//! ```
//!
//! An [`Expression`] is compiled when it is saved, so that a mistake is found then, and it names
//! its place. Judging costs at most [`VISITS`]; more is an outcome of its own, never a silent
//! "no match". `docs/filters.md` describes the dialect for those who write filters.
//!
//! What always holds:
//!
//! - Values of different types are never equal, and there is no order between them.
//! - Integers compare exactly; the order of keys means nothing.
//! - A missing field matches `$exist: false`, `$neq`, `$nin` and a `$not` whose filter it does not
//!   match, and nothing else.
//! - `{"$not": f}` matches exactly what `f` does not.
//! - Keys beside each other must all match.
//! - An array matches a value, fields, `$or` or `$and` if one of its elements does. All other
//!   operators look at the array as a whole.
//!
//! Where that differs from Hookdeck's own matcher it is on purpose; `DIFFERENCES` in the tests has
//! every case. Suggested reading order: [`event`](Event), `pattern`, `compile`, `judge`.

mod compile;
mod event;
mod judge;
mod number;
mod pattern;
mod reference;

#[cfg(test)]
mod tests;

pub use compile::{Mistake, Wrong};
pub use event::Event;

use pattern::Rule;

/// The longest filter, in bytes of JSON without white space.
pub const LENGTH: usize = 16 * 1024;
/// How deep objects and arrays of a filter may be nested.
pub const DEPTH: usize = 16;
/// How many values a filter may have, nested ones and names' values included.
pub const NODES: usize = 256;
/// The most memory that a compiled regular expression may take.
pub const REGEX_BYTES: usize = 64 * 1024;
/// How much a judgement may cost: about one for each value that is looked at.
pub const VISITS: u32 = 100_000;
/// The longest body that is read for a filter that asks for it.
pub const BODY_BYTES: usize = 4 * 1024 * 1024;

/// A filter, ready to judge.
#[derive(Clone, Debug)]
pub struct Expression {
    rule: Rule,
}

/// What a filter says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is wanted.
    Match,
    /// It is not.
    NoMatch,
    /// Finding out would cost more than is allowed.
    Overrun,
}
