//! Clients, flows and connections as rows: the same cells in the same order in every store, first
//! those that never change, then those that do.

use std::borrow::Cow;

use ringback_domain::{
    application::Metadata,
    callback::Turn,
    id::{ApplicationId, AuthorizationId, ConnectionId, Id, OauthClientId},
    oauth::{
        Authorization, Client, Connection,
        authorization::{Binding, Flow, Purpose, Stage},
        connection::{Grant, Lease, State},
    },
    scope::Scope,
    time::Timestamp,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Identified, source::storable};

/// What stands in one column.
#[derive(Clone, Debug)]
pub(crate) enum Cell<'a> {
    Number(Option<i64>),
    Truth(bool),
    Text(Option<Cow<'a, str>>),
    Bytes(Option<&'a [u8]>),
}

/// A row of a database. Only this program writes them, so what cannot be read counts as nothing.
pub(crate) trait Cells {
    fn number(&self, column: usize) -> Option<i64>;
    fn truth(&self, column: usize) -> bool;
    fn text(&self, column: usize) -> Option<String>;
    fn bytes(&self, column: usize) -> Option<Vec<u8>>;
}

/// What has a row.
pub(crate) trait Kept: Identified + Sized {
    /// What the store's errors call it.
    const WHAT: &'static str;
    /// What they call its id.
    const ID: &'static str;
    /// Its table.
    const TABLE: &'static str;

    /// Whose it is.
    fn scope(&self) -> Scope;
    /// The cells that stay as they are; the first is the key.
    fn fixed(&self) -> Vec<Cell<'_>>;
    /// The others.
    fn changing(&self) -> Vec<Cell<'_>>;
    /// It, from all of its cells.
    fn read(row: &mut Reader<'_, impl Cells>) -> Self;
}

/// Reads the cells of a row one after the other.
pub(crate) struct Reader<'r, R> {
    row: &'r R,
    column: usize,
}

impl Kept for Client {
    const WHAT: &'static str = "oauth client";
    const ID: &'static str = "oauth client id";
    const TABLE: &'static str = "oauth_client";

    fn scope(&self) -> Scope {
        self.scope
    }

    fn fixed(&self) -> Vec<Cell<'_>> {
        let mut cells = owned(self.id.0, self.scope, self.application).to_vec();
        cells.extend([text(&self.provider), text(&self.client_id), time(Some(self.created_at))]);
        cells
    }

    fn changing(&self) -> Vec<Cell<'_>> {
        vec![
            text(&self.name),
            optional(self.auth.as_deref()),
            json(&self.settings),
            json(&self.scopes),
            Cell::Bytes(self.sealed.as_deref()),
            time(Some(self.updated_at)),
        ]
    }

    fn read(row: &mut Reader<'_, impl Cells>) -> Client {
        let id = OauthClientId(row.id());
        let (scope, application) = row.owner();
        Client {
            id,
            scope,
            application,
            provider: row.text(),
            client_id: row.text(),
            created_at: row.time(),
            name: row.text(),
            auth: row.optional_text(),
            settings: row.json(),
            scopes: row.json(),
            sealed: row.bytes(),
            updated_at: row.time(),
        }
    }
}

impl Kept for Authorization {
    const WHAT: &'static str = "authorization";
    const ID: &'static str = "authorization id";
    const TABLE: &'static str = "oauth_authorization";

    fn scope(&self) -> Scope {
        self.scope
    }

    fn fixed(&self) -> Vec<Cell<'_>> {
        let mut cells = owned(self.id.0, self.scope, self.application).to_vec();
        cells.extend(id(Some(self.client.0)));
        cells.extend([
            number(self.flow.number()),
            number(self.purpose.number()),
            number(self.binding.number()),
            text(&self.user_ref),
            json(&self.scopes),
            text(&self.return_to),
            json(&self.params),
            number(self.turn.version.into()),
            number(self.turn.turn.into()),
            labels(&self.metadata),
            time(Some(self.created_at)),
        ]);
        cells
    }

    fn changing(&self) -> Vec<Cell<'_>> {
        let mut cells = id(self.connection.map(|connection| connection.0)).to_vec();
        cells.extend([
            number(self.stage.number()),
            optional(self.reason.as_deref()),
            time(Some(self.deadline)),
            Cell::Bytes(self.sealed.as_deref()),
            time(self.settled_at),
        ]);
        cells
    }

    fn read(row: &mut Reader<'_, impl Cells>) -> Authorization {
        let id = AuthorizationId(row.id());
        let (scope, application) = row.owner();
        Authorization {
            id,
            scope,
            application,
            client: OauthClientId(row.id()),
            flow: Flow::from_number(row.number()).unwrap_or(Flow::Code),
            purpose: Purpose::from_number(row.number()).unwrap_or(Purpose::Connect),
            binding: Binding::from_number(row.number()).unwrap_or(Binding::Confirm),
            user_ref: row.text(),
            scopes: row.json(),
            return_to: row.text(),
            params: row.json(),
            turn: Turn { version: row.number() as u8, turn: row.number() as u32 },
            metadata: row.json(),
            created_at: row.time(),
            connection: row.optional_id().map(ConnectionId),
            stage: Stage::from_number(row.number()).unwrap_or(Stage::Failed),
            reason: row.optional_text(),
            deadline: row.time(),
            sealed: row.bytes(),
            settled_at: row.optional_time(),
        }
    }
}

impl Kept for Connection {
    const WHAT: &'static str = "connection";
    const ID: &'static str = "connection id";
    const TABLE: &'static str = "oauth_connection";

