//! What is said about a request, and why.

use std::fmt;

/// Whether a request was proven to come from its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// A signature over the request fits.
    Verified,
    /// A shared secret fits, and nothing covers the body.
    Authenticated,
    /// The proof is missing or wrong.
    Failed,
    /// The provider proves nothing, or the source lacks what is needed to check.
    Unattempted,
}

impl State {
    const ALL: [State; 4] =
        [State::Verified, State::Authenticated, State::Failed, State::Unattempted];

    /// The state with this name.
    pub fn named(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Authenticated => "authenticated",
            Self::Failed => "failed",
            Self::Unattempted => "unattempted",
        }
    }
}

/// The judgement over one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it was proven.
    pub state: State,
    /// Why it was not, if it was not.
    pub reason: Option<Reason>,
    /// The claims of the token that proved it, as JSON text.
    pub claims: Option<String>,
}

impl Verdict {
    /// Proven by a signature or a shared secret.
    pub fn is_proven(&self) -> bool {
        matches!(self.state, State::Verified | State::Authenticated)
    }

    pub(super) fn failed(reason: Reason) -> Self {
        Self { state: State::Failed, reason: Some(reason), claims: None }
    }
}

/// Why a request was not verified. What is said is proven, never guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The source has no value for a setting that the provider needs.
    MissingSetting(String),
    /// A header or field that the proof needs is not there.
    Missing(String),
    /// It is there and does not have the provider's form.
    Malformed(String),
    /// No signature fits. Whether the secret or the body differs cannot be known from the request.
    SignatureMismatch,
    /// The shared secret, user name or password is another one.
    WrongSecret,
    /// The signature fits if the configured secret is read another way, which is named.
    SecretForm(&'static str),
    /// The signature fits a body that was changed in this way on the way here.
    BodyChanged(&'static str),
    /// Signed, and this many seconds older than allowed.
    Stale(i64),
    /// Signed, and this many seconds further in the future than allowed.
    FromFuture(i64),
    /// A token past its end.
    Expired,
    /// A claim or field that must have a certain value has another.
    Mismatch(String),
    /// The token's algorithm is not among the provider's.
    Algorithm,
    /// The key's address is not at a host of the provider.
    KeyHost,
    /// The key could not be fetched or read.
    KeyUnavailable,
    /// The key was fetched, and it is not the one the request names.
    UnknownKey,
    /// A challenge that could be used to get a signature over something else.
    ChallengeRefused(String),
}

impl Reason {
    /// The code in the API, in lower case with underscores.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingSetting(_) => "missing_setting",
            Self::Missing(name) if name.starts_with("header ") => "missing_header",
            Self::Missing(_) => "missing_field",
            Self::Malformed(_) => "malformed",
            Self::SignatureMismatch => "signature_mismatch",
            Self::WrongSecret => "wrong_secret",
            Self::SecretForm(_) => "secret_form",
            Self::BodyChanged(_) => "body_changed",
            Self::Stale(_) => "stale",
            Self::FromFuture(_) => "from_future",
            Self::Expired => "expired",
            Self::Mismatch(_) => "mismatch",
            Self::Algorithm => "algorithm",
            Self::KeyHost => "key_host",
            Self::KeyUnavailable => "key_unavailable",
            Self::UnknownKey => "unknown_key",
            Self::ChallengeRefused(_) => "challenge_refused",
        }
    }

    /// How much it says: of several ways to verify, the reason that got furthest is told.
    pub(super) fn weight(&self) -> u8 {
        match self {
            Self::MissingSetting(_) => 0,
            Self::Missing(_) => 1,
            Self::Malformed(_) => 2,
            Self::Algorithm | Self::KeyHost => 3,
            Self::KeyUnavailable | Self::UnknownKey => 4,
            Self::SignatureMismatch | Self::WrongSecret => 5,
            Self::Mismatch(_) | Self::ChallengeRefused(_) => 6,
            Self::SecretForm(_) | Self::BodyChanged(_) => 7,
            Self::Stale(_) | Self::FromFuture(_) | Self::Expired => 8,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingSetting(name) => write!(f, "the source has no `{name}`"),
            Self::Missing(name) => write!(f, "{name} is missing"),
            Self::Malformed(what) => f.write_str(what),
            Self::SignatureMismatch => f.write_str(
                "no signature fits: the secret is another one, or the request was changed",
            ),
            Self::WrongSecret => f.write_str("the shared secret is another one"),
            Self::SecretForm(how) => write!(f, "the signature fits if the secret is {how}"),
            Self::BodyChanged(how) => write!(f, "the signature fits the body {how}"),
            Self::Stale(seconds) => write!(f, "signed {seconds} s too long ago"),
            Self::FromFuture(seconds) => write!(f, "signed {seconds} s too far in the future"),
            Self::Expired => f.write_str("the token is past its end"),
            Self::Mismatch(name) => write!(f, "{name} has another value than it must"),
            Self::Algorithm => f.write_str("the token's algorithm is not one of this provider"),
            Self::KeyHost => f.write_str("the key's address is not at a host of this provider"),
            Self::KeyUnavailable => f.write_str("the provider's key could not be had"),
            Self::UnknownKey => f.write_str("the provider does not publish the key that is named"),
            Self::ChallengeRefused(name) => {
                write!(f, "{name} does not look like a challenge; answering would sign it")
            }
        }
    }
}
