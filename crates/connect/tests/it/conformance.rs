//! What every kind keeps, run against its real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ringback_connect::{Client, Handed, Refused};
use ringback_domain::destination::{Event, Kind, OnMissing, Wanted};
use serde_json::{Value, json};
use tokio::task::{JoinSet, block_in_place};

use crate::server::Done;

/// Longer than an answer takes, and short enough to wait for.
const DEADLINE: Duration = Duration::from_millis(500);
/// Longer than any answer takes: whoever waits as long waits for ever.
const FOR_EVER: Duration = Duration::from_secs(20);
/// Events that go on while the server is killed.
const EVENTS: usize = 200;
/// Deliveries at a time.
const AT_A_TIME: usize = 4;
/// Between two attempts for an event.
const PAUSE: Duration = Duration::from_millis(20);

/// A real server, and a way to look into it that has nothing to do with the client under test.
pub(crate) trait Counterpart {
    /// The kind of destination.
    const KIND: &'static str;
    /// How often a repeated event is there: what the notes of the kind's file promise.
    const REPEATED: usize;

    fn settings(&self) -> Vec<(&'static str, String)>;
    /// What the mapping is.
    fn mapping(&self) -> Value;
    /// The ids of the events that are there.
    fn arrived(&self) -> Vec<String>;
    fn does(&mut self, done: Done);
    /// What it refuses, and with which word: settings and mapping besides the usual, and a body.
    fn refuses(&self) -> Vec<Refusal>;
}

/// Something that is refused.
pub(crate) struct Refusal {
    pub(crate) settings: Vec<(&'static str, String)>,
    pub(crate) mapping: Value,
    pub(crate) body: String,
    pub(crate) permanent: bool,
    pub(crate) reason: &'static str,
}

impl Refusal {
    pub(crate) fn for_good(reason: &'static str) -> Refusal {
        Refusal {
            settings: Vec::new(),
            mapping: json!({}),
            body: "{}".to_owned(),
            permanent: true,
            reason,
        }
    }

    pub(crate) fn for_now(reason: &'static str) -> Refusal {
        Refusal { permanent: false, ..Refusal::for_good(reason) }
    }

    pub(crate) fn setting(mut self, name: &'static str, value: impl Into<String>) -> Refusal {
        self.settings.push((name, value.into()));
        self
    }

    pub(crate) fn mapping(self, mapping: Value) -> Refusal {
        Refusal { mapping, ..self }
    }

