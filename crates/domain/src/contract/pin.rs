//! Which version an endpoint gets.
//!
//! An endpoint names a version of a type, or it gets the one that was the type's default at a time:
//! when it was made, unless it names another. So a new version changes nothing for those who are
//! there. What is sent is the smaller of the message's version and that one, by ordinal.

use super::version::Status;
use crate::{delivery::Pins, time::Timestamp};

/// What has to be known of a version.
pub trait Pinnable {
    /// What people call it.
    fn label(&self) -> &str;
    /// Its place.
    fn ordinal(&self) -> u32;
    /// How far it is.
    fn status(&self) -> Status;
    /// Since when it is the default; none if it never was.
    fn default_since(&self) -> Option<Timestamp>;
}

impl Pinnable for super::version::Version {
    fn label(&self) -> &str {
        &self.label
    }

    fn ordinal(&self) -> u32 {
        self.ordinal
    }

    fn status(&self) -> Status {
        self.status
    }

    fn default_since(&self) -> Option<Timestamp> {
        self.default_since
    }
}

/// What is sent of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The version with this ordinal, which is not above the message's.
    Version(u32),
    /// Nothing: the message is older than the pin, and the endpoint is strict.
    Unavailable {
        /// The ordinal of the pin.
        wanted: u32,
    },
}

/// The version that was the default at a time; the first default of a type that had none then.
/// A default only ever moves to newer versions.
pub fn default_at<V: Pinnable>(versions: &[V], at: Timestamp) -> Option<&V> {
    let were = || versions.iter().filter_map(|it| it.default_since().map(|since| (since, it)));
    let key = |(since, version): &(Timestamp, &V)| (*since, version.ordinal());
    let then = were().filter(|(since, _)| *since <= at).max_by_key(key);
    then.or_else(|| were().min_by_key(key)).map(|(_, version)| version)
}

/// The version that an endpoint is pinned to. What was retired is replaced by the next version above
/// it that is sent.
pub fn pinned<'a, V: Pinnable>(
    versions: &'a [V],
    event_type: &str,
    pins: Option<&Pins>,
    created_at: Timestamp,
) -> Option<&'a V> {
    let named = pins.and_then(|pins| pins.types.get(event_type));
    let named = named.and_then(|label| versions.iter().find(|it| it.label() == label));
    let at = pins.and_then(|pins| pins.at).unwrap_or(created_at);
    let pin =
        named.filter(|it| it.status() != Status::Draft).or_else(|| default_at(versions, at))?;
    if pin.status().is_sent() {
        return Some(pin);
    }
    let above = versions.iter().filter(|it| it.ordinal() > pin.ordinal() && it.status().is_sent());
    above.min_by_key(|it| it.ordinal()).or(Some(pin))
}

/// What is sent of a message to an endpoint that is pinned.
#[must_use]
pub fn target(message: u32, pin: u32, strict: bool) -> Target {
    if message < pin && strict {
        return Target::Unavailable { wanted: pin };
    }
    Target::Version(message.min(pin))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Known(&'static str, u32, Status, Option<i64>);

    impl Pinnable for Known {
        fn label(&self) -> &str {
            self.0
        }

        fn ordinal(&self) -> u32 {
            self.1
        }

        fn status(&self) -> Status {
            self.2
        }

        fn default_since(&self) -> Option<Timestamp> {
            self.3.map(Timestamp)
        }
    }

    #[test]
    fn pins() {
        let versions = [
            Known("2", 1, Status::Retired, Some(10)),
            Known("10", 2, Status::Active, Some(20)),
            Known("9", 3, Status::Active, Some(30)),
            Known("next", 4, Status::Draft, None),
        ];
        let at = |at: i64| Pins { at: Some(Timestamp(at)), ..Pins::default() };
        let of = |label: &str| Pins {
            types: BTreeMap::from([("a".to_owned(), label.to_owned())]),
            ..Pins::default()
        };
        for (pins, created, expect) in [
            (None, 40, 3),
            (None, 25, 2),
            // The first was retired.
            (None, 15, 2),
            (None, 5, 2),
            (Some(at(40)), 5, 3),
            (Some(of("10")), 40, 2),
            (Some(of("2")), 40, 2),
            (Some(of("9")), 5, 3),
            (Some(of("unknown")), 40, 3),
            (Some(of("next")), 25, 2),
        ] {
            let pinned = pinned(&versions, "a", pins.as_ref(), Timestamp(created));
            assert_eq!(pinned.map(Known::ordinal), Some(expect), "{pins:?} {created}");
        }
        assert!(pinned::<Known>(&[], "a", None, Timestamp(0)).is_none());
    }

    #[test]
    fn case_4_the_smaller_of_message_and_pin() {
        assert_eq!(target(2, 1, false), Target::Version(1));
        assert_eq!(target(1, 2, false), Target::Version(1));
        assert_eq!(target(1, 2, true), Target::Unavailable { wanted: 2 });
        assert_eq!(target(2, 2, true), Target::Version(2));
        assert_eq!(target(3, 1, true), Target::Version(1));
    }
}
