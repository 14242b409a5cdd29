//! What people see first, and what a shell and `man` are given.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use clap::Command as Clap;

use super::{run, stderr, stdout, text};

/// The whole names of all commands, those that only gather others among them.
fn names(command: &Clap) -> Vec<String> {
    let own = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let below = command.get_subcommands().flat_map(names);
    std::iter::once(own).chain(below).collect()
}

fn all() -> Vec<String> {
    let mut command = ringback::cli::command().disable_help_subcommand(true);
    command.build();
    names(&command)
}

#[test]
fn without_words_it_says_what_people_come_for() {
    let shown = run(&[], &[]);
    assert_eq!((shown.status.code(), &*stderr(&shown)), (Some(0), ""));
    let shown = stdout(&shown);
    let things = shown.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    assert_eq!(things.count(), 5, "{shown}");
    for part in ["ringback dev\n", "ringback send ", "ringback connect ", "`ringback help`"] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
}

#[test]
fn help_has_every_command_by_what_it_is_for() {
    let shown = run(&["help"], &[]);
    assert_eq!((shown.status.code(), &*stderr(&shown)), (Some(0), ""));
    let shown = stdout(&shown);
    assert_eq!(stdout(&run(&["--help"], &[])), shown);
    for line in shown.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let (at, place) = (|part: &str| shown.find(part), |part: &str| format!("\n{part}\n"));
    let places = ["Run a server", "Send", "Receive", "Develop", "Connect accounts", "Operate"]
        .map(|part| at(&place(part)).unwrap_or_else(|| panic!("no {part} in {shown}")));
    assert!(places.is_sorted(), "{shown}");
    for name in all().iter().filter_map(|name| name.strip_prefix("ringback ")) {
        if !name.contains(' ') {
            assert!(at(&format!("\n  {name} ")).is_some(), "no {name} in {shown}");
        }
    }
}

#[test]
fn every_command_explains_itself() {
    for name in all() {
        let words: Vec<_> = name.split(' ').skip(1).chain(["--help"]).collect();
        let shown = run(&words, &[]);
        assert_eq!((shown.status.code(), &*stderr(&shown)), (Some(0), ""), "{name}");
        assert!(stdout(&shown).contains(&format!("Usage: {name}")), "{name}: {}", stdout(&shown));
    }
}

#[test]
fn a_command_that_is_not_there_is_told_with_what_was_meant() {
    let unknown = run(&["tokne", "list"], &[]);
    assert_eq!((unknown.status.code(), &*stdout(&unknown)), (Some(64), ""));
    assert!(stderr(&unknown).contains("'token'"), "{}", stderr(&unknown));
}

/// What bash proposes for the last of these words.
fn proposed(script: &str, words: &[&str]) -> BTreeSet<String> {
    let last = words.len() - 1;
    let line = format!(
        "set -u; source {script}; COMP_WORDS=({}); COMP_CWORD={last}; \
         _ringback ringback \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{}]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        last - 1,
    );
    let output = Command::new("bash").args(["--norc", "-c", &line]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", stderr(&output));
    stdout(&output).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_flags() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("ringback.bash");
    let printed = run(&["completions", "bash"], &[]);
    assert_eq!((printed.status.code(), &*stderr(&printed)), (Some(0), ""));
    fs::write(&script, printed.stdout).unwrap();
    let check = |words: &[&str], expect: &[&str]| {
        let proposed = proposed(text(&script), words);
        assert_eq!(proposed, expect.iter().map(|&word| word.to_owned()).collect(), "{words:?}");
    };
    check(&["ringback", "tok"], &["token"]);
    check(&["ringback", "token", "cre"], &["create"]);
    check(&["ringback", "token", "create", "--exp"], &["--expires"]);
    check(&["ringback", "completions", ""], &["-h", "--help", "bash", "zsh", "fish"]);
    let first = proposed(text(&script), &["ringback", ""]);
    for name in all().iter().filter_map(|name| name.strip_prefix("ringback ")) {
        assert!(first.contains(name) || name.contains(' '), "no {name} in {first:?}");
    }
}

#[test]
fn other_shells_have_a_script_too() {
    for (shell, part) in [("zsh", "#compdef ringback"), ("fish", "complete -c ringback")] {
        let printed = run(&["completions", shell], &[]);
        assert_eq!((printed.status.code(), &*stderr(&printed)), (Some(0), ""), "{shell}");
        assert!(stdout(&printed).contains(part), "{shell}: {}", stdout(&printed));
    }
    let unknown = run(&["completions", "tcsh"], &[]);
    assert_eq!((unknown.status.code(), &*stdout(&unknown)), (Some(64), ""));
    assert!(stderr(&unknown).contains("bash, zsh, fish"), "{}", stderr(&unknown));
}

/// What `groff` has to say against a page, as `man` would format it. Without it there is `None`.
fn complaints(page: &[u8]) -> Option<String> {
    use std::io::Write as _;
    let mut groff = Command::new("groff")
        .args(["-man", "-Tutf8", "-Kutf8", "-ww", "-z"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .ok()?;
    groff.stdin.take().unwrap().write_all(page).unwrap();
    let output = groff.wait_with_output().unwrap();
    Some(format!("{}{}", stderr(&output), if output.status.success() { "" } else { "failed" }))
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    let written = run(&["man", text(&pages)], &[]);
    assert_eq!((written.status.code(), &*stdout(&written)), (Some(0), ""));
    assert!(stderr(&written).contains(text(&pages)), "{}", stderr(&written));
    let files: BTreeSet<_> = fs::read_dir(&pages)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expect = all().iter().map(|name| format!("{}.1", name.replace(' ', "-"))).collect();
    assert_eq!(files, expect);
    for file in files {
        let page = fs::read(pages.join(&file)).unwrap();
        let shown = String::from_utf8_lossy(&page);
        for part in [".TH ", ".SH NAME", ".SH SYNOPSIS"] {
            assert!(shown.contains(part), "{file}: no {part} in {shown}");
        }
        assert_eq!(complaints(&page).unwrap_or_default(), "", "{file}");
    }
    let top = run(&["man"], &[]);
    assert_eq!((top.status.code(), &*stderr(&top)), (Some(0), ""));
    assert!(stdout(&top).contains("ringback\\-send(1)"), "{}", stdout(&top));

    let file = directory.path().join("a-file");
    fs::write(&file, "").unwrap();
    let refused = run(&["man", text(&file)], &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("cannot write manual pages"), "{}", stderr(&refused));
}
