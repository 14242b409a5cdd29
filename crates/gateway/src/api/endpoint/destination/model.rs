//! Destinations as the API spells them, and what they ask for once that is checked.

use std::sync::Arc;

use ringback_domain::{
    application::Metadata,
    destination::{self, Kind, OnMissing},
    endpoint::{Endpoint, State},
    id::EndpointId,
    poll,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{
    super::model::{Fields, Place, Wanted},
    kinds::{self, Reach},
};
use crate::api::{error::Error, field::Problems, patch};

/// What the API calls a destination that is read.
const PULLED: &str = "pollingEndpoint";

/// A destination to create, what replaces one, or what changes of one: in a PATCH, what is absent
/// stays, and null clears.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct DestinationIn {
    /// Its kind, which `ringback destinations` lists; or `pollingEndpoint`, which nothing is sent to:
    /// its messages are read.
    #[serde(rename = "type")]
    #[schema(example = "slack")]
    pub(super) kind: Option<String>,
    /// The settings of its kind by their names. Beside them `fields`, what an event becomes, and
    /// `onMissing`, what becomes of an event that lacks something: `deadLetter` (it has failed; the
    /// default), `skip` or `retry`. Secrets that are left out of what replaces a destination stay.
    #[schema(value_type = Option<Object>,
        example = json!({"url": "https://hooks.slack.com/services/T0/B0/made-up",
            "fields": {"text": "Paid: {{ body.amount }}"}}))]
    pub(super) config: Option<Map<String, Value>>,
    /// Your own name for it, usable in every path.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>)]
    pub(super) uid: Option<Option<String>>,
    /// For people.
    pub(super) description: Option<String>,
    /// `enabled`, or `disabled`: it takes no messages for now.
    pub(super) status: Option<Status>,
    /// Only these event types; all if not given.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) event_types: Option<Option<Vec<String>>>,
    /// Only messages with one of these channels, at most 10; all if not given.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) channels: Option<Option<Vec<String>>>,
    /// Only messages with such content; `docs/filters.md` describes the language. The SDKs do not
    /// know it, so what replaces a destination without naming it keeps it.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Object>, example = json!({"body": {"amount": {"$gte": 100}}}))]
    pub(super) filter: Option<Option<Value>>,
    /// Messages a second, if fewer than the kind takes.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub(super) throttle_rate: Option<Option<u32>>,
    /// Your own labels.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub(super) metadata: Option<Metadata>,
    /// Only 1: every event is handed over by itself.
    #[schema(minimum = 1, maximum = 1)]
    pub(super) batch_size: Option<u32>,
    /// Only 0.
    #[schema(minimum = 0, maximum = 0)]
    pub(super) max_wait_secs: Option<u32>,
}

/// Whether it takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum Status {
    /// It does.
    Enabled,
    /// It does not for now.
    Disabled,
}

/// What makes an endpoint a destination.
#[derive(Clone)]
pub(super) enum Config {
    /// Events are handed over.
    Sent(Sent),
    /// Nothing is sent: whoever wants its messages reads them.
    Pulled,
}

/// What a destination is made with that events are handed over to.
#[derive(Clone)]
pub(super) struct Sent {
    /// Its kind.
    pub(super) kind: Arc<Kind>,
    /// What it is given, secrets included.
    pub(super) given: destination::Wanted,
}

impl DestinationIn {
    /// What a body asks for that describes a destination completely: a new one, or what replaces
    /// `former`, whose secrets it need not repeat.
    ///
    /// # Errors
    /// 422 with everything that is wrong.
    pub(super) fn complete(
        mut self,
        former: Option<&Config>,
        reach: Reach<'_>,
    ) -> Result<(Wanted, Config), Error> {
        let mut problems = Problems::of_body();
        let config = if self.is_pulled() {
            self.without_settings(&mut problems)
        } else {
            let kind = kinds::named(&mut problems, self.kind.as_deref());
            let given = self.config.take().unwrap_or_default();
            let given = read(given, empty(), &mut problems);
            let same = former.and_then(Config::sent);
            let same = same.filter(|same| kind.as_ref().is_some_and(|it| it.id == same.kind.id));
            kind.zip(given).map(|(kind, given)| {
                let given = match same {
                    Some(former) => kind.keeping_secrets(given, &former.given),
                    None => given,
                };
                Config::Sent(Sent { kind, given })
            })
        };
        self.description.get_or_insert_default();
        self.event_types.get_or_insert_default();
        self.channels.get_or_insert_default();
        self.throttle_rate.get_or_insert_default();
        self.metadata.get_or_insert_default();
        self.check(config, reach, problems)
    }

