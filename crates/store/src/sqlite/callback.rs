//! Callbacks: making, reading and forgetting them. What happens to one is in [`step`].

mod step;

use ringback_domain::{
    callback::{Act, By, Callback, Fate, Heartbeat, Kind, Mode, Price, Request, State, Turn},
    callback::{Answer, Course},
    id::{ApplicationId, CallbackId, CallbackRequestId, Id, Key, MessageId, SourceId},
    scope::Scope,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Sqlite, application, fault::Stop, rows, writer::Transaction};
use crate::{
    BoxFuture, CallbackQuery, CallbackStep, CallbackStepped, Callbacks, Correlation,
    CreatedCallback, Errand, Found, Listed, NewCallback, Page, ReadError, Unavailable, WriteError,
    pages::Cut, search::Reach,
};

/// The most callbacks that are forgotten in one transaction, and the most requests.
const BOUND: i64 = 250;

impl Callbacks for Sqlite {
    fn create_callback(
        &self,
        new: NewCallback,
    ) -> BoxFuture<'_, Result<CreatedCallback, WriteError>> {
        self.change_if(
            |created: &CreatedCallback| !created.repeated,
            move |transaction| create(transaction, new),
        )
    }

    fn callback(
        &self,
        environment: Key,
        callback: CallbackId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Callback, ReadError>> {
        self.read(move |connection| {
            let found = by_id(connection, callback)?
                .filter(|found| found.scope.environment == environment)
                .map(|found| found.at(now));
            found.ok_or(Stop::Refused(ReadError::NotFound("callback")))
        })
    }

    fn callback_by_id(
        &self,
        callback: CallbackId,
    ) -> BoxFuture<'_, Result<Option<Callback>, Unavailable>> {
        self.read(move |connection| Ok(by_id(connection, callback)?))
    }

    fn callbacks(
        &self,
        environment: Key,
        query: CallbackQuery,
    ) -> BoxFuture<'_, Result<Found<Callback>, ReadError>> {
        self.read(move |connection| Ok(list(connection, environment, &query)?))
    }

    fn callback_request(
        &self,
        callback: CallbackId,
        request: CallbackRequestId,
    ) -> BoxFuture<'_, Result<Request, ReadError>> {
        self.read(move |connection| {
            let mut select =
                connection.prepare_cached(include_str!("queries/callback_request.sql"))?;
            let found =
                select.query_row((request.key(), callback.key()), request_from_row).optional()?;
            let found = found.filter(|found| found.id == request);
            found.ok_or(Stop::Refused(ReadError::NotFound("callback request")))
        })
    }

    fn callback_requests(
        &self,
        callback: CallbackId,
        page: Page,
        with_bodies: bool,
    ) -> BoxFuture<'_, Result<Listed<Request>, Unavailable>> {
        self.read(move |connection| {
            let Cut { walk, low, high } = Cut::new(&page);
            let sql = walk.sql(include_str!("queries/callback_requests.sql"));
            let mut select = connection.prepare_cached(&sql)?;
            let parameters = (callback.key(), low, high, with_bodies, walk.rows());
            let found = select.query_map(parameters, request_from_row)?;
            Ok(walk.page(found.collect::<rusqlite::Result<_>>()?))
        })
    }

    fn step_callbacks(
        &self,
        steps: Vec<CallbackStep>,
    ) -> BoxFuture<'_, Result<Vec<Result<CallbackStepped, WriteError>>, Unavailable>> {
        self.change_if(
            |stepped: &Vec<Result<CallbackStepped, WriteError>>| stepped.iter().any(Result::is_ok),
            move |transaction| {
                Ok(steps
                    .iter()
                    .map(|step| step::step(transaction, step))
                    .collect::<rusqlite::Result<_>>()?)
            },
        )
    }

    fn turn_callback(
        &self,
        environment: Key,
        callback: CallbackId,
        turn: Turn,
    ) -> BoxFuture<'_, Result<Callback, WriteError>> {
        self.change(move |transaction| {
            let connection = transaction.connection;
            let found = by_id(connection, callback)?
                .filter(|found| found.scope.environment == environment)
                .ok_or(Stop::Refused(WriteError::NotFound("callback")))?;
            let mut update =
                connection.prepare_cached(include_str!("queries/callback_turn.sql"))?;
            update.execute((callback.key(), turn.version, turn.turn))?;
            Ok(Callback { turn, ..found })
        })
    }

    fn correlate(
        &self,
        correlation: Correlation,
    ) -> BoxFuture<'_, Result<Option<CallbackStepped>, Unavailable>> {
        self.write(move |transaction| Ok(step::correlate(transaction, &correlation)?))
    }

    fn due_callbacks(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<CallbackId>, Unavailable>> {
        self.read(move |connection| {
            let mut select =
                connection.prepare_cached(include_str!("queries/callbacks_due.sql"))?;
            let found = select.query_map((now.millis(), limit as i64), |row| {
                Ok(CallbackId(rows::id(row, 0, 1)?))
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn next_due_callback(&self) -> BoxFuture<'_, Result<Option<Timestamp>, Unavailable>> {
        self.read(|connection| {
            let mut select =
                connection.prepare_cached(include_str!("queries/callback_next_due.sql"))?;
            let next: Option<i64> = select.query_row([], |row| row.get(0))?;
            Ok(next.map(Timestamp))
        })
    }

    fn put_errand(&self, errand: Errand) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.write(move |transaction| Ok(put_errand(transaction.connection, &errand)?))
    }

    fn follow_errand(
        &self,
        done: Errand,
        next: Option<Errand>,
    ) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.write(move |transaction| {
            Ok(follow_errand(transaction.connection, &done, next.as_ref())?)
        })
    }

    fn due_errands(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Errand>, Unavailable>> {
        self.read(move |connection| {
            let mut select =
                connection.prepare_cached(include_str!("queries/callback_errands_due.sql"))?;
            let found = select.query_map((now.millis(), limit as i64), |row| {
                Ok(Errand {
                    callback: CallbackId(rows::id(row, 0, 1)?),
                    due_at: Timestamp(row.get(2)?),
                    attempts: row.get(3)?,
                    work: row.get(4)?,
                })
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn next_errand(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<Timestamp>, Unavailable>> {
        self.read(move |connection| {
            let mut select =
                connection.prepare_cached(include_str!("queries/callback_errand_next.sql"))?;
            let next: Option<i64> =
                select.query_row([now.millis()], |row| row.get(0)).optional()?;
            Ok(next.map(Timestamp))
        })
    }

    fn forget_callbacks(
        &self,
        ended_before: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, Unavailable>> {
        self.write(move |transaction| Ok(forget(transaction.connection, ended_before, now)?))
    }
}

fn create(
    transaction: &mut Transaction<'_>,
    new: NewCallback,
) -> Result<CreatedCallback, Stop<WriteError>> {
    let connection = transaction.connection;
    let NewCallback { callback, claim, errand, keeping } = new;
    application::check_scope(connection, callback.scope)?;
    if let Some(claim) = claim {
        let sql = include_str!("queries/callback_by_claim.sql");
        let mut select = connection.prepare_cached(sql)?;
        let parameters = (callback.scope.application, &claim.key[..]);
        let before = select
            .query_row(parameters, |row| Ok((from_row(row)?, row.get::<_, Vec<u8>>(30)?)))
            .optional()?;
        if let Some((before, body)) = before {
            return if body == claim.body {
                Ok(CreatedCallback { callback: before, repeated: true, told: Vec::new() })
            } else {
                Err(Stop::Refused(WriteError::Conflict("idempotency key")))
            };
        }
    }
    let exists = include_str!("queries/callback_exists.sql");
    if rows::exists(connection, exists, [callback.id.key()])? {
        return Err(Stop::Refused(WriteError::Conflict("callback id")));
    }
    insert(connection, &callback, claim.as_ref())?;
    if let Some(errand) = &errand {
        put_errand(connection, errand)?;
    }
    step::begin(transaction, callback, keeping)
}

fn insert(
    connection: &Connection,
    callback: &Callback,
    claim: Option<&crate::CallbackClaim>,
) -> rusqlite::Result<()> {
    let Callback { course, turn, source, .. } = callback;
    let (taken, most) = counts(course.mode);
    let mut insert = connection.prepare_cached(include_str!("queries/callback_insert.sql"))?;
    insert.execute(rusqlite::params![
        callback.id.key(),
        callback.id.0.nonce as i64,
        callback.scope.environment,
        callback.scope.application,
        callback.application.0.nonce as i64,
        callback.kind.number(),
        course.state.number(),
        course.due_at().millis(),
        course.expires_at.millis(),
        course.heartbeat.map(|it| it.within.as_millis() as i64),
        course.heartbeat.map(|it| it.seen_at.millis()),
        taken,
        most,
        turn.version,
        turn.turn,
        callback.terms,
        callback.sealed,
        source.map(SourceId::key),
        source.map(|source| source.0.nonce as i64),
        callback.reference,
        rows::json(&callback.tags)?,
        rows::json(&callback.metadata)?,
        callback.created_at.millis(),
        claim.map(|claim| claim.key),
        claim.map(|claim| claim.body),
        callback.expects.amount,
        callback.expects.currency,
    ])?;
    Ok(())
}

/// How many items a stream has and how many end it, as they are stored.
fn counts(mode: Mode) -> (u32, Option<u32>) {
    match mode {
        Mode::Single => (0, None),
        Mode::Stream { taken, most } => (taken, Some(most)),
    }
}

fn by_id(connection: &Connection, callback: CallbackId) -> rusqlite::Result<Option<Callback>> {
    let mut select = connection.prepare_cached(include_str!("queries/callback.sql"))?;
    let found = select.query_row([callback.key()], from_row).optional()?;
    // The nonce is what makes a guessed id fail.
    Ok(found.filter(|found| found.id == callback))
}

fn put_errand(connection: &Connection, errand: &Errand) -> rusqlite::Result<()> {
    let Errand { callback, due_at, attempts, work } = errand;
    let mut put = connection.prepare_cached(include_str!("queries/callback_errand_put.sql"))?;
    put.execute((callback.key(), callback.0.nonce as i64, due_at.millis(), attempts, work))?;
    Ok(())
}

fn follow_errand(
    connection: &Connection,
    done: &Errand,
    next: Option<&Errand>,
) -> rusqlite::Result<()> {
    let key = done.callback.key();
    match next {
        Some(Errand { due_at, attempts, work, .. }) => {
            let sql = include_str!("queries/callback_errand_follow.sql");
            let parameters = (key, &done.work, due_at.millis(), attempts, work);
            connection.prepare_cached(sql)?.execute(parameters)?;
        }
        None => {
            let sql = include_str!("queries/callback_errand_end.sql");
            connection.prepare_cached(sql)?.execute((key, &done.work))?;
        }
    }
    Ok(())
}

/// A page of an environment's callbacks.
fn list(
    connection: &Connection,
    environment: Key,
    query: &CallbackQuery,
) -> rusqlite::Result<Found<Callback>> {
    let snapshot = connection.unchecked_transaction()?;
    let cut = Cut::new(&query.page).between(query.after, query.before);
    let CallbackQuery { reference, application, .. } = query;
    let through = |template: &str| {
        let (index, condition) = match (reference, application) {
            (Some(_), _) => ("callback_reference", "reference IS NOT NULL"),
            (None, Some(_)) => ("callback_application", "application = ?5"),
            (None, None) => ("callback_environment", "TRUE"),
        };
        template.replace("{index}", index).replace("{condition}", condition)
    };
    let last = if query.is_narrow() {
        let sql = cut.walk.sql(&through(include_str!("queries/callbacks_reach.sql")));
        let mut select = snapshot.prepare_cached(&sql)?;
        let parameters = (environment, cut.low, cut.high, reference, application, Reach::skip());
        select.query_row(parameters, |row| row.get(0)).optional()?
    } else {
        None
    };
    let reach = Reach::new(cut, last);
    let Cut { walk, low, high } = reach.cut;
    let states: Vec<i64> = query.states.iter().map(|state| state.number()).collect();
    let states = (!states.is_empty()).then(|| rows::json(&states)).transpose()?;
    let sql = walk.sql(&through(include_str!("queries/callbacks.sql")));
    let mut select = snapshot.prepare_cached(&sql)?;
    let parameters = rusqlite::params![
        environment,
        low,
        high,
        reference,
        application,
        states,
        query.now.millis(),
        query.kind.map(Kind::number),
        query.tag,
        walk.rows(),
    ];
    let found = select.query_map(parameters, |row| Ok(from_row(row)?.at(query.now)))?;
    Ok(reach.page(found.collect::<rusqlite::Result<_>>()?))
}

/// Forgets what is old; whether there is more.
fn forget(
    connection: &Connection,
    ended_before: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let sql = include_str!("queries/callback_meetings_forget.sql");
    let met = connection.prepare_cached(sql)?.execute((now.millis(), BOUND))?;
    let mut select = connection.prepare_cached(include_str!("queries/callbacks_ended.sql"))?;
    let ended: Vec<Key> = select
        .query_map((ended_before.millis(), BOUND), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut more = ended.len() as i64 == BOUND || met as i64 == BOUND;
    let mut left = BOUND;
    for key in ended {
        let sql = include_str!("queries/callback_requests_delete.sql");
        let deleted = connection.prepare_cached(sql)?.execute((key, left))? as i64;
        left -= deleted;
        if left <= 0 {
            more = true;
            break;
        }
        connection
            .prepare_cached(include_str!("queries/callback_errands_delete.sql"))?
            .execute([key])?;
        connection
            .prepare_cached(include_str!("queries/callback_meeting_delete.sql"))?
            .execute([key])?;
        connection.prepare_cached(include_str!("queries/callback_delete.sql"))?.execute([key])?;
    }
    Ok(more)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Callback> {
    let out_of_range = |column| rusqlite::Error::IntegralValueOutOfRange(column, 0);
    let silence: Option<i64> = row.get(8)?;
    let seen_at: Option<i64> = row.get(9)?;
    let heartbeat = silence.zip(seen_at).map(|(silence, seen_at)| Heartbeat {
        within: std::time::Duration::from_millis(silence as u64),
        seen_at: Timestamp(seen_at),
    });
    let taken = row.get(10)?;
    let most: Option<u32> = row.get(11)?;
    let failed: Option<bool> = row.get(12)?;
    let body: Option<[u8; 32]> = row.get(13)?;
    let application: Key = row.get(3)?;
    let nonce = row.get::<_, i64>(4)? as u64;
    let source: Option<Key> = row.get(18)?;
    let settled_by: Option<Key> = row.get(25)?;
    Ok(Callback {
        id: CallbackId(rows::id(row, 0, 1)?),
        scope: Scope { environment: row.get(2)?, application },
        application: ApplicationId(Id { key: application, shard: 0, nonce }),
        kind: Kind::from_number(row.get(5)?).ok_or(out_of_range(5))?,
        course: Course {
            state: State::from_number(row.get(6)?).ok_or(out_of_range(6))?,
            expires_at: Timestamp(row.get(7)?),
            heartbeat,
            mode: most.map_or(Mode::Single, |most| Mode::Stream { taken, most }),
            answered: failed.zip(body).map(|(failed, body)| Answer { failed, body }),
        },
        turn: Turn { version: row.get(14)?, turn: row.get(15)? },
        terms: row.get(16)?,
        sealed: row.get(17)?,
        source: source.map(|_| rows::id(row, 18, 19).map(SourceId)).transpose()?,
        reference: row.get(20)?,
        expects: Price { amount: row.get(28)?, currency: row.get(29)? },
        tags: rows::parsed(row, 21)?,
        metadata: rows::parsed(row, 22)?,
        created_at: Timestamp(row.get(23)?),
        settled_at: row.get::<_, Option<i64>>(24)?.map(Timestamp),
        settled_by: settled_by.map(|_| rows::id(row, 25, 26).map(CallbackRequestId)).transpose()?,
        requests: row.get(27)?,
    })
}

fn request_from_row(row: &Row<'_>) -> rusqlite::Result<Request> {
    let out_of_range = |column| rusqlite::Error::IntegralValueOutOfRange(column, 0);
    let id = CallbackRequestId(rows::id(row, 0, 1)?);
    let message: Option<Key> = row.get(13)?;
    Ok(Request {
        id,
        act: Act::from_number(row.get(2)?).ok_or(out_of_range(2))?,
        by: By::from_number(row.get(3)?).ok_or(out_of_range(3))?,
        fate: Fate::from_number(row.get(4)?).ok_or(out_of_range(4))?,
        item: row.get(5)?,
        reason: row.get(6)?,
        method: row.get(7)?,
        target: row.get(8)?,
        address: row.get(9)?,
        content_type: row.get(10)?,
        headers: rows::parsed(row, 11)?,
        bytes: row.get::<_, i64>(12)? as u64,
        message: message.map(|_| rows::id(row, 13, 14).map(MessageId)).transpose()?,
        body: row.get(15)?,
        received_at: id.0.created_at(),
    })
}
