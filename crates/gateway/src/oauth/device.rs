//! Connections without a browser at hand: a person types a code on another device (RFC 8628).

use std::{collections::HashMap, sync::PoisonError, time::Duration};

use ringback_domain::{
    id::{AuthorizationId, Key},
    oauth::{
        Authorization,
        authorization::{Act, Flow, Stage},
        device::{self, Device, Poll},
        provider::For as What,
        token::{self, Grant as Asked, TokenError, Tokens},
    },
    seal::Context,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Confirmed, Oauth, Registration, Trouble};

/// What the device's code is sealed as.
pub(crate) const PURPOSE: &str = "authorization-device";
/// Flows whose last question is remembered.
const MOST: usize = 10_000;

/// A device flow that was begun, and what the person has to do.
pub struct Begun {
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it, for a picture to scan.
    pub verification_uri_complete: Option<String>,
    /// How many seconds lie between two polls.
    pub interval: u64,
}

/// When a flow was last asked about, and how many seconds the next question has to wait.
#[derive(Clone, Copy)]
pub(super) struct Polled {
    at: Timestamp,
    interval: u64,
}

/// What is kept of it.
#[derive(Serialize, Deserialize)]
struct Kept {
    device_code: Zeroizing<String>,
    interval: u64,
}

impl Oauth {
    /// Begins a flow on another device. `flow` is not kept yet; what is to be kept is put into it.
    ///
    /// # Errors
    /// Why the provider gives no codes.
    pub async fn begin(&self, flow: &mut Authorization) -> Result<Begun, Trouble> {
        let registration = self.registration_of(flow.client).await?;
        let endpoint = registration.endpoints.device.clone();
        let endpoint = endpoint.ok_or(Trouble::NotSupported("flow for devices"))?;
        let jti = self.jti();
        let proof = registration.proof(&jti, self.now())?;
        let scope = registration.scope(&flow.scopes);
        let scope = Some(scope.as_str()).filter(|scope| !scope.is_empty());
        let quirks = registration.provider.quirks(&registration.endpoints, What::Other);
        let heard = self.ask(device::ask(&endpoint, &proof.auth(), scope, &quirks)).await?;
        let answer = device::answer(heard.status, heard.content_type.as_deref(), &heard.body)?;
        let Device { device_code, user_code, verification_uri, .. } = answer;
        let kept = Kept { device_code, interval: answer.interval };
        flow.deadline = self.now() + Duration::from_secs(answer.expires_in);
        flow.sealed = Some(self.seal(&place(flow), &kept)?);
        Ok(Begun {
            user_code,
            verification_uri,
            verification_uri_complete: answer.verification_uri_complete,
            interval: answer.interval,
        })
    }

    /// Asks whether the person has done it.
    ///
    /// # Errors
    /// [`Trouble::Pending`] with the seconds to wait until the next question; what the provider said
    /// ends the flow.
    pub async fn poll(&self, environment: Key, id: AuthorizationId) -> Result<Confirmed, Trouble> {
        let now = self.now();
        let flow = self.parts().store.authorization(environment, id, now).await?;
        if flow.flow != Flow::Device {
            let what = "only a flow on another device is polled".to_owned();
            return Err(Trouble::Misconfigured(what));
        }
        if flow.stage != Stage::Pending {
            return Err(Trouble::Stage(flow.stage.name()));
        }
        let sealed = flow.sealed.as_deref().ok_or(Trouble::Internal)?;
        let kept: Kept = self.open(&place(&flow), sealed)?;
        let interval = self.turn_to_ask(&flow, kept.interval, now)?;
        let registration = self.registration_of(flow.client).await?;
        let asked = Asked::Device { device_code: &kept.device_code };
        let Registration { provider, endpoints, .. } = &registration;
        let quirks = provider.quirks(endpoints, What::Other);
        let jti = self.jti();
        let proof = registration.proof(&jti, now)?;
        let ask = token::ask(&endpoints.token, &proof.auth(), &asked, &quirks);
        let heard = self.ask(ask).await?;
        let answer = provider.tokens(heard.status, heard.content_type.as_deref(), &heard.body);
        let trouble = match device::poll(answer, Duration::from_secs(interval)) {
            Poll::Granted(tokens) => match self.granted(&flow, &registration, tokens).await {
                Ok(confirmed) => return Ok(confirmed),
                Err(trouble) => trouble,
            },
            Poll::Pending(wait) => {
                // It may have asked for more patience, from now on (RFC 8628, section 3.5).
                let interval = wait.as_secs();
                self.polled().insert(flow.id.key(), Polled { at: now, interval });
                return Err(Trouble::Pending(interval));
            }
            Poll::Denied => refused("access_denied"),
            Poll::Expired => refused("expired_token"),
            Poll::Failed(error @ TokenError::Unavailable { .. }) => return Err(error.into()),
            Poll::Failed(error) => Trouble::from(error),
        };
        self.step(&flow, Act::Fail { reason: trouble.word() }, now).await?;
        Err(trouble)
    }

    /// What comes of tokens: the device's code is used up, whatever it is.
    async fn granted(
        &self,
        flow: &Authorization,
        registration: &Registration,
        tokens: Tokens,
    ) -> Result<Confirmed, Trouble> {
        let fetched = self.fetched(flow, registration, tokens, &[]).await?;
        self.complete(flow, registration, fetched).await
    }

    /// Whether it is time to ask again; how many seconds lie between two questions.
    fn turn_to_ask(
        &self,
        flow: &Authorization,
        interval: u64,
        now: Timestamp,
    ) -> Result<u64, Trouble> {
        let mut polled = self.polled();
        let last = polled.get(&flow.id.key()).copied();
        let interval = last.map_or(interval, |last| last.interval.max(interval));
        let wait = last.map(|last| (last.at + Duration::from_secs(interval)).since(now));
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            return Err(Trouble::Pending(wait.as_secs() + 1));
        }
        if polled.len() >= MOST {
            polled.clear();
        }
        polled.insert(flow.id.key(), Polled { at: now, interval });
        Ok(interval)
    }

    fn polled(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Polled>> {
        self.0.polled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(error: &str) -> Trouble {
    Trouble::Refused { error: error.to_owned(), description: None }
}

fn place(flow: &Authorization) -> Context<'static> {
    Context { environment: flow.scope.environment, owner: flow.id.key(), purpose: PURPOSE }
}
