//! What a store tells of its commits.

use std::{sync::Arc, time::Duration};

/// One commit, for those who count them.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    /// How many messages, records and other writes it was for.
    pub writes: usize,
    /// From its beginning until it is durable.
    pub took: Duration,
}

/// Is told of every commit.
pub type Observer = Arc<dyn Fn(Commit) + Send + Sync>;
