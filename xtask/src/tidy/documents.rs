//! Rules about documents: what they point at is there.

use super::Finding;
use super::source::File;

/// A relative link of a document leads to a file or folder of the repository.
pub(super) fn links(file: &File, known: &[&str]) -> Vec<Finding> {
    if !file.path.ends_with(".md") {
        return Vec::new();
    }
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for (line, text) in prose(file) {
        for target in targets(text) {
            let path = target.split(['#', '?']).next().unwrap_or("");
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if path.is_empty() || elsewhere || exists(&joined(folder, path), known) {
                continue;
            }
            let what = format!("the link to `{target}` leads nowhere");
            findings.push(Finding { path: file.path.clone(), line, rule: "link", what });
        }
    }
    findings
}

/// Every path that ARCHITECTURE.md names in backticks is there; `{a,b}` stands for each of them.
pub(super) fn code_map(file: &File, known: &[&str]) -> Vec<Finding> {
    const FOLDERS: &[&str] =
        &["crates/", "clients/", "docs/", "xtask/", "bench/", "tests/", ".ci/"];
    if file.path != "ARCHITECTURE.md" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (line, text) in prose(file) {
        // Every second piece between backticks is code.
        let named = text.split('`').skip(1).step_by(2);
        let paths = named.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)));
        for path in paths.filter(|path| !path.contains([' ', '*', '<'])).flat_map(expanded) {
            if !exists(path.trim_end_matches('/'), known) {
                let what = format!("`{path}` is not there");
                findings.push(Finding { path: file.path.clone(), line, rule: "code-map", what });
            }
        }
    }
    findings
}

/// The lines outside fenced code blocks.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    file.lines().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of `[text](target)` in one line.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next())
}

fn exists(path: &str, known: &[&str]) -> bool {
    path.is_empty()
        || known.iter().any(|file| {
            file.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}

/// `target` seen from `folder`, with `.` and `..` resolved.
fn joined(folder: &str, target: &str) -> String {
    let from = if target.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in from.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// `a/{b,c}/d` as `a/b/d` and `a/c/d`.
fn expanded(path: &str) -> Vec<String> {
    let braces = path.split_once('{').and_then(|(before, rest)| {
        rest.split_once('}').map(|(choices, after)| (before, choices, after))
    });
    match braces {
        None => vec![path.to_owned()],
        Some((before, choices, after)) => choices
            .split(',')
            .flat_map(|choice| expanded(&format!("{before}{}{after}", choice.trim())))
            .collect(),
    }
}
