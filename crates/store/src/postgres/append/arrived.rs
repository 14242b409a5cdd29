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
            rows::put(&mut self.headers, place, rows::json(&**headers));
        }
        let Some(arrival) = message.arrival.as_deref().filter(|_| !kept) else { return };
        rows::put(&mut self.source, place, arrival.source);
        rows::put(&mut self.nonce, place, arrival.nonce as i64);
        rows::put(&mut self.verdict, place, &arrival.verdict);
        if let Some(reason) = &arrival.reason {
            rows::put(&mut self.reason, place, storable(reason));
        }
        rows::put(&mut self.status, place, arrival.status.into());
        rows::put(&mut self.method, place, &arrival.method);
        rows::put(&mut self.target, place, storable(&arrival.target));
        if let Some(address) = &arrival.address {
            rows::put(&mut self.address, place, address);
        }
        if let Some(event_id) = &arrival.event_id {
            rows::put(&mut self.event_id, place, storable(event_id));
        }
        rows::put(&mut self.bytes, place, message.payload.len() as i64);
    }
}
