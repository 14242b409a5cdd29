//! The directory a run works in: on a real disk, its own, and gone afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::proc;

/// Before the process id in a directory's name, so that nobody else's directory looks like one.
const PREFIX: &str = "ringback-bench-";

/// A directory named after this process; removed when dropped.
pub struct Workdir {
    path: PathBuf,
}

impl Workdir {
    /// Makes a directory below `parent`, and removes those of runs that were killed. Memory is no
    /// disk: a file system without one is refused.
    pub fn create(parent: &Path) -> Result<Self> {
        let make = |dir: &Path| {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))
        };
        make(parent)?;
        let parent = parent.canonicalize()?;
        let kind = proc::file_system(&parent);
        if matches!(kind.as_str(), "tmpfs" | "ramfs") {
            bail!("{} is on {kind}: choose a directory on a disk with --dir", parent.display());
        }
        remove_leftovers(&parent)?;
        let path = parent.join(format!("{PREFIX}{}", std::process::id()));
        make(&path)?;
        Ok(Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Workdir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Only directories named after a process that no longer is.
fn remove_leftovers(parent: &Path) -> Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
