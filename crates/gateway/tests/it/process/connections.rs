//! `ringback connections`: who can be connected, and whether files of one's own are right.

use std::fs;

use serde_json::Value;

use super::{run, stderr, stdout, text};

#[test]
fn all_at_whom_accounts_can_be_connected_are_listed() {
    let shown = stdout(&run(&["connections", "providers"], &[]));
    assert!(shown.starts_with("ID ") && shown.contains("\ngithub "), "{shown}");
    let all = stdout(&run(&["connections", "providers", "--json"], &[]));
    let all: Vec<Value> = serde_json::from_str(&all).unwrap();
    assert!(shown.ends_with(&format!(
        "{} providers; `ringback connections provider ID` says more\n",
        all.len()
    )));
    assert!(all.len() > 40, "{}", all.len());
}

#[test]
fn one_is_shown_and_another_proposed() {
    let shown = run(&["connections", "provider", "github"], &[]);
    assert_eq!((shown.status.code(), &*stderr(&shown)), (Some(0), ""));
    assert!(stdout(&shown).contains("GitHub"), "{}", stdout(&shown));
    let json = stdout(&run(&["connections", "provider", "github", "--json"], &[]));
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["id"], "github");
    let file = stdout(&run(&["connections", "provider", "github", "--toml"], &[]));
    assert!(file.starts_with("schema = 1\n"), "{file}");
    let unknown = run(&["connections", "provider", "gihtub"], &[]);
    assert_eq!((unknown.status.code(), &*stdout(&unknown)), (Some(64), ""));
    assert!(stderr(&unknown).contains("did you mean github?"), "{}", stderr(&unknown));
}

#[test]
fn files_of_ones_own_are_checked() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("linear.toml");
    let check = |words: &[&str]| {
        run(&[&["connections", "check", text(directory.path())], words].concat(), &[])
    };
    let right = stdout(&run(&["connections", "provider", "linear", "--toml"], &[]));
    fs::write(&file, &right).unwrap();
    let checked = check(&[]);
    assert_eq!((checked.status.code(), &*stdout(&checked)), (Some(0), ""));
    assert_eq!(stderr(&checked), "1 file without a mistake\n");
    assert_eq!(stdout(&check(&["--json"])), "[]\n");

    fs::write(&file, right.replace("made-up-code", "another-code")).unwrap();
    let checked = check(&[]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(stdout(&checked).starts_with("linear.toml: example "), "{}", stdout(&checked));
    assert!(stderr(&checked).contains("not as"), "{}", stderr(&checked));
    let checked = check(&["--json"]);
    assert_eq!(checked.status.code(), Some(1));
    let problems: Vec<Value> = serde_json::from_str(&stdout(&checked)).unwrap();
    assert_eq!(problems[0]["file"], text(&file));
    assert!(problems[0]["problem"].as_str().unwrap().starts_with("example "), "{problems:?}");

    fs::write(&file, right.replace("schema = 1", "schema = 2")).unwrap();
    let checked = check(&["--json"]);
    assert_eq!(checked.status.code(), Some(1));
    let problems: Vec<Value> = serde_json::from_str(&stdout(&checked)).unwrap();
    assert_eq!((problems.len(), &problems[0]["file"]), (1, &Value::from(text(&file))));
}
