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
    wishes: Vec<(Key, Wish)>,
    by_event_type: HashMap<String, Matched>,
}

/// What an endpoint wants.
pub(crate) struct Wish {
    pub(crate) filter: Filter,
    /// Whether its deliveries are made one after the other.
    pub(crate) ordered: bool,
}

/// Where a message goes.
#[derive(Clone)]
pub(crate) struct Matched {
    pub(crate) endpoints: Arc<[Key]>,
    /// Those of them that keep an order.
    pub(crate) ordered: Arc<[Key]>,
}

impl Endpoints {
    /// Where a message goes: to the endpoint that was chosen for it, else to all that want it.
    pub(crate) fn of(&mut self, message: &NewMessage) -> Matched {
        match message.only {
            Some(only) => self.those(|key, _| key == only),
            None => self.matching(&message.event_type, message.channels.as_deref()),
        }
    }

    pub(crate) fn new(wishes: Vec<(Key, Wish)>) -> Endpoints {
        Endpoints { wishes, by_event_type: HashMap::new() }
    }

    /// The endpoints that take a message of this type with these channels, in their order.
    fn matching(&mut self, event_type: &str, channels: Option<&[String]>) -> Matched {
        if channels.is_none()
            && let Some(known) = self.by_event_type.get(event_type)
        {
            return known.clone();
        }
        let matched =
            self.those(|_, wish| wish.filter.verdict(event_type, channels) == Verdict::Matched);
        if channels.is_none() {
            if self.by_event_type.len() >= EVENT_TYPES {
                self.by_event_type.clear();
            }
            self.by_event_type.insert(event_type.to_owned(), matched.clone());
        }
        matched
    }

    fn those(&self, wanted: impl Fn(Key, &Wish) -> bool) -> Matched {
        let those = || self.wishes.iter().filter(|(key, wish)| wanted(*key, wish));
        Matched {
            endpoints: those().map(|(key, _)| *key).collect(),
            ordered: those().filter(|(_, wish)| wish.ordered).map(|(key, _)| *key).collect(),
        }
    }
}
