//! Listeners: places in what arrived, and reading on from them; the event streams of sources.
//!
//! What is read ends where the keys are settled (`keys.rs`), so nothing that is committed later comes
//! before what was told. What is settled is asked for before anything is read.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use ringback_domain::{
    id::{Id, Key, ListenerId, MessageId, SourceId},
    listener::Listener,
    scope::{Reference, Scope},
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    Node, Postgres, answer,
    fault::Stop,
    rows, source,
    transaction::{self, Parameter, Transaction, bytea, int4s, int8, int8s, text},
};
use crate::{
    ArrivalQuery, Arrivals, Arrived, ArrivedRequest, Behind, BehindQuery, BoxFuture, Listed,
    Listeners, Page, PutListener, PutStream, ReadError, Stream, Unavailable, WriteError,
    pages::Cut,
};

/// How long reading waits for what is under way before what it has found.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most rows that are read of an application for a page of several, if there are many.
const STRETCH: usize = 32;

impl Listeners for Postgres {
    fn put_listener(
        &self,
        put: PutListener,
    ) -> BoxFuture<'_, Result<(Listener, bool), WriteError>> {
        self.change(move |transaction| Box::pin(async move { self::put(transaction, &put).await }))
    }

    fn listener(
        &self,
        environment: Key,
        listener: Reference,
    ) -> BoxFuture<'_, Result<Listener, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let found = find(transaction, environment, &listener).await?;
                found.ok_or(Stop::Refused(ReadError::NotFound("listener")))
            })
        })
    }

    fn listeners(
        &self,
        environment: Key,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<Listener>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(list(transaction, environment, &page).await?) })
        })
    }

    fn seek_listener(
        &self,
        environment: Key,
        listener: Reference,
        place: Key,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Listener, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                let key = existing(transaction, environment, &listener).await?;
                let place = place.min(transaction.node().keys.settled());
                let (sql, now) = (include_str!("queries/listener_seek.sql"), now.millis());
                let row = transaction.row(sql, &[int8(&key), int8(&place), int8(&now)]).await?;
                row.as_ref().map(from_row).ok_or(missing())
            })
        })
    }

    fn delete_listener(
        &self,
        environment: Key,
        listener: Reference,
        _now: Timestamp,
    ) -> BoxFuture<'_, Result<Key, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                let key = existing(transaction, environment, &listener).await?;
                let sql = include_str!("queries/listener_delete.sql");
                match transaction.execute(sql, &[int8(&key)]).await? {
                    0 => Err(missing()),
                    _ => Ok(key),
                }
            })
        })
    }

    fn advance_listeners(
        &self,
        places: Vec<(Key, Key)>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(advance(transaction, places, now).await?) })
        })
    }

    fn arrivals(&self, query: ArrivalQuery) -> BoxFuture<'_, Result<Arrivals, Unavailable>> {
        let node = Arc::clone(&self.node);
        let reading =
            self.runtime.handle.spawn(async move { settled_arrivals(&node, query).await });
        Box::pin(async move { reading.await.unwrap_or(Err(Unavailable::Closed)) })
    }

    fn behind(&self, query: BehindQuery) -> BoxFuture<'_, Result<Behind, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(behind(transaction, &query).await?) })
        })
    }

    fn put_stream(&self, put: PutStream) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| Box::pin(async move { put_stream(transaction, &put).await }))
    }

    fn stream(
        &self,
        environment: Key,
        source: Reference,
    ) -> BoxFuture<'_, Result<Option<Stream>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let (source, _) = source::place(transaction, environment, &source).await?;
                let sql = include_str!("queries/source_stream.sql");
                let row = transaction.row(sql, &[int8(&source)]).await?;
                Ok(row.map(|row| Stream { sealed: row.get(0), created_at: Timestamp(row.get(1)) }))
            })
        })
    }

    fn delete_stream(
        &self,
        environment: Key,
        source: Reference,
        _now: Timestamp,
    ) -> BoxFuture<'_, Result<(), WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                let source = source::to_change(transaction, environment, &source).await?.id.key();
                let sql = include_str!("queries/source_stream_delete.sql");
                match transaction.execute(sql, &[int8(&source)]).await? {
                    0 => Err(Stop::Refused(WriteError::NotFound("event stream"))),
                    _ => Ok(()),
                }
            })
        })
    }

    fn stream_by_token(
        &self,
        hash: [u8; 32],
    ) -> BoxFuture<'_, Result<Option<(Scope, SourceId)>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let sql = include_str!("queries/source_stream_by_token.sql");
                let row = transaction.row(sql, &[bytea(&hash.as_slice())]).await?;
                Ok(row.map(|row| {
                    let scope = Scope { environment: row.get(0), application: row.get(1) };
                    (scope, SourceId(rows::id(&row, 2, 3)))
                }))
            })
        })
    }
}

