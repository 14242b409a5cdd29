//! Tokens that are always fresh, from refreshes that happen once.
//!
//! In one process, those who ask at the same time share one *flight*. Between processes, the lease of
//! the connection makes the others wait; and what decides in the end is the version of what is stored
//! (see [`ringback_domain::oauth::connection`]).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ringback_domain::{
    id::{ConnectionId, Key},
    oauth::{
        Connection,
        connection::{Act, Lease, State, Verdict},
        provider::For as What,
        token::{Grant as Asked, Tokens},
    },
    time::Timestamp,
};
use ringback_store::{ConnectionStep, ConnectionStepped};
use serde_json::{Map, Value};
use tokio::{runtime::Handle, sync::watch, time::sleep};
use zeroize::Zeroizing;

use super::{
    Oauth, Trouble,
    exchange::{INVALID_GRANT, Sealed},
};

/// The refreshes that are under way in this process, and what becomes of them.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Key, watch::Receiver<Option<Landed>>>>);

type Landed = Result<Connection, Trouble>;

/// A refresh that is under way; whatever becomes of it, it is no longer so afterwards.
struct Flight {
    oauth: Oauth,
    key: Key,
}

impl Flight {
    fn of(oauth: &Oauth, connection: &Connection) -> Flight {
        Flight { oauth: oauth.clone(), key: connection.id.key() }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.oauth.flights().remove(&self.key);
    }
}

/// How often a process that waits for another one looks.
const LOOK: Duration = Duration::from_millis(200);
/// How long anybody waits for another process at most.
const PATIENCE: Duration = Duration::from_secs(90);
/// The longest pause after refreshes that failed.
const PAUSE: Duration = Duration::from_secs(300);
/// How often a result is offered to a store that is away.
const OFFERS: u32 = 240;
/// The pause between two offers.
const OFFER: Duration = Duration::from_millis(500);
/// Why a connection needs its person again whose last refresh nobody knows the end of.
const INTERRUPTED: &str = "refresh_interrupted";

/// A token that can be used now.
pub struct Fresh {
    /// Of which connection.
    pub connection: Connection,
    /// It.
    pub access_token: Zeroizing<String>,
    /// How it is used: `Bearer`.
    pub token_type: String,
    /// What the provider said beside: where its API is, for which tenant.
    pub extra: Map<String, Value>,
}

impl Oauth {
    /// A fresh token of a connection. With `force` it is refreshed even if it is fresh.
    ///
    /// # Errors
    /// [`Trouble::Inactive`] where the person has to be asked again, [`Trouble::Away`] where there is
    /// none now.
    pub async fn token(
        &self,
        environment: Key,
        id: ConnectionId,
        force: bool,
    ) -> Result<Fresh, Trouble> {
        let connection = self.parts().store.connection(environment, id).await?;
        let now = self.now();
        if connection.state != State::Active {
            return Err(inactive(&connection));
        }
        let connection = if !force && self.is_fresh(&connection, now) {
            connection
        } else if !connection.grant.is_refreshable {
            match force {
                true => {
                    let what = "the provider has given no refresh token";
                    return Err(Trouble::Misconfigured(what.to_owned()));
                }
                // It is used until it ends, and then there is nothing to be done but to ask again.
                false if is_good(&connection, now) => connection,
                false => self.broken(&connection, "token_expired").await?,
            }
        } else {
            let waits = connection.retry_at.is_some_and(|retry_at| retry_at > now) && !force;
            match (waits, is_good(&connection, now)) {
                (true, true) => connection,
                (true, false) => {
                    return Err(Trouble::Away("the last refresh has just failed".to_owned()));
                }
                (false, is_good) => match self.flight(&connection).await {
                    Ok(refreshed) => refreshed,
                    // It is good for a while.
                    Err(Trouble::Away(_)) if is_good && !force => connection,
                    Err(trouble) => return Err(trouble),
                },
            }
        };
        if connection.state != State::Active {
            return Err(inactive(&connection));
        }
        let Sealed { access_token, token_type, extra, .. } = self.open_tokens(&connection)?;
        Ok(Fresh { connection, access_token, token_type, extra })
    }

