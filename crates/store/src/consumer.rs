//! The part of the seam for consumers: how far those are who read an endpoint instead of being sent to.

use ringback_domain::{
    id::Key,
    poll::{Consumer, Cursor},
    time::Timestamp,
};

use crate::{BoxFuture, Unavailable, WriteError};

/// How long a consumer is kept at which nobody was, in milliseconds: 90 days.
pub const CONSUMER_KEPT: i64 = 90 * 24 * 3_600_000;

/// Consumers of endpoints. What there is to read is told by
/// [`Listeners::arrivals`](crate::Listeners::arrivals).
///
/// # Rules of an implementation
///
/// 1. A place only moves forward, but for [`seek_consumer`](Consumers::seek_consumer), after which no
///    cursor counts that was given before.
/// 2. A place is never ahead of what there is, so that an acknowledgement of what does not exist yet
///    cannot make a consumer deaf; and whatever is committed later, in another process too, comes
///    after every place.
/// 3. A consumer at which nobody was for [`CONSUMER_KEPT`] is deleted by the sweep.
pub trait Consumers {
    /// A consumer of an endpoint, if anything was written down of it.
    fn consumer(
        &self,
        endpoint: Key,
        name: String,
    ) -> BoxFuture<'_, Result<Option<Consumer>, Unavailable>>;

    /// Notes that a consumer is this far. One of which nothing was written down yet is made. Not an
    /// act of anybody: nothing is written to the audit log.
    ///
    /// # Errors
    /// [`WriteError::Limit`] if it would be one too many at its endpoint.
    fn advance_consumer(
        &self,
        name: String,
        cursor: Cursor,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Consumer, WriteError>>;

    /// Moves a consumer to a place, forward or back, or makes it there.
    ///
    /// # Errors
    /// [`WriteError::Limit`] if it would be one too many at its endpoint.
    fn seek_consumer(
        &self,
        endpoint: Key,
        name: String,
        place: Key,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Consumer, WriteError>>;
}
