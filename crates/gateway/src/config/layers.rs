//! Who said what: the raw values of all sources, the last one winning, each with its origin.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use super::setting::{At, Raw, Section as _};
use super::{Config, File, Flag, Problem, Sources, file};

/// Variables of the command line itself, which are no settings.
const OTHER_VARIABLES: [&str; 4] =
    ["RINGBACK_CONFIG", "RINGBACK_URL", "RINGBACK_TOKEN", "RINGBACK_SECRET"];

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The built-in default.
    Default,
    /// A line of the configuration file, counted from 1.
    File(PathBuf, usize),
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// The raw value of every setting that some source gives, by its path.
#[derive(Debug)]
pub(super) struct Layers {
    given: BTreeMap<String, (Raw, Origin)>,
}

impl Layers {
    /// Lays the sources over each other; what names no setting is a problem.
    pub(super) fn collect(
        config: &mut Config,
        sources: &Sources,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut known = Known::default();
        config.visit(&mut |at, _| known.add(at));
        let mut layers = Self { given: BTreeMap::new() };
        if let Some(file) = &sources.file {
            layers.add_file(file, &known, problems);
        }
        for (name, value) in &sources.env {
            layers.add_variable(name, value, &known, problems);
        }
        for Flag { name, setting, value } in &sources.flags {
            let given = (Raw::Text(value.clone()), Origin::Flag(name));
            layers.given.insert((*setting).to_owned(), given);
        }
        layers
    }

    pub(super) fn get(&self, at: At) -> Option<&(Raw, Origin)> {
        self.given.get(&at.path())
    }

    pub(super) fn origin_of(&self, path: &str) -> Origin {
        self.given.get(path).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    fn add_file(&mut self, file: &File, known: &Known, problems: &mut Vec<Problem>) {
        let origin = |line| Origin::File(file.path.clone(), line);
        let entries = match file::entries(&file.text) {
            Ok(entries) => entries,
            Err((line, what)) => {
                problems.push(Problem { origin: origin(line), setting: String::new(), what });
                return;
            }
        };
        for entry in entries {
            let origin = origin(entry.line);
            if known.paths.contains(&entry.path) {
                self.given.insert(entry.path, (entry.raw, origin));
            } else {
                let what = unknown("setting", &entry.path, &known.paths);
                problems.push(Problem { origin, setting: entry.path, what });
            }
        }
    }

    fn add_variable(
        &mut self,
        name: &OsStr,
        value: &OsString,
        known: &Known,
        problems: &mut Vec<Problem>,
    ) {
        let name = name.to_string_lossy();
        if !name.starts_with("RINGBACK_") || OTHER_VARIABLES.contains(&&*name) {
            return;
        }
        let origin = Origin::Variable(name.to_string());
        let Some(index) = known.variables.iter().position(|known| *known == name) else {
            let what = unknown("variable", &name, &known.variables);
            problems.push(Problem { origin, setting: String::new(), what });
            return;
        };
        let path = known.paths[index].clone();
        match value.to_str() {
            Some(text) => {
                self.given.insert(path, (Raw::Text(text.to_owned()), origin));
            }
            None => {
                let what = "is not valid UTF-8".to_owned();
                problems.push(Problem { origin, setting: path, what });
            }
        }
    }
}

/// The names of all settings, in step.
#[derive(Default)]
struct Known {
    paths: Vec<String>,
    variables: Vec<String>,
}

impl Known {
    fn add(&mut self, at: At) {
        self.paths.push(at.path());
        self.variables.push(at.variable());
    }
}

fn unknown(kind: &str, name: &str, known: &[String]) -> String {
    let nearest = known.iter().min_by_key(|candidate| edits(name, candidate));
    match nearest.filter(|candidate| edits(name, candidate) <= 4) {
        Some(nearest) => format!("is no known {kind}, did you mean {nearest}?"),
        None => format!("is no known {kind}"),
    }
}

/// Levenshtein's distance, in bytes.
fn edits(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}
