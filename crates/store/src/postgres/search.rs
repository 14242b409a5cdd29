//! Searching: the conditions are SQL, how much is looked at is decided before.

use ringback_domain::{
    attempt::Attempt,
    endpoint::State,
    id::{Key, SEQUENCE_BITS},
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
    transaction::{Transaction, int4, int8, int8s},
};
use crate::{
    AttemptQuery, AttemptedEndpoint, AttemptedMessage, BoxFuture, DeliveryStatus, Found, LOOK,
    Listed, MessageSearch, Page, ReadError, Search, Unavailable, ordering,
    pages::Cut,
    search::{Reach, filters},
};

/// Keeps partitions from being looked into whose attempts are older than the messages: no attempt
/// is, unless the clock was wrong, and an hour is left for that.
const HOUR: &str = "(3600000::int8 << 20)";

/// The most attempts, or deliveries, that are read at once for a page that looks at `most` of its
/// own: other applications' are among them, and cost as much.
fn many(most: usize) -> i64 {
    (most + 2 * LOOK).max(6 * LOOK) as i64
}

/// The most messages of a page that are looked up one by one: each look-up of an old message goes
/// through the partitions of every later week, which takes a third of a millisecond.
const LOOK_EACH: usize = 100;

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

    fn messages_of(
        &self,
        scope: Scope,
        keys: Vec<Key>,
    ) -> BoxFuture<'_, Result<Vec<Message>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(messages_of(transaction, scope, keys).await?) })
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

/// The part of a page that is looked at where it matters what became of the messages, and how that
/// is read.
struct Weighed {
    reach: Reach,
    attempts: &'static str,
    deliveries: &'static str,
}

/// The same, where it has to be looked at what became of them.
///
/// Usually that is read for all between the first and the last at once. An application that is quiet
/// in a shard with a busy one would read what belongs to the other; it gets shorter pages, and each
/// message is looked up.
async fn weighed(
    transaction: &Transaction<'_>,
    scope: Scope,
    cut: Cut,
    most: usize,
) -> Result<Weighed, Error> {
    let reach = heaviest(transaction, scope, cut, (LOOK, most)).await?;
    if !crowded(transaction, scope, reach.cut, many(most)).await? {
        let attempts = include_str!("queries/became_of_all_attempts.sql");
        let deliveries = include_str!("queries/became_of_all_deliveries.sql");
        return Ok(Weighed { reach, attempts, deliveries });
    }
    let reach = heaviest(transaction, scope, cut, (LOOK_EACH, most)).await?;
    let attempts = include_str!("queries/became_of_each_attempts.sql");
    let deliveries = include_str!("queries/became_of_each_deliveries.sql");
    Ok(Weighed { reach, attempts, deliveries })
}

/// As far as so many messages go, or so many deliveries of them.
async fn heaviest(
    transaction: &Transaction<'_>,
    scope: Scope,
    cut: Cut,
    (look, most): (usize, usize),
) -> Result<Reach, Error> {
    let sql = cut.walk.sql(include_str!("queries/messages_weighed.sql"));
    let (shard, look, most) = (rows::shard(scope), look as i64, most as i64);
    let parameters = [
        int4(&shard),
        int8(&scope.application),
        int8(&cut.low),
        int8(&cut.high),
        int8(&look),
        int8(&most),
    ];
    let row = transaction.row(&sql, &parameters).await?;
    Ok(Reach::new(cut, row.map(|row| row.get(0))))
}

async fn crowded(
    transaction: &Transaction<'_>,
    scope: Scope,
    cut: Cut,
    many: i64,
) -> Result<bool, Error> {
    let sql = include_str!("queries/became_of_many.sql").replace("{hour}", HOUR);
    let (shard, beyond) = (rows::shard(scope), beyond(cut.high));
    let parameters = [int4(&shard), int8(&cut.low), int8(&cut.high), int8(&beyond), int8(&many)];
    transaction.holds(&sql, &parameters).await
}

impl Weighed {
    fn sql(&self, template: &str) -> String {
        let sql = self.reach.cut.walk.sql(template);
        let sql = sql.replace("{attempts}", self.attempts).replace("{deliveries}", self.deliveries);
        sql.replace("{hour}", HOUR)
    }
}

/// As far as [`LOOK`] rows of something in the scope's shard go.
pub(super) async fn look(
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

/// The key that no scheduled delivery of a message before `high` has.
fn beyond(high: Key) -> Key {
    high.saturating_add(1 << SEQUENCE_BITS)
}

async fn messages(
    transaction: &Transaction<'_>,
    scope: Scope,
    search: &MessageSearch,
) -> Result<Found<Message>, Error> {
    let query = &search.query;
    let cut = Cut::new(&query.page).between(query.after, query.before);
    let weighed = match search.status {
        Some(_) => Some(weighed(transaction, scope, cut, LOOK).await?),
        None => None,
    };
    let reach = match &weighed {
        Some(weighed) => weighed.reach,
        None if search.filters() => reach(transaction, scope, cut).await?,
        None => whole(cut),
    };
    let beyond = beyond(reach.cut.high);
    let status = search.status.map(|status| i32::from(status.number()));
    let asked = message::Asked::new(scope, query, reach.cut);
    let mut parameters = asked.parameters();
    let sql = match &weighed {
        Some(weighed) => {
            parameters.extend([int8(&beyond), int4(&status)]);
            weighed.sql(include_str!("queries/search_messages.sql"))
        }
        None => reach.cut.walk.sql(include_str!("queries/messages.sql")),
    };
    let found = transaction.rows(&sql, &parameters).await?;
    Ok(reach.page(message::several(transaction, scope, &found, query.with_content).await?))
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
    // An attempt at another endpoint is passed over, and costs little.
    let weighed = weighed(transaction, scope, cut, 10 * LOOK).await?;
    let reach = weighed.reach;
    let beyond = beyond(reach.cut.high);
    let status = search.status.map(|status| i32::from(status.number()));
    let asked = message::Asked::new(scope, query, reach.cut);
    let mut parameters = asked.parameters();
    parameters.extend([int8(&beyond), int8(&endpoint), int4(&status)]);
    let sql = weighed.sql(include_str!("queries/attempted_messages.sql"));
    let found = transaction.rows(&sql, &parameters).await?;
    let messages = message::several(transaction, scope, &found, query.with_content).await?;
    let attempted = messages.into_iter().zip(&found).filter_map(|(message, row)| {
        let (status, due_at) = standing(row, 13, false)?;
        Some(AttemptedMessage { message, status, due_at })
    });
    Ok(reach.page(attempted.collect()))
}

async fn messages_of(
    transaction: &Transaction<'_>,
    scope: Scope,
    mut keys: Vec<Key>,
) -> Result<Vec<Message>, Error> {
    keys.sort_unstable();
    keys.dedup();
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(Vec::new()) };
    let shard = rows::shard(scope);
    let parameters = [
        int4(&shard),
        int8(&scope.application),
        int8(&scope.environment),
        int8s(&keys),
        int8(first),
        int8(last),
    ];
    let found = transaction.rows(include_str!("queries/messages_of.sql"), &parameters).await?;
    message::several(transaction, scope, &found, false).await
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
    let sql = walk.sql(include_str!("queries/attempted_endpoints.sql")).replace("{hour}", HOUR);
    let found = transaction.rows(&sql, &parameters).await?;
    let attempted = |row: &Row| {
        let endpoint = endpoint::from_row(row);
        let (status, due_at) = standing(row, 18, endpoint.state == State::Deleted)?;
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
    Some((status, due_at.and_then(ordering::by_itself)))
}
