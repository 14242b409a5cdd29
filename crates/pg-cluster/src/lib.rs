//! A PostgreSQL for tests and benchmarks: started from the distribution's packages on a free port,
//! and gone when whoever started it is gone, however that ended.
//!
//! Tests want a [`Database`] each, and get it from one server for the whole run: the one that
//! [`VARIABLE`] names, or else a [`Cluster`] that the first of them starts. A test that stops or
//! kills the server, or needs other settings, starts a cluster of its own.
//!
//! It uses the standard library alone, so that `xtask` can depend on it and still builds in a second;
//! what is said to the server is said through its own `psql`.

mod cluster;
mod database;
mod held;
mod janitor;
mod pooler;
mod programs;
mod run;

pub use cluster::{Cluster, Options};
pub use database::{Database, psql};
pub use held::Held;
pub use pooler::{Pooler, pooler_available};
pub use programs::{OLDEST, available};
pub use run::VARIABLE;
