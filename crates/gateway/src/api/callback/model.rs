//! How a callback is asked for.

use std::{collections::BTreeMap, time::Duration};

use ringback_domain::{
    application::Metadata,
    callback::{Kind, Mode},
    id::SourceId,
    scope::Reference,
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    api::{Api, error::Error, extract::Caller, field::Problems, source::read_setting},
    callback::{Acknowledge, Confirm, Redirect, Scheme, Secrets, Terms},
};

/// How long a callback is open if nobody says, and at most, in seconds.
const USUAL: u64 = 86_400;
const LONGEST: u64 = 90 * 86_400;
/// How many items end a stream if nobody says, and at most.
const ITEMS: u32 = 1_000;
const MOST_ITEMS: u32 = 10_000;
/// The longest reference, in characters.
const REFERENCE: usize = 256;

/// A callback to create.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct CallbackIn {
    /// The application that waits, by id or uid.
    #[schema(required, nullable = false)]
    pub(in crate::api) application: Option<String>,
    /// Who comes back: `result`, a machine or a person with the answer; `redirect`, a browser.
    #[schema(default = "result")]
    kind: Option<String>,
    /// How long it is open, in seconds, 1 to 7776000; a day if not given.
    #[schema(minimum = 1, maximum = 7776000)]
    expires_in: Option<u64>,
    /// Until when it is open, instead.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The longest silence of the other side, in seconds: progress and heartbeats end it.
    #[schema(minimum = 1, maximum = 7776000)]
    heartbeat: Option<u64>,
    /// `single`: the first answer ends it. `stream`: answers are items, until it is closed.
    #[schema(default = "single")]
    mode: Option<String>,
    /// How many items end a stream, 1 to 10000; 1000 if not given.
    #[schema(minimum = 1, maximum = 10000)]
    max_items: Option<u32>,
    /// Methods that an answer may come with: POST, and those that are named here instead.
    methods: Option<Vec<String>>,
    /// What the other side calls it: unique among those of its source, or of its application.
    #[schema(max_length = 256)]
    reference: Option<String>,
    /// The source whose messages may answer it, by id or uid.
    source: Option<String>,
    /// Words to find it by, at most 10.
    tags: Option<Vec<String>>,
    /// Your own labels.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
    /// How whoever answers proves who they are; having the URL is enough if not given.
    completer: Option<CompleterIn>,
    /// A JSON Schema of the answer. What it refuses is answered 422, and changes nothing.
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
    /// Which requests are the answer, as a filter (`docs/filters.md`); what is neither that nor a
    /// failure is progress.
    #[schema(value_type = Option<Object>)]
    success_when: Option<Value>,
    /// Which requests say that there will be no answer, as a filter.
    #[schema(value_type = Option<Object>)]
    failure_when: Option<Value>,
    /// What is replied to an answer that was taken, literally.
    acknowledge: Option<Acknowledge>,
    /// The words of the page that a person sees who opens the URL.
    confirm: Option<Confirm>,
    /// How a browser comes back, and where it is sent on to: of the kind `redirect`.
    redirect: Option<Redirect>,
}

/// How whoever answers proves who they are: one of both.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CallbackCompleterIn)]
struct CompleterIn {
    /// A secret that comes as `Authorization: Bearer …`: 16 to 256 visible ASCII characters.
    bearer: Option<String>,
    /// The id of a provider whose scheme it is, such as `github` or `standard-webhooks`.
    provider: Option<String>,
    /// What the provider needs, such as `{"secret": "…"}`.
    #[schema(value_type = Option<BTreeMap<String, Value>>)]
    settings: Option<BTreeMap<String, Value>>,
}

/// What a checked body says.
pub(in crate::api) struct Wanted {
    pub(in crate::api) kind: Kind,
    pub(in crate::api) expires_at: Timestamp,
    pub(in crate::api) heartbeat: Option<Duration>,
    pub(in crate::api) mode: Mode,
    pub(in crate::api) reference: Option<String>,
    pub(in crate::api) source: Option<SourceId>,
    pub(in crate::api) tags: Vec<String>,
    pub(in crate::api) metadata: Metadata,
    pub(in crate::api) terms: Terms,
    pub(in crate::api) secrets: Secrets,
}

