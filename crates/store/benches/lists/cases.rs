//! Every list of the API that pages, with every filter, at its beginning, middle and end, and
//! backwards.

use std::{sync::Arc, time::Duration};

use ringback_domain::{
    id::{Id, Key},
    scope::{Reference, Scope},
    time::Timestamp,
};
use ringback_store::{
    AttemptQuery, BoxFuture, DeliveryStatus, EventTypeQuery, MessageQuery, MessageSearch, Order,
    Page, Position, Store, Targets, TaskQuery, Window,
};

use super::rows::{self, Plan};

/// A page of the API has at most this many.
pub(crate) const PAGE: usize = 250;

/// One list with its filters.
pub(crate) struct List {
    pub(crate) name: String,
    /// Where its keys lie.
    span: (Key, Key),
    /// Reads a page; how many it has.
    ask: Ask,
    /// Whether it is a list, whose pages have to be fast. Figures are measured, too.
    pub(crate) pages: bool,
}

type Ask = Box<dyn Fn(Arc<dyn Store>, Page) -> BoxFuture<'static, usize> + Send + Sync>;

/// Which page is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    First,
    Middle,
    Last,
    Backwards,
    OldestFirst,
}

impl Which {
    const ALL: [Which; 5] =
        [Which::First, Which::Middle, Which::Last, Which::Backwards, Which::OldestFirst];
}

impl List {
    /// The pages that are measured.
    pub(crate) fn which(&self) -> &'static [Which] {
        if self.pages { &Which::ALL } else { &[Which::First] }
    }

    /// Reads a page; `turn` chooses another one each time where it is in the middle.
    pub(crate) async fn read(&self, store: &Arc<dyn Store>, which: Which, turn: u64) -> usize {
        let (low, high) = self.span;
        let within = (high - low).max(1);
        let somewhere = low + (rows::mix(turn) % within as u64) as i64;
        let id = |key| Id { key, shard: 0, nonce: 7 };
        let (from, order) = match which {
            Which::First => (Position::Start, Order::Descending),
            Which::Middle => (Position::After(id(somewhere)), Order::Descending),
            Which::Last => (Position::After(id(low + within / 500)), Order::Descending),
            Which::Backwards => (Position::Before(id(somewhere)), Order::Descending),
            Which::OldestFirst => (Position::Start, Order::Ascending),
        };
        (self.ask)(store.clone(), Page { limit: PAGE, from, order }).await
    }
}

/// All that is measured.
pub(crate) fn lists(plan: &Plan, environment: Key) -> Vec<List> {
    let mut catalog = Catalog { plan, environment, lists: Vec::new() };
    catalog.messages();
    catalog.attempts();
    catalog.attempted();
    catalog.small();
    catalog.figures();
    catalog.lists
}

struct Catalog<'a> {
    plan: &'a Plan,
    environment: Key,
    lists: Vec<List>,
}

/// An application in the middle of the field.
const USUAL: usize = 40;

