//! The door for applications: a message comes in, is checked, appended and acknowledged.

mod accept;
mod route;

pub use accept::{Door, OnCore, Parts, routes};
pub use route::route;
