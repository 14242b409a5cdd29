//! Endpoints as the API spells them, and what they ask for once that is checked.

use std::{collections::BTreeMap, fmt};

use ringback_domain::{
    application::Metadata,
    delivery::{Delivery, Pins, access::Access},
    endpoint::{Endpoint, State},
    filter::Expression,
    header,
    id::{EndpointId, Key, Kind},
    poll,
    scope::Scope,
    signature::SigningKey,
    target::{Basic, Rules, Target},
    time::Timestamp,
};
use ringback_store::EndpointChange;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Value, value::RawValue};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::access;
use crate::api::{
    error::Error,
    field::{Problems, none_if_empty},
    patch,
    vault::{self, Vault},
};

/// The most headers of an endpoint.
pub(super) const HEADERS: usize = 50;

/// An endpoint to create, or what replaces one (then without `secret` and `headers`).
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EndpointIn {
    /// Where requests go. A user and a password in it become a Basic header.
    #[schema(required, nullable = false, example = "https://example.com/webhook")]
    pub(in crate::api) url: Option<String>,
    /// For people.
    pub(in crate::api) description: Option<String>,
    /// Your own name for it, usable in every path.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>)]
    pub(in crate::api) uid: Option<Option<String>>,
    /// Takes no messages for now.
    pub(in crate::api) disabled: Option<bool>,
    /// Only these event types; all if not given.
    pub(in crate::api) event_types: Option<Vec<String>>,
    /// The old spelling of `eventTypes`.
    #[schema(deprecated)]
    pub(in crate::api) filter_types: Option<Vec<String>>,
    /// Only messages with one of these channels, at most 10; all if not given.
    pub(in crate::api) channels: Option<Vec<String>>,
    /// Only messages with such content; all if null. The SDKs do not know it, so what replaces an
    /// endpoint without naming it keeps it. `docs/filters.md` describes the language.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Object>, example = json!({"body": {"amount": {"$gte": 100}}}))]
    pub(in crate::api) filter: Option<Option<Value>>,
    /// Signs deliveries as this provider signs its webhooks, too, with the endpoint's secret: an id
    /// that `ringback providers` lists. The SDKs do not know it, so what replaces an endpoint
    /// without naming it keeps it.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>, example = "stripe")]
    pub(in crate::api) sign_as: Option<Option<String>>,
    /// How it wants its deliveries: one after the other (`order`), how many requests may be open
    /// (`concurrency`), whether it is left alone when it fails too often (`breaker`), which versions
    /// of payloads (`versions`), what requests look like (`format`, `method`, `gzip`), how many
    /// messages go in one (`batch`), which payloads are too large for them (`largeOver`), when and
    /// for how long they are tried (`retry`, `timeout`); as usual if null. The SDKs do not know it,
    /// so what replaces an endpoint without naming it keeps it. `docs/delivery.md`,
    /// `docs/versions.md` and `docs/formats.md` describe it.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Object>, example = json!({"concurrency": 4}))]
    pub(in crate::api) delivery: Option<Option<Value>>,
    /// What opens it: a token, a user and a password, a key in a header, or OAuth 2.0 client
    /// credentials; a client certificate (`tls`), authorities of its own (`ca`); nothing if null.
    /// Answers leave out what is secret of it. The SDKs do not know it, so what replaces an endpoint
    /// without naming it keeps it. `docs/access.md` describes it.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Object>, example = json!({"type": "bearer", "token": "made-up"}))]
    pub(in crate::api) access: Option<Option<Value>>,
    /// Attempts a second, at most: in any second no more than 1.05 times as many, or one more.
    #[schema(minimum = 1)]
    pub(in crate::api) throttle_rate: Option<u32>,
    /// The old spelling of `throttleRate`.
    #[schema(minimum = 1, deprecated)]
    pub(in crate::api) rate_limit: Option<u32>,
    /// Your own labels.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub(in crate::api) metadata: Option<Metadata>,
    /// `whsec_…` or `whsk_…`; a random one if not given.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")]
    pub(in crate::api) secret: Option<String>,
    /// Sent with every request.
    pub(in crate::api) headers: Option<BTreeMap<String, String>>,
    #[schema(ignore)]
    pub(in crate::api) oauth_config: Option<IgnoredAny>,
    #[schema(ignore)]
    pub(in crate::api) mtls_config: Option<IgnoredAny>,
    #[schema(ignore)]
    pub(in crate::api) transformation: Option<IgnoredAny>,
}

