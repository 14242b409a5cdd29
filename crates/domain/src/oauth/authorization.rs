//! One flow: from the URL that is handed out to a connection, or to nothing.
//!
//! ```text
//!            Return            Confirm             Complete
//!  pending ────────► returned ────────► exchanging ────────► completed
//!     │ Refuse          │ another user      │ Fail
//!     ├► failed         ├► failed           ├► failed
//!     ├► canceled       ├► canceled         └► failed (interrupted), if nobody says in time
//!     └► expired        └► expired
//! ```
//!
//! Invariants:
//! - A flow returns once and is confirmed once: whoever comes second is told so, and exchanges nothing
//!   (RFC 6749, sections 4.1.2 and 10.5). The store makes one step at a time.
//! - The code is exchanged only after the application has said that the person who came back is the one
//!   it asked for (draft-ietf-oauth-security-topics-update, section 2.3).
//! - A deadline counts by itself, whether or not somebody has written it down.

use std::time::Duration;

use crate::{
    application::Metadata,
    callback::url::Turn,
    id::{ApplicationId, AuthorizationId, ConnectionId, OauthClientId},
    scope::Scope,
    time::Timestamp,
};

/// A flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    /// Ringback's name for it.
    pub id: AuthorizationId,
    /// Whose.
    pub scope: Scope,
    /// The application that asks.
    pub application: ApplicationId,
    /// As which client.
    pub client: OauthClientId,
    /// How the person is asked.
    pub flow: Flow,
    /// What for.
    pub purpose: Purpose,
    /// What says that the person who comes back is the one who was asked.
    pub binding: Binding,
    /// The application's name for the person.
    pub user_ref: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Where the browser is sent on to; empty if there is none.
    pub return_to: String,
    /// More parameters of the authorization request: `login_hint` and the like.
    pub params: Vec<(String, String)>,
    /// The connection that is authorized anew, or that came of it.
    pub connection: Option<ConnectionId>,
    /// Which tickets open it.
    pub turn: Turn,
    /// How far it is.
    pub stage: Stage,
    /// Why it failed, in a stable word.
    pub reason: Option<String>,
    /// Until when the present stage lasts at most.
    pub deadline: Timestamp,
    /// What came back and is to be exchanged, sealed; only while that is possible.
    pub sealed: Option<Vec<u8>>,
    /// The caller's labels; the connection that comes of it has them, too.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    pub settled_at: Option<Timestamp>,
}

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            /// All of them, by their stored numbers.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// The stored number.
            pub fn number(self) -> i64 {
                self as i64
            }

            /// The one with this stored number.
            pub fn from_number(number: i64) -> Option<$name> {
                Self::ALL.get(usize::try_from(number).ok()?).copied()
            }

            /// What the API calls it.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}
pub(super) use numbered;

numbered! {
    /// How the person is asked. The numbers are stored; do not change them.
    Flow {
        /// A browser goes there and comes back (RFC 6749, section 4.1). (0)
        Code = "code",
        /// A person types a code on another device (RFC 8628). (1)
        Device = "device",
    }
}

numbered! {
    /// What a flow is for. The numbers are stored; do not change them.
    Purpose {
        /// A connection. (0)
        Connect = "connect",
        /// To know who it is; nothing is kept. (1)
        Login = "login",
    }
}

numbered! {
    /// What says that the person who comes back is the one who was asked. The numbers are stored; do
    /// not change them.
    Binding {
        /// The application, by the user of its own session. (0)
        Confirm = "confirm",
        /// A cookie that the application has set in the person's browser. (1)
        Cookie = "cookie",
    }
}

numbered! {
    /// How far a flow is. The numbers are stored; do not change them.
    Stage {
        /// Nobody came back yet. (0)
        Pending = "pending",
        /// Somebody did; who it was is to be confirmed. (1)
        Returned = "returned",
        /// It was; the tokens are being fetched. (2)
        Exchanging = "exchanging",
        /// There is a connection, or it is known who it is. (3)
        Completed = "completed",
        /// Nothing came of it; the reason says why. (4)
        Failed = "failed",
        /// Nobody came back, or nobody confirmed, in time. (5)
        Expired = "expired",
        /// The application does not want it any more. (6)
        Canceled = "canceled",
    }
}

impl Stage {
    /// Whether something may still come of it.
    pub fn is_open(self) -> bool {
        matches!(self, Stage::Pending | Stage::Returned | Stage::Exchanging)
    }
}

/// The reason of a flow whose exchange was begun and never ended: the process died, or froze.
pub const INTERRUPTED: &str = "interrupted";
/// The reason of a flow that somebody else came back from than the one who was asked.
pub const WRONG_USER: &str = "wrong_user";

