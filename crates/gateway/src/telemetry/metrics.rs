//! What can be counted: handles that cost an atomic operation or two, and their text for `/metrics`.
//!
//! Invariants: labels come from closed sets (never a tenant, a URL or an id), so the number of
//! series is bounded; recording never blocks and never fails.

mod histogram;
mod known;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};
use ringback_domain::attempt::{Outcome, Phase};
use ringback_domain::source::Fate;

pub use histogram::Histogram;
pub use known::Known;

/// The media type of [`Metrics::encode`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// From half a millisecond to 10 s: what a request or a commit takes.
const QUICK: &[f64] = &[
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];
/// From a millisecond to three days: what a delivery with its retries takes.
const PATIENT: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 600.0,
    3_600.0, 36_000.0, 259_200.0,
];
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];

/// Every metric of the process. Clones share their numbers.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Messages whose commit was acknowledged.
    pub messages_accepted: Counter,
    /// From a message's request to its answer after the commit, in seconds.
    pub accept: Histogram,
    /// From a message's acceptance to its first success at an endpoint, in seconds.
    pub delivery: Histogram,
    /// One attempt, from name lookup to the answer's end, in seconds.
    pub attempt: Histogram,
    /// Deliveries that are neither settled nor held.
    pub backlog: Gauge,
    /// How long the delivery that has been due the longest waits, in seconds.
    pub oldest_due: Gauge<f64, AtomicU64>,
    /// Attempts begun whose result is not committed.
    pub in_flight: Gauge,
    /// Connections open to targets.
    pub connections_open: Gauge,
    /// Connections open from clients of the API.
    pub client_connections_open: Gauge,
    /// Endpoints whose lane is suspect: recent failures or time-outs.
    pub lanes_suspect: Gauge,
    /// Endpoints at which nobody answers: they are probed.
    pub lanes_paused: Gauge,
    /// Endpoints whose circuit is open, as they fail too often.
    pub breakers_open: Gauge,
    /// 1 while no circuit is opened, because so many would be at once that the fault is ours.
    pub breakers_suspended: Gauge,
    /// Space left where the data directory is, if that is where the store is.
    pub disk_free: Known,
    /// Size of the store's files.
    pub store: Gauge,
    /// One commit of the store, `fsync` included, in seconds.
    pub commit: Histogram,
    /// Writes that shared a commit.
    pub commit_batch: Histogram,
    /// Child processes started for transformations.
    pub transform_children: Counter,
    transforms: Family<TransformLabels, Counter>,
    rejected: Family<RejectedLabels, Counter>,
    received: Family<ReceivedLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    /// The most frequent of `attempts`, kept at hand to spare it the family's lock.
    delivered: Counter,
    registry: Arc<Registry>,
}

/// Why a message was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// No token, or one that is not valid.
    Unauthorized,
    /// The application does not exist, or not in the token's environment.
    NotFound,
    /// The request itself: not JSON, wrong types, out of bounds.
    Invalid,
    /// The body is over the limit.
    TooLarge,
    /// The event id or the idempotency key is taken.
    Conflict,
    /// The application has used up its quota.
    Quota,
    /// The intake queue is full.
    Overload,
    /// The store cannot write: the disk is full.
    DiskFull,
    /// Anything else on our side.
    Internal,
}

