//! The contracts of each environment: what the store said lately, ready to be used.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use ringback_domain::{
    contract::{
        Terms,
        conversion::{Chain, Conversion, Link},
        pin::{self, Pinnable},
        version::{Status, Version},
    },
    delivery::{Pins, Rendering},
    id::Key,
    schema::Schema,
    time::Timestamp,
};
use ringback_store::{Content, Contract, ConversionRow, ReadError, Store, Unavailable};

use super::memo::Memo;
use crate::transform::Sandbox;

/// How long a contract is believed to be as it was: what another process of the installation changed
/// counts after this time.
const REMEMBERED: Duration = Duration::from_secs(5);
/// How many environments are remembered.
const LIMIT: usize = 1_000;

/// Finds contracts. Clones share it.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    sandbox: Sandbox,
    // Held for a look-up or an insertion, never across an await.
    remembered: RwLock<Remembered>,
    memo: Memo,
}

/// The contracts of an environment by the names of their event types.
type ByName = Arc<HashMap<String, Arc<Known>>>;

#[derive(Default)]
struct Remembered {
    /// Until when they are believed.
    environments: HashMap<Key, (ByName, Timestamp)>,
    // Counts what was forgotten: what was asked before may be outdated after.
    generation: u64,
}

/// A contract, ready to be used.
pub struct Known {
    /// What holds for all versions.
    pub terms: Terms,
    /// By ordinal.
    pub versions: Vec<Edition>,
    /// By the ordinal that it leads from: the revision in force, and what it does; nothing of one that
    /// cannot be read any more.
    conversions: BTreeMap<u32, (Arc<str>, Option<Arc<Conversion>>)>,
    /// When the event type was changed last.
    pub(super) updated_at: Timestamp,
}

/// A version, ready to be used.
pub struct Edition {
    /// As it is stored.
    pub version: Version,
    schema: OnceLock<Option<Arc<Schema>>>,
}

impl Directory {
    /// A directory of this store's contracts, whose JavaScript runs in this sandbox.
    pub fn new(store: Arc<dyn Store>, sandbox: Sandbox) -> Directory {
        let (remembered, memo) = Default::default();
        Directory(Arc::new(Inner { store, sandbox, remembered, memo }))
    }

    /// The contract of an event type; none if nothing is agreed on.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be asked.
    pub async fn find(
        &self,
        environment: Key,
        event_type: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<Known>>, Unavailable> {
        let (generation, before) = {
            let remembered = self.0.remembered.read().unwrap_or_else(PoisonError::into_inner);
            let known = remembered.environments.get(&environment);
            if let Some((contracts, _)) = known.filter(|(_, until)| now < *until) {
                return Ok(contracts.get(event_type).cloned());
            }
            (remembered.generation, known.map(|(contracts, _)| Arc::clone(contracts)))
        };
        let found = self.0.store.contracts(environment).await?;
        let ready = |contract: Contract| {
            // What has not changed keeps what was compiled of it.
            let same = before.as_ref().and_then(|before| before.get(&contract.name));
            let same = same.filter(|known| known.updated_at == contract.updated_at).cloned();
            (contract.name.clone(), same.unwrap_or_else(|| Arc::new(Known::new(contract))))
        };
        let contracts: ByName = Arc::new(found.into_iter().map(ready).collect());
        let found = contracts.get(event_type).cloned();
        let mut remembered = self.0.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.generation == generation {
            if remembered.environments.len() >= LIMIT {
                remembered.environments.clear();
            }
            remembered.environments.insert(environment, (contracts, now + REMEMBERED));
        }
        Ok(found)
    }

    /// The contract of a message's event type with those revisions of conversions that made something
    /// of it before; none if the type is gone.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be asked.
    pub async fn recorded(
        &self,
        message: &Content,
        recorded: &Rendering,
    ) -> Result<Option<Arc<Known>>, Unavailable> {
        let (environment, name) = (message.scope.environment, message.event_type.to_string());
        let mut contract = match self.0.store.contract(environment, name).await {
            Ok(contract) => contract,
            Err(ReadError::NotFound(_)) => return Ok(None),
            Err(ReadError::Unavailable(unavailable)) => return Err(unavailable),
        };
        let named = |row: &ConversionRow| {
            recorded.conversions.iter().any(|named| **named == *revision(row.key))
        };
        contract.conversions.retain(named);
        Ok(Some(Arc::new(Known::new(contract))))
    }

    /// Forgets what is known of an environment: a contract was changed.
    pub fn forget(&self, environment: Key) {
        let mut remembered = self.0.remembered.write().unwrap_or_else(PoisonError::into_inner);
        // What is compiled stays; it is looked for anew.
        if let Some((_, until)) = remembered.environments.get_mut(&environment) {
            *until = Timestamp(i64::MIN);
        }
        remembered.generation += 1;
    }

    /// Where JavaScript runs.
    pub fn sandbox(&self) -> &Sandbox {
        &self.0.sandbox
    }

    pub(super) fn memo(&self) -> &Memo {
        &self.0.memo
    }
}

impl Known {
    /// Makes a contract ready.
    pub fn new(contract: Contract) -> Known {
        let edition = |row: ringback_store::VersionRow| Edition {
            version: row.version,
            schema: OnceLock::new(),
        };
        let mut conversions = BTreeMap::new();
        // The newest comes last.
        for row in &contract.conversions {
            let conversion = Conversion::read(&row.program).map(Arc::new).ok();
            if conversion.is_none() {
                tracing::error!(event_type = contract.name, "a conversion is unreadable");
            }
            conversions.insert(row.ordinal, (revision(row.key), conversion));
        }
        Known {
            terms: contract.terms,
            versions: contract.versions.into_iter().map(edition).collect(),
            conversions,
            updated_at: contract.updated_at,
        }
    }

