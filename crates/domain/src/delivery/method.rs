//! With which method requests are made.

use serde::{Deserialize, Serialize};

/// A method whose requests have a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// As usual.
    #[default]
    Post,
    /// For receivers that keep what they get under the URL.
    Put,
    /// For receivers that change what is there.
    Patch,
}

impl Method {
    /// As HTTP spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
        }
    }
}