    pub(crate) fn body(self, body: impl Into<String>) -> Refusal {
        Refusal { body: body.into(), ..self }
    }
}

/// A destination as somebody makes one: held against the kind's file, which completes it.
pub(crate) struct Destination {
    client: Arc<dyn Client>,
    kind: Arc<Kind>,
    given: ringback_domain::destination::Given,
}

impl Destination {
    pub(crate) fn new(
        kind: &str,
        settings: impl IntoIterator<Item = (&'static str, String)>,
        fields: Value,
    ) -> Destination {
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let wanted = Wanted { settings, fields, on_missing: OnMissing::default() };
        let file = ringback_builtin::kind(kind).unwrap().parsed().unwrap();
        let given = file.given(&wanted).unwrap();
        let client = ringback_connect::open(kind, &given.settings).unwrap().unwrap();
        Destination { client, kind: file, given }
    }

    pub(crate) fn event(&self, id: &str, body: &str) -> Handed {
        let (at, content_type) = (1_700_000_000_000, Some("application/json"));
        let kind = "order.paid";
        let event = Event { id, kind, at, content_type, body: body.as_bytes(), headers: &[] };
        let Value::Object(fields) = self.kind.fields(&self.given, &event).unwrap() else {
            panic!("fields are an object");
        };
        Handed {
            id: id.to_owned(),
            kind: kind.to_owned(),
            at,
            content_type: content_type.map(str::to_owned),
            body: Bytes::from(body.to_owned()),
            fields,
        }
    }

    pub(crate) async fn deliver(&self, id: &str) -> Result<String, Refused> {
        self.hand(&self.event(id, r#"{"n":1}"#)).await
    }

    pub(crate) async fn hand(&self, event: &Handed) -> Result<String, Refused> {
        let delivery = tokio::time::timeout(FOR_EVER, self.client.deliver(event)).await;
        delivery.unwrap_or_else(|_| panic!("no answer to {event:?}"))
    }
}

/// Everything that a kind keeps, in one go, as servers take long to start.
pub(crate) async fn conforms<C: Counterpart>(server: &mut C) {
    let to = Destination::new(C::KIND, server.settings(), server.mapping());
    arrives(server, &to).await;
    is_refused(server, &to).await;
    outlives_silence(server, &to).await;
    outlives_absence(server, &to).await;
    repeats(server, &to).await;
    loses_nothing(server, to).await;
}

fn arrived(server: &impl Counterpart, id: &str) -> usize {
    block_in_place(|| server.arrived()).iter().filter(|known| *known == id).count()
}

async fn arrives(server: &impl Counterpart, to: &Destination) {
    to.deliver("msg_first").await.unwrap();
    assert_eq!(arrived(server, "msg_first"), 1);
    // On the connection that is there already.
    to.deliver("msg_second").await.unwrap();
    assert_eq!(arrived(server, "msg_second"), 1);
}

async fn is_refused<C: Counterpart>(server: &C, to: &Destination) {
    for refusal in server.refuses() {
        let Refusal { settings, mapping, body, permanent, reason } = refusal;
        let mut all: std::collections::BTreeMap<_, _> = server.settings().into_iter().collect();
        all.extend(settings);
        let mut fields = server.mapping();
        fields.as_object_mut().unwrap().extend(mapping.as_object().unwrap().clone());
        let other = Destination::new(C::KIND, all, fields);
        // The second time on a connection that was left open, if one was.
        for _ in 0..2 {
            let refused = other.hand(&other.event("msg_refused", &body)).await;
            let refused = refused.expect_err(reason);
            assert_eq!((refused.permanent, refused.reason), (permanent, reason), "{refused:?}");
            assert!(!refused.explanation.is_empty(), "{refused:?}");
            assert!(!refused.explanation.contains("made-up"), "{refused:?}");
        }
    }
    to.deliver("msg_after_refusals").await.unwrap();
    assert_eq!(arrived(server, "msg_refused"), 0);
}

/// Whoever gave up a delivery can begin the next one.
async fn outlives_silence(server: &mut impl Counterpart, to: &Destination) {
    block_in_place(|| server.does(Done::Freeze));
    let silence = || tokio::time::timeout(DEADLINE, to.deliver("msg_silence"));
    // On the connection that is there; the signal takes a moment to reach every thread of a server.
    while silence().await.is_ok() {}
    // On one that is new.
    let again = silence().await;
    assert!(again.is_err(), "{again:?}");
    block_in_place(|| server.does(Done::Thaw));
    to.deliver("msg_after_silence").await.unwrap();
    assert_eq!(arrived(server, "msg_after_silence"), 1);
}

async fn outlives_absence(server: &mut impl Counterpart, to: &Destination) {
    block_in_place(|| server.does(Done::Kill));
    for _ in 0..2 {
        let refused = to.deliver("msg_absence").await.unwrap_err();
        let known = ["connection_refused", "connection_lost"].contains(&refused.reason);
        assert!(!refused.permanent && known, "{refused:?}");
    }
    block_in_place(|| server.does(Done::Start));
    to.deliver("msg_after_absence").await.unwrap();
    assert_eq!(arrived(server, "msg_after_absence"), 1);
}

async fn repeats<C: Counterpart>(server: &C, to: &Destination) {
    for _ in 0..2 {
        to.deliver("msg_repeated").await.unwrap();
    }
    assert_eq!(arrived(server, "msg_repeated"), C::REPEATED);
}

/// Events go on, each until it is taken, while the server is killed and started again.
async fn loses_nothing(server: &mut impl Counterpart, to: Destination) {
    let (to, taken) = (Arc::new(to), Arc::new(AtomicUsize::new(0)));
    let (half, mut halfway) = tokio::sync::mpsc::channel::<()>(EVENTS);
    let mut deliveries = JoinSet::new();
    for lane in 0..AT_A_TIME {
        let (to, taken, half) = (Arc::clone(&to), Arc::clone(&taken), half.clone());
        deliveries.spawn(async move {
            let mut failed = 0;
            for event in (lane..EVENTS).step_by(AT_A_TIME) {
                let id = format!("msg_{event}");
                while let Err(refused) = to.deliver(&id).await {
                    assert!(!refused.permanent, "{refused:?}");
                    failed += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                if taken.fetch_add(1, Ordering::Relaxed) == EVENTS / 4 {
                    half.send(()).await.unwrap();
                }
            }
            failed
        });
    }
    halfway.recv().await.unwrap();
    block_in_place(|| server.does(Done::Kill));
    block_in_place(|| server.does(Done::Start));
    let failed: usize = deliveries.join_all().await.into_iter().sum();
    assert!(failed > 0, "the server was killed when everything had been taken");
    let arrived = block_in_place(|| server.arrived());
    for event in 0..EVENTS {
        assert!(arrived.contains(&format!("msg_{event}")), "msg_{event} is lost");
    }
}
