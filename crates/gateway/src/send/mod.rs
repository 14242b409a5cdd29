//! The door for applications: a message comes in, is checked, appended and acknowledged.

mod accept;
mod route;

pub use accept::{Door, OnCore, Parts, described, routes};
pub use route::route;
