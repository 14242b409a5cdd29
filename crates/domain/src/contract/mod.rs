//! Contracts of event types: their versions, what makes a payload of one into the version below, and
//! which version an endpoint gets.
//!
//! Suggested reading order: [`version`], [`pin`], [`conversion`], [`compatibility`], [`gate`].

pub mod compatibility;
pub mod conversion;
pub mod gate;
mod operation;
pub mod pin;
mod place;
mod tree;
pub mod version;

use version::Validation;

/// What holds for all versions of an event type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whether payloads are held against their schema when messages are accepted.
    pub validation: Validation,
    /// Where in a payload its ordering key stands: a JSON Pointer (RFC 6901).
    pub ordering_pointer: Option<String>,
    /// Whether a payload that cannot be converted is delivered as it is.
    pub deliver_original: bool,
}
