//! Values that no log, message or dump may show.

use std::{collections::BTreeMap, fmt};

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use ringback_domain::target::{Rules, Scheme, Target};

/// Text that is shown as `[secret]` wherever it is formatted.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// The 32 bytes that encrypt secrets at rest.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Reads base64 (either alphabet, padded or not) or 64 hexadecimal digits, with or without the
    /// `rbk_` that key files begin with; white space around it is ignored. `None` unless it is 32
    /// bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix("rbk_").unwrap_or(text).as_bytes();
        let encodings = [HEXLOWER_PERMISSIVE, BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD];
        let key = encodings
            .iter()
            .filter_map(|encoding| encoding.decode(text).ok())
            .find_map(|bytes| <[u8; 32]>::try_from(bytes).ok())?;
        Some(Self(key))
    }

    /// The bytes themselves, for the one place that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Keys that encrypted secrets at rest before.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretKeys(Vec<SecretKey>);

impl SecretKeys {
    pub(super) fn read<'a>(items: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let keys: Option<_> = items.map(SecretKey::parse).collect();
        let expected = "must be keys of 32 bytes as base64 or 64 hexadecimal digits";
        keys.map(Self).ok_or_else(|| expected.to_owned())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &SecretKey> {
        self.0.iter()
    }
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Keys of 32 bytes by their versions, the oldest first.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UrlKeys(BTreeMap<u8, SecretKey>);

impl UrlKeys {
    /// Reads keys as `VERSION:KEY`, one a line or between commas, in any order.
    ///
    /// # Errors
    /// What they have to be, without repeating one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let items = text.split(['\n', ',']).map(str::trim);
        Self::read(items.filter(|item| !item.is_empty() && !item.starts_with('#')))
    }

    pub(super) fn read<'a>(items: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut keys = BTreeMap::new();
        for item in items {
            let (version, key) = item.split_once(':').unwrap_or_default();
            let version = version.trim().parse().map_err(|_| {
                "must be keys as VERSION:KEY, with versions from 0 to 255".to_owned()
            })?;
            let key = SecretKey::parse(key)
                .ok_or("must have keys of 32 bytes as base64 or 64 hexadecimal digits")?;
            if keys.insert(version, key).is_some() {
                return Err(format!("has version {version} twice"));
            }
        }
        Ok(Self(keys))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Versions and keys.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &SecretKey)> {
        self.0.iter().map(|(version, key)| (*version, key))
    }
}

impl fmt::Debug for UrlKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Whether a token can be sent in an `Authorization` header and is long enough not to be guessed.
pub(super) fn token_shape(token: &Option<Secret>) -> Result<(), String> {
    let Some(token) = token else { return Ok(()) };
    let visible = token.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if visible && (16..=256).contains(&token.expose().len()) {
        return Ok(());
    }
    Err("must be 16 to 256 visible ASCII characters".to_owned())
}

/// Whether a proxy's URL is one; the message does not repeat its password.
pub(super) fn proxy_shape(url: &Option<Secret>) -> Result<(), String> {
    let Some(url) = url else { return Ok(()) };
    let target = Target::parse(url.expose(), Rules { require_https: false });
    let fits = |target: Target| target.scheme == Scheme::Http && target.path_and_query == "/";
    if target.is_ok_and(fits) {
        return Ok(());
    }
    Err("must be a URL such as http://USER:PASSWORD@HOST:PORT".to_owned())
}

/// Whether a database's URL is one. The rest is left to whoever connects: hosts may be lists and
/// sockets, and no message about them may repeat a password.
pub(super) fn database_shape(url: &Option<Secret>) -> Result<(), String> {
    let Some(url) = url else { return Ok(()) };
    if ["postgres://", "postgresql://"].iter().any(|scheme| url.expose().starts_with(scheme)) {
        return Ok(());
    }
    Err("must be a URL such as postgres://USER:PASSWORD@HOST:PORT/DATABASE".to_owned())
}
