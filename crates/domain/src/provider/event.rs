//! What a request says happened: its id, its type, and the items of a batch.

use super::definition::Provider;
use super::handshake::Reply;
use super::lookup;
use super::request::Request;
use super::settings::Settings;
use super::template::{Scope, Template};

/// The longest delivery id that is kept.
const MAX_ID: usize = 256;
/// The longest event type, as for messages that applications send.
const MAX_TYPE: usize = 256;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The provider's own id of this delivery, stable over its retries.
    pub id: Option<String>,
    /// The type, in the characters that event types may have.
    pub kind: Option<String>,
}

impl Event {
    /// The text as an event type: every character that no event type may have becomes `_`.
    pub fn type_of(text: &str) -> String {
        text.chars()
            .take(MAX_TYPE)
            .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
            .collect()
    }
}

/// One event of a batch, with the exact text it had in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its id and type.
    pub event: Event,
    /// Its JSON text.
    pub body: &'a str,
}

impl Provider {
    /// What a verified request says happened.
    ///
    /// `claims` are those of the token that proved it (see [`Provider::verify`]), as JSON text.
    pub fn event(&self, request: &Request<'_>, claims: Option<&str>) -> Event {
        let settings = Settings::new();
        let chosen = settings.newest();
        let scope = Scope { claims, ..Scope::new(request, &chosen) };
        event(&self.event.id, &self.event.kind, &scope)
    }

    /// The events of a batch, if this provider sends batches and this request is one.
    pub fn items<'a>(&self, request: &Request<'a>) -> Option<Vec<Item<'a>>> {
        let items = lookup::items(request.text()?, self.event.split.as_deref()?)?;
        let settings = Settings::new();
        let chosen = settings.newest();
        let read = |body: &'a str| {
            let scope = Scope { item: Some(body), ..Scope::new(request, &chosen) };
            Item { event: event(&self.event.item_id, &self.event.item_type, &scope), body }
        };
        Some(items.into_iter().map(read).collect())
    }

    /// Whether requests of this provider can hold several events.
    pub fn sends_batches(&self) -> bool {
        self.event.split.is_some()
    }

    /// The answer to an accepted request.
    pub fn acknowledgement(&self) -> Reply {
        let mut headers: Vec<(String, String)> =
            self.answer.headers.iter().map(|(n, v)| (n.to_ascii_lowercase(), v.clone())).collect();
        headers.extend(
            self.answer.content_type.iter().map(|v| ("content-type".to_owned(), v.clone())),
        );
        Reply { status: self.answer.status, headers, body: self.answer.body.clone().into_bytes() }
    }

    /// The answer to a request that was not verified.
    pub fn refusal(&self) -> Reply {
        Reply::empty(self.answer.refused)
    }
}

fn event(id: &[Template], kind: &[Template], scope: &Scope<'_>) -> Event {
    let id = Template::first(id, scope).filter(|id| id.len() <= MAX_ID);
    let kind = Template::first(kind, scope).map(|kind| Event::type_of(&kind));
    Event { id, kind }
}
