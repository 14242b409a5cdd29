//! `ringback destinations`.

use serde_json::Value;

use super::{run, stderr, stdout};

#[test]
fn kinds_are_listed_and_shown() {
    let shown = stdout(&run(&["destinations"], &[]));
    assert!(shown.lines().any(|line| line.starts_with("slack ")), "{shown}");
    let all: Vec<Value> =
        serde_json::from_str(&stdout(&run(&["destinations", "--json"], &[]))).unwrap();
    assert_eq!(all.len(), ringback_builtin::kinds().len());

    let page = stdout(&run(&["destinations", "show", "slack"], &[]));
    for part in ["Settings", "Webhook URL", "Fields", "It sends", "{\"text\":\"Ada paid 12.50\"}"] {
        assert!(page.contains(part), "no {part:?} in {page}");
    }
    let whole = stdout(&run(&["destinations", "show", "slack", "--json"], &[]));
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(whole["settings"][0]["secret"], true);
    assert_eq!(whole["example"]["type"], "slack");
    let file = stdout(&run(&["destinations", "show", "slack", "--toml"], &[]));
    assert!(file.starts_with("schema = 1\n"), "{file}");

    let unknown = run(&["destinations", "show", "pigeon"], &[]);
    assert_eq!(unknown.status.code(), Some(64));
    assert!(stderr(&unknown).contains("no kind of destination \"pigeon\""));
}
