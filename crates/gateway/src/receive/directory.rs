//! Sources by the secret in their URL: what the store said lately, ready to be used.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ringback_domain::{
    callback::correlate::Rule,
    id::Key,
    provider::{Provider, Settings},
    schema::Schema,
    scope::Scope,
    seal::{Context, Keyring},
    source::Source,
    time::Timestamp,
};
use ringback_store::{Store, Unavailable};

use super::{Catalog, Config, correlate};

/// How long a source is believed to be as it was: what another process of the installation changed
/// counts after this time.
const REMEMBERED: Duration = Duration::from_secs(5);
/// How many sources are remembered.
const LIMIT: usize = 10_000;

/// What a source's settings are sealed as: a JSON object of names and lists of values.
pub const SETTINGS: &str = "source-settings";
/// What a source's token is sealed as.
pub const TOKEN: &str = "source-token";
/// What the token of a source's event stream is sealed as.
pub const STREAM: &str = "source-stream";

/// A source, ready to judge a request.
pub struct Ready {
    /// Whose messages it makes.
    pub scope: Scope,
    /// As it is stored.
    pub source: Source,
    /// How requests are treated.
    pub config: Config,
    /// Who calls; none if no file describes it any more.
    pub provider: Option<Arc<Provider>>,
    /// What was supplied for it.
    pub settings: Settings,
    /// The schemas of its configuration by event type, compiled; the reason where that failed.
    pub schemas: HashMap<String, Result<Schema, String>>,
    /// Which messages answer callbacks.
    pub correlations: Vec<Rule>,
}

impl Ready {
    /// How long its destination has to answer; none if the source answers itself.
    pub(crate) fn answer_deadline(&self) -> Option<Duration> {
        self.config.reply.waits(self.provider.as_deref()?)
    }

    /// What belongs to the source is sealed like this.
    pub(super) fn place(&self, purpose: &'static str) -> Context<'static> {
        let Ready { scope, source, .. } = self;
        Context { environment: scope.environment, owner: source.id.key(), purpose }
    }
}

/// Finds sources. Clones share it.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    keyring: Arc<Keyring>,
    catalog: Catalog,
    // Held for a look-up or an insertion, never across an await.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    sources: HashMap<[u8; 32], (Option<Arc<Ready>>, Timestamp)>,
    // Counts what was forgotten: what was asked before may be outdated after.
    generation: u64,
}

impl Directory {
    /// A directory of this store's sources.
    pub fn new(store: Arc<dyn Store>, keyring: Arc<Keyring>, catalog: Catalog) -> Directory {
        Directory(Arc::new(Inner { store, keyring, catalog, known: Mutex::default() }))
    }

    /// The source with this token.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be asked.
    pub async fn find(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<Ready>>, Unavailable> {
        let hash = ringback_domain::token::hash(token);
        let generation = {
            let known = self.lock();
            if let Some((ready, _)) = known.sources.get(&hash).filter(|(_, until)| now < *until) {
                return Ok(ready.clone());
            }
            known.generation
        };
        let found = self.0.store.source_by_token(hash, now).await?;
        let ready = found.map(|(environment, source)| Arc::new(self.ready(environment, source)));
        let mut known = self.lock();
        if known.generation == generation {
            if known.sources.len() >= LIMIT {
                known.sources.clear();
            }
            known.sources.insert(hash, (ready.clone(), now + REMEMBERED));
        }
        Ok(ready)
    }

    /// The provider with this id; none if no file describes it.
    pub(super) fn provider(&self, id: &str) -> Option<Arc<Provider>> {
        self.0.catalog.get(id)
    }

    /// Counts how often something was forgotten: whoever knows sources has to look again when it is
    /// another number.
    pub fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Forgets everything: a source was made or changed.
    pub fn forget(&self) {
        let mut known = self.lock();
        known.sources.clear();
        known.generation += 1;
    }

    /// Makes a source ready.
    pub fn ready(&self, environment: Key, source: Source) -> Ready {
        let config: Config = serde_json::from_str(&source.config).unwrap_or_else(|error| {
            tracing::error!(source = %source.id, %error, "a source's configuration is unreadable");
            // Fail closed: nothing unverified gets in by a configuration that cannot be read.
            Config::default()
        });
        let provider = self.0.catalog.get(&source.provider);
        let mut settings = self.settings(environment, &source);
        settings.set_tolerance(config.tolerance);
        let scope = Scope { environment, application: source.application.key() };
        let compile = |(kind, schema): (&String, &serde_json::Value)| {
            (kind.clone(), Schema::compile(schema).map_err(|mistake| mistake.to_string()))
        };
        let schemas = config.schemas.iter().map(compile).collect();
        let rule = |options: &correlate::Options| match options.rule() {
            Ok(rule) => Some(rule),
            // Checked when it was saved; a later version may take less.
            Err(wrong) => {
                tracing::error!(source = %source.id, rule = options.name, %wrong, "a rule is no rule");
                None
            }
        };
        let correlations = config.correlations.iter().filter_map(rule).collect();
        Ready { scope, source, config, provider, settings, schemas, correlations }
    }

    fn settings(&self, environment: Key, source: &Source) -> Settings {
        let Some(sealed) = &source.settings else { return Settings::new() };
        match open_settings(&self.0.keyring, environment, source.id.key(), sealed) {
            Some(settings) => settings,
            None => {
                tracing::error!(source = %source.id, "a source's settings cannot be opened");
                Settings::new()
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // Every change leaves the map whole, so a panic elsewhere cannot have broken it.
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the settings of a source.
pub fn open_settings(
    keyring: &Keyring,
    environment: Key,
    owner: Key,
    sealed: &[u8],
) -> Option<Settings> {
    let context = Context { environment, owner, purpose: SETTINGS };
    let plain = keyring.open(&context, sealed).ok()?;
    let values: std::collections::BTreeMap<String, Vec<String>> =
        serde_json::from_slice(&plain).ok()?;
    let mut settings = Settings::new();
    for (name, values) in values {
        settings.set(name, values);
    }
    Some(settings)
}
