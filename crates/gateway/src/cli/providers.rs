//! `ringback providers`: who is known, how far, and whether files of one's own are right.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use ringback_domain::provider::{Kind, Proof, Provider, Setting, Strength};
use serde::Serialize;
use serde_json::{Value, json};

use super::prose::{bytes, wrapped};
use super::similar::hint;
use super::table::table;
use super::verify::text_of;
use super::{Failure, data, note, sign};
use crate::receive::catalog::{self, Catalog, Entry, Origin};
use crate::terminal::Colours;

/// Grades, the strongest first.
const PROOFS: [Proof; 3] = [Proof::Published, Proof::VendorSdk, Proof::Derived];
const STRENGTHS: [Strength; 4] =
    [Strength::Signed, Strength::Partial, Strength::Token, Strength::None];

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    directory: Directory,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what the file of a provider says
    Show {
        /// The provider, such as stripe
        id: String,
        /// Print the file itself, to begin one of your own with
        #[arg(long, conflicts_with = "json")]
        toml: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        directory: Directory,
    },
    /// Print a request that is signed as the provider signs, as `ringback verify --request` takes it
    Sign(sign::Args),
    /// Read the files of a directory and name every mistake
    Check {
        /// A directory as `--providers` takes it
        directory: PathBuf,
        /// Print the mistakes as JSON, an empty array if there is none
        #[arg(long)]
        json: bool,
    },
}

/// Whose providers.
#[derive(Debug, clap::Args)]
pub(super) struct Directory {
    /// Directory of providers of your own, read beside those that are built in
    #[arg(long, value_name = "DIR", env = "RINGBACK_PROVIDERS")]
    providers: Option<OsString>,
}

impl Directory {
    /// The built-in providers and those of the directory.
    pub(super) fn catalog(&self) -> Result<Catalog, Failure> {
        // A variable that is there and empty sets nothing, as with any setting.
        let given = self.providers.as_deref().filter(|path| !path.is_empty());
        Catalog::open(given.map(Path::new)).map_err(|error| Failure::Usage(error.to_string()))
    }
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        None => list(&args.directory.catalog()?.entries(), args.json),
        Some(Command::Show { id, toml, json, directory }) => {
            let entry = find(&directory.catalog()?, &id)?;
            match (toml, json) {
                (true, _) => Ok(data(entry.text.trim_end())?),
                (_, true) => Ok(data(&text_of(&Whole::new(&entry)))?),
                _ => Ok(data(page(&entry, Colours::of_stdout()).trim_end())?),
            }
        }
        Some(Command::Sign(args)) => sign::run(args),
        Some(Command::Check { directory, json }) => check(&directory, json),
    }
}

/// The provider, or what was probably meant.
pub(super) fn find(catalog: &Catalog, id: &str) -> Result<Entry, Failure> {
    catalog.entry(id).ok_or_else(|| {
        let all = catalog.all();
        let hint = hint(id, all.iter().map(|one| one.id.as_str()), "ringback providers");
        Failure::Usage(format!("there is no provider {id:?}: {hint}"))
    })
}

fn list(entries: &[Entry], json: bool) -> Result<(), Failure> {
    if json {
        let all: Vec<Line<'_>> = entries.iter().map(Line::new).collect();
        return Ok(data(&text_of(&all))?);
    }
    let head = ["ID", "NAME", "STRENGTH", "PROOF", ""].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(entries.iter().map(row)).collect();
    let Colours { bold, end, .. } = Colours::of_stdout();
    let table = table(&rows);
    let (head, rows) = table.split_once('\n').unwrap_or_default();
    data(&format!("{bold}{head}{end}\n{rows}"))?;
    Ok(data(summary(entries).trim_end())?)
}

fn row(entry: &Entry) -> [String; 5] {
    let Entry { provider, origin, .. } = entry;
    [
        provider.id.clone(),
        provider.name.clone(),
        provider.strength.as_str().to_owned(),
        provider.proof.as_str().to_owned(),
        match origin {
            Origin::BuiltIn => String::new(),
            Origin::Own(_) => "yours".to_owned(),
            Origin::Instead(_) => "yours, instead of the built-in one".to_owned(),
        },
    ]
}