/// Something that happens to a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A browser came back with a code.
    Return {
        /// What it brought, sealed.
        sealed: Vec<u8>,
        /// Until when the code can be exchanged.
        deadline: Timestamp,
    },
    /// A browser came back without one.
    Refuse {
        /// Why: the provider's `error`, or what is wrong with what came.
        reason: String,
    },
    /// The application says who came back.
    Confirm {
        /// Its name for that person.
        user_ref: String,
        /// How long the exchange may take.
        within: Duration,
    },
    /// The tokens are here.
    Complete {
        /// The connection that has them, if they are kept.
        connection: Option<ConnectionId>,
    },
    /// They are not.
    Fail {
        /// Why.
        reason: String,
    },
    /// The application does not want it any more.
    Cancel,
    /// Time passed.
    Tick,
}

/// What is said to whoever did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is so.
    Taken,
    /// It had happened before; this changes nothing.
    Repeated,
    /// It is another person: nothing comes of this flow any more.
    WrongUser,
    /// It has not come so far.
    TooEarly,
    /// It had ended.
    Late(Stage),
}

impl Authorization {
    /// It as it is at `now`: a deadline that has passed has passed.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Authorization {
        if self.stage.is_open() && self.deadline <= now {
            self.settled_at = Some(self.deadline);
            self.sealed = None;
            self.stage = match self.stage {
                Stage::Exchanging => {
                    self.reason = Some(INTERRUPTED.to_owned());
                    Stage::Failed
                }
                _ => Stage::Expired,
            };
        }
        self
    }

    /// What follows from what happens to it at `now`.
    #[must_use]
    pub fn act(self, act: &Act, now: Timestamp) -> (Authorization, Verdict) {
        let before = self.at(now);
        let stage = before.stage;
        match (stage, act) {
            (_, Act::Tick) => (before, Verdict::Taken),
            (Stage::Pending, Act::Return { sealed, deadline }) => {
                let sealed = Some(sealed.clone());
                let deadline = *deadline;
                let after = Authorization { stage: Stage::Returned, sealed, deadline, ..before };
                (after, Verdict::Taken)
            }
            (Stage::Returned | Stage::Exchanging, Act::Return { .. }) => {
                (before, Verdict::Repeated)
            }
            (Stage::Returned, Act::Confirm { user_ref, .. }) if *user_ref != before.user_ref => {
                (before.ended(Stage::Failed, Some(WRONG_USER), now), Verdict::WrongUser)
            }
            (Stage::Returned, Act::Confirm { within, .. }) => {
                let deadline = now + *within;
                let after = Authorization { stage: Stage::Exchanging, deadline, ..before };
                (after, Verdict::Taken)
            }
            (Stage::Pending, Act::Confirm { .. }) => (before, Verdict::TooEarly),
            (Stage::Exchanging, Act::Confirm { .. }) => (before, Verdict::Repeated),
            // Who types a code has been asked by nobody else.
            (Stage::Pending, Act::Complete { .. }) if before.flow != Flow::Device => {
                (before, Verdict::TooEarly)
            }
            (Stage::Pending | Stage::Exchanging, Act::Complete { connection }) => {
                let connection = connection.or(before.connection);
                let after = before.ended(Stage::Completed, None, now);
                (Authorization { connection, ..after }, Verdict::Taken)
            }
            (Stage::Returned, Act::Complete { .. }) => (before, Verdict::TooEarly),
            (Stage::Pending, Act::Refuse { reason } | Act::Fail { reason })
            | (Stage::Exchanging, Act::Fail { reason }) => {
                (before.ended(Stage::Failed, Some(reason), now), Verdict::Taken)
            }
            (Stage::Returned, Act::Fail { .. }) => (before, Verdict::TooEarly),
            (Stage::Returned | Stage::Exchanging, Act::Refuse { .. }) => {
                (before, Verdict::Repeated)
            }
            (Stage::Pending | Stage::Returned, Act::Cancel) => {
                (before.ended(Stage::Canceled, None, now), Verdict::Taken)
            }
            (Stage::Exchanging, Act::Cancel) => (before, Verdict::Repeated),
            (Stage::Canceled, Act::Cancel) => (before, Verdict::Taken),
            (Stage::Completed | Stage::Failed | Stage::Expired | Stage::Canceled, _) => {
                (before, Verdict::Late(stage))
            }
        }
    }

    fn ended(self, stage: Stage, reason: Option<&str>, now: Timestamp) -> Authorization {
        let reason = reason.map(str::to_owned);
        Authorization { stage, reason, sealed: None, settled_at: Some(now), ..self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::Id;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000)
    }

    fn pending() -> Authorization {
        let id = Id { key: 1, shard: 0, nonce: 1 };
        Authorization {
            id: AuthorizationId(id),
            scope: Scope { environment: 2, application: 3 },
            application: ApplicationId(id),
            client: OauthClientId(id),
            flow: Flow::Code,
            purpose: Purpose::Connect,
            binding: Binding::Confirm,
            user_ref: "user-1".to_owned(),
            scopes: Vec::new(),
            return_to: "https://app.example/connected".to_owned(),
            params: Vec::new(),
            connection: None,
            turn: Turn { version: 1, turn: 0 },
            stage: Stage::Pending,
            reason: None,
            deadline: at(600),
            sealed: None,
            metadata: Metadata::new(),
            created_at: at(0),
            settled_at: None,
        }
    }

    fn returns() -> Act {
        Act::Return { sealed: b"sealed".to_vec(), deadline: at(60) }
    }

    fn confirms(user_ref: &str) -> Act {
        Act::Confirm { user_ref: user_ref.to_owned(), within: Duration::from_secs(30) }
    }

    #[test]
    fn a_flow_goes_its_way_once() {
        let (flow, verdict) = pending().act(&confirms("user-1"), at(1));
        assert_eq!(verdict, Verdict::TooEarly);
        let (flow, verdict) = flow.act(&returns(), at(1));
        assert_eq!((verdict, flow.stage), (Verdict::Taken, Stage::Returned));
        let (flow, verdict) = flow.act(&returns(), at(2));
        assert_eq!(verdict, Verdict::Repeated);
        let (flow, verdict) = flow.act(&confirms("user-1"), at(3));
        assert_eq!((verdict, flow.stage), (Verdict::Taken, Stage::Exchanging));
        let (flow, verdict) = flow.act(&confirms("user-1"), at(3));
        assert_eq!(verdict, Verdict::Repeated);
        let (flow, verdict) = flow.act(&Act::Complete { connection: None }, at(4));
        assert_eq!((verdict, flow.stage), (Verdict::Taken, Stage::Completed));
        assert_eq!((flow.sealed.as_ref(), flow.settled_at), (None, Some(at(4))));
        for act in [returns(), confirms("user-1"), Act::Cancel] {
            assert_eq!(flow.clone().act(&act, at(5)).1, Verdict::Late(Stage::Completed));
        }
    }

    /// draft-ietf-oauth-security-topics-update, section 2.3: whoever is not the one who was asked ends
    /// the flow, and the code with it.
    #[test]
    fn another_person_ends_it() {
        let (flow, _) = pending().act(&returns(), at(1));
        let (flow, verdict) = flow.act(&confirms("user-2"), at(2));
        assert_eq!((verdict, flow.stage), (Verdict::WrongUser, Stage::Failed));
        assert_eq!((flow.reason.as_deref(), &flow.sealed), (Some(WRONG_USER), &None));
        assert_eq!(flow.act(&confirms("user-1"), at(3)).1, Verdict::Late(Stage::Failed));
    }

    #[test]
    fn deadlines_count_by_themselves() {
        let expired = pending().at(at(600));
        assert_eq!((expired.stage, expired.settled_at), (Stage::Expired, Some(at(600))));
        let (returned, _) = pending().act(&returns(), at(1));
        let (flow, verdict) = returned.clone().act(&confirms("user-1"), at(60));
        assert_eq!((verdict, flow.stage), (Verdict::Late(Stage::Expired), Stage::Expired));
        assert_eq!(flow.sealed, None);
        let (exchanging, _) = returned.act(&confirms("user-1"), at(59));
        assert_eq!(exchanging.clone().at(at(88)).stage, Stage::Exchanging);
        let interrupted = exchanging.at(at(89));
        assert_eq!(
            (interrupted.stage, interrupted.reason.as_deref()),
            (Stage::Failed, Some(INTERRUPTED))
        );
    }

    fn any_act() -> impl Strategy<Value = Act> {
        prop_oneof![
            Just(returns()),
            Just(Act::Refuse { reason: "access_denied".to_owned() }),
            Just(confirms("user-1")),
            Just(confirms("user-2")),
            Just(Act::Complete { connection: None }),
            Just(Act::Fail { reason: "invalid_grant".to_owned() }),
            Just(Act::Cancel),
            Just(Act::Tick),
        ]
    }

    proptest! {
        /// Whatever happens in whichever order: a code is returned once, confirmed once, and only for
        /// the one who was asked; and what has ended stays as it is.
        #[test]
        fn nothing_happens_twice(acts in prop::collection::vec((any_act(), 0i64..40), 1..20)) {
            let (mut flow, mut now) = (pending(), 0);
            let (mut returned, mut confirmed, mut completed) = (0, 0, 0);
            for (act, pause) in acts {
                now += pause;
                let before = flow.clone().at(at(now));
                let (after, verdict) = flow.act(&act, at(now));
                if verdict == Verdict::Taken {
                    match act {
                        Act::Return { .. } => returned += 1,
                        Act::Confirm { user_ref, .. } => {
                            prop_assert_eq!(user_ref, "user-1");
                            confirmed += 1;
                        }
                        Act::Complete { .. } => completed += 1,
                        _ => {}
                    }
                }
                if !before.stage.is_open() {
                    prop_assert_eq!(&after, &before);
                }
                prop_assert_eq!(after.sealed.is_some(), matches!(
                    after.stage,
                    Stage::Returned | Stage::Exchanging
                ));
                flow = after;
            }
            prop_assert!(returned <= 1 && confirmed <= returned && completed <= confirmed);
        }
    }
}
