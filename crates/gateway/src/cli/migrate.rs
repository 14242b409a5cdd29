//! `ringback migrate`: moves an installation from one store to another, while no server runs on it.

use clap::Subcommand;
use ringback_store::transfer::{Leftovers, Progress, Sum};
use serde_json::{Value, json};

use super::settings::DataFlags;
use super::{Failure, data, note};
use crate::data_lock::DataLock;
use crate::wiring;

/// After so many more rows of a table it is said how far the copy is.
const OFTEN: u64 = 50_000;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Copy an installation from its data directory into an empty PostgreSQL database
    ///
    /// No server may run on the data directory, which is only read. Every table is copied with its
    /// keys and sealed secrets as they are, and then read again on both sides and compared. The
    /// sealing key is not copied: the server needs the same key file as before. No server starts on
    /// the database before the copy is complete.
    #[command(name = "sqlite-to-postgres")]
    Copy {
        /// Delete what an interrupted copy left in the database, and begin again
        #[arg(long)]
        restart: bool,
        /// Print what was copied as JSON: tables with their rows and checksums
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataFlags,
    },
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    let Command::Copy { restart, json, data: flags } = command;
    let config = flags.load()?.config;
    let Some(url) = &config.store.url else {
        let reason = "--store or RINGBACK_STORE has to name the PostgreSQL database to copy to";
        return Err(Failure::Usage(reason.to_owned()));
    };
    // Taking the lock would make the directory.
    if !config.data.is_dir() {
        return Err(Failure::Failed(format!("there is no directory {}", config.data.display())));
    }
    let lock = DataLock::acquire(&config.data)?;
    let leftovers = if restart { Leftovers::Delete } else { Leftovers::Refuse };
    let failed = |error: wiring::TransferError| Failure::Failed(error.to_string());
    let transfer = wiring::transfer(lock.dir(), url.expose(), leftovers).map_err(failed)?;
    let mut said = 0;
    transfer.copy(&mut |progress| tell(progress, &mut said)).map_err(failed)?;
    note("comparing");
    let mut report = Vec::new();
    transfer
        .verify(&mut |progress| {
            if let Progress::Verified(table, sum) = &progress {
                report.push((table.clone(), *sum));
            }
            tell(progress, &mut said);
        })
        .map_err(failed)?;
    transfer.finish().map_err(failed)?;
    if json {
        let of = |(table, sum): &(String, Sum)| json!({ "table": table, "rows": sum.rows, "checksum": format!("{:032x}", sum.checksum) });
        data(&Value::from_iter(report.iter().map(of)).to_string())?;
    } else {
        report.iter().try_for_each(|(table, sum)| data(&format!("{table}: {sum}")))?;
    }
    note("copied: start the server with this database and the same sealing key");
    Ok(())
}

/// `said` is the number of rows that was told last.
fn tell(progress: Progress, said: &mut u64) {
    match progress {
        Progress::Copying(table, rows) => {
            if rows >= *said + OFTEN {
                *said = rows;
                note(&format!("{table}: {rows} rows …"));
            }
        }
        Progress::Copied(table, rows) => {
            *said = 0;
            note(&format!("{table}: {rows} rows copied"));
        }
        Progress::Verified(table, _) => note(&format!("{table}: the same on both sides")),
    }
}
