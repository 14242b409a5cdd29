//! The catalogue of providers: those that are built in, and an operator's own beside them. Providers of
//! OAuth are kept in the same way.
//!
//! A built-in file is parsed when it is first asked for, so that a start of the server costs
//! nothing. The operator's directory is read at the start, where a broken file is a mistake to be
//! told, and looked at again by [`Catalog::keep`]: there a broken file is logged, and its last good
//! version stays in force.
//!
//! Invariant: what was given out never changes. A file that is read again makes another provider.

mod directory;

#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ringback_builtin::{BuiltIn, Described};
use ringback_domain::{oauth, provider::Provider};

use self::directory::Directory;
pub use self::directory::{Error, Problem};

/// How often an operator's directory is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// The providers of webhooks.
pub type Catalog = Known<Provider>;

/// The providers of OAuth.
pub type Accounts = Known<oauth::Provider>;

/// Providers by their ids. Clones share everything.
#[derive(Debug)]
pub struct Known<T> {
    own: Option<Arc<Directory<T>>>,
}

impl<T> Clone for Known<T> {
    fn clone(&self) -> Self {
        Self { own: self.own.clone() }
    }
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { own: None }
    }
}

/// A provider and where it is from.
#[derive(Debug)]
pub struct Entry<T = Provider> {
    /// The provider.
    pub provider: Arc<T>,
    /// Its file, as it was read.
    pub text: Cow<'static, str>,
    /// Where that is.
    pub origin: Origin,
}

/// Where a provider is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is part of the binary.
    BuiltIn,
    /// A file of the operator's.
    Own(PathBuf),
    /// The same, which has the place of a built-in one.
    Instead(PathBuf),
}

impl<T: Described + Send + Sync> Known<T> {
    /// The built-in providers, and those of `directory` if there is one.
    ///
    /// # Errors
    /// [`Error`] names every mistake in every file of the directory.
    pub fn open(directory: Option<&Path>) -> Result<Self, Error> {
        let own = directory.map(Directory::open).transpose()?.map(Arc::new);
        Ok(Self { own })
    }

    /// The provider with this id.
    pub fn get(&self, id: &str) -> Option<Arc<T>> {
        let own =
            self.own.as_ref().and_then(|own| Some(Arc::clone(&own.files().get(id)?.provider)));
        own.or_else(|| T::find(id)?.parsed())
    }

    /// All providers by their ids. The first call parses every built-in file.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.entries().into_iter().map(|entry| entry.provider).collect()
    }

    /// The provider with this id, and where it is from.
    pub fn entry(&self, id: &str) -> Option<Entry<T>> {
        let own = self.own.as_ref().and_then(|own| own.files().get(id).cloned());
        match own {
            Some(file) => Some(Entry::own(&file)),
            None => Entry::built_in(T::find(id)?),
        }
    }

    /// All providers by their ids, and where they are from.
    pub fn entries(&self) -> Vec<Entry<T>> {
        let own = self.own.as_ref().map(|own| own.files()).unwrap_or_default();
        let built_in = T::built_in().iter().filter(|one| !own.contains_key(one.id));
        let mut by_id: BTreeMap<String, Entry<T>> =
            built_in.filter_map(|one| Some((one.id.to_owned(), Entry::built_in(one)?))).collect();
        by_id.extend(own.iter().map(|(id, file)| (id.clone(), Entry::own(file))));
        by_id.into_values().collect()
    }

    /// Reads what changes in the operator's directory, until it is dropped.
    pub async fn keep(self) {
        let Some(own) = self.own else { return };
        loop {
            tokio::time::sleep(LOOK).await;
            let own = Arc::clone(&own);
            // The directory may be on a network, and slow. A look that panicked is made again.
            let _ = tokio::task::spawn_blocking(move || own.look()).await;
        }
    }
}

impl<T: Described> Entry<T> {
    fn built_in(file: &'static BuiltIn<T>) -> Option<Self> {
        let text = Cow::Borrowed(file.text);
        Some(Self { provider: file.parsed()?, text, origin: Origin::BuiltIn })
    }

    fn own(file: &directory::File<T>) -> Self {
        let path = file.path.clone();
        let origin = match T::find(file.provider.id()) {
            Some(_) => Origin::Instead(path),
            None => Origin::Own(path),
        };
        let text = Cow::Owned(file.text.clone());
        Self { provider: Arc::clone(&file.provider), text, origin }
    }
}
