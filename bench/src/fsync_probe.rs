//! What one synced write costs on this disk: the yardstick for everything durable.
//!
//! Writes about what one group commit writes, over an area written before, as a write-ahead log
//! does; runs between the measurements, never beside them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

/// Bytes of one write, about a small group commit.
const WRITE: usize = 20 * 1024;
/// The area written over and over.
const SLOTS: u64 = 64;
const ROUNDS: usize = 100;

/// Writes and syncs in `dir`; how long each took, in nanoseconds.
pub fn run(dir: &Path) -> io::Result<Vec<u64>> {
    let path = dir.join("fsync-probe");
    let file = File::options().create(true).truncate(true).write(true).open(&path)?;
    let block = vec![0x5a; WRITE];
    let slot = |turn: u64| turn % SLOTS * WRITE as u64;
    for turn in 0..SLOTS {
        file.write_all_at(&block, slot(turn))?;
    }
    file.sync_all()?;

    let mut took = Vec::with_capacity(ROUNDS);
    for turn in (0..).take(ROUNDS) {
        let start = Instant::now();
        file.write_all_at(&block, slot(turn))?;
        file.sync_data()?;
        took.push(start.elapsed().as_nanos() as u64);
    }
    drop(file);
    fs::remove_file(path)?;
    Ok(took)
}
