//! Requests to sources that were kept and become messages only now.

use ringback_domain::{
    id::{Id, Key, MessageId},
    source::Fate,
};
use tokio_postgres::types::Type;

use super::{
    super::{
        Postgres, fault,
        fault::Stop,
        order, rows,
        transaction::{Transaction, int4, int8, text},
    },
    TRIES, Way,
};
use crate::{
    Append, AppendError, Appended, Release, Released, Unavailable, WriteError, source::storable,
};

/// Appends what a request becomes, and says so in it.
pub(in super::super) async fn release(
    store: &Postgres,
    release: Release,
) -> Result<Released, WriteError> {
    for _ in 0..TRIES {
        let release = release.clone();
        let tried = store.change_if(Released::is_now, move |transaction| {
            Box::pin(async move {
                match within(transaction, &release).await {
                    // Somebody else was quicker with the same claim: looking again shows who.
                    Err(Stop::Database(error)) if fault::is_duplicate(&error) => {
                        Err(Stop::Refused(Tried::InVain))
                    }
                    Err(stop) => Err(Stop::Refused(Tried::Ended(stop.told()))),
                    Ok(released) => Ok(released),
                }
            })
        });
        match tried.await {
            Ok(released) => return Ok(released),
            Err(Tried::Ended(error)) => return Err(error),
            Err(Tried::InVain) => {}
        }
    }
    Err(Unavailable::Failed("others kept making the same claim".to_owned()).into())
}

/// How a try ended that changed nothing.
enum Tried {
    InVain,
    Ended(WriteError),
}

impl From<Unavailable> for Tried {
    fn from(reason: Unavailable) -> Tried {
        Tried::Ended(reason.into())
    }
}

async fn within(
    transaction: &Transaction<'_>,
    release: &Release,
) -> Result<Released, Stop<WriteError>> {
    let Release { source, request, messages } = release;
    let missing = |what| Stop::Refused(WriteError::NotFound(what));
    let Some((first, others)) = messages.split_first() else { return Err(missing("message")) };
    // It becomes a message once, whoever else releases it now.
    let sql = include_str!("../queries/request_lock.sql");
    let parameters = [int8(source), int8(&first.environment), int8(request)];
    let row = transaction.row(sql, &parameters).await?.ok_or(missing("request"))?;
    if let Some(key) = row.get::<_, Option<Key>>(0) {
        let nonce = row.get::<_, Option<i64>>(1).unwrap_or_default() as u64;
        return Ok(Released::Before(MessageId(Id { key, shard: 0, nonce })));
    }
    let orders = super::orders(transaction, messages).await?;
    order::hold(transaction, &orders).await?;
    let way = Way::inside(transaction);
    let kept = Way { kept: true, ..Way::inside(transaction) };
    let mut released = taken(kept.append(std::slice::from_ref(first)).await?)?;
    if let Some(appended) = released.first() {
        become_of(transaction, release, first, appended).await?;
    }
    released.extend(taken(way.append(others).await?)?);
    Ok(Released::Now(released))
}

/// What was appended, without those that were there before.
fn taken(answers: Vec<Result<Appended, AppendError>>) -> Result<Vec<Appended>, Stop<WriteError>> {
    let taken = answers.into_iter().filter_map(|answer| match answer {
        Ok(appended) => Some(Ok(appended)),
        Err(AppendError::ClaimConflict | AppendError::EventIdTaken { .. }) => None,
        Err(AppendError::NoApplication) => Some(Err(WriteError::NotFound("source"))),
        Err(AppendError::Unavailable(reason)) => Some(Err(reason.into())),
    });
    taken.collect::<Result<_, _>>().map_err(Stop::Refused)
}

/// Says in the request what became of it.
async fn become_of(
    transaction: &Transaction<'_>,
    release: &Release,
    new: &Append,
    appended: &Appended,
) -> Result<(), tokio_postgres::Error> {
    let Some(arrival) = &new.message.arrival else { return Ok(()) };
    let shard = rows::shard_of(appended.application);
    let fate = if appended.repeated { Fate::Duplicate } else { Fate::Accepted }.number() as i16;
    let reason = arrival.reason.as_deref().map(storable);
    let Id { key, nonce, .. } = appended.id.0;
    let (nonce, expires_at) = (nonce as i64, new.message.expires_at.millis());
    let parameters = [
        int4(&shard),
        int8(&release.source),
        int8(&release.request),
        (&fate as _, Type::INT2),
        text(&reason),
        text(&arrival.verdict),
        int8(&key),
        int8(&nonce),
        int8(&expires_at),
    ];
    transaction.execute(include_str!("../queries/request_release.sql"), &parameters).await?;
    Ok(())
}
