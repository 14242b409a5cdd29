//! The connections that a running server keeps, and the tokens that it keeps fresh.

use clap::{Subcommand, builder::RangedU64ValueParser};
use http::Method;
use serde_json::{Value, json};

use super::super::server::{Server, ask, carried, listed, path_segment};
use super::super::table::table;
use super::super::{Failure, data, note};
use crate::terminal::printable;

/// What can be done with connections.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// List connections, newest first
    List(List),
    /// Show a connection
    Get(One),
    /// Print an access token of a connection; it is refreshed before if need be
    Token(One),
    /// End a connection: the provider is told, and the tokens are erased
    Revoke(One),
    /// Delete a connection; the provider is not told
    Delete(One),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct List {
    /// Only of this application, by id or uid
    #[arg(long, value_name = "APP")]
    application: Option<String>,
    /// Only as this client (ocl_…)
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Only at this provider
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// Only of this person, as the application calls them
    #[arg(long, value_name = "NAME")]
    user_ref: Option<String>,
    /// Only in this status: active, `reauthorization_required`, revoked
    #[arg(long)]
    status: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    limit: usize,
    #[command(flatten)]
    server: Server,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct One {
    /// Connection (conn_…)
    id: String,
    #[command(flatten)]
    server: Server,
    /// Print the server's whole answer as JSON
    #[arg(long)]
    json: bool,
}

impl One {
    /// What the server answers to this being done with it; `what` comes after its id in the path.
    fn ask(&self, method: Method, what: &str) -> Result<Value, Failure> {
        let path = format!("/api/v1/connection/{}{what}", path_segment(&self.id));
        carried(async { ask(&self.server.client()?, method, &path, None).await })
    }
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List(args) => list(&args),
        Command::Get(one) => {
            let connection = one.ask(Method::GET, "")?;
            Ok(data(&if one.json { connection.to_string() } else { page(&connection) })?)
        }
        Command::Token(one) => {
            let token = one.ask(Method::GET, "/token")?;
            let plain = || token["accessToken"].as_str().unwrap_or_default().to_owned();
            Ok(data(&if one.json { token.to_string() } else { plain() })?)
        }
        Command::Revoke(one) => {
            let revoked = one.ask(Method::POST, "/revoke")?;
            if one.json {
                return Ok(data(&revoked.to_string())?);
            }
            note(&format!("revoked {}: {}", one.id, told(&revoked)));
            Ok(())
        }
        Command::Delete(one) => {
            one.ask(Method::DELETE, "")?;
            match one.json {
                true => Ok(data(&json!({ "id": one.id, "deleted": true }).to_string())?),
                false => {
                    note(&format!("deleted {}", one.id));
                    Ok(())
                }
            }
        }
    }
}

/// What the provider was told.
fn told(revoked: &Value) -> &'static str {
    match revoked["atProvider"].as_str() {
        Some("revoked") => "the provider has forgotten the tokens",
        Some("not_supported") => "the provider cannot be told; its tokens are good until they end",
        _ => "the provider did not take it; its tokens may be good until they end",
    }
}

fn list(args: &List) -> Result<(), Failure> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let filters = [
        ("application", &args.application),
        ("client", &args.client),
        ("provider", &args.provider),
        ("userRef", &args.user_ref),
        ("status", &args.status),
    ];
    for (name, value) in filters {
        query.extend_pairs(value.as_ref().map(|value| (name, value)));
    }
    let path = format!("/api/v1/connection?{}", query.finish());
    let connections = carried(async { listed(&args.server.client()?, &path, args.limit).await })?;
    if args.json {
        return Ok(data(&Value::from(connections).to_string())?);
    }
    let head = ["ID", "PROVIDER", "USER", "ACCOUNT", "STATUS"].map(str::to_owned);
    let row = |connection| {
        ["id", "provider", "userRef", "account", "status"].map(|field| text(connection, field))
    };
    let rows: Vec<_> = std::iter::once(head).chain(connections.iter().map(row)).collect();
    Ok(data(table(&rows).trim_end())?)
}

/// A connection for people.
fn page(connection: &Value) -> String {
    const FIELDS: [(&str, &str); 13] = [
        ("id", "id"),
        ("provider", "provider"),
        ("user", "userRef"),
        ("account", "account"),
        ("status", "status"),
        ("reason", "reason"),
        ("scopes", "scopes"),
        ("expires", "expiresAt"),
        ("refreshable", "refreshable"),
        ("refreshed", "refreshedAt"),
        ("created", "createdAt"),
        ("client", "client"),
        ("application", "application"),
    ];
    let rows = FIELDS.map(|(name, field)| [name.to_owned(), text(connection, field)]);
    let rows: Vec<_> = rows.into_iter().filter(|[_, text]| !text.is_empty()).collect();
    table(&rows).trim_end().to_owned()
}

/// A field as it can stand on a line.
fn text(connection: &Value, field: &str) -> String {
    match &connection[field] {
        Value::String(text) => printable(text),
        Value::Bool(truth) => (if *truth { "yes" } else { "no" }).to_owned(),
        Value::Array(items) => {
            let texts: Vec<_> = items.iter().filter_map(Value::as_str).map(printable).collect();
            texts.join(" ")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_what_is_known() {
        let connection = json!({
            "id": "conn_1", "provider": "github", "userRef": "ada", "account": "1\u{1b}[2J",
            "status": "active", "scopes": ["repo", "gist"], "expiresAt": null,
            "refreshable": false, "version": 1,
        });
        let expected = "\
id           conn_1
provider     github
user         ada
account      1\\u{1b}[2J
status       active
scopes       repo gist
refreshable  no";
        assert_eq!(page(&connection), expected);
    }
}
