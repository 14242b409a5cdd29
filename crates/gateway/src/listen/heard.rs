//! The sources that a listener hears, as they are now.

use std::{collections::HashMap, sync::Arc};

use ringback_domain::{
    id::{Id, Key},
    scope::Reference,
    source::Source,
};
use ringback_store::{Order, Page, Position, ReadError, Store, Unavailable};

use super::Terms;
use crate::receive::{Directory, Ready};

/// The most sources that one listener hears.
const MOST: usize = 1_000;
/// Sources that are read at a time.
const PAGE: usize = 250;

/// Sources by the applications that they own.
#[derive(Clone, Default)]
pub(super) struct Heard {
    by_application: HashMap<Key, Arc<Ready>>,
    /// The directory's, when they were looked for; none if they were not.
    generation: Option<u64>,
}

impl Heard {
    /// The sources that these terms name, as they are now. What is known already and was not changed
    /// is kept. Those that no longer exist are left out.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub(super) async fn find(
        store: &dyn Store,
        directory: &Directory,
        environment: Key,
        terms: &Terms,
        known: &Heard,
    ) -> Result<Heard, Unavailable> {
        // First of all, so that a source that is made meanwhile is looked for again.
        let generation = Some(directory.generation());
        let sources = match terms.sources.is_empty() {
            true => all(store, environment).await?,
            false => named(store, environment, terms).await?,
        };
        let ready = sources.into_iter().map(|source| {
            let before = known.by_application.get(&source.application.key());
            let ready = match before.filter(|before| before.source == source) {
                Some(before) => Arc::clone(before),
                None => Arc::new(directory.ready(environment, source)),
            };
            (ready.scope.application, ready)
        });
        Ok(Heard { by_application: ready.collect(), generation })
    }

    /// The directory's when they were looked for.
    pub(super) fn generation(&self) -> Option<u64> {
        self.generation
    }

    /// The applications to read.
    pub(super) fn applications(&self) -> Vec<Key> {
        let mut applications: Vec<Key> = self.by_application.keys().copied().collect();
        applications.sort_unstable();
        applications
    }

    /// The source that owns an application.
    pub(super) fn source(&self, application: Key) -> Option<&Arc<Ready>> {
        self.by_application.get(&application)
    }

    /// All of them, the oldest first.
    pub(super) fn all(&self) -> Vec<&Ready> {
        let mut all: Vec<&Ready> = self.by_application.values().map(|ready| &**ready).collect();
        all.sort_unstable_by_key(|ready| ready.source.id);
        all
    }
}

async fn named(
    store: &dyn Store,
    environment: Key,
    terms: &Terms,
) -> Result<Vec<Source>, Unavailable> {
    let mut sources = Vec::with_capacity(terms.sources.len());
    for id in &terms.sources {
        match store.source(environment, Reference::Id(id.0)).await {
            Ok(source) => sources.push(source),
            Err(ReadError::NotFound(_)) => {}
            Err(ReadError::Unavailable(error)) => return Err(error),
        }
    }
    Ok(sources)
}

async fn all(store: &dyn Store, environment: Key) -> Result<Vec<Source>, Unavailable> {
    let (mut sources, mut from) = (Vec::new(), Position::<Id>::Start);
    while sources.len() < MOST {
        let page = Page { limit: PAGE, from, order: Order::Ascending };
        let listed = match store.sources(environment, page).await {
            Ok(listed) => listed,
            Err(ReadError::Unavailable(error)) => return Err(error),
            Err(ReadError::NotFound(_)) => break,
        };
        let last = listed.items.last().map(|source| source.id.0);
        sources.extend(listed.items);
        match last {
            Some(last) if !listed.done => from = Position::After(last),
            _ => break,
        }
    }
    sources.truncate(MOST);
    Ok(sources)
}
