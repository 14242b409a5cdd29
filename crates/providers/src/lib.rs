//! The providers of webhooks that Ringback knows: the files of `providers/`, as part of the binary.
//!
//! A file is parsed when it is first asked for, so that a start costs nothing. The server and the
//! Rust client share them, so that both say the same of a request.
//!
//! ```
//! let github = ringback_providers::find("github").and_then(|file| file.provider());
//! assert_eq!(github.map(|github| github.name.clone()).as_deref(), Some("GitHub"));
//! assert!(ringback_providers::find("no-such-provider").is_none());
//! ```

use std::sync::{Arc, OnceLock};

use ringback_domain::provider::Provider;

/// A file that is part of the binary.
#[derive(Debug)]
pub struct BuiltIn {
    /// The provider's id, which is the file's name: `stripe`.
    pub id: &'static str,
    /// The file as it was read when this was built.
    pub text: &'static str,
    parsed: OnceLock<Option<Arc<Provider>>>,
}

// `BUILT_IN`, sorted by id: made by `build.rs` from the files in `providers/`.
include!(concat!(env!("OUT_DIR"), "/providers.rs"));

/// Every file, sorted by id.
pub fn all() -> &'static [BuiltIn] {
    &BUILT_IN
}

/// The file of the provider with this id.
pub fn find(id: &str) -> Option<&'static BuiltIn> {
    let at = BUILT_IN.binary_search_by(|one| one.id.cmp(id)).ok()?;
    BUILT_IN.get(at)
}

impl BuiltIn {
    const fn new(id: &'static str, text: &'static str) -> Self {
        Self { id, text, parsed: OnceLock::new() }
    }

    /// Parses the file, once. A test parses them all, so that there is none that cannot be.
    pub fn provider(&self) -> Option<Arc<Provider>> {
        self.parsed.get_or_init(|| Provider::parse(self.text).ok().map(Arc::new)).clone()
    }
}
