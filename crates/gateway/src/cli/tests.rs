//! What holds for every command, whoever adds it.

use std::io;
use std::path::PathBuf;

use clap::Command;

use super::{EXIT_CODES, Failure, command};
use crate::app;
use crate::data_lock::{Holder, LockError};

/// Commands without `--json`, since when, and why.
const WITHOUT_JSON: [(&str, &str, &str); 7] = [
    ("ringback mcp", "2026-11-23", "a server: what it prints is its protocol, or one line"),
    ("ringback dev", "2026-11-23", "a server: it shows a page, and --dump-config prints TOML"),
    ("ringback serve", "2026-11-23", "a server: it prints one line, and --dump-config TOML"),
    ("ringback providers sign", "2026-11-23", "it prints JSON unless asked for --curl"),
    ("ringback completions", "2026-11-23", "it prints a script for a shell"),
    ("ringback man", "2026-11-23", "it prints a manual page"),
    ("ringback", "2026-11-23", "it shows what can be typed"),
];

/// Calls `with` with every command that can be run by its whole name.
fn each(command: &Command, with: &mut dyn FnMut(&str, &Command)) {
    if !command.is_subcommand_required_set() {
        with(command.get_bin_name().unwrap_or(command.get_name()), command);
    }
    command.get_subcommands().for_each(|one| each(one, with));
}

fn built() -> Command {
    let mut command = command().disable_help_subcommand(true);
    command.build();
    command
}

#[test]
fn verify_cli() {
    command().debug_assert();
}

#[test]
fn whatever_prints_data_prints_json() {
    let (mut without, mut seen) = (Vec::new(), 0);
    each(&built(), &mut |name, command| {
        seen += 1;
        if !command.get_arguments().any(|arg| arg.get_long() == Some("json")) {
            without.push(name.to_owned());
        }
    });
    assert!(seen > 25, "{seen}");
    without.sort_unstable();
    let mut listed = WITHOUT_JSON.map(|(name, ..)| name.to_owned());
    listed.sort_unstable();
    assert_eq!(
        without, listed,
        "left: commands without --json; right: those in WITHOUT_JSON of cli/tests.rs, where a \
         reason is needed"
    );
}

/// A command that says nothing about itself would be an empty place in help and in `docs/cli.md`.
#[test]
fn everything_says_what_it_is() {
    each(&built(), &mut |name, command| {
        assert!(command.get_about().is_some(), "{name} has no description");
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{name}: {} has no description", arg.get_id());
        }
    });
}

#[test]
fn exit_codes() {
    fn check(failure: Failure, expected: u8) {
        assert_eq!(failure.code(), expected, "{failure}");
        assert!(EXIT_CODES.iter().any(|(code, _)| *code == expected), "{expected}");
    }
    let dir = PathBuf::from("data");
    let holder = Holder::default();
    let held = || LockError::Held { dir: dir.clone(), holder: holder.clone() };
    let io = || io::Error::from(io::ErrorKind::NotFound);
    check(Failure::Usage("x".to_owned()), 64);
    check(Failure::Lock(held()), 75);
    check(Failure::App(app::Error::Lock(held())), 75);
    check(Failure::Lock(LockError::Io { dir: dir.clone(), source: io() }), 1);
    check(Failure::Io(io()), 1);
    check(Failure::Failed("x".to_owned()), 1);
    check(Failure::Told, 1);
}
