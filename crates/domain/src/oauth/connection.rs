//! A grant: what an application may do for somebody elsewhere, and the tokens for it.
//!
//! ```text
//!              Refreshed (version + 1)
//!              ┌─────┐
//!  Grant ──► active ─┴──── Broken ───► reauthorization_required ──── Grant ──► active
//!              └───────── Revoke ────► revoked
//! ```
//!
//! Refreshing is single-flight across processes. Whoever wants to refresh takes the *lease*, which
//! others wait for, and holds it until the provider has answered. But a lease can be lost (a process
//! freezes, a clock jumps), so what decides is the *version* of the tokens: whoever refreshed the
//! version that is stored writes the next one, lease or not, and whoever refreshed an older one has
//! nothing to say. So a refresh token that was rotated is stored by whoever has it, and an
//! `invalid_grant` for an old one breaks nothing (RFC 9700, section 4.14.2).
//!
//! A process that dies after the provider has answered and before that is stored leaves a lease that
//! nobody ended. Whoever takes over is told that this is *uncertain*: the stored refresh token may be
//! used up. It is tried once more; if the provider refuses it, the person has to be asked again.

use crate::{
    application::Metadata,
    id::{ApplicationId, ConnectionId, OauthClientId, SourceId},
    scope::Scope,
    time::Timestamp,
};

use super::authorization::numbered;

/// A connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Ringback's name for it.
    pub id: ConnectionId,
    /// Whose.
    pub scope: Scope,
    /// The application that may use it.
    pub application: ApplicationId,
    /// As which client.
    pub client: OauthClientId,
    /// The provider's file: `github`.
    pub provider: String,
    /// The application's name for the person; empty if it is nobody (client credentials).
    pub user_ref: String,
    /// How it is used.
    pub state: State,
    /// Why it is not active, in a stable word.
    pub reason: Option<String>,
    /// Counts the tokens that it had; the first are 1.
    pub version: u32,
    /// What was granted.
    pub grant: Grant,
    /// Who is refreshing it.
    pub lease: Option<Lease>,
    /// Refreshes that failed since one succeeded.
    pub failures: u32,
    /// When it is refreshed again at the earliest.
    pub retry_at: Option<Timestamp>,
    /// Webhooks that were registered with it.
    pub subscriptions: Vec<Subscription>,
    /// The caller's labels.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its tokens were last replaced.
    pub refreshed_at: Timestamp,
}

numbered! {
    /// How a connection is used. The numbers are stored; do not change them.
    State {
        /// Its tokens are kept fresh. (0)
        Active = "active",
        /// The provider takes its tokens no more: the person has to be asked again. (1)
        ReauthorizationRequired = "reauthorization_required",
        /// Somebody has ended it. (2)
        Revoked = "revoked",
    }
}

/// What a provider has granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// The tokens, sealed with the connection's key as associated data; empty of a revoked one.
    pub sealed: Vec<u8>,
    /// When the access token ends; none if nobody said.
    pub expires_at: Option<Timestamp>,
    /// Whether there is a refresh token, or another way to get a new access token.
    pub is_refreshable: bool,
    /// What was granted, which may be less than what was asked for (RFC 6749, section 3.3).
    pub scopes: Vec<String>,
    /// Who granted it, as the provider calls them, if it says.
    pub account: Option<String>,
}

/// Who is refreshing, and until when others wait for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// A random number.
    pub holder: u64,
    /// When it ends by itself.
    pub until: Timestamp,
}

