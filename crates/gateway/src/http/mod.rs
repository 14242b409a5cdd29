//! The listening side: connections are dealt to the cores, each request to the door or the API.

mod front;
mod listen;

pub use front::{Front, serve};
pub use listen::{Dealt, deal};
