//! What the tests need from the machine, and how it gets there.
//!
//! Each need is probed. What is missing is installed with `apt-get` as root on Debian (or with
//! `CI=true`); anywhere else the one command that would install it is the error.

use std::path::Path;
use std::process::Command;

use crate::process;

/// A program the tests run, and the Debian packages that bring it.
struct Need {
    name: &'static str,
    probe: Probe,
    packages: &'static [&'static str],
    why: &'static str,
}

/// How it shows whether a need is met.
enum Probe {
    /// A command that exits with 0 when it is.
    Command(&'static [&'static str]),
    /// For what is not on the `PATH`.
    Search(fn() -> Result<(), String>),
}

const NEEDS: &[Need] = &[
    Need {
        name: "python3 with venv",
        probe: Probe::Command(&["python3", "-c", "import venv, ensurepip"]),
        packages: &["python3-venv"],
        why: "prebuilt tools and the Python SDKs are installed into virtual environments",
    },
    Need {
        name: "npm",
        probe: Probe::Command(&["npm", "--version"]),
        packages: &["nodejs", "npm"],
        why: "the JavaScript SDK and the Node.js it needs come from the npm index",
    },
    Need {
        name: "a C compiler",
        probe: Probe::Command(&["cc", "--version"]),
        packages: &["gcc", "libc6-dev"],
        why: "SQLite and the crypto library are compiled from C",
    },
    Need {
        name: "strace",
        probe: Probe::Command(&["strace", "--version"]),
        packages: &["strace"],
        why: "injects a failing fsync",
    },
    Need {
        name: "ip",
        probe: Probe::Command(&["ip", "-V"]),
        packages: &["iproute2"],
        why: "brings up loopback inside network namespaces of the tests",
    },
    Need {
        name: "unshare",
        probe: Probe::Command(&["unshare", "--version"]),
        packages: &["util-linux"],
        why: "a small file system is mounted in a namespace of its own to fill it up",
    },
    Need {
        name: "mount",
        probe: Probe::Command(&["mount", "--version"]),
        packages: &["mount"],
        why: "a small file system is mounted in a namespace of its own to fill it up",
    },
    Need {
        name: "a PostgreSQL server",
        probe: Probe::Search(ringback_pg_cluster::available),
        packages: &["postgresql"],
        why: "every test of the store and of the API runs on PostgreSQL, too",
    },
    Need {
        name: "pgbouncer",
        probe: Probe::Search(ringback_pg_cluster::pooler_available),
        packages: &["pgbouncer"],
        why: "the store's rules hold behind a pooler, too",
    },
    Need {
        name: "curl",
        probe: Probe::Command(&["curl", "--version"]),
        packages: &["curl"],
        why: "the recipes of the cookbook call the API with it",
    },
    Need {
        name: "jq",
        probe: Probe::Command(&["jq", "--version"]),
        packages: &["jq"],
        why: "the recipes of the cookbook read the API's answers with it",
    },
    Need {
        name: "chromium",
        probe: Probe::Command(&["chromium", "--version"]),
        packages: &["chromium"],
        why: "what people see of callbacks is looked at in a real browser",
    },
    Need {
        name: "psql",
        probe: Probe::Command(&["psql", "--version"]),
        packages: &["postgresql-client"],
        why: "the recipes of the cookbook look into a database with it",
    },
    Need {
        name: "tinyproxy",
        probe: Probe::Command(&["tinyproxy", "-v"]),
        packages: &["tinyproxy-bin"],
        why: "deliveries go through a real proxy",
    },
    Need {
        name: "redis-server",
        probe: Probe::Command(&["redis-server", "--version"]),
        packages: &["redis-server"],
        why: "events are delivered to a real Redis",
    },
    Need {
        name: "redis-cli",
        probe: Probe::Command(&["redis-cli", "--version"]),
        packages: &["redis-tools"],
        why: "what arrived in Redis is read back with its own command line",
    },
    Need {
        name: "nats-server",
        probe: Probe::Command(&["nats-server", "--version"]),
        packages: &["nats-server"],
        why: "events are delivered to a real NATS",
    },
    Need {
        name: "rabbitmq-server",
        probe: Probe::Command(&["test", "-x", "/usr/lib/rabbitmq/bin/rabbitmq-server"]),
        packages: &["rabbitmq-server"],
        why: "events are delivered to a real RabbitMQ",
    },
    Need {
        name: "pika of the distribution's Python",
        probe: Probe::Command(&["/usr/bin/python3", "-c", "import pika"]),
        packages: &["python3-pika"],
        why: "what arrived in RabbitMQ is read back with a client that is not ours",
    },
    Need {
        name: "aiosmtpd of the distribution's Python",
        probe: Probe::Command(&["/usr/bin/python3", "-c", "import aiosmtpd"]),
        packages: &["python3-aiosmtpd"],
        why: "events are delivered to a real mail server",
    },
];

/// Makes sure every need is met, installing what may be installed.
pub(crate) fn meet() -> Result<(), String> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = packages(&missing);
    if !may_install() {
        return Err(advice(&missing, &packages));
    }
    install(&packages)?;
    let still: Vec<&Need> = missing.into_iter().filter(|need| !met(need)).collect();
    if still.is_empty() { Ok(()) } else { Err(advice(&still, &packages)) }
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !met(need)).collect()
}

fn met(need: &Need) -> bool {
    match need.probe {
        Probe::Command([program, arguments @ ..]) => {
            process::quiet(Command::new(program).args(arguments)).is_ok()
        }
        Probe::Command([]) => false,
        Probe::Search(search) => search().is_ok(),
    }
}

fn packages(missing: &[&'static Need]) -> Vec<&'static str> {
    let mut packages: Vec<_> =
        missing.iter().flat_map(|need| need.packages.iter().copied()).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn may_install() -> bool {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let debian = Path::new("/etc/debian_version").exists();
    let root = process::quiet(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    ci || (debian && root)
}

fn install(packages: &[&str]) -> Result<(), String> {
    println!("installing {}", packages.join(" "));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-q");
        command
    };
    process::quiet(apt().arg("update"))?;
    let install = ["install", "--yes", "--no-install-recommends"];
    process::quiet(apt().args(install).args(packages))?;
    Ok(())
}

fn advice(missing: &[&Need], packages: &[&str]) -> String {
    let mut text = String::from("this machine lacks what the tests need:\n");
    for need in missing {
        text.push_str(&format!("  {}: {}\n", need.name, need.why));
    }
    text.push_str(&format!("install it with: sudo apt-get install --yes {}", packages.join(" ")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_every_package_once_in_one_command() {
        let missing: Vec<&Need> = NEEDS.iter().collect();
        let advice = advice(&missing, &packages(&missing));
        let commands: Vec<&str> =
            advice.lines().filter(|line| line.contains("apt-get install")).collect();
        let [command] = commands.as_slice() else { panic!("not one command: {advice}") };
        for package in NEEDS.iter().flat_map(|need| need.packages) {
            assert_eq!(command.split(' ').filter(|word| word == package).count(), 1, "{package}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_not_met() {
        let need = Need {
            name: "x",
            probe: Probe::Command(&["ringback-no-such-program"]),
            packages: &["x"],
            why: "x",
        };
        assert!(!met(&need));
    }
}
