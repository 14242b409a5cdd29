//! `ringback destinations`: where events can go besides URLs, and what that takes.

use std::fmt::Write as _;
use std::sync::Arc;

use clap::Subcommand;
use ringback_domain::destination::{Kind, kind::Proof};
use serde::Serialize;
use serde_json::{Value, json};

use super::prose::{bytes, wrapped};
use super::similar::hint;
use super::table::table;
use super::verify::text_of;
use super::{Failure, data};
use crate::terminal::Colours;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what a kind is given, and an example of what it is sent
    Show {
        /// The kind, such as slack
        id: String,
        /// Print the file itself
        #[arg(long, conflicts_with = "json")]
        toml: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        None => list(args.json),
        Some(Command::Show { id, toml, json }) => {
            let file = ringback_builtin::kind(&id.to_lowercase());
            let found = file.and_then(|file| Some((file.text, file.parsed()?)));
            let (text, kind) = found.ok_or_else(|| {
                let all = ringback_builtin::kinds().iter().filter_map(|file| file.parsed());
                let all: Vec<_> = all.map(|kind| kind.id.clone()).collect();
                let hint = hint(&id, all.iter().map(String::as_str), "ringback destinations");
                Failure::Usage(format!("there is no kind of destination {id:?}: {hint}"))
            })?;
            match (toml, json) {
                (true, _) => Ok(data(text.trim_end())?),
                (_, true) => Ok(data(&text_of(&Whole::new(&kind)))?),
                _ => Ok(data(page(&kind, Colours::of_stdout()).trim_end())?),
            }
        }
    }
}

fn list(json: bool) -> Result<(), Failure> {
    let kinds: Vec<Arc<Kind>> =
        ringback_builtin::kinds().iter().filter_map(|file| file.parsed()).collect();
    if json {
        let all: Vec<Line<'_>> = kinds.iter().map(|kind| Line::new(kind)).collect();
        return Ok(data(&text_of(&all))?);
    }
    let head = ["ID", "NAME", "PROOF"].map(str::to_owned);
    let row =
        |kind: &Arc<Kind>| [kind.id.clone(), kind.name.clone(), kind.proof.as_str().to_owned()];
    let rows: Vec<_> = std::iter::once(head).chain(kinds.iter().map(row)).collect();
    let Colours { bold, end, .. } = Colours::of_stdout();
    let table = table(&rows);
    let (head, rows) = table.split_once('\n').unwrap_or_default();
    data(&format!("{bold}{head}{end}\n{rows}"))?;
    Ok(data(&format!("{} kinds; `ringback destinations show ID` says more", kinds.len()))?)
}

/// A kind for people: what to supply, what an event is mapped to, what is sent.
fn page(kind: &Kind, colours: Colours) -> String {
    let Colours { bold, dim, end, .. } = colours;
    let mut out = format!("\n  {bold}{}{end}  {dim}{}{end}\n", kind.name, kind.id);
    let mut put = |line: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", line.trim_end());
    };
    put(&format!("  {dim}{}{end}", kind.docs));
    put("");
    let mut facts = vec![
        ["proof".to_owned(), format!("{}: {}", kind.proof.as_str(), kind.proof.explained())],
        ["takes".to_owned(), format!("up to {}", bytes(kind.limits.body))],
    ];
    if let Some(rate) = kind.limits.rate {
        facts.push(["rate".to_owned(), format!("{rate} a second; more wait")]);
    }
    table(&facts).lines().for_each(|line| put(&format!("  {line}")));
    if !kind.notes.is_empty() {
        put("");
        wrapped(&kind.notes, 0).iter().for_each(|line| put(&format!("  {line}")));
    }
    let mut section = |title: &str, lines: &[String]| {
        if !lines.is_empty() {
            put(&format!("\n  {bold}{title}{end}"));
            lines.iter().for_each(|line| put(&format!("    {line}")));
        }
    };
    let rows = |rows: &[[String; 3]]| table(rows).lines().map(str::to_owned).collect::<Vec<_>>();
    let settings: Vec<_> = kind
        .settings
        .iter()
        .map(|one| {
            let secret = if one.secret { "secret" } else { "text" };
            let what = if one.required && one.default.is_none() { "" } else { ", optional" };
            [one.name.clone(), format!("{secret}{what}"), one.label.clone()]
        })
        .collect();
    section("Settings", &rows(&settings));
    let fields: Vec<_> = kind
        .fields
        .iter()
        .map(|one| {
            let what = if one.required { "required" } else { "optional" };
            [one.name.clone(), what.to_owned(), one.label.clone()]
        })
        .collect();
    section("Fields", &rows(&fields));
    let wanted = serde_json::to_string_pretty(&example(kind)).unwrap_or_default();
    section("Example", &wanted.lines().map(str::to_owned).collect::<Vec<_>>());
    let sent: Vec<String> =
        kind.example.request.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
    section("It sends", &sent);
    out
}

