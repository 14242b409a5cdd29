//! The floor: what this machine does with the same generator and the same receiver when nothing
//! stands between them: kept-alive hyper connections, the same 1 KiB, no signature, no store.
//!
//! Speeds are given as shares of it, because a share survives a change of machine better than a
//! number per second does.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::generator::{self, Load, Pace, Target};
use crate::payload::Lengths;
use crate::receiver::{Behaviour, Receiver};
use crate::stats::Percentiles;

/// One measurement of the floor.
#[derive(Clone, Debug, Serialize)]
pub struct Floor {
    /// Requests answered per second.
    pub per_second: f64,
    /// Request to answer, milliseconds.
    pub took: Percentiles,
}

/// Drives the bare receiver flat out with `count` requests.
pub fn run(count: u32, connections: usize, cores: usize) -> Result<Floor> {
    let receiver = Receiver::start(cores, Behaviour::Take)?;
    let target = Target::bare(receiver.addr(), Lengths::ONE_KIB)?;
    let limit = Duration::from_secs(60);
    let load = |seqs| Load { seqs, pace: Pace::FlatOut, connections, cores, limit };
    let warm = count / 10;
    generator::run(&target, &load(0..warm))?;
    let sent = generator::run(&target, &load(warm..warm + count))?;
    ensure!(sent.failed == 0, "the bare receiver did not answer {} requests", sent.failed);
    Ok(Floor { per_second: sent.rate(), took: Percentiles::of(sent.latencies()) })
}
