//! How sources look in requests and answers.

use std::collections::BTreeMap;

use ringback_domain::{
    application::Metadata,
    id::{ApplicationId, Kind, SourceId},
    provider::{self, MAX_VALUES, Provider, Settings},
    source::Source,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::kinds;
use crate::{
    api::{error::Error, field::Problems, patch},
    receive::{Catalog, Config},
};

/// Settings by name, the newest value first.
pub(super) type Values = BTreeMap<String, Vec<String>>;

/// A source to create, or what replaces one.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct IngestSourceIn {
    /// For people.
    #[schema(required, nullable = false)]
    name: Option<String>,
    /// Your own name for it, usable in every path.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>)]
    uid: Option<Option<String>>,
    /// Your own labels.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
    /// Who calls: a provider's id, such as `github` (see `ringback providers`).
    #[serde(rename = "type")]
    #[schema(required, nullable = false, example = "github")]
    kind: Option<String>,
    /// What the provider needs, such as `{"secret": "…"}`: names as in its file, in camel case. A
    /// list of values, the newest first, is a rotation; null clears.
    #[schema(value_type = Option<BTreeMap<String, Value>>)]
    config: Option<BTreeMap<String, Value>>,
    /// How requests are treated.
    options: Option<Config>,
}

/// What a checked body says.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) uid: Option<Option<String>>,
    pub(super) metadata: Metadata,
    pub(super) provider: String,
    pub(super) settings: Values,
    pub(super) cleared: Vec<String>,
    /// As JSON.
    pub(super) options: String,
}

impl IngestSourceIn {
    /// # Errors
    /// 422 with everything that is wrong.
    pub(super) fn check(self, catalog: &Catalog) -> Result<Wanted, Error> {
        let mut problems = Problems::of_body();
        let name = problems.required("name", self.name.as_ref());
        problems.name("name", name);
        problems.uid("uid", Kind::Source, self.uid.as_ref().and_then(Option::as_ref));
        problems.metadata("metadata", self.metadata.as_ref());
        let kind = problems.required("type", self.kind.as_deref());
        let provider = kind.and_then(|kind| catalog.get(kinds::provider(kind)));
        if let (Some(kind), None) = (kind, &provider) {
            problems.add("type", format!("there is no provider `{}`", shortened(kind)));
        }
        let mut settings = Values::new();
        let mut cleared = Vec::new();
        if let Some(provider) = &provider {
            for (key, value) in self.config.iter().flatten() {
                match read_setting(provider, key, value) {
                    Ok((name, values)) if values.is_empty() => cleared.push(name),
                    Ok((name, values)) => {
                        settings.insert(name, values);
                    }
                    Err(what) => problems.add_below("config", Some(key), what),
                }
            }
        }
        let options = self.options.unwrap_or_default();
        for wrong in options.check().err().into_iter().flatten() {
            problems.add_below("options", Some(wrong.field), wrong.reason);
        }
        problems.done()?;
        Ok(Wanted {
            name: self.name.unwrap_or_default(),
            uid: self.uid,
            metadata: self.metadata.unwrap_or_default(),
            provider: provider.map(|provider| provider.id.clone()).unwrap_or_default(),
            settings,
            cleared,
            options: serde_json::to_string(&options).map_err(|_| Error::Internal)?,
        })
    }
}

impl Wanted {
    /// Whether a source can be made of it: some settings cannot be left for later.
    ///
    /// # Errors
    /// 422 that names them.
    pub(super) fn complete(&self, catalog: &Catalog) -> Result<(), Error> {
        let mut problems = Problems::of_body();
        let provider = catalog.get(&self.provider);
        for setting in provider.iter().flat_map(|provider| &provider.settings) {
            if setting.source_required && !self.settings.contains_key(&setting.name) {
                problems.add_below("config", Some(&camel(&setting.name)), "field required");
            }
        }
        problems.done()
    }
}

