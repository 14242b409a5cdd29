//! Pages of lists, and what they are asked for with.

use ringback_domain::{
    application::Application, attempt::Attempt, endpoint::Endpoint, id::Id, message::Message,
    route::Verdict, scope::Reference, time::Timestamp,
};

/// Which way a list runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position<C> {
    /// At the beginning of the list.
    Start,
    /// After this one, which may no longer exist.
    After(C),
    /// The page that ends before this one.
    Before(C),
}

/// A page of a list that is ordered by id.
#[derive(Clone, Debug)]
pub struct Page {
    /// At most this many.
    pub limit: usize,
    /// Where it begins.
    pub from: Position<Id>,
    /// Which way the list runs.
    pub order: Order,
}

/// Which endpoints a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// All.
    All,
    /// Those with a URL that is called as it is.
    Urls,
    /// Those that name a kind of destination.
    Destinations,
}

impl Targets {
    /// Whether destinations are asked for, or what is none; nothing if it does not matter.
    pub(crate) fn are_destinations(self) -> Option<bool> {
        match self {
            Targets::All => None,
            Targets::Urls => Some(false),
            Targets::Destinations => Some(true),
        }
    }
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// In the order that was asked for.
    pub items: Vec<T>,
    /// Whether there is nothing beyond this page; for [`Position::Before`] beyond means before it.
    pub done: bool,
}

/// Which event types to list.
#[derive(Clone, Debug)]
pub struct EventTypeQuery {
    /// At most this many.
    pub limit: usize,
    /// Where the page begins, by name.
    pub from: Position<String>,
    /// Which way the list runs.
    pub order: Order,
    /// Archived ones too.
    pub include_archived: bool,
    /// Only those without a flag and those with one of these; all when none is given.
    pub flags: Option<Vec<String>>,
}

/// Which messages to list.
#[derive(Clone, Debug)]
pub struct MessageQuery {
    /// The page.
    pub page: Page,
    /// Only these event types; all when empty.
    pub event_types: Vec<String>,
    /// Only with this channel.
    pub channel: Option<String>,
    /// Only with this tag.
    pub tag: Option<String>,
    /// Only accepted before.
    pub before: Option<Timestamp>,
    /// Only accepted after.
    pub after: Option<Timestamp>,
    /// With their payloads.
    pub with_content: bool,
}

/// Which attempts to list.
#[derive(Clone, Debug)]
pub struct AttemptQuery {
    /// The page.
    pub page: Page,
    /// Only of this message.
    pub message: Option<Reference>,
    /// Only to this endpoint.
    pub endpoint: Option<Reference>,
    /// Only successes, or only failures.
    pub succeeded: Option<bool>,
    /// Only failures that will be tried again (`true`), or that will not (`false`).
    pub retrying: Option<bool>,
    /// Only status codes from the first to the second.
    pub status_codes: Option<(u16, u16)>,
    /// Only of messages of these event types; all when empty.
    pub event_types: Vec<String>,
    /// Only of messages with this channel.
    pub channel: Option<String>,
    /// Only of messages with this tag.
    pub tag: Option<String>,
    /// Only begun before.
    pub before: Option<Timestamp>,
    /// Only begun after.
    pub after: Option<Timestamp>,
}

/// Why a message goes where it goes.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The message.
    pub message: Message,
    /// One line per endpoint that the application has or had.
    pub endpoints: Vec<Explained>,
}

/// One endpoint's line of an explanation.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The endpoint as it is now.
    pub endpoint: Endpoint,
    /// Whether the message was for it.
    pub verdict: Verdict,
    /// The pending delivery, if there is one.
    pub pending: Option<Pending>,
    /// How many attempts were recorded.
    pub attempts: u32,
    /// The last attempt, if there was one.
    pub last: Option<Attempt>,
    /// Whether one of the attempts succeeded.
    pub delivered: bool,
}

/// A pending delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// When it is due; or would be, if it stood first in its order.
    pub due_at: Timestamp,
    /// Where it stands.
    pub rank: crate::Rank,
    /// How many scheduled attempts there were.
    pub attempts: u32,
}

/// An id that an [`Id`] was wrapped into for a list's cursor.
pub trait Identified {
    /// Its id.
    fn id(&self) -> Id;
}

impl Identified for Application {
    fn id(&self) -> Id {
        self.id.0
    }
}
impl Identified for Endpoint {
    fn id(&self) -> Id {
        self.id.0
    }
}
impl Identified for Message {
    fn id(&self) -> Id {
        self.id.0
    }
}
impl Identified for ringback_domain::task::Task {
    fn id(&self) -> Id {
        self.id.0
    }
}
impl Identified for ringback_domain::source::Source {
    fn id(&self) -> Id {
        self.id.0
    }
}
impl Identified for ringback_domain::source::Received {
    fn id(&self) -> Id {
        self.id.0
    }
}
impl Identified for Attempt {
    fn id(&self) -> Id {
        self.id.0
    }
}