/// A webhook of the provider's that was registered with a connection's token.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// What the provider calls it.
    pub id: String,
    /// The source that it calls.
    pub source: SourceId,
    /// What of the provider's it is about: `repository` and the like.
    pub target: Metadata,
    /// What it tells.
    pub events: Vec<String>,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// Something that happens to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Somebody wants to refresh it, or to go on with that.
    Lease {
        /// Who, and until when.
        lease: Lease,
        /// What they want to refresh.
        version: u32,
    },
    /// The provider answered with tokens.
    Refreshed {
        /// Those that were refreshed.
        version: u32,
        /// What is granted now.
        grant: Grant,
    },
    /// It did not answer, or not with tokens, and may do so later.
    NotRefreshed {
        /// Who tried.
        holder: u64,
        /// When to try again.
        retry_at: Timestamp,
        /// Why, in a stable word.
        reason: String,
    },
    /// It said that there will be none.
    Broken {
        /// Those that were refreshed.
        version: u32,
        /// Why: the provider's `error`.
        reason: String,
    },
    /// The person was asked again.
    Grant(Grant),
    /// Somebody ends it.
    Revoke {
        /// Why, in a stable word.
        reason: String,
    },
    /// A webhook was registered.
    Subscribed(Subscription),
    /// A webhook was removed.
    Unsubscribed {
        /// Which.
        id: String,
    },
}

/// What is said to whoever did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is so.
    Taken,
    /// The lease is theirs. Whoever had it before may have used the refresh token up and died.
    TakenOver,
    /// Somebody else has the lease until then.
    Held(Timestamp),
    /// Somebody else was faster: what is stored is newer.
    Stale,
    /// It is not active.
    Inactive(State),
}

/// What a step changes that the application is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has new tokens.
    Refreshed,
    /// The first refresh of a row failed.
    RefreshFailed,
    /// The person has to be asked again.
    ReauthorizationRequired,
    /// It was ended.
    Revoked,
    /// The person was asked again.
    Reauthorized,
}

impl Connection {
    /// What follows from what happens to it at `now`.
    #[must_use]
    pub fn act(self, act: Act, now: Timestamp) -> (Connection, Verdict, Option<Change>) {
        match (self.state, act) {
            (State::Revoked, Act::Revoke { .. }) => (self, Verdict::Taken, None),
            (_, Act::Revoke { reason }) => {
                (self.ended(State::Revoked, reason), Verdict::Taken, Some(Change::Revoked))
            }
            (_, Act::Grant(grant)) => {
                (self.granted(grant, now), Verdict::Taken, Some(Change::Reauthorized))
            }
            (_, Act::Unsubscribed { id }) => {
                let mut after = self;
                after.subscriptions.retain(|subscription| subscription.id != id);
                (after, Verdict::Taken, None)
            }
            (_, Act::Subscribed(subscription)) => {
                let mut after = self;
                after.subscriptions.retain(|kept| kept.id != subscription.id);
                after.subscriptions.push(subscription);
                (after, Verdict::Taken, None)
            }
            (
                _,
                Act::Lease { version, .. }
                | Act::Refreshed { version, .. }
                | Act::Broken { version, .. },
            ) if version != self.version => (self, Verdict::Stale, None),
            (State::Revoked, _) => (self, Verdict::Inactive(State::Revoked), None),
            // Who is told so late that nobody believed in it any more has tokens all the same.
            (_, Act::Refreshed { grant, .. }) => {
                (self.granted(grant, now), Verdict::Taken, Some(Change::Refreshed))
            }
            (State::ReauthorizationRequired, _) => {
                (self, Verdict::Inactive(State::ReauthorizationRequired), None)
            }
            (State::Active, Act::Broken { reason, .. }) => {
                let after = self.ended(State::ReauthorizationRequired, reason);
                (after, Verdict::Taken, Some(Change::ReauthorizationRequired))
            }
            (State::Active, Act::Lease { lease, .. }) => self.leased(lease, now),
            (State::Active, Act::NotRefreshed { holder, retry_at, .. }) => {
                if self.lease.is_some_and(|lease| lease.holder != holder) {
                    return (self, Verdict::Stale, None);
                }
                let first = (self.failures == 0).then_some(Change::RefreshFailed);
                let failures = self.failures.saturating_add(1);
                let retry_at = Some(retry_at);
                (Connection { lease: None, failures, retry_at, ..self }, Verdict::Taken, first)
            }
        }
    }

