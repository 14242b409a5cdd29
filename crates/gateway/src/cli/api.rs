//! `ringback api`: any operation of a server, by its id.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::time::Duration;

use clap::Subcommand;
use http::Method;
use serde_json::{Map, Value, json};

use super::prose::wrapped;
use super::server::{Server, carried, refused, unanswered};
use super::table::table;
use super::{Failure, data, note};
use crate::api_client::{Answer, ApiClient};
use crate::operations::{self, Effect, Operation, Place, Routing, Tool, ask, fields};
use crate::terminal::Colours;

/// How long an answer may take: what waits for a result does so for a minute at most.
const PATIENCE: Duration = Duration::from_secs(90);

/// What of the API.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    about: Option<About>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, Subcommand)]
enum About {
    /// List the operations
    List {
        /// Only those in whose id, path or summary this occurs
        text: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what an operation takes, answers and needs
    Show {
        /// The operation, such as message.list
        operation: String,
        /// Print JSON, with the schemas
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Call {
    /// The operation, such as message.list; `ringback api list` lists them
    operation: Option<String>,
    /// What the path names, in order: ids or uids
    values: Vec<String>,
    /// Another parameter; may be given several times
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// A field of the body: JSON, or else text; may be given several times
    #[arg(short = 'f', long = "field", value_name = "NAME=VALUE")]
    fields: Vec<String>,
    /// The whole body as JSON; @FILE reads a file, - the standard input
    #[arg(
        short = 'd',
        long,
        value_name = "JSON",
        conflicts_with = "fields",
        allow_hyphen_values = true
    )]
    data: Option<String>,
    /// Of a list, every page: one item after the other
    #[arg(long)]
    all: bool,
    /// Do not ask before something is destroyed
    #[arg(short, long)]
    yes: bool,
    /// Print JSON in one line, as it was answered
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    match args.about {
        Some(About::List { text, json }) => list(text.as_deref().unwrap_or_default(), json),
        Some(About::Show { operation, json }) => show(known(&operation)?, json),
        None => carry_out(&args.call),
    }
}

/// The operation of this id, or those that are most like it.
fn known(id: &str) -> Result<&'static Operation, Failure> {
    operations::find(id).ok_or_else(|| {
        let (group, verb) = id.split_once('.').unwrap_or((id, id));
        let like: Vec<&str> = operations::all()
            .iter()
            .map(|one| &*one.id)
            .filter(|known| {
                let (of, does) = known.split_once('.').unwrap_or_default();
                of == group || (!verb.is_empty() && does == verb && of.contains(group))
            })
            .collect();
        let hint = match like.as_slice() {
            [] => "`ringback api list` lists them".to_owned(),
            some => format!("there are {}", some.join(", ")),
        };
        Failure::Usage(format!("there is no operation {id:?}; {hint}"))
    })
}

fn carry_out(call: &Call) -> Result<(), Failure> {
    let id = call.operation.as_deref().ok_or_else(|| {
        Failure::Usage("name an operation: `ringback api list` lists them".to_owned())
    })?;
    let operation = known(id)?;
    let values = values(operation, call)?;
    let body = body(operation, call)?;
    let usage = |error: operations::Unfit| {
        let hint = format!("`ringback api show {}` says more", operation.id);
        Failure::Usage(format!("{error}; {hint}"))
    };
    let first = ask(operation, &values, body).map_err(usage)?;
    if call.all && !operation.pages() {
        return Err(Failure::Usage(format!("{} is no list: leave out --all", operation.id)));
    }
    if operation.decided.effect == Effect::Destroys {
        confirm(operation, &first.path, call.yes)?;
    }
    carried(async {
        let api = call.server.client()?.with_patience(PATIENCE);
        if !call.all {
            let answer = send(&api, &operation.method, &first).await?;
            return print(&answer, call.json);
        }
        let mut next = first;
        loop {
            let answer = send(&api, &operation.method, &next).await?;
            let page = answer.json();
            for item in page["data"].as_array().into_iter().flatten() {
                print_value(item, call.json)?;
            }
            let Some(iterator) = page["iterator"].as_str().filter(|_| page["done"] == false) else {
                return Ok(());
            };
            let mut values = values.clone();
            values.retain(|(name, _)| name != "iterator");
            values.push(("iterator".to_owned(), iterator.to_owned()));
            next = ask(operation, &values, next.body).map_err(usage)?;
        }
    })
}

async fn send(api: &ApiClient, method: &Method, ask: &operations::Ask) -> Result<Answer, Failure> {
    let headers = ask.headers.iter().map(|(name, value)| (&**name, &**value));
    let body = ask.body.as_ref().map(|body| body.to_string().into());
    let answer = api.call_with(method.clone(), &ask.path, headers, body).await;
    let answer = answer.map_err(|error| unanswered(&error))?;
    if answer.status.is_success() { Ok(answer) } else { Err(refused(&answer)) }
}

