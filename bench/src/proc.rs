//! What the kernel counts about a process (`proc_pid_stat(5)`, `proc_pid_status(5)`,
//! `proc_pid_io(5)`) and about the machine.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// Ticks per second in `/proc/PID/stat`: `USER_HZ`, 100 on every architecture Linux has now.
const TICKS_PER_SECOND: u64 = 100;

/// One reading of a process's accounts.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// User and system time of all threads, past ones included, in steps of 10 ms.
    pub cpu: Duration,
    /// Bytes it caused to be sent to the disk.
    pub written: u64,
    /// Resident set, bytes.
    pub resident: u64,
    /// The largest resident set so far, bytes.
    pub peak: u64,
}

impl Usage {
    /// Reads the accounts of `pid`.
    pub fn of(pid: u32) -> Result<Self> {
        let status = read(pid, "status")?;
        let kib = |name| field(&status, name).map(|kib| kib * 1024);
        Ok(Self {
            cpu: cpu(&read(pid, "stat")?).context("/proc/PID/stat is not as documented")?,
            written: field(&read(pid, "io")?, "write_bytes:").context("no write_bytes")?,
            resident: kib("VmRSS:").context("no VmRSS: has the process ended?")?,
            peak: kib("VmHWM:").context("no VmHWM")?,
        })
    }

    /// CPU time of this process.
    pub fn own_cpu() -> Duration {
        fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu(&stat)).unwrap_or_default()
    }
}

/// CPU time of a process, its children, and those of its children that it has waited for.
pub fn family_cpu(pid: u32) -> Result<Duration> {
    let stat = read(pid, "stat")?;
    let own = cpu(&stat).zip(waited_for(&stat)).context("/proc/PID/stat is not as documented")?;
    let children = read(pid, &format!("task/{pid}/children"))?;
    // One that has ended meanwhile will be among those that were waited for.
    let living = children
        .split_whitespace()
        .filter_map(|child| cpu(&fs::read_to_string(format!("/proc/{child}/stat")).ok()?));
    Ok(own.0 + own.1 + living.sum::<Duration>())
}

/// Processor, memory and kernel in a line.
pub fn machine(cores: usize) -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model.trim());
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let gib = field(&meminfo, "MemTotal:").unwrap_or_default() as f64 / f64::from(1 << 20);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores of {model}, {gib:.0} GiB, Linux {}", kernel.trim())
}

/// The type of the file system that holds `dir`, by `/proc/self/mounts`.
pub fn file_system(dir: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(at, _)| dir.starts_with(at))
        // The last of several mounts on one place is the one on top.
        .max_by_key(|(at, _)| at.len())
        .map_or_else(|| "unknown".into(), |(_, kind)| kind.to_owned())
}

fn read(pid: u32, what: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{what}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

fn cpu(stat: &str) -> Option<Duration> {
    ticks(stat, 14)
}

/// Of children that have ended and were waited for.
fn waited_for(stat: &str) -> Option<Duration> {
    ticks(stat, 16)
}

/// The sum of two fields, `first` and the next: utime and stime are 14 and 15, cutime and cstime 16
/// and 17.
fn ticks(stat: &str, first: usize) -> Option<Duration> {
    // The name in parentheses, the second field, may hold spaces.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(first - 3);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_the_sum_of_fields_14_and_15() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20";
        assert_eq!(cpu(stat), Some(Duration::from_millis(1500)));
        let waited = "7 (a) S 1 2 3 4 5 6 7 8 9 10 120 30 50 40 20";
        assert_eq!(waited_for(waited), Some(Duration::from_millis(900)));
        assert_eq!(cpu("7 no parentheses"), None);
    }

    #[test]
    fn this_process_has_accounts() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident > 0 && usage.peak >= usage.resident);
    }

    #[test]
    fn proc_is_on_proc() {
        assert_eq!(file_system(Path::new("/proc/self")), "proc");
    }
}
