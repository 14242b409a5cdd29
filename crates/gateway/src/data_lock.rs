//! One process per data directory: an exclusive lock on `<data>/lock`, and who holds it.
//!
//! The kernel releases the lock when the holder ends, however it ends, so a lock is never stale;
//! the text in the file only says whom to ask.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// The right to use a data directory, until it is dropped.
#[derive(Debug)]
pub struct DataLock {
    dir: PathBuf,
    file: File,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process uses it.
    #[error(
        "data directory {} is held by {holder}: end that first, or name another directory with --data",
        dir.display()
    )]
    Held {
        /// The directory.
        dir: PathBuf,
        /// Who holds it.
        holder: Holder,
    },
    /// It cannot be created, opened or locked.
    #[error("cannot use data directory {}: {source}", dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Who holds a data directory, as far as the lock's text tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pid: Option<u32>,
    /// Unknown until the holder listens; a command never does.
    listen: Option<SocketAddr>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("another process")?,
        }
        match self.listen {
            Some(listen) => write!(f, " (listening on http://{listen})"),
            None => Ok(()),
        }
    }
}

impl DataLock {
    /// Creates the directory if it is missing (readable by its owner alone) and locks it.
    ///
    /// # Errors
    /// [`LockError::Held`] if another process has it; [`LockError::Io`] otherwise.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { dir: dir.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(dir.join("lock"))
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(LockError::Held { dir: dir.to_owned(), holder: holder(&mut file) });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        let mut lock = Self { dir: dir.to_owned(), file };
        lock.write(None).map_err(failed)?;
        Ok(lock)
    }

    /// Tells whoever finds the directory held where its holder listens.
    ///
    /// # Errors
    /// [`LockError::Io`]; the lock holds all the same.
    pub fn announce(&mut self, listen: SocketAddr) -> Result<(), LockError> {
        self.write(Some(listen)).map_err(|source| LockError::Io { dir: self.dir.clone(), source })
    }

    /// The directory that is locked.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn write(&mut self, listen: Option<SocketAddr>) -> io::Result<()> {
        let text = serde_json::to_vec(&Holder { pid: Some(std::process::id()), listen })?;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(&text)
    }
}

/// A text that is missing or half written leaves the holder unnamed.
fn holder(file: &mut File) -> Holder {
    let mut text = String::new();
    match file.take(1024).read_to_string(&mut text) {
        Ok(_) => serde_json::from_str(&text).unwrap_or_default(),
        Err(_) => Holder::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_was_first() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("data");
        let mut first = DataLock::acquire(&dir).unwrap();
        let refusal = |expected: &str| {
            let error = DataLock::acquire(&dir).unwrap_err();
            assert!(matches!(error, LockError::Held { .. }));
            let pid = std::process::id();
            let text = format!("data directory {} is held by process {pid}", dir.display());
            assert!(error.to_string().starts_with(&format!("{text}{expected}: end that first")));
        };
        refusal("");
        first.announce(SocketAddr::from(([127, 0, 0, 1], 8071))).unwrap();
        refusal(" (listening on http://127.0.0.1:8071)");
        drop(first);
        DataLock::acquire(&dir).unwrap();
    }

    #[test]
    fn a_lock_without_words_still_refuses() {
        let dir = tempfile::tempdir().unwrap();
        let _first = DataLock::acquire(dir.path()).unwrap();
        std::fs::write(dir.path().join("lock"), "{\"pid\":").unwrap();
        let error = DataLock::acquire(dir.path()).unwrap_err();
        assert!(error.to_string().contains("is held by another process: "), "{error}");
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(DataLock::acquire(&file), Err(LockError::Io { .. })));
    }
}
