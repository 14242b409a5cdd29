//! The keys of callback URLs: from the configuration, or made beside the data for a simple start.
//!
//! They do nothing but make URLs. Each has a version, which stands in the URL: the newest makes those
//! of new callbacks, and the others keep open what they have made.

use std::path::Path;

use ringback_domain::callback::UrlKeys;
use ringback_store::Store;
use zeroize::Zeroizing;

use crate::{
    config,
    keyring::{self, Error},
    seam::Entropy,
};

/// The file of keys that was made beside the data.
const FILE: &str = "url.keys";

/// The keys of URLs.
///
/// # Errors
/// [`Error`] says which file or setting holds none.
pub fn load(
    settings: &config::Callback,
    data: &Path,
    entropy: &dyn Entropy,
) -> Result<UrlKeys, Error> {
    if !settings.url_keys.is_empty() {
        return Ok(keys(&settings.url_keys));
    }
    let path = match &settings.url_keys_file {
        Some(path) => path.clone(),
        None => beside(data, entropy)?,
    };
    let text = keyring::read(&path)?;
    let wrong = |what: String| Error::UrlKeys { origin: path.display().to_string(), what };
    let keys = self::keys(&config::UrlKeys::parse(&text).map_err(wrong)?);
    match keys.first_turn() {
        Some(_) => Ok(keys),
        None => Err(wrong("holds no key".to_owned())),
    }
}

/// Checks that each key is the one that made URLs with its version before. Without this another
/// key would be noticed by those who answer: every open URL would be unknown.
///
/// # Errors
/// [`Error::UrlKeys`] names the version.
pub async fn check(
    settings: &config::Callback,
    keys: &UrlKeys,
    store: &dyn Store,
) -> Result<(), Error> {
    for (version, fingerprint) in keys.fingerprints() {
        let name = format!("url-key-{version}");
        let kept = store.keep_first(name, fingerprint.to_vec()).await?;
        if kept != fingerprint {
            let what = format!(
                "version {version} is another key than the one that made URLs with this version: \
                 give a new key a new version"
            );
            let origin = match &settings.url_keys_file {
                Some(path) => path.display().to_string(),
                None if settings.url_keys.is_empty() => FILE.to_owned(),
                None => "callback.url_keys".to_owned(),
            };
            return Err(Error::UrlKeys { origin, what });
        }
    }
    Ok(())
}

fn keys(given: &config::UrlKeys) -> UrlKeys {
    UrlKeys::new(given.iter().map(|(version, key)| (version, Zeroizing::new(*key.expose()))))
}

fn beside(data: &Path, entropy: &dyn Entropy) -> Result<std::path::PathBuf, Error> {
    let path = data.join(FILE);
    if !path.exists() {
        let key = Zeroizing::new(entropy.bytes::<32>());
        let text = format!("1:{}\n", data_encoding::BASE64URL_NOPAD.encode(&*key));
        keyring::write(&path, &Zeroizing::new(text))?;
    }
    Ok(path)
}
