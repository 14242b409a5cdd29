//! The providers of webhooks, the kinds of destinations and the gateways that send browsers back that
//! Ringback knows: the files of `providers/`, `destinations/` and `callbacks/`, as part of the binary.
//!
//! A file is parsed when it is first asked for, so that a start costs nothing. The server and the
//! Rust client share them, so that both say the same of a request.
//!
//! ```
//! let github = ringback_builtin::provider("github").and_then(|file| file.parsed());
//! assert_eq!(github.map(|github| github.name.clone()).as_deref(), Some("GitHub"));
//! assert!(ringback_builtin::provider("no-such-provider").is_none());
//! let slack = ringback_builtin::kind("slack").and_then(|file| file.parsed());
//! assert_eq!(slack.map(|slack| slack.name.clone()).as_deref(), Some("Slack"));
//! ```

use std::sync::{Arc, OnceLock};

use ringback_domain::{
    callback::redirect::Preset,
    destination::Kind,
    provider::{Mistake, Provider},
};

/// A file that is part of the binary.
#[derive(Debug)]
pub struct BuiltIn<T> {
    /// Whom it describes, which is the file's name: `stripe`.
    pub id: &'static str,
    /// The file as it was read when this was built.
    pub text: &'static str,
    parsed: OnceLock<Option<Arc<T>>>,
}

/// What a file describes.
pub trait Described: Sized {
    /// Reads a file.
    ///
    /// # Errors
    /// The mistakes in it.
    fn read(text: &str) -> Result<Self, Vec<Mistake>>;
}

impl Described for Provider {
    fn read(text: &str) -> Result<Self, Vec<Mistake>> {
        Provider::parse(text)
    }
}

impl Described for Kind {
    fn read(text: &str) -> Result<Self, Vec<Mistake>> {
        Kind::parse(text)
    }
}

impl Described for Preset {
    fn read(text: &str) -> Result<Self, Vec<Mistake>> {
        Preset::parse(text)
    }
}

// `PROVIDERS`, `KINDS` and `PRESETS`, sorted by id: made by `build.rs` from the files.
include!(concat!(env!("OUT_DIR"), "/providers.rs"));
include!(concat!(env!("OUT_DIR"), "/destinations.rs"));
include!(concat!(env!("OUT_DIR"), "/callbacks.rs"));

/// Every provider, sorted by id.
pub fn providers() -> &'static [BuiltIn<Provider>] {
    &PROVIDERS
}

/// The file of the provider with this id.
pub fn provider(id: &str) -> Option<&'static BuiltIn<Provider>> {
    find(&PROVIDERS, id)
}

/// Every kind of destination, sorted by id.
pub fn kinds() -> &'static [BuiltIn<Kind>] {
    &KINDS
}

/// The file of the kind of destination with this id.
pub fn kind(id: &str) -> Option<&'static BuiltIn<Kind>> {
    find(&KINDS, id)
}

/// Every gateway that sends browsers back, sorted by id.
pub fn presets() -> &'static [BuiltIn<Preset>] {
    &PRESETS
}

/// The file of the gateway with this id.
pub fn preset(id: &str) -> Option<&'static BuiltIn<Preset>> {
    find(&PRESETS, id)
}

fn find<T>(table: &'static [BuiltIn<T>], id: &str) -> Option<&'static BuiltIn<T>> {
    let at = table.binary_search_by(|one| one.id.cmp(id)).ok()?;
    table.get(at)
}

impl<T: Described> BuiltIn<T> {
    const fn new(id: &'static str, text: &'static str) -> Self {
        Self { id, text, parsed: OnceLock::new() }
    }

    /// Parses the file, once. A test parses them all, so that there is none that cannot be.
    pub fn parsed(&self) -> Option<Arc<T>> {
        self.parsed.get_or_init(|| T::read(self.text).ok().map(Arc::new)).clone()
    }
}

#[cfg(test)]
mod tests {
    use ringback_domain::{callback::redirect::Verifier, time::Timestamp};

    use super::*;

    /// Every gateway's file is read, and finds what its examples say; every file shows both that it
    /// becomes certain and that it does not, unless it only waits for a webhook.
    #[test]
    fn the_examples_of_gateways_are_known_answers() {
        for file in presets() {
            let preset = Preset::parse(file.text).unwrap_or_else(|mistakes| {
                panic!("{}: {mistakes:?}", file.id);
            });
            assert_eq!(preset.id, file.id);
            let mut found = Vec::new();
            for example in &preset.examples {
                let (ask, finding) = example.run(&preset, Timestamp(0)).unwrap();
                let place = format!("{}, {}: {finding:?}", file.id, example.name);
                assert_eq!(finding.word(), example.finding, "{place}");
                if let Some(expected) = &example.ask {
                    assert_eq!(ask.map(|ask| ask.text()).as_deref(), Some(&**expected), "{place}");
                }
                found.push(finding.word());
            }
            let only_waits = preset.verifiers().iter().all(|it| matches!(it, Verifier::Webhook));
            let certain = found.contains(&"complete");
            let uncertain = found.iter().any(|word| !matches!(*word, "complete" | "fail"));
            assert!(uncertain && (certain || only_waits), "{}: {found:?}", file.id);
        }
    }

    /// `CONTRIBUTING.md` shows how a file is added by showing two of them.
    #[test]
    fn the_files_in_the_documents_are_those_that_are_built_in() {
        let text = include_str!("../../../CONTRIBUTING.md");
        for file in [kind("ntfy").unwrap().text, provider("front-rule").unwrap().text] {
            assert!(text.contains(&format!("```toml\n{file}```")), "another file is shown: {file}");
        }
    }
}