/// How many there are of each grade, and of each strength in it.
fn summary(entries: &[Entry]) -> String {
    let count = |wanted: &dyn Fn(&Provider) -> bool| {
        entries.iter().filter(|entry| wanted(&entry.provider)).count()
    };
    let grades = PROOFS.map(|proof| {
        let strengths = STRENGTHS.map(|strength| {
            (strength, count(&|one| (one.proof, one.strength) == (proof, strength)))
        });
        let parts = strengths.into_iter().filter(|(_, number)| *number > 0);
        let parts: Vec<String> =
            parts.map(|(strength, number)| format!("{number} {}", strength.as_str())).collect();
        [
            proof.as_str().to_owned(),
            count(&|one| one.proof == proof).to_string(),
            parts.join(", "),
            format!("proven {}", proof.explained()),
        ]
    });
    format!("{} providers\n{}", entries.len(), table(&grades))
}

fn check(directory: &Path, json: bool) -> Result<(), Failure> {
    match Catalog::open(Some(directory)) {
        Ok(_) if json => Ok(data("[]")?),
        Ok(catalog) => {
            let entries = catalog.entries();
            let own = entries.iter().filter(|entry| entry.origin != Origin::BuiltIn);
            let rows: Vec<_> = own.map(row).collect();
            if !rows.is_empty() {
                data(table(&rows).trim_end())?;
            }
            note(&format!("{} without a mistake", files(rows.len())));
            Ok(())
        }
        Err(error) => tell(&error, json),
    }
}

/// Names the mistakes in files of one's own.
pub(super) fn tell<T>(error: &catalog::Error, json: bool) -> Result<T, Failure> {
    if json {
        let of = |one: &catalog::Problem| json!({ "file": one.path, "line": one.line, "problem": one.what });
        data(&Value::from_iter(error.problems.iter().map(of)).to_string())?;
        return Err(Failure::Told);
    }
    error.problems.iter().try_for_each(|problem| data(&problem.to_string()))?;
    let mut paths: Vec<_> = error.problems.iter().map(|problem| &problem.path).collect();
    paths.dedup();
    let (mistakes, paths) = (error.problems.len(), files(paths.len()));
    note(&match mistakes {
        1 => format!("1 mistake in {paths}"),
        many => format!("{many} mistakes in {paths}"),
    });
    Err(Failure::Told)
}

pub(super) fn files(number: usize) -> String {
    match number {
        1 => "1 file".to_owned(),
        other => format!("{other} files"),
    }
}

/// A provider for people: what to supply, what is proven and how, what is answered.
fn page(entry: &Entry, colours: Colours) -> String {
    let Colours { bold, dim, end, .. } = colours;
    let provider = &entry.provider;
    let mut out = format!("\n  {bold}{}{end}  {dim}{}{end}\n", provider.name, provider.id);
    let mut put = |line: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", line.trim_end());
    };
    put(&format!("  {dim}{}{end}", provider.docs));
    put("");
    let (strength, proof) = (provider.strength, provider.proof);
    let file = match &entry.origin {
        Origin::BuiltIn => "built in".to_owned(),
        Origin::Own(path) => path.display().to_string(),
        Origin::Instead(path) => format!("{}, instead of the built-in one", path.display()),
    };
    let facts = [
        ["strength".to_owned(), format!("{}: {}", strength.as_str(), strength.explained())],
        ["proof".to_owned(), format!("{}: {}", proof.as_str(), proof.explained())],
        ["file".to_owned(), file],
    ];
    table(&facts).lines().for_each(|line| put(&format!("  {line}")));
    if !provider.notes.is_empty() {
        put("");
        wrapped(&provider.notes, 0).iter().for_each(|line| put(&format!("  {line}")));
    }
    let mut section = |title: &str, lines: &[String]| {
        if !lines.is_empty() {
            put(&format!("\n  {bold}{title}{end}"));
            lines.iter().for_each(|line| put(&format!("    {line}")));
        }
    };
    let settings: Vec<[String; 3]> = provider.settings.iter().map(setting).collect();
    let settings = table(&settings);
    section("You supply", &settings.lines().map(str::to_owned).collect::<Vec<_>>());
    let title = match provider.needs_all_ways() {
        true => "A request is proven by all of",
        false => "A request is proven by",
    };
    let ways: Vec<String> = provider.ways().iter().flat_map(|way| wrapped(way, 2)).collect();
    section(title, &ways);
    let challenges: Vec<String> = provider.challenges().into_iter().map(str::to_owned).collect();
    section("Challenges that are answered", &challenges);
    section("Answers", &answers(provider));
    let events: Vec<String> = provider.samples.iter().map(|one| one.event.clone()).collect();
    section("Sample events", &wrapped(&events.join(", "), 0));
    out
}

