//! Who waits for what an endpoint itself answers.
//!
//! A source may answer its provider with its destination's own answer. Its door says so here before
//! it appends the message, and waits; where an attempt ends, its answer is told here. Whoever waits
//! for nothing pays for one look at a counter.
//!
//! Invariants:
//! - All of it is a courtesy: deliveries, retries and records are as without it.
//! - It is memory of this process. What is lost with it, or told in another process, costs a
//!   provider the destination's answer, never an event.
//! - Who stops waiting leaves nothing behind. What was answered is remembered for a while, within a
//!   bound, for those who repeat the request.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use ringback_domain::{
    id::{Key, MessageId},
    time::Timestamp,
};
use tokio::sync::watch;

/// The largest body that is passed on, in bytes: as much as Twilio takes, and more than others do.
pub const MAX_BODY: usize = 64 * 1024;
/// How many messages may be waited for at a time.
const WAITING: usize = 4_096;
/// How long an answer is remembered, how many, and their bytes together.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);
const ANSWERS: usize = 10_000;
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Headers of a destination's answer that say something about its body or to the provider. All
/// others stay here: they are about the connection, or would speak for this host (cookies,
/// redirects, policies, a proxy's internal commands).
const PASSED_ON: [&str; 9] = [
    "content-type",
    "content-encoding",
    "content-language",
    "cache-control",
    "etag",
    "expires",
    "last-modified",
    "retry-after",
    "x-slack-no-retry",
];

/// What a destination answered, as far as it may be passed on.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers by their lower-case names.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// What may be passed on of an answer; none if it leads elsewhere.
    pub fn of(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Option<Answer> {
        if status.is_redirection() || body.len() > MAX_BODY {
            return None;
        }
        let headers = PASSED_ON.iter().flat_map(|name| {
            let values = headers.get_all(*name).iter().filter_map(|value| value.to_str().ok());
            values.map(|value| ((*name).to_owned(), value.to_owned()))
        });
        Some(Answer { status: status.as_u16(), headers: headers.collect(), body })
    }

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn size(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        self.body.len() + headers.sum::<usize>()
    }
}

/// How an attempt ended, for those who wait for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint's filter does not want the message.
    NotWanted,
    /// There is no answer, or none that can be passed on.
    Failed,
    /// The answer.
    Answered(Arc<Answer>),
}

/// Whose answer is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This endpoint's.
    One(Key),
    /// That of the first of these that wants the message.
    First(Arc<[Key]>),
    /// That of whichever of these answers first.
    AnyOf(Arc<[Key]>),
    /// Whichever comes next.
    Any,
}

/// The messages that somebody waits for.
#[derive(Default)]
pub struct Replies {
    // Read without the lock by everybody who concludes an attempt.
    waiting: AtomicUsize,
    // Held for moments, never across an await.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By the random part of the message's id, which is known before the message is appended.
    awaited: HashMap<u64, Awaited>,
    answers: Remembered,
}

struct Awaited {
    told: watch::Sender<Told>,
    by: usize,
}

#[derive(Default)]
struct Told {
    /// Whose answer counts: the first who waits knows best where the message goes.
    whose: Option<Whose>,
    /// The last outcome at each endpoint.
    outcomes: Vec<(Key, Outcome)>,
}

impl Replies {
    /// Begins to wait for the message with these random bits in its id; none if too many wait.
    pub fn wait_for(self: &Arc<Self>, nonce: u64) -> Option<Waiting> {
        let mut known = self.lock();
        let full = known.awaited.len() >= WAITING;
        let (told, joined) = match known.awaited.get_mut(&nonce) {
            Some(awaited) => {
                awaited.by += 1;
                (awaited.told.clone(), true)
            }
            None if full => return None,
            None => {
                let told = watch::Sender::new(Told::default());
                known.awaited.insert(nonce, Awaited { told: told.clone(), by: 1 });
                (told, false)
            }
        };
        self.waiting.store(known.awaited.len(), Ordering::Relaxed);
        Some(Waiting { replies: Arc::clone(self), nonce, told, joined })
    }

    /// The answer that was given to this message, if it is remembered.
    pub fn remembered(&self, message: MessageId, now: Timestamp) -> Option<Arc<Answer>> {
        self.lock().answers.get(message.0.nonce, now)
    }

    /// Whether somebody waits for this message.
    pub fn is_awaited(&self, message: MessageId) -> bool {
        // Who waits before the message is appended is seen: the append lies between.
        self.waiting.load(Ordering::Relaxed) > 0
            && self.lock().awaited.contains_key(&message.0.nonce)
    }