fn missing() -> Stop<WriteError> {
    Stop::Refused(WriteError::NotFound("listener"))
}

// ── listeners ──────────────────────────────────────────────────────────────────────────────────────

async fn put(
    transaction: &Transaction<'_>,
    put: &PutListener,
) -> Result<(Listener, bool), Stop<WriteError>> {
    let now = put.now.millis();
    let (listener, made) = match &put.listener {
        Reference::Id(Id { key, nonce, .. }) => {
            let nonce = *nonce as i64;
            let parameters =
                [int8(&put.environment), int8(key), int8(&nonce), text(&put.terms), int8(&now)];
            let sql = include_str!("queries/listener_change.sql");
            let row = transaction.row(sql, &parameters).await?;
            (row.as_ref().map(from_row).ok_or(missing())?, false)
        }
        Reference::Uid(name) => {
            // Whatever is committed from now on has a greater key than the last that is settled.
            let settled = transaction.node().keys.settled();
            let place = put.place.map_or(settled, |place| place.min(settled));
            let (key, nonce) = (put.id.key(), put.id.0.nonce as i64);
            let parameters = [
                int8(&key),
                int8(&nonce),
                int8(&put.environment),
                text(name),
                text(&put.terms),
                int8(&place),
                int8(&now),
            ];
            let sql = include_str!("queries/listener_put.sql");
            let row = transaction.row(sql, &parameters).await?;
            let listener = row.as_ref().map(from_row).ok_or(missing())?;
            let made = listener.id.key() == key;
            (listener, made)
        }
    };
    answer::keep(transaction, put.now, put.answer.as_ref()).await?;
    Ok((listener, made))
}

async fn list(
    transaction: &Transaction<'_>,
    environment: Key,
    page: &Page,
) -> Result<Listed<Listener>, Error> {
    let Cut { walk, low, high } = Cut::new(page);
    let sql = walk.sql(include_str!("queries/listeners.sql"));
    let limit = walk.rows();
    let parameters = [int8(&environment), int8(&low), int8(&high), int8(&limit)];
    let found = transaction.rows(&sql, &parameters).await?;
    Ok(walk.page(found.iter().map(from_row).collect()))
}

async fn find(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
) -> Result<Option<Listener>, Error> {
    let row = match reference {
        Reference::Id(Id { key, nonce, .. }) => {
            let nonce = *nonce as i64;
            let sql = include_str!("queries/listener.sql");
            transaction.row(sql, &[int8(&environment), int8(key), int8(&nonce)]).await?
        }
        Reference::Uid(name) => {
            let sql = include_str!("queries/listener_by_name.sql");
            transaction.row(sql, &[int8(&environment), text(name)]).await?
        }
    };
    Ok(row.as_ref().map(from_row))
}

/// The key of a listener that is to be changed; it may be gone before it is.
async fn existing(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
) -> Result<Key, Stop<WriteError>> {
    let found = find(transaction, environment, reference).await?;
    found.map(|listener| listener.id.key()).ok_or(missing())
}

