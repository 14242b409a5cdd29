//! What messages carry for those who get them: the version of the payload, and the order they are in.

use std::collections::BTreeSet;

use ringback_domain::id::Key;

use super::super::rows;
use crate::NewMessage;

/// Their columns, element by element beside the messages'. Each ends with the last message that has
/// one, so they are empty where none does.
#[derive(Default)]
pub(super) struct Shaped<'a> {
    pub(super) version: Vec<Option<i32>>,
    pub(super) fits_schema: Vec<Option<bool>>,
    pub(super) ordering_key: Vec<Option<&'a str>>,
}

impl<'a> Shaped<'a> {
    /// Adds what the message at this place carries.
    pub(super) fn push(&mut self, place: usize, message: &'a NewMessage) {
        if let Some(version) = message.version {
            rows::put(&mut self.version, place, version as i32);
        }
        if let Some(fits_schema) = message.fits_schema {
            rows::put(&mut self.fits_schema, place, fits_schema);
        }
        if let Some(ordering_key) = &message.ordering_key {
            rows::put(&mut self.ordering_key, place, ordering_key);
        }
    }
}

/// The deliveries that are made one after the other.
#[derive(Default)]
pub(super) struct Orders<'a> {
    /// By delivery; it ends with the last one that has one.
    pub(super) ordering_key: Vec<Option<&'a str>>,
    held: BTreeSet<Key>,
    /// Their endpoints, each once, by growing key.
    pub(super) endpoints: Vec<Key>,
}

impl<'a> Orders<'a> {
    /// Adds the delivery at this place.
    pub(super) fn push(&mut self, place: usize, endpoint: Key, ordering_key: &'a str) {
        rows::put(&mut self.ordering_key, place, ordering_key);
        self.held.insert(endpoint);
    }

    /// All were added.
    pub(super) fn finish(&mut self) {
        self.endpoints = std::mem::take(&mut self.held).into_iter().collect();
    }
}
