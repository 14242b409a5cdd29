//! What messages were as requests to sources.

use std::borrow::Cow;

use ringback_domain::id::Key;

use super::super::rows;
use crate::{NewMessage, source::storable};

/// Their columns, element by element beside the messages'. They end with the last message that
/// arrived, so they are empty where none did.
#[derive(Default)]
pub(super) struct Arrived<'a> {
    pub(super) headers: Vec<Option<String>>,
    pub(super) source: Vec<Option<Key>>,
    pub(super) nonce: Vec<Option<i64>>,
    pub(super) verdict: Vec<Option<&'a str>>,
    pub(super) reason: Vec<Option<Cow<'a, str>>>,
    pub(super) status: Vec<Option<i32>>,
    pub(super) method: Vec<Option<&'a str>>,
    pub(super) target: Vec<Option<Cow<'a, str>>>,
    pub(super) address: Vec<Option<&'a str>>,
    pub(super) event_id: Vec<Option<Cow<'a, str>>>,
    pub(super) bytes: Vec<Option<i64>>,
}

impl<'a> Arrived<'a> {
    /// Adds what the message at this place was, unless that was `kept` before.
    pub(super) fn push(&mut self, place: usize, message: &'a NewMessage, kept: bool) {
        if let Some(headers) = &message.headers {
            put(&mut self.headers, place, Some(rows::json(&**headers)));
        }
        let Some(arrival) = message.arrival.as_deref().filter(|_| !kept) else { return };
        put(&mut self.source, place, Some(arrival.source));
        put(&mut self.nonce, place, Some(arrival.nonce as i64));
        put(&mut self.verdict, place, Some(&arrival.verdict));
        put(&mut self.reason, place, arrival.reason.as_deref().map(storable));
        put(&mut self.status, place, Some(arrival.status.into()));
        put(&mut self.method, place, Some(&arrival.method));
        put(&mut self.target, place, Some(storable(&arrival.target)));
        put(&mut self.address, place, arrival.address.as_deref());
        put(&mut self.event_id, place, arrival.event_id.as_deref().map(storable));
        put(&mut self.bytes, place, Some(message.payload.len() as i64));
    }
}

/// Puts a value at a place, and nothing at those before that have none.
fn put<T>(column: &mut Vec<Option<T>>, place: usize, value: Option<T>) {
    column.resize_with(place, || None);
    column.push(value);
}
