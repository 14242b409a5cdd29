//! `ringback token`: through the server that holds the data directory, or directly if none does.

use clap::{Args, Subcommand};

use super::settings::DataFlags;
use super::{Failure, data, note, span};
use crate::app;
use crate::config::Config;
use crate::control::{self, Request, Response, TokenInfo};
use crate::data_lock::{DataLock, LockError};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a token and print it, this once
    #[command(after_help = "\
Example:
  export RINGBACK_TOKEN=$(ringback token create --role send --expires 30d)")]
    Create {
        /// Environment that the token is for; made if it does not exist
        #[arg(long, value_name = "NAME", default_value = "default")]
        environment: String,
        /// What the token is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        name: String,
        /// What its holder may do: admin, send, read or application
        #[arg(long, default_value = "admin")]
        role: String,
        /// The only application that it is for, by id or uid
        #[arg(long, value_name = "APP")]
        application: Option<String>,
        /// How long it works, as 30d, 12h, 15m or 90s; for ever if not given
        #[arg(long, value_name = "TIME", value_parser = lasting)]
        expires: Option<u64>,
        #[command(flatten)]
        shared: Shared,
    },
    /// List all tokens, newest first
    List {
        #[command(flatten)]
        shared: Shared,
    },
    /// Revoke a token by its id (tok_…)
    Revoke {
        /// The token's id, as `ringback token list` shows it
        id: String,
        #[command(flatten)]
        shared: Shared,
    },
}

#[derive(Debug, Args)]
pub(super) struct Shared {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) data: DataFlags,
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    let (request, shared) = match command {
        Command::Create { environment, name, role, application, expires, shared } => {
            let lasts = expires;
            (Request::CreateToken { environment, name, role, application, lasts }, shared)
        }
        Command::List { shared } => (Request::ListTokens {}, shared),
        Command::Revoke { id, shared } => (Request::RevokeToken { id }, shared),
    };
    let config = shared.data.load()?.config;
    let response = ask(&config, request)?;
    if let Response::Refused { reason } = response {
        return Err(Failure::Failed(reason));
    }
    if shared.json { show_json(&response) } else { show(&response) }
}

/// A hundred years in seconds: what a token may last.
const LONGEST: u64 = 36_500 * 86_400;

/// A number of seconds, written with a unit.
fn lasting(text: &str) -> Result<u64, String> {
    let wrong = || "a time is a number and a unit: 30d, 12h, 15m or 90s".to_owned();
    let span = span::with_unit(text).filter(|span| span.subsec_millis() == 0);
    match span.ok_or_else(wrong)?.as_secs() {
        0 => Err(wrong()),
        seconds if seconds > LONGEST => Err("a token lasts 36500 days at most".to_owned()),
        seconds => Ok(seconds),
    }
}

/// Whoever gets the lock works on the store; otherwise its holder does it for us.
pub(super) fn ask(config: &Config, request: Request) -> Result<Response, Failure> {
    match DataLock::acquire(&config.data) {
        Ok(lock) => Ok(app::control(config, lock, request)?),
        Err(held @ LockError::Held { .. }) => {
            // A holder that does not answer is a command like this one, or a server that starts.
            control::call(&config.data, &request).map_err(|error| {
                note(&format!("error: {error}"));
                held.into()
            })
        }
        Err(other) => Err(other.into()),
    }
}

fn show(response: &Response) -> Result<(), Failure> {
    match response {
        Response::Created { token, info } => {
            note(&format!(
                "created {} of environment {}; the token is shown only this once:",
                info.id, info.environment
            ));
            data(token)?;
        }
        Response::Tokens(tokens) => data(table(tokens).trim_end())?,
        Response::Environments(environments) => {
            environments.iter().try_for_each(|one| data(&one.name))?;
        }
        // Of other commands.
        Response::Audit(_)
        | Response::Keys(_)
        | Response::Rotated { .. }
        | Response::Retired { .. } => {}
        Response::Revoked(info) => note(&format!("revoked {} ({})", info.id, info.hint)),
        Response::Refused { reason } => note(reason),
    }
    Ok(())
}

pub(super) fn show_json(response: &Response) -> Result<(), Failure> {
    let json = match response {
        Response::Created { token, info } => {
            let mut object = serde_json::json!(info);
            object["token"] = token.as_str().into();
            object
        }
        Response::Tokens(tokens) => serde_json::json!(tokens),
        Response::Environments(environments) => serde_json::json!(environments),
        Response::Audit(entries) => serde_json::json!(entries),
        Response::Revoked(info) => serde_json::json!(info),
        Response::Keys(keys) => serde_json::json!(keys),
        Response::Rotated { id } => serde_json::json!({ "id": id }),
        Response::Retired { ids } => serde_json::json!({ "ids": ids }),
        Response::Refused { reason } => serde_json::json!({ "detail": reason }),
    };
    Ok(data(&json.to_string())?)
}

fn table(tokens: &[TokenInfo]) -> String {
    let head = ["ID", "ENVIRONMENT", "TOKEN", "ROLE", "CREATED", "STATE", "NAME"];
    let head = head.map(str::to_owned);
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(tokens.iter().map(row)).collect();
    super::table::table(&rows)
}

fn row(token: &TokenInfo) -> [String; 7] {
    let state = match (token.revoked_at, token.expires_at) {
        (Some(at), _) => format!("revoked {at}"),
        (None, Some(at)) => format!("until {at}"),
        (None, None) => "valid".to_owned(),
    };
    [
        token.id.clone(),
        token.environment.clone(),
        token.hint.clone(),
        match &token.application {
            Some(application) => format!("{} of {application}", token.role),
            None => token.role.clone(),
        },
        token.created_at.to_string(),
        state,
        token.name.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use ringback_domain::time::Timestamp;

    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, expect) in [
            ("30d", Some(2_592_000)),
            ("12h", Some(43_200)),
            ("15m", Some(900)),
            ("90s", Some(90)),
            ("0s", None),
            ("90", None),
            ("1500ms", None),
            ("d", None),
            ("", None),
            ("1.5h", None),
            ("-1h", None),
            ("5é", None),
        ] {
            assert_eq!(lasting(text).ok(), expect, "{text}");
        }
    }

    #[test]
    fn a_list_is_a_table() {
        let token = |id: &str, name: &str, application: Option<&str>, revoked_at| TokenInfo {
            id: id.to_owned(),
            environment: "default".to_owned(),
            hint: "rbt_made…upup".to_owned(),
            name: name.to_owned(),
            role: "send".to_owned(),
            application: application.map(str::to_owned),
            created_at: Timestamp(0),
            expires_at: None,
            revoked_at,
        };
        let tokens = [
            token("tok_2", "ci", None, None),
            token("tok_1", "", Some("app_1"), Some(Timestamp(1))),
        ];
        let expected = "\
ID     ENVIRONMENT  TOKEN          ROLE           CREATED                   STATE                             NAME
tok_2  default      rbt_made…upup  send           1970-01-01T00:00:00.000Z  valid                             ci
tok_1  default      rbt_made…upup  send of app_1  1970-01-01T00:00:00.000Z  revoked 1970-01-01T00:00:00.001Z
";
        assert_eq!(table(&tokens), expected);
    }
}
