//! Callbacks: making, reading and forgetting them. What happens to one is in [`step`].

mod step;

use ringback_domain::{
    callback::{Act, By, Callback, Fate, Heartbeat, Kind, Mode, Price, Request, State, Turn},
    callback::{Answer, Course},
    id::{ApplicationId, CallbackId, CallbackRequestId, Id, Key, MessageId, SourceId},
    scope::Scope,
    time::Timestamp,
};
use tokio_postgres::{Error, Row, types::Type};

use super::{
    Postgres, application,
    fault::Stop,
    rows,
    transaction::{Parameter, Transaction, boolean, bytea, int8, int8s, text},
};
use crate::{
    BoxFuture, CallbackClaim, CallbackQuery, CallbackStep, CallbackStepped, Callbacks, Correlation,
    CreatedCallback, Errand, Found, Listed, NewCallback, Page, ReadError, Unavailable, WriteError,
    pages::Cut, search::Reach,
};

/// The most callbacks that are forgotten in one transaction.
const BOUND: i64 = 250;
/// The most of their requests.
const REQUESTS: i64 = 1_000;

impl Callbacks for Postgres {
    fn create_callback(
        &self,
        new: NewCallback,
    ) -> BoxFuture<'_, Result<CreatedCallback, WriteError>> {
        self.change_if(
            |created: &CreatedCallback| !created.repeated,
            move |transaction| Box::pin(async move { create(transaction, new).await }),
        )
    }

    fn callback(
        &self,
        environment: Key,
        callback: CallbackId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Callback, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let found = by_id(transaction, callback).await?;
                let found = found.filter(|found| found.scope.environment == environment);
                let missing = Stop::Refused(ReadError::NotFound("callback"));
                found.map(|found| found.at(now)).ok_or(missing)
            })
        })
    }

    fn callback_by_id(
        &self,
        callback: CallbackId,
    ) -> BoxFuture<'_, Result<Option<Callback>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(by_id(transaction, callback).await?) })
        })
    }

    fn callbacks(
        &self,
        environment: Key,
        query: CallbackQuery,
    ) -> BoxFuture<'_, Result<Found<Callback>, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(list(transaction, environment, &query).await?) })
        })
    }

    fn callback_request(
        &self,
        callback: CallbackId,
        request: CallbackRequestId,
    ) -> BoxFuture<'_, Result<Request, ReadError>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let (key, callback) = (request.key(), callback.key());
                let sql = include_str!("queries/callback_request.sql");
                let row = transaction.row(sql, &[int8(&key), int8(&callback)]).await?;
                let found = row.as_ref().map(request_from_row).filter(|found| found.id == request);
                found.ok_or(Stop::Refused(ReadError::NotFound("callback request")))
            })
        })
    }

    fn callback_requests(
        &self,
        callback: CallbackId,
        page: Page,
        with_bodies: bool,
    ) -> BoxFuture<'_, Result<Listed<Request>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let Cut { walk, low, high } = Cut::new(&page);
                let sql = walk.sql(include_str!("queries/callback_requests.sql"));
                let (key, limit) = (callback.key(), walk.rows());
                let parameters =
                    [int8(&key), int8(&low), int8(&high), boolean(&with_bodies), int8(&limit)];
                let found = transaction.rows(&sql, &parameters).await?;
                Ok(walk.page(found.iter().map(request_from_row).collect()))
            })
        })
    }

    fn step_callbacks(
        &self,
        steps: Vec<CallbackStep>,
    ) -> BoxFuture<'_, Result<Vec<Result<CallbackStepped, WriteError>>, Unavailable>> {
        self.change_if(
            |stepped: &Vec<Result<CallbackStepped, WriteError>>| stepped.iter().any(Result::is_ok),
            move |transaction| Box::pin(async move { Ok(step::steps(transaction, &steps).await?) }),
        )
    }

    fn turn_callback(
        &self,
        environment: Key,
        callback: CallbackId,
        turn: Turn,
    ) -> BoxFuture<'_, Result<Callback, WriteError>> {
        self.change(move |transaction| {
            Box::pin(async move {
                let found = by_id(transaction, callback).await?;
                let found = found
                    .filter(|found| found.scope.environment == environment)
                    .ok_or(Stop::Refused(WriteError::NotFound("callback")))?;
                let (key, version) = (callback.key(), i16::from(turn.version));
                let counted = i64::from(turn.turn);
                let parameters = [int8(&key), (&version as _, Type::INT2), int8(&counted)];
                let sql = include_str!("queries/callback_turn.sql");
                transaction.execute(sql, &parameters).await?;
                Ok(Callback { turn, ..found })
            })
        })
    }

    fn correlate(
        &self,
        correlation: Correlation,
    ) -> BoxFuture<'_, Result<Option<CallbackStepped>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(step::correlate(transaction, &correlation).await?) })
        })
    }

    fn due_callbacks(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<CallbackId>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let (now, limit) = (now.millis(), i64::try_from(limit).unwrap_or(i64::MAX));
                let sql = include_str!("queries/callbacks_due.sql");
                let rows = transaction.rows(sql, &[int8(&now), int8(&limit)]).await?;
                Ok(rows.iter().map(|row| CallbackId(rows::id(row, 0, 1))).collect())
            })
        })
    }

    fn next_due_callback(&self) -> BoxFuture<'_, Result<Option<Timestamp>, Unavailable>> {
        self.transact(|transaction| {
            Box::pin(async move {
                let sql = include_str!("queries/callback_next_due.sql");
                Ok(transaction.row(sql, &[]).await?.map(|row| Timestamp(row.get(0))))
            })
        })
    }

    fn put_errand(&self, errand: Errand) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(put_errand(transaction, &errand).await?) })
        })
    }

    fn follow_errand(
        &self,
        done: Errand,
        next: Option<Errand>,
    ) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(follow_errand(transaction, &done, next.as_ref()).await?) })
        })
    }

    fn due_errands(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Errand>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let (now, limit) = (now.millis(), i64::try_from(limit).unwrap_or(i64::MAX));
                let sql = include_str!("queries/callback_errands_due.sql");
                let rows = transaction.rows(sql, &[int8(&now), int8(&limit)]).await?;
                let one = |row: &Row| Errand {
                    callback: CallbackId(rows::id(row, 0, 1)),
                    due_at: Timestamp(row.get(2)),
                    attempts: row.get::<_, i64>(3) as u32,
                    work: row.get(4),
                };
                Ok(rows.iter().map(one).collect())
            })
        })
    }

    fn next_errand(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<Timestamp>, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move {
                let (sql, now) = (include_str!("queries/callback_errand_next.sql"), now.millis());
                Ok(transaction.row(sql, &[int8(&now)]).await?.map(|row| Timestamp(row.get(0))))
            })
        })
    }

    fn forget_callbacks(
        &self,
        ended_before: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, Unavailable>> {
        self.transact(move |transaction| {
            Box::pin(async move { Ok(forget(transaction, ended_before, now).await?) })
        })
    }
}

