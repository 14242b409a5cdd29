//! Listening: events come from the link, go through the workers, and are acknowledged.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use super::book::{Arrival, Book};
use super::event::{Ended, Event, Outcome};
use super::face::{Face, Wish};
use super::frame::{self, Behind, Hello};
use super::link::{Link, Told};
use super::record;
use super::resign::Signer;
use super::status::Status;
use super::work::{Notice, Pace, Worker};
use crate::app::Signals;
use crate::cli::outward::below;
use crate::cli::{Failure, note, span};
use crate::seam::Clock;

/// For what is under way when we are asked to stop.
const LAST_ORDERS: Duration = Duration::from_secs(3);
/// For the last acknowledgements to be sent.
const FAREWELL: Duration = Duration::from_secs(3);
/// How often the screen is drawn at most.
const FRAME: Duration = Duration::from_millis(50);

/// What is listened with.
pub(super) struct Terms {
    pub(super) is_shared: bool,
    pub(super) answers: bool,
    pub(super) concurrency: usize,
    /// After so many events it is enough.
    pub(super) once: Option<u64>,
    pub(super) record: Option<PathBuf>,
    /// Where events go, for providers that sign the URL.
    pub(super) forward: Option<Url>,
    /// Who takes events, in words.
    pub(super) takes: String,
}

/// One run.
pub(super) struct Session {
    terms: Terms,
    worker: Worker,
    signer: Option<Signer>,
    clock: Arc<dyn Clock>,
    face: Face,
    status: Status,
    book: Book,
    queue: VecDeque<Arc<Event>>,
    jobs: JoinSet<(Arc<Event>, Option<Outcome>)>,
    /// What is sent again because somebody wants to see it again.
    repeats: JoinSet<(Arc<Event>, Outcome)>,
    begun: u64,
    handled: u64,
    pace: watch::Sender<Pace>,
    checkpoint: watch::Sender<Option<String>>,
    outbox: Option<mpsc::UnboundedSender<Message>>,
}

/// The ends of the channels that others have.
pub(super) struct Ends {
    pub(super) pace: watch::Sender<Pace>,
    pub(super) checkpoint: watch::Sender<Option<String>>,
    pub(super) outbox: mpsc::UnboundedSender<Message>,
}

/// Whether there is more to do.
enum Next {
    Go,
    Stop,
}

impl Session {
    pub(super) fn new(
        terms: Terms,
        worker: Worker,
        signer: Option<Signer>,
        clock: Arc<dyn Clock>,
        face: Face,
        ends: Ends,
    ) -> Self {
        let book = Book::new(terms.is_shared);
        let Ends { pace, checkpoint, outbox } = ends;
        Self {
            terms,
            worker,
            signer,
            clock,
            face,
            status: Status::new(),
            book,
            queue: VecDeque::new(),
            jobs: JoinSet::new(),
            repeats: JoinSet::new(),
            begun: 0,
            handled: 0,
            pace,
            checkpoint,
            outbox: Some(outbox),
        }
    }

    /// Listens until somebody wants an end, or there is no use in going on.
    pub(super) async fn run(
        mut self,
        link: Link,
        mut told: mpsc::Receiver<Told>,
        mut notices: mpsc::UnboundedReceiver<Notice>,
    ) -> Result<(), Failure> {
        let mut signals = Signals::new()?;
        let mut links = JoinSet::new();
        links.spawn(link.keep());
        let outcome = self.listen(&mut signals, &mut told, &mut notices).await;
        if outcome.is_ok() {
            self.last_orders(&mut signals).await?;
        }
        // The link sends what is left to say, and ends.
        self.outbox = None;
        drop(told);
        let _ = timeout(FAREWELL, links.join_next()).await;
        self.face.close();
        if outcome.is_ok() && self.face.is_screen() {
            note(&format!("{} events dealt with", self.handled));
        }
        outcome
    }

