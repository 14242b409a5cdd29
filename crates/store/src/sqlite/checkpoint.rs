//! Moving the write-ahead log into the database, outside the writer.
//!
//! Inside the writer a checkpoint would cost some commits 40 to 90 ms. A PASSIVE checkpoint can run
//! beside it, but never lets the log start over while there is load; so when the log has grown and
//! little of it is left to move, the writer pauses for a RESTART. Measured worst pause: 15 ms.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::Connection;

use super::fault;

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(200);
/// When so little is left, the writer may be paused for it.
const SMALL_REST: i64 = 256;

/// Whose turn it is: the writer's, or the checkpointer's. A plain mutex would not do, as the writer
/// takes it again before the other wakes up.
#[derive(Default)]
pub(super) struct Turn {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    writing: bool,
    checkpoint_wanted: bool,
    closed: bool,
}

/// The writer's turn; it ends when this is dropped.
pub(super) struct Writing<'a>(&'a Turn);

impl Turn {
    /// Waits until no checkpoint needs the writer to pause.
    pub(super) fn write(&self) -> Writing<'_> {
        let busy = |state: &mut State| state.checkpoint_wanted;
        let mut state = self.wait_while(busy);
        state.writing = true;
        Writing(self)
    }

    /// Pauses the writer after its present transaction, and runs `checkpoint`.
    fn pause_writer<T>(&self, checkpoint: impl FnOnce() -> T) -> T {
        self.lock().checkpoint_wanted = true;
        drop(self.wait_while(|state| state.writing));
        let result = checkpoint();
        self.lock().checkpoint_wanted = false;
        self.changed.notify_all();
        result
    }

    /// Waits for the next look; false when it is time to end.
    fn next_look(&self) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), INTERVAL, |state| !state.closed);
        !waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// Ends the checkpointer.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn wait_while(&self, condition: impl FnMut(&mut State) -> bool) -> MutexGuard<'_, State> {
        self.changed.wait_while(self.lock(), condition).unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.lock().writing = false;
        self.0.changed.notify_all();
    }
}

/// Looks after the log until it is closed. `restart_at` is the log's size in pages.
pub(super) fn run(connection: &Connection, turn: &Arc<Turn>, restart_at: i64) {
    while turn.next_look() {
        match round(connection, turn, restart_at) {
            Ok(()) => {}
            // Full: there is no room in the database for what the log holds. It stays in the log.
            Err(error) => {
                let reason = fault::unavailable(&error);
                tracing::warn!(%error, %reason, "a checkpoint failed and will be tried again");
            }
        }
    }
}

fn round(connection: &Connection, turn: &Turn, restart_at: i64) -> rusqlite::Result<()> {
    let (mut logged, mut moved) = checkpoint(connection, "PASSIVE")?;
    if logged < restart_at {
        return Ok(());
    }
    // Under load the log grows while it is moved; a second pass finds little.
    if logged - moved > SMALL_REST {
        (logged, moved) = checkpoint(connection, "PASSIVE")?;
    }
    if logged - moved <= SMALL_REST || logged > 4 * restart_at {
        turn.pause_writer(|| checkpoint(connection, "RESTART"))?;
    }
    Ok(())
}

/// Returns how many pages the log holds, and how many of them are in the database.
fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<(i64, i64)> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok((row.get(1)?, row.get(2)?))
    })
}
