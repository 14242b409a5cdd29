//! Challenges that are answered: what they bring is kept, what they ask for is confirmed.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use ringback_domain::{
    provider::{Answered, Reply},
    scope::Reference,
    source::Fate,
};
use ringback_store::{SettingsChange, SourceChange};

use super::{
    call::Call,
    decide::Outcome,
    directory::SETTINGS,
    door::{Busy, Door},
    note::Came,
};

impl Door {
    /// What a challenge is answered.
    pub(super) async fn challenge(
        &self,
        call: &Call<'_>,
        answered: Answered,
        body: Bytes,
    ) -> Result<Reply, Busy> {
        let source = &call.ready.source;
        let mut outcome = Outcome::early(Fate::Challenge, StatusCode::OK);
        outcome.reason = Some(answered.name);
        outcome.reply = answered.reply;
        let came = Came::whole(body).without(answered.learned.values().cloned());
        if !answered.learned.is_empty() {
            let armed = source.armed_until.is_some_and(|until| call.now < until);
            if !armed {
                outcome.fate = Fate::Unverified;
                outcome.reason = Some("not_armed".to_owned());
                outcome.reply = call.provider.refusal();
                return Ok(self.refuse(call, outcome, came).await);
            }
            self.learn(call, answered.learned).await?;
        }
        if let Some(url) = answered.visit
            && let Err(reason) = self.parts.keys.visit(&url).await
        {
            tracing::warn!(source = %source.id, reason, "a subscription could not be confirmed");
            return Err(Busy);
        }
        Ok(self.refuse(call, outcome, came).await)
    }

    async fn learn(&self, call: &Call<'_>, learned: BTreeMap<String, String>) -> Result<(), Busy> {
        let source = &call.ready.source;
        let mut values: BTreeMap<&str, Vec<&str>> = call
            .ready
            .settings
            .iter()
            .map(|(name, values)| (name, values.iter().map(|value| value.as_str()).collect()))
            .collect();
        for (name, value) in &learned {
            // The newest first; the one before it holds on for what is still under way.
            let kept = values.entry(name).or_default();
            kept.retain(|one| one != value);
            kept.insert(0, value);
            kept.truncate(2);
        }
        let plain = serde_json::to_vec(&values).map_err(|_| Busy)?;
        let nonce = self.parts.world.entropy.bytes();
        let sealed = self.parts.keyring.seal(nonce, &call.ready.place(SETTINGS), &plain);
        let change = SourceChange {
            settings: Some(SettingsChange {
                expected: source.settings.clone(),
                sealed: Some(sealed.map_err(|_| Busy)?),
            }),
            ..SourceChange::default()
        };
        let environment = call.ready.scope.environment;
        let reference = Reference::Id(source.id.0);
        let changed = self.parts.store.change_source(environment, reference, change, call.now);
        changed.await.map_err(|error| {
            tracing::warn!(source = %source.id, %error, "a learned secret could not be kept");
            Busy
        })?;
        self.parts.directory.forget();
        Ok(())
    }
}
