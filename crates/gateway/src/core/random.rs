//! Random numbers in bulk, for one core.

use std::{cell::RefCell, sync::Arc};

use crate::seam::Entropy;

/// Random numbers in bulk: one call of the system's source serves hundreds of ids.
pub struct Random {
    entropy: Arc<dyn Entropy>,
    numbers: RefCell<Vec<u64>>,
}

impl Random {
    /// Numbers from this source.
    pub fn new(entropy: Arc<dyn Entropy>) -> Random {
        Random { entropy, numbers: RefCell::default() }
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        let mut numbers = self.numbers.borrow_mut();
        if numbers.is_empty() {
            let bytes: [u8; 2048] = self.entropy.bytes();
            let number =
                |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
            numbers.extend(bytes.chunks_exact(8).map(number));
        }
        numbers.pop().unwrap_or_default()
    }
}