    async fn listen(
        &mut self,
        signals: &mut Signals,
        told: &mut mpsc::Receiver<Told>,
        notices: &mut mpsc::UnboundedReceiver<Notice>,
    ) -> Result<(), Failure> {
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = tokio::select! {
                biased;
                () = signals.stop() => Next::Stop,
                wish = self.face.wish() => self.grant(wish),
                Some(ended) = self.jobs.join_next() => {
                    if let Ok((event, Some(outcome))) = ended {
                        self.dealt_with(&event, &outcome)?;
                    }
                    Next::Go
                }
                Some(ended) = self.repeats.join_next() => {
                    if let Ok((event, outcome)) = ended {
                        self.face.repeated(&event, outcome);
                    }
                    Next::Go
                }
                Some(notice) = notices.recv() => {
                    self.noticed(notice);
                    Next::Go
                }
                Some(told) = told.recv() => {
                    self.hear(told)?;
                    Next::Go
                }
                _ = frames.tick(), if self.face.is_screen() => {
                    self.face.draw(&self.status)?;
                    Next::Go
                }
            };
            self.begin();
            if matches!(next, Next::Stop) || self.is_enough() {
                return Ok(());
            }
        }
    }

    /// What is under way may end; a second signal does not wait for it.
    async fn last_orders(&mut self, signals: &mut Signals) -> Result<(), Failure> {
        self.pace.send_replace(Pace::Stopping);
        let until = Instant::now() + LAST_ORDERS;
        loop {
            tokio::select! {
                ended = self.jobs.join_next() => match ended {
                    Some(Ok((event, Some(outcome)))) => self.dealt_with(&event, &outcome)?,
                    Some(_) => {}
                    None => return Ok(()),
                },
                () = signals.stop() => return Ok(()),
                () = tokio::time::sleep_until(until) => return Ok(()),
            }
        }
    }

    fn is_enough(&self) -> bool {
        self.terms.once.is_some_and(|once| self.handled >= once)
    }

    /// Begins as many events as may be under way.
    fn begin(&mut self) {
        while *self.pace.borrow() == Pace::Going
            && self.jobs.len() < self.terms.concurrency
            && self.terms.once.is_none_or(|once| self.begun < once)
            && let Some(event) = self.queue.pop_front()
        {
            self.begun += 1;
            self.jobs.spawn(self.worker.clone().deal_with(event));
        }
    }

    fn hear(&mut self, told: Told) -> Result<(), Failure> {
        let now = Instant::now();
        match told {
            Told::Open(hello) => self.opened(hello, now),
            Told::Event(event) => self.arrived(*event),
            Told::Behind(behind) => {
                if let Some(news) = self.status.behind(behind) {
                    self.face.news(&self.status, news);
                }
            }
            Told::Lost(why) => {
                if let Some(problem) = self.status.lost(why, now) {
                    self.face.problem(&problem);
                }
                if self.terms.is_shared {
                    // Somebody else gets what is not begun here.
                    let queue = std::mem::take(&mut self.queue);
                    queue.iter().for_each(|event| self.book.forget(&event.id));
                }
            }
            Told::Moved => {
                let why = "the place was moved at the server".to_owned();
                if let Some(problem) = self.status.lost(why, now) {
                    self.face.problem(&problem);
                }
                // Those that are under way end; from the new place on, all come anew.
                self.book = Book::new(self.terms.is_shared);
                self.queue.clear();
                self.checkpoint.send_replace(None);
            }
            Told::Slept(slept) => {
                let slept = span::shown(slept);
                self.face
                    .problem(&format!("this machine slept for {slept}: asking for the server"));
            }
            Told::Over(why) => return Err(Failure::Failed(why)),
        }
        Ok(())
    }

    fn opened(&mut self, hello: Hello, now: Instant) {
        let Hello { name, sources, backlog } = hello;
        let behind = Behind::from(backlog);
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        let news = self.status.opened(behind, now).unwrap_or_else(|| {
            let sources =
                if names.is_empty() { "all sources".to_owned() } else { names.join(", ") };
            let (takes, backlog) = (&self.terms.takes, self.status.backlog());
            format!("listening as {name} to {sources}, {takes}; {backlog}")
        });
        self.face.opened(&name);
        self.face.news(&self.status, &news);
        // What was said to a connection that is gone may not have been heard.
        if let Some(place) = self.book.checkpoint().map(str::to_owned) {
            self.say(Message::text(frame::ack(&place)));
        }
    }

    fn arrived(&mut self, event: Event) {
        match self.book.arrived(&event.id) {
            Arrival::Here => return,
            Arrival::Done(place) => return self.say(Message::text(frame::ack(&place))),
            Arrival::New => {}
        }
        if let Some(directory) = &self.terms.record
            && let Err(error) = record::write(directory, &event)
        {
            self.face.problem(&format!("{} is not recorded: {error}", event.id));
        }
        let event = self.signed(event);
        let event = Arc::new(event);
        self.face.arrived(&event);
        self.queue.push_back(event);
    }

    fn signed(&mut self, event: Event) -> Event {
        let (Some(signer), Some(url)) = (&mut self.signer, &self.terms.forward) else {
            return event;
        };
        let url = below(url, &event.target);
        let (event, problem) = signer.sign(event, url.as_str(), self.clock.now());
        if let Some(problem) = problem {
            self.face.problem(&problem);
        }
        event
    }

    fn dealt_with(&mut self, event: &Arc<Event>, outcome: &Outcome) -> Result<(), Failure> {
        self.handled += 1;
        self.face.ended(event, outcome)?;
        if let Ended::GivenBack(_) = outcome.ended {
            self.book.forget(&event.id);
            self.say(Message::text(frame::nack(&event.id)));
            return Ok(());
        }
        self.answer(event, outcome);
        if let Some(place) = self.book.dealt_with(&event.id) {
            self.say(Message::text(frame::ack(&place)));
        }
        self.checkpoint.send_replace(self.book.checkpoint().map(str::to_owned));
        Ok(())
    }

    /// Localhost's answer is the provider's, if it is in time.
    fn answer(&mut self, event: &Event, outcome: &Outcome) {
        let (Some(within), Ended::Answered(answered)) = (event.answer_within, &outcome.ended)
        else {
            return;
        };
        if !self.terms.answers {
            return;
        }
        if outcome.took > Duration::from_millis(within) {
            self.face.problem(&format!(
                "the answer to {} came after the {within} ms that the provider waits for it",
                event.id
            ));
        }
        match frame::answer(&event.id, answered) {
            Some(frame) => self.say(Message::Binary(frame)),
            None => self.face.problem(&format!(
                "the answer to {} is longer than {} KiB, so the provider does not get it",
                event.id,
                frame::LONGEST_ANSWER / 1024
            )),
        }
    }

    fn noticed(&mut self, notice: Notice) {
        match notice {
            Notice::Waits(id, why) => {
                let takes = &self.terms.takes;
                self.face.problem(&format!("nobody takes {id} ({takes}: {why}); trying again"));
                self.status.waits = Some(why);
            }
            Notice::Taken => {
                self.status.waits = None;
                self.face.news(&self.status, "events are taken again");
            }
        }
    }

    fn grant(&mut self, wish: Wish) -> Next {
        match wish {
            Wish::Quit => return Next::Stop,
            Wish::Again(event) => {
                self.repeats.spawn(self.worker.clone().try_once(event));
            }
            Wish::Pause(is_paused) => {
                self.pace.send_replace(if is_paused { Pace::Paused } else { Pace::Going });
            }
        }
        Next::Go
    }

    fn say(&self, message: Message) {
        // A link that has ended has told why.
        let _ = self.outbox.as_ref().map(|outbox| outbox.send(message));
    }
}