impl Rejection {
    /// The label's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::Conflict => "conflict",
            Self::Quota => "quota",
            Self::Overload => "overload",
            Self::DiskFull => "disk_full",
            Self::Internal => "internal",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RejectedLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReceivedLabels {
    fate: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransformLabels {
    /// Why it gave nothing back, or `none`.
    failed: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    outcome: &'static str,
    /// The phase that failed, or `none`.
    failed: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All numbers at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("ringback");
        // Counters get their `_total` when they are written.
        let rejected: Family<RejectedLabels, Counter> = Family::default();
        let attempts: Family<AttemptLabels, Counter> = Family::default();
        let delivered = attempts.get_or_create_owned(&attempt_labels(Outcome::Delivered, None));
        let mut add = Adder(&mut registry);
        Self {
            messages_accepted: add.one("messages_accepted", "Messages acknowledged"),
            rejected: add.this("messages_rejected", "Messages refused, by reason", rejected),
            received: add.this(
                "requests_received",
                "Requests to sources, by what became of them",
                Family::default(),
            ),
            attempts: add.this("attempts", "Attempts, by outcome and failed phase", attempts),
            delivered,
            accept: add.histogram("accept_seconds", "Request to answer after the commit", QUICK),
            delivery: add.histogram("delivery_seconds", "Acceptance to first success", PATIENT),
            attempt: add.histogram("attempt_seconds", "Duration of one attempt", PATIENT),
            backlog: add.one("backlog_deliveries", "Deliveries neither settled nor held"),
            oldest_due: add.one("oldest_due_seconds", "Age of the oldest due delivery"),
            in_flight: add.one("in_flight", "Attempts begun whose result is not committed"),
            connections_open: add.one("connections_open", "Connections open to targets"),
            client_connections_open: add
                .one("client_connections_open", "Connections open from clients"),
            lanes_suspect: add.one("lanes_suspect", "Endpoints with recent failures"),
            lanes_paused: add.one("lanes_paused", "Endpoints at which nobody answers"),
            breakers_open: add.one("breakers_open", "Endpoints whose circuit is open"),
            breakers_suspended: add.one("breakers_suspended", "1 while no circuit is opened"),
            disk_free: add.one("disk_free_bytes", "Space left for the data directory"),
            store: add.one("store_bytes", "Size of the store's files"),
            commit: add.histogram("commit_seconds", "Duration of one commit", QUICK),
            commit_batch: add.histogram("commit_batch", "Writes that shared a commit", BATCH),
            transform_children: add
                .one("transform_children_started", "Child processes started for programs"),
            transforms: add.this("transforms", "Programs called, by failure", Family::default()),
            registry: Arc::new(registry),
        }
    }

    /// Counts a message that was not accepted.
    pub fn rejected(&self, reason: Rejection) {
        self.rejected.get_or_create(&RejectedLabels { reason: reason.name() }).inc();
    }

    /// Counts a request to a source.
    pub fn received(&self, fate: Fate) {
        self.received.get_or_create(&ReceivedLabels { fate: fate.as_str() }).inc();
    }

    /// Counts a call of a program; `failed` says why it gave nothing back.
    pub fn transformed(&self, failed: Option<&'static str>) {
        let failed = failed.unwrap_or("none");
        self.transforms.get_or_create(&TransformLabels { failed }).inc();
    }

    /// Counts an attempt and its duration; `failed` is the phase that failed.
    pub fn attempted(&self, outcome: Outcome, failed: Option<Phase>, took: Duration) {
        if outcome == Outcome::Delivered {
            self.delivered.inc();
        } else {
            self.attempts.get_or_create(&attempt_labels(outcome, failed)).inc();
        }
        self.attempt.observe(took);
    }

    /// The text of all metrics, in the format of [`CONTENT_TYPE`], which Prometheus reads.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        if encode(&mut text, &self.registry).is_err() {
            // Writing to a string cannot fail, and neither can our own encoders.
            let _ = writeln!(text, "# EOF");
        }
        text
    }
}

fn attempt_labels(outcome: Outcome, failed: Option<Phase>) -> AttemptLabels {
    AttemptLabels { outcome: outcome.name(), failed: failed.map_or("none", Phase::name) }
}

/// Registers a metric and hands it back.
struct Adder<'a>(&'a mut Registry);

impl Adder<'_> {
    fn one<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        self.this(name, help, M::default())
    }

    fn histogram(&mut self, name: &str, help: &str, bounds: &'static [f64]) -> Histogram {
        self.this(name, help, Histogram::new(bounds))
    }

    fn this<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|candidate| candidate == line), "{line:?} is not in\n{text}");
    }

    #[test]
    fn what_is_counted_is_written() {
        let metrics = Metrics::new();
        metrics.messages_accepted.inc();
        metrics.rejected(Rejection::DiskFull);
        metrics.attempted(Outcome::Delivered, None, Duration::from_millis(3));
        metrics.attempted(Outcome::Retry, Some(Phase::Connect), Duration::from_secs(5));
        let handle = metrics.clone();
        handle.backlog.set(7);
        metrics.oldest_due.set(1.5);
        metrics.commit_batch.count(32);
        let text = metrics.encode();
        has(&text, "ringback_messages_accepted_total 1");
        has(&text, "ringback_messages_rejected_total{reason=\"disk_full\"} 1");
        has(&text, "ringback_attempts_total{outcome=\"delivered\",failed=\"none\"} 1");
        has(&text, "ringback_attempts_total{outcome=\"retry\",failed=\"connect\"} 1");
        has(&text, "ringback_attempt_seconds_bucket{le=\"0.002\"} 0");
        has(&text, "ringback_attempt_seconds_bucket{le=\"0.005\"} 1");
        has(&text, "ringback_attempt_seconds_bucket{le=\"+Inf\"} 2");
        has(&text, "ringback_attempt_seconds_count 2");
        has(&text, "ringback_attempt_seconds_sum 5.003");
        has(&text, "ringback_commit_batch_bucket{le=\"16.0\"} 0");
        has(&text, "ringback_commit_batch_bucket{le=\"32.0\"} 1");
        has(&text, "ringback_backlog_deliveries 7");
        has(&text, "ringback_oldest_due_seconds 1.5");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn every_metric_is_there_from_the_start() {
        let text = Metrics::new().encode();
        for name in [
            "accept_seconds_count",
            "delivery_seconds_count",
            "in_flight",
            "connections_open",
            "client_connections_open",
            "lanes_suspect",
            "lanes_paused",
            "breakers_open",
            "breakers_suspended",
            "store_bytes",
            "commit_seconds_count",
        ] {
            has(&text, &format!("ringback_{name} 0"));
        }
        assert!(!text.contains("\nringback_disk_free_bytes"), "nobody knows it yet: {text}");
    }
}
