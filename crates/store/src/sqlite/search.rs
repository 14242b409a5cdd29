//! Searching: the conditions are SQL, how much is looked at is decided before.

use ringback_domain::{
    attempt::Attempt,
    endpoint::State,
    id::Key,
    message::Message,
    scope::{Reference, Scope},
    time::Timestamp,
};
use rusqlite::{Connection, Row};

use super::{
    Sqlite,
    attempt::{self, Of},
    endpoint,
    fault::Stop,
    message, rows,
};
use crate::{
    AttemptQuery, AttemptedEndpoint, AttemptedMessage, BoxFuture, DeliveryStatus, Found, LOOK,
    Listed, MessageSearch, Page, ReadError, Search, Unavailable, ordering,
    pages::Cut,
    search::{Reach, filters},
};

impl Search for Sqlite {
    fn search_messages(
        &self,
        scope: Scope,
        search: MessageSearch,
    ) -> BoxFuture<'_, Result<Found<Message>, ReadError>> {
        self.read(move |connection| Ok(messages(connection, scope, &search)?))
    }

    fn search_attempts(
        &self,
        scope: Scope,
        query: AttemptQuery,
    ) -> BoxFuture<'_, Result<Found<Attempt>, ReadError>> {
        self.read(move |connection| attempts(connection, scope, &query))
    }

    fn attempted_messages(
        &self,
        scope: Scope,
        endpoint: Reference,
        search: MessageSearch,
    ) -> BoxFuture<'_, Result<Found<AttemptedMessage>, ReadError>> {
        self.read(move |connection| attempted_messages(connection, scope, &endpoint, &search))
    }

    fn messages_of(
        &self,
        scope: Scope,
        keys: Vec<Key>,
    ) -> BoxFuture<'_, Result<Vec<Message>, Unavailable>> {
        self.read(move |connection| Ok(messages_of(connection, scope, keys)?))
    }

    fn attempted_endpoints(
        &self,
        scope: Scope,
        message: Reference,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<AttemptedEndpoint>, ReadError>> {
        self.read(move |connection| attempted_endpoints(connection, scope, &message, &page))
    }
}

/// The part of the application's messages that a page looks at.
fn reach(connection: &Connection, scope: Scope, cut: Cut) -> rusqlite::Result<Reach> {
    look(connection, include_str!("queries/messages_reach.sql"), scope.application, cut)
}

/// The same, where it has to be looked at what became of them.
fn weighed(
    connection: &Connection,
    scope: Scope,
    cut: Cut,
    most: usize,
) -> rusqlite::Result<Reach> {
    let sql = cut.walk.sql(include_str!("queries/messages_weighed.sql"));
    let mut select = connection.prepare_cached(&sql)?;
    let parameters = (scope.application, cut.low, cut.high, LOOK as i64, most as i64);
    let mut found = select.query_map(parameters, |row| row.get::<_, Key>(0))?;
    Ok(Reach::new(cut, found.next().transpose()?))
}

fn look(connection: &Connection, sql: &str, of: Key, cut: Cut) -> rusqlite::Result<Reach> {
    let mut select = connection.prepare_cached(&cut.walk.sql(sql))?;
    let mut found =
        select.query_map((of, cut.low, cut.high, Reach::skip()), |row| row.get::<_, Key>(0))?;
    Ok(Reach::new(cut, found.next().transpose()?))
}

/// Everything, if nothing is left out.
fn whole(cut: Cut) -> Reach {
    Reach::new(cut, None)
}

fn messages(
    connection: &Connection,
    scope: Scope,
    search: &MessageSearch,
) -> rusqlite::Result<Found<Message>> {
    // One snapshot for both reads.
    let snapshot = connection.unchecked_transaction()?;
    let query = &search.query;
    let cut = Cut::new(&query.page).between(query.after, query.before);
    let reach = match search.status {
        Some(_) => weighed(&snapshot, scope, cut, LOOK)?,
        None if search.filters() => reach(&snapshot, scope, cut)?,
        None => whole(cut),
    };
    let Cut { walk, low, high } = reach.cut;
    let sql = walk.sql(include_str!("queries/search_messages.sql"));
    let sql = sql
        .replace("{status}", condition(search.status))
        .replace("{open}", include_str!("queries/search_open.sql"));
    let mut select = snapshot.prepare_cached(&sql)?;
    let found = select.query_map(
        (
            scope.application,
            scope.environment,
            low,
            high,
            query.with_content,
            rows::json_filter(&query.event_types),
            &query.channel,
            &query.tag,
            walk.rows(),
        ),
        message::from_row,
    )?;
    Ok(reach.page(found.collect::<rusqlite::Result<_>>()?))
}

/// That a message `m` has this status at one endpoint or more.
fn condition(status: Option<DeliveryStatus>) -> &'static str {
    match status {
        None => "TRUE",
        Some(DeliveryStatus::Success) => include_str!("queries/search_success.sql"),
        Some(DeliveryStatus::Pending) => include_str!("queries/search_pending.sql"),
        Some(DeliveryStatus::Fail) => include_str!("queries/search_fail.sql"),
        Some(DeliveryStatus::Sending) => include_str!("queries/search_sending.sql"),
        Some(DeliveryStatus::Canceled) => include_str!("queries/search_canceled.sql"),
    }
}

