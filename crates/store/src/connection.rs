//! OAuth: registrations, flows, and what came of them.

use ringback_domain::{
    id::{AuthorizationId, ConnectionId, Id, Key, OauthClientId},
    message::Origin,
    oauth::{Authorization, Client, Connection, authorization, connection, told},
    scope::Reference,
    time::Timestamp,
};

use crate::{
    Append, BoxFuture, Found, Keeping, Listed, NewMessage, Notified, Page, ReadError, Unavailable,
    WriteError,
};

/// Clients, authorizations and connections.
///
/// What happens to an authorization or a connection is a step of [`authorization::Act`] or
/// [`connection::Act`], and a step is one transaction: the row is locked, the step made, and the row
/// after it and the messages about it are written together. So a code is exchanged once, whoever comes
/// back at the same time, and a refresh token that was rotated replaces the one that it was made from,
/// or nothing.
///
/// All of it ends with its application: clients, flows and connections are deleted with it.
pub trait Connections {
    /// Keeps a new client.
    ///
    /// # Errors
    /// [`WriteError::NotFound`] if the application is not there.
    fn create_oauth_client(&self, client: Client) -> BoxFuture<'_, Result<(), WriteError>>;

    /// Replaces what may change of a client: its name, what it proves itself with, settings, scopes.
    ///
    /// # Errors
    /// [`WriteError::NotFound`].
    fn update_oauth_client(&self, client: Client) -> BoxFuture<'_, Result<(), WriteError>>;

    /// Deletes a client and its flows.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] (`"connections"`) as long as it has connections.
    fn delete_oauth_client(
        &self,
        environment: Key,
        client: OauthClientId,
    ) -> BoxFuture<'_, Result<(), WriteError>>;

    /// One client.
    fn oauth_client(
        &self,
        environment: Key,
        client: OauthClientId,
    ) -> BoxFuture<'_, Result<Client, ReadError>>;

    /// One client, for whoever comes to its redirect URI: its scope is not known before.
    fn oauth_client_by_id(
        &self,
        client: OauthClientId,
    ) -> BoxFuture<'_, Result<Option<Client>, Unavailable>>;

    /// Clients by id.
    fn oauth_clients(
        &self,
        environment: Key,
        query: OauthClientQuery,
    ) -> BoxFuture<'_, Result<Listed<Client>, ReadError>>;

    /// Keeps a new flow.
    ///
    /// # Errors
    /// [`WriteError::NotFound`] if the application, the client (of that application) or the
    /// connection to authorize anew (of that client) is not there: `"application"`,
    /// `"oauth client"`, `"connection"`.
    fn create_authorization(
        &self,
        authorization: Authorization,
    ) -> BoxFuture<'_, Result<(), WriteError>>;