async fn create(
    transaction: &Transaction<'_>,
    new: NewCallback,
) -> Result<CreatedCallback, Stop<WriteError>> {
    let NewCallback { callback, claim, errand, keeping } = new;
    application::check_scope(transaction, callback.scope).await?;
    if insert(transaction, &callback, claim.as_ref()).await? {
        if let Some(errand) = &errand {
            put_errand(transaction, errand).await?;
        }
        return step::begin(transaction, callback, keeping).await;
    }
    let conflict = |what| Err(Stop::Refused(WriteError::Conflict(what)));
    let Some(claim) = claim else { return conflict("callback id") };
    let (application, key) = (callback.scope.application, claim.key.to_vec());
    let sql = include_str!("queries/callback_by_claim.sql");
    match transaction.row(sql, &[int8(&application), bytea(&key)]).await? {
        Some(row) if row.get::<_, &[u8]>(30) == claim.body => {
            Ok(CreatedCallback { callback: from_row(&row), repeated: true, told: Vec::new() })
        }
        Some(_) => conflict("idempotency key"),
        None => conflict("callback id"),
    }
}

/// Inserts a callback unless its id or its claim is there; whether it did.
async fn insert(
    transaction: &Transaction<'_>,
    callback: &Callback,
    claim: Option<&CallbackClaim>,
) -> Result<bool, Error> {
    let Callback { id, scope, course, turn, source, .. } = callback;
    let (taken, most) = counts(course.mode);
    let (key, nonce) = (id.key(), id.0.nonce as i64);
    let application_nonce = callback.application.0.nonce as i64;
    let (kind, state) = (callback.kind.number() as i16, course.state.number() as i16);
    let (due_at, expires_at) = (course.due_at().millis(), course.expires_at.millis());
    let silence = course.heartbeat.map(|it| it.within.as_millis() as i64);
    let seen_at = course.heartbeat.map(|it| it.seen_at.millis());
    let (version, counted) = (i16::from(turn.version), i64::from(turn.turn));
    let (tags, metadata) = (rows::json(&callback.tags), rows::json(&callback.metadata));
    let created_at = callback.created_at.millis();
    let (source_key, source_nonce) =
        (source.map(SourceId::key), source.map(|source| source.0.nonce as i64));
    let claimed = claim.map(|claim| (claim.key.to_vec(), claim.body.to_vec()));
    let (claim, body) = claimed.unzip();
    let int2 = |value| -> Parameter<'_> { (value, Type::INT2) };
    let parameters = [
        int8(&key),
        int8(&nonce),
        int8(&scope.environment),
        int8(&scope.application),
        int8(&application_nonce),
        int2(&kind),
        int2(&state),
        int8(&due_at),
        int8(&expires_at),
        int8(&silence),
        int8(&seen_at),
        int8(&taken),
        int8(&most),
        int2(&version),
        int8(&counted),
        text(&callback.terms),
        bytea(&callback.sealed),
        int8(&source_key),
        int8(&source_nonce),
        text(&callback.reference),
        text(&tags),
        text(&metadata),
        int8(&created_at),
        bytea(&claim),
        bytea(&body),
        text(&callback.expects.amount),
        text(&callback.expects.currency),
    ];
    Ok(transaction.execute(include_str!("queries/callback_insert.sql"), &parameters).await? == 1)
}

