//! A histogram of atomics. The library's own takes a lock for each value, on paths that every
//! message of every core goes through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// How many values were at most each bound, and their sum. Clones share their numbers.
///
/// A reader may see a value in its bucket and not yet in the sum: a scrape is not a ledger.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Numbers>);

#[derive(Debug)]
struct Numbers {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above them all.
    buckets: Box<[AtomicU64]>,
    /// In billionths, so that an integer can be added to.
    sum: AtomicU64,
}

impl Histogram {
    /// All at zero; `bounds` ascend.
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Numbers { bounds, buckets, sum: AtomicU64::new(0) }))
    }

    /// Records a duration, in seconds.
    pub fn observe(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.add(took.as_secs_f64(), nanos);
    }

    /// Records a number of things.
    pub fn count(&self, things: u32) {
        self.add(f64::from(things), u64::from(things) * 1_000_000_000);
    }

    fn add(&self, value: f64, billionths: u64) {
        let bucket = self.0.bounds.partition_point(|bound| *bound < value);
        self.0.buckets[bucket].fetch_add(1, Relaxed);
        self.0.sum.fetch_add(billionths, Relaxed);
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        // The encoder writes the last bound as +Inf and sums the buckets up itself.
        let bounds = self.0.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.0.buckets.iter().map(|bucket| bucket.load(Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.sum.load(Relaxed) as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
