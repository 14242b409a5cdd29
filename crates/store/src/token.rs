//! Tokens as they are stored.

use ringback_domain::{
    access::Grant,
    id::{Key, TokenId},
    time::Timestamp,
};

use crate::Answer;

/// A token to store.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Names it.
    pub id: TokenId,
    /// Whose.
    pub environment: Key,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// Its first and last characters, for people.
    pub hint: String,
    /// What it is for, for people.
    pub name: String,
    /// What its holder may do.
    pub grant: Grant,
    /// The session that it belongs to, as the portal's host calls it.
    pub session: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// That it happens once, and its answer.
    pub answer: Option<Answer>,
}

/// A stored token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Names it.
    pub id: TokenId,
    /// Whose.
    pub environment: Key,
    /// The environment's name.
    pub environment_name: String,
    /// Its first and last characters.
    pub hint: String,
    /// What it is for.
    pub name: String,
    /// What its holder may do.
    pub grant: Grant,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}
