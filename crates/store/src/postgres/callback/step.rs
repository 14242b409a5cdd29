//! What happens to callbacks: many steps with a few statements, in the transaction that is open.

use std::collections::HashMap;

use ringback_domain::{
    callback::{Answer, Callback, Price, Request, told},
    id::{CallbackId, Key, MessageId},
    time::Timestamp,
};
use tokio_postgres::{Error, types::Type};

use super::{counts, from_row, hash, optional_id};
use crate::{
    Append, CallbackStep, CallbackStepped, Correlation, CreatedCallback, Keeping, Notified,
    WriteError,
    callback::{Met, Worked},
    postgres::{
        append,
        fault::Stop,
        rows,
        transaction::{Transaction, boolean, bytea, int8, int8s, text, texts},
    },
};

/// Makes steps in their order; those of one callback see each other.
pub(super) async fn steps(
    transaction: &Transaction<'_>,
    steps: &[CallbackStep],
) -> Result<Vec<Result<CallbackStepped, WriteError>>, Error> {
    let keys: Vec<Key> = steps.iter().map(|step| step.callback.key()).collect();
    let sql = include_str!("../queries/callbacks_lock.sql");
    let locked = transaction.rows(sql, &[int8s(&keys)]).await?;
    let mut callbacks: HashMap<CallbackId, Callback> =
        locked.iter().map(from_row).map(|callback| (callback.id, callback)).collect();
    let mut all = Vec::with_capacity(steps.len());
    for step in steps {
        let found = callbacks.get_mut(&step.callback);
        all.push(found.map(|callback| {
            let worked = step.work(callback.clone(), transaction.next_key(step.now));
            *callback = worked.callback.clone();
            worked
        }));
    }
    let worked = || all.iter().flatten();
    insert_requests(transaction, worked()).await?;
    update(transaction, callbacks.values()).await?;
    let messages: Vec<Append> =
        worked().flat_map(|worked| worked.messages.iter().cloned()).collect();
    let mut told = tell(transaction, &messages).await?.into_iter();
    let stepped = all.into_iter().map(|worked| {
        let worked = worked.ok_or(WriteError::NotFound("callback"))?;
        let count = worked.messages.len();
        Ok(worked.told(told.by_ref().take(count).flatten().collect()))
    });
    Ok(stepped.collect())
}

async fn step(
    transaction: &Transaction<'_>,
    step: CallbackStep,
) -> Result<Option<CallbackStepped>, Error> {
    Ok(steps(transaction, &[step]).await?.pop().and_then(Result::ok))
}

/// The message about a callback that was just inserted; and if what it waits for was there before it,
/// its end.
pub(super) async fn begin(
    transaction: &Transaction<'_>,
    callback: Callback,
    keeping: Keeping,
) -> Result<CreatedCallback, Stop<WriteError>> {
    let now = callback.created_at;
    let messages = keeping.messages(&callback, [told::created(&callback)], now);
    let told = tell(transaction, &messages).await?.into_iter().flatten().collect();
    let mut created = CreatedCallback { callback, repeated: false, told };
    let Some(reference) = created.callback.reference.clone() else { return Ok(created) };
    let (owner, environment) = (created.callback.owner(), created.callback.scope.environment);
    let met = met(transaction, owner, &reference, environment).await?;
    if met.callback.is_some() {
        return Err(Stop::Refused(WriteError::Conflict("callback reference")));
    }
    let met = Met::with(Some(met), created.callback.id, now);
    put(transaction, owner, &reference, &met).await?;
    if let Some(correlation) = met.correlation(&created.callback, keeping, now)
        && let Some(stepped) = step(transaction, correlation.step(created.callback.id)).await?
    {
        created.callback = stepped.callback;
        created.told.extend(stepped.told);
    }
    Ok(created)
}