    fn scope(&self) -> Scope {
        self.scope
    }

    fn fixed(&self) -> Vec<Cell<'_>> {
        let mut cells = owned(self.id.0, self.scope, self.application).to_vec();
        cells.extend(id(Some(self.client.0)));
        cells.extend([
            text(&self.provider),
            text(&self.user_ref),
            labels(&self.metadata),
            time(Some(self.created_at)),
        ]);
        cells
    }

    fn changing(&self) -> Vec<Cell<'_>> {
        let Grant { sealed, expires_at, is_refreshable, scopes, account } = &self.grant;
        vec![
            number(self.state.number()),
            optional(self.reason.as_deref()),
            number(self.version.into()),
            Cell::Bytes(Some(sealed)),
            time(*expires_at),
            Cell::Truth(*is_refreshable),
            json(scopes),
            optional(account.as_deref()),
            Cell::Number(self.lease.map(|lease| lease.holder as i64)),
            time(self.lease.map(|lease| lease.until)),
            number(self.failures.into()),
            time(self.retry_at),
            json(&self.subscriptions),
            time(Some(self.refreshed_at)),
        ]
    }

    fn read(row: &mut Reader<'_, impl Cells>) -> Connection {
        let id = ConnectionId(row.id());
        let (scope, application) = row.owner();
        Connection {
            id,
            scope,
            application,
            client: OauthClientId(row.id()),
            provider: row.text(),
            user_ref: row.text(),
            metadata: row.json(),
            created_at: row.time(),
            state: State::from_number(row.number()).unwrap_or(State::Revoked),
            reason: row.optional_text(),
            version: row.number() as u32,
            grant: Grant {
                sealed: row.bytes().unwrap_or_default(),
                expires_at: row.optional_time(),
                is_refreshable: row.truth(),
                scopes: row.json(),
                account: row.optional_text(),
            },
            lease: row.lease(),
            failures: row.number() as u32,
            retry_at: row.optional_time(),
            subscriptions: row.json(),
            refreshed_at: row.time(),
        }
    }
}

impl<'r, R: Cells> Reader<'r, R> {
    /// Reads from the first column on.
    pub(crate) fn new(row: &'r R) -> Reader<'r, R> {
        Reader { row, column: 0 }
    }

    fn next(&mut self) -> usize {
        self.column += 1;
        self.column - 1
    }

    fn optional_number(&mut self) -> Option<i64> {
        let column = self.next();
        self.row.number(column)
    }

    fn number(&mut self) -> i64 {
        self.optional_number().unwrap_or_default()
    }

    fn optional_time(&mut self) -> Option<Timestamp> {
        self.optional_number().map(Timestamp)
    }

    fn time(&mut self) -> Timestamp {
        Timestamp(self.number())
    }

    fn truth(&mut self) -> bool {
        let column = self.next();
        self.row.truth(column)
    }

    fn optional_text(&mut self) -> Option<String> {
        let column = self.next();
        self.row.text(column)
    }

    fn text(&mut self) -> String {
        self.optional_text().unwrap_or_default()
    }

    fn json<T: DeserializeOwned + Default>(&mut self) -> T {
        serde_json::from_str(&self.text()).unwrap_or_default()
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let column = self.next();
        self.row.bytes(column)
    }

    fn optional_id(&mut self) -> Option<Id> {
        let (key, nonce) = (self.optional_number(), self.number());
        Some(Id { key: key?, shard: 0, nonce: nonce as u64 })
    }

    fn id(&mut self) -> Id {
        self.optional_id().unwrap_or(Id { key: 0, shard: 0, nonce: 0 })
    }

    fn owner(&mut self) -> (Scope, ApplicationId) {
        let environment = self.number();
        let application = self.id();
        (Scope { environment, application: application.key }, ApplicationId(application))
    }

    fn lease(&mut self) -> Option<Lease> {
        let (holder, until) = (self.optional_number(), self.time());
        holder.map(|holder| Lease { holder: holder as u64, until })
    }
}

/// The id of a row, and whose it is.
fn owned(key: Id, scope: Scope, application: ApplicationId) -> [Cell<'static>; 5] {
    let ([key, nonce], [application, application_nonce]) = (id(Some(key)), id(Some(application.0)));
    [key, nonce, number(scope.environment), application, application_nonce]
}

fn id(id: Option<Id>) -> [Cell<'static>; 2] {
    [Cell::Number(id.map(|id| id.key)), Cell::Number(id.map(|id| id.nonce as i64))]
}

fn number(number: i64) -> Cell<'static> {
    Cell::Number(Some(number))
}

pub(crate) fn time(time: Option<Timestamp>) -> Cell<'static> {
    Cell::Number(time.map(Timestamp::millis))
}

fn text(text: &str) -> Cell<'_> {
    optional(Some(text))
}

pub(crate) fn optional(text: Option<&str>) -> Cell<'_> {
    Cell::Text(text.map(storable))
}

pub(crate) fn json(value: &(impl Serialize + ?Sized)) -> Cell<'static> {
    Cell::Text(serde_json::to_string(value).ok().map(Cow::Owned))
}

/// Labels, which are also searched: not every store takes a NUL in what it looks into.
fn labels(metadata: &Metadata) -> Cell<'static> {
    let kept: Metadata = metadata
        .iter()
        .map(|(name, value)| (storable(name).into_owned(), storable(value).into_owned()))
        .collect();
    json(&kept)
}
