//! `ringback connections`: what was granted, at whom people can be asked for it, and what that takes.

mod granted;

use std::{
    ffi::OsString,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use ringback_domain::{
    destination::kind::Setting,
    oauth::provider::{AuthMethod, Pkce, Provider, Rotates},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::prose::wrapped;
use super::providers::{files, tell};
use super::similar::hint;
use super::table::table;
use super::verify::text_of;
use super::{Failure, data, note};
use crate::receive::catalog::{Accounts, Entry, Origin};
use crate::terminal::Colours;

/// What can be asked about connections.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    #[command(flatten)]
    Granted(granted::Command),
    /// List the providers of OAuth that accounts can be connected at
    Providers {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        directory: Directory,
    },
    /// Show what the file of a provider says
    Provider {
        /// The provider, such as github
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
    /// Read the files of a directory, follow their examples, and name every mistake
    Check {
        /// A directory as `oauth.providers` takes it
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
    #[arg(long, value_name = "DIR", env = "RINGBACK_OAUTH_PROVIDERS")]
    oauth_providers: Option<OsString>,
}

impl Directory {
    fn known(&self) -> Result<Accounts, Failure> {
        // A variable that is there and empty sets nothing, as with any setting.
        let given = self.oauth_providers.as_deref().filter(|path| !path.is_empty());
        Accounts::open(given.map(Path::new)).map_err(|error| Failure::Usage(error.to_string()))
    }
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Granted(command) => granted::run(command),
        Command::Providers { json, directory } => list(&directory.known()?.entries(), json),
        Command::Provider { id, toml, json, directory } => {
            let known = directory.known()?;
            let entry = known.entry(&id.to_lowercase()).ok_or_else(|| {
                let all = known.entries();
                let all = all.iter().map(|one| one.provider.id.as_str());
                let hint = hint(&id, all, "ringback connections providers");
                Failure::Usage(format!("there is no provider {id:?}: {hint}"))
            })?;
            match (toml, json) {
                (true, _) => Ok(data(entry.text.trim_end())?),
                (_, true) => Ok(data(&text_of(&Whole::new(&entry.provider)))?),
                _ => Ok(data(page(&entry, Colours::of_stdout()).trim_end())?),
            }
        }
        Command::Check { directory, json } => check(&directory, json),
    }
}

fn list(entries: &[Entry<Provider>], json: bool) -> Result<(), Failure> {
    if json {
        let all: Vec<Line<'_>> = entries.iter().map(|entry| Line::new(&entry.provider)).collect();
        return Ok(data(&text_of(&all))?);
    }
    let head = ["ID", "NAME", "PROTOCOL", "PKCE", "WEBHOOKS", ""].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(entries.iter().map(row)).collect();
    let Colours { bold, end, .. } = Colours::of_stdout();
    let table = table(&rows);
    let (head, rows) = table.split_once('\n').unwrap_or_default();
    data(&format!("{bold}{head}{end}\n{rows}"))?;
    let number = entries.len();
    Ok(data(&format!("{number} providers; `ringback connections provider ID` says more"))?)
}

fn row(entry: &Entry<Provider>) -> [String; 6] {
    let Entry { provider, origin, .. } = entry;
    let own = match origin {
        Origin::BuiltIn => "",
        Origin::Own(_) => "yours",
        Origin::Instead(_) => "yours, instead of the built-in one",
    };
    [
        provider.id.clone(),
        provider.name.clone(),
        provider.protocol.as_str().to_owned(),
        pkce(provider).to_owned(),
        webhooks(provider).to_owned(),
        own.to_owned(),
    ]
}

fn pkce(provider: &Provider) -> &'static str {
    match provider.authorize.pkce {
        Pkce::S256 => "S256",
        Pkce::Off(_) => "no",
    }
}

/// Whether a connection can register the provider's webhooks.
fn webhooks(provider: &Provider) -> &'static str {
    match provider.subscriptions.as_slice() {
        [] => "",
        all if all.iter().all(|one| one.manual.is_some()) => "by hand",
        _ => "yes",
    }
}

/// How its tokens stay fresh, in words.
fn freshness(provider: &Provider) -> String {
    let refresh = &provider.refresh;
    let mut text = match (refresh.rotates, &refresh.none) {
        (Some(Rotates::Always), _) => "refreshed; each refresh token is replaced".to_owned(),
        (Some(Rotates::Sometimes), _) => "refreshed; some refresh tokens are replaced".to_owned(),
        (Some(Rotates::Never), _) => "refreshed; the refresh token stays".to_owned(),
        (None, reason) => {
            format!("not refreshed: {}", reason.as_deref().unwrap_or("there is no refresh token"))
        }
    };
    for (what, seconds) in [
        ("it ends after", refresh.lifetime),
        ("unused it ends after", refresh.idle),
        ("a replaced one is taken for", refresh.grace),
    ] {
        if let Some(seconds) = seconds {
            // Writing to a string cannot fail.
            let _ = write!(text, "; {what} {}", span(seconds));
        }
    }
    text
}