    /// Tells those who wait how an attempt at this endpoint ended.
    pub fn tell(&self, message: MessageId, endpoint: Key, outcome: Outcome) {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        if let Some(awaited) = self.lock().awaited.get(&message.0.nonce) {
            awaited.told.send_modify(|told| {
                told.outcomes.retain(|(one, _)| *one != endpoint);
                told.outcomes.push((endpoint, outcome));
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Every change leaves the maps whole, so a panic elsewhere cannot have broken them.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody waits for a message, until this is dropped.
pub struct Waiting {
    replies: Arc<Replies>,
    nonce: u64,
    told: watch::Sender<Told>,
    joined: bool,
}

impl Waiting {
    /// Whether others waited for the message before.
    pub fn joined_others(&self) -> bool {
        self.joined
    }

    /// The answer, once it is there; none if there will be none. A success is remembered.
    pub async fn answer(self, whose: Whose, now: Timestamp) -> Option<Arc<Answer>> {
        self.told.send_if_modified(|told| {
            let knows_more = matches!(told.whose, None | Some(Whose::Any));
            if knows_more {
                told.whose = Some(whose);
            }
            knows_more
        });
        let mut changes = self.told.subscribe();
        let answer = loop {
            if let Some(settled) = changes.borrow_and_update().settled() {
                break settled?;
            }
            changes.changed().await.ok()?;
        };
        if answer.is_success() {
            self.replies.lock().answers.keep(self.nonce, Arc::clone(&answer), now);
        }
        Some(answer)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut known = self.replies.lock();
        if let Some(awaited) = known.awaited.get_mut(&self.nonce) {
            awaited.by -= 1;
            if awaited.by == 0 {
                known.awaited.remove(&self.nonce);
            }
        }
        self.replies.waiting.store(known.awaited.len(), Ordering::Relaxed);
    }
}

impl Told {
    /// Whether what was told decides, and for which answer.
    fn settled(&self) -> Option<Option<Arc<Answer>>> {
        let of = |endpoint: &Key| {
            self.outcomes.iter().find(|(one, _)| one == endpoint).map(|(_, outcome)| outcome)
        };
        let wants = |outcome: &&Outcome| **outcome != Outcome::NotWanted;
        let decided = match self.whose.as_ref()? {
            Whose::One(endpoint) => of(endpoint)?,
            Whose::Any => self.outcomes.iter().map(|(_, outcome)| outcome).find(wants)?,
            Whose::AnyOf(keys) => {
                let told = || keys.iter().map(of);
                match told().flatten().find(wants) {
                    Some(outcome) => outcome,
                    // Nobody is left who may want it.
                    None if told().all(|outcome| outcome.is_some()) => &Outcome::NotWanted,
                    None => return None,
                }
            }
            Whose::First(endpoints) => {
                let mut decided = &Outcome::Failed;
                for endpoint in endpoints.iter() {
                    decided = of(endpoint)?;
                    if wants(&decided) {
                        break;
                    }
                }
                decided
            }
        };
        Some(match decided {
            Outcome::Answered(answer) => Some(Arc::clone(answer)),
            Outcome::NotWanted | Outcome::Failed => None,
        })
    }
}

/// Answers that were given, the oldest first.
#[derive(Default)]
struct Remembered {
    by_nonce: HashMap<u64, Arc<Answer>>,
    order: VecDeque<(u64, Timestamp)>,
    bytes: usize,
}

impl Remembered {
    fn get(&mut self, nonce: u64, now: Timestamp) -> Option<Arc<Answer>> {
        self.forget_before(now);
        self.by_nonce.get(&nonce).cloned()
    }

    fn keep(&mut self, nonce: u64, answer: Arc<Answer>, now: Timestamp) {
        self.forget_before(now);
        if self.by_nonce.contains_key(&nonce) {
            return;
        }
        self.bytes += answer.size();
        self.by_nonce.insert(nonce, answer);
        self.order.push_back((nonce, now + REMEMBERED));
        while self.order.len() > ANSWERS || self.bytes > ANSWER_BYTES {
            self.forget_oldest();
        }
    }

    fn forget_before(&mut self, now: Timestamp) {
        while self.order.front().is_some_and(|(_, until)| *until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((nonce, _)) = self.order.pop_front() else { return };
        if let Some(answer) = self.by_nonce.remove(&nonce) {
            self.bytes -= answer.size();
        }
    }
}

#[cfg(test)]
mod tests {
    use ringback_domain::id::Id;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn message(nonce: u64) -> MessageId {
        MessageId(Id { key: 1, shard: 0, nonce })
    }

    fn answer(status: u16, body: &'static str) -> Arc<Answer> {
        let status = StatusCode::from_u16(status).unwrap();
        let body = Bytes::from_static(body.as_bytes());
        Arc::new(Answer::of(status, &HeaderMap::new(), body).unwrap())
    }

    #[test]
    fn the_first_that_wants_the_message_decides() {
        let (one, two) = (answer(200, "one"), answer(500, "two"));
        let first = |keys: &[Key]| Whose::First(Arc::from(keys));
        let answered = |answer: &Arc<Answer>| Outcome::Answered(Arc::clone(answer));
        let check =
            |told: &[(Key, Outcome)], whose: Whose, expect: Option<Option<&Arc<Answer>>>| {
                let told = Told { whose: Some(whose.clone()), outcomes: told.to_vec() };
                let expect = expect.map(|answer| answer.cloned());
                assert_eq!(told.settled(), expect, "{:?} {whose:?}", told.outcomes);
            };
        let one_told = (1, answered(&one));
        check(&[], first(&[1, 2]), None);
        check(&[], first(&[]), Some(None));
        check(&[(2, answered(&two))], first(&[1, 2]), None);
        check(&[(2, answered(&two)), one_told.clone()], first(&[1, 2]), Some(Some(&one)));
        check(&[(1, Outcome::NotWanted)], first(&[1, 2]), None);
        check(&[(1, Outcome::NotWanted), (2, answered(&two))], first(&[1, 2]), Some(Some(&two)));
        check(&[(1, Outcome::NotWanted)], first(&[1]), Some(None));
        check(&[(1, Outcome::Failed), (2, answered(&two))], first(&[1, 2]), Some(None));
        let any = |keys: &[Key]| Whose::AnyOf(Arc::from(keys));
        check(&[(2, answered(&two))], any(&[1, 2]), Some(Some(&two)));
        check(&[(3, answered(&two)), (1, Outcome::NotWanted)], any(&[1, 2]), None);
        check(&[(2, Outcome::NotWanted), (1, Outcome::NotWanted)], any(&[1, 2]), Some(None));
        check(&[], any(&[]), Some(None));
        check(&[(2, answered(&two))], Whose::One(1), None);
        check(&[(2, answered(&two)), one_told], Whose::One(1), Some(Some(&one)));
        check(&[(1, Outcome::NotWanted)], Whose::Any, None);
        check(&[(1, Outcome::NotWanted), (2, answered(&two))], Whose::Any, Some(Some(&two)));
    }

    #[tokio::test]
    async fn everybody_who_waits_is_told_and_a_success_is_remembered() {
        let replies = Arc::<Replies>::default();
        let first = replies.wait_for(7).unwrap();
        let second = replies.wait_for(7).unwrap();
        assert!(second.joined_others() && !first.joined_others());
        assert!(replies.is_awaited(message(7)) && !replies.is_awaited(message(8)));
        let given = answer(200, "done");
        replies.tell(message(7), 1, Outcome::Answered(Arc::clone(&given)));
        replies.tell(message(7), 2, Outcome::Answered(answer(200, "another")));
        assert_eq!(first.answer(Whose::One(1), NOW).await, Some(Arc::clone(&given)));
        assert_eq!(second.answer(Whose::Any, NOW).await, Some(Arc::clone(&given)));
        assert!(!replies.is_awaited(message(7)));
        assert_eq!(replies.remembered(message(7), NOW), Some(given));
        assert_eq!(replies.remembered(message(7), NOW + REMEMBERED), None);
    }

    #[tokio::test]
    async fn a_failure_is_not_remembered_and_who_goes_away_leaves_nothing() {
        let replies = Arc::<Replies>::default();
        let waiting = replies.wait_for(7).unwrap();
        replies.tell(message(7), 1, Outcome::Answered(answer(500, "")));
        assert_eq!(waiting.answer(Whose::Any, NOW).await, Some(answer(500, "")));
        assert_eq!(replies.remembered(message(7), NOW), None);
        drop(replies.wait_for(8));
        let known = replies.lock();
        assert!(known.awaited.is_empty() && known.answers.order.is_empty());
        assert_eq!(replies.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_held_is_bounded() {
        let replies = Arc::<Replies>::default();
        let all: Vec<_> = (0..WAITING as u64).map(|nonce| replies.wait_for(nonce)).collect();
        assert!(all.iter().all(Option::is_some));
        assert!(replies.wait_for(u64::MAX).is_none());
        assert!(replies.wait_for(1).is_some(), "who joins others takes no room");
        let mut answers = Remembered::default();
        let large = Bytes::from(vec![b'x'; MAX_BODY]);
        let large = Arc::new(Answer { status: 200, headers: Vec::new(), body: large });
        for nonce in 0..1_000 {
            answers.keep(nonce, Arc::clone(&large), NOW);
        }
        assert!(answers.bytes <= ANSWER_BYTES && answers.by_nonce.contains_key(&999));
        assert_eq!(answers.by_nonce.len(), answers.order.len());
    }

    #[test]
    fn only_what_is_about_the_answer_is_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "text/xml"),
            ("set-cookie", "a=b"),
            ("x-accel-redirect", "/internal"),
            ("location", "https://example.com"),
            ("retry-after", "3"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let answer = Answer::of(StatusCode::OK, &headers, Bytes::new()).unwrap();
        let names: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-type", "retry-after"]);
        assert_eq!(Answer::of(StatusCode::FOUND, &headers, Bytes::new()), None);
    }
}
