//! `cargo xtask tidy`: the rules of this repository that no compiler and no lint checks.
//!
//! A rule is a function from one file (path and text) to the lines that break it, or a row of the
//! table in [`words`]. Every rule has an example that breaks it and one that does not, so a rule
//! that can no longer fail is itself a failing test.

mod documents;
mod places;
mod source;
mod words;

use std::path::Path;
use std::process::Command;

use crate::process;
use source::File;

/// One broken rule, at one line (counted from 1).
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    what: String,
}

/// Checks every file that git knows or would add, prints what is wrong, and fails if anything is.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let files = files(root)?;
    let known: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let findings: Vec<Finding> = files.iter().flat_map(|file| findings(file, &known)).collect();
    for Finding { path, line, rule, what } in &findings {
        println!("{path}:{line}: {what} [{rule}]");
    }
    println!("tidy: {} files, {} findings", files.len(), findings.len());
    if findings.is_empty() { Ok(()) } else { Err("the source is not tidy".to_owned()) }
}

/// Everything that is wrong with `file`, in a repository that holds the paths `known`.
fn findings(file: &File, known: &[&str]) -> Vec<Finding> {
    let mut findings = words::check(file);
    findings.extend(places::catch_all_name(file));
    findings.extend(places::module_doc(file));
    findings.extend(documents::links(file, known));
    findings.extend(documents::code_map(file, known));
    findings
}

fn files(root: &Path) -> Result<Vec<File>, String> {
    let flags = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
    let listed = process::quiet(Command::new("git").current_dir(root).args(flags))?;
    let files = listed.split('\0').filter(|path| !path.is_empty()).filter_map(|path| {
        // A file deleted but still in the index, and one that is not text, have nothing to check.
        let text = std::fs::read_to_string(root.join(path)).ok()?;
        Some(File { path: path.to_owned(), text })
    });
    Ok(files.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &[
        "docs/concepts.md",
        "docs/adr/0001-store.md",
        "crates/domain/src/id.rs",
        "crates/store/src/lib.rs",
        "ARCHITECTURE.md",
    ];

    /// (rule, path, text that breaks it, text that does not)
    const EXAMPLES: &[(&str, &str, &str, &str)] = &[
        ("own-machine", "docs/a.md", concat!("see /ro", "ot/notes"), "see ./notes"),
        ("own-machine", "a.sh", concat!("cd /wo", "rk/main"), "cd ./network/main"),
        ("registry-host", "a.lock", concat!("https://registry.np", "mjs.org/x"), "registry"),
        ("registry-host", "a.sh", concat!("-i https://py", "pi.org/simple"), "pip install x"),
        ("sql-in-store", GATE, "let q = \"SELECT 1\";", "// SELECT 1\nlet q = 1;"),
        ("sql-in-store", GATE, "use rusqlite::Connection;", "use crate::store;"),
        ("backend-in-wiring", GATE, "let s = SqliteStore::open();", "// Sqlite is one backend"),
        ("backend-in-wiring", GATE, "use ringback_store::postgres::Options;", "\"PostgreSQL\""),
        ("cluster-for-tests", GATE, "ringback_pg_cluster::Cluster", TESTS_CLUSTER),
        ("outbound-dials", GATE, "TcpStream::connect(a)", TESTS_DIAL),
        ("domain-is-pure", DOMAIN, "use tokio::time;", "fn at(now: Millis) {}"),
        ("domain-is-pure", DOMAIN, "std::fs::read(p)", "// never std::fs"),
        ("domain-is-pure", DOMAIN, "SystemTime::now()", "now"),
        ("domain-is-pure", "crates/domain/Cargo.toml", "tokio.workspace = true", "serde = \"1\""),
        ("door-knows-log", DOOR, "use crate::deliver::wake;", "use crate::log::append;"),
        ("engine-knows-no-door", ENGINE, "use crate::send::accept;", "sender.send(x)"),
        ("catch-all-name", "crates/gateway/src/utils.rs", "//! x", ""),
        ("catch-all-name", "crates/gateway/src/common/mod.rs", "//! x", ""),
        ("module-doc", GATE, "use std::fmt;", "//! Why this is here.\n"),
        ("link", "README.md", "[a](docs/none.md)", "[a](docs/concepts.md#top) [b](https://x/y)"),
        ("link", "docs/concepts.md", "[a](concept.md)", "[a](adr/0001-store.md) [b](../docs/adr)"),
        ("code-map", "ARCHITECTURE.md", "`crates/domain/src/ids.rs`", "`crates/domain/src/id.rs`"),
        ("code-map", "ARCHITECTURE.md", "`crates/{domain,sim}/`", "`crates/{domain,store}`"),
    ];

    const GATE: &str = "crates/gateway/src/app.rs";
    const DOMAIN: &str = "crates/domain/src/retry.rs";
    const DOOR: &str = "crates/gateway/src/send/accept.rs";
    const ENGINE: &str = "crates/gateway/src/deliver/lane.rs";
    const TESTS_CLUSTER: &str =
        "//! x\n#[cfg(test)]\nmod tests {\n use ringback_pg_cluster::Database;\n}\n";
    const TESTS_DIAL: &str = "//! x\n#[cfg(test)]\nmod tests {\n TcpStream::connect(a);\n}\n";

    fn broken(rule: &str, path: &str, text: &str) -> bool {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        findings(&file, KNOWN).iter().any(|finding| finding.rule == rule)
    }

    #[test]
    fn every_example_breaks_its_rule_and_only_the_bad_one() {
        for (rule, path, bad, good) in EXAMPLES {
            assert!(broken(rule, path, bad), "{rule} does not see {bad:?} in {path}");
            let names_path = *rule == "catch-all-name";
            assert!(names_path || !broken(rule, path, good), "{rule} sees {good:?} in {path}");
        }
    }

    #[test]
    fn every_rule_has_an_example() {
        let own = ["catch-all-name", "module-doc", "link", "code-map"];
        for rule in words::RULES.iter().map(|rule| rule.name).chain(own) {
            assert!(EXAMPLES.iter().any(|(name, ..)| *name == rule), "{rule} has no example");
        }
    }

    #[test]
    fn exceptions_hold() {
        let check = |rule, path, text| assert!(!broken(rule, path, text), "{rule} {path}");
        check("sql-in-store", "crates/store/src/sqlite/append.rs", "\"SELECT 1\"");
        check("backend-in-wiring", "crates/gateway/src/wiring.rs", "Sqlite::open()");
        check("outbound-dials", "crates/gateway/src/outbound/connector.rs", "TcpStream::connect");
        check("outbound-dials", "crates/gateway/tests/it/receiver.rs", "TcpStream::connect");
        check("catch-all-name", "crates/gateway/src/deliver/lane.rs", "//! x");
        check("module-doc", "crates/gateway/tests/it/send.rs", "use x;");
    }

    #[test]
    fn findings_name_their_line() {
        let text = "//! x\nfn a() {}\nfn b() { TcpStream::connect(x) }\n";
        let file = File { path: GATE.to_owned(), text: text.to_owned() };
        let lines: Vec<usize> = findings(&file, KNOWN).iter().map(|found| found.line).collect();
        assert_eq!(lines, [3]);
    }
}
