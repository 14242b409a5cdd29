//! `docs/cli.md`: every command with what it takes, written from what clap knows of it.
//!
//! Nothing about a command is said here: what is missing in the document is missing in the help.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

use super::EXIT_CODES;
use super::groups::grouped;

/// What holds for all commands.
const INTRODUCTION: &str = "\
# Command line

Every command of `ringback`, with what it takes. This page is written by the program itself: `ringback help COMMAND` says the same, `ringback man DIR` writes it as manual pages, and `ringback completions SHELL` makes a shell complete it.

**Output.** Data goes to the standard output, everything else to the standard error. Where data is printed, `--json` prints it for programs: an object for one thing, an array for a list, a line of JSON for each item where items come one after the other. Errors are text on the standard error, with `--json` as well: the exit code says that there is one.

**Server.** Commands that take `--url` and `--token` speak with a running server. The variables `RINGBACK_URL` and `RINGBACK_TOKEN` say both once for all. Without a token, and only for a server on this machine's loopback, it is read from the file `dev-token` in the data directory (`RINGBACK_DATA`, or `./ringback-data`), where `ringback dev` keeps its own: in the folder of a development server, `ringback send` needs no further words.

**Data directory.** Commands that take `--data` speak with the server that holds the directory, or open the store themselves if there is none. They take the [settings](configuration.md) of the server, from the same variables.
";

/// The document.
fn document(command: &Command) -> String {
    let mut text = format!("{INTRODUCTION}\n| exit code | |\n|---|---|\n");
    for (code, meaning) in EXIT_CODES {
        put(&mut text, &format!("| {code} | {meaning} |"));
    }
    let mut built = command.clone().disable_help_subcommand(true);
    // Whole names, and what is the same everywhere, such as `--help`.
    built.build();
    for (what, commands) in grouped(&built) {
        put(&mut text, &format!("\n## {what}"));
        commands.into_iter().for_each(|one| section(&mut text, one));
    }
    text
}

fn section(text: &mut String, command: &Command) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    put(text, &format!("\n### `{name}`\n"));
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    put(text, about.trim_end());
    // With nothing but further commands there is nothing to take.
    if !command.is_subcommand_required_set() {
        takes(text, command);
    }
    let below = command.get_subcommands().filter(|one| !one.is_hide_set());
    below.for_each(|one| section(text, one));
}

fn takes(text: &mut String, command: &Command) {
    let usage = command.clone().render_usage().to_string();
    put(text, &format!("\n```sh\n{}\n```", usage.trim_start_matches("Usage:").trim()));
    let help = |arg: &Arg| matches!(arg.get_action(), ArgAction::Help | ArgAction::Version);
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set() && !help(arg));
    let (arguments, options): (Vec<&Arg>, Vec<&Arg>) = shown.partition(|arg| arg.is_positional());
    if !arguments.is_empty() || !options.is_empty() {
        put(text, "\n| | | default | variable |\n|---|---|---|---|");
        arguments.into_iter().chain(options).for_each(|arg| put(text, &row(arg)));
    }
    if let Some(more) = command.get_after_long_help().or(command.get_after_help()) {
        put(text, &format!("\n```text\n{}\n```", more.to_string().trim()));
    }
}

/// How it is written, what it is, what it is if it is not given, the variable that gives it.
fn row(arg: &Arg) -> String {
    let names: Vec<_> = arg.get_value_names().unwrap_or_default().iter().collect();
    let mut values = names.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(" ");
    if values.is_empty() {
        // As clap shows what names no value.
        values = arg.get_id().as_str().to_uppercase();
    }
    let takes_value = arg.get_action().takes_values();
    let mut written = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, Some(long)) => format!("--{long}"),
        (None, None) => values.clone(),
    };
    if takes_value && !arg.is_positional() {
        written = format!("{written} {values}");
    }
    let mut what = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let possible: Vec<_> = match takes_value {
        true => arg.get_possible_values().iter().map(|one| one.get_name().to_owned()).collect(),
        false => Vec::new(),
    };
    if !possible.is_empty() {
        what.push_str(&format!(": {}", possible.join(", ")));
    }
    if arg.is_required_set() {
        what.push_str(" (required)");
    }
    if matches!(arg.get_action(), ArgAction::Append) {
        what.push_str(" (may be given several times)");
    }
    let defaults = match takes_value {
        true => {
            arg.get_default_values().iter().map(|value| code(&value.to_string_lossy())).collect()
        }
        false => String::new(),
    };
    let variable = arg.get_env().map(|name| code(&name.to_string_lossy())).unwrap_or_default();
    let cells = [code(&written), what, defaults, variable].map(|cell| cell.replace('|', "\\|"));
    format!("| {} |", cells.join(" | "))
}

fn code(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!("`{text}`"),
    }
}

fn put(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// Set to write the document anew instead of comparing it.
    const UPDATE: &str = "RINGBACK_UPDATE_SNAPSHOTS";

    #[test]
    fn the_snapshot_is_the_command_line() {
        let fresh = document(&crate::cli::command());
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&path, &fresh).unwrap();
        }
        let snapshot = fs::read_to_string(&path).unwrap_or_default();
        assert!(snapshot == fresh, "docs/cli.md is outdated: run the tests with {UPDATE}=1");
    }

    #[test]
    fn what_clap_knows_is_written() {
        fn check(arg: Arg, expect: &str) {
            let mut command = Command::new("ringback").arg(arg);
            command.build();
            assert_eq!(row(command.get_arguments().next().unwrap()), expect);
        }
        check(Arg::new("app").help("Which").required(true), "| `APP` | Which (required) |  |  |");
        let url = Arg::new("url").long("url").env("MADE_UP").default_value("here");
        check(url.help("a|b"), "| `--url URL` | a\\|b | `here` | `MADE_UP` |");
        let many = Arg::new("scope").long("scope").short('s').action(ArgAction::Append);
        let many = many.value_name("S").value_parser(["a", "b"]).help("One");
        check(many, "| `-s, --scope S` | One: a, b (may be given several times) |  |  |");
        check(Arg::new("json").long("json").action(ArgAction::SetTrue), "| `--json` |  |  |  |");
    }
}