/// What changes of an endpoint; what is absent stays, null clears.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointPatch {
    /// Where requests go. A user and a password in it become a Basic header.
    #[serde(default, deserialize_with = "patch::given")]
    url: Option<String>,
    /// For people.
    #[serde(default, deserialize_with = "patch::given")]
    description: Option<String>,
    /// Your own name for it.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>)]
    uid: Option<Option<String>>,
    /// Takes no messages for now.
    #[serde(default, deserialize_with = "patch::given")]
    disabled: Option<bool>,
    /// Only these event types.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Vec<String>>)]
    event_types: Option<Option<Vec<String>>>,
    /// The old spelling of `eventTypes`.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Vec<String>>, deprecated)]
    filter_types: Option<Option<Vec<String>>>,
    /// Only messages with one of these channels, at most 10.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Vec<String>>)]
    channels: Option<Option<Vec<String>>>,
    /// Only messages with such content.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Object>)]
    filter: Option<Option<Value>>,
    /// Signs as this provider does, too.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>)]
    sign_as: Option<Option<String>>,
    /// How it wants its deliveries.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Object>)]
    delivery: Option<Option<Value>>,
    /// What opens it, replaced as a whole.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<Object>)]
    access: Option<Option<Value>>,
    /// Attempts a second, at most: in any second no more than 1.05 times as many, or one more.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<u32>)]
    throttle_rate: Option<Option<u32>>,
    /// The old spelling of `throttleRate`.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<u32>, deprecated)]
    rate_limit: Option<Option<u32>>,
    /// Your own labels, replaced as a whole.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Option<Metadata>>,
    #[schema(ignore)]
    secret: Option<IgnoredAny>,
    #[schema(ignore)]
    oauth_config: Option<IgnoredAny>,
    #[schema(ignore)]
    mtls_config: Option<IgnoredAny>,
    #[schema(ignore)]
    transformation: Option<IgnoredAny>,
}

/// An endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EndpointOut {
    /// Ringback's name for it.
    #[schema(value_type = String, example = "ep_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    pub(in crate::api) id: EndpointId,
    /// Your own name for it.
    pub(in crate::api) uid: Option<String>,
    /// Where requests go, without credentials.
    pub(in crate::api) url: String,
    /// For people.
    pub(in crate::api) description: String,
    /// Whether it takes no messages for now; `state` says why.
    pub(in crate::api) disabled: bool,
    /// `enabled`, `disabled`, `disabled_gone` (it answered 410), `disabled_failing` (for days) or
    /// `paused`.
    pub(in crate::api) state: &'static str,
    /// Since when every attempt failed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(in crate::api) failing_since: Option<Timestamp>,
    /// Only these event types; all if null.
    pub(in crate::api) event_types: Option<Vec<String>>,
    /// The old spelling of `eventTypes`.
    #[schema(deprecated)]
    pub(in crate::api) filter_types: Option<Vec<String>>,
    /// Only messages with one of these channels; all if null.
    channels: Option<Vec<String>>,
    /// Only messages with such content; all if null.
    #[schema(value_type = Option<Object>)]
    pub(in crate::api) filter: Option<Box<RawValue>>,
    /// Signs as this provider does, too.
    pub(in crate::api) sign_as: Option<String>,
    /// How it wants its deliveries; as usual if null.
    #[schema(value_type = Option<Object>)]
    pub(in crate::api) delivery: Option<Box<RawValue>>,
    /// What opens it, without what is secret; nothing if null.
    #[schema(value_type = Option<Object>)]
    pub(in crate::api) access: Option<Box<RawValue>>,
    /// Attempts a second, at most: in any second no more than 1.05 times as many, or one more.
    pub(in crate::api) throttle_rate: Option<u32>,
    /// The old spelling of `throttleRate`.
    #[schema(deprecated)]
    pub(in crate::api) rate_limit: Option<u32>,
    /// Your own labels.
    #[schema(value_type = BTreeMap<String, String>)]
    pub(in crate::api) metadata: Metadata,
    /// Always 1; old SDKs need it.
    #[schema(deprecated)]
    version: u32,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub(in crate::api) created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub(in crate::api) updated_at: Timestamp,
}