fn from_row(row: &Row) -> Listener {
    Listener {
        id: ListenerId(rows::id(row, 0, 1)),
        name: row.get(2),
        terms: row.get(3),
        place: row.get(4),
        created_at: Timestamp(row.get(5)),
        seen_at: Timestamp(row.get(6)),
    }
}

async fn advance(
    transaction: &Transaction<'_>,
    places: Vec<(Key, Key)>,
    now: Timestamp,
) -> Result<(), Error> {
    let settled = transaction.node().keys.settled();
    let mut farthest = BTreeMap::new();
    for (listener, place) in places {
        let known = farthest.entry(listener).or_insert(place.min(settled));
        *known = place.min(settled).max(*known);
    }
    let (listeners, places): (Vec<Key>, Vec<Key>) = farthest.into_iter().unzip();
    let now = now.millis();
    let parameters = [int8s(&listeners), int8s(&places), int8(&now)];
    transaction.execute(include_str!("queries/listener_advance.sql"), &parameters).await?;
    Ok(())
}

// ── reading on ─────────────────────────────────────────────────────────────────────────────────────

/// What arrived, up to what is settled. If all that there is has to wait for something that is still
/// under way, this waits for it, too.
async fn settled_arrivals(node: &Node, query: ArrivalQuery) -> Result<Arrivals, Unavailable> {
    let begun = transaction::begun();
    loop {
        let settled = node.keys.settled();
        let asked = query.clone();
        let arrivals: Arrivals = transaction::run::<_, Unavailable, _>(node, move |transaction| {
            Box::pin(async move { Ok(arrivals(transaction, &asked, settled).await?) })
        })
        .await?;
        let left = PATIENCE.saturating_sub(begun.elapsed());
        let waits = !arrivals.done && arrivals.reached == query.after && !left.is_zero();
        if !waits || tokio::time::timeout(left, node.keys.settled_beyond(settled)).await.is_err() {
            return Ok(arrivals);
        }
    }
}

async fn arrivals(
    transaction: &Transaction<'_>,
    query: &ArrivalQuery,
    settled: Key,
) -> Result<Arrivals, Error> {
    let nothing = |done| Arrivals { reached: query.after, done, items: Vec::new() };
    let heads = heads(transaction, query).await?;
    let Some(first) = heads.first().map(|head| head.key) else { return Ok(nothing(true)) };
    if first > settled || query.limit == 0 {
        return Ok(nothing(false));
    }
    let page = Stretch::new(&heads, query.limit).read(transaction, query, first).await?;
    let fitting = page.rows.iter().take_while(|row| row.key <= settled).take(query.limit);
    let looked: Vec<&Found> = fitting.collect();
    let contents = contents(transaction, &looked, query).await?;
    // What did not fit is not there; one of the page is, whatever its size.
    let reached = contents.last().map_or(query.after, |content| content.key);
    let done = page.is_all && page.rows.last().is_none_or(|row| row.key == reached);
    let mut contents: HashMap<Key, Content> =
        contents.into_iter().map(|content| (content.key, content)).collect();
    let items = looked.into_iter().filter_map(|found| {
        let Content { payload, headers, request, .. } = contents.remove(&found.key)?;
        Some(found.arrived(query.environment, payload?, headers, request))
    });
    Ok(Arrivals { items: items.collect(), reached, done })
}

/// The next message of an application.
struct Head {
    key: Key,
    shard: i32,
    application: Key,
}

/// The next message of each application that has one, the oldest first.
async fn heads(transaction: &Transaction<'_>, query: &ArrivalQuery) -> Result<Vec<Head>, Error> {
    let applications = Applications::of(query.applications.iter().copied());
    let [shards, keys] = applications.parameters();
    let parameters = [shards, keys, int8(&query.environment), int8(&query.after)];
    let found = transaction.rows(include_str!("queries/arrival_heads.sql"), &parameters).await?;
    let head = |row: &Row| Head { key: row.get(0), shard: row.get(1), application: row.get(2) };
    Ok(found.iter().map(head).collect())
}

