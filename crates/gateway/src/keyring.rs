//! The keys that seal secrets: from the configuration, or made beside the data for a simple start.

mod rotation;

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use ringback_domain::seal::{Context, Keyring, MasterKey, OpenError, SealError};
use ringback_store::{Store, Unavailable};
use zeroize::Zeroizing;

pub use self::rotation::{Refusal, Rotation, Use};
use crate::{config, seam::Entropy};

/// The file of a key that was made beside the data.
const FILE: &str = "master.key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key file cannot be read or written.
    #[error("the key file {path} cannot be used: {reason}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        reason: io::Error,
    },
    /// It is not the key that this store's secrets are sealed with.
    #[error("this is not the key that the secrets of this store are sealed with: {0}")]
    Wrong(OpenError),
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] Unavailable),
    /// The cipher failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The keys of URLs cannot be used.
    #[error("the keys of callback URLs in {origin} cannot be used: {what}")]
    UrlKeys {
        /// Where they came from.
        origin: String,
        /// What is wrong with them.
        what: String,
    },
    /// The key is none.
    #[error("{origin} holds no key: {reason}")]
    Key {
        /// Where it came from.
        origin: String,
        /// What is wrong with it.
        reason: ringback_domain::seal::MasterKeyError,
    },
}

/// What is sealed on the first start, so that a later one notices a wrong key.
const CANARY: &str = "sealing-key";

/// Checks that the keys open what this store's first start sealed. Without this a wrong key would
/// be noticed by the receivers: every delivery would fail, until its endpoint was disabled.
///
/// # Errors
/// [`Error::Wrong`] names the key that is needed.
pub async fn check(
    keyring: &Keyring,
    store: &dyn Store,
    entropy: &dyn Entropy,
) -> Result<(), Error> {
    let context = Context { environment: 0, owner: 0, purpose: CANARY };
    let sealed = keyring.seal(entropy.bytes(), &context, CANARY.as_bytes())?;
    let kept = store.keep_first(CANARY.to_owned(), sealed).await?;
    keyring.open(&context, &kept).map(|_| ()).map_err(Error::Wrong)
}

/// The keys to seal and to open with, and the file that they come from, if it is one.
///
/// # Errors
/// [`Error`] says which file or setting holds no key.
pub fn load(
    settings: &config::Secrets,
    data: &Path,
    entropy: &dyn Entropy,
) -> Result<(Keyring, Option<PathBuf>), Error> {
    let previous: Vec<_> =
        settings.previous_keys.iter().map(|key| MasterKey::new(*key.expose())).collect();
    if let Some(key) = &settings.key {
        return Ok((Keyring::new(&MasterKey::new(*key.expose()), &previous), None));
    }
    let path = match &settings.key_file {
        Some(path) => path.clone(),
        None => beside(data, entropy)?,
    };
    let (first, others) = keys_in(&path)?;
    Ok((Keyring::new(&first, others.iter().chain(&previous)), Some(path)))
}

fn beside(data: &Path, entropy: &dyn Entropy) -> Result<PathBuf, Error> {
    let path = data.join(FILE);
    if !path.exists() {
        write(&path, &MasterKey::new(entropy.bytes()).to_text())?;
    }
    tracing::warn!(
        path = %path.display(),
        "the key that encrypts secrets lies beside the data it protects: move it elsewhere and name \
         it with RINGBACK_SECRETS_KEY_FILE"
    );
    Ok(path)
}

/// Writes a file that only its owner may read; it is there as a whole or not at all.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    // Written under another name first: a half-written key would lock everything out.
    let partial = path.with_extension("partial");
    let attempt = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    attempt().map_err(|reason| Error::File { path: path.display().to_string(), reason })
}

/// The text of a key file.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path)
        .map_err(|reason| Error::File { path: path.display().to_string(), reason })
}

/// The keys in a file, one a line: the one that seals, and the others. Empty lines and those that begin
/// with `#` are passed over.
fn keys_in(path: &Path) -> Result<(MasterKey, Vec<MasterKey>), Error> {
    let text = Zeroizing::new(read(path)?);
    let is_key = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let mut lines = text.lines().map(str::trim).filter(is_key);
    // An empty text is no key, and says so.
    let first = MasterKey::parse(lines.next().unwrap_or_default());
    let keys =
        first.and_then(|first| Ok((first, lines.map(MasterKey::parse).collect::<Result<_, _>>()?)));
    keys.map_err(|reason| Error::Key { origin: path.display().to_string(), reason })
}
