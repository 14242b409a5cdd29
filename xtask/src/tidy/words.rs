//! Rules that say where certain words may not stand: the imports that keep the design's shape.

use super::Finding;
use super::source::{File, contains};

/// `words` may not stand in a file under `within` (empty: everywhere), except under `except`.
pub(super) struct Rule {
    pub(super) name: &'static str,
    why: &'static str,
    within: &'static [&'static str],
    except: &'static [&'static str],
    view: View,
    words: &'static [&'static str],
}

enum View {
    /// Every line of every text file.
    Whole,
    /// Code only: no comments, no test modules.
    Code,
}

// The forbidden words are put together here, so that this file keeps its own rules.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "own-machine",
        why: "a path of one machine means nothing to anybody else",
        within: &[],
        except: &[],
        view: View::Whole,
        words: &[
            concat!("/ro", "ot/"),
            concat!("/wo", "rk/main"),
            concat!("/wo", "rk/sha"),
            concat!("../sha", "red"),
        ],
    },
    Rule {
        name: "registry-host",
        why: "packages come from whatever index the machine is set up for",
        within: &[],
        except: &[],
        view: View::Whole,
        words: &[
            concat!("registry.np", "mjs.org"),
            concat!("index.crat", "es.io"),
            concat!("static.crat", "es.io"),
            concat!("py", "pi.org"),
            concat!("files.python", "hosted.org"),
        ],
    },
    Rule {
        name: "sql-in-store",
        why: "only the store speaks SQL, and the destination that is a database",
        within: &["crates/"],
        except: &["crates/store/", "crates/connect/src/postgres.rs"],
        view: View::Code,
        words: &["rusqlite", "SELECT ", "INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "PRAGMA "],
    },
    Rule {
        name: "backend-in-wiring",
        why: "only the composition root names a concrete backend",
        within: &["crates/gateway/src/"],
        except: &["crates/gateway/src/wiring.rs"],
        view: View::Code,
        words: &["Sqlite", "sqlite::", "Postgres", "postgres::"],
    },
    Rule {
        name: "cluster-for-tests",
        why: "what ships starts no database server",
        within: &["crates/"],
        except: &["crates/pg-cluster/", "crates/store/benches/"],
        view: View::Code,
        words: &["ringback_pg_cluster"],
    },
    Rule {
        name: "outbound-dials",
        why: "every connection leaves through the address guard of `outbound`",
        within: &["crates/"],
        // What the second dials is held against the operator's list by whoever opens it. The third is
        // a library: it dials the server that its user names. The fourth hands what an object store
        // asks to `outbound`, and the trait for that has the name of a connector.
        except: &[
            "crates/gateway/src/outbound/",
            "crates/connect/src/dial.rs",
            "crates/client/src/callback/connection.rs",
            "crates/gateway/src/payloads/s3.rs",
        ],
        view: View::Code,
        words: &["TcpStream::connect", "TcpSocket", "HttpConnector", "UdpSocket"],
    },
    Rule {
        name: "domain-is-pure",
        why: "the core does no I/O and is given the time and its randomness",
        within: &["crates/domain/"],
        except: &[],
        view: View::Code,
        words: &[
            "tokio",
            "hyper",
            "axum",
            "rusqlite",
            "std::net::Tcp",
            "std::net::Udp",
            "std::fs",
            "std::thread",
            "std::process",
            "std::env::",
            "SystemTime",
            "Instant::",
        ],
    },
    Rule {
        name: "door-knows-log",
        why: "a door appends to the log and answers; it never knows the engine",
        within: &[
            "crates/gateway/src/send/",
            "crates/gateway/src/receive/",
            "crates/gateway/src/callback/",
        ],
        // They fetch the keys that providers publish, send the requests of calls, and ask gateways;
        // nothing else.
        except: &[
            "crates/gateway/src/receive/keys.rs",
            "crates/gateway/src/callback/call.rs",
            "crates/gateway/src/callback/errand.rs",
            "crates/gateway/src/callback/redirect/lookup.rs",
        ],
        view: View::Code,
        words: &["deliver::", "outbound::"],
    },
    Rule {
        name: "engine-knows-no-door",
        why: "the engine knows the log and the due-index, never a door",
        within: &["crates/gateway/src/deliver/"],
        except: &[],
        view: View::Code,
        words: &["crate::send", "crate::receive", "crate::callback", "crate::api"],
    },
];

/// The lines of `file` that break a rule of the table.
pub(super) fn check(file: &File) -> Vec<Finding> {
    RULES.iter().filter(|rule| rule.covers(file)).flat_map(|rule| rule.findings(file)).collect()
}

impl Rule {
    fn covers(&self, file: &File) -> bool {
        let inside = self.within.is_empty() || file.is_under(self.within);
        let code = file.is_rust() || file.path.ends_with("Cargo.toml");
        inside && !file.is_under(self.except) && (code || matches!(self.view, View::Whole))
    }

    fn findings(&self, file: &File) -> Vec<Finding> {
        let broken = |line: &str| self.words.iter().find(|word| contains(line, word)).copied();
        let finding = |(line, word): (usize, &str)| Finding {
            path: file.path.clone(),
            line,
            rule: self.name,
            what: format!("`{}`: {}", word.trim(), self.why),
        };
        match self.view {
            View::Whole => found(file.lines(), broken).map(finding).collect(),
            View::Code => found(file.code(), broken).map(finding).collect(),
        }
    }
}

fn found<'a>(
    lines: impl Iterator<Item = (usize, &'a str)>,
    broken: impl Fn(&str) -> Option<&'static str>,
) -> impl Iterator<Item = (usize, &'static str)> {
    lines.filter_map(move |(number, line)| broken(line).map(|word| (number, word)))
}
