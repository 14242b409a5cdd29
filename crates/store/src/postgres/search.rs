//! Searching: the conditions are SQL, how much is looked at is decided before.

use ringback_domain::{
    attempt::Attempt,
    endpoint::State,
    id::Key,
    message::Message,
    scope::{Reference, Scope},
    time::Timestamp,
};
use tokio_postgres::{Error, Row};

use super::{
    Postgres,
    attempt::{self, Of},
    endpoint,
    fault::Stop,
    message, rows,
    transaction::{Transaction, boolean, int4, int8, text, texts},
};
use crate::{
    AttemptQuery, AttemptedEndpoint, AttemptedMessage, BoxFuture, DeliveryStatus, Found, Listed,
    MessageSearch, Page, ReadError, Search,
    pages::Cut,
    search::{Reach, filters},
};

/// Keeps partitions from being looked into whose attempts are older than the message: no attempt is,
/// unless the clock was wrong, and an hour is left for that.
const AFTER: &str = "a.key > m.key - (3600000::int8 << 20)";

impl Search for Postgres {
    fn search_messages(
        &self,
        scope: Scope,
        search: MessageSearch,
    ) -> BoxFuture<'_, Result<Found<Message>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(messages(transaction, scope, &search).await?) })
        })
    }

    fn search_attempts(
        &self,
        scope: Scope,
        query: AttemptQuery,
    ) -> BoxFuture<'_, Result<Found<Attempt>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { attempts(transaction, scope, &query).await })
        })
    }

    fn attempted_messages(
        &self,
        scope: Scope,
        endpoint: Reference,
        search: MessageSearch,
    ) -> BoxFuture<'_, Result<Found<AttemptedMessage>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(
                async move { attempted_messages(transaction, scope, &endpoint, &search).await },
            )
        })
    }

    fn attempted_endpoints(
        &self,
        scope: Scope,
        message: Reference,
        page: Page,
    ) -> BoxFuture<'_, Result<Listed<AttemptedEndpoint>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { attempted_endpoints(transaction, scope, &message, &page).await })
        })
    }
}

/// The part of the application's messages that a page looks at.
async fn reach(transaction: &Transaction<'_>, scope: Scope, cut: Cut) -> Result<Reach, Error> {
    let sql = include_str!("queries/messages_reach.sql");
    look(transaction, sql, scope, scope.application, cut).await
}

async fn look(
    transaction: &Transaction<'_>,
    sql: &str,
    scope: Scope,
    of: Key,
    cut: Cut,
) -> Result<Reach, Error> {
    let (shard, skip) = (rows::shard(scope), Reach::skip());
    let parameters = [int4(&shard), int8(&of), int8(&cut.low), int8(&cut.high), int8(&skip)];
    let row = transaction.row(&cut.walk.sql(sql), &parameters).await?;
    Ok(Reach::new(cut, row.map(|row| row.get(0))))
}

/// Everything, if nothing is left out.
fn whole(cut: Cut) -> Reach {
    Reach::new(cut, None)
}

async fn messages(
    transaction: &Transaction<'_>,
    scope: Scope,
    search: &MessageSearch,
) -> Result<Found<Message>, Error> {
    let query = &search.query;
    let cut = Cut::new(&query.page).between(query.after, query.before);
    let reach = if search.filters() { reach(transaction, scope, cut).await? } else { whole(cut) };
    let Cut { walk, low, high } = reach.cut;
    let sql = walk.sql(include_str!("queries/search_messages.sql"));
    let sql = sql
        .replace("{status}", condition(search.status))
        .replace("{open}", include_str!("queries/search_open.sql"))
        .replace("{after}", AFTER);
    let (shard, limit) = (rows::shard(scope), walk.rows());
    let event_types = rows::filter(&query.event_types);
    let parameters = [
        int4(&shard),
        int8(&scope.application),
        int8(&scope.environment),
        int8(&low),
        int8(&high),
        boolean(&query.with_content),
        texts(&event_types),
        text(&query.channel),
        text(&query.tag),
        int8(&limit),
    ];
    let found = transaction.rows(&sql, &parameters).await?;
    Ok(reach.page(found.iter().map(message::from_row).collect()))
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

async fn attempts(
    transaction: &Transaction<'_>,
    scope: Scope,
    query: &AttemptQuery,
) -> Result<Found<Attempt>, Stop<ReadError>> {
    let of = Of::named(transaction, scope, query).await?;
    let cut = Cut::new(&query.page).between(query.after, query.before);
    let reach = match of {
        // A message has few.
        Of { message: None, endpoint: Some(endpoint) } if filters(query) => {
            let sql = include_str!("queries/attempts_reach.sql");
            look(transaction, sql, scope, endpoint, cut).await?
        }
        _ => whole(cut),
    };
    Ok(reach.page(attempt::between(transaction, scope, query, of, reach.cut).await?))
}

async fn attempted_messages(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    search: &MessageSearch,
) -> Result<Found<AttemptedMessage>, Stop<ReadError>> {
    let missing = Stop::Refused(ReadError::NotFound("endpoint"));
    let endpoint = endpoint::key(transaction, scope, reference).await?.ok_or(missing)?;
    let query = &search.query;
    let cut = Cut::new(&query.page).between(query.after, query.before);
    let reach = reach(transaction, scope, cut).await?;
    let Cut { walk, low, high } = reach.cut;
    let (shard, limit) = (rows::shard(scope), walk.rows());
    let event_types = rows::filter(&query.event_types);
    let status = search.status.map(|status| i32::from(status.number()));
    let parameters = [
        int4(&shard),
        int8(&scope.application),
        int8(&scope.environment),
        int8(&low),
        int8(&high),
        boolean(&query.with_content),
        texts(&event_types),
        text(&query.channel),
        text(&query.tag),
        int8(&endpoint),
        int4(&status),
        int8(&limit),
    ];
    let sql = walk.sql(include_str!("queries/attempted_messages.sql"));
    let found = transaction.rows(&sql, &parameters).await?;
    let attempted = |row: &Row| {
        let (status, due_at) = standing(row, 9, false)?;
        Some(AttemptedMessage { message: message::from_row(row), status, due_at })
    };
    Ok(reach.page(found.iter().filter_map(attempted).collect()))
}

async fn attempted_endpoints(
    transaction: &Transaction<'_>,
    scope: Scope,
    reference: &Reference,
    page: &Page,
) -> Result<Listed<AttemptedEndpoint>, Stop<ReadError>> {
    let message = message::existing(transaction, scope, reference).await?;
    let Cut { walk, low, high } = Cut::new(page);
    let (shard, limit) = (rows::shard(scope), walk.rows());
    let parameters = [int4(&shard), int8(&message), int8(&low), int8(&high), int8(&limit)];
    let sql = walk.sql(include_str!("queries/attempted_endpoints.sql"));
    let found = transaction.rows(&sql, &parameters).await?;
    let attempted = |row: &Row| {
        let endpoint = endpoint::from_row(row);
        let (status, due_at) = standing(row, 14, endpoint.state == State::Deleted)?;
        Some(AttemptedEndpoint { endpoint, status, due_at })
    };
    Ok(walk.page(found.iter().filter_map(attempted).collect()))
}

/// How far a message is at an endpoint, from two columns: whether an attempt succeeded, and when
/// what is open is due.
fn standing(
    row: &Row,
    column: usize,
    deleted: bool,
) -> Option<(DeliveryStatus, Option<Timestamp>)> {
    let due_at: Option<i64> = row.get(column + 1);
    let status = DeliveryStatus::of(row.get(column), due_at.is_some(), deleted)?;
    Some((status, due_at.map(Timestamp)))
}
