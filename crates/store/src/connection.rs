//! OAuth: registrations, flows, and what came of them.

pub(crate) mod row;

use ringback_domain::{
    id::{AuthorizationId, ConnectionId, Id, Key, OauthClientId},
    message::Origin,
    oauth::{Authorization, Client, Connection, authorization, connection, told},
    scope::Reference,
    time::Timestamp,
};

use crate::{
    Answer, Append, BoxFuture, Found, Keeping, Listed, NewMessage, Notified, Page, ReadError,
    Unavailable, WriteError,
};

use self::row::Cell;

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
    /// [`WriteError::NotFound`] if the application is not there, [`WriteError::Repeated`] if another
    /// request with the same claim was answered: so of all of these.
    fn create_oauth_client(
        &self,
        client: Client,
        answer: Option<Answer>,
    ) -> BoxFuture<'_, Result<(), WriteError>>;

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
        answer: Option<Answer>,
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
        answer: Option<Answer>,
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

/// What is wanted on a page, as the queries number it.
pub(crate) struct Filter<'a> {
    /// The column whose index the page goes through; none goes through the whole environment.
    pub(crate) column: Option<&'static str>,
    /// What is wanted in that column.
    pub(crate) wanted: Cell<'a>,
    /// The other conditions.
    pub(crate) others: Vec<Cell<'a>>,
    /// Whether so few may be wanted that a page has to end before it is full.
    pub(crate) is_narrow: bool,
}

impl OauthClientQuery {
    pub(crate) fn filter(&self) -> Filter<'_> {
        Filter {
            column: self.application.map(|_| "application"),
            wanted: Cell::Number(self.application),
            others: vec![row::optional(self.provider.as_deref())],
            is_narrow: false,
        }
    }
}

impl AuthorizationQuery {
    pub(crate) fn filter(&self) -> Filter<'_> {
        let stages: Vec<i64> = self.stages.iter().map(|stage| stage.number()).collect();
        let stages = if stages.is_empty() { Cell::Text(None) } else { row::json(&stages) };
        let user_ref = self.user_ref.as_deref();
        let (column, wanted) = through(user_ref, self.client, self.application);
        Filter {
            is_narrow: column.is_some() || !self.stages.is_empty(),
            column,
            wanted,
            others: vec![
                Cell::Number(self.application),
                Cell::Number(self.client),
                stages,
                row::time(Some(self.now)),
            ],
        }
    }
}

impl ConnectionQuery {
    pub(crate) fn filter(&self) -> Filter<'_> {
        let ConnectionQuery { provider, account, state, label, .. } = self;
        let (column, wanted) = through(self.user_ref.as_deref(), self.client, self.application);
        let any = provider.is_some() || account.is_some() || state.is_some() || label.is_some();
        let label = label.as_ref();
        Filter {
            is_narrow: column.is_some() || any,
            column,
            wanted,
            others: vec![
                Cell::Number(self.application),
                Cell::Number(self.client),
                row::optional(provider.as_deref()),
                row::optional(account.as_deref()),
                Cell::Number(state.map(connection::State::number)),
                row::optional(label.map(|(name, _)| name.as_str())),
                row::optional(label.map(|(_, value)| value.as_str())),
            ],
        }
    }
}

/// The column that leaves the fewest, and what is wanted there.
fn through(
    user_ref: Option<&str>,
    client: Option<Key>,
    application: Option<Key>,
) -> (Option<&'static str>, Cell<'_>) {
    match (user_ref, client, application) {
        (Some(_), ..) => (Some("user_ref"), row::optional(user_ref)),
        (None, Some(_), _) => (Some("client"), Cell::Number(client)),
        (None, None, Some(_)) => (Some("application"), Cell::Number(application)),
        (None, None, None) => (None, Cell::Number(None)),
    }
}

/// What a step of a flow changes, worked out before anything is written.
pub(crate) struct Worked {
    /// Without the messages.
    pub(crate) stepped: AuthorizationStepped,
    /// Whether the flow is another than before.
    pub(crate) is_changed: bool,
    /// Whether the connection is a new one.
    pub(crate) is_new: bool,
    pub(crate) message: Option<Append>,
}

impl AuthorizationStep {
    /// The step as it changes `stored`. `kept` is what is there with the id of its connection.
    pub(crate) fn work(
        self,
        stored: Authorization,
        kept: Option<Connection>,
    ) -> Result<Worked, WriteError> {
        let AuthorizationStep { act, connection, keeping, now, .. } = self;
        let before = stored.clone().at(now);
        let (authorization, verdict) = before.clone().act(&act, now);
        // Also where only a deadline has passed meanwhile.
        let is_changed = authorization != stored;
        let is_new = kept.is_none();
        let connection = connection.filter(|_| verdict == authorization::Verdict::Taken);
        let came = connection.map(|new| granted(&before, new, kept, now)).transpose()?;
        let message =
            came.as_ref().map(|(connection, change)| message(connection, *change, keeping, now));
        let connection = came.map(|(connection, _)| connection);
        let told = Vec::new();
        let stepped = AuthorizationStepped { before, authorization, verdict, connection, told };
        Ok(Worked { stepped, is_changed, is_new, message })
    }
}

impl ConnectionStep {
    /// The step as it changes `stored`, without the messages, and what is told.
    pub(crate) fn work(self, stored: Connection) -> (ConnectionStepped, Option<Append>) {
        let ConnectionStep { act, keeping, now, .. } = self;
        let (connection, verdict, change) = stored.act(act, now);
        let told = change.map(|change| message(&connection, Some(change), keeping, now));
        (ConnectionStepped { connection, verdict, told: Vec::new() }, told)
    }
}

impl AuthorizationStepped {
    /// Whether something is another than before.
    pub(crate) fn is_change(&self) -> bool {
        self.authorization != self.before || self.connection.is_some()
    }
}

impl ConnectionStepped {
    /// Whether something may be another than before.
    pub(crate) fn is_change(&self) -> bool {
        matches!(self.verdict, connection::Verdict::Taken | connection::Verdict::TakenOver)
    }
}

/// The connection that comes of a flow: `new`, or the one that is there with the new grant.
fn granted(
    flow: &Authorization,
    new: Connection,
    kept: Option<Connection>,
    now: Timestamp,
) -> Result<(Connection, Option<connection::Change>), WriteError> {
    let is_ours = |it: &Connection| it.scope == flow.scope && it.client == flow.client;
    match kept {
        Some(kept) if is_ours(&kept) => {
            let (connection, _, change) = kept.act(connection::Act::Grant(new.grant), now);
            Ok((connection, change))
        }
        // One that was to be authorized anew and is gone stays so.
        None if is_ours(&new) && flow.connection != Some(new.id) => Ok((new, None)),
        _ => Err(WriteError::NotFound("connection")),
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
        ordering_key: Some(connection.id.to_string()),
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
