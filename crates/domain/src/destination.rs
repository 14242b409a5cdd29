//! Where an event goes other than to an HTTP endpoint of one's own: kinds of destinations as data,
//! and what an event becomes there.

mod answer;
mod aws;
pub mod fill;
mod filters;
pub mod given;
pub mod kind;
pub mod mapping;
pub mod text;

#[cfg(test)]
mod tests;

pub use fill::{Event, Filled, Unfilled};
pub use given::{Given, OnMissing, Problem, Wanted};
pub use kind::Kind;
pub use mapping::Mapping;
pub use text::Text;