fn attempts(
    connection: &Connection,
    scope: Scope,
    query: &AttemptQuery,
) -> Result<Found<Attempt>, Stop<ReadError>> {
    let snapshot = connection.unchecked_transaction()?;
    let of = Of::named(&snapshot, scope, query)?;
    let cut = Cut::new(&query.page).between(query.after, query.before);
    let reach = match of {
        // A message has few.
        Of { message: None, endpoint: Some(endpoint) } if filters(query) => {
            look(&snapshot, include_str!("queries/attempts_reach.sql"), endpoint, cut)?
        }
        _ => whole(cut),
    };
    Ok(reach.page(attempt::between(&snapshot, scope, query, of, reach.cut)?))
}

/// How far a message is at an endpoint, as columns say: whether an attempt succeeded, and when what
/// is open is due.
fn standing(
    succeeded: Option<bool>,
    due_at: Option<i64>,
    deleted: bool,
) -> Option<(DeliveryStatus, Option<Timestamp>)> {
    let status = DeliveryStatus::of(succeeded, due_at.is_some(), deleted)?;
    Some((status, due_at.and_then(ordering::by_itself)))
}

fn attempted_messages(
    connection: &Connection,
    scope: Scope,
    reference: &Reference,
    search: &MessageSearch,
) -> Result<Found<AttemptedMessage>, Stop<ReadError>> {
    let snapshot = connection.unchecked_transaction()?;
    let missing = Stop::Refused(ReadError::NotFound("endpoint"));
    let endpoint = endpoint::key(&snapshot, scope, reference)?.ok_or(missing)?;
    let query = &search.query;
    let cut = Cut::new(&query.page).between(query.after, query.before);
    // An attempt at another endpoint is passed over, and costs little.
    let reach = weighed(&snapshot, scope, cut, 10 * LOOK)?;
    let mut attempted = Vec::new();
    for (key, status, due_at) in keys(&snapshot, scope, endpoint, search, reach.cut)? {
        let message = message::by_key(&snapshot, key, query.with_content)?;
        attempted.extend(message.map(|message| AttemptedMessage { message, status, due_at }));
    }
    Ok(reach.page(attempted))
}

/// The messages of a page, with how far each is. What they are is read for these alone: contents
/// are large, and most rows that are looked at may be passed over.
fn keys(
    connection: &Connection,
    scope: Scope,
    endpoint: Key,
    search: &MessageSearch,
    Cut { walk, low, high }: Cut,
) -> rusqlite::Result<Vec<(Key, DeliveryStatus, Option<Timestamp>)>> {
    let query = &search.query;
    let sql = walk.sql(include_str!("queries/attempted_messages.sql"));
    let mut select = connection.prepare_cached(&sql)?;
    let mut looked_at = select.query((
        scope.application,
        scope.environment,
        low,
        high,
        endpoint,
        rows::json_filter(&query.event_types),
        &query.channel,
        &query.tag,
    ))?;
    let mut keys = Vec::new();
    while (keys.len() as i64) < walk.rows()
        && let Some(row) = looked_at.next()?
    {
        let scheduled: Option<i64> = row.get(2)?;
        let due_at = scheduled.or(row.get(3)?);
        let Some((status, due_at)) = standing(row.get(1)?, due_at, false) else { continue };
        if search.status.is_none_or(|wanted| wanted == status) {
            keys.push((row.get(0)?, status, due_at));
        }
    }
    Ok(keys)
}

fn messages_of(
    connection: &Connection,
    scope: Scope,
    mut keys: Vec<Key>,
) -> rusqlite::Result<Vec<Message>> {
    let snapshot = connection.unchecked_transaction()?;
    keys.sort_unstable();
    keys.dedup();
    let mut messages = Vec::new();
    for key in keys {
        if message::is_in_scope(&snapshot, scope, key)? {
            messages.extend(message::by_key(&snapshot, key, false)?);
        }
    }
    Ok(messages)
}

fn attempted_endpoints(
    connection: &Connection,
    scope: Scope,
    reference: &Reference,
    page: &Page,
) -> Result<Listed<AttemptedEndpoint>, Stop<ReadError>> {
    let snapshot = connection.unchecked_transaction()?;
    let message = message::existing(&snapshot, scope, reference)?;
    let Cut { walk, low, high } = Cut::new(page);
    let sql = walk.sql(include_str!("queries/attempted_endpoints.sql"));
    let mut select = snapshot.prepare_cached(&sql)?;
    let found = select.query_map((message, low, high, walk.rows()), attempted_endpoint)?;
    Ok(walk.page(found.collect::<rusqlite::Result<_>>()?))
}

fn attempted_endpoint(row: &Row<'_>) -> rusqlite::Result<AttemptedEndpoint> {
    let endpoint = endpoint::from_row(row)?;
    let deleted = endpoint.state == State::Deleted;
    let (status, due_at) =
        standing(row.get(18)?, row.get(19)?, deleted).unwrap_or((DeliveryStatus::Fail, None));
    Ok(AttemptedEndpoint { endpoint, status, due_at })
}
