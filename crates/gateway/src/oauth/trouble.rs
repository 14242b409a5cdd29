//! What goes wrong between here and a provider.

use ringback_domain::oauth::{connection, token::TokenError};
use ringback_store::{ReadError, Unavailable, WriteError};

/// Why something with a provider could not be done. None of it says anything secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The provider said no: its `error`, and what it says to people. That is shown to the application
    /// alone, as it may repeat what was sent.
    #[error("the provider refused: {error}")]
    Refused {
        /// `invalid_grant` and the like.
        error: String,
        /// For people.
        description: Option<String>,
    },
    /// It may work later.
    #[error("the provider cannot be reached: {0}")]
    Away(String),
    /// What it said cannot be believed.
    #[error("the provider's answer cannot be used: {0}")]
    Unbelievable(String),
    /// The client, or the provider's file, does not fit what is asked for.
    #[error("{0}")]
    Misconfigured(String),
    /// The provider has nothing like it.
    #[error("the provider has no {0}")]
    NotSupported(&'static str),
    /// A flow is not where it has to be.
    #[error("the authorization is {0}")]
    Stage(&'static str),
    /// Somebody else came back.
    #[error("it was confirmed for another user than the one it was made for")]
    WrongUser,
    /// It is not what the browser was given that came back.
    #[error("the confirmation is not the one that the browser came back with")]
    WrongConfirmation,
    /// A connection that cannot be used.
    #[error("the connection is {}: {reason}", .state.name())]
    Inactive {
        /// How it is.
        state: connection::State,
        /// Why.
        reason: String,
    },
    /// A poll too soon: the seconds to wait.
    #[error("nothing is known yet")]
    Pending(u64),
    /// There is no such thing.
    #[error("the {0} does not exist")]
    NotFound(&'static str),
    /// The store is away.
    #[error(transparent)]
    Store(#[from] Unavailable),
    /// What is stored cannot be opened, or a key is gone; it is in the log.
    #[error("something went wrong on the server")]
    Internal,
}

impl Trouble {
    /// A stable word for it, as messages and flows have it.
    pub fn word(&self) -> String {
        match self {
            Trouble::Refused { error, .. } => error.clone(),
            Trouble::Away(_) => "provider_unavailable".to_owned(),
            Trouble::Unbelievable(_) => "invalid_answer".to_owned(),
            Trouble::Misconfigured(_) => "misconfigured".to_owned(),
            Trouble::NotSupported(_) => "not_supported".to_owned(),
            _ => "internal".to_owned(),
        }
    }

    /// Something that should not be, and is noted.
    pub(super) fn internal(what: &str, error: impl std::fmt::Display) -> Trouble {
        tracing::error!(%error, "{what}");
        Trouble::Internal
    }
}

impl From<TokenError> for Trouble {
    fn from(error: TokenError) -> Trouble {
        match error {
            TokenError::Refused { error, description, .. } => {
                Trouble::Refused { error, description }
            }
            TokenError::Unreadable { what, .. } => Trouble::Unbelievable(what.to_owned()),
            TokenError::Unavailable { status } => Trouble::Away(format!("it answered {status}")),
        }
    }
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Trouble {
        match error {
            ReadError::NotFound(what) => Trouble::NotFound(what),
            ReadError::Unavailable(error) => Trouble::Store(error),
        }
    }
}

impl From<WriteError> for Trouble {
    fn from(error: WriteError) -> Trouble {
        match error {
            WriteError::NotFound(what) => Trouble::NotFound(what),
            WriteError::Unavailable(error) => Trouble::Store(error),
            error => Trouble::internal("a step of oauth was not written", error),
        }
    }
}
