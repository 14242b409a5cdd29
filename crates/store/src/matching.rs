//! Which endpoints of an application a message goes to: the part of matching that every store needs.

use std::{collections::HashMap, sync::Arc};

use ringback_domain::{
    id::Key,
    route::{Filter, Verdict},
};

use crate::NewMessage;

/// The most event types whose answer is remembered.
const EVENT_TYPES: usize = 1_000;

/// The endpoints of one application, with what they want.
#[derive(Default)]
pub(crate) struct Endpoints {
    filters: Vec<(Key, Filter)>,
    by_event_type: HashMap<String, Arc<[Key]>>,
}

impl Endpoints {
    /// Where a message goes: to the endpoint that was chosen for it, else to all that want it.
    pub(crate) fn of(&mut self, message: &NewMessage) -> Arc<[Key]> {
        match message.only {
            Some(only) => {
                self.filters.iter().filter(|(key, _)| *key == only).map(|(key, _)| *key).collect()
            }
            None => self.matching(&message.event_type, message.channels.as_deref()),
        }
    }

    pub(crate) fn new(filters: Vec<(Key, Filter)>) -> Endpoints {
        Endpoints { filters, by_event_type: HashMap::new() }
    }

    /// The endpoints that take a message of this type with these channels, in their order.
    fn matching(&mut self, event_type: &str, channels: Option<&[String]>) -> Arc<[Key]> {
        if channels.is_none()
            && let Some(known) = self.by_event_type.get(event_type)
        {
            return Arc::clone(known);
        }
        let matched =
            |(_, filter): &&(Key, Filter)| filter.verdict(event_type, channels) == Verdict::Matched;
        let keys: Arc<[Key]> = self.filters.iter().filter(matched).map(|(key, _)| *key).collect();
        if channels.is_none() {
            if self.by_event_type.len() >= EVENT_TYPES {
                self.by_event_type.clear();
            }
            self.by_event_type.insert(event_type.to_owned(), Arc::clone(&keys));
        }
        keys
    }
}
