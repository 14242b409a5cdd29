//! docs/compared.md: what it says of Ringback is shown by a test, and the test is there.

use std::{fs, path::Path};

/// What a row may say of Ringback, by how it begins.
const WORDS: [&str; 3] = ["yes", "in part", "no"];

/// Everything wrong with what this page says of Ringback; its links begin in `folder`.
fn faults(page: &str, folder: &Path) -> Vec<String> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| need |"));
    let mut faults = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [need, ours, others @ ..] = &cells[..] else {
            faults.push(format!("{row}: it says nothing"));
            continue;
        };
        let said = ours.trim_start_matches('[');
        let word = WORDS.into_iter().find(|word| said.starts_with(word));
        // Links to other pages show nothing.
        let links = ours
            .split("](")
            .skip(1)
            .filter(|rest| !rest.split(')').next().unwrap().ends_with(".md"));
        let tests: Vec<_> = links.map(|rest| shown(rest, folder)).collect();
        if others.len() != 4 || others.contains(&"") {
            faults.push(format!("{need}: each of the others has a cell"));
        }
        if word.is_none() || (word != Some("no") && tests.is_empty()) {
            faults.push(format!("{need}: no link to a test"));
        }
        let wrong = tests.into_iter().filter_map(Result::err);
        faults.extend(wrong.map(|what| format!("{need}: {what}")));
    }
    faults
}

/// Whether what follows `](` leads to a test: `file.rs "function")`.
fn shown(rest: &str, folder: &Path) -> Result<(), String> {
    let target = rest.split(')').next().unwrap();
    let (file, title) = target.split_once(' ').ok_or(format!("{target} names no function"))?;
    let function = title.trim_matches('"');
    let text = fs::read_to_string(folder.join(file)).map_err(|error| format!("{file}: {error}"))?;
    let before = text.split(&format!("fn {function}(")).next().filter(|part| *part != text);
    let before = before.ok_or(format!("{file} has no function {function}"))?;
    let attribute = before.trim_end_matches("async ").trim_end().lines().last().unwrap_or_default();
    let is_test = ["#[test]", "#[tokio::test"].iter().any(|one| attribute.trim().starts_with(one));
    is_test.then_some(()).ok_or(format!("{function} of {file} is no test"))
}

#[test]
fn what_is_said_of_us_is_shown() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let page = fs::read_to_string(folder.join("compared.md")).unwrap();
    assert!(page.lines().filter(|line| line.contains(".rs \"")).count() > 20, "no rows were read");
    let faults = faults(&page, &folder);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_not_shown_is_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/process");
    let row = |ours: &str| {
        format!("| need | Ringback | a | b | c | d |\n|---|\n| this | {ours} | no | no | no | no |")
    };
    let link = |target: &str| row(&format!("[yes]({target})"));
    let good = link("compared.rs \"what_is_not_shown_is_found\"");
    assert_eq!(faults(&good, &folder), [""; 0]);
    for (page, what) in [
        (row("yes"), "no link to a test"),
        (row("[in part](compared.rs)"), "names no function"),
        (row("surely"), "no link to a test"),
        (link("compared.rs"), "names no function"),
        (link("nowhere.rs \"what_is_not_shown_is_found\""), "nowhere.rs"),
        (link("compared.rs \"what_is_nowhere\""), "has no function"),
        (link("compared.rs \"faults\""), "is no test"),
        ("| this | no | no |".to_owned(), "each of the others"),
    ] {
        let found = faults(&page, &folder);
        assert!(found.len() == 1 && found[0].contains(what), "{page}: {found:?}");
    }
    assert_eq!(faults(&row("no"), &folder), [""; 0]);
}
