//! The listening side: connections are dealt to the cores, each request to the door or the API.

mod event_stream;
mod front;
mod listen;
mod upload;

pub use event_stream::{Happening, event, event_stream};
pub use front::{Front, serve};
pub use listen::{Dealt, deal};
pub use upload::Upload;