/// The parameters: those of the path by their places, the others by their names.
fn values(operation: &Operation, call: &Call) -> Result<Vec<(String, String)>, Failure> {
    let mut values = Vec::new();
    let named = call.parameters.iter().map(|text| pair(text, "--param"));
    let named = named.collect::<Result<Vec<_>, Failure>>()?;
    let is_named = |name: &str| named.iter().any(|(one, _)| one == name);
    let mut places = operation.parameters(Place::Path).filter(|one| !is_named(&one.name));
    for value in &call.values {
        let Some(place) = places.next() else {
            let names: Vec<&str> =
                operation.parameters(Place::Path).map(|one| &*one.name).collect();
            let takes = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            return Err(Failure::Usage(format!(
                "{value:?} is one too many: the path of {} names {takes}; others are given as --param NAME=VALUE",
                operation.id
            )));
        };
        values.push((place.name.clone(), value.clone()));
    }
    values.extend(named.iter().cloned());
    Ok(values)
}

fn pair(text: &str, flag: &str) -> Result<(String, String), Failure> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| Failure::Usage(format!("{flag} takes NAME=VALUE, not {text:?}")))
}

fn body(operation: &Operation, call: &Call) -> Result<Option<Value>, Failure> {
    let given = call.data.is_some() || !call.fields.is_empty();
    let Some(takes) = &operation.body else {
        return match given {
            true => Err(Failure::Usage(format!("{} takes no body", operation.id))),
            false => Ok(None),
        };
    };
    if let Some(text) = &call.data {
        let text = read(text)?;
        return serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| Failure::Usage(format!("--data is not JSON: {error}")));
    }
    let known = fields(operation);
    let mut whole = Map::new();
    for text in &call.fields {
        let (name, value) = pair(text, "--field")?;
        if let Some(known) = known.filter(|known| !known.contains_key(&name)) {
            let names: Vec<&str> = known.keys().map(|name| &**name).collect();
            let names = names.join(", ");
            return Err(Failure::Usage(format!(
                "the body of {} has no field {name:?}; it takes {names}",
                operation.id
            )));
        }
        let schema = known.and_then(|known| known.get(&name));
        whole.insert(name, field(schema, value));
    }
    Ok((given || takes.required).then_some(Value::Object(whole)))
}

/// JSON where it is JSON; but what takes a text gets `7` as one.
fn field(schema: Option<&Value>, value: String) -> Value {
    let text = schema.is_some_and(|schema| kind(schema) == "(string)" || schema["enum"].is_array());
    match serde_json::from_str(&value) {
        Ok(json @ Value::String(_)) => json,
        Ok(json) if !text => json,
        _ => Value::String(value),
    }
}

fn read(text: &str) -> Result<String, Failure> {
    if text == "-" {
        let mut read = String::new();
        std::io::stdin().read_to_string(&mut read)?;
        return Ok(read);
    }
    let Some(path) = text.strip_prefix('@') else { return Ok(text.to_owned()) };
    std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("cannot read the body from {path}: {error}")))
}

/// Goes on only if whoever asks means it.
fn confirm(operation: &Operation, path: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let what = format!("{} {path}", operation.method);
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("{what} cannot be undone: say --yes")));
    }
    let mut asked = std::io::stderr();
    write!(asked, "{what} cannot be undone. Go on? [y/N] ")?;
    asked.flush()?;
    let mut said = String::new();
    std::io::stdin().read_line(&mut said)?;
    match said.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Failed("nothing was done".to_owned())),
    }
}

fn print(answer: &Answer, json: bool) -> Result<(), Failure> {
    if answer.body.is_empty() {
        note(&format!("done: {}", answer.status));
        return Ok(());
    }
    match serde_json::from_slice(&answer.body) {
        Ok(value) => print_value(&value, json),
        // A stream of events, say.
        Err(_) => Ok(data(String::from_utf8_lossy(&answer.body).trim_end())?),
    }
}

fn print_value(value: &Value, json: bool) -> Result<(), Failure> {
    // The alternate form is the one with lines.
    Ok(data(&if json { value.to_string() } else { format!("{value:#}") })?)
}

