//! Many event types at once, as a document declares them.

use ringback_domain::{event_type::EventType, id::Key, time::Timestamp};

use crate::{Answer, BoxFuture, WriteError};

/// Imports: a catalogue is brought to what a document says, in one transaction.
///
/// # Rules of an implementation
///
/// 1. All of an import takes effect, or nothing.
/// 2. What is so already is not touched: it keeps its `updated_at`.
pub trait Imports {
    /// Creates event types, or replaces those of the same name but for their ids and when they were
    /// made.
    fn import_event_types(&self, import: Import) -> BoxFuture<'_, Result<(), WriteError>>;
}

/// The most event types of one import.
pub const IMPORTED_EVENT_TYPES: usize = 1_000;

/// Event types to create or replace.
#[derive(Clone, Debug)]
pub struct Import {
    /// Whose.
    pub environment: Key,
    /// At most [`IMPORTED_EVENT_TYPES`], each name once. The ids are for those that are new.
    pub event_types: Vec<EventType>,
    /// What becomes of all others.
    pub others: Others,
    /// When it happens.
    pub now: Timestamp,
    /// Kept with what was done.
    pub answer: Option<Answer>,
}

/// What an import does about event types that it does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// They stay.
    Keep,
    /// They are archived.
    Archive,
}

/// What an imported event type becomes where there is one of its name; none if it is so already.
pub(crate) fn replaced(known: &EventType, new: &EventType) -> Option<EventType> {
    let (id, created_at) = (known.id, known.created_at);
    let same = EventType { updated_at: known.updated_at, id, created_at, ..new.clone() };
    (same != *known).then_some(EventType { updated_at: new.updated_at, ..same })
}
