//! A gauge that is absent while its value is not known: a number would be a lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;

/// Stands for no value.
const UNKNOWN: i64 = i64::MIN;

/// A gauge that may have no value. Clones share it.
#[derive(Clone, Debug)]
pub struct Known(Arc<AtomicI64>);

impl Default for Known {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(UNKNOWN)))
    }
}

impl Known {
    /// Sets the value, or says that there is none.
    pub fn set(&self, value: Option<u64>) {
        let value = value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
        self.0.store(value.unwrap_or(UNKNOWN), Relaxed);
    }
}

impl EncodeMetric for Known {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        match self.0.load(Relaxed) {
            UNKNOWN => Ok(()),
            value => encoder.encode_gauge(&value),
        }
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;

    #[test]
    fn what_is_not_known_is_absent() {
        let metrics = Metrics::new();
        let shown = |line: &str| metrics.encode().lines().any(|known| known.starts_with(line));
        assert!(!shown("ringback_disk_free_bytes"));
        metrics.disk_free.set(Some(7));
        assert!(shown("ringback_disk_free_bytes 7"));
        metrics.disk_free.set(None);
        assert!(!shown("ringback_disk_free_bytes"));
    }
}