/// The setting that a field of `config` gives, and its values; none clears.
pub(in crate::api) fn read_setting(
    provider: &Provider,
    key: &str,
    value: &Value,
) -> Result<(String, Vec<String>), String> {
    let setting =
        provider.settings.iter().find(|setting| setting.name == key || camel(&setting.name) == key);
    let Some(setting) = setting else {
        let known: Vec<String> = provider.settings.iter().map(|one| camel(&one.name)).collect();
        return Err(match known.is_empty() {
            true => "this provider has no settings".to_owned(),
            false => format!("this provider has {}", known.join(", ")),
        });
    };
    let texts: Vec<&str> = match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text],
        Value::Array(all) => {
            let texts: Option<Vec<&str>> = all.iter().map(Value::as_str).collect();
            texts.ok_or("it is a text or a list of texts")?
        }
        _ => return Err("it is a text or a list of texts".to_owned()),
    };
    if texts.len() > MAX_VALUES {
        return Err(format!("there are at most {MAX_VALUES} values"));
    }
    for text in &texts {
        setting.check(text).map_err(|error| error.to_string())?;
    }
    Ok((setting.name.clone(), texts.into_iter().map(str::to_owned).collect()))
}

/// A source.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct IngestSourceOut {
    /// Ringback's name for it.
    #[schema(value_type = String, example = "src_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: SourceId,
    /// Your own name for it.
    uid: Option<String>,
    /// For people.
    name: String,
    /// What is registered with the provider. Whoever knows it can call it.
    ingest_url: Option<String>,
    /// Who calls.
    #[serde(rename = "type")]
    kind: String,
    /// The settings that are no secrets; left out where the provider has no settings at all, because
    /// the SDKs read nothing else for `generic-webhook`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, Value>>)]
    config: Option<BTreeMap<String, Value>>,
    /// Settings that are needed and not there: without them nothing is accepted.
    missing: Vec<String>,
    /// How requests are treated.
    #[schema(value_type = Config)]
    options: Value,
    /// What a verified request proves: `signed`, `partial`, `token` or `none`.
    strength: &'static str,
    /// How the provider's file was proven: `published`, `vendor-sdk` or `derived`.
    proof: &'static str,
    /// The application that its messages and endpoints belong to.
    #[schema(value_type = String)]
    app_id: ApplicationId,
    /// Until when a handshake may bring a secret.
    #[schema(value_type = Option<String>, format = DateTime)]
    armed_until: Option<Timestamp>,
    /// Your own labels.
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl IngestSourceOut {
    pub(super) fn new(
        source: Source,
        provider: Option<&Provider>,
        settings: &Settings,
        ingest_url: Option<String>,
    ) -> IngestSourceOut {
        let declared = provider.map_or(&[][..], |provider| &provider.settings);
        let open = declared.iter().filter(|setting| setting.kind != provider::Kind::Secret);
        let config: BTreeMap<String, Value> = open
            .filter_map(|setting| {
                let values = settings.values(&setting.name);
                let texts = || values.iter().map(|value| Value::from(value.as_str()));
                match values.len() {
                    0 => None,
                    1 => Some((camel(&setting.name), texts().next()?)),
                    _ => Some((camel(&setting.name), texts().collect())),
                }
            })
            .collect();
        let missing = declared
            .iter()
            .filter(|one| one.required && settings.values(&one.name).is_empty())
            .map(|one| camel(&one.name))
            .collect();
        IngestSourceOut {
            id: source.id,
            uid: source.uid,
            name: source.name,
            ingest_url,
            kind: kinds::kind(&source.provider).to_owned(),
            config: (!declared.is_empty()).then_some(config),
            missing,
            options: serde_json::from_str(&source.config).unwrap_or_default(),
            strength: provider.map_or("none", |provider| provider.strength.as_str()),
            proof: provider.map_or("derived", |provider| provider.proof.as_str()),
            app_id: source.application,
            armed_until: source.armed_until,
            metadata: source.metadata,
            created_at: source.created_at,
            updated_at: source.updated_at,
        }
    }
}

/// `public_key` as `publicKey`.
fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                camel.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => camel.push(c),
        }
    }
    camel
}

fn shortened(text: &str) -> String {
    text.chars().take(64).filter(|c| !c.is_control()).collect()
}
