//! The authorization response: what a browser brings back from a provider.
//!
//! Whoever controls the browser writes it. So it is read strictly: nothing twice, nothing that
//! contradicts itself, nothing that was not asked for; and what is not understood is kept only to be
//! looked at.

use std::fmt;

use url::form_urlencoded;
use zeroize::Zeroizing;

/// The most bytes of a query and a form together.
pub const MAX: usize = 32 * 1024;
/// The most fields.
const FIELDS: usize = 64;
/// The most characters of a description for people.
const DESCRIPTION: usize = 500;

/// What a browser brought.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Brought {
    /// What is exchanged for tokens.
    pub code: Option<Zeroizing<String>>,
    /// What was sent with the request.
    pub state: Option<String>,
    /// Who says so (RFC 9207).
    pub iss: Option<String>,
    /// Why there is no code, in a word (RFC 6749, 4.1.2.1).
    pub error: Option<String>,
    /// The same for people, without control characters. It is not to be trusted, and not escaped.
    pub error_description: Option<String>,
    /// All of the above, signed (JARM): see [`signed_response`](super::jose::check_jarm).
    pub response: Option<String>,
    /// What else came, in order: `realmId`, `shop`, `scope` … (RFC 6749, 4.1.2).
    pub extra: Vec<(String, String)>,
}

/// Shows neither code nor state, and of what else came the names alone.
impl fmt::Debug for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.extra.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Brought")
            .field("code", &self.code.is_some())
            .field("state", &self.state.is_some())
            .field("iss", &self.iss)
            .field("error", &self.error)
            .field("response", &self.response.is_some())
            .field("extra", &names)
            .finish_non_exhaustive()
    }
}

/// Why what a browser brought is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BroughtError {
    /// A parameter that comes once came more than once (RFC 6749, 3.1).
    #[error("parameter `{0}` comes more than once")]
    Repeated(&'static str),
    /// A parameter holds what it cannot (RFC 6749, appendix A).
    #[error("parameter `{0}` holds characters that it cannot")]
    Malformed(&'static str),
    /// It says both that it went well and that it did not.
    #[error("both a code and an error came")]
    CodeAndError,
    /// A signed response came with others beside it, which nobody has signed.
    #[error("parameter `{0}` came beside a signed response")]
    BesideSigned(&'static str),
    /// Neither a code nor an error, nor a signed response.
    #[error("neither a code nor an error came")]
    Nothing,
    /// A token came with the browser, which was not asked for (RFC 9700, 2.1.2).
    #[error("parameter `{0}` came, which was not asked for")]
    Implicit(&'static str),
    /// More than [`MAX`] bytes or too many parameters.
    #[error("too much came")]
    TooLong,
}

/// Those that mean something.
const NAMES: [&str; 6] = ["code", "state", "iss", "error", "error_description", "response"];
/// Those of the implicit and hybrid flows.
const IMPLICIT: [&str; 2] = ["access_token", "id_token"];

/// Reads a query, and the form of a browser that posts (`form_post`; empty if it does not).
///
/// Parameters without a value count as not sent (RFC 6749, 3.1).
///
/// # Errors
/// [`BroughtError`]; then nothing of it is to be used, and no token is asked for.
pub fn read(query: &str, form: &[u8]) -> Result<Brought, BroughtError> {
    if query.len().saturating_add(form.len()) > MAX {
        return Err(BroughtError::TooLong);
    }
    let pairs = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(form));
    let pairs = pairs.map(|(name, value)| (name.into_owned(), value.into_owned()));
    let pairs: Vec<_> = pairs.take(FIELDS + 1).collect();
    if pairs.len() > FIELDS {
        return Err(BroughtError::TooLong);
    }
    of(pairs)
}

/// What was brought in these parameters.
pub(super) fn of(pairs: Vec<(String, String)>) -> Result<Brought, BroughtError> {
    let mut found: [Option<String>; NAMES.len()] = Default::default();
    let mut extra = Vec::new();
    for (name, value) in pairs {
        if let Some(name) = IMPLICIT.into_iter().find(|implicit| *implicit == name) {
            return Err(BroughtError::Implicit(name));
        }
        match NAMES.iter().position(|known| *known == name) {
            Some(index) if found[index].is_some() => {
                return Err(BroughtError::Repeated(NAMES[index]));
            }
            Some(index) => found[index] = Some(value),
            None => extra.push((name, value)),
        }
    }
    let mut found = found.map(|value| value.filter(|value| !value.is_empty()));
    if found[5].is_some()
        && let Some(beside) = found[..5].iter().position(Option::is_some)
    {
        return Err(BroughtError::BesideSigned(NAMES[beside]));
    }
    let [code, state, iss, error, description, response] = &mut found;
    for (name, value) in NAMES.into_iter().zip([&*code, state, iss, error]) {
        let is_plain = |text: &String| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !value.as_ref().is_none_or(is_plain) {
            return Err(BroughtError::Malformed(name));
        }
    }
    match (&code, &error, &response) {
        (Some(_), Some(_), _) => return Err(BroughtError::CodeAndError),
        (None, None, None) => return Err(BroughtError::Nothing),
        _ => {}
    }
    let for_people =
        |text: String| text.chars().filter(|one| !one.is_control()).take(DESCRIPTION).collect();
    Ok(Brought {
        code: code.take().map(Zeroizing::new),
        state: state.take(),
        iss: iss.take(),
        error: error.take(),
        error_description: description.take().map(for_people),
        response: response.take(),
        extra,
    })
}

/// Why a response is not from the provider that was asked (RFC 9207, 2.4).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// It is from somebody else.
    #[error("the response is from another issuer")]
    Mismatch,
    /// It does not say from whom, and the provider says that it always does.
    #[error("the response does not name its issuer")]
    Missing,
}

/// Checks who a response is from, whether it brings a code or an error. Texts are the same only byte
/// for byte (RFC 3986, 6.2.1).
///
/// `expected` is none if it is not known what the provider calls itself. `required` is whether it
/// says that it always names itself (`authorization_response_iss_parameter_supported`).
///
/// # Errors
/// [`IssuerError`]; then no token is asked for.
pub fn check_issuer(
    brought: Option<&str>,
    expected: Option<&str>,
    required: bool,
) -> Result<(), IssuerError> {
    match (brought, expected) {
        (Some(brought), Some(expected)) if brought != expected => Err(IssuerError::Mismatch),
        (None, _) if required => Err(IssuerError::Missing),
        _ => Ok(()),
    }
}
