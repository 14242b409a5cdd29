//! How much of a process one endpoint may use, decided by how it behaves.
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> Fresh
//!     Fresh --> Healthy: success
//!     Fresh --> Slow: open for a second
//!     Healthy --> Slow: no answer for a second
//!     Slow --> Healthy: success
//!     Fresh --> Suspect: failures in a row, or silence
//!     Healthy --> Suspect: failures in a row, or silence
//!     Slow --> Suspect: failures in a row, or silence
//!     Suspect --> Healthy: success (the window starts small again)
//! ```
//!
//! A fresh lane may have one request open; a healthy one its window, which grows with every
//! success; a slow one keeps its window, as taking two seconds for an answer is no offence; a
//! suspect one has a single probe. What is not proven to answer soon shares the sockets: suspect
//! lanes together at most a fifth, with the slow ones at most a third, with the fresh ones at most
//! half. So lanes that answer always find sockets, however many dead endpoints there are and
//! however fast new messages for them arrive.

use std::time::Duration;

/// Failures in a row (without a time-out) after which a lane is suspect.
pub const FAILURES_IN_A_ROW: u32 = 3;
/// Without an answer for longer than this, a lane with open requests is slow.
pub const SLOW: Duration = Duration::from_secs(1);

/// What is known about a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Nothing yet.
    #[default]
    Fresh,
    /// It answers.
    Healthy,
    /// It has not answered for a while, but may yet.
    Slow,
    /// It failed lately.
    Suspect,
}

/// The health of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    standing: Standing,
    failures: u32,
    window: u32,
    limit: u32,
}

/// What a lane's request told about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It answered with a success.
    Success,
    /// It answered, but not with a success.
    Failure,
    /// No answer: time-out, refused or broken connection.
    Silence,
    /// Requests are open and none was answered for longer than [`SLOW`].
    Slow,
    /// Nothing: no request was made.
    Nothing,
}

impl Health {
    /// A lane that may have up to `limit` requests open when healthy. `failing` is what was
    /// remembered about it from an earlier life.
    pub fn new(limit: u32, failing: bool) -> Health {
        let standing = if failing { Standing::Suspect } else { Standing::Fresh };
        Health { standing, failures: 0, window: 1, limit: limit.max(1) }
    }

    /// Where the lane stands.
    pub fn standing(self) -> Standing {
        self.standing
    }

    /// How many requests it may have open.
    pub fn window(self) -> u32 {
        match self.standing {
            Standing::Healthy | Standing::Slow => self.window,
            Standing::Fresh | Standing::Suspect => 1,
        }
    }

    /// The health after this sign.
    #[must_use]
    pub fn after(self, sign: Sign) -> Health {
        let failures = self.failures.saturating_add(1);
        match sign {
            // The window of a fresh or suspect lane is 1, so it starts small by itself.
            Sign::Success => Health {
                standing: Standing::Healthy,
                failures: 0,
                window: (self.window + 1).min(self.limit),
                limit: self.limit,
            },
            Sign::Nothing => self,
            Sign::Slow if self.standing == Standing::Suspect => self,
            Sign::Slow => Health { standing: Standing::Slow, ..self },
            Sign::Failure if failures < FAILURES_IN_A_ROW => Health { failures, ..self },
            Sign::Failure | Sign::Silence => {
                Health { standing: Standing::Suspect, failures, window: 1, limit: self.limit }
            }
        }
    }
}

/// The sockets of one core, and who has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sockets {
    limit: u32,
    healthy: u32,
    fresh: u32,
    slow: u32,
    suspect: u32,
}

impl Sockets {
    /// A core's share of the sockets.
    pub fn new(limit: u32) -> Sockets {
        Sockets { limit: limit.max(10), healthy: 0, fresh: 0, slow: 0, suspect: 0 }
    }

    /// How many are in use.
    pub fn used(self) -> u32 {
        self.healthy + self.fresh + self.slow + self.suspect
    }

    /// Whether a lane of this standing may open one more request.
    pub fn admits(self, standing: Standing) -> bool {
        let half = self.fresh + self.slow + self.suspect < self.limit / 2;
        let third = self.slow + self.suspect < self.limit / 3;
        self.used() < self.limit
            && match standing {
                Standing::Healthy => true,
                Standing::Fresh => half,
                Standing::Slow => half && third,
                Standing::Suspect => half && third && self.suspect < self.limit / 5,
            }
    }

    /// Counts a request that begins.
    pub fn take(&mut self, standing: Standing) {
        *self.count(standing) += 1;
    }

    /// Counts a request that ended, by the standing it was last counted under.
    pub fn give_back(&mut self, standing: Standing) {
        let count = self.count(standing);
        *count = count.saturating_sub(1);
    }

    fn count(&mut self, standing: Standing) -> &mut u32 {
        match standing {
            Standing::Healthy => &mut self.healthy,
            Standing::Fresh => &mut self.fresh,
            Standing::Slow => &mut self.slow,
            Standing::Suspect => &mut self.suspect,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(signs: &[Sign]) -> Health {
        signs.iter().fold(Health::new(32, false), |health, sign| health.after(*sign))
    }

    #[test]
    fn standings() {
        use Sign::*;
        for (signs, standing, window) in [
            (&[][..], Standing::Fresh, 1),
            (&[Success], Standing::Healthy, 2),
            (&[Success, Success, Success], Standing::Healthy, 4),
            (&[Failure, Failure], Standing::Fresh, 1),
            (&[Failure, Failure, Failure], Standing::Suspect, 1),
            (&[Success, Failure, Failure], Standing::Healthy, 2),
            (&[Success, Failure, Success, Failure, Failure], Standing::Healthy, 3),
            (&[Success, Silence], Standing::Suspect, 1),
            (&[Success, Success, Slow], Standing::Slow, 3),
            (&[Success, Success, Slow, Success], Standing::Healthy, 4),
            (&[Success, Slow, Silence], Standing::Suspect, 1),
            (&[Success, Slow, Silence, Slow], Standing::Suspect, 1),
            (&[Success, Success, Silence, Success], Standing::Healthy, 2),
            (&[Slow, Success], Standing::Healthy, 2),
        ] {
            let health = after(signs);
            assert_eq!((health.standing(), health.window()), (standing, window), "{signs:?}");
        }
        assert_eq!(after(&[Success; 100]).window(), 32);
        assert_eq!(Health::new(32, true).standing(), Standing::Suspect);
    }

    proptest! {
        #[test]
        fn proven_lanes_always_find_sockets(wishes in prop::collection::vec(0u8..3, 0..500)) {
            let mut sockets = Sockets::new(100);
            for wish in wishes {
                let standing = [Standing::Fresh, Standing::Slow, Standing::Suspect][usize::from(wish)];
                if sockets.admits(standing) {
                    sockets.take(standing);
                }
            }
            prop_assert!(sockets.suspect <= 20 && sockets.slow + sockets.suspect <= 33 && sockets.used() <= 50);
            prop_assert!(sockets.admits(Standing::Healthy));
        }
    }
}
