//! A request that a file describes: to end a token, to ask who somebody is, to register a webhook.

use std::{collections::BTreeMap, fmt};

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

use super::endpoints::{NoUrl, checked_url};
use crate::{
    oauth::{Ask, ask},
    provider::{Request, Settings, Template, Values},
};

/// What stands for all events of a subscription: the text, or the name of a field, as a whole.
pub(in crate::oauth) const EVENTS: &str = "{subscription.events}";

/// A request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    #[serde(default)]
    method: Method,
    url: Template,
    #[serde(default)]
    headers: BTreeMap<String, Template>,
    /// Name and password of HTTP Basic.
    basic: Option<[Template; 2]>,
    json: Option<Filling>,
    form: Option<BTreeMap<String, Filling>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    Get,
    #[default]
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// JSON whose texts are templates.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Value")]
enum Filling {
    Text(Template),
    /// [`EVENTS`]: a list.
    Events,
    /// A number, a boolean, or null.
    Plain(Value),
    List(Vec<Filling>),
    /// A field that is called [`EVENTS`] becomes one of each event.
    Object(BTreeMap<String, Filling>),
}

impl TryFrom<Value> for Filling {
    type Error = String;

    fn try_from(value: Value) -> Result<Filling, String> {
        Ok(match value {
            Value::String(text) if text == EVENTS => Filling::Events,
            Value::String(text) => {
                Filling::Text(Template::parse(&text).map_err(|mistake| mistake.to_string())?)
            }
            Value::Array(items) => {
                Filling::List(items.into_iter().map(Filling::try_from).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => Filling::Object(
                fields
                    .into_iter()
                    .map(|(name, value)| Ok((name, Filling::try_from(value)?)))
                    .collect::<Result<_, String>>()?,
            ),
            plain => Filling::Plain(plain),
        })
    }
}

/// What the templates of a file are filled from.
#[derive(Clone, Default)]
pub struct Given {
    settings: Settings,
    /// Whole names, such as `client.secret`.
    values: Vec<(String, Vec<u8>)>,
    events: Vec<String>,
}

/// Why a request cannot be made; repeats no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmade {
    /// Something is missing.
    #[error("{0} is missing")]
    Missing(String),
    /// What was put together is no URL of the form that is dialed.
    #[error("its url {0}")]
    Url(NoUrl),
}

impl Given {
    /// The settings of a client, with defaults for what it does not say.
    pub fn new(settings: &BTreeMap<String, String>) -> Given {
        let mut given = Given::default();
        for (name, value) in settings {
            given.settings.set(name.clone(), vec![value.clone()]);
        }
        given
    }

    /// With the client that asks: `{client.id}` and `{client.secret}`.
    #[must_use]
    pub fn client(self, id: &str, secret: Option<&str>) -> Given {
        let given = self.with("client.id", id);
        match secret {
            Some(secret) => given.with("client.secret", secret),
            None => given,
        }
    }

    /// With the tokens of a connection: `{token.access}` and `{token.refresh}`.
    #[must_use]
    pub fn tokens(self, access: &str, refresh: Option<&str>) -> Given {
        let given = self.with("token.access", access);
        match refresh {
            Some(refresh) => given.with("token.refresh", refresh),
            None => given,
        }
    }

    /// With what is kept of the answer with the tokens and of what the browser brought, as files name
    /// it: `{kept.stripe_user_id}`.
    #[must_use]
    pub fn kept<'a>(mut self, kept: impl IntoIterator<Item = (&'a str, &'a str)>) -> Given {
        for (name, value) in kept {
            self = self.with(&format!("kept.{name}"), value);
        }
        self
    }