/// The body that makes the example.
fn example(kind: &Kind) -> Value {
    let mut config = json!(kind.example.settings);
    config["fields"] = kind.example.fields.clone();
    json!({ "type": kind.id, "config": config })
}

/// A kind in the list for programs.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    name: &'a str,
    docs: &'a str,
    proof: &'static str,
}

impl<'a> Line<'a> {
    fn new(kind: &'a Kind) -> Self {
        Self { id: &kind.id, name: &kind.name, docs: &kind.docs, proof: Proof::as_str(kind.proof) }
    }
}

/// All about one for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    #[serde(flatten)]
    line: Line<'a>,
    notes: &'a str,
    body_limit: usize,
    rate: Option<f64>,
    settings: Vec<Value>,
    fields: Vec<Value>,
    open_fields: bool,
    example: Value,
    request: Option<&'a str>,
}

impl<'a> Whole<'a> {
    fn new(kind: &'a Kind) -> Self {
        let setting = |one: &ringback_domain::destination::kind::Setting| {
            let required = one.required && one.default.is_none();
            json!({ "name": one.name, "label": one.label, "secret": one.secret, "required": required })
        };
        let field = |one: &ringback_domain::destination::kind::Field| json!({ "name": one.name, "label": one.label, "required": one.required });
        Self {
            line: Line::new(kind),
            notes: &kind.notes,
            body_limit: kind.limits.body,
            rate: kind.limits.rate,
            settings: kind.settings.iter().map(setting).collect(),
            fields: kind.fields.iter().map(field).collect(),
            open_fields: kind.open_fields,
            example: example(kind),
            request: kind.example.request.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// Set to write the list anew instead of comparing it.
    const UPDATE: &str = "RINGBACK_UPDATE_SNAPSHOTS";

    /// `docs/destinations.md` lists every kind with what is claimed of it.
    #[test]
    fn the_list_in_the_documents_is_true() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/destinations.md");
        let text = fs::read_to_string(&path).unwrap();
        let (begin, end) = ("<!-- the list: begin -->\n", "<!-- the list: end -->\n");
        let (before, rest) = text.split_once(begin).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        let mut list = "\n| kind | | proof | what to know |\n|---|---|---|---|\n".to_owned();
        for kind in ringback_builtin::kinds().iter().map(|file| file.parsed().unwrap()) {
            let Kind { id, name, docs, proof, notes, .. } = &*kind;
            let notes = notes.replace('|', "\\|");
            let _ = writeln!(list, "| `{id}` | [{name}]({docs}) | {} | {notes} |", proof.as_str());
        }
        let fresh = format!("{before}{begin}{list}\n{end}{after}");
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&path, &fresh).unwrap();
            return;
        }
        assert!(fresh == text, "docs/destinations.md is outdated: run the tests with {UPDATE}=1");
    }
}
