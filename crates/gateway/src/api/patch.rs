//! PATCH tells three things apart: a field that is absent (stays), null (cleared) and a value.
//!
//! `Option<Option<T>>` with [`given`] holds all three. Where there is nothing to clear, a field is
//! an `Option<T>` with [`given`], and null is a type error that names the field.

use serde::{Deserialize, Deserializer};

/// To be used with `#[serde(default, deserialize_with = "patch::given")]`: what is there, null
/// included, is `Some`.
pub(super) fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug, PartialEq)]
    struct Patch {
        #[serde(default, deserialize_with = "given")]
        uid: Option<Option<String>>,
        #[serde(default, deserialize_with = "given")]
        name: Option<String>,
    }

    #[test]
    fn absent_null_and_value_differ() {
        let text = |text: &str| Some(text.to_owned());
        for (body, uid, name) in [
            ("{}", None, None),
            (r#"{"uid":null}"#, Some(None), None),
            (r#"{"uid":"u","name":"n"}"#, Some(text("u")), text("n")),
        ] {
            assert_eq!(serde_json::from_str::<Patch>(body).unwrap(), Patch { uid, name }, "{body}");
        }
        assert!(serde_json::from_str::<Patch>(r#"{"name":null}"#).is_err());
    }
}
