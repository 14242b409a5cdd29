//! How a provider's webhook is registered, and removed, with a connection's token: data in the
//! provider's file, and requests made of it.
//!
//! ```text
//!  target: { repository = "acme/shop" } ──► create ──► the provider ──► id (and perhaps the secret)
//!                                                        └─► its messages come to the source
//!                                            delete ◄── id
//! ```

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    Ask,
    provider::{Call, Given, Provider, Unmade, found, whole_pattern},
};

/// The longest id of a webhook that is kept, in bytes.
const LONGEST: usize = 256;

/// How one kind of webhook is registered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// The providers of webhooks of which the source that is called has to be: `github`.
    pub sources: Vec<String>,
    /// There is no interface for it: what a person does instead.
    pub manual: Option<String>,
    /// What of the provider's it is about.
    #[serde(default, rename = "target")]
    pub targets: Vec<Field>,
    /// What it tells when nobody says otherwise.
    #[serde(default)]
    pub events: Vec<String>,
    /// Whose the secret is that signs its messages.
    #[serde(default)]
    pub secret: Secret,
    /// Scopes that a connection needs for it.
    #[serde(default)]
    pub scopes: Vec<String>,
    create: Option<Call>,
    /// Where its id is in the answer: names joined by dots.
    #[serde(default)]
    id: String,
    delete: Option<Call>,
    exists: Option<Exists>,
    /// Where an answer of status 2xx says what is wrong: names joined by dots.
    error: Option<String>,
}

/// One thing that says what a webhook is about.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// `repository`.
    pub name: String,
    /// What it is.
    pub label: String,
    /// Its groups that have names are values of their own: `{target.owner}`.
    #[serde(deserialize_with = "whole_pattern")]
    pattern: Regex,
}

/// Whose the secret is that signs a webhook's messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Secret {
    /// The source's: it is sent along.
    #[default]
    Ours,
    /// The client's: the provider signs with the secret of the application.
    Client,
    /// The provider's, who says it in the answer: it has to become the source's. Names joined by dots.
    Answer(String),
}

/// What an answer looks like that says that there is such a webhook already.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exists {
    status: u16,
    /// What is in its body.
    text: String,
}

/// What is to be registered.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What it is about: `repository` and the like.
    pub target: &'a BTreeMap<String, String>,
    /// What it tells; empty for what the file says.
    pub events: &'a [String],
    /// The URL of the source.
    pub url: &'a str,
    /// The secret of the source, where it is sent along.
    pub secret: Option<&'a str>,
}

/// A request that registers a webhook, and what that one tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The request.
    pub ask: Ask,
    /// What the webhook tells: all events, or one where a provider takes no more at once.
    pub events: Vec<String>,
}