/// Which rows of which applications are read for a page: of as many as can be on it, and so many of
/// each that they fill it if they take turns.
struct Stretch {
    applications: Applications,
    /// The first that is left out by then, at the latest.
    last: Key,
    /// The most of each.
    rows: usize,
}

impl Stretch {
    /// There is at least one head, and the limit is not zero.
    fn new(heads: &[Head], limit: usize) -> Stretch {
        let count = heads.len().min(limit).max(1);
        let applications = heads.iter().take(count);
        Stretch {
            applications: Applications {
                shards: applications.clone().map(|head| head.shard).collect(),
                keys: applications.map(|head| head.application).collect(),
            },
            // Whoever begins later is not on it.
            last: heads.get(count).map_or(Key::MAX, |head| head.key - 1),
            rows: (4 * limit / count).max(STRETCH).min(limit),
        }
    }

    async fn read(
        self,
        transaction: &Transaction<'_>,
        query: &ArrivalQuery,
        first: Key,
    ) -> Result<Rows, Error> {
        // One more tells whether there is more.
        let rows = self.rows as i64 + 1;
        let [shards, keys] = self.applications.parameters();
        let parameters =
            [shards, keys, int8(&query.environment), int8(&first), int8(&self.last), int8(&rows)];
        let sql = include_str!("queries/arrival_next.sql");
        let found = transaction.rows(sql, &parameters).await?;
        let found = found.iter().map(Found::from_row).collect();
        Ok(Rows::whole(found, self.rows + 1, self.last == Key::MAX))
    }
}

/// Rows of several applications by growing key, without a gap.
struct Rows {
    rows: Vec<Found>,
    /// Whether there are no others.
    is_all: bool,
}

impl Rows {
    /// Of each application at most `limit` were read. Where that is all that were asked for, nobody knows
    /// what follows: so they all end before the first such place.
    fn whole(mut rows: Vec<Found>, limit: usize, mut is_all: bool) -> Rows {
        let mut counts: HashMap<Key, usize> = HashMap::new();
        let full = rows.iter().position(|row| {
            let count = counts.entry(row.application).or_default();
            *count += 1;
            *count == limit
        });
        if let Some(full) = full {
            rows.truncate(full);
            is_all = false;
        }
        Rows { rows, is_all }
    }
}

/// A message, without what it holds.
struct Found {
    key: Key,
    nonce: u64,
    shard: i32,
    application: Key,
    event_type: String,
    event_id: Option<String>,
    content_type: Option<String>,
    expires_at: i64,
    channels: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    version: Option<u32>,
}

impl Found {
    fn from_row(row: &Row) -> Found {
        Found {
            key: row.get(0),
            nonce: row.get::<_, i64>(1) as u64,
            shard: row.get(2),
            application: row.get(3),
            event_type: row.get(4),
            event_id: row.get(5),
            content_type: row.get(6),
            expires_at: row.get(7),
            channels: rows::optional(row, 8),
            tags: rows::optional(row, 9),
            version: row.get::<_, Option<i32>>(10).map(|version| version as u32),
        }
    }

    fn arrived(
        &self,
        environment: Key,
        payload: Vec<u8>,
        headers: Vec<(String, String)>,
        request: Option<ArrivedRequest>,
    ) -> Arrived {
        let id = Id { key: self.key, shard: 0, nonce: self.nonce };
        Arrived {
            id: MessageId(id),
            scope: Scope { environment, application: self.application },
            event_type: self.event_type.clone(),
            event_id: self.event_id.clone(),
            channels: self.channels.clone(),
            tags: self.tags.clone(),
            content_type: self.content_type.clone(),
            version: self.version,
            payload: payload.into(),
            headers: headers.into(),
            created_at: id.created_at(),
            request,
        }
    }
}

