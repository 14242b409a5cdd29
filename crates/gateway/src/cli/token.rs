//! `ringback token`: through the server that holds the data directory, or directly if none does.

use clap::{Args, Subcommand};

use super::settings::DataFlags;
use super::{Failure, data, note};
use crate::app;
use crate::config::Config;
use crate::control::{self, Request, Response, TokenInfo};
use crate::data_lock::{DataLock, LockError};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a token and print it, this once
    Create {
        /// Environment that the token is for; made if it does not exist
        #[arg(long, value_name = "NAME", default_value = "default")]
        environment: String,
        /// What the token is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        name: String,
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
        id: String,
        #[command(flatten)]
        shared: Shared,
    },
}

#[derive(Debug, Args)]
pub(super) struct Shared {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataFlags,
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    let (request, shared) = match command {
        Command::Create { environment, name, shared } => {
            (Request::CreateToken { environment, name }, shared)
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

/// Whoever gets the lock works on the store; otherwise its holder does it for us.
fn ask(config: &Config, request: Request) -> Result<Response, Failure> {
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
        Response::Revoked(info) => note(&format!("revoked {} ({})", info.id, info.hint)),
        Response::Refused { reason } => note(reason),
    }
    Ok(())
}

fn show_json(response: &Response) -> Result<(), Failure> {
    let json = match response {
        Response::Created { token, info } => {
            let mut object = serde_json::json!(info);
            object["token"] = token.as_str().into();
            object
        }
        Response::Tokens(tokens) => serde_json::json!(tokens),
        Response::Revoked(info) => serde_json::json!(info),
        Response::Refused { reason } => serde_json::json!({ "detail": reason }),
    };
    Ok(data(&json.to_string())?)
}

/// Columns as wide as their widest cell.
fn table(tokens: &[TokenInfo]) -> String {
    let head = ["ID", "ENVIRONMENT", "TOKEN", "CREATED", "STATE", "NAME"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(tokens.iter().map(row)).collect();
    let mut text = String::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

fn row(token: &TokenInfo) -> [String; 6] {
    let state = match (token.revoked_at, token.expires_at) {
        (Some(at), _) => format!("revoked {at}"),
        (None, Some(at)) => format!("until {at}"),
        (None, None) => "valid".to_owned(),
    };
    [
        token.id.clone(),
        token.environment.clone(),
        token.hint.clone(),
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
    fn a_list_is_a_table() {
        let token = |id: &str, name: &str, revoked_at| TokenInfo {
            id: id.to_owned(),
            environment: "default".to_owned(),
            hint: "rbt_made…upup".to_owned(),
            name: name.to_owned(),
            created_at: Timestamp(0),
            expires_at: None,
            revoked_at,
        };
        let tokens = [token("tok_2", "ci", None), token("tok_1", "", Some(Timestamp(1)))];
        let expected = "\
ID     ENVIRONMENT  TOKEN          CREATED                   STATE                             NAME
tok_2  default      rbt_made…upup  1970-01-01T00:00:00.000Z  valid                             ci
tok_1  default      rbt_made…upup  1970-01-01T00:00:00.000Z  revoked 1970-01-01T00:00:00.001Z
";
        assert_eq!(table(&tokens), expected);
    }
}
