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
