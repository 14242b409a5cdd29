//! What the targets share: a request made of the fuzzer's bytes, and what must never be said of it.

use std::sync::Arc;

use ringback_domain::provider::{FetchedKeys, Judgement, Kind, Provider, Request, Settings};
use ringback_domain::time::Timestamp;

/// A time near those of the known answers.
const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A document for whatever is fetched.
struct Document(Arc<str>);

impl FetchedKeys for Document {
    fn get(&self, _: &str) -> Option<Arc<str>> {
        Some(Arc::clone(&self.0))
    }
}

/// The fuzzer's bytes in parts: each begins where the one before ended with a zero byte.
pub struct Input<'a>(std::slice::Split<'a, u8, fn(&u8) -> bool>);

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.split(|byte| *byte == 0))
    }

    /// The next part; empty after the last.
    pub fn part(&mut self) -> &'a [u8] {
        self.0.next().unwrap_or_default()
    }

    /// The next part as text.
    pub fn text(&mut self) -> std::borrow::Cow<'a, str> {
        String::from_utf8_lossy(self.part())
    }
}

/// Reads a file that is part of a target.
pub fn provider(text: &str) -> Provider {
    match Provider::parse(text) {
        Ok(provider) => provider,
        Err(mistakes) => panic!("{mistakes:?}"),
    }
}

/// An Ed25519 key under which the fuzzer cannot sign (RFC 8032, 7.1, test 1).
const PUBLIC_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

/// Settings that the fuzzer does not know.
fn settings(provider: &Provider) -> Settings {
    let mut settings = Settings::new();
    for setting in &provider.settings {
        let value = match setting.kind {
            Kind::PublicKey => PUBLIC_KEY,
            Kind::Secret | Kind::Text => "rb-test-not-known-to-the-fuzzer",
        };
        settings.set(&*setting.name, vec![value.to_owned()]);
    }
    settings
}

/// Judges a request with these headers; `key` is what a source would fetch. Nobody can sign who does
/// not know the secret, unless the key is of his own making.
pub fn judge(provider: &Provider, headers: &[(&str, &[u8])], query: &str, body: &[u8], key: &str) {
    let url = format!("https://hooks.example.com/in/x?{query}");
    let request = Request::new("POST", &url, headers, body);
    let document = Document(Arc::from(key));
    let judged = provider.judge(&request, &settings(provider), &document, NOW);
    if let Judgement::Event { verdict, .. } = &judged {
        assert!(!verdict.is_proven() || !key.is_empty(), "{}: {judged:?}", provider.id);
    }
    provider.items(&request);
}
