//! Revocation (RFC 7009): a provider is told that tokens are needed no more.

use serde::Deserialize;

use super::ask::{Ask, Body};
use super::token::{self, ClientAuth, TokenError, TokenQuirks};

/// Which token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// An access token.
    AccessToken,
    /// A refresh token: with it goes everything that came of it.
    RefreshToken,
}

/// How a provider's revocation differs from the RFC. The default is: not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RevokeQuirks {
    /// The method, if it is not `POST`.
    pub method: Method,
    /// How it takes fields.
    pub body: Body,
    /// What it calls the token, if not `token`.
    pub parameter: Option<String>,
    /// Whether the token is its own proof, in the `Authorization` header, and the client has none.
    pub bearer: bool,
    /// Its words for "this token is unknown or was revoked before" beside `invalid_token`.
    pub unknown: Vec<String>,
    /// More headers.
    pub headers: Vec<(String, String)>,
}

/// A method of a revocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `POST`, as the RFC says.
    #[default]
    Post,
    /// `DELETE` (GitHub).
    Delete,
}

/// The request to forget `token` (RFC 7009, 2.1).
pub fn ask(
    endpoint: &str,
    auth: &ClientAuth<'_>,
    token: &str,
    hint: Hint,
    quirks: &RevokeQuirks,
) -> Ask {
    let headers = quirks.headers.clone();
    let quirks_of_body = TokenQuirks { body: quirks.body, headers, ..TokenQuirks::default() };
    let mut ask = match (&quirks.parameter, quirks.bearer) {
        (None, true) => {
            let mut ask = Ask::post(endpoint, quirks.body, &[]);
            for (name, value) in &quirks.headers {
                ask = ask.with(name, value);
            }
            ask
        }
        (Some(parameter), true) => Ask::post(endpoint, quirks.body, &[(parameter, token)]),
        (Some(parameter), false) => {
            token::asked(endpoint, auth, vec![(parameter, token)], &quirks_of_body)
        }
        (None, false) => {
            let hint = match hint {
                Hint::AccessToken => "access_token",
                Hint::RefreshToken => "refresh_token",
            };
            let fields = vec![("token", token), ("token_type_hint", hint)];
            token::asked(endpoint, auth, fields, &quirks_of_body)
        }
    };
    if quirks.bearer {
        ask = ask.with("authorization", format!("Bearer {token}"));
    }
    ask.method = match quirks.method {
        Method::Post => "POST",
        Method::Delete => "DELETE",
    };
    ask
}

/// Reads the answer: nothing is wrong if the token is gone, whether or not it was known (RFC 7009,
/// 2.2).
///
/// # Errors
/// [`TokenError`]; the token may be good still.
pub fn answer(
    status: u16,
    content_type: Option<&str>,
    body: &[u8],
    quirks: &RevokeQuirks,
) -> Result<(), TokenError> {
    let read = token::read(status, content_type, body);
    match read {
        Err(TokenError::Refused { error, .. })
            if error == "invalid_token" || quirks.unknown.contains(&error) =>
        {
            Ok(())
        }
        // What stands in the answer does not matter, and often it is empty.
        Err(TokenError::Unreadable { .. }) if (200..300).contains(&status) => Ok(()),
        other => other.map(drop),
    }
}