/// What a message holds and was.
struct Content {
    key: Key,
    /// Nothing if it is gone.
    payload: Option<Vec<u8>>,
    headers: Vec<(String, String)>,
    request: Option<ArrivedRequest>,
}

/// What messages hold, from the first one on as far as it fits.
async fn contents(
    transaction: &Transaction<'_>,
    messages: &[&Found],
    query: &ArrivalQuery,
) -> Result<Vec<Content>, Error> {
    let column = |of: fn(&Found) -> i64| messages.iter().map(|found| of(found)).collect::<Vec<_>>();
    let (keys, expiries) = (column(|found| found.key), column(|found| found.expires_at));
    let applications = column(|found| found.application);
    let shards: Vec<i32> = messages.iter().map(|found| found.shard).collect();
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(Vec::new()) };
    let (Some(from), Some(until)) = (expiries.iter().min(), expiries.iter().max()) else {
        return Ok(Vec::new());
    };
    let bytes = i64::try_from(query.bytes).unwrap_or(i64::MAX);
    let parameters = [
        int4s(&shards),
        int8s(&keys),
        int8s(&applications),
        int8s(&expiries),
        int8(from),
        int8(until),
        int8(first),
        int8(last),
        int8(&bytes),
    ];
    let found = transaction.rows(include_str!("queries/arrivals.sql"), &parameters).await?;
    Ok(found.iter().map(content).collect())
}

fn content(row: &Row) -> Content {
    let method: Option<String> = row.get(3);
    Content {
        key: row.get(0),
        payload: row.get(1),
        headers: rows::headers(row, 2).unwrap_or_default(),
        request: method.map(|method| ArrivedRequest {
            method,
            target: row.get(4),
            verdict: row.get(5),
            address: row.get(6),
            event_id: row.get(7),
        }),
    }
}

async fn behind(transaction: &Transaction<'_>, query: &BehindQuery) -> Result<Behind, Error> {
    let applications = Applications::of(query.applications.iter().copied());
    let at_most = i64::try_from(query.at_most).unwrap_or(i64::MAX);
    let [shards, keys] = applications.parameters();
    let parameters = [shards, keys, int8(&query.environment), int8(&query.after), int8(&at_most)];
    let sql = include_str!("queries/arrivals_behind.sql");
    let Some(row) = transaction.row(sql, &parameters).await? else { return Ok(Behind::default()) };
    let oldest: Option<Key> = row.get(1);
    let oldest = oldest.map(|key| Id { key, shard: 0, nonce: 0 }.created_at());
    Ok(Behind { count: row.get::<_, i64>(0) as u64, oldest })
}

/// Applications with their shards, column by column.
struct Applications {
    shards: Vec<i32>,
    keys: Vec<Key>,
}

impl Applications {
    fn of(applications: impl Iterator<Item = Key>) -> Applications {
        let keys: Vec<Key> = applications.collect();
        Applications { shards: keys.iter().map(|key| rows::shard_of(*key)).collect(), keys }
    }

    fn parameters(&self) -> [Parameter<'_>; 2] {
        [int4s(&self.shards), int8s(&self.keys)]
    }
}

// ── event streams ──────────────────────────────────────────────────────────────────────────────────

async fn put_stream(
    transaction: &Transaction<'_>,
    put: &PutStream,
) -> Result<(), Stop<WriteError>> {
    let source = source::to_change(transaction, put.environment, &put.source).await?.id.key();
    let sql = include_str!("queries/source_stream_delete.sql");
    transaction.execute(sql, &[int8(&source)]).await?;
    let (hash, now) = (put.hash.as_slice(), put.now.millis());
    let parameters = [int8(&source), bytea(&hash), bytea(&put.sealed), int8(&now)];
    let sql = include_str!("queries/source_stream_insert.sql");
    if transaction.execute(sql, &parameters).await? == 0 {
        return Err(Stop::Refused(WriteError::Conflict("stream token")));
    }
    answer::keep(transaction, put.now, put.answer.as_ref()).await
}
