//! Replacing the key that seals, while the server works.
//!
//! ```text
//!  rotate:  file: old           ─► file: new, old      ─► ring: new seals, old opens
//!  reseal:  every sealed value that is not the new key's is opened and sealed anew
//!  retire:  nothing needs old   ─► file: new
//! ```
//!
//! Invariants:
//! - The file has a key before anything is sealed with it, and has it for as long as anything is: so
//!   the process may end at any moment.
//! - What is changed while it is resealed stays as it was changed: that is sealed with the new key.
//! - The ring of a process keeps what it had: what is remembered of endpoints and sources opens until
//!   the process ends.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ringback_domain::seal::{self, Context, KeyId, Keyring, MasterKey};
use ringback_store::{
    Resealed, SealedKind, SealedPlace, SealedValue, SealedWalk, Store, Unavailable, audit as act,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use zeroize::Zeroizing;

use super::{CANARY, Error, keys_in, read, write};
use crate::{api, callback, oauth, receive, seam::World};

/// How many values are resealed in one transaction.
const PAGE: usize = 100;
/// How many are counted at a time.
const COUNTED: usize = 5_000;
/// Enough of a value to see which key has sealed it.
const HEAD: usize = 64;
/// The pause between two transactions: room for those who wait for a commit.
const PAUSE: Duration = Duration::from_millis(10);
/// After a walk that changed something comes another one: what was under way at the rotation may have
/// been sealed with the old key, and is written by then. Nobody takes longer over a request.
const SETTLED: Duration = Duration::from_secs(60);
/// How long it rests when the store is away.
const REST: Duration = Duration::from_secs(5);
/// How a kept answer begins that is sealed; see the API's idempotency.
const SEALED_ANSWER: u8 = 1;

/// The keys of an installation. Clones share them.
#[derive(Clone)]
pub struct Rotation(Arc<Inner>);

struct Inner {
    keyring: Arc<Keyring>,
    store: Arc<dyn Store>,
    world: World,
    /// None if the key is a setting.
    file: Option<PathBuf>,
    /// Rings when there is something to reseal.
    bell: Notify,
    /// When this process rotated last.
    rotated: Mutex<Option<Instant>>,
}

/// A key, and what it is needed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Its fingerprint.
    pub id: KeyId,
    /// Whether it is the one that seals.
    pub seals: bool,
    /// Whether it is at hand: what another one has sealed cannot be read.
    pub at_hand: bool,
    /// How many values it has sealed that are there.
    pub values: u64,
    /// How many answers to repeated requests, which end by themselves within a day.
    pub answers: u64,
}

