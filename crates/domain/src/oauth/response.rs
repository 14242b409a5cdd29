//! The authorization response: what a browser brings back from a provider.
//!
//! Whoever controls the browser writes it. So it is read strictly: nothing twice, nothing that
//! contradicts itself, nothing that was not asked for; and what is not understood is kept only to be
//! looked at.

use std::fmt;

use url::form_urlencoded;
use zeroize::Zeroizing;

use super::field;

/// The most bytes of a query and a form together.
pub const MAX: usize = 32 * 1024;
/// The most fields.
const FIELDS: usize = 64;

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
    Ok(Brought {
        code: code.take().map(Zeroizing::new),
        state: state.take(),
        iss: iss.take(),
        error: error.take().map(|word| field::shown(&word, field::WORD)),
        error_description: description.take().map(|text| field::shown(&text, field::DESCRIPTION)),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn code(brought: &Brought) -> Option<&str> {
        brought.code.as_deref().map(String::as_str)
    }

    /// Case 31: what is posted is what would stand in the query.
    #[test]
    fn a_query_and_a_form_are_read_alike() {
        let text = "code=c%2F1&state=s&iss=https%3A%2F%2Flogin.example.com";
        let from_query = read(text, b"").unwrap();
        assert_eq!(read("", text.as_bytes()).unwrap(), from_query);
        assert_eq!(code(&from_query), Some("c/1"));
        assert_eq!(from_query.state.as_deref(), Some("s"));
        assert_eq!(from_query.iss.as_deref(), Some("https://login.example.com"));
    }

    /// Case 16.
    #[test]
    fn rfc6749_3_1_a_parameter_comes_once() {
        for name in NAMES {
            let repeated = Err(BroughtError::Repeated(name));
            let one = format!("{name}=1");
            // The same value, an empty one, another spelling, or the other half in a form.
            for (query, form) in [
                (format!("{one}&{one}"), String::new()),
                (format!("{one}&state2=x&{name}=2"), String::new()),
                (format!("{name}=&{one}"), String::new()),
                (format!("{one}&%{:02x}{}=2", name.as_bytes()[0], &name[1..]), String::new()),
                (one.clone(), one.clone()),
            ] {
                assert_eq!(read(&query, form.as_bytes()), repeated, "{query} {form}");
            }
        }
    }

    /// RFC 6749, 3.1: without a value is as if it were not there.
    #[test]
    fn rfc6749_3_1_an_empty_parameter_did_not_come() {
        let brought = read("code=c&error=&state=", b"").unwrap();
        assert_eq!(code(&brought), Some("c"));
        assert_eq!((brought.error, brought.state), (None, None));
        assert_eq!(read("code=&state=s", b""), Err(BroughtError::Nothing));
    }

    /// Case 23.
    #[test]
    fn rfc6749_4_1_2_what_is_not_known_is_kept_and_means_nothing() {
        let query =
            "realmId=9130&code=c&shop=a.example&shop=b.example&Code=no&code%00=no&scope=a+b";
        let brought = read(query, b"user=%7B%7D").unwrap();
        assert_eq!(code(&brought), Some("c"));
        let extra: Vec<_> = brought.extra.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(
            extra,
            [
                ("realmId", "9130"),
                ("shop", "a.example"),
                ("shop", "b.example"),
                ("Code", "no"),
                ("code\0", "no"),
                ("scope", "a b"),
                ("user", "{}"),
            ]
        );
    }

    /// Case 24.
    #[test]
    fn rfc6749_4_1_2_1_an_error_ends_it() {
        let description = "<script>alert(1)</script>%0d%0aset-cookie:%20a%1b%5b0m";
        let query = format!("error=access_denied&error_description={description}&state=s");
        let brought = read(&query, b"").unwrap();
        assert_eq!((code(&brought), brought.error.as_deref()), (None, Some("access_denied")));
        let shown = brought.error_description.unwrap();
        assert_eq!(
            shown, "<script>alert(1)</script>set-cookie: a[0m",
            "whoever shows it escapes it"
        );
        let long = "x".repeat(2_000);
        let brought = read(&format!("error={long}&error_description={long}"), b"").unwrap();
        assert_eq!(brought.error.map(|word| word.len()), Some(field::WORD));
        assert_eq!(brought.error_description.map(|text| text.len()), Some(field::DESCRIPTION));
    }

    /// Case 25.
    #[test]
    fn rfc6749_4_1_2_1_a_code_and_an_error_contradict_each_other() {
        for query in ["code=c&error=access_denied", "error=server_error&state=s&code=c"] {
            assert_eq!(read(query, b""), Err(BroughtError::CodeAndError), "{query}");
        }
        assert_eq!(read("code=c", b"error=x"), Err(BroughtError::CodeAndError));
    }

    /// Case 26.
    #[test]
    fn rfc9700_2_1_2_tokens_do_not_come_with_the_browser() {
        for (query, form, name) in [
            ("access_token=t&token_type=Bearer&state=s", "", "access_token"),
            ("code=c&id_token=t", "", "id_token"),
            ("code=c", "id_token=t", "id_token"),
            ("code=c&access_token=", "", "access_token"),
        ] {
            let implicit = Err(BroughtError::Implicit(name));
            assert_eq!(read(query, form.as_bytes()), implicit, "{query} {form}");
        }
        // A fragment never reaches a server: what arrives is nothing.
        assert_eq!(read("", b""), Err(BroughtError::Nothing));
        assert_eq!(read("state=s", b""), Err(BroughtError::Nothing));
    }

    /// RFC 6749, appendix A.5, A.7 and A.11.
    #[test]
    fn rfc6749_appendix_a_only_printable_characters() {
        for (query, name) in [
            ("code=a%0d%0ab", "code"),
            ("code=a%00", "code"),
            ("code=%C3%A9", "code"),
            ("code=%FF", "code"),
            ("code=c&state=%0a", "state"),
            ("code=c&iss=https://%E2%80%AEexample", "iss"),
            ("error=%1b%5b", "error"),
        ] {
            assert_eq!(read(query, b""), Err(BroughtError::Malformed(name)), "{query}");
        }
    }

    /// JARM, 2.1: what stands beside it is signed by nobody.
    #[test]
    fn jarm_2_1_a_signed_response_comes_alone() {
        let brought = read("response=a.b.c&vendor=x", b"").unwrap();
        assert_eq!(brought.response.as_deref(), Some("a.b.c"));
        for name in ["code", "state", "iss", "error", "error_description"] {
            let query = format!("response=a.b.c&{name}=x");
            assert_eq!(read(&query, b""), Err(BroughtError::BesideSigned(name)), "{query}");
        }
    }

    #[test]
    fn too_much_is_not_read() {
        let code = format!("code={}", "c".repeat(MAX - 5));
        assert!(read(&code, b"").is_ok());
        assert_eq!(read(&code, b"x"), Err(BroughtError::TooLong));
        let many = |count: usize| "a=1&".repeat(count) + "code=c";
        assert!(read(&many(FIELDS - 1), b"").is_ok());
        assert_eq!(read(&many(FIELDS), b""), Err(BroughtError::TooLong));
    }

    #[test]
    fn debug_shows_neither_code_nor_state() {
        let query = "code=c-secret&state=s-secret&iss=i&user=u-secret";
        let shown = format!("{:?}", read(query, b"").unwrap());
        assert!(!shown.contains("secret") && shown.contains("user"), "{shown}");
        let shown = format!("{:?}", read("response=r-secret", b"").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }

    /// Cases 13 to 15, with a code and with an error alike: nothing else is looked at.
    #[test]
    fn rfc9207_2_4_the_issuer_is_the_one_that_was_asked() {
        const ISSUER: &str = "https://login.example.com";
        let (mismatch, missing) = (Err(IssuerError::Mismatch), Err(IssuerError::Missing));
        for (brought, expected, required, expect) in [
            (Some(ISSUER), Some(ISSUER), true, Ok(())),
            (Some(ISSUER), Some(ISSUER), false, Ok(())),
            (Some("https://evil.example"), Some(ISSUER), true, mismatch.clone()),
            (Some("https://evil.example"), Some(ISSUER), false, mismatch.clone()),
            (Some("https://login.example.com/"), Some(ISSUER), false, mismatch.clone()),
            (Some("https://login.example.com:443"), Some(ISSUER), false, mismatch.clone()),
            (Some("https://LOGIN.example.com"), Some(ISSUER), false, mismatch.clone()),
            (Some("HTTPS://login.example.com"), Some(ISSUER), false, mismatch.clone()),
            (Some("https://login.example.com/%2e"), Some(ISSUER), false, mismatch.clone()),
            (Some(""), Some(ISSUER), false, mismatch),
            (None, Some(ISSUER), true, missing.clone()),
            (None, None, true, missing),
            (None, Some(ISSUER), false, Ok(())),
            (Some("https://unknown.example"), None, false, Ok(())),
        ] {
            assert_eq!(check_issuer(brought, expected, required), expect, "{brought:?}");
        }
    }
}
