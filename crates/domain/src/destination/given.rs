//! What a destination was given, held against its kind when it is saved.

use std::collections::BTreeMap;

use minijinja::Value as Seen;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::kind::{Kind, Setting};
use super::mapping::Mapping;

/// The longest setting, in bytes: a certificate with room to spare.
pub const SETTING: usize = 16 * 1024;

/// Stands for a secret.
const MASK: &str = "***";

/// What a destination is given, as it is stored (sealed, as much of it is secret).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wanted {
    /// By name, without defaults.
    pub settings: BTreeMap<String, String>,
    /// The mapping: an object of templates.
    pub fields: Value,
    /// What becomes of an event that lacks something.
    #[serde(default)]
    pub on_missing: OnMissing,
}

/// What becomes of an event that lacks something that the mapping asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnMissing {
    /// It has failed, and stays for somebody to look at and send again.
    #[default]
    DeadLetter,
    /// It is not for this destination.
    Skip,
    /// It is tried again as if the destination had refused it.
    Retry,
}

impl OnMissing {
    /// `deadLetter`.
    pub fn as_str(self) -> &'static str {
        match self {
            OnMissing::DeadLetter => "deadLetter",
            OnMissing::Skip => "skip",
            OnMissing::Retry => "retry",
        }
    }
}

/// What a destination was given, complete and fit for its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// By name, with defaults.
    pub settings: BTreeMap<String, String>,
    /// What an event becomes.
    pub fields: Mapping,
    /// What becomes of an event that lacks something.
    pub on_missing: OnMissing,
}

/// Something that a destination cannot be made with. Never repeats a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{place}`: {message}")]
pub struct Problem {
    /// `url`, `fields.properties.email`.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

/// What was supplied of `declared`, with defaults for what was not. `say` is told what is wrong: the
/// setting, and a message that does not repeat its value.
pub(crate) fn complete(
    declared: &[Setting],
    supplied: &BTreeMap<String, String>,
    whose: &str,
    say: &mut dyn FnMut(&str, String),
) -> BTreeMap<String, String> {
    let mut complete = BTreeMap::new();
    for setting in declared {
        let name = &setting.name;
        let value = match (supplied.get(name), &setting.default) {
            (Some(value), _) => Some(value.clone()),
            (None, Some(default)) => default.render(&seen(&complete)).ok(),
            (None, None) => None,
        };
        match value {
            None if setting.required => say(name, format!("is missing: {}", setting.label)),
            None => {}
            Some(value) if value.is_empty() || value.len() > SETTING => {
                say(name, format!("has to be 1 to {SETTING} bytes long"));
            }
            Some(value) if value.chars().any(|c| c.is_control() && c != '\n') => {
                say(name, "has a control character".to_owned());
            }
            Some(value) if setting.boolean && !["true", "false"].contains(&&*value) => {
                say(name, "is `true` or `false`".to_owned());
            }
            Some(value) => match &setting.pattern {
                Some(pattern) if !pattern.is_match(&value) => {
                    say(name, format!("does not look like one: {}", setting.label));
                }
                _ => drop(complete.insert(name.clone(), value)),
            },
        }
    }
    for name in supplied.keys().filter(|name| declared.iter().all(|it| it.name != **name)) {
        say(name, format!("{whose} knows no such setting"));
    }
    complete
}

impl Kind {
    /// Checks what a destination is to be given, and fills in what was left out.
    ///
    /// # Errors
    /// Every [`Problem`].
    pub fn given(&self, wanted: &Wanted) -> Result<Given, Vec<Problem>> {
        let Wanted { settings, fields, .. } = wanted;
        let mut problems = Vec::new();
        let mut say = |place: &str, message: String| {
            problems.push(Problem { place: place.to_owned(), message });
        };
        let complete = complete(&self.settings, settings, &self.name, &mut say);
        if !fields.is_object() {
            say("fields", "has to be an object".to_owned());
        }
        let mapping = Mapping::parse(fields).map_err(|mistake| {
            say(&format!("fields.{}", mistake.place), mistake.what.to_string());
        });
        let named = |name: &str| fields.get(name).is_some();
        for field in self.fields.iter().filter(|field| field.required && !named(&field.name)) {
            say(&format!("fields.{}", field.name), format!("is missing: {}", field.label));
        }
        let known = |name: &str| self.open_fields || self.fields.iter().any(|it| it.name == name);
        for name in fields.as_object().into_iter().flat_map(|it| it.keys()).filter(|it| !known(it))
        {
            say(&format!("fields.{name}"), format!("{} knows no such field", self.name));
        }
        match mapping {
            Ok(fields) if problems.is_empty() => {
                Ok(Given { settings: complete, fields, on_missing: wanted.on_missing })
            }
            _ => Err(problems),
        }
    }

    /// Where its requests go, as far as settings say: the scheme, the host, and what of the path is
    /// the same for every event; none for kinds that are code.
    ///
    /// # Errors
    /// What the template lacks.
    pub fn base(&self, given: &Given) -> Option<Result<String, super::text::Mistake>> {
        let request = self.request.as_ref()?;
        Some(request.base.render(&seen(&given.settings)))
    }

    /// The settings as they may be shown: without secrets, but for the URLs among them that hold a
    /// password, which is masked.
    pub fn shown(&self, settings: &BTreeMap<String, String>) -> BTreeMap<String, Value> {
        let one = |setting: &Setting| {
            let value = settings.get(&setting.name)?;
            let shown = match setting {
                Setting { secret: true, .. } => Value::String(without_password(value)?),
                Setting { boolean: true, .. } => Value::Bool(value == "true"),
                _ => Value::String(value.clone()),
            };
            Some((setting.name.clone(), shown))
        };
        self.settings.iter().filter_map(one).collect()
    }

    /// What replaces `former`: whoever writes back what was shown does not know the secrets, and
    /// keeps them.
    #[must_use]
    pub fn keeping_secrets(&self, mut wanted: Wanted, former: &Wanted) -> Wanted {
        let shown = self.shown(&former.settings);
        for Setting { name, .. } in self.settings.iter().filter(|setting| setting.secret) {
            let given = wanted.settings.get(name);
            let is_kept = given.is_none_or(|given| {
                shown.get(name).and_then(Value::as_str).is_some_and(|shown| shown == given)
            });
            if let Some(former) = former.settings.get(name).filter(|_| is_kept) {
                wanted.settings.insert(name.clone(), former.clone());
            }
        }
        wanted
    }

    /// The same with every secret replaced, so that what is made of it can be shown.
    #[must_use]
    pub fn masked(&self, mut given: Given) -> Given {
        for Setting { name, .. } in self.settings.iter().filter(|setting| setting.secret) {
            given.settings.entry(name.clone()).and_modify(|value| MASK.clone_into(value));
        }
        given
    }
}

/// A URL with its password masked; none if the text is no URL with a password.
fn without_password(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    url.password()?;
    url.set_password(Some(MASK)).ok()?;
    Some(url.into())
}

/// What templates see before there is an event.
fn seen(settings: &BTreeMap<String, String>) -> Seen {
    Seen::from(Serde(json!({ "settings": settings })))
}
