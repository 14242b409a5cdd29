//! What the commands are for: the list that `ringback help` shows, and the order of `docs/cli.md`.
//!
//! clap has no headings for subcommands, so the list is made here, of what clap knows of them.

use std::fmt::Write as _;

use clap::Command;

/// What people want to do, and the commands that do it. Every command stands in one of these.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Run a server", &["dev", "serve"]),
    ("Send", &["send", "destinations"]),
    ("Receive", &["providers"]),
    (
        "Develop",
        &[
            "listen",
            "trigger",
            "replay",
            "tail",
            "inspect",
            "export",
            "sign",
            "verify",
            "transform",
            "sample",
            "mcp",
        ],
    ),
    ("Connect accounts", &["connect", "connections"]),
    ("Operate", &["token", "environment", "keys", "audit", "migrate", "api", "completions", "man"]),
];

/// Where a command stands that is in no group, so that it is shown all the same.
const OTHER: &str = "Other";

/// Groups with their commands, the empty ones left out.
pub(super) fn grouped(command: &Command) -> Vec<(&'static str, Vec<&Command>)> {
    let of = |names: &[&str]| -> Vec<&Command> {
        names.iter().filter_map(|name| command.find_subcommand(name)).collect()
    };
    let mut groups: Vec<_> = GROUPS.iter().map(|(what, names)| (*what, of(names))).collect();
    let known = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
    let others = shown.filter(|one| one.get_name() != "help" && !known(one.get_name()));
    groups.push((OTHER, others.collect()));
    groups.retain(|(_, commands)| !commands.is_empty());
    groups
}

/// The command, with the list by groups as its help.
pub(super) fn listed(command: Command) -> Command {
    let list = list(&command);
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n{list}\nOptions\n{{options}}{{after-help}}"
    ))
}

fn list(command: &Command) -> String {
    let groups = grouped(command);
    let all = groups.iter().flat_map(|(_, commands)| commands);
    let width = all.map(|one| one.get_name().len()).max().unwrap_or(0);
    let mut text = String::new();
    for (what, commands) in groups {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{what}");
        for one in commands {
            let about = one.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {:width$}  {about}", one.get_name());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::command;
    use super::*;

    #[test]
    fn every_command_is_in_a_group() {
        let command = command();
        let groups = grouped(&command);
        let other = groups.iter().find(|(what, _)| *what == OTHER);
        let missing: Vec<_> =
            other.iter().flat_map(|(_, commands)| commands).map(|one| one.get_name()).collect();
        assert!(
            missing.is_empty(),
            "`ringback help` does not know what {missing:?} is for: add it to GROUPS in {}",
            file!()
        );
        let mut names: Vec<_> = GROUPS.iter().flat_map(|(_, names)| *names).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before, "a command is in one group");
    }

    #[test]
    fn the_list_is_narrow() {
        for line in list(&command()).lines() {
            assert!(
                line.chars().count() <= 80,
                "longer than 80 columns: shorten the first line of the command's doc comment in \
                 cli/mod.rs: {line}"
            );
        }
    }
}
