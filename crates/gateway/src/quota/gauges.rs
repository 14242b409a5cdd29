//! The bookkeeping behind [`super::Quotas`]: plain maps, no clock, no waiting.

use std::collections::HashMap;

use ringback_domain::{
    id::Key,
    quota::{Bucket, Limit, Quota, Rate},
    scope::{Reference, Scope},
    time::Timestamp,
};

use super::{COUNT, Over};

/// The most applications whose use, and the most uids whose meaning, is remembered.
const REMEMBERED: usize = 100_000;

/// What applications may use, and what they use.
#[derive(Default)]
pub(super) struct Gauges {
    own: HashMap<Scope, Quota>,
    /// Counts changes of single quotas: what was read before one may be outdated after it.
    generation: u64,
    names: HashMap<Key, HashMap<String, Key>>,
    used: HashMap<Scope, Used>,
}

/// What one application uses.
#[derive(Default)]
struct Used {
    messages: Bucket,
    bytes: Bucket,
    /// Deliveries, when they were counted last.
    pending: u64,
    /// When it last sent something.
    seen: Timestamp,
}

impl Gauges {
    /// What was set for an application.
    pub(super) fn own(&self, scope: Scope) -> Quota {
        self.own.get(&scope).copied().unwrap_or_default()
    }

    /// Whether a message is held against anything that was set.
    pub(super) fn limit_messages(&self) -> bool {
        self.own.values().any(|quota| quota.limits_messages())
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn set(&mut self, scope: Scope, quota: Quota) {
        self.generation += 1;
        if quota.is_empty() {
            self.own.remove(&scope);
        } else {
            self.own.insert(scope, quota);
        }
    }

    /// Puts what was read in the place of what was known, unless it changed since generation
    /// `begun`, in which reading began.
    pub(super) fn replace(&mut self, all: Vec<(Scope, Quota)>, begun: u64) {
        if self.generation == begun {
            self.own = all.into_iter().collect();
        }
    }

    /// The application that a reference means, as far as that is known.
    pub(super) fn known(&self, environment: Key, application: &Reference) -> Option<Scope> {
        let application = match application {
            Reference::Id(id) => id.key,
            Reference::Uid(uid) => *self.names.get(&environment)?.get(uid)?,
        };
        Some(Scope { environment, application })
    }

    /// Notes which application a uid means; false if that was known.
    pub(super) fn learn(&mut self, scope: Scope, uid: &str) -> bool {
        let Scope { environment, application } = scope;
        let known = self.names.get(&environment).and_then(|names| names.get(uid));
        if known == Some(&application) {
            return false;
        }
        if self.names.values().map(HashMap::len).sum::<usize>() >= REMEMBERED {
            self.names.clear();
        }
        self.names.entry(environment).or_default().insert(uid.to_owned(), application);
        true
    }

    /// Takes a message from what the application may use.
    pub(super) fn take(
        &mut self,
        scope: Scope,
        quota: Quota,
        bytes: u64,
        now: Timestamp,
    ) -> Result<(), Over> {
        if !quota.limits_messages() {
            return Ok(());
        }
        let used = self.used(scope, now);
        if let Some(value) = quota.pending.filter(|most| used.pending >= *most) {
            return Err(Over { limit: Limit::Pending, value, after: COUNT });
        }
        for (limit, bucket, amount, rate) in [
            (Limit::Messages, used.messages, 1, messages(quota)),
            (Limit::Bytes, used.bytes, bytes, self::bytes(quota)),
        ] {
            let Some(rate) = rate else { continue };
            let value = rate.per_second;
            bucket.has(amount, rate, now).map_err(|after| Over { limit, value, after })?;
        }
        used.take(quota, bytes, now);
        Ok(())
    }

    /// Takes a message that has passed already.
    pub(super) fn overdraw(&mut self, scope: Scope, quota: Quota, bytes: u64, now: Timestamp) {
        if quota.limits_messages() {
            self.used(scope, now).take(quota, bytes, now);
        }
    }

    /// The applications that sent something after `since` and are limited in pending deliveries,
    /// with the limit.
    pub(super) fn limited(&self, defaults: Quota, since: Timestamp) -> Vec<(Scope, u64)> {
        // Where nobody is limited, nothing is walked either.
        if defaults.pending.is_none() && self.own.values().all(|quota| quota.pending.is_none()) {
            return Vec::new();
        }
        let recent = self.used.iter().filter(|(_, used)| used.seen > since);
        let limit = |scope: &Scope| self.own(*scope).over(defaults).pending;
        recent.filter_map(|(scope, _)| Some((*scope, limit(scope)?))).collect()
    }

    /// Notes how many deliveries are pending.
    pub(super) fn counted(&mut self, scope: Scope, pending: u64) {
        if let Some(used) = self.used.get_mut(&scope) {
            used.pending = pending;
        }
    }

    fn used(&mut self, scope: Scope, now: Timestamp) -> &mut Used {
        // A full memory is emptied: bookkeeping of ages would cost every message.
        if self.used.len() >= REMEMBERED && !self.used.contains_key(&scope) {
            self.used.clear();
        }
        let used = self.used.entry(scope).or_default();
        used.seen = now;
        used
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.used.is_empty() && self.names.is_empty()
    }
}

impl Used {
    fn take(&mut self, quota: Quota, bytes: u64, now: Timestamp) {
        if let Some(rate) = messages(quota) {
            self.messages.take(1, rate, now);
        }
        if let Some(rate) = self::bytes(quota) {
            self.bytes.take(bytes, rate, now);
        }
    }
}

fn messages(quota: Quota) -> Option<Rate> {
    let per_second = quota.messages_per_second?;
    Some(Rate { per_second, burst: quota.messages_burst.unwrap_or(per_second) })
}

/// Bytes have no burst of their own: what comes in a second may come at once.
fn bytes(quota: Quota) -> Option<Rate> {
    let per_second = quota.bytes_per_second?;
    Some(Rate { per_second, burst: per_second })
}
