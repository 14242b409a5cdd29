//! What the screen shows and what keys do to it, without a terminal.

use std::collections::VecDeque;
use std::sync::Arc;

use url::Url;

use super::super::event::{Ended, Event, Outcome};
use super::super::face::Wish;
use crate::cli::curl::{command, quoted};
use crate::cli::outward::below;

/// Events in memory at most.
const MOST: usize = 1000;
/// Bytes of their bodies and answers at most.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// What does not change.
#[derive(Clone, Debug)]
pub(in super::super) struct Head {
    /// The server.
    pub(in super::super) server: String,
    /// The listener, until the server says its name.
    pub(in super::super) name: String,
    /// Who takes events, in words.
    pub(in super::super) takes: String,
    /// Where a command line sends an event.
    pub(in super::super) forward: Option<Url>,
}

/// An event on the screen.
#[derive(Debug)]
pub(super) struct Item {
    number: u64,
    pub(super) event: Arc<Event>,
    pub(super) outcome: Option<Outcome>,
    /// How often it was handed over.
    pub(super) times: u32,
    /// Whether the filter lets it through.
    passes: bool,
}

/// What takes the place below the head.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum View {
    List,
    Details,
    /// A command line that was copied.
    Copied(String),
    Help,
}

/// A key, as far as it means something here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    Interrupt,
    Resized,
    Char(char),
}

/// What a key leads to outside.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    None,
    Wish(Wish),
    Copy(String),
}

/// All of it.
#[derive(Debug)]
pub(in super::super) struct State {
    pub(super) head: Head,
    items: VecDeque<Item>,
    bytes: usize,
    next: u64,
    /// The number of the item under the cursor; none follows the newest.
    cursor: Option<u64>,
    pub(super) view: View,
    /// Lines that are scrolled away above.
    pub(super) scroll: usize,
    pub(super) filter: String,
    pub(super) is_typing: bool,
    pub(super) is_paused: bool,
    /// What was said last.
    pub(super) said: String,
    /// Rows of the list, or of the page, as they were drawn last.
    pub(super) rows: usize,
    has_changed: bool,
}

impl State {
    pub(super) fn new(head: Head) -> Self {
        Self {
            head,
            items: VecDeque::new(),
            bytes: 0,
            next: 0,
            cursor: None,
            view: View::List,
            scroll: 0,
            filter: String::new(),
            is_typing: false,
            is_paused: false,
            said: String::new(),
            rows: 1,
            has_changed: true,
        }
    }