/// Name, what it is, what the provider calls it.
fn setting(setting: &Setting) -> [String; 3] {
    let mut what = vec![kind(setting.kind).to_owned()];
    what.extend(setting.prefix.as_ref().map(|prefix| format!("begins with {prefix}")));
    if setting.learned {
        what.push("brought by a handshake".to_owned());
    } else if setting.source_required {
        what.push("needed by a source".to_owned());
    } else if !setting.required {
        what.push("optional".to_owned());
    }
    [setting.name.clone(), what.join(", "), setting.label.clone()]
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Secret => "secret",
        Kind::PublicKey => "public key",
        Kind::Text => "text",
    }
}

fn answers(provider: &Provider) -> Vec<String> {
    let answer = &provider.answer;
    let deadline = answer.deadline.map(|seconds| format!(", wanted within {seconds} s"));
    let (accepted, refused) = (answer.status, answer.refused);
    let mut lines = vec![
        format!(
            "{accepted} to what is proven, {refused} to what is not{}",
            deadline.unwrap_or_default()
        ),
        format!("bodies up to {}", bytes(answer.body_limit)),
    ];
    if !answer.retries.is_empty() {
        lines.extend(wrapped(&format!("sent again: {}", answer.retries), 2));
    }
    lines
}

/// A provider in the list for programs.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    name: &'a str,
    docs: &'a str,
    strength: &'static str,
    proof: &'static str,
    /// The operator's file; absent if it is a built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a Path>,
}

impl<'a> Line<'a> {
    fn new(entry: &'a Entry) -> Self {
        let provider = &*entry.provider;
        Self {
            id: &provider.id,
            name: &provider.name,
            docs: &provider.docs,
            strength: provider.strength.as_str(),
            proof: provider.proof.as_str(),
            file: match &entry.origin {
                Origin::BuiltIn => None,
                Origin::Own(path) | Origin::Instead(path) => Some(path),
            },
        }
    }
}

/// All about one for programs.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    line: Line<'a>,
    notes: &'a str,
    headers: &'a [String],
    settings: Vec<WholeSetting<'a>>,
    ways: Vec<String>,
    all_ways: bool,
    challenges: Vec<&'a str>,
    status: u16,
    refused: u16,
    deadline: Option<f64>,
    body_limit: usize,
    retries: &'a str,
    batches: bool,
    samples: Vec<&'a str>,
}

#[derive(Serialize)]
struct WholeSetting<'a> {
    name: &'a str,
    kind: &'static str,
    label: &'a str,
    required: bool,
    learned: bool,
}

impl<'a> Whole<'a> {
    fn new(entry: &'a Entry) -> Self {
        let provider = &*entry.provider;
        let setting = |one: &'a Setting| WholeSetting {
            name: &one.name,
            kind: kind(one.kind),
            label: &one.label,
            required: one.required,
            learned: one.learned,
        };
        Self {
            line: Line::new(entry),
            notes: &provider.notes,
            headers: &provider.detect.headers,
            settings: provider.settings.iter().map(setting).collect(),
            ways: provider.ways(),
            all_ways: provider.needs_all_ways(),
            challenges: provider.challenges(),
            status: provider.answer.status,
            refused: provider.answer.refused,
            deadline: provider.answer.deadline,
            body_limit: provider.answer.body_limit,
            retries: &provider.answer.retries,
            batches: provider.sends_batches(),
            samples: provider.samples.iter().map(|one| one.event.as_str()).collect(),
        }
    }
}