/// Seconds in the largest unit that is exact.
fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    let fits = |(unit, _): &&(u64, &str)| seconds.is_multiple_of(*unit) && seconds > *unit;
    match UNITS.iter().find(fits) {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None => format!("{seconds} seconds"),
    }
}

/// A provider for people: what to supply, and how it does what it does.
fn page(entry: &Entry<Provider>, colours: Colours) -> String {
    let Colours { bold, dim, end, .. } = colours;
    let provider = &entry.provider;
    let mut out = format!("\n  {bold}{}{end}  {dim}{}{end}\n", provider.name, provider.id);
    let mut put = |line: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", line.trim_end());
    };
    put(&format!("  {dim}{}{end}", provider.docs));
    put("");
    let auth: Vec<&str> = provider.client.auth.iter().map(|method| method.name()).collect();
    let asks = match (provider.asks_by_browser(), provider.asks_by_device()) {
        (true, true) => "by a browser, or a device's code",
        (true, false) => "by a browser",
        (false, true) => "by a device's code",
        (false, false) => "not at all: client credentials only",
    };
    let challenge = match &provider.authorize.pkce {
        Pkce::S256 => "S256".to_owned(),
        Pkce::Off(reason) => format!("none: {reason}"),
    };
    let file = match &entry.origin {
        Origin::BuiltIn => "built in".to_owned(),
        Origin::Own(path) => path.display().to_string(),
        Origin::Instead(path) => format!("{}, instead of the built-in one", path.display()),
    };
    for (name, text) in [
        ("protocol", provider.protocol.as_str().to_owned()),
        ("people", format!("are asked {asks}")),
        ("challenge", challenge),
        ("client", auth.join(", ")),
        ("scopes", provider.authorize.scopes.join(" ")),
        ("tokens", freshness(provider)),
        ("revoking", if provider.revokes() { "yes" } else { "not offered" }.to_owned()),
        ("file", file),
    ] {
        let lines = wrapped(&text, 0);
        for (at, line) in lines.iter().enumerate() {
            put(&format!("  {:<10} {line}", if at == 0 { name } else { "" }));
        }
    }
    if !provider.notes.is_empty() {
        put("");
        wrapped(&provider.notes, 0).iter().for_each(|line| put(&format!("  {line}")));
    }
    let mut section = |title: &str, rows: &[[String; 3]]| {
        if !rows.is_empty() {
            put(&format!("\n  {bold}{title}{end}"));
            table(rows).lines().for_each(|line| put(&format!("    {line}")));
        }
    };
    let setting = |one: &Setting| {
        let what = if one.required && one.default.is_none() { "required" } else { "optional" };
        [one.name.clone(), what.to_owned(), one.label.clone()]
    };
    section("Settings", &provider.settings.iter().map(setting).collect::<Vec<_>>());
    let fields: Vec<[String; 3]> = provider
        .subscriptions
        .iter()
        .flat_map(|one| {
            let sources = format!("for sources of {}", one.sources.join(", "));
            one.targets.iter().map(move |it| [it.name.clone(), it.label.clone(), sources.clone()])
        })
        .collect();
    section("Webhooks are about", &fields);
    for steps in provider.subscriptions.iter().filter_map(|one| one.manual.as_ref()) {
        put(&format!("\n  {bold}Webhooks are registered by hand{end}"));
        wrapped(steps, 0).iter().for_each(|line| put(&format!("    {line}")));
    }
    out
}

fn check(directory: &Path, json: bool) -> Result<(), Failure> {
    let known = Accounts::open(Some(directory)).or_else(|error| tell(&error, json))?;
    let entries = known.entries();
    let own: Vec<_> = entries.iter().filter(|entry| entry.origin != Origin::BuiltIn).collect();
    let mut wrong = Vec::new();
    for Entry { provider, .. } in &own {
        for example in &provider.examples {
            let of =
                |difference| (&provider.id, format!("example {:?}: {difference}", example.name));
            wrong.extend(example.differences(provider).into_iter().map(of));
        }
    }
    if json {
        let file = |id: &str| directory.join(id).with_extension("toml");
        let of = |(id, problem): &(&String, String)| json!({ "file": file(id), "line": null, "problem": problem });
        data(&Value::from_iter(wrong.iter().map(of)).to_string())?;
        return if wrong.is_empty() { Ok(()) } else { Err(Failure::Told) };
    }
    wrong.iter().try_for_each(|(id, problem)| data(&format!("{id}.toml: {problem}")))?;
    if !wrong.is_empty() {
        note(&match wrong.len() {
            1 => "1 example is not as it should be".to_owned(),
            many => format!("{many} examples are not as they should be"),
        });
        return Err(Failure::Told);
    }
    note(&format!("{} without a mistake", files(own.len())));
    Ok(())
}

