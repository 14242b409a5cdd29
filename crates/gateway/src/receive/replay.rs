//! Requests that were written down and become messages only now: because somebody lets one pass, or
//! because what was wrong with it is mended.

use bytes::Bytes;
use ringback_domain::{
    id::{Key, MessageId, RequestId},
    provider::{Event, Reply, Request, State},
    scope::Reference,
    source::{Fate, Received},
    time::Timestamp,
};
use ringback_store::{Append, ReadError, Release, Released, WriteError};

use super::{
    PREFIX, Ready, TOKEN,
    call::Call,
    correlate::Said,
    decide::{Outcome, decide},
    door::{Door, Judged},
    headers::{self, Restored},
    message::Making,
};

/// Which request to take, and how.
pub struct Again {
    /// Whose.
    pub environment: Key,
    /// Of which source.
    pub source: Reference,
    /// The request.
    pub request: RequestId,
    /// On which grounds.
    pub how: How,
    /// When this is asked.
    pub now: Timestamp,
}

/// On which grounds a request is taken that was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Somebody lets it pass though its schema refuses it. Its proof was judged when it came.
    Release,
    /// It is judged again, by the source as it is now, as of the time when it came.
    Replay,
}

/// A request that is a message now.
#[derive(Debug)]
pub struct Replayed {
    /// As it is written down now.
    pub request: Received,
    /// Whether it had its message before this was asked.
    pub before: bool,
}

/// Why a request is not taken. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Only what was proven and has a body that its schema refuses can be released.
    #[error(
        "the request was not held back by a schema ({}): it can be replayed once the reason is \
         mended",
        .0.as_str()
    )]
    NotHeld(Fate),
    /// It was refused before it was looked at.
    #[error("a request with the status {} has nothing that could be taken", .0.as_str())]
    Nothing(Fate),
    /// There was more than is kept.
    #[error("{kept} of {bytes} bytes of the body are kept")]
    Truncated {
        /// Bytes that are kept.
        kept: u64,
        /// Bytes that came.
        bytes: u64,
    },
    /// Headers that are not shown cannot be opened, or there were more than are kept.
    #[error("not all of its headers are kept")]
    Headers,
    /// It is a challenge: nothing happened.
    #[error("the request is a challenge, not an event")]
    Challenge,
    /// No file describes the source's provider any more.
    #[error("no file describes the source's provider")]
    NoProvider,
    /// It still is not what the source takes.
    #[error("{}{}", .fate.as_str(), .reason.as_ref().map(|it| format!(": {it}")).unwrap_or_default())]
    Still {
        /// What became of it if it came now.
        fate: Fate,
        /// Why.
        reason: Option<String>,
    },
    /// The source or the request is not there, or the store failed.
    #[error(transparent)]
    Store(#[from] WriteError),
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Refusal {
        Refusal::Store(match error {
            ReadError::NotFound(what) => WriteError::NotFound(what),
            ReadError::Unavailable(reason) => reason.into(),
        })
    }
}

impl Door {
    /// Makes a request that was written down a message, if it is none yet.
    ///
    /// # Errors
    /// [`Refusal`] says why it is not taken.
    pub async fn replay(&self, again: Again) -> Result<Replayed, Refusal> {
        let Again { environment, source, request, how, now } = again;
        let store = &self.parts.store;
        let kept = store.request(environment, source.clone(), request).await?;
        let found = store.source(environment, source.clone()).await?;
        let ready = self.parts.directory.ready(environment, found);
        if let Some(message) = kept.message {
            self.told_again(&ready, &kept, message, now).await?;
            return Ok(Replayed { request: kept, before: true });
        }
        let before = self.take(&ready, &kept, how, now).await?;
        Ok(Replayed { request: store.request(environment, source, request).await?, before })
    }

    /// Returns whether somebody else was quicker.
    async fn take(
        &self,
        ready: &Ready,
        kept: &Received,
        how: How,
        now: Timestamp,
    ) -> Result<bool, Refusal> {
        let body = whole_body(kept, how)?;
        let provider = ready.provider.as_deref().ok_or(Refusal::NoProvider)?;
        let Restored { headers, whole } = self.restored(ready, kept);
        if how == How::Replay && !whole {
            return Err(Refusal::Headers);
        }
        let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let path = self.path(ready);
        let call = Call::kept(ready, provider, kept, &path, &headers, now);
        let url = call.url(&self.parts.public_url);
        let request = call.request(&url, &body);
        let outcome = match how {
            How::Release => as_it_was(kept),
            How::Replay => self.judged_again(&call, &request).await?,
        };
        let messages = self.messages(&call, &request, &body, &outcome);
        let said: Vec<_> =
            messages.iter().map(|append| Said::by(&call, &request, &outcome, append)).collect();
        let release = Release { source: ready.source.id.key(), request: kept.id.key(), messages };
        let Released::Now(appended) = self.parts.log.release(release).await? else {
            return Ok(true);
        };
        for (appended, said) in appended.into_iter().zip(said) {
            match appended.repeated {
                true => self.again(&call, appended.id).await,
                false => self.accepted(),
            }
            self.correlate(&call, appended.id, said).await.map_err(WriteError::from)?;
        }
        Ok(false)
    }

