//! Random numbers in bulk.

use std::cell::{Cell, RefCell};

use super::services::Services;

/// Random numbers in bulk: one call of the system's source serves hundreds of attempts.
#[derive(Default)]
pub(super) struct Random(RefCell<Vec<u64>>, Cell<u64>);

impl Random {
    /// The next number.
    pub(super) fn next(&self, services: &Services) -> u64 {
        let mut numbers = self.0.borrow_mut();
        if numbers.is_empty() {
            let bytes: [u8; 2048] = services.world.entropy.bytes();
            let number =
                |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
            numbers.extend(bytes.chunks_exact(8).map(number));
        }
        numbers.pop().unwrap_or_else(|| {
            self.1.set(self.1.get() + 1);
            self.1.get()
        })
    }
}
