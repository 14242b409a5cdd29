//! What is filled in: rows that look like some months of a busy installation.
//!
//! Everything follows from the number of a message, so both stores hold the same.

use ringback_domain::id::{Key, SEQUENCE_BITS};

const DAY: i64 = 86_400_000;

/// The application that has most messages.
pub(crate) const BIG: usize = 0;
/// The application with a few messages a day.
pub(crate) const SPARSE: usize = 1;
/// The application with thousands of endpoints.
pub(crate) const WIDE: usize = 2;
/// The first of the others.
const OTHERS: usize = 3;
const APPLICATIONS: usize = 300;

/// Of the big application: the endpoint that is waited for, and one that gets little.
pub(crate) const BACKLOG: usize = 10;
pub(crate) const RARE: usize = 11;

pub(crate) const COMMON_TYPE: &str = "invoice.changed.0";
pub(crate) const RARE_TYPE: &str = "invoice.voided";
pub(crate) const COMMON_TAG: &str = "tag-1";
pub(crate) const RARE_TAG: &str = "once";
pub(crate) const CHANNEL: &str = "channel-2";
pub(crate) const RARE_CHANNEL: &str = "channel-rare";

/// An application with its endpoints.
pub(crate) struct Application {
    pub(crate) key: Key,
    pub(crate) endpoints: Vec<Key>,
}

#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) messages: Vec<Message>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) deliveries: Vec<Delivery>,
}

pub(crate) struct Message {
    pub(crate) key: Key,
    pub(crate) application: Key,
    pub(crate) fanout: i64,
    pub(crate) expires_at: i64,
    pub(crate) event_type: String,
    pub(crate) channels: Option<String>,
    pub(crate) tags: Option<String>,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Attempt {
    pub(crate) key: Key,
    pub(crate) application: Key,
    pub(crate) message: Key,
    pub(crate) endpoint: Key,
    pub(crate) number: i64,
    pub(crate) trigger: i64,
    pub(crate) outcome: i64,
    pub(crate) status_code: i64,
}

pub(crate) struct Delivery {
    pub(crate) key: Key,
    pub(crate) application: Key,
    pub(crate) message: Key,
    pub(crate) endpoint: Key,
    pub(crate) attempts: i64,
    pub(crate) due_at: i64,
}

/// How much there is, and when.
pub(crate) struct Plan {
    pub(crate) messages: u64,
    /// How many milliseconds it lasts, and when it begins and ends.
    span: i64,
    pub(crate) start: i64,
    pub(crate) now: i64,
    pub(crate) applications: Vec<Application>,
}

impl Plan {
    pub(crate) fn new(attempts: u64, days: i64, now: i64) -> Plan {
        let span = days * DAY;
        // Applications and endpoints were there before.
        let start = now - span + DAY / 2;
        let wide = if attempts < 200_000 { 300 } else { 3_000 };
        // Each makes 1.7 attempts on average.
        let messages = attempts * 6 / 10;
        let mut plan = Plan { messages, span, start, now, applications: Vec::new() };
        let mut next = (start - DAY) << SEQUENCE_BITS;
        let mut key = move || {
            next += 10;
            next
        };
        for number in 0..APPLICATIONS {
            let count = match number {
                BIG => 12,
                WIDE => wide,
                _ => 8,
            };
            let application = key();
            let endpoints = (0..count).map(|_| key()).collect();
            plan.applications.push(Application { key: application, endpoints });
        }
        plan
    }

    /// The days that need partitions.
    pub(crate) fn days(&self) -> std::ops::RangeInclusive<i64> {
        self.start.div_euclid(DAY)..=self.now.div_euclid(DAY)
    }

    /// The days on which contents expire.
    pub(crate) fn expiries(&self) -> std::ops::RangeInclusive<i64> {
        let later = self.span + DAY;
        (self.start + later).div_euclid(DAY)..=(self.now + later).div_euclid(DAY)
    }

    /// When a message comes.
    pub(crate) fn time(&self, number: u64) -> i64 {
        let span = i128::from(self.now - 60_000 - self.start);
        self.start + (span * i128::from(number) / i128::from(self.messages)) as i64
    }

    /// The key of a message.
    pub(crate) fn key(&self, number: u64) -> Key {
        // Several come in one millisecond when there are many; each leaves room for its deliveries.
        let sequence = (number as i64 % 64) << 14;
        (self.time(number) << SEQUENCE_BITS) | sequence
    }

    /// Whose a message is.
    pub(crate) fn owner(&self, number: u64) -> usize {
        if number == self.messages / 2 {
            return WIDE;
        }
        let mixed = mix(number);
        let sparse = (self.messages / 1_000).max(1);
        match mixed % 100 {
            _ if number.is_multiple_of(sparse) => SPARSE,
            0..60 => BIG,
            // A few have much, most have little.
            _ => {
                let (a, b) = ((mixed >> 8) % 297, (mixed >> 24) % 297);
                OTHERS + a.min(b) as usize
            }
        }
    }