    /// Whether a token is good for long enough that nobody has to hurry.
    fn is_fresh(&self, connection: &Connection, now: Timestamp) -> bool {
        let Some(expires_at) = connection.grant.expires_at else { return true };
        // Of a token that lives shortly, the last quarter.
        let life = expires_at.since(connection.refreshed_at);
        let before = self.parts().settings.refresh_before.min(life / 4);
        now + before < expires_at
    }

    /// The refresh that is under way, or one that is begun. It goes on if whoever asks goes away: the
    /// provider's answer comes once.
    async fn flight(&self, connection: &Connection) -> Landed {
        let (mut landing, lands) = {
            let mut flights = self.flights();
            match flights.get(&connection.id.key()) {
                Some(landing) => (landing.clone(), None),
                None => {
                    let (lands, landing) = watch::channel(None);
                    flights.insert(connection.id.key(), landing.clone());
                    (landing, Some(lands))
                }
            }
        };
        if let Some(lands) = lands {
            let (flight, connection) = (Flight::of(self, connection), connection.clone());
            Handle::current().spawn(async move {
                let landed = flight.oauth.refresh(&connection).await;
                drop(flight);
                lands.send_replace(Some(landed));
            });
        }
        match landing.wait_for(Option::is_some).await {
            Ok(landed) => landed.clone().unwrap_or(Err(Trouble::Internal)),
            Err(_) => Err(Trouble::internal("a refresh broke off", connection.id)),
        }
    }

    /// Waits for a refresh of this connection that is under way: what it brings is not to be missed.
    pub(super) async fn landed(&self, id: ConnectionId) {
        let landing = self.flights().get(&id.key()).cloned();
        if let Some(mut landing) = landing {
            // One that broke off brings nothing.
            let _ = landing.wait_for(Option::is_some).await;
        }
    }

    /// Waits until the refreshes that are under way have landed: the process is ending, and what a
    /// provider answers to them comes once.
    pub async fn land(&self) {
        loop {
            let landing = self.flights().values().next().cloned();
            let Some(mut landing) = landing else { return };
            // One that broke off is no longer among them either.
            let _ = landing.wait_for(Option::is_some).await;
            tokio::task::yield_now().await;
        }
    }

    fn flights(&self) -> std::sync::MutexGuard<'_, HashMap<Key, watch::Receiver<Option<Landed>>>> {
        self.0.flights.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refreshes what is stored, or waits for the process that does.
    async fn refresh(&self, seen: &Connection) -> Landed {
        let holder = u64::from_be_bytes(self.parts().world.entropy.bytes());
        let begun = self.now();
        loop {
            let stepped = self.connection_step(seen, self.lease(holder, seen.version)).await?;
            let connection = stepped.connection;
            match stepped.verdict {
                Verdict::Taken => return self.refresh_held(connection, holder, false).await,
                Verdict::TakenOver => {
                    tracing::warn!(connection = %seen.id, "a refresh was interrupted: it is tried again");
                    return self.refresh_held(connection, holder, true).await;
                }
                Verdict::Held(until) => {
                    let now = self.now();
                    if now.since(begun) > PATIENCE {
                        return Err(Trouble::Away("another process is refreshing it".to_owned()));
                    }
                    sleep(until.since(now).clamp(Duration::from_millis(1), LOOK)).await;
                }
                // Somebody was faster.
                Verdict::Stale | Verdict::Inactive(_) => return Ok(connection),
            }
        }
    }

    fn lease(&self, holder: u64, version: u32) -> Act {
        let until = self.now() + self.parts().settings.refresh_lease;
        Act::Lease { lease: Lease { holder, until }, version }
    }

    /// Refreshes a connection whose lease is ours.
    async fn refresh_held(&self, held: Connection, holder: u64, uncertain: bool) -> Landed {
        let answered = tokio::select! {
            answered = self.ask_for_tokens(&held) => answered,
            never = self.hold(&held, holder) => match never {},
        };
        let now = self.now();
        let act = match answered {
            Ok((tokens, before)) => match self.refreshed(&held, &tokens, before, now) {
                Ok(act) => act,
                Err(trouble) => self.not_refreshed(&held, holder, &trouble, now),
            },
            Err(Trouble::Refused { error, .. }) if error == INVALID_GRANT => {
                let reason = if uncertain { INTERRUPTED.to_owned() } else { error };
                Act::Broken { version: held.version, reason }
            }
            Err(trouble) => {
                tracing::warn!(connection = %held.id, %trouble, "a connection was not refreshed");
                let stepped =
                    self.stored(&held, self.not_refreshed(&held, holder, &trouble, now)).await?;
                return match stepped.connection.version != held.version {
                    true => Ok(stepped.connection),
                    false => Err(match trouble {
                        Trouble::Refused { .. } | Trouble::Unbelievable(_) => {
                            Trouble::Away(trouble.to_string())
                        }
                        trouble => trouble,
                    }),
                };
            }
        };
        Ok(self.stored(&held, act).await?.connection)
    }

