//! Measuring pages.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ringback_store::Store;

use super::cases::{List, PAGE, Which};

/// How long the pages of one kind took.
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) which: Which,
    /// Sorted.
    pub(crate) times: Vec<Duration>,
    /// The fewest and the most rows of a page.
    pub(crate) rows: (usize, usize),
}

impl Measured {
    /// The time that so many of a hundred stay below.
    pub(crate) fn percentile(&self, of_hundred: usize) -> Duration {
        let rank = (self.times.len() * of_hundred).div_ceil(100).max(1);
        self.times[rank - 1]
    }
}

/// Reads each of these pages of `list` so often.
pub(crate) async fn measure(
    store: &Arc<dyn Store>,
    list: &List,
    pages: &[Which],
    times: u64,
) -> Vec<Measured> {
    let mut all = Vec::new();
    for which in pages {
        let mut measured = Measured {
            name: list.name.clone(),
            which: *which,
            times: Vec::new(),
            rows: (usize::MAX, 0),
        };
        for turn in 0..times {
            let begun = Instant::now();
            let rows = list.read(store, *which, turn).await;
            measured.times.push(begun.elapsed());
            assert!(rows <= PAGE, "{}: a page has {rows} rows", list.name);
            measured.rows = (measured.rows.0.min(rows), measured.rows.1.max(rows));
        }
        measured.times.sort_unstable();
        all.push(measured);
    }
    all
}
