//! Known answers: the requests that a file makes of a made-up client, and what is read from answers as
//! the provider's documentation shows them.
//!
//! They are in each file, and [`Example::differences`] follows them, so that a change of a file or of
//! the code that breaks one does not go unnoticed.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::{Endpoints, For, Given, Provider, requests::Proofs};
use crate::{
    oauth::{
        Ask,
        metadata::Metadata,
        pkce,
        subscribe::Wanted,
        token::{self, Grant},
    },
    time::Timestamp,
};

/// The client of every example. Its secrets look made up, as they are.
pub mod made_up {
    /// `client_id`.
    pub const CLIENT: &str = "made-up-client";
    /// `client_secret`.
    pub const SECRET: &str = "made-up-secret";
    /// `redirect_uri`.
    pub const REDIRECT: &str = "https://ringback.example.com/oauth/callback/made-up";
    /// `state`.
    pub const STATE: &str = "made-up-state";
    /// `nonce`.
    pub const NONCE: &str = "made-up-nonce";
    /// `code`.
    pub const CODE: &str = "made-up-code";
    /// `code_verifier`: the one that is published (RFC 7636, appendix B).
    pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    /// An access token.
    pub const ACCESS: &str = "made-up-access";
    /// A refresh token.
    pub const REFRESH: &str = "made-up-refresh";
    /// The URL of a source.
    pub const SOURCE: &str = "https://ringback.example.com/in/made-up";
    /// What signs its messages.
    pub const SIGNING: &str = "made-up-signing-secret";
}

/// A known answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Names it.
    pub name: String,
    /// Those of the client.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// What discovery finds.
    metadata: Option<String>,
    /// What is asked for; without it, what the file says.
    #[serde(default)]
    scopes: Vec<String>,
    /// The URL that the browser is sent to.
    authorize: Option<String>,
    /// The request for tokens.
    token: Option<String>,
    /// What is answered to it.
    answer: Option<String>,
    /// What is read from that.
    read: Option<Read>,
    /// The request with a refresh token.
    refresh: Option<String>,
    /// The request that ends the grant.
    revoke: Option<String>,
    /// The request that says who granted.
    account: Option<String>,
    /// What is answered to it, or the claims of an ID token.
    account_answer: Option<String>,
    /// The query that the browser comes back with.
    callback: Option<String>,
    /// When it does, in seconds since 1970.
    #[serde(default)]
    at: i64,
    /// Whether that is proven.
    proven: Option<bool>,
    /// What is kept of the connection, for requests that name it.
    #[serde(default)]
    kept: BTreeMap<String, String>,
    /// A webhook that is registered.
    #[serde(default, rename = "subscription")]
    subscriptions: Vec<Subscribed>,
}

/// What is read from an answer with tokens.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Read {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<u64>,
    scopes: Option<Vec<String>>,
    id_token: Option<String>,
    kept: BTreeMap<String, Value>,
    account: Option<String>,
    account_name: Option<String>,
    /// Why there are none, in the provider's word.
    refused: Option<String>,
}

/// A webhook that is registered and removed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscribed {
    #[serde(default)]
    target: BTreeMap<String, String>,
    #[serde(default)]
    events: Vec<String>,
    create: Vec<String>,
    #[serde(default = "created")]
    status: u16,
    answer: String,
    /// What the provider calls it; none if it refuses.
    id: Option<String>,
    secret: Option<String>,
    /// What stands in the way.
    refused: Option<String>,
    delete: Option<String>,
}

fn created() -> u16 {
    201
}

impl Example {
    /// Whether it shows what `part` is of.
    pub fn shows(&self, part: Part) -> bool {
        match part {
            Part::Authorize => self.authorize.is_some(),
            Part::Token => self.token.is_some() && self.read.is_some(),
            Part::Refresh => self.refresh.is_some(),
            Part::Revoke => self.revoke.is_some(),
            Part::Subscription => !self.subscriptions.is_empty(),
            Part::Unproven => self.proven == Some(false),
        }
    }

    /// In what the file differs from it: empty if it is as it should be.
    pub fn differences(&self, provider: &Provider) -> Vec<String> {
        let mut differences = Vec::new();
        if let Err(problem) = self.follow(provider, &mut differences) {
            differences.push(problem);
        }
        differences
    }