    /// Makes the rows of a message.
    pub(crate) fn message(&self, number: u64, rows: &mut Rows) {
        let owner = self.owner(number);
        let mixed = mix(number ^ 0x5151);
        let Application { key: application, endpoints } = &self.applications[owner];
        let (key, time) = (self.key(number), self.time(number));
        let chosen: Vec<(usize, Fate)> = match owner {
            BIG => self.big(number, mixed),
            WIDE => (0..endpoints.len()).map(|i| (i, self.fate(time, mix(i as u64)))).collect(),
            _ => {
                let first = (mixed >> 40) as usize % endpoints.len();
                let second = (first + 1) % endpoints.len();
                let mut chosen = vec![(first, self.fate(time, mixed))];
                if mixed.is_multiple_of(3) {
                    chosen.push((second, self.fate(time, mix(mixed))));
                }
                chosen
            }
        };
        for (index, (endpoint, fate)) in chosen.iter().enumerate() {
            let of = (*application, key, endpoints[*endpoint]);
            self.tried(of, index, fate, rows);
        }
        let padding = "x".repeat(120 + (mixed % 160) as usize);
        rows.messages.push(Message {
            key,
            application: *application,
            fanout: chosen.len() as i64,
            expires_at: time + self.span + DAY,
            event_type: event_type(mixed),
            channels: channels(mixed).map(|name| format!("[\"{name}\"]")),
            tags: tags(mixed),
            payload: format!("{{\"number\":{number},\"padding\":\"{padding}\"}}").into_bytes(),
        });
    }

    /// Where a message of the big application goes.
    fn big(&self, number: u64, mixed: u64) -> Vec<(usize, Fate)> {
        let time = self.time(number);
        let first = (mixed >> 40) as usize % BACKLOG;
        let mut chosen = vec![(first, self.fate(time, mixed))];
        if mixed.is_multiple_of(10) {
            chosen.push(((first + 1) % BACKLOG, self.fate(time, mix(mixed))));
        }
        if mixed.is_multiple_of(4) {
            chosen.push((BACKLOG, Fate::Waits));
        }
        if mixed.is_multiple_of(3_000) {
            chosen.push((RARE, self.fate(time, mixed)));
        }
        chosen
    }

    fn fate(&self, time: i64, mixed: u64) -> Fate {
        match (mixed >> 16) % 1_000 {
            0..800 => Fate::Taken(0),
            800..900 => Fate::Taken(1),
            900..950 => Fate::Taken(3),
            950..990 => Fate::Lost,
            990..995 => Fate::Replayed(1 + (mixed >> 32) as i64 % 40),
            _ if self.now - time < 2 * DAY => Fate::Retried,
            _ => Fate::Lost,
        }
    }

    /// The attempts and the delivery that one fate makes.
    fn tried(
        &self,
        (application, message, endpoint): (Key, Key, Key),
        index: usize,
        fate: &Fate,
        rows: &mut Rows,
    ) {
        const AFTER: [i64; 5] = [200, 5_200, 305_000, 2_100_000, 9_300_000];
        let sent = message >> SEQUENCE_BITS;
        let mut attempt = |after: i64, number: usize, trigger: i64, outcome: i64| {
            let time = sent + after;
            if time >= self.now {
                return;
            }
            let sequence = message & ((1 << SEQUENCE_BITS) - 1);
            rows.attempts.push(Attempt {
                // Apart from others of this millisecond by what the message is apart from them.
                key: (time << SEQUENCE_BITS) + sequence + (index as i64) * 4 + (number as i64 & 3),
                application,
                message,
                endpoint,
                number: if trigger == 0 { number as i64 + 1 } else { 0 },
                trigger,
                outcome,
                status_code: match (outcome, number) {
                    (0, _) => 200,
                    (_, 1) => 0,
                    _ => 500,
                },
            });
        };
        let mut wait = |attempts: i64, due_at: i64| {
            let key = message + 1 + index as i64;
            rows.deliveries.push(Delivery {
                key,
                application,
                message,
                endpoint,
                attempts,
                due_at,
            });
        };
        match *fate {
            Fate::Waits => wait(0, sent),
            Fate::Taken(failures) => {
                (0..failures).for_each(|number| attempt(AFTER[number], number, 0, 1));
                attempt(AFTER[failures], failures, 0, 0);
            }
            Fate::Lost => {
                (0..3).for_each(|number| attempt(AFTER[number], number, 0, 1));
                attempt(AFTER[3], 3, 0, 2);
            }
            Fate::Replayed(days) => {
                attempt(AFTER[0], 0, 0, 2);
                attempt(days * DAY, 2, 1, 0);
            }
            Fate::Retried => {
                attempt(AFTER[0], 0, 0, 1);
                wait(1, self.now + DAY);
            }
        }
    }
}

/// What becomes of a message at an endpoint.
enum Fate {
    /// It was never tried.
    Waits,
    /// The endpoint took it after so many failures.
    Taken(usize),
    /// Every attempt failed.
    Lost,
    /// It was lost, and sent once more so many days later.
    Replayed(i64),
    /// It failed and will be tried again.
    Retried,
}

fn event_type(mixed: u64) -> String {
    match (mixed >> 20) % 20_000 {
        0 => RARE_TYPE.to_owned(),
        other => format!("invoice.changed.{}", other % 20),
    }
}

fn channels(mixed: u64) -> Option<String> {
    match (mixed >> 12) % 20_000 {
        0 => Some(RARE_CHANNEL.to_owned()),
        other if other % 3 == 0 => Some(format!("channel-{}", other % 9)),
        _ => None,
    }
}

fn tags(mixed: u64) -> Option<String> {
    match (mixed >> 28) % 50_000 {
        0 => Some(format!("[\"{RARE_TAG}\"]")),
        other if other % 2 == 0 => Some(format!("[\"tag-{}\",\"tag-all\"]", other % 7)),
        _ => None,
    }
}

/// A number that looks random (the finalizer of `SplitMix64`).
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
