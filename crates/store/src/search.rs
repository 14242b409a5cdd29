//! Searching messages and attempts: a page looks at a bounded number of rows, however few match.
//!
//! A filter that little passes would make a page read everything there is. Here a page ends where
//! it has looked at [`LOOK`] rows: it may be short or even empty, says that it is not done, and
//! where the next one goes on. So a page costs the same with ten million rows as with ten thousand.

use ringback_domain::{
    attempt::Attempt,
    endpoint::Endpoint,
    id::{Id, Key},
    message::Message,
    scope::{Reference, Scope},
    time::Timestamp,
};

use crate::{
    AttemptQuery, BoxFuture, Listed, MessageQuery, Page, Position, ReadError, Unavailable,
    pages::Cut,
};

/// The most rows that one page of a search looks at.
pub const LOOK: usize = 1_000;

/// Searching what an application was sent and what became of it.
pub trait Search {
    /// Messages by id, newest first unless asked otherwise.
    fn search_messages(
        &self,
        scope: Scope,
        search: MessageSearch,
    ) -> BoxFuture<'_, Result<Found<Message>, ReadError>>;

    /// Attempts by id, newest first unless asked otherwise.
    fn search_attempts(
        &self,
        scope: Scope,
        query: AttemptQuery,
    ) -> BoxFuture<'_, Result<Found<Attempt>, ReadError>>;

    /// Messages that were sent to an endpoint or are to be, by id, with how far each is there. The
    /// status that is asked for is the one at this endpoint.
    fn attempted_messages(
        &self,
        scope: Scope,
        endpoint: Reference,
        search: MessageSearch,
    ) -> BoxFuture<'_, Result<Found<AttemptedMessage>, ReadError>>;

    /// The messages with these keys, without their contents, by id; what is not there is left out.
    fn messages_of(
        &self,
        scope: Scope,
        keys: Vec<Key>,
    ) -> BoxFuture<'_, Result<Vec<Message>, Unavailable>>;

    /// Endpoints that a message was sent to or is to be, by id, with how far it is there; deleted
    /// ones, too.
    fn attempted_endpoints(
        &self,
        scope: Scope,
        message: Reference,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<AttemptedEndpoint>, ReadError>>;
}

/// Which messages to search for.
#[derive(Clone, Debug)]
pub struct MessageSearch {
    /// What they are like.
    pub query: MessageQuery,
    /// Only with this status at one endpoint or more.
    pub status: Option<DeliveryStatus>,
}

/// What a page of a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// In the order that was asked for.
    pub items: Vec<T>,
    /// Whether there is nothing beyond this page; for [`Position::Before`] beyond means before it.
    pub done: bool,
    /// Where the next page goes on, if this one ended because it had looked at enough: the row was
    /// looked at, and need not be one that matches.
    pub reached: Option<Id>,
}

/// How far a message is at one endpoint. The numbers are the API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryStatus {
    /// The endpoint took it. (0)
    Success,
    /// The first attempt is to come. (1)
    Pending,
    /// It was tried as often as it will be. (2)
    Fail,
    /// It was tried and will be again. (3)
    Sending,
    /// The endpoint was deleted before it took it. (4)
    Canceled,
}

/// A message that was sent to an endpoint, or is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptedMessage {
    /// The message.
    pub message: Message,
    /// How far it is.
    pub status: DeliveryStatus,
    /// When the next attempt is due, if nothing holds it.
    pub due_at: Option<Timestamp>,
}

/// An endpoint that a message was sent to, or is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptedEndpoint {
    /// The endpoint as it is now.
    pub endpoint: Endpoint,
    /// How far the message is there.
    pub status: DeliveryStatus,
    /// When the next attempt is due, if nothing holds it.
    pub due_at: Option<Timestamp>,
}

impl DeliveryStatus {
    /// Every status, at the index of its number.
    pub const ALL: [DeliveryStatus; 5] = [
        DeliveryStatus::Success,
        DeliveryStatus::Pending,
        DeliveryStatus::Fail,
        DeliveryStatus::Sending,
        DeliveryStatus::Canceled,
    ];

    /// What the API calls it.
    pub fn number(self) -> u8 {
        DeliveryStatus::ALL.iter().position(|status| *status == self).unwrap_or(0) as u8
    }

    /// The status with this number.
    pub fn from_number(number: u8) -> Option<DeliveryStatus> {
        DeliveryStatus::ALL.get(usize::from(number)).copied()
    }

    /// What follows from the attempts at an endpoint (`succeeded` is none if there were none) and
    /// from the delivery that is open there; none if there is neither.
    pub(crate) fn of(succeeded: Option<bool>, open: bool, deleted: bool) -> Option<DeliveryStatus> {
        match (succeeded, open) {
            (Some(true), _) => Some(DeliveryStatus::Success),
            (_, true) if deleted => Some(DeliveryStatus::Canceled),
            (None, true) => Some(DeliveryStatus::Pending),
            (Some(false), true) => Some(DeliveryStatus::Sending),
            (Some(false), false) => Some(DeliveryStatus::Fail),
            (None, false) => None,
        }
    }
}