/// How many items a stream has and how many end it, as they are stored.
fn counts(mode: Mode) -> (i64, Option<i64>) {
    match mode {
        Mode::Single => (0, None),
        Mode::Stream { taken, most } => (taken.into(), Some(most.into())),
    }
}

async fn by_id(
    transaction: &Transaction<'_>,
    callback: CallbackId,
) -> Result<Option<Callback>, Error> {
    let key = callback.key();
    let row = transaction.row(include_str!("queries/callback.sql"), &[int8(&key)]).await?;
    // The nonce is what makes a guessed id fail.
    Ok(row.as_ref().map(from_row).filter(|found| found.id == callback))
}

async fn put_errand(transaction: &Transaction<'_>, errand: &Errand) -> Result<(), Error> {
    let Errand { callback, due_at, attempts, work } = errand;
    let (key, nonce) = (callback.key(), callback.0.nonce as i64);
    let (due_at, attempts) = (due_at.millis(), i64::from(*attempts));
    let parameters = [int8(&key), int8(&nonce), int8(&due_at), int8(&attempts), bytea(work)];
    transaction.execute(include_str!("queries/callback_errand_put.sql"), &parameters).await?;
    Ok(())
}

async fn follow_errand(
    transaction: &Transaction<'_>,
    done: &Errand,
    next: Option<&Errand>,
) -> Result<(), Error> {
    let key = done.callback.key();
    match next {
        Some(Errand { due_at, attempts, work, .. }) => {
            let (due_at, attempts) = (due_at.millis(), i64::from(*attempts));
            let parameters =
                [int8(&key), bytea(&done.work), int8(&due_at), int8(&attempts), bytea(work)];
            let sql = include_str!("queries/callback_errand_follow.sql");
            transaction.execute(sql, &parameters).await?;
        }
        None => {
            let sql = include_str!("queries/callback_errand_end.sql");
            transaction.execute(sql, &[int8(&key), bytea(&done.work)]).await?;
        }
    }
    Ok(())
}

/// A page of an environment's callbacks.
async fn list(
    transaction: &Transaction<'_>,
    environment: Key,
    query: &CallbackQuery,
) -> Result<Found<Callback>, Error> {
    let cut = Cut::new(&query.page).between(query.after, query.before);
    let CallbackQuery { reference, application, tag, .. } = query;
    // Says which index it goes through; the parameter alone would not.
    let through = |template: &str| {
        let condition = match (reference, application) {
            (Some(_), _) => "reference = $4",
            (None, Some(_)) => "application = $5",
            (None, None) => "true",
        };
        template.replace("{condition}", condition)
    };
    let last: Option<Key> = if query.is_narrow() {
        let sql = cut.walk.sql(&through(include_str!("queries/callbacks_reach.sql")));
        let skip = Reach::skip();
        let parameters = [
            int8(&environment),
            int8(&cut.low),
            int8(&cut.high),
            text(reference),
            int8(application),
            int8(&skip),
        ];
        transaction.row(&sql, &parameters).await?.map(|row| row.get(0))
    } else {
        None
    };
    let reach = Reach::new(cut, last);
    let Cut { walk, low, high } = reach.cut;
    let states: Vec<i16> = query.states.iter().map(|state| state.number() as i16).collect();
    let states = (!states.is_empty()).then_some(states);
    let (now, kind) = (query.now.millis(), query.kind.map(|kind| kind.number() as i16));
    let limit = walk.rows();
    let parameters: [Parameter<'_>; 10] = [
        int8(&environment),
        int8(&low),
        int8(&high),
        text(reference),
        int8(application),
        (&states, Type::INT2_ARRAY),
        int8(&now),
        (&kind, Type::INT2),
        text(tag),
        int8(&limit),
    ];
    let sql = walk.sql(&through(include_str!("queries/callbacks.sql")));
    let found = transaction.rows(&sql, &parameters).await?;
    Ok(reach.page(found.iter().map(|row| from_row(row).at(query.now)).collect()))
}

