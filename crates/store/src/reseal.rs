//! What is sealed, wherever it is, for whoever replaces the key that sealed it.

use ringback_domain::{id::Key, time::Timestamp};

use crate::{BoxFuture, Unavailable};

/// Walking everything that is sealed, and sealing it anew.
///
/// The store knows where sealed values are and whose they are, and nothing of what they hold. A walk
/// goes through one kind after the other in pages that cost the same however much there is; a value
/// that is written meanwhile was sealed with the key that seals now, so no walk has to find it.
pub trait Reseal {
    /// A page of the sealed values of a kind.
    fn sealed_values(
        &self,
        walk: SealedWalk,
    ) -> BoxFuture<'_, Result<Vec<SealedValue>, Unavailable>>;

    /// Replaces values that are still what they were; what was changed meanwhile stays as it is.
    /// Returns how many it replaced.
    fn reseal(
        &self,
        kind: SealedKind,
        values: Vec<Resealed>,
    ) -> BoxFuture<'_, Result<usize, Unavailable>>;

    /// How many answers to repeated requests begin with these bytes that are still to be given at
    /// `now`. They are not resealed: they end by themselves within a day.
    fn sealed_answers(
        &self,
        head: Vec<u8>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<u64, Unavailable>>;
}

/// What is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SealedKind {
    /// What the first start has sealed.
    Canary,
    /// An endpoint's signing secret.
    EndpointSecret,
    /// An endpoint's own headers.
    EndpointHeaders,
    /// The credentials of an endpoint's URL.
    EndpointCredentials,
    /// What is made of an endpoint's messages.
    EndpointTransformation,
    /// What opens an endpoint.
    EndpointAccess,
    /// The settings of a source.
    SourceSettings,
    /// The token of a source's URL.
    SourceToken,
    /// The token of a source's event stream.
    SourceStream,
    /// The headers of a request that may be taken later, as text. What is sealed stands among them.
    RequestHeaders,
    /// The secrets of a callback.
    CallbackSecrets,
    /// What is to be done for a callback.
    CallbackErrand,
    /// The secrets of an OAuth client.
    OauthClient,
    /// What a browser brought back from an OAuth provider.
    OauthAuthorization,
    /// The tokens of an OAuth connection.
    OauthConnection,
}

impl SealedKind {
    /// Every kind.
    pub const ALL: [SealedKind; 15] = [
        SealedKind::Canary,
        SealedKind::EndpointSecret,
        SealedKind::EndpointHeaders,
        SealedKind::EndpointCredentials,
        SealedKind::EndpointTransformation,
        SealedKind::EndpointAccess,
        SealedKind::SourceSettings,
        SealedKind::SourceToken,
        SealedKind::SourceStream,
        SealedKind::RequestHeaders,
        SealedKind::CallbackSecrets,
        SealedKind::CallbackErrand,
        SealedKind::OauthClient,
        SealedKind::OauthAuthorization,
        SealedKind::OauthConnection,
    ];
}

/// Where a value is among those of its kind; growing along a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealedPlace(pub(crate) [Key; 3]);

impl SealedPlace {
    /// Before all.
    pub const START: SealedPlace = SealedPlace([-1, -1, -1]);
}

/// A page of a walk.
#[derive(Clone, Copy, Debug)]
pub struct SealedWalk {
    /// Through what.
    pub kind: SealedKind,
    /// Where it has come.
    pub after: SealedPlace,
    /// At most this many values.
    pub limit: usize,
    /// At most this many bytes of each; text comes whole.
    pub bytes: usize,
}

/// A sealed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedValue {
    /// Where it is.
    pub place: SealedPlace,
    /// Of which environment.
    pub environment: Key,
    /// The row key of what owns it.
    pub owner: Key,
    /// It.
    pub value: Vec<u8>,
}

/// A value that was sealed anew.
#[derive(Clone, Debug)]
pub struct Resealed {
    /// Where it is.
    pub place: SealedPlace,
    /// What it was.
    pub before: Vec<u8>,
    /// What it is to be.
    pub after: Vec<u8>,
}

/// Where the values of a kind are that have one key each.
pub(crate) struct Column {
    table: &'static str,
    from: &'static str,
    key: &'static str,
    environment: &'static str,
    owner: &'static str,
    value: &'static str,
}

impl Column {
    /// None for the headers of requests, whose table is another one in each store.
    pub(crate) fn of(kind: SealedKind) -> Option<Column> {
        let own = |table, value| Column {
            table,
            from: table,
            key: "key",
            environment: "environment",
            owner: "key",
            value,
        };
        Some(match kind {
            SealedKind::Canary => Column {
                from: "(SELECT 0 AS key, 0 AS environment, value FROM meta \
                       WHERE name = 'sealing-key') AS canary",
                ..own("meta", "value")
            },
            SealedKind::EndpointSecret => Column {
                from: "endpoint_secret JOIN endpoint ON endpoint.key = endpoint_secret.endpoint",
                key: "endpoint_secret.key",
                environment: "endpoint.environment",
                owner: "endpoint_secret.endpoint",
                ..own("endpoint_secret", "sealed")
            },
            SealedKind::EndpointHeaders => own("endpoint", "headers"),
            SealedKind::EndpointCredentials => own("endpoint", "credentials"),
            SealedKind::EndpointTransformation => own("endpoint", "transformation"),
            SealedKind::EndpointAccess => own("endpoint", "access"),
            SealedKind::SourceSettings => own("source", "settings"),
            SealedKind::SourceToken => own("source", "token"),
            SealedKind::SourceStream => Column {
                from: "source_stream JOIN source ON source.key = source_stream.source",
                key: "source_stream.source",
                environment: "source.environment",
                owner: "source_stream.source",
                ..own("source_stream", "sealed")
            },
            SealedKind::RequestHeaders => return None,
            SealedKind::CallbackSecrets => own("callback", "sealed"),
            SealedKind::CallbackErrand => Column {
                from: "callback_errand JOIN callback ON callback.key = callback_errand.callback",
                key: "callback_errand.callback",
                environment: "callback.environment",
                owner: "callback_errand.callback",
                ..own("callback_errand", "work")
            },
            SealedKind::OauthClient => own("oauth_client", "sealed"),
            SealedKind::OauthAuthorization => own("oauth_authorization", "sealed"),
            SealedKind::OauthConnection => own("oauth_connection", "sealed"),
        })
    }

    /// A statement with the names filled in.
    pub(crate) fn sql(&self, template: &str) -> String {
        // There is one canary, which is found by what it is.
        let own_key = match self.table {
            "meta" => "0",
            _ => self.key,
        };
        template
            .replace("{table}", self.table)
            .replace("{own_key}", own_key)
            .replace("{from}", self.from)
            .replace("{key}", self.key)
            .replace("{environment}", self.environment)
            .replace("{owner}", self.owner)
            .replace("{value}", self.value)
    }
}
