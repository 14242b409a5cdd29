//! Event types: what can happen, as the sender documents it.

use crate::{id::EventTypeId, time::Timestamp};

/// An event type. Messages may use types that are not registered.
#[derive(Clone, Debug, PartialEq)]
pub struct EventType {
    /// Ringback's id; the API names event types by `name`.
    pub id: EventTypeId,
    /// Its name, unique in its environment.
    pub name: String,
    /// For people.
    pub description: String,
    /// JSON Schemas by version, as they were sent.
    pub schemas: Option<serde_json::Value>,
    /// Hidden from lists that do not ask for archived ones.
    pub archived: bool,
    /// Still sent, no longer recommended.
    pub deprecated: bool,
    /// For the SDKs: shown only to applications with this flag.
    pub feature_flag: Option<String>,
    /// For people: which group it is listed under.
    pub group_name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The longest name, in characters.
pub const NAME_LENGTH: usize = 256;

/// Checks a name: 1 to 256 of `a-z A-Z 0-9 - _ . /`.
///
/// # Errors
/// [`NameError`] says which rule is broken.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() || name.len() > NAME_LENGTH {
        return Err(NameError::Length);
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte)) {
        return Err(NameError::Character);
    }
    Ok(())
}

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, or longer than [`NAME_LENGTH`].
    #[error("an event type has 1 to 256 characters")]
    Length,
    /// Another character.
    #[error("an event type consists of letters, digits, '-', '_', '.' and '/'")]
    Character,
}
