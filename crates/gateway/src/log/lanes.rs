//! What the log and the faces may ask of the engine.

use ringback_domain::{id::Key, pace::Wait};
use ringback_store::{Canceled, Due};

use crate::seam::BoxFuture;

/// The engine, seen from the log and the API.
///
/// What is told here are hints: the store decides. A hint that is lost costs time, never a message.
pub trait Lanes: Send + Sync {
    /// These deliveries were committed and are due.
    fn deliver(&self, due: Vec<Due>);

    /// This endpoint has work in the store.
    fn look(&self, endpoint: Key);

    /// These deliveries were taken back: they need not be made.
    fn canceled(&self, canceled: Vec<Canceled>);

    /// Something about this endpoint was changed and committed. Resolves when the lane uses it:
    /// the next attempt is made with the new state.
    fn changed(&self, endpoint: Key) -> BoxFuture<'static, ()>;

    /// What this endpoint's due deliveries wait for at the moment, if they do.
    fn waits(&self, endpoint: Key) -> BoxFuture<'static, Option<Wait>>;
}