    /// Whether there is something to draw since this was asked last.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    pub(in super::super) fn named(&mut self, name: &str) {
        name.clone_into(&mut self.head.name);
        self.has_changed = true;
    }

    pub(in super::super) fn say(&mut self, what: &str) {
        what.clone_into(&mut self.said);
        self.has_changed = true;
    }

    pub(in super::super) fn arrived(&mut self, event: Arc<Event>) {
        let passes = passes(&event, &self.filter);
        self.bytes += event.body.len();
        self.items.push_back(Item { number: self.next, event, outcome: None, times: 0, passes });
        self.next += 1;
        self.bound();
        self.has_changed = true;
    }

    /// The newest event of this id has ended like this.
    pub(in super::super) fn ended(&mut self, id: &str, outcome: Outcome) {
        let Some(item) = self.items.iter_mut().rev().find(|item| item.event.id == id) else {
            return;
        };
        self.bytes -= item.outcome.as_ref().map_or(0, size);
        self.bytes += size(&outcome);
        item.times += 1;
        item.outcome = Some(outcome);
        self.bound();
        self.has_changed = true;
    }

    /// The items that the filter lets through, oldest first.
    pub(super) fn shown(&self) -> Vec<&Item> {
        self.items.iter().filter(|item| item.passes).collect()
    }

    /// The place of the cursor among those.
    pub(super) fn place(&self, shown: &[&Item]) -> usize {
        let last = shown.len().saturating_sub(1);
        // An item that has gone was the oldest.
        let place = |number| shown.iter().position(|item| item.number >= number).unwrap_or(last);
        self.cursor.map_or(last, place)
    }

    /// What the cursor is on.
    pub(super) fn current(&self) -> Option<&Item> {
        let shown = self.shown();
        shown.get(self.place(&shown)).copied()
    }

    /// Whether the cursor stays on the newest.
    pub(super) fn follows(&self) -> bool {
        self.cursor.is_none()
    }

    /// A key was pressed.
    pub(super) fn press(&mut self, key: Key) -> Effect {
        self.has_changed = true;
        if key == Key::Interrupt {
            return Effect::Wish(Wish::Quit);
        }
        if self.is_typing {
            self.typed(key);
            return Effect::None;
        }
        match key {
            Key::Char('q') if self.view == View::List => return Effect::Wish(Wish::Quit),
            Key::Char('q') | Key::Escape if self.view != View::List => self.turn_to(View::List),
            Key::Escape => {
                self.filter.clear();
                self.sift();
                self.cursor = None;
            }
            Key::Char('?') => self.turn_to(View::Help),
            Key::Char('/') => {
                self.turn_to(View::List);
                self.is_typing = true;
            }
            Key::Char('p') => {
                self.is_paused = !self.is_paused;
                return Effect::Wish(Wish::Pause(self.is_paused));
            }
            Key::Enter | Key::Char('d') => self.turn_to(match self.view {
                View::List if self.current().is_some() => View::Details,
                _ => View::List,
            }),
            Key::Char('r') => return self.again(),
            Key::Char('c') => return self.copied(),
            _ => self.moved(key),
        }
        Effect::None
    }

    fn turn_to(&mut self, view: View) {
        self.view = view;
        self.scroll = 0;
    }

    fn typed(&mut self, key: Key) {
        match key {
            Key::Enter => self.is_typing = false,
            Key::Escape => {
                self.filter.clear();
                self.is_typing = false;
            }
            Key::Backspace => drop(self.filter.pop()),
            Key::Char(one) => self.filter.push(one),
            _ => return self.moved(key),
        }
        self.sift();
    }

    fn again(&mut self) -> Effect {
        let Some(event) = self.current().map(|item| Arc::clone(&item.event)) else {
            return Effect::None;
        };
        self.said = format!("sending {} again", event.id);
        Effect::Wish(Wish::Again(event))
    }

    fn copied(&mut self) -> Effect {
        let Some(item) = self.current() else { return Effect::None };
        let anywhere = || Url::parse("http://localhost:3000/").ok();
        let Some(url) = self.head.forward.clone().or_else(anywhere) else { return Effect::None };
        let Event { method, target, headers, body, .. } = &*item.event;
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let line = command(method, &quoted(below(&url, target).as_str()), headers, body);
        self.turn_to(View::Copied(line.clone()));
        Effect::Copy(line)
    }

    fn moved(&mut self, key: Key) {
        let page = self.rows.saturating_sub(1).max(1);
        let step = |place: usize, last: usize| match key {
            Key::Up | Key::Char('k') => place.saturating_sub(1),
            Key::Down | Key::Char('j') => (place + 1).min(last),
            Key::PageUp => place.saturating_sub(page),
            Key::PageDown => (place + page).min(last),
            Key::Home | Key::Char('g') => 0,
            Key::End | Key::Char('G') => last,
            _ => place,
        };
        if self.view != View::List {
            // Whoever draws knows where the page ends.
            self.scroll = step(self.scroll, usize::MAX / 2);
            return;
        }
        let shown = self.shown();
        let last = shown.len().saturating_sub(1);
        let place = step(self.place(&shown), last);
        let number = shown.get(place).map(|item| item.number);
        self.cursor = number.filter(|_| place < last);
    }

    /// Applies the filter to what is here.
    fn sift(&mut self) {
        for item in &mut self.items {
            item.passes = passes(&item.event, &self.filter);
        }
    }

    /// Forgets the oldest until the bounds hold.
    fn bound(&mut self) {
        while self.items.len() > MOST || (self.bytes > MOST_BYTES && self.items.len() > 1) {
            let Some(oldest) = self.items.pop_front() else { return };
            self.bytes -= oldest.event.body.len() + oldest.outcome.as_ref().map_or(0, size);
        }
    }
}

fn size(outcome: &Outcome) -> usize {
    match &outcome.ended {
        Ended::Answered(answered) => answered.body.len(),
        Ended::Exited(exited) => exited.output.len(),
        Ended::Shown | Ended::GivenUp(_) | Ended::GivenBack(_) => 0,
    }
}

