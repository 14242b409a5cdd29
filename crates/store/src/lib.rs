//! Durable storage: the only place with SQL and database drivers.
//!
//! [`Store`] is the seam; its documentation lists the rules that an implementation keeps, and
//! [`conformance`] checks them against any implementation. [`sqlite`] is the embedded one.

mod store;

pub mod conformance;
pub mod sqlite;

pub use store::*;
