//! A preset: how one gateway sends browsers back, and how one becomes certain of it. A file of data;
//! `callbacks/README.md` has the format.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::{Arrival, Ask, Expected, Finding, Verifier};
use crate::{
    provider::{Mistake, Setting, Settings},
    time::Timestamp,
};

/// The version of the format that is read.
pub const SCHEMA: u32 = 1;

/// A gateway as its file describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    schema: Spanned<u32>,
    /// `razorpay`: the file's name, and what a callback names.
    pub id: String,
    /// `Razorpay Checkout`.
    pub name: String,
    /// The gateway's page about it.
    pub docs: String,
    /// How the file was proven right.
    pub proof: Proof,
    /// What the stored reference has to be, and where it is found.
    pub reference: String,
    /// What whoever uses it should know, and where the facts are from.
    #[serde(default)]
    pub notes: String,
    /// What is supplied for it.
    #[serde(default, rename = "setting")]
    pub settings: Vec<Setting>,
    /// What settings are that are not supplied.
    #[serde(default)]
    pub defaults: BTreeMap<String, String>,
    verify: Vec<Spanned<Verifier>>,
    /// Arrivals, and what is found of them.
    #[serde(rename = "example")]
    pub examples: Vec<Example>,
}

/// How a file was proven right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// By the gateway's own, or a widely used, library.
    Library,
    /// Against requests and answers that documentation shows.
    Contract,
}

impl Proof {
    /// `library`.
    pub fn as_str(self) -> &'static str {
        match self {
            Proof::Library => "library",
            Proof::Contract => "contract",
        }
    }
}

/// A known answer: an arrival, what is asked after it, and what is found.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Names it.
    pub name: String,
    /// What is supplied.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// What was stored.
    pub expect: Stored,
    /// The query that the browser comes with.
    #[serde(default)]
    pub query: String,
    /// The form that it posts.
    #[serde(default)]
    pub form: String,
    /// The request of a lookup: method and URL, headers, an empty line, the body.
    pub ask: Option<String>,
    /// The answer to it, JSON.
    #[serde(default)]
    pub answer: String,
    /// What is found: `complete`, `fail`, `pending`, `mismatch` or `unproven`.
    pub finding: String,
}

/// What was stored when the callback was made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    reference: String,
    amount: Option<String>,
    currency: Option<String>,
}

impl Preset {
    /// Reads a file.
    ///
    /// # Errors
    /// Every [`Mistake`] that can be found: the first one of form, or all of meaning.
    pub fn parse(text: &str) -> Result<Preset, Vec<Mistake>> {
        let preset: Preset =
            toml::from_str(text).map_err(|error| vec![Mistake::of(text, &error)])?;
        let mut mistakes = Vec::new();
        let mut mistake =
            |at: usize, message: String| mistakes.push(Mistake::at(text, at, message));
        if *preset.schema.get_ref() != SCHEMA {
            mistake(preset.schema.span().start, format!("`schema` has to be {SCHEMA}"));
        }
        if preset.verify.is_empty() {
            mistake(0, "there is no [[verify]]: nothing would ever be certain".to_owned());
        }
        for verifier in &preset.verify {
            let settings = verifier.get_ref().settings().into_iter();
            for name in settings.filter(|name| preset.setting(name).is_none()) {
                let message = format!("setting `{name}` is not declared in a [[setting]]");
                mistake(verifier.span().start, message);
            }
        }
        for name in preset.defaults.keys().filter(|name| preset.setting(name).is_none()) {
            mistake(0, format!("`{name}` has a default, and no [[setting]] declares it"));
        }
        if mistakes.is_empty() { Ok(preset) } else { Err(mistakes) }
    }

    /// A setting by its name.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// The ways to become certain, in their order.
    pub fn verifiers(&self) -> Vec<Verifier> {
        self.verify.iter().map(|verifier| verifier.get_ref().clone()).collect()
    }

    /// What was supplied, and defaults for what was not.
    pub fn settings(&self, supplied: &BTreeMap<String, String>) -> Settings {
        let mut settings = Settings::new();
        for (name, value) in self.defaults.iter().chain(supplied) {
            settings.set(name.clone(), vec![value.clone()]);
        }
        settings
    }
}

impl Example {
    /// What is asked and found.
    ///
    /// # Errors
    /// What a lookup would need and the example has not.
    pub fn run(&self, preset: &Preset, now: Timestamp) -> Result<(Option<Ask>, Finding), String> {
        let settings = preset.settings(&self.settings);
        let Stored { reference, amount, currency } = self.expect.clone();
        let expected = Expected { reference, amount, currency };
        let method = if self.form.is_empty() { "GET" } else { "POST" };
        let arrival = Arrival { method, query: &self.query, form: self.form.as_bytes() };
        for verifier in preset.verifiers() {
            match verifier {
                Verifier::Signature(signature) => {
                    return Ok((None, signature.judge(&arrival, &settings, &expected, now)));
                }
                Verifier::Lookup(lookup) => {
                    let ask = lookup.ask(&arrival, &settings, &expected)?;
                    let found = lookup.judge(200, self.answer.as_bytes(), &settings, &expected);
                    return Ok((Some(ask), found));
                }
                Verifier::Webhook => {}
            }
        }
        Ok((None, Finding::Pending))
    }
}

impl Finding {
    /// The word for it in files and in the log.
    pub fn word(&self) -> &'static str {
        match self {
            Finding::Complete => "complete",
            Finding::Fail => "fail",
            Finding::Pending => "pending",
            Finding::Mismatch(_) => "mismatch",
            Finding::Unproven(_) => "unproven",
        }
    }
}
