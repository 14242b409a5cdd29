//! What is wrong in JSON that somebody wrote, and where it stands.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why something cannot be meant like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Mistake {
    place: Vec<String>,
    what: String,
}

impl Mistake {
    pub(crate) fn at(place: &[&str], what: impl ToString) -> Mistake {
        let place = place.iter().map(|part| (*part).to_owned()).collect();
        Mistake { place, what: what.to_string() }
    }

    /// It without what was written, which may be secret: only what was expected.
    pub(crate) fn without_value(self) -> Mistake {
        let shows = ["invalid ", "unknown variant "].iter().any(|it| self.what.starts_with(it));
        match self.what.rsplit_once(", expected ") {
            Some((_, expected)) if shows => {
                let what = format!("expected {expected}");
                Mistake { what, ..self }
            }
            _ => self,
        }
    }

    /// The names that lead to it.
    pub fn place(&self) -> impl Iterator<Item = &str> {
        self.place.iter().map(String::as_str)
    }
}

/// Reads JSON; what does not fit is found by its place.
pub(crate) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Mistake> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let place: Vec<&str> = path.split('.').filter(|part| !part.is_empty()).collect();
        Mistake::at(&place, error.inner())
    })
}