    fn follow(&self, provider: &Provider, differ: &mut Vec<String>) -> Result<(), String> {
        let metadata = match (&self.metadata, provider.discovered_from(&self.settings)) {
            (Some(json), Some(issuer)) => {
                Some(Metadata::parse(&issuer, json).map_err(|error| error.to_string())?)
            }
            _ => None,
        };
        let endpoints = provider
            .resolve(&self.settings, metadata.as_ref())
            .map_err(|problems| format!("it cannot be resolved: {}", problems[0]))?;
        let settings = provider.settings(&self.settings).unwrap_or_default();
        let kept = self.kept.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let given = Given::new(&settings).client(made_up::CLIENT, Some(made_up::SECRET)).kept(kept);
        self.asking(provider, &endpoints, &given, differ)?;
        self.answering(provider, differ);
        if let Some(query) = &self.callback {
            let proven = provider.proven(query, &given, Timestamp(self.at * 1_000));
            if self.proven.is_some_and(|expected| expected != proven.is_ok()) {
                differ.push(format!("the callback: {proven:?}"));
            }
        }
        self.subscriptions.iter().try_for_each(|one| one.follow(provider, &given, differ))
    }

    /// The requests of a flow.
    fn asking(
        &self,
        provider: &Provider,
        endpoints: &Endpoints,
        given: &Given,
        differ: &mut Vec<String>,
    ) -> Result<(), String> {
        let challenge = pkce::challenge(made_up::VERIFIER).map_err(|error| error.to_string())?;
        if let (Some(expected), Some(authorize)) = (&self.authorize, &endpoints.authorize) {
            let proofs = Proofs { challenge: &challenge, nonce: made_up::NONCE };
            let request = provider.request(
                endpoints,
                made_up::CLIENT,
                made_up::REDIRECT,
                &self.scopes,
                made_up::STATE,
                proofs,
            );
            compare("authorize", expected, &request.url(authorize), differ);
        }
        let auth = provider
            .auth()
            .with(made_up::CLIENT, Some(made_up::SECRET))
            .ok_or("its clients have no secret")?;
        let verifier = endpoints.pkce.then_some(made_up::VERIFIER);
        let code = Grant::Code { code: made_up::CODE, redirect_uri: made_up::REDIRECT, verifier };
        let refresh = Grant::Refresh { refresh_token: made_up::REFRESH, scope: None };
        for (place, expected, url, grant, purpose) in [
            ("token", &self.token, &endpoints.token, code, For::Code),
            ("refresh", &self.refresh, &endpoints.refresh, refresh, For::Refresh),
        ] {
            let Some(expected) = expected else { continue };
            let ask = token::ask(url, &auth, &grant, &provider.quirks(endpoints, purpose));
            compare(place, expected, &written(&ask), differ);
        }
        let refresh = Some(made_up::REFRESH).filter(|_| provider.refresh.none.is_none());
        let revoke = provider.revocation(endpoints, &auth, made_up::ACCESS, refresh, given);
        let account = provider.account_request(endpoints, made_up::ACCESS, given);
        for (place, expected, ask) in
            [("revoke", &self.revoke, revoke), ("account", &self.account, account)]
        {
            let Some(expected) = expected else { continue };
            let ask = ask.ok_or_else(|| format!("{place}: there is no such request"))?;
            let ask = ask.map_err(|unmade| format!("{place}: {unmade}"))?;
            compare(place, expected, &written(&ask), differ);
        }
        Ok(())
    }

    /// What is read from answers.
    fn answering(&self, provider: &Provider, differ: &mut Vec<String>) {
        let told = |text: &Option<String>| -> Value {
            text.as_ref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
        };
        let mut found = Read::default();
        let mut said = told(&self.account_answer);
        if let Some(answer) = &self.answer {
            match provider.tokens(200, None, answer.as_bytes()) {
                Ok(tokens) => {
                    if self.account_answer.is_none() {
                        said = Value::Object(tokens.extra.clone());
                    }
                    found = Read {
                        access_token: tokens.access_token.to_string(),
                        refresh_token: tokens.refresh_token.as_ref().map(|it| it.to_string()),
                        expires_in: tokens.expires_in,
                        scopes: tokens.scope.clone(),
                        id_token: tokens.id_token.as_ref().map(|it| it.to_string()),
                        kept: tokens.extra.into_iter().collect(),
                        ..Read::default()
                    };
                }
                Err(error) => found.refused = Some(refusal(error)),
            }
        }
        let who = provider.who(&said);
        (found.account, found.account_name) = (who.id, who.name);
        if let Some(expected) = &self.read
            && *expected != found
        {
            differ.push(format!("read: {found:?} instead of {expected:?}"));
        }
    }
}

