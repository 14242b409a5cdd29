//! `ringback keys`: as `ringback token`, with or without a server.

use clap::Subcommand;

use super::token::{Shared, ask, show_json};
use super::{Failure, data, note};
use crate::control::{KeyInfo, Request, Response};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the keys that encrypt secrets, by fingerprint, with how much each is needed for
    List {
        #[command(flatten)]
        shared: Shared,
    },
    /// Put a new key to the front of the key file; a server encrypts everything anew with it
    Rotate {
        #[command(flatten)]
        shared: Shared,
    },
    /// Drop the old keys from the key file, once nothing needs them
    Retire {
        #[command(flatten)]
        shared: Shared,
    },
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    let (request, shared) = match command {
        Command::List { shared } => (Request::ListKeys {}, shared),
        Command::Rotate { shared } => (Request::RotateKeys {}, shared),
        Command::Retire { shared } => (Request::RetireKeys {}, shared),
    };
    let config = shared.data.load()?.config;
    let response = ask(&config, request)?;
    match response {
        Response::Refused { reason } => return Err(Failure::Failed(reason)),
        response if shared.json => show_json(&response)?,
        Response::Keys(keys) => data(table(&keys).trim_end())?,
        Response::Rotated { id } => note(&format!("the key {id} encrypts from now on")),
        Response::Retired { ids } => {
            ids.iter().for_each(|id| note(&format!("dropped the key {id}")));
        }
        other => return Err(Failure::Failed(format!("an answer to something else: {other:?}"))),
    }
    Ok(())
}

fn table(keys: &[KeyInfo]) -> String {
    let head = ["KEY", "STATE", "VALUES", "ANSWERS"].map(str::to_owned);
    let row = |key: &KeyInfo| {
        let state = match (key.seals, key.at_hand) {
            (true, _) => "encrypts",
            (false, true) => "decrypts",
            (false, false) => "missing",
        };
        [key.id.clone(), state.to_owned(), key.values.to_string(), key.answers.to_string()]
    };
    let rows: Vec<_> = std::iter::once(head).chain(keys.iter().map(row)).collect();
    super::table::table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_columns() {
        let key = |id: &str, seals, at_hand, values| KeyInfo {
            id: id.to_owned(),
            seals,
            at_hand,
            values,
            answers: 0,
        };
        let keys =
            [key("aa", true, true, 12), key("bb", false, true, 3), key("cc", false, false, 1)];
        let expect = "\
KEY  STATE     VALUES  ANSWERS
aa   encrypts  12      0
bb   decrypts  3       0
cc   missing   1       0
";
        assert_eq!(table(&keys), expect);
    }
}