/// Forgets what is old; whether there is more.
async fn forget(
    transaction: &Transaction<'_>,
    ended_before: Timestamp,
    now: Timestamp,
) -> Result<bool, Error> {
    let (before, now) = (ended_before.millis(), now.millis());
    let sql = include_str!("queries/callback_meetings_forget.sql");
    let met = transaction.execute(sql, &[int8(&now), int8(&BOUND)]).await?;
    let sql = include_str!("queries/callbacks_ended.sql");
    let ended = transaction.rows(sql, &[int8(&before), int8(&BOUND)]).await?;
    let ended: Vec<Key> = ended.iter().map(|row| row.get(0)).collect();
    let sql = include_str!("queries/callback_requests_delete.sql");
    let requests = transaction.execute(sql, &[int8s(&ended), int8(&REQUESTS)]).await?;
    if requests >= REQUESTS as u64 {
        return Ok(true);
    }
    let sql = include_str!("queries/callback_errands_delete.sql");
    transaction.execute(sql, &[int8s(&ended)]).await?;
    // In the order in which whoever correlates locks them.
    let sql = include_str!("queries/callback_meetings_delete.sql");
    transaction.execute(sql, &[int8s(&ended)]).await?;
    transaction.execute(include_str!("queries/callbacks_delete.sql"), &[int8s(&ended)]).await?;
    Ok(ended.len() as i64 == BOUND || met >= BOUND as u64)
}

fn from_row(row: &Row) -> Callback {
    let silence: Option<i64> = row.get(8);
    let seen_at: Option<i64> = row.get(9);
    let heartbeat = silence.zip(seen_at).map(|(silence, seen_at)| Heartbeat {
        within: std::time::Duration::from_millis(silence as u64),
        seen_at: Timestamp(seen_at),
    });
    let taken = row.get::<_, i64>(10) as u32;
    let most: Option<i64> = row.get(11);
    let failed: Option<bool> = row.get(12);
    let application: Key = row.get(3);
    let nonce = row.get::<_, i64>(4) as u64;
    Callback {
        id: CallbackId(rows::id(row, 0, 1)),
        scope: Scope { environment: row.get(2), application },
        application: ApplicationId(Id { key: application, shard: 0, nonce }),
        // Only this store writes the numbers.
        kind: Kind::from_number(row.get::<_, i16>(5).into()).unwrap_or(Kind::Result),
        course: Course {
            state: State::from_number(row.get::<_, i16>(6).into()).unwrap_or(State::Canceled),
            expires_at: Timestamp(row.get(7)),
            heartbeat,
            mode: most.map_or(Mode::Single, |most| Mode::Stream { taken, most: most as u32 }),
            answered: failed.zip(hash(row, 13)).map(|(failed, body)| Answer { failed, body }),
        },
        turn: Turn { version: row.get::<_, i16>(14) as u8, turn: row.get::<_, i64>(15) as u32 },
        terms: row.get(16),
        sealed: row.get(17),
        source: optional_id(row, 18).map(SourceId),
        reference: row.get(20),
        expects: Price { amount: row.get(28), currency: row.get(29) },
        tags: rows::parsed(row, 21),
        metadata: rows::parsed(row, 22),
        created_at: Timestamp(row.get(23)),
        settled_at: row.get::<_, Option<i64>>(24).map(Timestamp),
        settled_by: optional_id(row, 25).map(CallbackRequestId),
        requests: row.get::<_, i64>(27) as u32,
    }
}

fn request_from_row(row: &Row) -> Request {
    let id = CallbackRequestId(rows::id(row, 0, 1));
    Request {
        id,
        // Only this store writes the numbers.
        act: Act::from_number(row.get::<_, i16>(2).into()).unwrap_or(Act::Heartbeat),
        by: By::from_number(row.get::<_, i16>(3).into()).unwrap_or(By::Url),
        fate: Fate::from_number(row.get::<_, i16>(4).into()).unwrap_or(Fate::Refused),
        item: row.get::<_, Option<i64>>(5).map(|item| item as u32),
        reason: row.get(6),
        method: row.get(7),
        target: row.get(8),
        address: row.get(9),
        content_type: row.get(10),
        headers: rows::parsed(row, 11),
        bytes: row.get::<_, i64>(12) as u64,
        message: optional_id(row, 13).map(MessageId),
        body: row.get(15),
        received_at: id.0.created_at(),
    }
}

/// The id of what may not be there, from its key and the column after it.
fn optional_id(row: &Row, key: usize) -> Option<Id> {
    row.get::<_, Option<Key>>(key).map(|_| rows::id(row, key, key + 1))
}

/// A SHA-256.
fn hash(row: &Row, column: usize) -> Option<[u8; 32]> {
    row.get::<_, Option<&[u8]>>(column)?.try_into().ok()
}
