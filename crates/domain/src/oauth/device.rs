//! The device flow (RFC 8628): a person logs in elsewhere, and whoever waits asks again and again.

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use super::ask::Ask;
use super::field;
use super::token::{self, ClientAuth, TokenError, TokenQuirks, Tokens};

/// Between two questions, if the provider does not say (RFC 8628, 3.2).
const INTERVAL: u64 = 5;
/// What `slow_down` adds (RFC 8628, 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// The most between two questions.
const SLOWEST: Duration = Duration::from_secs(60);

/// What a person needs to log in, and what is asked with meanwhile (RFC 8628, 3.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Device {
    /// What is asked with.
    pub device_code: Zeroizing<String>,
    /// What the person types.
    pub user_code: String,
    /// Where: `http` or `https`.
    pub verification_uri: String,
    /// The same with the code in it.
    pub verification_uri_complete: Option<String>,
    /// For how many seconds.
    pub expires_in: u64,
    /// Seconds between two questions.
    pub interval: u64,
}

/// Shows neither of the codes.
impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("verification_uri", &self.verification_uri)
            .field("expires_in", &self.expires_in)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// The request for codes (RFC 8628, 3.1).
pub fn ask(
    endpoint: &str,
    auth: &ClientAuth<'_>,
    scope: Option<&str>,
    quirks: &TokenQuirks,
) -> Ask {
    let mut fields = vec![("client_id", auth.id())];
    fields.extend(scope.map(|scope| ("scope", scope)));
    token::asked(endpoint, auth, fields, quirks)
}

/// Reads the codes. Google calls the place `verification_url`.
///
/// # Errors
/// [`TokenError`]
pub fn answer(status: u16, content_type: Option<&str>, body: &[u8]) -> Result<Device, TokenError> {
    let answer = token::read(status, content_type, body)?;
    let unreadable = |what| TokenError::Unreadable { status, what };
    let page = |name: &str| {
        let is_page = |text: &&str| text.starts_with("https://") || text.starts_with("http://");
        field::text(&answer, name).filter(is_page).map(str::to_owned)
    };
    let text = |name: &str| field::text(&answer, name).map(str::to_owned);
    let seconds = |name: &str| field::number(&answer, name).and_then(|it| u64::try_from(it).ok());
    Ok(Device {
        device_code: text("device_code")
            .map(Zeroizing::new)
            .ok_or_else(|| unreadable("has no device code"))?,
        user_code: text("user_code").ok_or_else(|| unreadable("has no user code"))?,
        verification_uri: page("verification_uri")
            .or_else(|| page("verification_url"))
            .ok_or_else(|| unreadable("has no page for the person"))?,
        verification_uri_complete: page("verification_uri_complete"),
        expires_in: seconds("expires_in").ok_or_else(|| unreadable("does not say when it ends"))?,
        interval: seconds("interval").unwrap_or(INTERVAL).max(1),
    })
}

/// What follows from asking the token endpoint with a device's code.
#[derive(Clone, Debug, PartialEq)]
pub enum Poll {
    /// The person has logged in.
    Granted(Tokens),
    /// Not yet: ask again after this long.
    Pending(Duration),
    /// The person said no.
    Denied,
    /// It took too long.
    Expired,
    /// Something else is wrong, and stays so.
    Failed(TokenError),
}

/// What follows from an answer of the token endpoint; `interval` is how long it was waited before.
pub fn poll(answer: Result<Tokens, TokenError>, interval: Duration) -> Poll {
    let error = match answer {
        Ok(tokens) => return Poll::Granted(tokens),
        Err(error) => error,
    };
    match &error {
        // A provider that is away is asked less and less often (RFC 8628, 3.5).
        TokenError::Unavailable { .. } => Poll::Pending((interval * 2).min(SLOWEST)),
        TokenError::Unreadable { .. } => Poll::Failed(error),
        TokenError::Refused { error: word, .. } => match word.as_str() {
            "authorization_pending" => Poll::Pending(interval),
            "slow_down" => Poll::Pending(interval + SLOWER),
            "access_denied" | "authorization_declined" => Poll::Denied,
            "expired_token" => Poll::Expired,
            _ => Poll::Failed(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: &Value) -> Result<Device, TokenError> {
        answer(200, Some("application/json"), value.to_string().as_bytes())
    }

    fn good() -> Value {
        json!({"device_code": "d-secret", "user_code": "WDJB-MJHT",
            "verification_uri": "https://login.example.com/device", "expires_in": 1800})
    }

    /// RFC 8628, 3.1 and 3.2.
    #[test]
    fn rfc8628_3_2_codes_are_asked_for_and_read() {
        let auth = ClientAuth::None { id: "me" };
        let asked = ask("https://a.example/d", &auth, Some("repo gist"), &TokenQuirks::default());
        assert_eq!(asked.body, b"client_id=me&scope=repo%20gist");
        let device = read(&good()).unwrap();
        assert_eq!((device.interval, device.expires_in), (5, 1800));
        assert!(!format!("{device:?}").contains("secret"));
        let mut google = good();
        google["verification_url"] = google["verification_uri"].take();
        google["interval"] = json!("0");
        let device = read(&google).unwrap();
        assert_eq!(device.verification_uri, "https://login.example.com/device");
        assert_eq!(device.interval, 1, "nobody is asked without a pause");
    }

    #[test]
    fn rfc8628_3_2_what_is_missing_is_not_made_up() {
        for (name, value) in [
            ("device_code", json!(null)),
            ("user_code", json!("")),
            ("verification_uri", json!("javascript:alert(1)")),
            ("verification_uri", json!(null)),
            ("expires_in", json!(null)),
        ] {
            let mut answer = good();
            answer[name] = value;
            assert!(matches!(read(&answer), Err(TokenError::Unreadable { .. })), "{answer}");
        }
        let mut answer = good();
        answer["verification_uri_complete"] = json!("data:text/html,x");
        assert_eq!(read(&answer).unwrap().verification_uri_complete, None);
    }

    #[test]
    fn rfc8628_3_5_what_an_answer_means_for_the_next_question() {
        let seconds = Duration::from_secs;
        let refused = |word: &str| {
            let body = json!({ "error": word }).to_string();
            token::answer(400, None, body.as_bytes(), &TokenQuirks::default())
        };
        for (answer, interval, expect) in [
            (refused("authorization_pending"), 5, Poll::Pending(seconds(5))),
            (refused("slow_down"), 5, Poll::Pending(seconds(10))),
            (refused("slow_down"), 10, Poll::Pending(seconds(15))),
            (Err(TokenError::Unavailable { status: 503 }), 5, Poll::Pending(seconds(10))),
            (Err(TokenError::Unavailable { status: 503 }), 45, Poll::Pending(seconds(60))),
            (refused("access_denied"), 5, Poll::Denied),
            (refused("expired_token"), 5, Poll::Expired),
        ] {
            assert_eq!(poll(answer, seconds(interval)), expect);
        }
        assert!(matches!(poll(refused("invalid_client"), seconds(5)), Poll::Failed(_)));
        let granted = token::answer(200, None, br#"{"access_token":"t"}"#, &TokenQuirks::default());
        assert_eq!(poll(granted.clone(), seconds(5)), Poll::Granted(granted.unwrap()));
    }
}
