//! When an endpoint wants to be tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Mistake;
use crate::retry::Schedule;

/// The most gaps.
const GAPS: usize = 50;
/// The longest gap, in seconds: thirty days.
const LONGEST: u64 = 30 * 86_400;

/// An endpoint's own schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// The gaps after the immediate first attempt, in seconds; none for a single attempt.
    pub gaps: Vec<u64>,
    /// Up to this share of a gap is added at random; as the installation has it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<f64>,
}

impl Retry {
    pub(super) fn check(&self) -> Result<(), Mistake> {
        if self.gaps.len() > GAPS {
            return Err(Mistake::at(&["retry", "gaps"], format!("there are at most {GAPS}")));
        }
        if let Some(index) = self.gaps.iter().position(|gap| *gap > LONGEST) {
            let place = ["retry", "gaps", &index.to_string()];
            return Err(Mistake::at(&place, format!("it is at most {LONGEST} seconds")));
        }
        if self.jitter.is_some_and(|jitter| !(0.0..=1.0).contains(&jitter)) {
            return Err(Mistake::at(&["retry", "jitter"], "it is from 0 to 1"));
        }
        Ok(())
    }

    /// The time from the first attempt to the last, without jitter.
    pub fn total(&self) -> Duration {
        Duration::from_secs(self.gaps.iter().sum())
    }

    /// The schedule, in an installation that has this one.
    pub fn schedule(&self, usual: &Schedule) -> Schedule {
        Schedule {
            gaps: self.gaps.iter().copied().map(Duration::from_secs).collect(),
            jitter: self.jitter.unwrap_or(usual.jitter),
            disable_after: usual.disable_after,
        }
    }
}