impl CallbackIn {
    /// # Errors
    /// 422 with everything that is wrong; 404 if there is no such source.
    pub(in crate::api) async fn check(
        self,
        api: &Api,
        caller: Caller,
        mut problems: Problems,
    ) -> Result<Wanted, Error> {
        let kind = problems.one_of("kind", self.kind.as_deref(), &KINDS).unwrap_or(Kind::Result);
        let expires_at = self.expires_at(&mut problems, caller.now);
        let heartbeat = self.heartbeat;
        if heartbeat.is_some_and(|seconds| !(1..=LONGEST).contains(&seconds)) {
            problems.add("heartbeat", format!("it is 1 to {LONGEST} seconds"));
        }
        let mode = self.mode(&mut problems);
        reference(&mut problems, self.reference.as_deref());
        problems.labels("tags", self.tags.as_ref());
        problems.metadata("metadata", self.metadata.as_ref());
        if kind == Kind::Redirect {
            self.is_of_a_redirect(&mut problems);
        }
        let (completer, mut secrets) = match self.completer {
            Some(completer) => completer.check(&mut problems, api),
            None => (None, Secrets::default()),
        };
        let (reference, has_source) = (self.reference.as_deref(), self.source.is_some());
        let redirect = redirect(&mut problems, api, kind, self.redirect, reference, has_source);
        let redirect = redirect.map(|mut redirect| {
            secrets.redirect = std::mem::take(&mut redirect.settings);
            redirect
        });
        let terms = Terms {
            redirect,
            methods: self.methods.unwrap_or_default(),
            schema: self.schema,
            success_when: self.success_when,
            failure_when: self.failure_when,
            acknowledge: self.acknowledge,
            confirm: self.confirm,
            completer,
        };
        for (path, what) in terms.check().err().into_iter().flatten() {
            problems.add_at(&path, what);
        }
        problems.done()?;
        let source = match self.source {
            Some(named) => {
                let named = Reference::parse(ringback_domain::id::Kind::Source, &named);
                Some(api.store.source(caller.environment, named).await?.id)
            }
            None => None,
        };
        Ok(Wanted {
            kind,
            expires_at,
            heartbeat: heartbeat.map(Duration::from_secs),
            mode,
            reference: self.reference,
            source,
            tags: self.tags.unwrap_or_default(),
            metadata: self.metadata.unwrap_or_default(),
            terms,
            secrets,
        })
    }

    /// What a call's callback does not have: its application is the call's, and no browser comes.
    pub(super) fn of_a_call(&self, problems: &mut Problems) {
        let mut within = Problems::of_body_field("callback");
        if self.application.is_some() {
            within.add("application", "it is the call's");
        }
        if self.kind.as_deref() == Some("redirect") {
            within.add("kind", "a call's answer is a result");
        }
        problems.append(within);
    }

    /// What is said of an answer means nothing to a browser that comes back.
    fn is_of_a_redirect(&self, problems: &mut Problems) {
        for (field, is_there) in [
            ("heartbeat", self.heartbeat.is_some()),
            ("mode", self.mode.as_deref() == Some("stream")),
            ("methods", self.methods.is_some()),
            ("completer", self.completer.is_some()),
            ("schema", self.schema.is_some()),
            ("successWhen", self.success_when.is_some()),
            ("failureWhen", self.failure_when.is_some()),
            ("acknowledge", self.acknowledge.is_some()),
            ("confirm", self.confirm.is_some()),
        ] {
            if is_there {
                problems.add(field, "a redirect has none: it is for the kind result");
            }
        }
    }

    fn expires_at(&self, problems: &mut Problems, now: Timestamp) -> Timestamp {
        let expiry = Expiry { expires_in: self.expires_in, expires_at: self.expires_at.clone() };
        expiry.check(problems, now).unwrap_or(now + Duration::from_secs(USUAL))
    }

    fn mode(&self, problems: &mut Problems) -> Mode {
        let is_stream = problems.one_of("mode", self.mode.as_deref(), &MODES).unwrap_or(false);
        if self.max_items.is_some_and(|most| !(1..=MOST_ITEMS).contains(&most)) {
            problems.add("maxItems", format!("it is 1 to {MOST_ITEMS}"));
        }
        if self.max_items.is_some() && !is_stream {
            problems.add("maxItems", "it needs the mode stream");
        }
        match is_stream {
            true => Mode::Stream { taken: 0, most: self.max_items.unwrap_or(ITEMS) },
            false => Mode::Single,
        }
    }
}

pub(super) const KINDS: [(&str, Kind); 2] =
    [("result", Kind::Result), ("redirect", Kind::Redirect)];
const MODES: [(&str, bool); 2] = [("single", false), ("stream", true)];

