//! Requests to sources: writing down those that are no messages, and reading all of them.
//!
//! What a request that is a message came with is the message's, so it goes when that goes. What was
//! kept otherwise has headers and body of its own.

use std::{
    borrow::Cow,
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use ringback_domain::{
    id::{Id, Key, MessageId, RequestId},
    scope::{Reference, Scope},
    source::{Fate, Received},
};
use tokio_postgres::{Row, types::Type};

use super::{
    Node,
    batches::Weighed,
    fault::{self, Stop},
    rows, search, source, sweep,
    transaction::{self, Parameter, Transaction, int4, int8, int8s, text, texts},
};
use crate::{
    Found, NewRequest, REQUESTS_KEPT, ReadError, RequestQuery, Unavailable, WriteError, pages::Cut,
    search::Reach, source::storable,
};

/// After so many requests that were written down, what is too much of their sources is deleted.
const TRIM: u64 = 256;
/// How many sources a round of the sweep looks at.
const SOURCES: i64 = 200;

impl Weighed for NewRequest {
    fn bytes(&self) -> usize {
        self.request.body.as_ref().map_or(0, Vec::len)
    }
}

/// Writes a batch down, in one statement; a request to a source that does not exist fails alone.
pub(super) async fn log(
    node: Arc<Node>,
    batch: Vec<NewRequest>,
) -> Result<Vec<Result<(), WriteError>>, Unavailable> {
    let keys: Vec<Key> = batch.iter().map(|new| node.next_key(new.request.received_at)).collect();
    let columns = Columns::of(&keys, &batch);
    let client = node.pool.get().await?;
    let sql = include_str!("queries/requests_log.sql");
    let parameters = columns.parameters();
    let write = client.query_typed(sql, &parameters);
    let Ok(written) = tokio::time::timeout(transaction::LIMIT, write).await else {
        return Err(transaction::given_up(client));
    };
    let written = written.map_err(|error| fault::unavailable(&error))?;
    drop(client);
    if let Err(reason) = trim(&node, &columns.source).await {
        tracing::debug!(%reason, "what is too much waits for the sweep");
    }
    let written: HashSet<Key> = written.iter().map(|row| row.get(0)).collect();
    let missing = WriteError::NotFound("source");
    let answer = |key| if written.contains(key) { Ok(()) } else { Err(missing.clone()) };
    Ok(keys.iter().map(answer).collect())
}

/// Now and then deletes what is too much of these sources: a flood takes no more room than the sweep
/// leaves to it, however fast it comes.
async fn trim(node: &Node, sources: &[Key]) -> Result<(), Unavailable> {
    let before = node.refused.fetch_add(sources.len() as u64, Ordering::Relaxed);
    if before / TRIM == (before + sources.len() as u64) / TRIM {
        return Ok(());
    }
    let mut sources = sources.to_vec();
    sources.sort_unstable();
    sources.dedup();
    surplus(node, "key = ANY ($1)", sources).await.map(drop)
}

/// Deletes what is too much of the next sources. Returns whether there is more of that. Only what
/// repeats a message comes so far without being [trimmed](trim): that comes from a provider.
pub(super) async fn sweep(node: &Node) -> Result<bool, Unavailable> {
    let after = node.swept.load(Ordering::Relaxed);
    let page = format!("key > ($1)[1] ORDER BY key LIMIT {SOURCES}");
    let Surplus { gone, sources, last } = surplus(node, page, vec![after]).await?;
    if gone >= sweep::REQUESTS {
        return Ok(true);
    }
    let next = last.filter(|_| sources == SOURCES).unwrap_or(0);
    node.swept.store(next, Ordering::Relaxed);
    Ok(false)
}

/// What was deleted, of how many sources, and the last of those.
struct Surplus {
    gone: i64,
    sources: i64,
    last: Option<Key>,
}

/// Deletes what is too much of a page of sources, a bounded number.
async fn surplus(
    node: &Node,
    page: impl AsRef<str>,
    sources: Vec<Key>,
) -> Result<Surplus, Unavailable> {
    let sql = include_str!("queries/sweep_surplus.sql").replace("{page}", page.as_ref());
    transaction::run(node, move |transaction| {
        Box::pin(async move {
            let (kept, bound) = (REQUESTS_KEPT as i64, sweep::REQUESTS);
            let row = transaction.row(&sql, &[int8s(&sources), int8(&kept), int8(&bound)]).await?;
            Ok(row.map_or(Surplus { gone: 0, sources: 0, last: None }, |row| Surplus {
                gone: row.get(0),
                sources: row.get(1),
                last: row.get(2),
            }))
        })
    })
    .await
}

/// The statement's parameters, column by column.
#[derive(Default)]
struct Columns<'a> {
    source: Vec<Key>,
    environment: Vec<Key>,
    application: Vec<Key>,
    key: Vec<Key>,
    nonce: Vec<i64>,
    fate: Vec<i16>,
    reason: Vec<Option<Cow<'a, str>>>,
    verdict: Vec<&'a str>,
    status: Vec<i32>,
    method: Vec<&'a str>,
    target: Vec<Cow<'a, str>>,
    headers: Vec<String>,
    address: Vec<Option<&'a str>>,
    event_id: Vec<Option<Cow<'a, str>>>,
    event_type: Vec<Option<Cow<'a, str>>>,
    bytes: Vec<i64>,
    body: Vec<Option<&'a [u8]>>,
    message: Vec<Option<Key>>,
    message_nonce: Vec<Option<i64>>,
    expires_at: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(keys: &[Key], batch: &'a [NewRequest]) -> Columns<'a> {
        let mut columns = Columns::default();
        keys.iter().zip(batch).for_each(|(key, new)| columns.push(*key, new));
        columns
    }

    fn push(&mut self, key: Key, new: &'a NewRequest) {
        let NewRequest { scope, source, request, expires_at } = new;
        self.source.push(*source);
        self.environment.push(scope.environment);
        self.application.push(scope.application);
        self.key.push(key);
        self.nonce.push(request.id.0.nonce as i64);
        self.fate.push(request.fate.number() as i16);
        self.reason.push(request.reason.as_deref().map(storable));
        self.verdict.push(&request.verdict);
        self.status.push(request.status.into());
        self.method.push(&request.method);
        self.target.push(storable(&request.target));
        self.headers.push(rows::json(&request.headers));
        self.address.push(request.address.as_deref());
        self.event_id.push(request.event_id.as_deref().map(storable));
        self.event_type.push(request.event_type.as_deref().map(storable));
        self.bytes.push(request.bytes as i64);
        self.body.push(request.body.as_deref());
        self.message.push(request.message.map(MessageId::key));
        self.message_nonce.push(request.message.map(|message| message.0.nonce as i64));
        self.expires_at.push(expires_at.millis());
    }

    fn parameters(&self) -> [Parameter<'_>; 20] {
        [
            int8s(&self.source),
            int8s(&self.environment),
            int8s(&self.application),
            int8s(&self.key),
            int8s(&self.nonce),
            (&self.fate, Type::INT2_ARRAY),
            texts(&self.reason),
            texts(&self.verdict),
            (&self.status, Type::INT4_ARRAY),
            texts(&self.method),
            texts(&self.target),
            texts(&self.headers),
            texts(&self.address),
            texts(&self.event_id),
            texts(&self.event_type),
            int8s(&self.bytes),
            (&self.body, Type::BYTEA_ARRAY),
            int8s(&self.message),
            int8s(&self.message_nonce),
            int8s(&self.expires_at),
        ]
    }
}

/// One request, with its headers and body.
pub(super) async fn get(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
    request: RequestId,
) -> Result<Received, Stop<ReadError>> {
    let (source, application) = source::place(transaction, environment, reference).await?;
    let (shard, Id { key, nonce, .. }) = (rows::shard_of(application), request.0);
    let nonce = nonce as i64;
    let parameters = [int4(&shard), int8(&source), int8(&environment), int8(&key), int8(&nonce)];
    let row = transaction.row(include_str!("queries/request.sql"), &parameters).await?;
    row.as_ref().map(from_row).ok_or(Stop::Refused(ReadError::NotFound("request")))
}

/// A page of a source's requests, without their headers and bodies.
pub(super) async fn list(
    transaction: &Transaction<'_>,
    environment: Key,
    reference: &Reference,
    query: &RequestQuery,
) -> Result<Found<Received>, Stop<ReadError>> {
    let (source, application) = source::place(transaction, environment, reference).await?;
    let cut = Cut::new(&query.page).between(query.after, query.before);
    // Those that became no messages are few and have an index of their own.
    let accepted = query.fates.is_empty() || query.fates.contains(&Fate::Accepted);
    let narrowed =
        |sql: &str| sql.replace("{refused}", if accepted { "" } else { "AND fate <> 0" });
    let reach = if query.is_narrow() {
        let sql = narrowed(include_str!("queries/requests_reach.sql"));
        search::look(transaction, &sql, Scope { environment, application }, source, cut).await?
    } else {
        Reach::new(cut, None)
    };
    let Cut { walk, low, high } = reach.cut;
    let (shard, limit) = (rows::shard_of(application), walk.rows());
    let fates: Vec<i16> = query.fates.iter().map(|fate| fate.number() as i16).collect();
    let fates = (!fates.is_empty()).then_some(fates);
    let event_id = query.event_id.as_deref().map(storable);
    let event_type = query.event_type.as_deref().map(storable);
    let parameters = [
        int4(&shard),
        int8(&source),
        int8(&environment),
        int8(&low),
        int8(&high),
        (&fates as _, Type::INT2_ARRAY),
        text(&event_id),
        text(&event_type),
        int8(&limit),
    ];
    let sql = walk.sql(&narrowed(include_str!("queries/requests.sql")));
    let found = transaction.rows(&sql, &parameters).await?;
    Ok(reach.page(found.iter().map(from_row).collect()))
}

fn from_row(row: &Row) -> Received {
    let (id, message): (Id, Option<Key>) = (rows::id(row, 0, 1), row.get(12));
    // A message that was gone when its repetition came has left no random bits.
    let nonce: Option<i64> = row.get(13);
    let message = message.map(|key| Id { key, shard: 0, nonce: nonce.unwrap_or_default() as u64 });
    Received {
        id: RequestId(id),
        // Only this store writes it.
        fate: Fate::from_number(row.get::<_, i16>(2).into()).unwrap_or(Fate::Malformed),
        reason: row.get(3),
        verdict: row.get(4),
        status: row.get::<_, i32>(5) as u16,
        method: row.get(6),
        target: row.get(7),
        address: row.get(8),
        event_id: row.get(9),
        event_type: row.get(10),
        bytes: row.get::<_, i64>(11) as u64,
        message: message.map(MessageId),
        headers: rows::headers(row, 14).unwrap_or_default(),
        body: row.get(15),
        received_at: id.created_at(),
    }
}
