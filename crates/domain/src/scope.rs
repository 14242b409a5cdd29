//! Tenancy: what a caller may see is decided by a typed scope, never by a filter someone adds.

use crate::id::{Id, Key, Kind};

/// One application inside one environment: the argument of every store call below an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The environment's row key.
    pub environment: Key,
    /// The application's row key.
    pub application: Key,
}

/// What a path segment names: an id that Ringback gave out, or a uid that the caller chose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// Ringback's id.
    Id(Id),
    /// The caller's own name for it.
    Uid(String),
}

impl Reference {
    /// Reads a path segment. Whatever is not an id of this kind is taken as a uid, as uids may not
    /// start with the kind's prefix.
    ///
    /// No uid holds a NUL, so what does names nothing. Not every store takes one in a text, so it
    /// becomes another character that no uid holds.
    pub fn parse(kind: Kind, text: &str) -> Reference {
        match Id::parse(kind, text) {
            Ok(id) => Reference::Id(id),
            Err(_) => Reference::Uid(text.replace('\0', "\u{fffd}")),
        }
    }
}

/// The longest uid, in characters.
pub const UID_LENGTH: usize = 256;

/// Checks a caller's own name: 1 to 256 of `a-z A-Z 0-9 - _ .`, not starting like an id of `kind`.
///
/// # Errors
/// [`UidError`] says which rule is broken.
pub fn check_uid(kind: Kind, uid: &str) -> Result<(), UidError> {
    if uid.is_empty() || uid.len() > UID_LENGTH {
        return Err(UidError::Length);
    }
    if !uid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(UidError::Character);
    }
    if uid.starts_with(kind.prefix()) {
        return Err(UidError::Prefix(kind.prefix()));
    }
    Ok(())
}

/// The longest name of an environment, in characters.
pub const ENVIRONMENT_LENGTH: usize = 64;

/// Checks the name of an environment: 1 to 64 of `a-z A-Z 0-9 - _ .`.
///
/// # Errors
/// [`EnvironmentError`] when it is something else.
pub fn check_environment(name: &str) -> Result<(), EnvironmentError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let good = (1..=ENVIRONMENT_LENGTH).contains(&name.len()) && name.bytes().all(allowed);
    if good { Ok(()) } else { Err(EnvironmentError) }
}

/// Why the name of an environment is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name of an environment is 1 to 64 letters, digits, `-`, `_` or `.`")]
pub struct EnvironmentError;

/// Why a uid is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UidError {
    /// Empty, or longer than [`UID_LENGTH`].
    #[error("a uid has 1 to 256 characters")]
    Length,
    /// Another character.
    #[error("a uid consists of letters, digits, '-', '_' and '.'")]
    Character,
    /// It could be mistaken for an id.
    #[error("a uid may not start with '{0}'")]
    Prefix(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_environments() {
        let check = |name: &str, expected: bool| {
            assert_eq!(check_environment(name).is_ok(), expected, "{name:?}");
        };
        check("default", true);
        check("team-7_eu.test", true);
        check(&"x".repeat(64), true);
        check(&"x".repeat(65), false);
        check("", false);
        check("two words", false);
        check("ünïcode", false);
        check("a/b", false);
    }

    #[test]
    fn no_reference_holds_a_nul() {
        let Reference::Uid(uid) = Reference::parse(Kind::Message, "a\0b") else { panic!("an id") };
        assert_eq!(uid, "a\u{fffd}b");
        assert!(check_uid(Kind::Message, &uid).is_err(), "it names nothing");
    }

    #[test]
    fn uids() {
        for (uid, expect) in [
            ("customer-1.a_B", Ok(())),
            ("", Err(UidError::Length)),
            (&*"x".repeat(257), Err(UidError::Length)),
            ("a b", Err(UidError::Character)),
            ("é", Err(UidError::Character)),
            ("app_mine", Err(UidError::Prefix("app_"))),
            ("ep_mine", Ok(())),
        ] {
            assert_eq!(check_uid(Kind::Application, uid), expect, "{uid}");
        }
    }
}