/// Lets a message of a source meet the callback with its reference.
pub(super) async fn correlate(
    transaction: &Transaction<'_>,
    correlation: &Correlation,
) -> Result<Option<CallbackStepped>, Error> {
    let Correlation { source, reference, environment, .. } = correlation;
    let met = met(transaction, *source, reference, *environment).await?;
    if let Some(callback) = met.callback {
        return step(transaction, correlation.step(callback)).await;
    }
    // The first one is what a callback finds that is made later.
    if met.forget_at.is_none_or(|until| until <= correlation.now) {
        put(transaction, *source, reference, &Met::of(correlation)).await?;
    }
    Ok(None)
}

/// What is known of a reference, which nobody else changes until the transaction ends.
async fn met(
    transaction: &Transaction<'_>,
    owner: Key,
    reference: &str,
    environment: Key,
) -> Result<Met, Error> {
    let sql = include_str!("../queries/callback_meeting_lock.sql");
    let parameters = [int8(&owner), text(&reference), int8(&environment)];
    let Some(row) = transaction.row(sql, &parameters).await? else { return Ok(Met::default()) };
    let failed: Option<bool> = row.get(4);
    Ok(Met {
        callback: optional_id(&row, 0).map(CallbackId),
        message: optional_id(&row, 2).map(MessageId),
        answer: failed.zip(hash(&row, 5)).map(|(failed, body)| Answer { failed, body }),
        content_type: row.get(6),
        body: row.get::<_, Option<Vec<u8>>>(7).unwrap_or_default().into(),
        forget_at: row.get::<_, Option<i64>>(8).map(Timestamp),
        price: Price { amount: row.get(9), currency: row.get(10) },
    })
}

async fn put(
    transaction: &Transaction<'_>,
    owner: Key,
    reference: &str,
    met: &Met,
) -> Result<(), Error> {
    let (callback, callback_nonce) =
        (met.callback.map(CallbackId::key), met.callback.map(|id| id.0.nonce as i64));
    let (message, message_nonce) =
        (met.message.map(MessageId::key), met.message.map(|id| id.0.nonce as i64));
    let failed = met.answer.map(|answer| answer.failed);
    let answer = met.answer.map(|answer| answer.body.to_vec());
    let body = met.message.map(|_| &met.body[..]);
    let forget_at = met.forget_at.map(|at| at.millis());
    let parameters = [
        int8(&owner),
        text(&reference),
        int8(&callback),
        int8(&callback_nonce),
        int8(&message),
        int8(&message_nonce),
        boolean(&failed),
        bytea(&answer),
        text(&met.content_type),
        bytea(&body),
        int8(&forget_at),
        text(&met.price.amount),
        text(&met.price.currency),
    ];
    let sql = include_str!("../queries/callback_meeting_put.sql");
    transaction.execute(sql, &parameters).await?;
    Ok(())
}

async fn update(
    transaction: &Transaction<'_>,
    callbacks: impl Iterator<Item = &Callback>,
) -> Result<(), Error> {
    let callbacks: Vec<&Callback> = callbacks.collect();
    if callbacks.is_empty() {
        return Ok(());
    }
    fn column<T>(callbacks: &[&Callback], of: impl Fn(&Callback) -> T) -> Vec<T> {
        callbacks.iter().map(|callback| of(callback)).collect()
    }
    let keys = column(&callbacks, |it| it.id.key());
    let states = column(&callbacks, |it| it.course.state.number() as i16);
    let due_at = column(&callbacks, |it| {
        let ended_at = it.settled_at.filter(|_| !it.course.state.is_open());
        ended_at.unwrap_or_else(|| it.course.due_at()).millis()
    });
    let expires_at = column(&callbacks, |it| it.course.expires_at.millis());
    let seen_at = column(&callbacks, |it| it.course.heartbeat.map(|it| it.seen_at.millis()));
    let taken = column(&callbacks, |it| counts(it.course.mode).0);
    let failed = column(&callbacks, |it| it.course.answered.map(|it| it.failed));
    let answers = column(&callbacks, |it| it.course.answered.map(|it| it.body.to_vec()));
    let settled_at = column(&callbacks, |it| it.settled_at.map(|at| at.millis()));
    let settled_by = column(&callbacks, |it| it.settled_by.map(|id| id.key()));
    let settled_nonces = column(&callbacks, |it| it.settled_by.map(|id| id.0.nonce as i64));
    let requests = column(&callbacks, |it| i64::from(it.requests));
    let parameters = [
        int8s(&keys),
        (&states as _, Type::INT2_ARRAY),
        int8s(&due_at),
        int8s(&expires_at),
        int8s(&seen_at),
        int8s(&taken),
        (&failed as _, Type::BOOL_ARRAY),
        (&answers as _, Type::BYTEA_ARRAY),
        int8s(&settled_at),
        int8s(&settled_by),
        int8s(&settled_nonces),
        int8s(&requests),
    ];
    transaction.execute(include_str!("../queries/callbacks_update.sql"), &parameters).await?;
    Ok(())
}