/// A provider in the list for programs.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    name: &'a str,
    docs: &'a str,
    protocol: &'static str,
    pkce: bool,
    subscriptions: &'static str,
}

impl<'a> Line<'a> {
    fn new(provider: &'a Provider) -> Self {
        Self {
            id: &provider.id,
            name: &provider.name,
            docs: &provider.docs,
            protocol: provider.protocol.as_str(),
            pkce: provider.authorize.pkce == Pkce::S256,
            subscriptions: webhooks(provider),
        }
    }
}

/// All about one for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    #[serde(flatten)]
    line: Line<'a>,
    notes: &'a str,
    client_auth: Vec<&'static str>,
    scopes: &'a [String],
    code_lifetime: Option<u64>,
    browser: bool,
    device: bool,
    revokes: bool,
    refresh: Value,
    settings: Vec<Value>,
    targets: Vec<Value>,
}

impl<'a> Whole<'a> {
    fn new(provider: &'a Provider) -> Self {
        let refresh = &provider.refresh;
        let setting = |one: &Setting| {
            let required = one.required && one.default.is_none();
            json!({ "name": one.name, "label": one.label, "required": required })
        };
        let targets = provider.subscriptions.iter().map(|one| {
            let fields: Vec<Value> = one
                .targets
                .iter()
                .map(|field| json!({ "name": field.name, "label": field.label }))
                .collect();
            json!({
                "sources": one.sources,
                "fields": fields,
                "events": one.events,
                "scopes": one.scopes,
                "manual": one.manual,
            })
        });
        Self {
            line: Line::new(provider),
            notes: &provider.notes,
            client_auth: provider.client.auth.iter().copied().map(AuthMethod::name).collect(),
            scopes: &provider.authorize.scopes,
            code_lifetime: provider.authorize.code_lifetime,
            browser: provider.asks_by_browser(),
            device: provider.asks_by_device(),
            revokes: provider.revokes(),
            refresh: json!({
                "rotates": refresh.rotates.map(Rotates::as_str),
                "none": refresh.none,
                "lifetime": refresh.lifetime,
                "idle": refresh.idle,
                "grace": refresh.grace,
            }),
            settings: provider.settings.iter().map(setting).collect(),
            targets: targets.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Set to write the list anew instead of comparing it.
    const UPDATE: &str = "RINGBACK_UPDATE_SNAPSHOTS";

    /// `docs/oauth-providers.md` lists every provider with what is claimed of it.
    #[test]
    fn the_list_in_the_documents_is_true() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/oauth-providers.md");
        let text = fs::read_to_string(&path).unwrap();
        let (begin, end) = ("<!-- the list: begin -->\n", "<!-- the list: end -->\n");
        let (before, rest) = text.split_once(begin).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        let head = "| id | provider | protocol | PKCE | settings | tokens | revoking | webhooks |";
        let mut list = format!("\n{head}\n|---|---|---|---|---|---|---|---|\n");
        for entry in Accounts::default().entries() {
            let provider = &entry.provider;
            let Provider { id, name, docs, protocol, .. } = &**provider;
            let settings: Vec<String> =
                provider.settings.iter().map(|one| format!("`{}`", one.name)).collect();
            let cells = [
                format!("`{id}`"),
                format!("[{name}]({docs})"),
                protocol.as_str().to_owned(),
                pkce(provider).to_owned(),
                settings.join(" "),
                freshness(provider),
                if provider.revokes() { "yes" } else { "no" }.to_owned(),
                webhooks(provider).to_owned(),
            ];
            let _ = writeln!(list, "| {} |", cells.join(" | "));
        }
        let fresh = format!("{before}{begin}{list}\n{end}{after}");
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&path, &fresh).unwrap();
            return;
        }
        assert!(
            fresh == text,
            "docs/oauth-providers.md is outdated: run the tests with {UPDATE}=1"
        );
    }

    /// An operator's file is checked as a built-in one is, and its examples are followed.
    #[test]
    fn files_of_ones_own_are_checked() {
        let directory = tempfile::tempdir().unwrap();
        let built_in = ringback_builtin::oauth("linear").unwrap().text;
        let put = |text: &str| fs::write(directory.path().join("linear.toml"), text).unwrap();
        put(built_in);
        check(directory.path(), false).unwrap();
        let known = Accounts::open(Some(directory.path())).unwrap();
        assert!(matches!(known.entry("linear").unwrap().origin, Origin::Instead(_)));
        put(&built_in.replace("made-up-code", "another-code"));
        assert!(matches!(check(directory.path(), false), Err(Failure::Told)));
        put(&built_in.replace("rotates = \"always\"", ""));
        assert!(matches!(check(directory.path(), false), Err(Failure::Told)));
    }
}
