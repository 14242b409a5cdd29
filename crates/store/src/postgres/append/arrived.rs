//! What messages were as requests to sources.

use std::borrow::Cow;

use ringback_domain::{
    id::{Id, Key, MessageId},
    source::Fate,
};
use tokio_postgres::types::Type;

use super::{
    super::{
        Node, fault,
        fault::Stop,
        rows,
        transaction::{self, Transaction, int4, int8, text},
    },
    Answer, TRIES, Way,
};
use crate::{Append, AppendError, Appended, Arrival, NewMessage, Unavailable, source::storable};

/// Their columns, element by element beside the messages'. They end with the last message that
/// arrived, so they are empty where none did.
#[derive(Default)]
pub(super) struct Arrived<'a> {
    pub(super) headers: Vec<Option<String>>,
    pub(super) source: Vec<Option<Key>>,
    pub(super) nonce: Vec<Option<i64>>,
    pub(super) verdict: Vec<Option<&'a str>>,
    pub(super) reason: Vec<Option<Cow<'a, str>>>,
    pub(super) status: Vec<Option<i32>>,
    pub(super) method: Vec<Option<&'a str>>,
    pub(super) target: Vec<Option<Cow<'a, str>>>,
    pub(super) address: Vec<Option<&'a str>>,
    pub(super) event_id: Vec<Option<Cow<'a, str>>>,
    pub(super) bytes: Vec<Option<i64>>,
}

impl<'a> Arrived<'a> {
    /// Adds what the message at this place was.
    pub(super) fn push(&mut self, place: usize, message: &'a NewMessage) {
        if let Some(headers) = &message.headers {
            put(&mut self.headers, place, Some(rows::json(&**headers)));
        }
        // A request that was kept before is changed apart.
        let Some(arrival) = message.arrival.as_deref().filter(|it| it.existing.is_none()) else {
            return;
        };
        put(&mut self.source, place, Some(arrival.source));
        put(&mut self.nonce, place, Some(arrival.nonce as i64));
        put(&mut self.verdict, place, Some(&arrival.verdict));
        put(&mut self.reason, place, arrival.reason.as_deref().map(storable));
        put(&mut self.status, place, Some(arrival.status.into()));
        put(&mut self.method, place, Some(&arrival.method));
        put(&mut self.target, place, Some(storable(&arrival.target)));
        put(&mut self.address, place, arrival.address.as_deref());
        put(&mut self.event_id, place, arrival.event_id.as_deref().map(storable));
        put(&mut self.bytes, place, Some(message.payload.len() as i64));
    }
}

/// Puts a value at a place, and nothing at those before that have none.
fn put<T>(column: &mut Vec<Option<T>>, place: usize, value: Option<T>) {
    column.resize_with(place, || None);
    column.push(value);
}

/// What a message was that was kept as a request and becomes one only now, and that request's key.
pub(super) fn kept(new: &Append) -> Option<(&Arrival, Key)> {
    let arrival = new.message.arrival.as_deref()?;
    Some((arrival, arrival.existing?))
}

/// Appends such a message and says so in its request.
pub(super) async fn release(node: &Node, new: &Append) -> Answer {
    for _ in 0..TRIES {
        let new = new.clone();
        let released = transaction::run(node, move |transaction| {
            Box::pin(async move {
                match within(transaction, &new).await {
                    // Somebody else was quicker with the same claim: looking again shows who.
                    Err(Stop::Database(error)) if fault::is_duplicate(&error) => {
                        Err(Stop::Refused(Tried::InVain))
                    }
                    Err(stop) => Err(Stop::Refused(Tried::Ended(stop.told()))),
                    Ok(appended) => Ok(appended),
                }
            })
        });
        match released.await {
            Ok(appended) => return Ok(appended),
            Err(Tried::Ended(error)) => return Err(error),
            Err(Tried::InVain) => {}
        }
    }
    Err(Unavailable::Failed("others kept making the same claim".to_owned()).into())
}

/// How a try ended that appended nothing.
enum Tried {
    InVain,
    Ended(AppendError),
}

impl From<Unavailable> for Tried {
    fn from(reason: Unavailable) -> Tried {
        Tried::Ended(reason.into())
    }
}

async fn within(
    transaction: &Transaction<'_>,
    new: &Append,
) -> Result<Appended, Stop<AppendError>> {
    let Some((arrival, request)) = kept(new) else { return append(transaction, new).await };
    // It becomes a message once, whoever else releases it now.
    let sql = include_str!("../queries/request_lock.sql");
    let parameters = [int8(&arrival.source), int8(&new.environment), int8(&request)];
    let Some(row) = transaction.row(sql, &parameters).await? else {
        return append(transaction, &anew(new)).await;
    };
    let (application, first): (Key, Option<Key>) = (row.get(0), row.get(1));
    if let Some(key) = first {
        let nonce = row.get::<_, Option<i64>>(2).unwrap_or_default() as u64;
        return Ok(super::repetition(MessageId(Id { key, shard: 0, nonce }), application));
    }
    let appended = append(transaction, new).await?;
    let shard = rows::shard_of(appended.application);
    let fate = if appended.repeated { Fate::Duplicate } else { Fate::Accepted }.number() as i16;
    let reason = arrival.reason.as_deref().map(storable);
    let Id { key, nonce, .. } = appended.id.0;
    let (nonce, expires_at) = (nonce as i64, new.message.expires_at.millis());
    let parameters = [
        int4(&shard),
        int8(&arrival.source),
        int8(&request),
        (&fate as _, Type::INT2),
        text(&reason),
        text(&arrival.verdict),
        int8(&key),
        int8(&nonce),
        int8(&expires_at),
    ];
    transaction.execute(include_str!("../queries/request_release.sql"), &parameters).await?;
    Ok(appended)
}

/// The same as something that arrives now: the request that was kept is gone.
fn anew(new: &Append) -> Append {
    let mut new = new.clone();
    if let Some(arrival) = &mut new.message.arrival {
        arrival.existing = None;
    }
    new
}

async fn append(
    transaction: &Transaction<'_>,
    new: &Append,
) -> Result<Appended, Stop<AppendError>> {
    let way = Way { node: transaction.node(), client: transaction.client(), alone: false };
    let answer = way.append(std::slice::from_ref(new), vec![0]).await?.pop();
    let nothing = || Unavailable::Failed("nothing was appended".to_owned()).into();
    answer.unwrap_or_else(|| Err(nothing())).map_err(Stop::Refused)
}