impl Catalog<'_> {
    fn scope(&self, application: usize) -> Scope {
        let application = self.plan.applications[application].key;
        Scope { environment: self.environment, application }
    }

    fn endpoint(&self, application: usize, endpoint: usize) -> Reference {
        named(self.plan.applications[application].endpoints[endpoint])
    }

    /// A message of an application, near the middle.
    fn message(&self, application: usize) -> Reference {
        let middle = self.plan.messages / 2;
        let number = (middle..).find(|number| self.plan.owner(*number) == application);
        named(self.plan.key(number.unwrap_or(middle)))
    }

    fn over_time(&self) -> (Key, Key) {
        (self.plan.key(0), self.plan.key(self.plan.messages))
    }

    fn add(&mut self, name: String, span: (Key, Key), ask: Ask) {
        self.lists.push(List { name, span, ask, pages: true });
    }

    fn messages(&mut self) {
        for (who, application) in
            [("largest", rows::BIG), ("usual", USUAL), ("sparse", rows::SPARSE)]
        {
            let scope = self.scope(application);
            for (filter, search) in searches(self.plan, application == rows::BIG) {
                let ask: Ask = Box::new(move |store, page| {
                    let mut search = search.clone();
                    search.query.page = page;
                    Box::pin(async move {
                        store.search_messages(scope, search).await.unwrap().items.len()
                    })
                });
                self.add(format!("messages, {who} application{filter}"), self.over_time(), ask);
            }
        }
    }

    fn attempts(&mut self) {
        for (who, application, endpoint) in [
            ("a busy endpoint", rows::BIG, 0),
            ("an endpoint with little", rows::BIG, rows::RARE),
            ("a usual endpoint", USUAL, 0),
            ("a sparse endpoint", rows::SPARSE, 0),
        ] {
            let (scope, endpoint) = (self.scope(application), self.endpoint(application, endpoint));
            for (filter, query) in attempt_queries(self.plan) {
                let query = AttemptQuery { endpoint: Some(endpoint.clone()), ..query };
                self.attempt_list(format!("attempts to {who}{filter}"), scope, query);
            }
        }
        for (who, application) in [("3,000 endpoints", rows::WIDE), ("one or two", rows::BIG)] {
            let scope = self.scope(application);
            let message = Some(self.message(application));
            for (filter, query) in attempt_queries(self.plan) {
                let query = AttemptQuery { message: message.clone(), ..query };
                self.attempt_list(format!("attempts of a message to {who}{filter}"), scope, query);
            }
        }
    }

    fn attempt_list(&mut self, name: String, scope: Scope, query: AttemptQuery) {
        let ask: Ask = Box::new(move |store, page| {
            let query = AttemptQuery { page, ..query.clone() };
            Box::pin(async move { store.search_attempts(scope, query).await.unwrap().items.len() })
        });
        self.add(name, self.over_time(), ask);
    }

    fn attempted(&mut self) {
        for (who, application, endpoint) in [
            ("a busy endpoint", rows::BIG, 0),
            ("the endpoint with the backlog", rows::BIG, rows::BACKLOG),
            ("an endpoint with little", rows::BIG, rows::RARE),
            ("a usual endpoint", USUAL, 0),
            ("a sparse endpoint", rows::SPARSE, 0),
        ] {
            let (scope, endpoint) = (self.scope(application), self.endpoint(application, endpoint));
            for (filter, search) in searches(self.plan, true) {
                let endpoint = endpoint.clone();
                let ask: Ask = Box::new(move |store, page| {
                    let (mut search, endpoint) = (search.clone(), endpoint.clone());
                    search.query.page = page;
                    Box::pin(async move {
                        let found = store.attempted_messages(scope, endpoint, search).await;
                        found.unwrap().items.len()
                    })
                });
                self.add(format!("messages of {who}{filter}"), self.over_time(), ask);
            }
        }
        for (who, application) in [("3,000", rows::WIDE), ("one or two", rows::BIG)] {
            let (scope, message) = (self.scope(application), self.message(application));
            let ask: Ask = Box::new(move |store, page| {
                let message = message.clone();
                Box::pin(async move {
                    store.attempted_endpoints(scope, message, page).await.unwrap().items.len()
                })
            });
            let span = self.of_endpoints(application);
            self.add(format!("endpoints of a message to {who}"), span, ask);
        }
    }

    fn of_endpoints(&self, application: usize) -> (Key, Key) {
        let endpoints = &self.plan.applications[application].endpoints;
        (endpoints[0], endpoints[endpoints.len() - 1])
    }

    fn small(&mut self) {
        let environment = self.environment;
        let applications = &self.plan.applications;
        let span = (applications[0].key, applications[applications.len() - 1].key);
        let ask: Ask = Box::new(move |store, page| {
            Box::pin(
                async move { store.applications(environment, page).await.unwrap().items.len() },
            )
        });
        self.add("applications".to_owned(), span, ask);
        let scope = self.scope(rows::WIDE);
        let ask: Ask = Box::new(move |store, page| {
            Box::pin(async move {
                store.endpoints(scope, Targets::All, page).await.unwrap().items.len()
            })
        });
        self.add("endpoints".to_owned(), self.of_endpoints(rows::WIDE), ask);
        let first = Id::first_key_at(Timestamp(self.plan.start));
        for kind in [None, Some(ringback_domain::task::Kind::Recover)] {
            let ask: Ask = Box::new(move |store, page| {
                let query = TaskQuery { page, status: None, kind };
                Box::pin(async move { store.tasks(environment, query).await.unwrap().items.len() })
            });
            let filter = if kind.is_some() { ", of a kind" } else { "" };
            self.add(format!("background tasks{filter}"), (first, first + 2_000), ask);
        }
        for include_archived in [false, true] {
            let ask: Ask = Box::new(move |store, page| {
                let name = |id: Id| format!("invoice.kind.{:05}", id.key - first);
                let from = match page.from {
                    Position::Start => Position::Start,
                    Position::After(id) => Position::After(name(id)),
                    Position::Before(id) => Position::Before(name(id)),
                };
                let (limit, order) = (page.limit, page.order);
                let query = EventTypeQuery { limit, from, order, include_archived, flags: None };
                Box::pin(
                    async move { store.event_types(environment, query).await.unwrap().items.len() },
                )
            });
            let filter = if include_archived { ", archived too" } else { "" };
            self.add(format!("event types{filter}"), (first, first + 2_000), ask);
        }
    }

    /// Not lists, but answered on the spot as well.
    fn figures(&mut self) {
        let until = Timestamp(self.plan.now);
        let since = until - Duration::from_secs(28 * 86_400);
        let window = Window { since, until, most: ringback_store::COUNT };
        for (who, endpoint) in [("a busy endpoint", 0), ("the backlog", rows::BACKLOG)] {
            let (scope, endpoint) = (self.scope(rows::BIG), self.endpoint(rows::BIG, endpoint));
            let of = endpoint.clone();
            let ask: Ask = Box::new(move |store, _| {
                let endpoint = of.clone();
                Box::pin(async move {
                    store.endpoint_stats(scope, endpoint, window).await.unwrap();
                    1
                })
            });
            self.figure(format!("figure: messages of {who}, 28 days"), ask);
            let ask: Ask = Box::new(move |store, _| {
                let endpoint = endpoint.clone();
                Box::pin(async move {
                    store.attempt_stats(scope, endpoint, window).await.unwrap();
                    1
                })
            });
            self.figure(format!("figure: attempts of {who}, 28 days"), ask);
        }
        let (scope, message) = (self.scope(USUAL), self.message(USUAL));
        let ask: Ask = Box::new(move |store, _| {
            let message = message.clone();
            Box::pin(async move { store.explain(scope, message).await.unwrap().endpoints.len() })
        });
        self.figure("why a message goes where".to_owned(), ask);
    }

    fn figure(&mut self, name: String, ask: Ask) {
        self.lists.push(List { name, span: (0, 1), ask, pages: false });
    }
}