/// A webhook that was registered.
#[derive(Clone, PartialEq, Eq)]
pub struct Registered {
    /// What the provider calls it.
    pub id: String,
    /// The secret that signs its messages, if the provider made it.
    pub secret: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for Registered {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registered").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why no webhook can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRequest {
    /// Nothing of the provider's has a webhook with these fields.
    #[error("nothing with these fields has webhooks; it takes {0}")]
    Target(String),
    /// A field does not look like one; its name and what it is.
    #[error("`{0}` does not look like one: {1}")]
    Form(String, String),
    /// A person has to do it; the steps.
    #[error("it has to be done by hand: {0}")]
    Manual(String),
    /// It would tell nothing.
    #[error("no event is named")]
    Events,
    /// An event that is none: letters, digits and `_ - . : / *`.
    #[error("an event has letters, digits and _-.:/* only")]
    Event,
    /// The request lacks something.
    #[error(transparent)]
    Unmade(#[from] Unmade),
}

/// Why a webhook was not registered or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is one already.
    #[error("there is such a webhook already")]
    Exists,
    /// The token is not taken.
    #[error("the provider does not take the token")]
    Unauthorized,
    /// The token does not suffice, or there is no such thing: many providers do not say which.
    #[error("the token is not enough, or there is no such target")]
    Forbidden,
    /// It says that the request is wrong.
    #[error("the provider refuses it (status {0})")]
    Invalid(u16),
    /// It is away, or has enough for now: try again.
    #[error("the provider cannot do it now (status {0})")]
    Unavailable(u16),
    /// It answered what cannot be read.
    #[error("the provider's answer has no {0}")]
    Unreadable(&'static str),
}

impl Provider {
    /// The webhook that is about these fields.
    ///
    /// # Errors
    /// [`NoRequest::Target`]
    pub fn subscription(
        &self,
        target: &BTreeMap<String, String>,
    ) -> Result<&Subscription, NoRequest> {
        let fits = |one: &&Subscription| {
            one.targets.len() == target.len()
                && one.targets.iter().all(|field| target.contains_key(&field.name))
        };
        self.subscriptions.iter().find(fits).ok_or_else(|| {
            let names = |one: &Subscription| {
                let names: Vec<&str> = one.targets.iter().map(|it| it.name.as_str()).collect();
                if names.is_empty() { "no field".to_owned() } else { names.join(" and ") }
            };
            let all: Vec<String> = self.subscriptions.iter().map(names).collect();
            NoRequest::Target(if all.is_empty() { "none".to_owned() } else { all.join(", or ") })
        })
    }
}

impl Subscription {
    /// The requests that register what is wanted: one, or one of each event. `given` has the settings
    /// of the client, its id and secret, the tokens, and what is kept of the connection.
    ///
    /// # Errors
    /// [`NoRequest`]
    pub fn create(
        &self,
        given: &Given,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<Registration>, NoRequest> {
        let Some(create) = &self.create else {
            return Err(NoRequest::Manual(self.manual.clone().unwrap_or_default()));
        };
        let events = if wanted.events.is_empty() { &self.events } else { wanted.events };
        if events.is_empty() {
            return Err(NoRequest::Events);
        }
        if !events.iter().all(|event| is_event(event)) {
            return Err(NoRequest::Event);
        }
        let mut given = self.aimed(given.clone(), wanted.target)?.with(URL, wanted.url);
        if let Some(secret) = wanted.secret {
            given = given.with(SECRET, secret);
        }
        let takes_one = create.templates().iter().any(|it| it.names().any(|name| name == EVENT));
        let rounds: Vec<&[String]> =
            if takes_one { events.chunks(1).collect() } else { vec![events] };
        rounds
            .into_iter()
            .map(|events| {
                let given = given.clone().events(events).with(EVENT, &events.join(","));
                Ok(Registration { ask: create.ask(&given)?, events: events.to_vec() })
            })
            .collect()
    }

    /// What an answer to that says.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn created(&self, status: u16, body: &[u8]) -> Result<Registered, Refused> {
        if let Some(Exists { status: when, text }) = &self.exists
            && status == *when
            && String::from_utf8_lossy(body).contains(text.as_str())
        {
            return Err(Refused::Exists);
        }
        judged(status)?;
        let answer = serde_json::from_slice(body).map_err(|_| Refused::Unreadable("json"))?;
        if self.error.as_ref().is_some_and(|path| found(&answer, path).is_some()) {
            return Err(Refused::Invalid(status));
        }
        let id = found(&answer, &self.id).filter(|id| !id.is_empty() && id.len() <= LONGEST);
        let id = id.ok_or(Refused::Unreadable("id"))?;
        let secret = match &self.secret {
            Secret::Answer(path) => {
                let secret = found(&answer, path).map(Zeroizing::new);
                Some(secret.ok_or(Refused::Unreadable("secret"))?)
            }
            Secret::Ours | Secret::Client => None,
        };
        Ok(Registered { id, secret })
    }

    /// The request that removes a webhook.
    ///
    /// # Errors
    /// [`NoRequest`]
    pub fn delete(
        &self,
        given: &Given,
        target: &BTreeMap<String, String>,
        id: &str,
    ) -> Result<Ask, NoRequest> {
        let Some(delete) = &self.delete else {
            return Err(NoRequest::Manual(self.manual.clone().unwrap_or_default()));
        };
        let given = self.aimed(given.clone(), target)?.with(ID, id);
        Ok(delete.ask(&given)?)
    }

    /// What an answer to that says. What is not there is gone.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn deleted(&self, status: u16) -> Result<(), Refused> {
        match status {
            404 | 410 => Ok(()),
            other => judged(other),
        }
    }

    /// With the fields of a target, and the named parts of them.
    fn aimed(&self, given: Given, target: &BTreeMap<String, String>) -> Result<Given, NoRequest> {
        self.targets.iter().try_fold(given, |given, field| {
            let value = target.get(&field.name).map(String::as_str).unwrap_or_default();
            let wrong = || NoRequest::Form(field.name.clone(), field.label.clone());
            let parts = field.pattern.captures(value).ok_or_else(wrong)?;
            let named = field.pattern.capture_names().flatten();
            let given = given.with(&format!("{TARGET}{}", field.name), value);
            Ok(named.fold(given, |given, name| {
                let part = parts.name(name).map_or("", |part| part.as_str());
                given.with(&format!("{TARGET}{name}"), part)
            }))
        })
    }
}

/// What a status says where nothing else does.
fn judged(status: u16) -> Result<(), Refused> {
    match status {
        200..=299 => Ok(()),
        401 => Err(Refused::Unauthorized),
        403 | 404 => Err(Refused::Forbidden),
        429 | 500..=599 => Err(Refused::Unavailable(status)),
        _ => Err(Refused::Invalid(status)),
    }
}

/// Names of events stand in bodies of every form.
fn is_event(event: &str) -> bool {
    !event.is_empty()
        && event.len() <= LONGEST
        && event.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:/*".contains(&b))
}

const URL: &str = "subscription.url";
const SECRET: &str = "subscription.secret";
const EVENT: &str = "subscription.event";
const ID: &str = "subscription.id";
const TARGET: &str = "target.";

/// The requests of one.
pub(super) fn calls(subscription: &Subscription) -> impl Iterator<Item = &Call> {
    subscription.create.iter().chain(&subscription.delete)
}

/// What must hold in one; `call` checks a request that may name what it is given.
pub(super) fn check(
    subscription: &Subscription,
    say: &mut dyn FnMut(&str, String),
    call: impl Fn(&Call, &[&str], &mut dyn FnMut(&str, String)),
) {
    let Subscription { targets, create, delete, .. } = subscription;
    let place = "subscription";
    let mut names: Vec<String> =
        ["token.access", "client.id", "client.secret", "kept."].map(str::to_owned).to_vec();
    for field in targets {
        let parts = field.pattern.capture_names().flatten();
        let named = std::iter::once(field.name.as_str()).chain(parts);
        names.extend(named.map(|name| format!("{TARGET}{name}")));
    }
    let allowed = |more: &[&'static str]| -> Vec<String> {
        names.iter().cloned().chain(more.iter().map(|&name| name.to_owned())).collect()
    };
    for (one, more) in [(create, &[URL, SECRET, EVENT][..]), (delete, &[ID][..])] {
        let allowed = allowed(more);
        let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
        one.iter().for_each(|one| call(one, &allowed, say));
    }
    let mut unless = |holds: bool, message: &str| {
        if !holds {
            say(place, message.to_owned());
        }
    };
    unless(!subscription.sources.is_empty(), "needs the `sources` that it can call");
    let by_hand = subscription.manual.is_some();
    unless(create.is_some() != by_hand, "takes one of `create` and `manual`");
    unless(create.is_some() == delete.is_some(), "needs `delete` with `create`");
    unless(create.is_none() || !subscription.id.is_empty(), "needs `id` with `create`");
    unless(subscription.events.iter().all(|event| is_event(event)), "has an event that is none");
    let sends = create.iter().flat_map(Call::templates).any(|it| it.names().any(|n| n == SECRET));
    let ours = create.is_some() && subscription.secret == Secret::Ours;
    unless(sends == ours, "sends the secret if it is ours, and only then");
}
