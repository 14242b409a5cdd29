//! The circuits of all cores together: whether one more may open.
//!
//! When many open at once, the fault is more likely on our side of the network: then none is opened
//! any more, and the operator is told.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ringback_domain::breaker::{Guard, Waits};
use tokio::time::Instant;

use crate::telemetry::metrics::Metrics;

/// What the cores share about circuits.
pub struct Breakers {
    /// How long circuits stay open; none if they never open.
    pub waits: Option<Waits>,
    /// Endpoints with an attempt that ended in the last minute, of all cores.
    active: AtomicUsize,
    guard: Mutex<Guard>,
    suspended: AtomicBool,
    began: Instant,
    metrics: Metrics,
}

impl Breakers {
    /// Circuits that stay open for this long; none if they never open.
    pub fn new(waits: Option<Waits>, metrics: Metrics) -> Breakers {
        Breakers {
            waits,
            active: AtomicUsize::new(0),
            guard: Mutex::default(),
            suspended: AtomicBool::new(false),
            began: Instant::now(),
            metrics,
        }
    }

    /// Whether a circuit that would open now may.
    pub(super) fn may_open(&self, now: Instant) -> bool {
        self.ask(now, |guard, active, now| !guard.admits(active, now))
    }

    /// Notes that one endpoint more is active.
    pub(super) fn joined(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that so many endpoints are active no longer, and whether circuits may open again.
    pub(super) fn left(&self, endpoints: usize, now: Instant) {
        self.active.fetch_sub(endpoints, Ordering::Relaxed);
        if self.suspended.load(Ordering::Relaxed) {
            self.ask(now, Guard::is_suspended);
        }
    }

    fn ask(
        &self,
        now: Instant,
        is_suspended: impl FnOnce(&mut Guard, usize, Duration) -> bool,
    ) -> bool {
        let active = self.active.load(Ordering::Relaxed);
        let now = now.saturating_duration_since(self.began);
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        let suspended = is_suspended(&mut guard, active, now);
        if self.suspended.swap(suspended, Ordering::Relaxed) != suspended {
            self.tell(suspended, active);
        }
        !suspended
    }

    /// Tells the operator. It is nothing that a tenant could do something about.
    fn tell(&self, suspended: bool, active: usize) {
        self.metrics.breakers_suspended.set(i64::from(suspended));
        if suspended {
            tracing::error!(
                active,
                "more than 30 % of the active endpoints began to fail within a minute: is the way \
                 out of this machine broken? no circuit is opened until fewer do"
            );
        } else {
            tracing::info!("circuits are opened again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_many_would_open_none_does_and_that_is_told() {
        let metrics = Metrics::new();
        let breakers = Breakers::new(Some(Waits::default()), metrics.clone());
        let now = Instant::now();
        (0..120).for_each(|_| breakers.joined());
        breakers.left(20, now);
        let opened = (0..50).filter(|_| breakers.may_open(now)).count();
        assert_eq!((opened, metrics.breakers_suspended.get()), (30, 1));
        let later = now + Duration::from_secs(61);
        breakers.left(1, later);
        assert_eq!(metrics.breakers_suspended.get(), 0);
        assert!(breakers.may_open(later));
    }
}