impl MessageSearch {
    /// Whether it leaves out anything between two keys.
    pub(crate) fn filters(&self) -> bool {
        let MessageQuery { event_types, channel, tag, .. } = &self.query;
        let any = channel.is_some() || tag.is_some() || self.status.is_some();
        any || !event_types.is_empty()
    }
}

/// Whether a query leaves out attempts of its endpoint between two keys.
pub(crate) fn filters(query: &AttemptQuery) -> bool {
    let AttemptQuery { succeeded, retrying, status_codes, event_types, channel, tag, .. } = query;
    let of_message = channel.is_some() || tag.is_some() || !event_types.is_empty();
    of_message || succeeded.is_some() || retrying.is_some() || status_codes.is_some()
}

/// The part of a page that is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Reach {
    pub(crate) cut: Cut,
    /// The last row that is looked at, unless the list ends before.
    last: Option<Key>,
}

impl Reach {
    /// `last` is the key of the [`LOOK`]-th row of `cut`, if it has that many.
    pub(crate) fn new(cut: Cut, last: Option<Key>) -> Reach {
        let cut = match last {
            Some(last) if cut.walk.ascending() => Cut { high: cut.high.min(last + 1), ..cut },
            Some(last) => Cut { low: cut.low.max(last - 1), ..cut },
            None => cut,
        };
        Reach { cut, last }
    }

    /// How many rows to skip on the way to the last one.
    pub(crate) fn skip() -> i64 {
        LOOK as i64 - 1
    }

    /// The page, from the rows that match.
    pub(crate) fn page<T>(self, rows: Vec<T>) -> Found<T> {
        let Listed { items, done } = self.cut.walk.page(rows);
        // A full page goes on after its own last row.
        let last = self.last.filter(|_| done);
        let reached = last.map(|key| Id { key, shard: 0, nonce: 0 });
        Found { items, done: done && reached.is_none(), reached }
    }
}

impl<T> From<Listed<T>> for Found<T> {
    fn from(Listed { items, done }: Listed<T>) -> Found<T> {
        Found { items, done, reached: None }
    }
}

impl<T: crate::Identified> Found<T> {
    /// Where the page after this one begins, walking the same way; none at the end.
    pub fn next(&self, from: &Position<Id>) -> Option<Position<Id>> {
        if self.done {
            return None;
        }
        Some(match from {
            Position::Before(_) => {
                Position::Before(self.reached.or(self.items.first().map(T::id))?)
            }
            Position::Start | Position::After(_) => {
                Position::After(self.reached.or(self.items.last().map(T::id))?)
            }
        })
    }
}

impl crate::Identified for AttemptedMessage {
    fn id(&self) -> Id {
        self.message.id.0
    }
}

impl crate::Identified for AttemptedEndpoint {
    fn id(&self) -> Id {
        self.endpoint.id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Order;

    #[test]
    fn a_status_follows_from_attempts_and_what_is_open() {
        for (succeeded, open, deleted, expect) in [
            (None, false, false, None),
            (None, true, false, Some(DeliveryStatus::Pending)),
            (Some(false), true, false, Some(DeliveryStatus::Sending)),
            (Some(false), false, false, Some(DeliveryStatus::Fail)),
            (Some(false), false, true, Some(DeliveryStatus::Fail)),
            (Some(true), false, false, Some(DeliveryStatus::Success)),
            // Delivered, and somebody asked for one more.
            (Some(true), true, false, Some(DeliveryStatus::Success)),
            (None, true, true, Some(DeliveryStatus::Canceled)),
            (Some(false), true, true, Some(DeliveryStatus::Canceled)),
        ] {
            assert_eq!(DeliveryStatus::of(succeeded, open, deleted), expect);
        }
    }

    #[test]
    fn numbers_come_back() {
        for number in 0..5 {
            assert_eq!(
                DeliveryStatus::from_number(number).map(DeliveryStatus::number),
                Some(number)
            );
        }
        assert_eq!(DeliveryStatus::from_number(5), None);
    }

    #[test]
    fn a_page_that_looked_at_enough_says_where_it_stopped() {
        let page = |order| Page { limit: 2, from: Position::Start, order };
        let (up, down) = (page(Order::Ascending), page(Order::Descending));
        let reach = Reach::new(Cut::new(&up), Some(40));
        assert_eq!((reach.cut.low, reach.cut.high), (-1, 41));
        let reach = Reach::new(Cut::new(&down), Some(40));
        assert_eq!((reach.cut.low, reach.cut.high), (39, Key::MAX));
        let at = Some(Id { key: 40, shard: 0, nonce: 0 });
        assert_eq!(reach.page(vec![1]), Found { items: vec![1], done: false, reached: at });
        let full = Found { items: vec![1, 2], done: false, reached: None };
        assert_eq!(reach.page(vec![1, 2, 3]), full);
        let end = Reach::new(Cut::new(&down), None);
        assert_eq!(end.page(vec![1]), Found { items: vec![1], done: true, reached: None });
    }
}
