//! The providers of webhooks, the kinds of destinations, the gateways that send browsers back and the
//! providers of OAuth that Ringback knows: the files of `providers/`, `destinations/`, `callbacks/` and
//! `oauth/`, as part of the binary.
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
    oauth,
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
pub trait Described: Sized + 'static {
    /// Reads a file.
    ///
    /// # Errors
    /// The mistakes in it.
    fn read(text: &str) -> Result<Self, Vec<Mistake>>;

    /// Whom it describes, which is the file's name.
    fn id(&self) -> &str;

    /// All that are built in, sorted by id.
    fn built_in() -> &'static [BuiltIn<Self>];

    /// The built-in one with this id.
    fn find(id: &str) -> Option<&'static BuiltIn<Self>> {
        let table = Self::built_in();
        table.get(table.binary_search_by(|one| one.id.cmp(id)).ok()?)
    }
}

impl Described for Provider {
    fn read(text: &str) -> Result<Self, Vec<Mistake>> {
        Provider::parse(text)
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn built_in() -> &'static [BuiltIn<Self>] {
        &PROVIDERS
    }
}

impl Described for Kind {
    fn read(text: &str) -> Result<Self, Vec<Mistake>> {
        Kind::parse(text)
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn built_in() -> &'static [BuiltIn<Self>] {
        &KINDS
    }
}

impl Described for Preset {
    fn read(text: &str) -> Result<Self, Vec<Mistake>> {
        Preset::parse(text)
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn built_in() -> &'static [BuiltIn<Self>] {
        &PRESETS
    }
}

impl Described for oauth::Provider {
    fn read(text: &str) -> Result<Self, Vec<Mistake>> {
        oauth::Provider::parse(text)
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn built_in() -> &'static [BuiltIn<Self>] {
        &OAUTH
    }
}

// `PROVIDERS`, `KINDS`, `PRESETS` and `OAUTH`, sorted by id: made by `build.rs` from the files.
include!(concat!(env!("OUT_DIR"), "/providers.rs"));
include!(concat!(env!("OUT_DIR"), "/destinations.rs"));
include!(concat!(env!("OUT_DIR"), "/callbacks.rs"));
include!(concat!(env!("OUT_DIR"), "/oauth.rs"));

/// Every provider, sorted by id.
pub fn providers() -> &'static [BuiltIn<Provider>] {
    &PROVIDERS
}

/// The file of the provider with this id.
pub fn provider(id: &str) -> Option<&'static BuiltIn<Provider>> {
    Provider::find(id)
}

/// Every kind of destination, sorted by id.
pub fn kinds() -> &'static [BuiltIn<Kind>] {
    &KINDS
}

/// The file of the kind of destination with this id.
pub fn kind(id: &str) -> Option<&'static BuiltIn<Kind>> {
    Kind::find(id)
}

/// Every gateway that sends browsers back, sorted by id.
pub fn presets() -> &'static [BuiltIn<Preset>] {
    &PRESETS
}

/// The file of the gateway with this id.
pub fn preset(id: &str) -> Option<&'static BuiltIn<Preset>> {
    Preset::find(id)
}

/// Every provider of OAuth, sorted by id.
pub fn oauth_providers() -> &'static [BuiltIn<oauth::Provider>] {
    &OAUTH
}

/// The file of the provider of OAuth with this id.
pub fn oauth(id: &str) -> Option<&'static BuiltIn<oauth::Provider>> {
    oauth::Provider::find(id)
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
    use ringback_domain::{
        callback::redirect::Verifier, oauth::provider::example::Part, time::Timestamp,
    };

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

    /// Every file of a provider of OAuth is read, and its examples are as they should be; they show
    /// each request that the file makes.
    #[test]
    fn the_examples_of_oauth_are_known_answers() {
        let mut wrong = Vec::new();
        for file in oauth_providers() {
            let provider = match oauth::Provider::parse(file.text) {
                Ok(provider) => provider,
                Err(mistakes) => {
                    wrong.push(format!("{}: {mistakes:?}", file.id));
                    continue;
                }
            };
            assert_eq!(provider.id, file.id);
            for example in &provider.examples {
                let differences = example.differences(&provider);
                wrong.extend(differences.iter().map(|it| format!("{}: {it}", file.id)));
            }
            let shown = |part| provider.examples.iter().any(|example| example.shows(part));
            for (part, is_made) in [
                (Part::Authorize, provider.asks_by_browser()),
                (Part::Token, true),
                (Part::Refresh, provider.refresh.none.is_none()),
                (Part::Revoke, provider.revoke.call.is_some()),
                (Part::Subscription, provider.subscriptions.iter().any(|it| it.manual.is_none())),
                (Part::Unproven, provider.callback.verify.is_some()),
            ] {
                if is_made && !shown(part) {
                    wrong.push(format!("{}: no example shows {part:?}", file.id));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
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