    /// Holds the lease for as long as the provider takes.
    async fn hold(&self, held: &Connection, holder: u64) -> std::convert::Infallible {
        loop {
            sleep(self.parts().settings.refresh_lease / 3).await;
            // If it is lost, what is stored decides.
            let _ = self.connection_step(held, self.lease(holder, held.version)).await;
        }
    }

    async fn ask_for_tokens(&self, held: &Connection) -> Result<(Tokens, Sealed), Trouble> {
        let before = self.open_tokens(held)?;
        let registration = self.registration_of(held.client).await?;
        let scope = registration.scope(&held.grant.scopes);
        let (asked, what) = match &before.refresh_token {
            Some(refresh_token) => (Asked::Refresh { refresh_token, scope: None }, What::Refresh),
            None => (Asked::ClientCredentials { scope: Some(&scope) }, What::Other),
        };
        Ok((self.fetch(&registration, &asked, what).await?, before))
    }

    /// What is stored of new tokens. Without a new refresh token the old one goes on (RFC 6749,
    /// section 6).
    fn refreshed(
        &self,
        held: &Connection,
        tokens: &Tokens,
        before: Sealed,
        now: Timestamp,
    ) -> Result<Act, Trouble> {
        let sealed = Sealed {
            access_token: tokens.access_token.clone(),
            token_type: tokens.token_type.clone(),
            refresh_token: tokens.refresh_token.clone().or(before.refresh_token),
            is_own: before.is_own,
            extra: before.extra,
        };
        let place = (held.scope.environment, held.id);
        let grant = self.grant(place, tokens, &sealed, &held.grant.scopes, None, now)?;
        Ok(Act::Refreshed { version: held.version, grant })
    }

    fn not_refreshed(
        &self,
        held: &Connection,
        holder: u64,
        trouble: &Trouble,
        now: Timestamp,
    ) -> Act {
        let pause = Duration::from_secs(1 << held.failures.min(9)).min(PAUSE);
        Act::NotRefreshed { holder, retry_at: now + pause, reason: trouble.word() }
    }

    /// Nothing keeps it alive any more.
    async fn broken(&self, connection: &Connection, reason: &str) -> Landed {
        let act = Act::Broken { version: connection.version, reason: reason.to_owned() };
        Ok(self.connection_step(connection, act).await?.connection)
    }

    /// Makes a step that must not be lost: a store that is away is waited for.
    async fn stored(&self, held: &Connection, act: Act) -> Result<ConnectionStepped, Trouble> {
        for _ in 0..OFFERS {
            match self.connection_step(held, act.clone()).await {
                Err(Trouble::Store(error)) => {
                    tracing::warn!(connection = %held.id, %error, "a refresh is not stored yet");
                    sleep(OFFER).await;
                }
                stepped => return stepped,
            }
        }
        Err(Trouble::internal("a refresh was not stored", held.id))
    }

    /// A step of a connection; the lanes are told of what comes of it.
    pub(super) async fn connection_step(
        &self,
        connection: &Connection,
        act: Act,
    ) -> Result<ConnectionStepped, Trouble> {
        let now = self.now();
        let step = ConnectionStep {
            environment: connection.scope.environment,
            connection: connection.id,
            act,
            keeping: self.keeping(now),
            now,
        };
        let stepped = self.parts().store.step_connection(step).await?;
        self.tell(&stepped.told);
        Ok(stepped)
    }
}

/// Whether a token has not ended.
fn is_good(connection: &Connection, now: Timestamp) -> bool {
    connection.grant.expires_at.is_none_or(|expires_at| now < expires_at)
}

pub(super) fn inactive(connection: &Connection) -> Trouble {
    let reason = connection.reason.clone().unwrap_or_default();
    Trouble::Inactive { state: connection.state, reason }
}