fn reference(problems: &mut Problems, reference: Option<&str>) {
    let Some(text) = reference else { return };
    if text.is_empty() || text.chars().count() > REFERENCE {
        problems.add("reference", format!("it has 1 to {REFERENCE} characters"));
    } else if text.chars().any(char::is_control) {
        problems.add("reference", "it may not contain control characters");
    }
}

/// How a browser comes back, if it is one that does.
fn redirect(
    problems: &mut Problems,
    api: &Api,
    kind: Kind,
    options: Option<Redirect>,
    reference: Option<&str>,
    has_source: bool,
) -> Option<Redirect> {
    match (kind, &options) {
        (Kind::Redirect, None) => problems.add("redirect", "field required"),
        (Kind::Result, Some(_)) => problems.add("redirect", "it needs the kind redirect"),
        (Kind::Redirect, Some(options)) => {
            let mut say = |path: &[&str], what: String| {
                let path = ["redirect"].iter().chain(path).map(|part| (*part).to_owned());
                problems.add_at(&path.collect::<Vec<_>>(), what);
            };
            options.check(reference, has_source, api.callbacks.targets(), &mut say);
        }
        (Kind::Result, None) => {}
    }
    options
}

/// Until when a callback is open: one of both.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(as = CallbackExtendIn)]
pub(super) struct Expiry {
    /// From now on, in seconds, 1 to 7776000.
    #[schema(minimum = 1, maximum = 7776000)]
    expires_in: Option<u64>,
    /// At this time; one that has passed means now.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

impl Expiry {
    /// When it ends; none if nothing is said, or what is said is wrong, which is noted.
    fn check(&self, problems: &mut Problems, now: Timestamp) -> Option<Timestamp> {
        let latest = now + Duration::from_secs(LONGEST);
        match (self.expires_in, &self.expires_at) {
            (Some(_), Some(_)) => {
                problems.add("expiresAt", "it cannot stand beside expiresIn");
                None
            }
            (Some(seconds), None) if !(1..=LONGEST).contains(&seconds) => {
                problems.add("expiresIn", format!("it is 1 to {LONGEST} seconds"));
                None
            }
            (Some(seconds), None) => Some(now + Duration::from_secs(seconds)),
            (None, Some(text)) => {
                let at = problems.time("expiresAt", text)?;
                if at > latest {
                    problems.add("expiresAt", "it is at most 90 days from now");
                }
                Some(at)
            }
            (None, None) => None,
        }
    }

    /// When it ends.
    ///
    /// # Errors
    /// 422 if it does not say, or not one that can be.
    pub(super) fn wanted(&self, now: Timestamp) -> Result<Timestamp, Error> {
        let mut problems = Problems::of_body();
        let at = self.check(&mut problems, now);
        if self.expires_in.is_none() && self.expires_at.is_none() {
            problems.add("expiresIn", "field required");
        }
        problems.done()?;
        at.ok_or(Error::Internal)
    }
}

impl CompleterIn {
    fn check(self, problems: &mut Problems, api: &Api) -> (Option<Scheme>, Secrets) {
        let mut within = Problems::of_body_field("completer");
        let checked = match (self.bearer, self.provider) {
            (Some(secret), None) => {
                let visible = secret.bytes().all(|byte| byte.is_ascii_graphic());
                if !visible || !(16..=256).contains(&secret.len()) {
                    within.add("bearer", "it has 16 to 256 visible ASCII characters");
                }
                within.unsupported("settings", self.settings.as_ref());
                let secrets = Secrets { bearer: Some(secret), ..Secrets::default() };
                (Some(Scheme::Bearer), secrets)
            }
            (None, Some(id)) => match api.catalog.get(&id) {
                Some(provider) => {
                    let mut secrets = Secrets::default();
                    for (key, value) in self.settings.iter().flatten() {
                        match read_setting(&provider, key, value) {
                            Ok((name, values)) => drop(secrets.provider.insert(name, values)),
                            Err(what) => within.add_below("settings", Some(key), what),
                        }
                    }
                    for setting in provider.settings.iter().filter(|setting| setting.required) {
                        if secrets.provider.get(&setting.name).is_none_or(Vec::is_empty) {
                            within.add_below("settings", Some(&setting.name), "field required");
                        }
                    }
                    (Some(Scheme::Provider(id)), secrets)
                }
                None => {
                    within.add("provider", "there is no such provider");
                    (None, Secrets::default())
                }
            },
            _ => {
                within.add_here("it has either bearer, or provider and settings");
                (None, Secrets::default())
            }
        };
        problems.append(within);
        checked
    }
}
