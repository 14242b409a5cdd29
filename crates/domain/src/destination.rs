//! Where an event goes other than to an HTTP endpoint of one's own: kinds of destinations as data,
//! and what an event becomes there.

mod answer;
mod aws;
pub mod example;
pub mod fill;
mod filters;
pub mod given;
pub mod kind;
pub mod mapping;
pub mod text;

#[cfg(test)]
mod tests;

pub use answer::Answered;
pub use fill::{Event, Filled, Unfilled};
pub use given::{Given, OnMissing, Problem, Wanted};
pub use kind::Kind;
pub use mapping::Mapping;
pub use text::Text;

/// The kind that an endpoint's URL names: its scheme. None for a URL that is called as it is.
///
/// ```
/// use ringback_domain::destination::kind_of;
/// assert_eq!(kind_of("slack://hooks.slack.com"), Some("slack"));
/// assert_eq!(kind_of("https://example.com/webhook"), None);
/// ```
pub fn kind_of(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once("://")?;
    (!["http", "https"].contains(&scheme)).then_some(scheme)
}
