//! Listeners: named places in what arrived, from which somebody goes on reading.

pub mod book;

use crate::{
    id::{Key, ListenerId},
    time::Timestamp,
};

/// A place in what arrived at some sources. It is durable: whoever comes back goes on there.
///
/// The place is the key of the last message that was dealt with, and so was everything before it:
/// what comes next is the first message with a greater key that the terms want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Ringback's name for it.
    pub id: ListenerId,
    /// The caller's name for it, unique in its environment; as a uid is written.
    pub name: String,
    /// What it listens to and how, as JSON; see the gateway's `listen::Terms`.
    pub terms: String,
    /// Everything up to here is dealt with.
    pub place: Key,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its terms or its place were last written, or somebody was last connected.
    pub seen_at: Timestamp,
}