fn list(text: &str, json: bool) -> Result<(), Failure> {
    let wanted = text.to_lowercase();
    let fits = |one: &&Operation| {
        [&one.id, &one.path, &one.summary].iter().any(|text| text.to_lowercase().contains(&wanted))
    };
    let found: Vec<&Operation> = operations::all().iter().filter(fits).collect();
    if json {
        let all: Vec<Value> = found.into_iter().map(line).collect();
        return print_value(&Value::Array(all), true);
    }
    if found.is_empty() {
        return Err(Failure::Failed(format!("no operation has to do with {text:?}")));
    }
    let head = ["OPERATION", "", "PATH", "WHAT"].map(str::to_owned);
    let rows = found
        .iter()
        .map(|one| [one.id.clone(), one.method.to_string(), one.path.clone(), one.summary.clone()]);
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let Colours { bold, end, .. } = Colours::of_stdout();
    let table = table(&rows);
    let (head, rows) = table.split_once('\n').unwrap_or_default();
    data(&format!("{bold}{head}{end}\n{rows}"))?;
    let number = found.len();
    Ok(data(&format!("{number} operations; `ringback api show OPERATION` says more"))?)
}

/// An operation in the list for programs.
fn line(one: &Operation) -> Value {
    json!({
        "id": one.id,
        "method": one.method.as_str(),
        "path": one.path,
        "summary": one.summary,
        "role": one.right.map(|right| right.least().name()),
        "destructive": one.decided.effect == Effect::Destroys,
    })
}

fn show(one: &Operation, json: bool) -> Result<(), Failure> {
    if json {
        return print_value(&whole(one), true);
    }
    let Colours { bold, dim, end, .. } = Colours::of_stdout();
    let mut out = vec![format!("{bold}{}{end}  {dim}{} {}{end}", one.id, one.method, one.path)];
    out.push(format!("{}.", one.summary));
    if !one.description.is_empty() {
        out.extend(wrapped(&one.description, 0));
    }
    let mut section = |title: &str, rows: Vec<(String, String)>| {
        if rows.is_empty() {
            return;
        }
        out.push(format!("\n{bold}{title}{end}"));
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + 2;
        for (name, text) in rows {
            let lines = wrapped(&text, width + 2);
            let first = lines.first().cloned().unwrap_or_default();
            out.push(format!("  {name:width$}{first}").trim_end().to_owned());
            out.extend(lines.into_iter().skip(1));
        }
    };
    let of = |place| {
        let rows = one
            .parameters(place)
            .map(|one| (one.name.clone(), format!("{} {}", kind(&one.schema), one.description)));
        rows.collect::<Vec<_>>()
    };
    section("In the path, in this order", of(Place::Path));
    section("With --param", of(Place::Query).into_iter().chain(of(Place::Header)).collect());
    let required = one.body.as_ref().map(|body| body.schema["required"].clone());
    let needed =
        |name: &str| required.iter().filter_map(Value::as_array).flatten().any(|one| one == name);
    let rows = fields(one).into_iter().flatten().map(|(name, schema)| {
        let mark = if needed(name) { "needed; " } else { "" };
        let text = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
        (name.clone(), format!("{} {mark}{text}", kind(schema)))
    });
    section("With --field", rows.collect());
    section("It answers", one.answers.clone());
    let role = match one.right {
        Some(right) => format!("a token with the role {}, or one above", right.least()),
        None => "no token".to_owned(),
    };
    let mut rows = vec![("needs".to_owned(), role)];
    if one.decided.effect == Effect::Destroys {
        rows.push(("destroys".to_owned(), "it cannot be undone: --yes, or an answer".to_owned()));
    }
    if one.decided.routing == Routing::Changed {
        rows.push(("routes".to_owned(), "it decides where data is sent".to_owned()));
    }
    if let Some(command) = one.decided.command {
        rows.push(("command".to_owned(), format!("`ringback {command}` does it, too")));
    }
    rows.push(match one.decided.tool {
        Tool::Named(name) => ("tool".to_owned(), format!("{name} of `ringback mcp`")),
        Tool::Absent(reason) => {
            ("no tool".to_owned(), format!("{} (since {})", reason.why, reason.since))
        }
    });
    section("About it", rows);
    Ok(data(&out.join("\n"))?)
}

/// What values a schema takes, in a word or a list of words.
fn kind(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        return format!("({})", words.join(", "));
    }
    let name = match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            names.collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    };
    format!("({name})")
}

fn whole(one: &Operation) -> Value {
    let parameter = |one: &operations::Parameter| {
        let place = match one.place {
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
        };
        json!({
            "name": one.name, "in": place, "required": one.place == Place::Path,
            "description": one.description, "schema": one.schema,
        })
    };
    let mut whole = line(one);
    whole["description"] = json!(one.description);
    whole["parameters"] = one.parameters.iter().map(parameter).collect::<Vec<_>>().into();
    whole["body"] = one.body.as_ref().map(|body| body.schema.clone()).into();
    whole["answers"] = json!(one.answers.iter().cloned().collect::<BTreeMap<_, _>>());
    whole["routing"] = json!(one.decided.routing == Routing::Changed);
    whole["command"] = json!(one.decided.command);
    whole["tool"] = match one.decided.tool {
        Tool::Named(name) => json!(name),
        Tool::Absent(_) => Value::Null,
    };
    whole
}
