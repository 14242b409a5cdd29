//! What a receiver is made of: a provider, and what proves that requests come from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringback_domain::provider::{Provider, Settings, ShapeError};

/// A value that the provider's file asks for: its signing secret, mostly.
#[derive(Clone)]
pub struct Secret {
    setting: Option<String>,
    value: String,
}

/// A value for the first setting of the provider whose form it has: a `whpk_…` of Ringback is its
/// public key, a `whsec_…` its secret.
impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self { setting: None, value: value.to_owned() }
    }
}

/// The same.
impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self { setting: None, value }
    }
}

/// A value for the setting of this name: `("verify_token", "…")`.
impl From<(&str, &str)> for Secret {
    fn from((setting, value): (&str, &str)) -> Self {
        Self { setting: Some(setting.to_owned()), value: value.to_owned() }
    }
}

/// Why a receiver cannot be made. Never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// `ringback providers` lists those that there are.
    #[error("there is no provider `{0}`")]
    UnknownProvider(String),
    /// The provider's file declares no such setting.
    #[error("provider `{provider}` has no setting `{setting}`")]
    UnknownSetting {
        /// The provider's id.
        provider: String,
        /// The name that was given.
        setting: String,
    },
    /// The value cannot be right.
    #[error("`{setting}`: {error}")]
    Shape {
        /// The setting's name.
        setting: String,
        /// What is wrong with it.
        error: ShapeError,
    },
    /// Without it nothing could be accepted.
    #[error("provider `{provider}` needs `{setting}`")]
    Missing {
        /// The provider's id.
        provider: String,
        /// The setting's name.
        setting: String,
    },
}

/// Finds the provider, and says which secret is which of its settings.
pub(crate) fn set_up(
    id: &str,
    secrets: impl IntoIterator<Item = Secret>,
) -> Result<(Arc<Provider>, Settings), SetupError> {
    let provider = ringback_builtin::provider(id).and_then(|file| file.parsed());
    let provider = provider.ok_or_else(|| SetupError::UnknownProvider(id.to_owned()))?;
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Secret { setting, value } in secrets {
        let setting = match setting {
            Some(name) => named(&provider, &name, &value)?,
            None => fitting(&provider, &value)?,
        };
        values.entry(setting).or_default().push(value);
    }
    for setting in provider.settings.iter().filter(|one| one.required || values.is_empty()) {
        if !values.contains_key(&setting.name) {
            let setting = setting.name.clone();
            return Err(SetupError::Missing { provider: id.to_owned(), setting });
        }
    }
    let mut settings = Settings::new();
    values.into_iter().for_each(|(name, values)| settings.set(name, values));
    Ok((provider, settings))
}

fn named(provider: &Provider, name: &str, value: &str) -> Result<String, SetupError> {
    let setting = provider.setting(name).ok_or_else(|| SetupError::UnknownSetting {
        provider: provider.id.clone(),
        setting: name.to_owned(),
    })?;
    let shape = |error| SetupError::Shape { setting: name.to_owned(), error };
    setting.check(value).map(|()| name.to_owned()).map_err(shape)
}

/// The first setting that the value can be for; what is wrong with it for the very first, if none.
fn fitting(provider: &Provider, value: &str) -> Result<String, SetupError> {
    let mut told = None;
    for setting in &provider.settings {
        match named(provider, &setting.name, value) {
            Ok(name) => return Ok(name),
            Err(error) => told = told.or(Some(error)),
        }
    }
    Err(told.unwrap_or_else(|| SetupError::UnknownSetting {
        provider: provider.id.clone(),
        setting: "secret".to_owned(),
    }))
}
