//! Lists of a store that was filled over a month: nothing is missing or told twice on the way
//! through its pages, and none takes long. `cargo xtask lists` is the same with ten million attempts.

#![allow(clippy::disallowed_methods, reason = "it measures, with a real clock")]

#[path = "../../benches/lists/cases.rs"]
mod cases;
#[path = "../../benches/lists/measure.rs"]
mod measure;
#[path = "../../benches/lists/postgres.rs"]
mod postgres;
#[path = "../../benches/lists/rows.rs"]
mod rows;
#[path = "../../benches/lists/sqlite.rs"]
mod sqlite;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ringback_domain::{
    id::{Id, Key},
    scope::{Reference, Scope},
    shard,
    time::Timestamp,
};
use ringback_pg_cluster::Database;
use ringback_store::{
    DeliveryStatus, Found, Identified, MessageQuery, MessageSearch, Order, Page, Position, Store,
    postgres::Postgres, sqlite::Sqlite,
};
use rows::{Plan, Rows};

const NOW: i64 = 1_800_000_000_000;
const DAYS: i64 = 30;
const ATTEMPTS: u64 = 20_000;
/// Ten times what is asked for where nothing else is done: tests run beside each other, and are not
/// optimised.
const LIMIT: Duration = Duration::from_millis(500);

async fn prepared(store: &dyn Store) -> Key {
    let environment = store.environment("production".to_owned(), Timestamp(0)).await.unwrap();
    store.close().await;
    environment
}

fn filling(plan: &Plan) -> Rows {
    let mut rows = Rows::default();
    (0..plan.messages).for_each(|number| plan.message(number, &mut rows));
    rows
}

#[tokio::test]
async fn sqlite_lists_what_it_was_filled_with_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Arc::new(Sqlite::open(directory.path(), &Default::default()).unwrap());
    let environment = prepared(&*open()).await;
    let plan = Plan::new(ATTEMPTS, DAYS, NOW);
    let rows = filling(&plan);
    let mut filler = sqlite::Filler::new(directory.path(), environment);
    filler.catalog(&plan);
    filler.write(&rows);
    filler.finish();
    check(open(), &plan, &rows, environment).await;
}

#[tokio::test]
async fn postgres_lists_what_it_was_filled_with_in_time() {
    let database = Database::create().unwrap();
    let open = || Arc::new(Postgres::open(&database.dsn(), &Default::default()).unwrap());
    let environment = prepared(&*open()).await;
    let plan = Plan::new(ATTEMPTS, DAYS, NOW);
    let rows = filling(&plan);
    let mut filler = postgres::Filler::new(&database.dsn(), environment).await;
    filler.catalog(&plan).await;
    filler.write(&rows).await;
    // A busy application that shares the shard of a quiet one is not read for its lists.
    let (quiet, crowd) = (rows::SPARSE, crowd(&plan, rows::SPARSE));
    filler.write(&crowd).await;
    filler.finish(&plan).await;
    check(open(), &plan, &rows, environment).await;
    let (store, quiet) = (open() as Arc<dyn Store>, Filled::new(&plan, &rows, quiet, environment));
    quiet.messages(&store).await;
    quiet.attempted(&store).await;
    store.close().await;
}

/// Attempts of an application that is in the same shard as another.
fn crowd(plan: &Plan, beside: usize) -> Rows {
    const MANY: i64 = 25_000;
    let shard = shard::of(plan.applications[beside].key);
    let application = (1..).find(|key| shard::of(*key) == shard).unwrap();
    let step = (plan.key(plan.messages) - plan.key(0)) / MANY;
    let attempt = |number| {
        let key = plan.key(0) + number * step;
        let (message, endpoint) = (key - 1, application + 1);
        let (number, trigger, outcome, status_code) = (1, 0, 0, 200);
        rows::Attempt { key, application, message, endpoint, number, trigger, outcome, status_code }
    };
    Rows { attempts: (0..MANY).map(attempt).collect(), ..Rows::default() }
}