fn named(key: Key) -> Reference {
    Reference::Id(Id { key, shard: 0, nonce: 7 })
}

/// What messages are searched for.
fn searches(plan: &Plan, every: bool) -> Vec<(String, MessageSearch)> {
    let all = || {
        let page = Page { limit: PAGE, from: Position::Start, order: Order::Descending };
        let event_types = Vec::new();
        let (channel, tag, before, after) = (None, None, None, None);
        MessageQuery { page, event_types, channel, tag, before, after, with_content: false }
    };
    let day = Duration::from_secs(86_400);
    let middle = Timestamp(plan.time(plan.messages / 2));
    let some = |text: &str| Some(text.to_owned());
    let types = |name: &str| vec![name.to_owned()];
    let mut queries = vec![
        ("", all()),
        (", with content", MessageQuery { with_content: true, ..all() }),
        (", tag that one in 100,000 has", MessageQuery { tag: some(rows::RARE_TAG), ..all() }),
        (", of one day", MessageQuery { after: Some(middle), before: Some(middle + day), ..all() }),
    ];
    if every {
        queries.extend([
            (", event type", MessageQuery { event_types: types(rows::COMMON_TYPE), ..all() }),
            (", rare event type", MessageQuery { event_types: types(rows::RARE_TYPE), ..all() }),
            (", channel", MessageQuery { channel: some(rows::CHANNEL), ..all() }),
            (", rare channel", MessageQuery { channel: some(rows::RARE_CHANNEL), ..all() }),
            (", tag", MessageQuery { tag: some(rows::COMMON_TAG), ..all() }),
            (", before a time", MessageQuery { before: Some(middle), ..all() }),
            (", after a time", MessageQuery { after: Some(middle), ..all() }),
        ]);
    }
    let plain = queries.into_iter().map(|(name, query)| (name.to_owned(), query, None));
    let by_status = DeliveryStatus::ALL
        .into_iter()
        .map(|status| (format!(", status {}", status.number()), all(), Some(status)));
    let search = |(name, query, status)| (name, MessageSearch { query, status });
    plain.chain(by_status).map(search).collect()
}

/// What attempts are searched for.
fn attempt_queries(plan: &Plan) -> Vec<(&'static str, AttemptQuery)> {
    let all = || AttemptQuery {
        page: Page { limit: PAGE, from: Position::Start, order: Order::Descending },
        message: None,
        endpoint: None,
        succeeded: None,
        retrying: None,
        status_codes: None,
        event_types: Vec::new(),
        channel: None,
        tag: None,
        before: None,
        after: None,
    };
    let day = Duration::from_secs(86_400);
    let middle = Timestamp(plan.time(plan.messages / 2));
    let some = |text: &str| Some(text.to_owned());
    vec![
        ("", all()),
        (", successes", AttemptQuery { succeeded: Some(true), ..all() }),
        (", failures", AttemptQuery { succeeded: Some(false), ..all() }),
        (", answered 5xx", AttemptQuery { status_codes: Some((500, 599)), ..all() }),
        (", answered 4xx", AttemptQuery { status_codes: Some((400, 499)), ..all() }),
        (", rare event type", AttemptQuery { event_types: vec![rows::RARE_TYPE.into()], ..all() }),
        (", channel", AttemptQuery { channel: some(rows::CHANNEL), ..all() }),
        (", rare tag", AttemptQuery { tag: some(rows::RARE_TAG), ..all() }),
        (", of one day", AttemptQuery { after: Some(middle), before: Some(middle + day), ..all() }),
    ]
}
