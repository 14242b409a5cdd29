//! How far the engine is behind: what makes the intake slow down.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many deliveries could be made at once but wait for the engine.
///
/// The intake looks at it and slows down before waiting grows without limit. Lanes that wait for their own endpoint do not
/// count, so a slow receiver slows nobody else's intake.
#[derive(Debug, Default)]
pub struct Pressure(AtomicUsize);

impl Pressure {
    /// How many wait now.
    pub fn waiting(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A lane that counted `before` now counts `after`.
    pub fn adjust(&self, before: usize, after: usize) {
        if after > before {
            self.0.fetch_add(after - before, Ordering::Relaxed);
        } else if after < before {
            self.0.fetch_sub(before - after, Ordering::Relaxed);
        }
    }
}