    /// One flow as it is at `now`.
    fn authorization(
        &self,
        environment: Key,
        authorization: AuthorizationId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Authorization, ReadError>>;

    /// One flow as it was last written, for whoever has a ticket: its scope is not known before.
    fn authorization_by_id(
        &self,
        authorization: AuthorizationId,
    ) -> BoxFuture<'_, Result<Option<Authorization>, Unavailable>>;

    /// Flows by id. A page looks at a bounded number, as those of [`Search`](crate::Search) do.
    fn authorizations(
        &self,
        environment: Key,
        query: AuthorizationQuery,
    ) -> BoxFuture<'_, Result<Found<Authorization>, ReadError>>;

    /// Makes a step of a flow. If it is taken and has a connection with it, that is written in the same
    /// transaction: a new one is made, and one that is there gets the grant.
    ///
    /// # Errors
    /// [`WriteError::NotFound`] of what is not there.
    fn step_authorization(
        &self,
        step: AuthorizationStep,
    ) -> BoxFuture<'_, Result<AuthorizationStepped, WriteError>>;

    /// Writes deadlines of flows down that have passed, with which what was sealed is erased, and
    /// forgets flows that ended before; a bounded number. Returns whether there are more.
    fn settle_authorizations(
        &self,
        now: Timestamp,
        ended_before: Timestamp,
    ) -> BoxFuture<'_, Result<bool, Unavailable>>;

    /// Keeps a new connection that no flow was needed for.
    ///
    /// # Errors
    /// [`WriteError::NotFound`] of an application or client that is not there.
    fn create_connection(
        &self,
        connection: Connection,
        keeping: Keeping,
    ) -> BoxFuture<'_, Result<Vec<Notified>, WriteError>>;

    /// One connection.
    fn connection(
        &self,
        environment: Key,
        connection: ConnectionId,
    ) -> BoxFuture<'_, Result<Connection, ReadError>>;

    /// Connections by id. A page looks at a bounded number, as those of [`Search`](crate::Search) do.
    fn connections(
        &self,
        environment: Key,
        query: ConnectionQuery,
    ) -> BoxFuture<'_, Result<Found<Connection>, ReadError>>;

    /// Makes a step of a connection.
    ///
    /// # Errors
    /// [`WriteError::NotFound`].
    fn step_connection(
        &self,
        step: ConnectionStep,
    ) -> BoxFuture<'_, Result<ConnectionStepped, WriteError>>;

    /// Deletes a connection; what was sealed is gone.
    ///
    /// # Errors
    /// [`WriteError::NotFound`].
    fn delete_connection(
        &self,
        environment: Key,
        connection: ConnectionId,
    ) -> BoxFuture<'_, Result<(), WriteError>>;
}

/// Which clients to list.
#[derive(Clone, Debug)]
pub struct OauthClientQuery {
    /// The page.
    pub page: Page,
    /// Only of this application.
    pub application: Option<Key>,
    /// Only at this provider.
    pub provider: Option<String>,
}

/// Which flows to list.
#[derive(Clone, Debug)]
pub struct AuthorizationQuery {
    /// The page.
    pub page: Page,
    /// Only of this application.
    pub application: Option<Key>,
    /// Only as this client.
    pub client: Option<Key>,
    /// Only for this person.
    pub user_ref: Option<String>,
    /// Only at one of these stages at `now`; all when empty.
    pub stages: Vec<authorization::Stage>,
    /// As of when.
    pub now: Timestamp,
}

/// Which connections to list.
#[derive(Clone, Debug)]
pub struct ConnectionQuery {
    /// The page.
    pub page: Page,
    /// Only of this application.
    pub application: Option<Key>,
    /// Only as this client.
    pub client: Option<Key>,
    /// Only at this provider.
    pub provider: Option<String>,
    /// Only for this person.
    pub user_ref: Option<String>,
    /// Only that this account granted.
    pub account: Option<String>,
    /// Only in this state.
    pub state: Option<connection::State>,
    /// Only with this label.
    pub label: Option<(String, String)>,
}

/// Something that happens to a flow.
#[derive(Clone, Debug)]
pub struct AuthorizationStep {
    /// To which.
    pub authorization: AuthorizationId,
    /// What.
    pub act: authorization::Act,
    /// What came of it: as it is to be if it is new, and otherwise the grant of the one with its id.
    pub connection: Option<Connection>,
    /// How the message about it is kept.
    pub keeping: Keeping,
    /// When.
    pub now: Timestamp,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationStepped {
    /// The flow as it was before, with what was sealed then.
    pub before: Authorization,
    /// The flow after it.
    pub authorization: Authorization,
    /// What is said to whoever did it.
    pub verdict: authorization::Verdict,
    /// The connection after it, if the step had one.
    pub connection: Option<Connection>,
    /// The messages about it, for the lanes.
    pub told: Vec<Notified>,
}

/// Something that happens to a connection.
#[derive(Clone, Debug)]
pub struct ConnectionStep {
    /// Of which environment.
    pub environment: Key,
    /// To which.
    pub connection: ConnectionId,
    /// What.
    pub act: connection::Act,
    /// How the message about it is kept.
    pub keeping: Keeping,
    /// When.
    pub now: Timestamp,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionStepped {
    /// The connection after it.
    pub connection: Connection,
    /// What is said to whoever did it.
    pub verdict: connection::Verdict,
    /// The messages about it, for the lanes.
    pub told: Vec<Notified>,
}

impl OauthClientQuery {
    /// Whether a client is wanted.
    pub(crate) fn wants(&self, client: &Client) -> bool {
        self.application.is_none_or(|key| key == client.scope.application)
            && self.provider.as_ref().is_none_or(|id| *id == client.provider)
    }
}

impl AuthorizationQuery {
    /// Whether a flow is wanted, which is as it is at `now`.
    pub(crate) fn wants(&self, flow: &Authorization) -> bool {
        self.application.is_none_or(|key| key == flow.scope.application)
            && self.client.is_none_or(|key| key == flow.client.key())
            && self.user_ref.as_ref().is_none_or(|user_ref| *user_ref == flow.user_ref)
            && (self.stages.is_empty() || self.stages.contains(&flow.stage))
    }
}

impl ConnectionQuery {
    /// Whether a connection is wanted.
    pub(crate) fn wants(&self, connection: &Connection) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        self.application.is_none_or(|key| key == connection.scope.application)
            && self.client.is_none_or(|key| key == connection.client.key())
            && is(&self.provider, Some(&connection.provider))
            && is(&self.user_ref, Some(&connection.user_ref))
            && is(&self.account, connection.grant.account.as_deref())
            && self.state.is_none_or(|state| state == connection.state)
            && self.label.as_ref().is_none_or(|(name, value)| {
                connection.metadata.get(name).is_some_and(|found| found == value)
            })
    }
}

/// The message about a connection that was made or changed, to its application.
pub(crate) fn message(
    connection: &Connection,
    change: Option<connection::Change>,
    keeping: Keeping,
    now: Timestamp,
) -> Append {
    let told = match change {
        Some(change) => told::changed(connection, change, now),
        None => told::created(connection),
    };
    let message = NewMessage {
        nonce: keeping.nonce,
        accepted_at: now,
        expires_at: keeping.expires_at,
        origin: Origin::Connection,
        event_type: told.event_type.to_owned(),
        payload: told.payload.into(),
        ..NewMessage::default()
    };
    Append {
        environment: connection.scope.environment,
        application: Reference::Id(connection.application.0),
        message,
        claim: None,
    }
}

impl crate::Identified for Client {
    fn id(&self) -> Id {
        self.id.0
    }
}

impl crate::Identified for Authorization {
    fn id(&self) -> Id {
        self.id.0
    }
}

impl crate::Identified for Connection {
    fn id(&self) -> Id {
        self.id.0
    }
}