fn refusal(error: token::TokenError) -> String {
    match error {
        token::TokenError::Refused { error, .. } => error,
        other => other.to_string(),
    }
}

impl Subscribed {
    fn follow(
        &self,
        provider: &Provider,
        given: &Given,
        differ: &mut Vec<String>,
    ) -> Result<(), String> {
        let given = given.clone().tokens(made_up::ACCESS, None);
        let wanted = Wanted {
            target: &self.target,
            events: &self.events,
            url: made_up::SOURCE,
            secret: Some(made_up::SIGNING),
        };
        let said = |error: super::super::subscribe::NoRequest| error.to_string();
        let one = provider.subscription(&self.target).map_err(said)?;
        let made = one.create(&given, &wanted).map_err(said)?;
        if made.len() != self.create.len() {
            differ.push(format!("subscription: {} requests", made.len()));
        }
        for (expected, made) in self.create.iter().zip(&made) {
            compare("subscription.create", expected, &written(&made.ask), differ);
        }
        let created = one.created(self.status, self.answer.as_bytes());
        let refused = created.as_ref().err().map(ToString::to_string);
        let created = created.ok();
        let found = (
            created.as_ref().map(|it| it.id.clone()),
            created.as_ref().and_then(|it| it.secret.as_ref().map(|secret| secret.to_string())),
            refused,
        );
        let expected = (self.id.clone(), self.secret.clone(), self.refused.clone());
        if found != expected {
            differ.push(format!("subscription: {found:?} instead of {expected:?}"));
        }
        if let (Some(expected), Some(id)) = (&self.delete, &self.id) {
            let ask = one.delete(&given, &self.target, id).map_err(said)?;
            compare("subscription.delete", expected, &written(&ask), differ);
        }
        Ok(())
    }
}

/// What an example can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The URL that a browser is sent to.
    Authorize,
    /// A request for tokens and what is read from its answer.
    Token,
    /// A request with a refresh token.
    Refresh,
    /// A request that ends a grant.
    Revoke,
    /// A webhook that is registered.
    Subscription,
    /// A callback that proves nothing.
    Unproven,
}

/// A request as files write it: method and URL, headers, an empty line, the body.
pub fn written(ask: &Ask) -> String {
    let mut text = format!("{} {}\n", ask.method, ask.url);
    for (name, value) in &ask.headers {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    }
    if !ask.body.is_empty() {
        let _ = write!(text, "\n{}", String::from_utf8_lossy(&ask.body));
    }
    text
}

/// Two requests or URLs, in which the order of headers and fields has no meaning.
fn compare(place: &str, expected: &str, found: &str, differ: &mut Vec<String>) {
    if ordered(expected) != ordered(found) {
        differ.push(format!("{place}:\n{found}\ninstead of\n{expected}"));
    }
}

fn ordered(text: &str) -> (String, Vec<(String, String)>, Vec<String>, Value) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.trim().lines();
    let (place, query) = lines.next().and_then(|line| line.split_once('?')).unwrap_or((head, ""));
    let mut headers: Vec<String> = lines.map(str::to_owned).collect();
    headers.sort_unstable();
    let json: Option<Value> = serde_json::from_str(body).ok();
    let form = if json.is_some() { "" } else { body.trim() };
    let place = place.lines().next().unwrap_or_default().to_owned();
    let query = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (format!("query {name}"), value.into_owned()));
    let form = form_urlencoded::parse(form.as_bytes()).into_owned();
    let mut fields: Vec<(String, String)> = query.chain(form).collect();
    fields.sort_unstable();
    (place, fields, headers, json.unwrap_or_default())
}