impl From<Endpoint> for EndpointOut {
    fn from(endpoint: Endpoint) -> EndpointOut {
        EndpointOut {
            id: endpoint.id,
            uid: endpoint.uid,
            url: endpoint.url,
            description: endpoint.description,
            disabled: endpoint.state.is_disabled(),
            state: endpoint.state.name(),
            failing_since: endpoint.failing_since,
            filter_types: endpoint.event_types.clone(),
            event_types: endpoint.event_types,
            channels: endpoint.channels,
            filter: endpoint.filter.and_then(|filter| RawValue::from_string(filter).ok()),
            sign_as: endpoint.sign_as,
            delivery: endpoint.delivery.and_then(|text| RawValue::from_string(text).ok()),
            access: endpoint.access.and_then(|text| RawValue::from_string(text).ok()),
            throttle_rate: endpoint.throttle_rate,
            rate_limit: endpoint.throttle_rate,
            metadata: endpoint.metadata,
            version: 1,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

/// Where messages go, and what that is opened with.
pub(super) struct Place {
    /// As everybody may see it.
    pub(super) url: String,
    /// Sealed beside it: the value of a header, or what a destination is given.
    pub(super) credentials: Option<Zeroizing<Vec<u8>>>,
}

impl From<Target> for Place {
    fn from(target: Target) -> Place {
        let value = |basic: Basic| Zeroizing::new(basic.header_value().as_bytes().to_vec());
        Place { url: target.display, credentials: target.credentials.map(value) }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What a body asks for, checked; `None` leaves as it is, `Some(None)` clears.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) place: Option<Place>,
    pub(in crate::api) description: Option<String>,
    pub(in crate::api) uid: Option<Option<String>>,
    pub(in crate::api) disabled: Option<bool>,
    pub(in crate::api) event_types: Option<Option<Vec<String>>>,
    pub(in crate::api) channels: Option<Option<Vec<String>>>,
    /// JSON text.
    filter: Option<Option<String>>,
    pub(in crate::api) sign_as: Option<Option<String>>,
    /// JSON text.
    delivery: Option<Option<String>>,
    access: Option<Option<Access>>,
    /// The total time of an attempt that `delivery` asks for, in seconds.
    pub(super) timeout: Option<f64>,
    /// Whether `delivery` wants payloads to be kept that are too large for a request.
    pub(super) keeps_large_payloads: bool,
    /// The versions that `delivery` names.
    pub(super) pins: Option<Pins>,
    pub(in crate::api) throttle_rate: Option<Option<u32>>,
    pub(in crate::api) metadata: Option<Metadata>,
    pub(in crate::api) secret: Option<SigningKey>,
    pub(in crate::api) headers: BTreeMap<String, String>,
}

impl EndpointIn {
    /// What a POST asks for.
    ///
    /// # Errors
    /// 422 with everything that is wrong.
    pub(super) fn check(self, rules: &Rules) -> Result<Wanted, Error> {
        let mut problems = Problems::of_body();
        let key = self.secret.as_deref().map(SigningKey::parse);
        let secret = key.and_then(|key| problems.check("secret", key));
        check_headers(&mut problems, self.headers.as_ref());
        let headers = self.headers.clone().unwrap_or_default();
        Ok(Wanted { secret, headers, ..self.common(problems, rules)? })
    }

    /// What a PUT asks for: everything is replaced but the uid, secret and headers.
    ///
    /// # Errors
    /// 422 with everything that is wrong.
    pub(super) fn replacement(self, rules: &Rules) -> Result<Wanted, Error> {
        let mut problems = Problems::of_body();
        if self.secret.is_some() {
            problems.add("secret", "it is changed with secret/rotate");
        }
        if self.headers.is_some() {
            problems.add("headers", "they are changed with the endpoint's headers");
        }
        self.common(problems, rules)
    }

    fn common(self, mut problems: Problems, rules: &Rules) -> Result<Wanted, Error> {
        problems.required("url", self.url.as_ref());
        problems.unsupported("oauthConfig", self.oauth_config.as_ref());
        problems.unsupported("mtlsConfig", self.mtls_config.as_ref());
        problems.unsupported("transformation", self.transformation.as_ref());
        let fields = Fields {
            place: place(&mut problems, self.url.as_deref(), rules),
            access: access::checked(&mut problems, self.access, *rules),
            description: Some(self.description.unwrap_or_default()),
            uid: self.uid,
            disabled: self.disabled,
            event_types: Some(self.event_types.or(self.filter_types)),
            channels: Some(self.channels),
            filter: self.filter,
            sign_as: self.sign_as,
            delivery: self.delivery,
            throttle_rate: Some(self.throttle_rate.or(self.rate_limit)),
            metadata: Some(self.metadata.unwrap_or_default()),
        };
        fields.check(problems)
    }
}

impl EndpointPatch {
    /// What a PATCH asks for.
    ///
    /// # Errors
    /// 422 with everything that is wrong.
    pub(super) fn check(self, rules: &Rules) -> Result<Wanted, Error> {
        let mut problems = Problems::of_body();
        if self.secret.is_some() {
            problems.add("secret", "it is changed with secret/rotate");
        }
        problems.unsupported("oauthConfig", self.oauth_config.as_ref());
        problems.unsupported("mtlsConfig", self.mtls_config.as_ref());
        problems.unsupported("transformation", self.transformation.as_ref());
        let fields = Fields {
            place: place(&mut problems, self.url.as_deref(), rules),
            access: access::checked(&mut problems, self.access, *rules),
            description: self.description,
            uid: self.uid,
            disabled: self.disabled,
            event_types: self.event_types.or(self.filter_types),
            channels: self.channels,
            filter: self.filter,
            sign_as: self.sign_as,
            delivery: self.delivery,
            throttle_rate: self.throttle_rate.or(self.rate_limit),
            metadata: self.metadata.map(Option::unwrap_or_default),
        };
        fields.check(problems)
    }
}

/// The place that a URL names.
fn place(problems: &mut Problems, url: Option<&str>, rules: &Rules) -> Option<Place> {
    let target = Target::parse(url?, *rules);
    problems.check("url", target).map(Place::from)
}

/// What all bodies share, spellings merged.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) place: Option<Place>,
    pub(super) description: Option<String>,
    pub(super) uid: Option<Option<String>>,
    pub(super) disabled: Option<bool>,
    pub(super) event_types: Option<Option<Vec<String>>>,
    pub(super) channels: Option<Option<Vec<String>>>,
    pub(super) filter: Option<Option<Value>>,
    pub(super) sign_as: Option<Option<String>>,
    pub(super) delivery: Option<Option<Value>>,
    /// Checked already.
    pub(super) access: Option<Option<Access>>,
    pub(super) throttle_rate: Option<Option<u32>>,
    pub(super) metadata: Option<Metadata>,
}

impl Fields {
    /// What they ask for.
    ///
    /// # Errors
    /// 422 with everything that is wrong, `problems` among it.
    pub(super) fn check(self, mut problems: Problems) -> Result<Wanted, Error> {
        problems.description("description", self.description.as_ref());
        problems.uid("uid", Kind::Endpoint, self.uid.as_ref().and_then(Option::as_ref));
        problems.event_types("eventTypes", self.event_types.as_ref().and_then(Option::as_ref));
        problems.labels("channels", self.channels.as_ref().and_then(Option::as_ref));
        check_filter(&mut problems, self.filter.as_ref().and_then(Option::as_ref));
        let delivery =
            check_delivery(&mut problems, self.delivery.as_ref().and_then(Option::as_ref));
        problems.throttle_rate("throttleRate", self.throttle_rate.flatten());
        problems.metadata("metadata", self.metadata.as_ref());
        problems.done()?;
        Ok(Wanted {
            place: self.place,
            description: self.description,
            uid: self.uid,
            disabled: self.disabled,
            event_types: self.event_types.map(none_if_empty),
            channels: self.channels.map(none_if_empty),
            filter: self.filter.map(|filter| filter.map(|filter| filter.to_string())),
            sign_as: self.sign_as,
            delivery: self.delivery.map(|delivery| delivery.map(|delivery| delivery.to_string())),
            access: self.access,
            timeout: delivery.timeout,
            keeps_large_payloads: delivery.large_over.is_some(),
            pins: delivery.versions,
            throttle_rate: self.throttle_rate,
            metadata: self.metadata,
            secret: None,
            headers: BTreeMap::new(),
        })
    }
}

/// Notes why a filter cannot be, and where in it.
fn check_filter(problems: &mut Problems, filter: Option<&Value>) {
    let Some(Err(mistake)) = filter.map(Expression::compile) else { return };
    let path: Vec<&str> =
        ["body", "filter"].into_iter().chain(mistake.place.split('/').skip(1)).collect();
    let mut here = Problems::at(&path);
    here.add_here(&mistake);
    problems.append(here);
}

/// How deliveries are wanted; notes what cannot be, and where it says so.
fn check_delivery(problems: &mut Problems, delivery: Option<&Value>) -> Delivery {
    match delivery.map(Delivery::read).transpose() {
        Ok(delivery) => delivery.unwrap_or_default(),
        Err(mistake) => {
            let path: Vec<&str> = ["body", "delivery"].into_iter().chain(mistake.place()).collect();
            let mut here = Problems::at(&path);
            here.add_here(&mistake);
            problems.append(here);
            Delivery::default()
        }
    }
}

/// Notes every header that may not be set.
pub(super) fn check_headers(problems: &mut Problems, headers: Option<&BTreeMap<String, String>>) {
    if headers.is_some_and(|headers| headers.len() > HEADERS) {
        problems.add("headers", format!("there are at most {HEADERS}"));
    }
    for (name, value) in headers.into_iter().flatten() {
        if let Err(what) = header::validate(name, value) {
            problems.add_below("headers", Some(name), what);
        }
    }
}

impl Wanted {
    /// The endpoint that this asks for.
    pub(super) fn into_endpoint(self, id: EndpointId, now: Timestamp) -> Endpoint {
        let disabled = self.disabled.unwrap_or(false);
        let url = self.place.map(|place| place.url).unwrap_or_default();
        Endpoint {
            id,
            uid: self.uid.flatten(),
            description: self.description.unwrap_or_default(),
            event_types: self.event_types.flatten(),
            channels: self.channels.flatten(),
            filter: self.filter.flatten(),
            sign_as: self.sign_as.flatten(),
            delivery: self.delivery.flatten(),
            access: self.access.flatten().and_then(|access| access::shown(&access)),
            metadata: self.metadata.unwrap_or_default(),
            throttle_rate: self.throttle_rate.flatten(),
            state: if disabled { State::Disabled } else { enabled(&url) },
            url,
            failing_since: None,
            revision: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// The change that this asks for of `current`.
    ///
    /// # Errors
    /// 422 if one that is called is to be read or the other way round; see also [`Vault::seal`].
    pub(super) fn change(
        self,
        current: &Endpoint,
        scope: Scope,
        vault: &Vault,
    ) -> Result<EndpointChange, Error> {
        let credentials = self.sealed_credentials(scope, current.id.key(), vault)?;
        let url = self.place.map(|place| (place.url, credentials));
        let access = self.access.map(|access| {
            access.map(|access| access::seal(vault, scope, current.id.key(), &access)).transpose()
        });
        let is_pulled = |url: &str| url == poll::URL;
        if url.as_ref().is_some_and(|(url, _)| is_pulled(url) != is_pulled(&current.url)) {
            let what = "a polling endpoint stays one, and what is sent to is sent to: make another";
            return Err(Error::invalid("body", "type", what));
        }
        Ok(EndpointChange {
            uid: self.uid,
            // Whoever writes back what was read does not know the credentials, and keeps them.
            url: url.filter(|(url, credentials)| *url != current.url || credentials.is_some()),
            description: self.description,
            event_types: self.event_types,
            channels: self.channels,
            filter: self.filter,
            sign_as: self.sign_as,
            delivery: self.delivery,
            access: access.transpose()?,
            metadata: self.metadata,
            throttle_rate: self.throttle_rate,
            state: self.disabled.and_then(|disabled| switched(current, disabled)),
        })
    }

    /// What opens it, as it is stored.
    ///
    /// # Errors
    /// See [`Vault::seal`].
    pub(super) fn sealed_access(
        &self,
        scope: Scope,
        endpoint: Key,
        vault: &Vault,
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(Some(access)) = &self.access else { return Ok(None) };
        Ok(Some(access::seal(vault, scope, endpoint, access)?.sealed))
    }

    /// The URL's credentials, as they are stored.
    ///
    /// # Errors
    /// See [`Vault::seal`].
    pub(super) fn sealed_credentials(
        &self,
        scope: Scope,
        endpoint: Key,
        vault: &Vault,
    ) -> Result<Option<Vec<u8>>, Error> {
        let credentials = self.place.as_ref().and_then(|place| place.credentials.as_ref());
        let context = credentials_of(scope, endpoint);
        credentials.map(|credentials| vault.seal(&context, credentials)).transpose()
    }
}

/// What the credentials of an endpoint's URL are sealed for.
pub(super) fn credentials_of(scope: Scope, endpoint: Key) -> vault::Context<'static> {
    let Scope { environment, .. } = scope;
    vault::Context { environment, owner: endpoint, purpose: vault::CREDENTIALS }
}

/// The state after `disabled` was set. What says so already keeps its reason; and a paused endpoint
/// is not disabled, so it stays paused.
fn switched(current: &Endpoint, disabled: bool) -> Option<State> {
    match (current.state.is_disabled(), disabled) {
        (false, true) => Some(State::Disabled),
        (true, false) => Some(enabled(&current.url)),
        _ => None,
    }
}

/// The state of an endpoint at this URL that is switched on.
fn enabled(url: &str) -> State {
    if url == poll::URL { State::Pulled } else { State::Enabled }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::extract::parse;

    const RULES: Rules = Rules { require_https: false };
    const SCOPE: Scope = Scope { environment: 1, application: 2 };

    fn wanted(body: &str) -> Result<Wanted, Error> {
        parse::<EndpointIn>(body.as_bytes(), 64)?.check(&RULES)
    }

    fn current() -> Endpoint {
        let id = EndpointId(ringback_domain::id::Id { key: 9, shard: 0, nonce: 0 });
        let body = r#"{"url":"https://u:p@example.com/a","uid":"mine","eventTypes":["a"]}"#;
        wanted(body).unwrap().into_endpoint(id, Timestamp(0))
    }

    #[test]
    fn old_and_new_spellings() {
        let old = r#"{"url":"https://example.com/a","version":1,"description":"","disabled":false,
            "filterTypes":["a.b"],"rateLimit":5}"#;
        let new = r#"{"url":"https://example.com/a","eventTypes":["a.b"],"throttleRate":5}"#;
        for body in [old, new] {
            let wanted = wanted(body).unwrap();
            assert_eq!(wanted.event_types, Some(Some(vec!["a.b".to_owned()])));
            assert_eq!(wanted.throttle_rate, Some(Some(5)));
        }
        let all = wanted(r#"{"url":"https://example.com/a","filterTypes":[]}"#).unwrap();
        assert_eq!(all.event_types, Some(None));
    }

    #[test]
    fn wrong_fields_are_named() {
        for (body, loc) in [
            (r#"{"description":"d"}"#, "url"),
            (r#"{"url":"ftp://example.com"}"#, "url"),
            (r#"{"url":"nonsense"}"#, "url"),
            (r#"{"url":7}"#, "url"),
            (r#"{"url":"https://example.com","secret":"whsec_c2hvcnQ="}"#, "secret"),
            (r#"{"url":"https://example.com","headers":{"x-a":"b\nc"}}"#, "x-a"),
            (r#"{"url":"https://example.com","headers":{"Host":"b"}}"#, "Host"),
            (r#"{"url":"https://example.com","oauthConfig":{}}"#, "oauthConfig"),
            (r#"{"url":"https://example.com","uid":"ep_x"}"#, "uid"),
            (r#"{"url":"https://example.com","filter":[]}"#, "filter"),
            (r#"{"url":"https://example.com","filter":{"body":{"a":{"$x":1}}}}"#, "$x"),
        ] {
            let Err(Error::Invalid(problems)) = wanted(body) else { panic!("{body}") };
            assert_eq!(problems[0].loc.last().map(String::as_str), Some(loc), "{body}");
        }
        let put = |body: &str| {
            parse::<EndpointIn>(body.as_bytes(), 64).unwrap().replacement(&RULES).is_ok()
        };
        assert!(put(r#"{"url":"https://example.com"}"#));
        assert!(!put(r#"{"url":"https://example.com","headers":{}}"#));
    }

    #[test]
    fn credentials_leave_the_url_and_stay_when_it_is_written_back() {
        let vault = Vault::for_test();
        let current = current();
        assert_eq!(current.url, "https://example.com/a");
        let change = |url: &str| {
            let body = format!(r#"{{"url":"{url}"}}"#);
            wanted(&body).unwrap().change(&current, SCOPE, &vault).unwrap().url
        };
        assert_eq!(change("https://example.com/a"), None);
        assert_eq!(
            change("https://example.com/b"),
            Some(("https://example.com/b".to_owned(), None))
        );
        let (url, sealed) = change("https://v:q@example.com/a").unwrap();
        assert_eq!(url, "https://example.com/a");
        let context = credentials_of(SCOPE, 9);
        assert_eq!(&**vault.open(&context, &sealed.unwrap()).unwrap(), b"Basic djpx");
    }

    #[test]
    fn a_put_replaces_and_a_patch_keeps() {
        let (vault, current) = (Vault::for_test(), current());
        let body = br#"{"url":"https://example.com/a"}"#;
        let put = parse::<EndpointIn>(body, 64).unwrap().replacement(&RULES).unwrap();
        let change = put.change(&current, SCOPE, &vault).unwrap();
        assert_eq!((change.uid, change.event_types), (None, Some(None)));
        let patch = parse::<EndpointPatch>(br#"{"uid":null}"#, 64).unwrap().check(&RULES).unwrap();
        let change = patch.change(&current, SCOPE, &vault).unwrap();
        assert_eq!((change.uid, change.event_types, change.url), (Some(None), None, None));
    }

    #[test]
    fn a_filter_stays_until_it_is_named() {
        let (vault, current) = (Vault::for_test(), current());
        let written = r#"{"path": "/a", "body": {"id": 9007199254740993}}"#;
        let kept = r#"{"body":{"id":9007199254740993},"path":"/a"}"#.to_owned();
        for (filter, expect) in [
            (String::new(), None),
            (r#","filter":null"#.to_owned(), Some(None)),
            (format!(r#","filter":{written}"#), Some(Some(kept))),
        ] {
            let body = format!(r#"{{"url":"https://example.com/a"{filter}}}"#);
            let body = body.as_bytes();
            let put = parse::<EndpointIn>(body, 64).unwrap().replacement(&RULES).unwrap();
            let patch = parse::<EndpointPatch>(body, 64).unwrap().check(&RULES).unwrap();
            for wanted in [put, patch] {
                let change = wanted.change(&current, SCOPE, &vault).unwrap();
                assert_eq!(change.filter, expect, "{filter}");
            }
        }
    }

    #[test]
    fn switching() {
        for (state, disabled, expect) in [
            (State::Enabled, true, Some(State::Disabled)),
            (State::Enabled, false, None),
            (State::Gone, true, None),
            (State::Gone, false, Some(State::Enabled)),
            (State::Paused, false, None),
            (State::Paused, true, Some(State::Disabled)),
        ] {
            let current = Endpoint { state, ..current() };
            assert_eq!(switched(&current, disabled), expect, "{state:?} {disabled}");
        }
        let read = Endpoint { url: poll::URL.to_owned(), state: State::Disabled, ..current() };
        assert_eq!(switched(&read, false), Some(State::Pulled));
    }
}