    fn leased(self, wanted: Lease, now: Timestamp) -> (Connection, Verdict, Option<Change>) {
        let verdict = match self.lease {
            Some(held) if held.holder == wanted.holder => Verdict::Taken,
            Some(held) if held.until > now => return (self, Verdict::Held(held.until), None),
            Some(_) => Verdict::TakenOver,
            None => Verdict::Taken,
        };
        (Connection { lease: Some(wanted), ..self }, verdict, None)
    }

    fn granted(self, grant: Grant, now: Timestamp) -> Connection {
        let account = grant.account.or(self.grant.account);
        Connection {
            state: State::Active,
            reason: None,
            version: self.version.saturating_add(1),
            grant: Grant { account, ..grant },
            lease: None,
            failures: 0,
            retry_at: None,
            refreshed_at: now,
            ..self
        }
    }

    fn ended(self, state: State, reason: String) -> Connection {
        let grant = match state {
            // What nobody may use is not kept.
            State::Revoked => Grant { sealed: Vec::new(), is_refreshable: false, ..self.grant },
            _ => self.grant,
        };
        Connection { state, reason: Some(reason), grant, lease: None, retry_at: None, ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::id::{Id, Key};

    fn id(key: Key) -> Id {
        Id { key, shard: 0, nonce: 1 }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000)
    }

    fn grant(text: &str) -> Grant {
        Grant { sealed: text.into(), is_refreshable: true, ..Grant::default() }
    }

    fn active() -> Connection {
        Connection {
            id: ConnectionId(id(1)),
            scope: Scope { environment: 2, application: 3 },
            application: ApplicationId(id(3)),
            client: OauthClientId(id(4)),
            provider: "made-up".to_owned(),
            user_ref: "user-1".to_owned(),
            state: State::Active,
            reason: None,
            version: 1,
            grant: Grant { account: Some("account".to_owned()), ..grant("first") },
            lease: None,
            failures: 0,
            retry_at: None,
            subscriptions: Vec::new(),
            metadata: Metadata::new(),
            created_at: at(0),
            refreshed_at: at(0),
        }
    }

    fn lease(holder: u64, seconds: i64) -> Act {
        Act::Lease { lease: Lease { holder, until: at(seconds) }, version: 1 }
    }

    fn refreshed(version: u32, text: &str) -> Act {
        Act::Refreshed { version, grant: grant(text) }
    }

    fn broken(version: u32) -> Act {
        Act::Broken { version, reason: "invalid_grant".to_owned() }
    }

    #[test]
    fn one_refreshes_and_the_others_wait() {
        let (connection, verdict, _) = active().act(lease(1, 10), at(0));
        assert_eq!(verdict, Verdict::Taken);
        let (connection, verdict, _) = connection.act(lease(2, 11), at(1));
        assert_eq!(verdict, Verdict::Held(at(10)));
        // Whoever holds it goes on holding it, also where the answer takes longer.
        let (connection, verdict, _) = connection.act(lease(1, 19), at(9));
        assert_eq!(verdict, Verdict::Taken);
        let (connection, verdict, _) = connection.act(lease(2, 22), at(12));
        assert_eq!(verdict, Verdict::Held(at(19)));
        let (connection, verdict, change) = connection.act(refreshed(1, "second"), at(13));
        assert_eq!((verdict, change), (Verdict::Taken, Some(Change::Refreshed)));
        assert_eq!((connection.version, &*connection.grant.sealed), (2, &b"second"[..]));
        assert_eq!(connection.grant.account.as_deref(), Some("account"), "it is who it was");
        assert_eq!(connection.lease, None);
        let (_, verdict, _) = connection.act(lease(2, 30), at(14));
        assert_eq!(verdict, Verdict::Stale, "what it wants to refresh is no longer there");
    }

    /// RFC 9700, section 4.14.2: a token that was rotated and comes late is not lost, and whoever used
    /// the old one meanwhile breaks nothing.
    #[test]
    fn what_is_stored_decides_and_not_who_holds_the_lease() {
        let (connection, ..) = active().act(lease(1, 10), at(0));
        let (connection, verdict, _) = connection.act(lease(2, 20), at(11));
        assert_eq!(verdict, Verdict::TakenOver);
        let (connection, verdict, _) = connection.act(refreshed(1, "late"), at(12));
        assert_eq!(verdict, Verdict::Taken);
        let (connection, verdict, change) = connection.act(broken(1), at(13));
        assert_eq!((verdict, change), (Verdict::Stale, None));
        let (connection, verdict, _) = connection.act(refreshed(1, "older"), at(13));
        assert_eq!((verdict, &*connection.grant.sealed), (Verdict::Stale, &b"late"[..]));
        assert_eq!(connection.state, State::Active);

        // The other way round: the one that holds the lease is refused first.
        let (connection, ..) = active().act(lease(1, 10), at(0));
        let (connection, ..) = connection.act(lease(2, 20), at(11));
        let (connection, verdict, change) = connection.act(broken(1), at(12));
        assert_eq!(verdict, Verdict::Taken);
        assert_eq!(change, Some(Change::ReauthorizationRequired));
        let (connection, verdict, _) = connection.act(lease(3, 30), at(12));
        assert_eq!(verdict, Verdict::Inactive(State::ReauthorizationRequired));
        let (connection, verdict, _) = connection.act(refreshed(1, "late"), at(13));
        assert_eq!((verdict, connection.state), (Verdict::Taken, State::Active));
    }

    #[test]
    fn what_fails_for_now_is_told_once_and_tried_again() {
        let failed = |holder| Act::NotRefreshed {
            holder,
            retry_at: at(5),
            reason: "unavailable".to_owned(),
        };
        let (connection, ..) = active().act(lease(1, 10), at(0));
        let (connection, verdict, change) = connection.act(failed(2), at(1));
        assert_eq!((verdict, change), (Verdict::Stale, None));
        let (connection, verdict, change) = connection.act(failed(1), at(1));
        assert_eq!((verdict, change), (Verdict::Taken, Some(Change::RefreshFailed)));
        assert_eq!((connection.state, connection.retry_at), (State::Active, Some(at(5))));
        let (connection, ..) = connection.act(lease(3, 20), at(5));
        let (connection, _, change) = connection.act(failed(3), at(6));
        assert_eq!((connection.failures, change), (2, None));
        let (connection, ..) = connection.act(refreshed(1, "second"), at(7));
        assert_eq!((connection.failures, connection.retry_at), (0, None));
    }

    #[test]
    fn what_is_revoked_keeps_nothing_until_it_is_granted_anew() {
        let revoke = Act::Revoke { reason: "application".to_owned() };
        let (connection, verdict, change) = active().act(revoke.clone(), at(1));
        assert_eq!((verdict, change), (Verdict::Taken, Some(Change::Revoked)));
        assert!(connection.grant.sealed.is_empty() && !connection.grant.is_refreshable);
        let (connection, _, change) = connection.act(revoke, at(1));
        assert_eq!(change, None);
        for act in [lease(1, 10), refreshed(1, "late"), broken(1)] {
            let (after, verdict, change) = connection.clone().act(act, at(2));
            assert_eq!((verdict, change), (Verdict::Inactive(State::Revoked), None));
            assert_eq!(after, connection);
        }
        let (connection, verdict, change) = connection.act(Act::Grant(grant("new")), at(3));
        assert_eq!((verdict, change), (Verdict::Taken, Some(Change::Reauthorized)));
        assert_eq!((connection.state, connection.version), (State::Active, 2));
    }

    #[test]
    fn whoever_takes_over_from_the_dead_is_told() {
        let (connection, ..) = active().act(lease(1, 10), at(0));
        let until = at(0) + Duration::from_secs(10);
        let (_, verdict, _) =
            connection.clone().act(lease(2, 30), until - Duration::from_millis(1));
        assert_eq!(verdict, Verdict::Held(until));
        let (_, verdict, _) = connection.act(lease(2, 30), until);
        assert_eq!(verdict, Verdict::TakenOver);
    }
}