    /// Tells callbacks what a request says that is a message by now: whoever made it one may have been
    /// interrupted before. Of a batch, the first message stands for all.
    async fn told_again(
        &self,
        ready: &Ready,
        kept: &Received,
        message: MessageId,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let body: Bytes = kept.body.clone().unwrap_or_default().into();
        let Some(provider) = ready.provider.as_deref() else { return Ok(()) };
        if ready.correlations.is_empty() || (body.len() as u64) < kept.bytes {
            return Ok(());
        }
        let Restored { headers, .. } = self.restored(ready, kept);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let path = self.path(ready);
        let call = Call::kept(ready, provider, kept, &path, &headers, now);
        let url = call.url(&self.parts.public_url);
        let request = call.request(&url, &body);
        let outcome = as_it_was(kept);
        for append in self.messages(&call, &request, &body, &outcome) {
            let said = Said::by(&call, &request, &outcome, &append);
            self.correlate(&call, message, said).await.map_err(WriteError::from)?;
        }
        Ok(())
    }

    fn messages(
        &self,
        call: &Call<'_>,
        request: &Request<'_>,
        body: &Bytes,
        outcome: &Outcome,
    ) -> Vec<Append> {
        let entropy = &self.parts.world.entropy;
        let nonce = || u64::from_ne_bytes(entropy.bytes());
        let making = Making { retention: self.parts.retention, nonce: &nonce };
        making.messages(call, request, body, outcome)
    }

    async fn judged_again(
        &self,
        call: &Call<'_>,
        request: &Request<'_>,
    ) -> Result<Outcome, Refusal> {
        let outcome = match self.judge(call, request).await {
            Judged::Challenge(_) => return Err(Refusal::Challenge),
            Judged::RefusedChallenge { reply, verdict } => {
                Outcome::of(Fate::Unverified, &verdict, reply)
            }
            Judged::Event { .. } if !call.may_be_event() => {
                Outcome::method_not_allowed(&call.ready.config.methods)
            }
            Judged::Event { verdict, event } => decide(call, request, &verdict, event),
        };
        match outcome.fate {
            Fate::Accepted => Ok(outcome),
            fate => Err(Refusal::Still { fate, reason: outcome.reason }),
        }
    }

    fn restored(&self, ready: &Ready, kept: &Received) -> Restored {
        headers::restored(&kept.headers, |sealed| {
            let opened = self.parts.keyring.open(&ready.place(headers::HIDDEN), sealed);
            opened.ok().map(|plain| plain.to_vec())
        })
    }

    /// The path of the source's URL as it is now.
    fn path(&self, ready: &Ready) -> String {
        let opened = self.parts.keyring.open(&ready.place(TOKEN), &ready.source.token);
        let token = opened.ok().and_then(|token| String::from_utf8(token.to_vec()).ok());
        format!("{PREFIX}{}", token.unwrap_or_default())
    }
}

fn whole_body(kept: &Received, how: How) -> Result<Bytes, Refusal> {
    match how {
        _ if !kept.fate.may_be_replayed() => return Err(Refusal::Nothing(kept.fate)),
        How::Release if !kept.fate.is_held() => return Err(Refusal::NotHeld(kept.fate)),
        How::Release | How::Replay => {}
    }
    let body = kept.body.clone().unwrap_or_default();
    if (body.len() as u64) < kept.bytes {
        return Err(Refusal::Truncated { kept: body.len() as u64, bytes: kept.bytes });
    }
    Ok(body.into())
}

/// What becomes of a request that is let pass as it was judged when it came.
fn as_it_was(kept: &Received) -> Outcome {
    Outcome {
        fate: Fate::Accepted,
        state: State::named(&kept.verdict).unwrap_or(State::Unattempted),
        reason: kept.reason.clone(),
        mark: None,
        reply: Reply::empty(kept.status),
        event: Event { id: kept.event_id.clone(), kind: kept.event_type.clone() },
    }
}
