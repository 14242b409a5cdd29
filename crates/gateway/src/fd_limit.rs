//! The limit of open files: each connection is one, and the usual soft limit of 1,024 is too low.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What `unlimited` is taken for, so that numbers derived from it stay sane.
const PLENTY: u64 = 1 << 20;

/// Raises the soft limit to the hard one and returns what holds afterwards; a refusal leaves it.
#[must_use]
pub fn raise() -> u64 {
    let now = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: now.maximum, maximum: now.maximum };
    // A sandbox may forbid it; the server then works with what it has.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.map_or(PLENTY, |limit| limit.min(PLENTY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_reaches_the_hard_one() {
        let raised = raise();
        let limits = getrlimit(Resource::Nofile);
        assert_eq!(limits.current, limits.maximum);
        assert_eq!(raised, limits.maximum.map_or(PLENTY, |limit| limit.min(PLENTY)));
    }
}