    /// With a value of this whole name.
    #[must_use]
    pub(in crate::oauth) fn with(mut self, name: &str, value: &str) -> Given {
        self.values.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// With the events of a subscription.
    #[must_use]
    pub(in crate::oauth) fn events(mut self, events: &[String]) -> Given {
        self.events = events.to_vec();
        self
    }

    /// Calls `fill` with what templates are filled from. A request is none of it.
    pub(super) fn filling<R>(&self, fill: impl FnOnce(&Values<'_>) -> R) -> R {
        let request = Request::new("GET", "", &[], b"");
        fill(&Values { request: &request, settings: &self.settings, callback: &self.values })
    }

    /// The text of a template.
    pub(super) fn text(&self, template: &Template) -> Result<String, Unmade> {
        self.filling(|values| template.filled(values)).map_err(Unmade::Missing)
    }

    /// The URL that a template makes, in which whatever comes from no setting is percent-encoded.
    pub(super) fn url(&self, template: &Template) -> Result<String, Unmade> {
        let url = self.filling(|values| template.filled_url(values)).map_err(Unmade::Missing)?;
        checked_url(&url).map_err(Unmade::Url)?;
        Ok(url)
    }

    /// Names and texts, without those that are empty.
    pub(super) fn fields(
        &self,
        templates: &BTreeMap<String, Template>,
    ) -> Result<Vec<(String, String)>, Unmade> {
        let mut fields = Vec::new();
        for (name, template) in templates {
            let text = self.text(template)?;
            if !text.is_empty() {
                fields.push((name.clone(), text));
            }
        }
        Ok(fields)
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        self.values.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

impl fmt::Debug for Given {
    /// Without values: there are secrets among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values.iter().map(|(name, _)| name)).finish()
    }
}

impl Call {
    /// The request.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub fn ask(&self, given: &Given) -> Result<Ask, Unmade> {
        let (content_type, body) = match (&self.json, &self.form) {
            (Some(json), _) => {
                (Some("application/json"), json.filled(given)?.to_string().into_bytes())
            }
            (None, Some(form)) => {
                (Some("application/x-www-form-urlencoded"), written(form, given)?.into_bytes())
            }
            (None, None) => (None, Vec::new()),
        };
        let (method, url) = (self.method.as_str(), given.url(&self.url)?);
        let mut ask = Ask { method, url, headers: Vec::new(), body };
        ask = ask.with("accept", "application/json");
        if let Some(kind) = content_type {
            ask = ask.with("content-type", kind);
        }
        for (name, value) in given.fields(&self.headers)? {
            ask = ask.with(&name, value);
        }
        if let Some([name, password]) = &self.basic {
            let pair = Zeroizing::new(format!("{}:{}", given.text(name)?, given.text(password)?));
            ask = ask.with("authorization", format!("Basic {}", BASE64.encode(pair.as_bytes())));
        }
        Ok(ask)
    }

    /// The template of the URL.
    pub(super) fn url(&self) -> &Template {
        &self.url
    }

    /// What is wrong with it beside its templates.
    pub(super) fn mistake(&self) -> Option<&'static str> {
        let is_flat = |value: &Filling| !matches!(value, Filling::List(_) | Filling::Object(_));
        let form_is_flat = self.form.iter().flatten().all(|(_, value)| is_flat(value));
        if self.json.is_some() && self.form.is_some() {
            return Some("takes one of `json` and `form`");
        }
        (!form_is_flat).then_some("has a list or a table in its `form`")
    }

    /// Every template of it.
    pub(in crate::oauth) fn templates(&self) -> Vec<&Template> {
        let mut all: Vec<&Template> = vec![&self.url];
        all.extend(self.headers.values().chain(self.basic.iter().flatten()));
        let fillings = self.json.iter().chain(self.form.iter().flat_map(BTreeMap::values));
        fillings.for_each(|filling| filling.templates(&mut all));
        all
    }
}

/// A form, in which a list is a name that repeats.
fn written(form: &BTreeMap<String, Filling>, given: &Given) -> Result<String, Unmade> {
    let mut fields = Vec::new();
    for (name, value) in form {
        match value.filled(given)? {
            Value::Array(_) => fields.extend(given.events.iter().map(|it| (name, it.clone()))),
            Value::String(text) => fields.push((name, text)),
            plain => fields.push((name, plain.to_string())),
        }
    }
    let pairs: Vec<_> = fields.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Ok(ask::form(&pairs))
}

impl Filling {
    fn filled(&self, given: &Given) -> Result<Value, Unmade> {
        Ok(match self {
            Filling::Text(template) => Value::String(given.text(template)?),
            Filling::Events => Value::from(given.events.clone()),
            Filling::Plain(value) => value.clone(),
            Filling::List(items) => {
                Value::Array(items.iter().map(|item| item.filled(given)).collect::<Result<_, _>>()?)
            }
            Filling::Object(fields) => {
                let mut object = Map::new();
                for (name, value) in fields {
                    let value = value.filled(given)?;
                    if name == EVENTS {
                        let all = given.events.iter().map(|event| (event.clone(), value.clone()));
                        object.extend(all);
                    } else {
                        object.insert(name.clone(), value);
                    }
                }
                Value::Object(object)
            }
        })
    }

    fn templates<'a>(&'a self, all: &mut Vec<&'a Template>) {
        match self {
            Filling::Text(template) => all.push(template),
            Filling::List(items) => items.iter().for_each(|item| item.templates(all)),
            Filling::Object(fields) => fields.values().for_each(|value| value.templates(all)),
            Filling::Events | Filling::Plain(_) => {}
        }
    }
}