    /// What a body asks for that changes some of `former`.
    ///
    /// # Errors
    /// 422 with everything that is wrong.
    pub(super) fn changing(
        mut self,
        former: Config,
        reach: Reach<'_>,
    ) -> Result<(Wanted, Config), Error> {
        let mut problems = Problems::of_body();
        let former = match former {
            Config::Pulled if self.kind.is_none() => {
                let config = self.without_settings(&mut problems);
                return self.check(config, reach, problems);
            }
            Config::Pulled => None,
            Config::Sent(former) => Some(former),
        };
        if self.is_pulled() {
            let config = self.without_settings(&mut problems);
            return self.check(config, reach, problems);
        }
        let kind = match (self.kind.as_deref(), &former) {
            (None, Some(former)) => Some(Arc::clone(&former.kind)),
            (name, _) => kinds::named(&mut problems, name),
        };
        let is_same = |former: &Sent| kind.as_ref().is_some_and(|kind| kind.id == former.kind.id);
        let before = former.filter(is_same).map_or_else(empty, |former| former.given);
        let given = self.config.take().unwrap_or_default();
        let given = read(given, before, &mut problems);
        let config = kind.zip(given).map(|(kind, given)| Config::Sent(Sent { kind, given }));
        self.check(config, reach, problems)
    }

    /// Whether a polling endpoint is asked for.
    pub(in crate::api) fn is_pulled(&self) -> bool {
        self.kind.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(PULLED))
    }

    fn without_settings(&self, problems: &mut Problems) -> Option<Config> {
        if self.config.as_ref().is_some_and(|config| !config.is_empty()) {
            problems.add("config", "a polling endpoint has no settings");
        }
        Some(Config::Pulled)
    }

    fn check(
        self,
        config: Option<Config>,
        reach: Reach<'_>,
        mut problems: Problems,
    ) -> Result<(Wanted, Config), Error> {
        let place = config.as_ref().and_then(|config| config.place(reach, &mut problems));
        if self.batch_size.is_some_and(|size| size != 1) {
            problems.add("batchSize", "it can only be 1: every event is handed over by itself");
        }
        if self.max_wait_secs.is_some_and(|seconds| seconds != 0) {
            problems.add("maxWaitSecs", "it can only be 0: every event is handed over by itself");
        }
        let fields = Fields {
            place,
            description: self.description,
            uid: self.uid,
            disabled: self.status.map(|status| status == Status::Disabled),
            event_types: self.event_types,
            channels: self.channels,
            filter: self.filter,
            sign_as: None,
            delivery: None,
            access: None,
            throttle_rate: self.throttle_rate,
            metadata: self.metadata,
        };
        let wanted = fields.check(problems)?;
        // Whatever is missing of it has been named.
        Ok((wanted, config.ok_or(Error::Internal)?))
    }
}

/// Nothing given yet.
fn empty() -> destination::Wanted {
    destination::Wanted { fields: Map::new().into(), ..Default::default() }
}

/// Reads what a destination is given, over what it had.
pub(super) fn read(
    config: Map<String, Value>,
    mut given: destination::Wanted,
    problems: &mut Problems,
) -> Option<destination::Wanted> {
    let mut is_good = true;
    let mut wrong = |name: &str, what: &str| {
        is_good = false;
        problems.add_below("config", Some(name), what);
    };
    for (name, value) in config {
        match (&*name, value) {
            ("fields", fields) => given.fields = fields,
            ("onMissing", value) => match OnMissing::deserialize(value) {
                Ok(on_missing) => given.on_missing = on_missing,
                Err(_) => wrong("onMissing", "it is `deadLetter`, `skip` or `retry`"),
            },
            (_, Value::Null) => drop(given.settings.remove(&name)),
            (_, Value::String(text)) => drop(given.settings.insert(name, text)),
            (_, plain @ (Value::Bool(_) | Value::Number(_))) => {
                given.settings.insert(name, plain.to_string());
            }
            (_, Value::Array(_) | Value::Object(_)) => wrong(&name, "it is a text"),
        }
    }
    is_good.then_some(given)
}

