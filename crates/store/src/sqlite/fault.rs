//! What a database error means: nothing to be done, wait for space, or end the process.

use rusqlite::ffi;

use crate::Unavailable;

/// Why an operation stopped.
pub(super) enum Stop<E> {
    /// The operation itself says no; the rest of the transaction goes on.
    Refused(E),
    /// The database failed; the transaction is rolled back whole.
    Database(rusqlite::Error),
}

impl<E> From<rusqlite::Error> for Stop<E> {
    fn from(error: rusqlite::Error) -> Stop<E> {
        Stop::Database(error)
    }
}

/// Ends the process if the error says that a write or a sync did not reach the disk.
///
/// After a failed sync the kernel may drop the dirty pages and report success the next time
/// (<https://wiki.postgresql.org/wiki/Fsync_Errors>). So nothing in memory can be trusted; the next
/// start reads what the disk really holds.
fn end_if_fatal(error: &rusqlite::Error) {
    let rusqlite::Error::SqliteFailure(failure, _) = error else { return };
    let fatal = [
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_DIR_FSYNC,
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_IOERR_TRUNCATE,
        ffi::SQLITE_CORRUPT,
    ];
    if fatal.contains(&failure.extended_code) {
        tracing::error!(%error, "the disk failed: ending, so that the next start reads what it holds");
        std::process::exit(74);
    }
}

/// What to tell whoever waits for an operation that this error stopped.
pub(super) fn unavailable(error: &rusqlite::Error) -> Unavailable {
    end_if_fatal(error);
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return Unavailable::Failed(error.to_string());
    };
    match failure.extended_code {
        ffi::SQLITE_FULL | ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_SHMMAP => {
            Unavailable::Full
        }
        _ => Unavailable::Failed(error.to_string()),
    }
}