/// Why the keys stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Somebody else keeps the keys.
    #[error(
        "the key comes from secrets.key: give the new key there and the old one in \
         secrets.previous_keys, and restart"
    )]
    Setting,
    /// The file is not what was read at the start.
    #[error("the key file {0} begins with another key than the one in use: restart first")]
    Changed(String),
    /// There is one key only.
    #[error("there is no old key")]
    Nothing,
    /// An old key is needed.
    #[error(
        "the key {id} is still needed, by {values} values and by {answers} answers to repeated \
         requests, which end by themselves within a day"
    )]
    Needed {
        /// Which.
        id: KeyId,
        /// How many values it has sealed.
        values: u64,
        /// How many answers.
        answers: u64,
    },
    /// It was in use a moment ago.
    #[error(
        "the key was rotated less than {} s ago: what was under way may need the old one",
        SETTLED.as_secs()
    )]
    TooEarly,
    /// A file or a key cannot be used.
    #[error(transparent)]
    Key(#[from] Error),
    /// The store is away.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Rotation {
    /// The keys of a ring that came from this file, if they came from one.
    pub fn new(
        keyring: Arc<Keyring>,
        store: Arc<dyn Store>,
        world: World,
        file: Option<PathBuf>,
    ) -> Rotation {
        let (bell, rotated) = Default::default();
        Rotation(Arc::new(Inner { keyring, store, world, file, bell, rotated }))
    }

    /// Every key, the one that seals first, with how much it is needed for.
    ///
    /// # Errors
    /// [`Unavailable`] if the store cannot be asked.
    pub async fn list(&self) -> Result<Vec<Use>, Refusal> {
        let at_hand = match &self.0.file {
            Some(path) => {
                let (first, old) = keys_in(path)?;
                [&first].into_iter().chain(&old).map(MasterKey::id).collect()
            }
            None => self.0.keyring.ids(),
        };
        let mut values = self.count().await?;
        let mut uses = Vec::new();
        for (index, id) in at_hand.into_iter().enumerate() {
            let answers = self.answers(id).await?;
            let values = values.remove(&id).unwrap_or(0);
            uses.push(Use { id, seals: index == 0, at_hand: true, values, answers });
        }
        let lost = values.into_iter().map(|(id, values)| Use {
            id,
            seals: false,
            at_hand: false,
            values,
            answers: 0,
        });
        uses.extend(lost);
        Ok(uses)
    }

    /// Puts a new key to the front. Returns its id once it seals; everything else is resealed by
    /// whoever [keeps](Rotation::keep) the keys.
    ///
    /// # Errors
    /// [`Refusal`] says why everything is as it was.
    pub async fn rotate(&self) -> Result<KeyId, Refusal> {
        let Inner { keyring, world, bell, rotated, .. } = &*self.0;
        let path = self.file()?;
        let before = self.unchanged(path)?;
        let key = MasterKey::new(world.entropy.bytes());
        let text = Zeroizing::new(format!("{}\n{}", &*key.to_text(), &*before));
        write(path, &text)?;
        keyring.lead(&key);
        *rotated.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let id = key.id();
        tracing::info!(key = %id, "a new key seals secrets from now on");
        act::about("key_id", id.to_string());
        let noted = self.reseal_canary().await;
        bell.notify_one();
        noted?;
        Ok(id)
    }

    /// Drops the old keys from the file. Returns their ids.
    ///
    /// # Errors
    /// [`Refusal::Needed`] as long as one of them is; nothing is dropped then.
    pub async fn retire(&self) -> Result<Vec<KeyId>, Refusal> {
        let path = self.file()?;
        drop(self.unchanged(path)?);
        let (first, old) = keys_in(path)?;
        if old.is_empty() {
            return Err(Refusal::Nothing);
        }
        let rotated = *self.0.rotated.lock().unwrap_or_else(PoisonError::into_inner);
        if rotated.is_some_and(|rotated| rotated.elapsed() < SETTLED) {
            return Err(Refusal::TooEarly);
        }
        for Use { id, seals, at_hand, values, answers } in self.list().await? {
            if !seals && at_hand && values + answers > 0 {
                return Err(Refusal::Needed { id, values, answers });
            }
        }
        write(path, &Zeroizing::new(format!("{}\n", &*first.to_text())))?;
        let ids: Vec<_> = old.iter().map(MasterKey::id).collect();
        tracing::info!(keys = ?ids, "old keys were dropped from the key file");
        for id in &ids {
            act::about("key_id", id.to_string());
        }
        self.reseal_canary().await?;
        Ok(ids)
    }

    /// Reseals what old keys have sealed, whenever there are any, until it is dropped or the store is
    /// closed.
    pub async fn keep(&self) {
        loop {
            let pause = match self.reseal().await {
                Ok(0) => None,
                Ok(_) => Some(SETTLED),
                Err(Unavailable::Closed) => return,
                Err(error) => {
                    tracing::warn!(%error, "secrets could not be sealed anew yet");
                    Some(REST)
                }
            };
            let rung = self.0.bell.notified();
            match pause {
                Some(pause) => drop(timeout(pause, rung).await),
                None => rung.await,
            }
        }
    }

    /// Seals everything anew that an old key has sealed. Returns how many values that were.
    ///
    /// # Errors
    /// [`Unavailable`] if the store is away: what was resealed stays so.
    pub async fn reseal(&self) -> Result<usize, Unavailable> {
        if self.0.keyring.ids().len() < 2 {
            return Ok(0);
        }
        let mut resealed = 0;
        for kind in SealedKind::ALL {
            let mut after = SealedPlace::START;
            loop {
                let walk = SealedWalk { kind, after, limit: PAGE, bytes: usize::MAX };
                let page = self.0.store.sealed_values(walk).await?;
                let Some(last) = page.last() else { break };
                after = last.place;
                let anew: Vec<_> =
                    page.into_iter().filter_map(|value| self.anew(kind, value)).collect();
                if !anew.is_empty() {
                    resealed += self.0.store.reseal(kind, anew).await?;
                    sleep(PAUSE).await;
                }
            }
        }
        if resealed > 0 {
            tracing::info!(values = resealed, "secrets were sealed anew");
        }
        Ok(resealed)
    }

    /// A value as it is to be, unless it is so already.
    fn anew(&self, kind: SealedKind, value: SealedValue) -> Option<Resealed> {
        let SealedValue { place, environment, owner, value: before } = value;
        let is_text = kind == SealedKind::RequestHeaders;
        let sealed = if is_text { receive::sealed_of(&before)? } else { before.clone() };
        let Inner { keyring, world, .. } = &*self.0;
        if keyring.is_current(&sealed) {
            return None;
        }
        let opened = purposes(kind).iter().find_map(|purpose| {
            let context = Context { environment, owner, purpose };
            Some((context, keyring.open(&context, &sealed).ok()?))
        });
        let Some((context, plain)) = opened else {
            tracing::warn!(?kind, environment, owner, "a sealed value opens with none of the keys");
            return None;
        };
        let anew = keyring.seal(world.entropy.bytes(), &context, &plain).ok()?;
        let after = if is_text { receive::with_sealed(&before, &anew)? } else { anew };
        Some(Resealed { place, before, after })
    }

    /// Seals the canary anew, whichever key has sealed it: the change of the store that the entry of
    /// the audit log is written with.
    async fn reseal_canary(&self) -> Result<(), Refusal> {
        let Inner { keyring, store, world, .. } = &*self.0;
        let (kind, after) = (SealedKind::Canary, SealedPlace::START);
        let walk = SealedWalk { kind, after, limit: 1, bytes: usize::MAX };
        loop {
            let found = store.sealed_values(walk).await?.pop();
            let Some(SealedValue { place, value: before, .. }) = found else { return Ok(()) };
            let context = Context { environment: 0, owner: 0, purpose: CANARY };
            let plain = keyring.open(&context, &before).map_err(Error::Wrong)?;
            let after =
                keyring.seal(world.entropy.bytes(), &context, &plain).map_err(Error::Seal)?;
            // A walk may have been faster.
            if store.reseal(kind, vec![Resealed { place, before, after }]).await? > 0 {
                return Ok(());
            }
        }
    }

    /// How many values each key has sealed.
    async fn count(&self) -> Result<BTreeMap<KeyId, u64>, Unavailable> {
        let mut counts = BTreeMap::new();
        for kind in SealedKind::ALL {
            let mut after = SealedPlace::START;
            let limit = if kind == SealedKind::RequestHeaders { PAGE } else { COUNTED };
            loop {
                let walk = SealedWalk { kind, after, limit, bytes: HEAD };
                let page = self.0.store.sealed_values(walk).await?;
                let Some(last) = page.last() else { break };
                after = last.place;
                for SealedValue { value, .. } in page {
                    let sealed = match kind {
                        SealedKind::RequestHeaders => receive::sealed_of(&value),
                        _ => Some(value),
                    };
                    if let Some(Ok(id)) = sealed.as_deref().map(seal::key_id) {
                        *counts.entry(id).or_default() += 1;
                    }
                }
            }
        }
        Ok(counts)
    }

    async fn answers(&self, id: KeyId) -> Result<u64, Unavailable> {
        let head = [vec![SEALED_ANSWER], id.head()].concat();
        self.0.store.sealed_answers(head, self.0.world.clock.now()).await
    }

    fn file(&self) -> Result<&Path, Refusal> {
        self.0.file.as_deref().ok_or(Refusal::Setting)
    }

    /// The text of the file, if it begins with the key in use.
    fn unchanged(&self, path: &Path) -> Result<Zeroizing<String>, Refusal> {
        let text = Zeroizing::new(read(path)?);
        let (first, _) = keys_in(path)?;
        if self.0.keyring.ids().first() == Some(&first.id()) {
            Ok(text)
        } else {
            Err(Refusal::Changed(path.display().to_string()))
        }
    }
}

/// What the values of a kind are sealed as: one of these.
fn purposes(kind: SealedKind) -> &'static [&'static str] {
    match kind {
        SealedKind::Canary => &[CANARY],
        SealedKind::EndpointSecret => &[api::SECRET],
        SealedKind::EndpointHeaders => &[api::HEADERS],
        SealedKind::EndpointCredentials => &[api::CREDENTIALS],
        SealedKind::EndpointTransformation => &[api::TRANSFORMATION],
        SealedKind::EndpointAccess => &[api::ACCESS],
        SealedKind::SourceSettings => &[receive::SETTINGS],
        SealedKind::SourceToken => &[receive::TOKEN],
        SealedKind::SourceStream => &[receive::STREAM],
        SealedKind::RequestHeaders => &[receive::HIDDEN],
        SealedKind::CallbackSecrets => &[callback::terms::SECRETS],
        SealedKind::CallbackErrand => &[callback::WORK],
        SealedKind::OauthClient => &[oauth::sealed::CLIENT],
        SealedKind::OauthAuthorization => &[oauth::sealed::CODE, oauth::sealed::DEVICE],
        SealedKind::OauthConnection => &[oauth::sealed::TOKENS],
    }
}

#[cfg(test)]
mod tests;
