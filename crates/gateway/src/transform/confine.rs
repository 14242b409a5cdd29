//! What a child gives up before it reads a program: files, sockets, other processes, memory without
//! end.
//!
//! On Linux the kernel refuses every call to it but those of `allowed.json`, and ends the process at
//! one of `fatal.json`, which nothing that runs here has a reason to make. Elsewhere there are the
//! limits of the process only.

use std::io;

use rustix::process::{Resource, Rlimit, nice, setrlimit};

/// Memory of the process, in bytes: the engine's, and what goes in and out.
const MEMORY: u64 = 256 * 1024 * 1024;
/// Its addresses, where the program itself is, too, in bytes.
const ADDRESSES: u64 = 2 * MEMORY;
/// Processor time of all calls of a child together, in seconds; it ends with this even if whoever
/// started it is gone.
const PROCESSOR: u64 = 300;
/// How much later than the server it is served.
const NICE: i32 = 5;

/// Gives all of it up, for good.
///
/// # Errors
/// When the system does not let it: no program may run then.
pub(super) fn confine() -> io::Result<()> {
    // Not being served later is no danger.
    let _ = nice(NICE);
    for (resource, most) in [
        (Resource::Data, MEMORY),
        (Resource::As, ADDRESSES),
        (Resource::Cpu, PROCESSOR),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nproc, 0),
        // Those that are open stay; there is no room for another.
        (Resource::Nofile, 3),
    ] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    refuse_calls()
}

#[cfg(target_os = "linux")]
fn refuse_calls() -> io::Result<()> {
    let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let filters = concat!(
        "{\"fatal\":",
        include_str!("fatal.json"),
        ",\"allowed\":",
        include_str!("allowed.json"),
        "}"
    );
    let filters = seccompiler::compile_from_json(filters.as_bytes(), arch);
    let filters = filters.map_err(io::Error::other)?;
    // The first may add the second; the second leaves no way to a third.
    for name in ["fatal", "allowed"] {
        let filter = filters.get(name).ok_or(io::ErrorKind::NotFound)?;
        // It gives up new privileges, too.
        seccompiler::apply_filter(filter).map_err(io::Error::other)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn refuse_calls() -> io::Result<()> {
    Ok(())
}