async fn insert_requests<'a>(
    transaction: &Transaction<'_>,
    worked: impl Iterator<Item = &'a Worked>,
) -> Result<(), Error> {
    let kept: Vec<(Key, &Request)> = worked
        .filter_map(|worked| Some((worked.callback.id.key(), worked.request.as_ref()?)))
        .collect();
    if kept.is_empty() {
        return Ok(());
    }
    fn column<'a, T>(kept: &[(Key, &'a Request)], of: impl Fn(&'a Request) -> T) -> Vec<T> {
        kept.iter().map(|(_, request)| of(request)).collect()
    }
    let keys = column(&kept, |it| it.id.key());
    let nonces = column(&kept, |it| it.id.0.nonce as i64);
    let callbacks: Vec<Key> = kept.iter().map(|(callback, _)| *callback).collect();
    let acts = column(&kept, |it| it.act.number() as i16);
    let parties = column(&kept, |it| it.by.number() as i16);
    let fates = column(&kept, |it| it.fate.number() as i16);
    let items = column(&kept, |it| it.item.map(i64::from));
    let reasons = column(&kept, |it| it.reason.as_deref());
    let methods = column(&kept, |it| it.method.as_str());
    let targets = column(&kept, |it| it.target.as_str());
    let addresses = column(&kept, |it| it.address.as_deref());
    let content_types = column(&kept, |it| it.content_type.as_deref());
    let headers = column(&kept, |it| rows::json(&it.headers));
    let bytes = column(&kept, |it| it.bytes as i64);
    let messages = column(&kept, |it| it.message.map(MessageId::key));
    let message_nonces = column(&kept, |it| it.message.map(|id| id.0.nonce as i64));
    let bodies = column(&kept, |it| it.body.as_deref().unwrap_or_default());
    let parameters = [
        int8s(&keys),
        int8s(&nonces),
        int8s(&callbacks),
        (&acts as _, Type::INT2_ARRAY),
        (&parties as _, Type::INT2_ARRAY),
        (&fates as _, Type::INT2_ARRAY),
        int8s(&items),
        texts(&reasons),
        texts(&methods),
        texts(&targets),
        texts(&addresses),
        texts(&content_types),
        texts(&headers),
        int8s(&bytes),
        int8s(&messages),
        int8s(&message_nonces),
        (&bodies as _, Type::BYTEA_ARRAY),
    ];
    transaction
        .execute(include_str!("../queries/callback_requests_insert.sql"), &parameters)
        .await?;
    Ok(())
}

/// Appends messages to their applications; of one whose application is gone there is nothing.
async fn tell(
    transaction: &Transaction<'_>,
    messages: &[Append],
) -> Result<Vec<Option<Notified>>, Error> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let appended = append::all_within(transaction, messages).await?;
    Ok(appended.into_iter().map(|it| it.map(|it| (it.id, it.endpoints))).collect())
}