    /// The version with this ordinal.
    pub fn version(&self, ordinal: u32) -> Option<&Edition> {
        self.versions.iter().find(|edition| edition.version.ordinal == ordinal)
    }

    /// The version that messages are that name none.
    pub fn default_version(&self, now: Timestamp) -> Option<&Edition> {
        pin::default_at(&self.versions, now).filter(|edition| edition.version.status.is_sent())
    }

    /// The version that an endpoint gets, made at `created_at`.
    pub fn pinned(
        &self,
        event_type: &str,
        pins: Option<&Pins>,
        created_at: Timestamp,
    ) -> Option<&Edition> {
        pin::pinned(&self.versions, event_type, pins, created_at)
    }

    /// The way from one version down to another; the label of the version from which it cannot be
    /// gone on, if a conversion on it is unreadable.
    pub(super) fn chain(&self, from: u32, to: u32) -> Result<Chain, Arc<str>> {
        let label = |ordinal: u32| -> Arc<str> {
            let edition = self.version(ordinal);
            edition
                .map_or_else(|| ordinal.to_string().into(), |it| it.version.label.as_str().into())
        };
        let mut links = Vec::new();
        for ordinal in (to + 1..=from).rev() {
            let conversion = match self.conversions.get(&ordinal) {
                None => None,
                Some((revision, Some(conversion))) => {
                    Some((Arc::clone(revision), Arc::clone(conversion)))
                }
                Some((_, None)) => return Err(label(ordinal)),
            };
            links.push(Link { from: label(ordinal), conversion });
        }
        let schema = self.version(to).and_then(Edition::schema);
        Ok(Chain { links, schema })
    }
}

impl Edition {
    /// Its schema, compiled when it is first asked for; none where that cannot be done.
    pub fn schema(&self) -> Option<Arc<Schema>> {
        let compile = || match self.version.compile() {
            Ok(schema) => Some(Arc::new(schema)),
            Err(mistake) => {
                tracing::warn!(label = self.version.label, %mistake, "a schema cannot be used");
                None
            }
        };
        self.schema.get_or_init(compile).clone()
    }
}

impl Pinnable for Edition {
    fn label(&self) -> &str {
        &self.version.label
    }

    fn ordinal(&self) -> u32 {
        self.version.ordinal
    }

    fn status(&self) -> Status {
        self.version.status
    }

    fn default_since(&self) -> Option<Timestamp> {
        self.version.default_since
    }
}

/// What a revision of a conversion is called.
pub(crate) fn revision(key: Key) -> Arc<str> {
    format!("conv_{key:016x}").into()
}
