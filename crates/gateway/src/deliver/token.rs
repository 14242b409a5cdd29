//! Tokens of OAuth 2.0 that open endpoints (RFC 6749, section 4.4): fetched when the first attempt
//! needs one, kept until shortly before they end, once for all who wait.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, header};
use ringback_domain::{
    delivery::access::Oauth2,
    id::Key,
    oauth::{
        Ask,
        token::{self, TokenError, TokenQuirks},
    },
    target::{Rules, Target},
};
use tokio::{
    sync,
    time::{Instant, timeout_at},
};

use super::{access::bearer, services::Services};
use crate::outbound::{Limits, Once, Reason};

/// How long a token is used of which nobody says when it ends.
const USUAL: Duration = Duration::from_secs(3_600);
/// A token is not used in the last tenth of its time, or the last minute if that is shorter.
const MARGIN: Duration = Duration::from_secs(60);
/// The largest answer that is read.
const LARGEST: usize = 64 * 1024;
/// How many endpoints' tokens are remembered.
const REMEMBERED: usize = 100_000;

/// Tokens by endpoint: an idle lane is forgotten, and what was fetched for it is not.
#[derive(Default)]
pub struct Tokens(Mutex<HashMap<Key, Arc<Slot>>>);

/// The tokens of one endpoint.
struct Slot {
    /// How they are fetched.
    oauth2: Box<Oauth2>,
    /// Held while one is fetched: the others wait.
    turn: sync::Mutex<()>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    token: Option<Token>,
    /// How many were fetched.
    number: u64,
    /// What came of the last try that failed, and when that was.
    failed: Option<(NoToken, Instant)>,
}

struct Token {
    value: HeaderValue,
    good_until: Instant,
}

/// Where the tokens of an endpoint come from.
pub(super) struct Source(Arc<Slot>);

/// A token to be shown.
pub(super) struct Held {
    pub(super) value: HeaderValue,
    slot: Arc<Slot>,
    number: u64,
    is_new: bool,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoToken {
    /// The token URL could not be asked.
    #[error("the token URL could not be asked: {0}")]
    Unreached(Reason),
    /// It refuses, with a word of its own.
    #[error("the token URL refuses the client: {0}")]
    Refused(String),
    /// It answered with something else.
    #[error("the token URL answered with status {status} and no token")]
    Unreadable {
        /// The status.
        status: u16,
    },
    /// It is overloaded, or broken.
    #[error("the token URL is not available: it answered with status {status}")]
    Unavailable {
        /// The status.
        status: u16,
    },
}

impl NoToken {
    /// Why the token URL could not be asked, if it could not.
    pub(super) fn unreached(&self) -> Option<Reason> {
        match self {
            NoToken::Unreached(reason) => Some(*reason),
            _ => None,
        }
    }

    /// Why, in a word that stays the same.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            NoToken::Unreached(reason) => reason.as_str(),
            NoToken::Refused(_) => "token_refused",
            NoToken::Unreadable { .. } => "token_unreadable",
            NoToken::Unavailable { .. } => "token_unavailable",
        }
    }
}

impl From<TokenError> for NoToken {
    fn from(error: TokenError) -> NoToken {
        match error {
            TokenError::Refused { error, .. } => NoToken::Refused(error),
            TokenError::Unreadable { status, .. } => NoToken::Unreadable { status },
            TokenError::Unavailable { status } => NoToken::Unavailable { status },
        }
    }
}

impl Tokens {
    /// Where an endpoint's tokens come from. Those that were fetched otherwise are forgotten.
    pub(super) fn source(&self, endpoint: Key, oauth2: Box<Oauth2>) -> Source {
        let mut slots = lock(&self.0);
        if let Some(slot) = slots.get(&endpoint).filter(|slot| slot.oauth2 == oauth2) {
            return Source(Arc::clone(slot));
        }
        if slots.len() >= REMEMBERED {
            slots.clear();
        }
        let slot = Slot { oauth2, turn: sync::Mutex::default(), known: Mutex::default() };
        let slot = Arc::new(slot);
        slots.insert(endpoint, Arc::clone(&slot));
        Source(slot)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Source {
    /// A token that is good: the one that is kept, or a new one.
    ///
    /// # Errors
    /// [`NoToken`]; whoever waited for somebody else's try is told what came of that.
    pub(super) async fn token(
        &self,
        services: &Services,
        deadline: Instant,
    ) -> Result<Held, NoToken> {
        if let Some(held) = self.kept() {
            return Ok(held);
        }
        let began = Instant::now();
        let turn = timeout_at(deadline, self.0.turn.lock()).await;
        let _turn = turn.map_err(|_| NoToken::Unreached(Reason::Timeout))?;
        if let Some(held) = self.kept() {
            return Ok(held);
        }
        let failed = lock(&self.0.known).failed.clone();
        if let Some((failed, _)) = failed.filter(|(_, at)| *at > began) {
            return Err(failed);
        }
        let fetched = fetch(services, &self.0.oauth2, deadline).await;
        let mut known = lock(&self.0.known);
        match fetched {
            Ok(token) => {
                let value = token.value.clone();
                known.number += 1;
                let number = known.number;
                known.token = Some(token);
                Ok(Held { value, slot: Arc::clone(&self.0), number, is_new: true })
            }
            Err(failed) => {
                known.failed = Some((failed.clone(), Instant::now()));
                Err(failed)
            }
        }
    }

    fn kept(&self) -> Option<Held> {
        let known = lock(&self.0.known);
        let token = known.token.as_ref().filter(|token| Instant::now() < token.good_until)?;
        let (value, number) = (token.value.clone(), known.number);
        Some(Held { value, slot: Arc::clone(&self.0), number, is_new: false })
    }
}

impl Held {
    /// It is of no use: the next attempt fetches another. Whether it was kept from before, so that a
    /// new one may do better.
    pub(super) fn spoil(&self) -> bool {
        let mut known = lock(&self.slot.known);
        // Somebody else may have fetched a new one meanwhile.
        if known.number == self.number {
            known.token = None;
        }
        !self.is_new
    }
}

/// Asks for a token, through the guard as everything else.
async fn fetch(services: &Services, oauth2: &Oauth2, deadline: Instant) -> Result<Token, NoToken> {
    let Ask { method, url, mut headers, body } = oauth2.ask();
    let rules = Rules { require_https: services.require_https };
    let refused = NoToken::Unreached(Reason::RefusedByPolicy);
    let target = Target::parse(&url, rules).map_err(|_| refused)?;
    let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    // What is compressed is not read.
    headers.extend([named("user-agent", "ringback"), named("accept-encoding", "identity")]);
    let once = Once { method, target: &target, headers: &headers, body: Bytes::from(body) };
    let limits = Limits { keep: LARGEST, read: LARGEST, headers: 100 };
    let asked = Instant::now();
    let answer = services.connector.once(once, &limits, deadline).await;
    let answer = answer.map_err(NoToken::Unreached)?;
    let status = answer.status.as_u16();
    let content_type = answer.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let tokens = token::answer(status, content_type, &answer.body, &TokenQuirks::default())?;
    if !tokens.token_type.eq_ignore_ascii_case("bearer") {
        return Err(NoToken::Unreadable { status });
    }
    let value = bearer(&tokens.access_token).map_err(|_| NoToken::Unreadable { status })?;
    let lasts = tokens.expires_in.map_or(USUAL, Duration::from_secs).min(USUAL * 24);
    Ok(Token { value, good_until: asked + lasts - (lasts / 10).min(MARGIN) })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
