//! The log: where an accepted message becomes durable, and the lanes hear of it.
//!
//! Doors know [`Log::append`] and nothing behind it; the engine is behind [`Lanes`].

mod append;
mod batch;
mod bells;
mod lanes;
mod pressure;
pub mod replies;
pub mod taps;

pub use append::Log;
pub use batch::Batch;
pub use bells::{Bell, Bells};
pub use lanes::Lanes;
pub use pressure::Pressure;
pub use replies::Replies;
pub use taps::{Ears, Taps};
