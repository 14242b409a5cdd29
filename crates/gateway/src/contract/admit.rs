//! A message is accepted: which version it has, and whether its payload is what that version says.

use ringback_domain::{
    contract::version::Validation, id::Key, message::check_ordering_key, schema::Violation,
    time::Timestamp,
};
use ringback_store::{NewMessage, Unavailable};
use serde_json::Value;

use super::{Directory, Known};

/// What a message is, as far as its event type's contract says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// Its version, by ordinal; none of a type without versions.
    pub version: Option<u32>,
    /// The same by its label.
    pub label: Option<String>,
    /// Whether it fits the version's schema, where somebody looked.
    pub fits_schema: Option<bool>,
    /// What its payload says that it is ordered by.
    pub ordering_key: Option<String>,
}

/// Why a message is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The version that it names is not one that is sent.
    #[error("{0}")]
    Version(String),
    /// Its payload is not what its version says.
    #[error("it is not what version {label} says: {violation}")]
    Payload {
        /// The version's label.
        label: String,
        /// What is wrong, and where.
        violation: Violation,
    },
    /// The store cannot be asked.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Directory {
    /// Judges a message by the contract of its event type. `named` is the label of the version that
    /// it is said to have.
    ///
    /// # Errors
    /// [`Refused`]: it is not to be stored.
    pub async fn admit(
        &self,
        environment: Key,
        message: &NewMessage,
        named: Option<&str>,
        now: Timestamp,
    ) -> Result<Admitted, Refused> {
        match self.find(environment, &message.event_type, now).await? {
            Some(contract) => contract.admit(message, named, now),
            None => match named {
                None => Ok(Admitted::default()),
                Some(named) => Err(unknown(named, &message.event_type)),
            },
        }
    }
}

fn unknown(label: &str, event_type: &str) -> Refused {
    Refused::Version(format!("{event_type} has no version `{label}`"))
}

impl Known {
    fn admit(
        &self,
        message: &NewMessage,
        named: Option<&str>,
        now: Timestamp,
    ) -> Result<Admitted, Refused> {
        let edition = match named {
            None => self.default_version(now),
            Some(label) => {
                let edition = self.versions.iter().find(|it| it.version.label == label);
                let edition = edition.ok_or_else(|| unknown(label, &message.event_type))?;
                if !edition.version.status.is_sent() {
                    let is = match edition.version.status {
                        ringback_domain::contract::version::Status::Draft => {
                            "a draft: publish it first"
                        }
                        _ => "retired",
                    };
                    return Err(Refused::Version(format!("version `{label}` is {is}")));
                }
                Some(edition)
            }
        };
        let mut admitted = Admitted {
            version: edition.map(|edition| edition.version.ordinal),
            label: edition.map(|edition| edition.version.label.clone()),
            ..Admitted::default()
        };
        if let Some(edition) = edition
            && self.terms.validation != Validation::Off
            && let Some(schema) = edition.schema()
        {
            let checked = schema.check(&message.payload);
            admitted.fits_schema = Some(checked.is_ok());
            if let (Validation::Reject, Err(violation)) = (self.terms.validation, checked) {
                let label = edition.version.label.clone();
                return Err(Refused::Payload { label, violation });
            }
        }
        if message.ordering_key.is_none()
            && let Some(pointer) = &self.terms.ordering_pointer
        {
            admitted.ordering_key = ordering_key(&message.payload, pointer);
        }
        Ok(admitted)
    }
}

/// A text or number of the payload; nothing else can be ordered by.
fn ordering_key(payload: &[u8], pointer: &str) -> Option<String> {
    let payload: Value = serde_json::from_slice(payload).ok()?;
    let key = match payload.pointer(pointer)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let usable = !key.is_empty() && check_ordering_key(&key).is_ok();
    usable.then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordering_keys() {
        let payload = br#"{"a":{"id":"c-1","n":7,"x":{}},"e":""}"#;
        for (pointer, expect) in [
            ("/a/id", Some("c-1")),
            ("/a/n", Some("7")),
            ("/a/x", None),
            ("/e", None),
            ("/none", None),
        ] {
            assert_eq!(ordering_key(payload, pointer).as_deref(), expect, "{pointer}");
        }
        assert_eq!(ordering_key(b"text", "/a"), None);
    }
}
