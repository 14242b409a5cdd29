//! Revocation (RFC 7009): a provider is told that tokens are needed no more.

use super::ask::Ask;
use super::token::{self, ClientAuth, TokenError, TokenQuirks};

/// Which token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// An access token.
    AccessToken,
    /// A refresh token: with it goes everything that came of it.
    RefreshToken,
}

/// The request to forget `token` (RFC 7009, 2.1).
pub fn ask(endpoint: &str, auth: &ClientAuth<'_>, token: &str, hint: Hint) -> Ask {
    let hint = match hint {
        Hint::AccessToken => "access_token",
        Hint::RefreshToken => "refresh_token",
    };
    let fields = vec![("token", token), ("token_type_hint", hint)];
    token::asked(endpoint, auth, fields, &TokenQuirks::default())
}

/// Reads the answer: nothing is wrong if the token is gone, whether or not it was known (RFC 7009,
/// 2.2). Some say `invalid_token` (Google) for one that was not.
///
/// # Errors
/// [`TokenError`]; the token may be good still.
pub fn answer(status: u16, content_type: Option<&str>, body: &[u8]) -> Result<(), TokenError> {
    match token::read(status, content_type, body) {
        Err(TokenError::Refused { error, .. }) if error == "invalid_token" => Ok(()),
        // What stands in the answer does not matter, and often it is empty.
        Err(TokenError::Unreadable { .. }) if (200..300).contains(&status) => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case 53: RFC 7009, 2.1. Whoever revokes a grant asks twice, the refresh token first.
    #[test]
    fn rfc7009_2_1_a_token_is_named_and_the_client_proves_itself() {
        let auth = ClientAuth::Basic { id: "me", secret: "pw" };
        for (hint, expect) in
            [(Hint::RefreshToken, "refresh_token"), (Hint::AccessToken, "access_token")]
        {
            let asked = ask("https://a.example/revoke", &auth, "t/1", hint);
            let body = format!("token=t%2F1&token_type_hint={expect}");
            assert_eq!(asked.body, body.as_bytes());
            let authorization = asked.headers.iter().find(|(name, _)| name == "authorization");
            assert!(authorization.is_some_and(|(_, value)| value.starts_with("Basic ")));
        }
    }

    /// Case 53: RFC 7009, 2.2.
    #[test]
    fn rfc7009_2_2_a_token_that_is_not_known_is_revoked() {
        for (status, body, expect) in [
            (200, "", Ok(())),
            (200, "{}", Ok(())),
            (204, "", Ok(())),
            (200, "<html>ok</html>", Ok(())),
            (400, r#"{"error":"invalid_token"}"#, Ok(())),
            (503, "", Err("unavailable")),
            (429, "", Err("unavailable")),
            (400, r#"{"error":"unsupported_token_type"}"#, Err("refused")),
            (401, r#"{"error":"invalid_client"}"#, Err("refused")),
            (200, r#"{"ok":false,"error":"not_authed"}"#, Err("refused")),
            (404, "", Err("unreadable")),
        ] {
            let found = answer(status, None, body.as_bytes()).map_err(|error| match error {
                TokenError::Refused { .. } => "refused",
                TokenError::Unreadable { .. } => "unreadable",
                TokenError::Unavailable { .. } => "unavailable",
            });
            assert_eq!(found, expect, "{status} {body}");
        }
    }
}