/// A destination.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct DestinationOut {
    /// Ringback's name for it; whatever takes an endpoint's id takes it.
    #[schema(value_type = String, example = "ep_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: EndpointId,
    /// Your own name for it.
    uid: Option<String>,
    /// Its kind.
    #[serde(rename = "type")]
    kind: String,
    /// Its settings without secrets and with defaults, `fields` and `onMissing`; a polling endpoint
    /// has none, which the official SDKs read as nothing at all and not as an empty object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    config: Option<Map<String, Value>>,
    /// Its kind and the host that it is at.
    #[schema(example = "slack://hooks.slack.com")]
    url: String,
    /// For people.
    description: String,
    /// `enabled`, `disabled`, `paused`, or `retrying` while every attempt fails.
    status: &'static str,
    /// Why it takes no messages, or since when every attempt failed.
    failure_reason: Option<String>,
    /// Only these event types; all if null.
    event_types: Option<Vec<String>>,
    /// Only messages with one of these channels; all if null.
    channels: Option<Vec<String>>,
    /// Only messages with such content; all if null.
    #[schema(value_type = Option<Object>)]
    filter: Option<Box<RawValue>>,
    /// Messages a second.
    throttle_rate: Option<u32>,
    /// Your own labels.
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    /// Always 1.
    batch_size: u32,
    /// Always 0.
    max_wait_secs: u32,
    /// Always empty: events are not handed over in one order.
    current_iterator: &'static str,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl Config {
    /// What it is made with, if events are handed over to it.
    pub(super) fn sent(&self) -> Option<&Sent> {
        match self {
            Config::Sent(sent) => Some(sent),
            Config::Pulled => None,
        }
    }

    /// Where a destination with this goes.
    fn place(&self, reach: Reach<'_>, problems: &mut Problems) -> Option<Place> {
        let Some(Sent { kind, given }) = self.sent() else {
            return Some(Place { url: poll::URL.to_owned(), credentials: None });
        };
        let url = kinds::url(kind, given, reach, problems)?;
        let text = problems.check("config", serde_json::to_vec(given))?;
        Some(Place { url, credentials: Some(Zeroizing::new(text)) })
    }

    /// An endpoint as the destination that this makes it.
    pub(super) fn shown(&self, endpoint: Endpoint) -> DestinationOut {
        let (kind, config) = match self {
            Config::Sent(sent) => (sent.kind.api(), Some(sent.shown())),
            Config::Pulled => (PULLED, None),
        };
        let failing =
            endpoint.failing_since.map(|since| format!("every attempt fails since {since}"));
        let (status, failure_reason) = match endpoint.state {
            State::Enabled => (if failing.is_some() { "retrying" } else { "enabled" }, failing),
            State::Pulled => ("enabled", None),
            State::Paused => ("paused", None),
            State::Disabled => ("disabled", None),
            other => ("disabled", Some(other.name().to_owned())),
        };
        DestinationOut {
            id: endpoint.id,
            uid: endpoint.uid,
            kind: kind.to_owned(),
            config,
            url: endpoint.url,
            description: endpoint.description,
            status,
            failure_reason,
            event_types: endpoint.event_types,
            channels: endpoint.channels,
            filter: endpoint.filter.and_then(|filter| RawValue::from_string(filter).ok()),
            throttle_rate: endpoint.throttle_rate,
            metadata: endpoint.metadata,
            batch_size: 1,
            max_wait_secs: 0,
            current_iterator: "",
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

impl Sent {
    /// Its settings without secrets and with defaults, and what it was given beside them.
    fn shown(&self) -> Map<String, Value> {
        let Sent { kind, given } = self;
        // What SDKs know to be there may be there by its default.
        let complete = kind.given(given).map(|complete| complete.settings);
        let settings = complete.unwrap_or_else(|_| given.settings.clone());
        let mut config: Map<String, Value> = kind.shown(&settings).into_iter().collect();
        config.insert("fields".to_owned(), given.fields.clone());
        config.insert("onMissing".to_owned(), given.on_missing.as_str().into());
        config
    }
}