async fn check(store: Arc<dyn Store>, plan: &Plan, rows: &Rows, environment: Key) {
    let filled = Filled::new(plan, rows, rows::BIG, environment);
    filled.messages(&store).await;
    filled.attempted(&store).await;
    let mut all = Vec::new();
    for list in cases::lists(plan, environment) {
        let pages = &list.which()[..list.which().len().min(2)];
        for measured in measure::measure(&store, &list, pages, 1).await {
            all.push((measured.percentile(95), measured.name, measured.which, measured.rows));
        }
    }
    store.close().await;
    all.sort_by_key(|(time, ..)| *time);
    let (time, ..) = &all[all.len() * 95 / 100];
    assert!(*time < LIMIT, "the slowest are {:#?}", &all[all.len() * 95 / 100..]);
}

/// What was filled in for an application.
struct Filled<'a> {
    scope: Scope,
    endpoints: &'a [Key],
    /// How far each message is at each endpoint.
    standing: BTreeMap<(Key, Key), DeliveryStatus>,
}

impl Filled<'_> {
    fn new<'a>(plan: &'a Plan, rows: &Rows, of: usize, environment: Key) -> Filled<'a> {
        let application = &plan.applications[of];
        let scope = Scope { environment, application: application.key };
        let mut standing = BTreeMap::new();
        let of_it = |application: Key| application == scope.application;
        for attempt in rows.attempts.iter().filter(|one| of_it(one.application)) {
            let status =
                standing.entry((attempt.message, attempt.endpoint)).or_insert(DeliveryStatus::Fail);
            if attempt.outcome == 0 {
                *status = DeliveryStatus::Success;
            }
        }
        for delivery in rows.deliveries.iter().filter(|one| of_it(one.application)) {
            standing
                .entry((delivery.message, delivery.endpoint))
                .and_modify(|status| *status = DeliveryStatus::Sending)
                .or_insert(DeliveryStatus::Pending);
        }
        Filled { scope, endpoints: &application.endpoints, standing }
    }

    /// The messages that have a status, at one endpoint or at any.
    fn with(&self, status: DeliveryStatus, endpoint: Option<Key>) -> BTreeSet<Key> {
        let wanted = |(at, of): &(&(Key, Key), &DeliveryStatus)| {
            **of == status && endpoint.is_none_or(|endpoint| endpoint == at.1)
        };
        self.standing.iter().filter(wanted).map(|((message, _), _)| *message).collect()
    }

    async fn messages(&self, store: &Arc<dyn Store>) {
        for status in DeliveryStatus::ALL {
            let found = walk(|page| store.search_messages(self.scope, search(page, status))).await;
            assert_eq!(found, self.with(status, None), "{status:?}");
        }
    }

    async fn attempted(&self, store: &Arc<dyn Store>) {
        for endpoint in
            [self.endpoints[0], *self.endpoints.get(rows::BACKLOG).unwrap_or(&self.endpoints[1])]
        {
            let of = Reference::Id(Id { key: endpoint, shard: 0, nonce: 7 });
            for status in DeliveryStatus::ALL {
                let found = walk(|page| {
                    store.attempted_messages(self.scope, of.clone(), search(page, status))
                });
                assert_eq!(found.await, self.with(status, Some(endpoint)), "{status:?}");
            }
        }
    }
}

fn search(page: Page, status: DeliveryStatus) -> MessageSearch {
    let query = MessageQuery {
        page,
        event_types: Vec::new(),
        channel: None,
        tag: None,
        before: None,
        after: None,
        with_content: false,
    };
    MessageSearch { query, status: Some(status) }
}

/// The keys of all pages; each comes once.
async fn walk<T, E, F>(mut read: impl FnMut(Page) -> F) -> BTreeSet<Key>
where
    T: Identified,
    E: std::fmt::Debug,
    F: Future<Output = Result<Found<T>, E>>,
{
    let mut keys = BTreeSet::new();
    let mut from = Position::Start;
    loop {
        let page = Page { limit: cases::PAGE, from: from.clone(), order: Order::Descending };
        let found = read(page).await.unwrap();
        for item in &found.items {
            assert!(keys.insert(item.id().key), "told twice");
        }
        match found.next(&from) {
            Some(next) => from = next,
            None => return keys,
        }
    }
}