/// Whether type, source, id or body have the text, in either case of letters.
fn passes(event: &Event, filter: &str) -> bool {
    if filter.is_empty() {
        return true;
    }
    let filter = filter.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&filter);
    has(event.kind())
        || has(event.from())
        || has(&event.id)
        || has(&String::from_utf8_lossy(&event.body))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::super::super::event::Answered;
    use super::super::super::sample::event;
    use super::*;

    pub(in super::super) fn state(events: usize) -> State {
        let head = Head {
            server: "https://hooks.example".to_owned(),
            name: "ada.laptop".to_owned(),
            takes: "forwarding to http://localhost:3000/hook".to_owned(),
            forward: Url::parse("http://localhost:3000/hook").ok(),
        };
        let mut state = State::new(head);
        for number in 0..events {
            state.arrived(Arc::new(event(&format!("msg_{number}"))));
        }
        state
    }

    pub(in super::super) fn answered(status: u16, body: &'static str) -> Outcome {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let body = body.into();
        let ended = Ended::Answered(Answered { status, headers, body, is_truncated: false });
        Outcome { ended, took: Duration::from_millis(12) }
    }

    fn id(state: &State) -> &str {
        state.current().map_or("", |item| &item.event.id)
    }

    #[test]
    fn the_cursor_follows_unless_it_was_moved_up() {
        let mut state = state(5);
        assert_eq!((id(&state), state.follows()), ("msg_4", true));
        state.rows = 3;
        for (key, expected) in [
            (Key::Up, "msg_3"),
            (Key::Char('k'), "msg_2"),
            (Key::PageUp, "msg_0"),
            (Key::Up, "msg_0"),
            (Key::Down, "msg_1"),
            (Key::PageDown, "msg_3"),
        ] {
            state.press(key);
            assert_eq!(id(&state), expected, "{key:?}");
        }
        state.arrived(Arc::new(event("msg_5")));
        assert_eq!((id(&state), state.follows()), ("msg_3", false));
        state.press(Key::End);
        state.arrived(Arc::new(event("msg_6")));
        assert_eq!((id(&state), state.follows()), ("msg_6", true));
        state.press(Key::Home);
        assert_eq!(id(&state), "msg_0");
    }

    #[test]
    fn a_filter_is_typed_and_taken_away() {
        let mut state = state(2);
        let body = "{\"Customer\":\"Ada\"}".into();
        state.arrived(Arc::new(Event { body, ..event("msg_9") }));
        state.press(Key::Char('/'));
        "ADAq".chars().for_each(|one| assert_eq!(state.press(Key::Char(one)), Effect::None));
        assert_eq!(state.shown().len(), 0);
        state.press(Key::Backspace);
        assert_eq!(state.shown().len(), 1);
        state.press(Key::Enter);
        assert!(!state.is_typing);
        state.arrived(Arc::new(event("msg_10")));
        assert_eq!(id(&state), "msg_9");
        state.press(Key::Escape);
        assert_eq!((state.shown().len(), state.filter.as_str()), (4, ""));
    }

    #[test]
    fn keys_lead_where_they_say() {
        let mut state = state(1);
        let this = Arc::clone(&state.current().unwrap().event);
        assert_eq!(state.press(Key::Char('r')), Effect::Wish(Wish::Again(this)));
        assert_eq!(state.press(Key::Char('p')), Effect::Wish(Wish::Pause(true)));
        assert_eq!(state.press(Key::Char('p')), Effect::Wish(Wish::Pause(false)));
        for key in [Key::Enter, Key::Char('d')] {
            state.press(key);
            assert_eq!(state.view, View::Details);
            state.press(key);
            assert_eq!(state.view, View::List);
        }
        let Effect::Copy(line) = state.press(Key::Char('c')) else { panic!() };
        assert!(line.starts_with("curl ") && line.contains("'http://localhost:3000/"), "{line}");
        assert!(line.ends_with("--data-raw '{\"a\":1}'"), "{line}");
        assert_eq!(state.view, View::Copied(line));
        // First back to the list, then away.
        assert_eq!(state.press(Key::Char('q')), Effect::None);
        assert_eq!(state.press(Key::Char('q')), Effect::Wish(Wish::Quit));
        assert_eq!(state.press(Key::Char('?')), Effect::None);
        assert_eq!(state.view, View::Help);
        assert_eq!(state.press(Key::Interrupt), Effect::Wish(Wish::Quit));
    }

    #[test]
    fn nothing_is_done_with_nothing() {
        let mut state = state(0);
        for key in [Key::Up, Key::End, Key::Enter, Key::Char('r'), Key::Char('c'), Key::PageDown] {
            assert_eq!(state.press(key), Effect::None);
            assert_eq!(state.view, View::List);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut state = state(MOST + 10);
        assert_eq!((state.shown().len(), state.shown()[0].event.id.as_str()), (MOST, "msg_10"));
        for number in 0..70 {
            let body = vec![b'x'; 1 << 20].into();
            state.arrived(Arc::new(Event { body, ..event(&format!("big_{number}")) }));
        }
        let held: usize = state.items.iter().map(|item| item.event.body.len()).sum();
        assert!(held <= MOST_BYTES && held == state.bytes, "{held}");
        for _ in 0..3 {
            state.ended("big_69", answered(200, "{}"));
        }
        assert_eq!(state.current().unwrap().times, 3);
        // One of the others had to go for it, and what it was answered counts once.
        let held: usize = state.items.iter().map(|item| item.event.body.len()).sum();
        assert_eq!(state.bytes, held + 2);
    }
}
