//! What a database error means.

use tokio_postgres::{
    Error,
    error::{DbError, SqlState},
};

use crate::{Unavailable, WriteError};

/// Why an operation stopped.
#[derive(Debug)]
pub(super) enum Stop<E> {
    /// The operation itself says no; its transaction is rolled back.
    Refused(E),
    /// The database failed; the transaction is rolled back.
    Database(Error),
    /// There is no connection.
    Unavailable(Unavailable),
}

impl<E> From<Error> for Stop<E> {
    fn from(error: Error) -> Stop<E> {
        Stop::Database(error)
    }
}

impl<E: From<Unavailable>> Stop<E> {
    /// What to tell whoever asked.
    pub(super) fn told(self) -> E {
        match self {
            Stop::Refused(error) => error,
            Stop::Database(error) => unavailable(&error).into(),
            Stop::Unavailable(reason) => reason.into(),
        }
    }
}

/// What to tell whoever waits for an operation that this error stopped.
pub(super) fn unavailable(error: &Error) -> Unavailable {
    if error.code() == Some(&SqlState::DISK_FULL) {
        return Unavailable::Full;
    }
    // The error's own text says "db error" and leaves the rest to its source.
    let text = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
    Unavailable::Failed(text)
}

/// Whether somebody else has just written the same: looking again will show it.
pub(super) fn is_duplicate(error: &Error) -> bool {
    error.code() == Some(&SqlState::UNIQUE_VIOLATION)
}

/// Whether it was given up so that others who waited for each other can go on.
pub(super) fn is_deadlock(error: &Error) -> bool {
    error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED)
}

/// What an insert or update of something with a name or an id means that failed: if somebody else was
/// quicker with the same, looking for it first did not show that.
pub(super) fn conflict(error: Error) -> Stop<WriteError> {
    match error.as_db_error().and_then(DbError::constraint) {
        Some("application_pkey") => Stop::Refused(WriteError::Conflict("application id")),
        Some("application_uid") => Stop::Refused(WriteError::Conflict("application uid")),
        Some("endpoint_pkey") => Stop::Refused(WriteError::Conflict("endpoint id")),
        Some("endpoint_uid") => Stop::Refused(WriteError::Conflict("endpoint uid")),
        Some("event_type_pkey") => Stop::Refused(WriteError::Conflict("event type id")),
        Some("event_type_name") => Stop::Refused(WriteError::Conflict("event type")),
        Some("source_pkey") => Stop::Refused(WriteError::Conflict("source id")),
        Some("source_uid") => Stop::Refused(WriteError::Conflict("source uid")),
        Some("source_token_pkey") => Stop::Refused(WriteError::Conflict("source token")),
        Some("token_pkey" | "token_hash_key") => Stop::Refused(WriteError::Conflict("token")),
        _ => Stop::Database(error),
    }
}

/// Whether an error that the server reported may be gone the next time: the server is starting,
/// stopping, read-only or out of room, its disk failed, or somebody else was in the way.
pub(super) fn passes(error: &Error) -> bool {
    // The classes of <https://www.postgresql.org/docs/current/errcodes-appendix.html>: connection
    // exception, invalid transaction state, transaction rollback, insufficient resources, object not
    // in prerequisite state, operator intervention, system error.
    let passing = ["08", "25", "40", "53", "55", "57", "58"];
    error.code().is_none_or(|code| passing.iter().any(|class| code.code().starts_with(class)))
}
