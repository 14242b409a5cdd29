//! Several messages of a lane in one request.
//!
//! Each remains a delivery of its own, with its attempts and its schedule: what goes together is what
//! is due together. A message that is kept back drops out by itself; the answer is that of all others.

use std::{iter, rc::Rc, sync::Arc};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use ringback_domain::{delivery::BATCH_BYTES, id::AttemptId, retry::KeptBack};
use ringback_store::{Content, Due};

use super::{
    attempt::{self, Made},
    claim::{Unkept, claim},
    conclude::{Ended, Request, conclude, learn},
    fixed::Sent,
    prepare::Prepared,
    recipe::{Kept, Unmade},
    render::render,
    route::{Http, Route},
    services::Services,
    signed::is_unproven,
    state::Start,
    worker::Worker,
};

/// Several messages as one request.
pub(super) struct Batch {
    /// Sent as `webhook-id`.
    pub(super) id: String,
    pub(super) body: Bytes,
    pub(super) content_type: &'static str,
    /// Whether it is signed.
    pub(super) signs: bool,
    /// SHA-256 of the body, in hexadecimal digits.
    pub(super) digest: String,
}

/// A message that goes.
struct Member {
    due: Due,
    id: AttemptId,
    /// What is sent of it.
    content: Arc<Content>,
    /// The same, without what was kept elsewhere of it.
    sent: Sent,
}

/// Makes one attempt with all of these, and concludes it for each.
pub(super) async fn attempt(worker: Rc<Worker>, start: Start) {
    let Start { due, with_it, prepared, kept, begun } = start;
    let Ok(Route::Http(http)) = &prepared.route else { return };
    let services = &worker.services;
    let endpoint = due.endpoint;
    let mut members = Vec::with_capacity(1 + with_it.len());
    let mut stay = Vec::new();
    let mut room = BATCH_BYTES;
    let mut waiting = iter::once(due).chain(with_it);
    // What conversions and programs make may be larger than what they were given, and takes its time.
    while room > 0
        && begun.elapsed() < http.timeout
        && let Some(due) = waiting.next()
    {
        let id = services.attempt_id(services.world.clock.now(), worker.random());
        match member(services, http, &prepared, due, id).await {
            Ok(member) => {
                room = room.saturating_sub(member.content.payload.len());
                members.push(member);
            }
            Err((due, made)) => stay.push((due, id, made)),
        }
    }
    let left: Vec<Due> = waiting.collect();
    let batch = batch(http, &members);
    let mut made = match &batch {
        Some(batch) => {
            let now = services.world.clock.now();
            attempt::make_batch(services, http, batch, kept, now).await
        }
        // Nothing was sent, and the connection stays.
        None => Made::kept_back(KeptBack::NotWanted, kept),
    };
    // The same jitter for all: what failed together is due together.
    let (prepared, random) = (&prepared, worker.random());
    let mut state = worker.state.borrow_mut();
    let mut results = worker.results.borrow_mut();
    state.give_back(endpoint, &left);
    let request = Request { endpoint, prepared, begun, random };
    let mut learned = learn(services, &mut state, &request, &mut made);
    for Member { due, id, sent, .. } in members {
        let (made, batch) = (made.for_another(), batch.as_ref());
        let ended = Ended { due: &due, prepared, id, made, sent, batch, random };
        results.push(conclude(services, &mut state, ended, learned));
        learned = learned.again();
    }
    for (due, id, made) in stay {
        let ended =
            Ended { due: &due, prepared, id, made, sent: Sent::Nothing, batch: None, random };
        results.push(conclude(services, &mut state, ended, learned.again()));
    }
    drop((state, results));
    worker.ended(endpoint);
}

/// What a delivery becomes in a batch; or why it is not in it.
async fn member(
    services: &Services,
    http: &Http,
    prepared: &Prepared,
    due: Due,
    id: AttemptId,
) -> Result<Member, (Due, Made)> {
    let rendered = match render(services, prepared, &due).await {
        Ok(rendered) if rendered.way.is_none() => rendered,
        Ok(_) => {
            let why = "handler returned a url, a method or headers: the request is not this \
                       message's alone, as the endpoint wants batches";
            let made = Made::kept_back(KeptBack::Untransformed, None);
            return Err((due, Made { response: why.into(), ..made }));
        }
        Err(Unmade::Kept(Kept { back, why })) => {
            return Err((due, Made { response: why.into(), ..Made::kept_back(back, None) }));
        }
        Err(Unmade::Later(step, why)) => return Err((due, Made::later(step, why, None))),
    };
    let content = if http.is_too_large(&rendered.content) {
        match claim(services, http, &rendered.content).await {
            Ok(claim) => claim,
            Err(Unkept) => return Err((due, Made::unkept(None))),
        }
    } else {
        Arc::clone(&rendered.content)
    };
    Ok(Member { due, id, content, sent: rendered.sent() })
}

/// The request; none if there is nothing to send.
fn batch(http: &Http, members: &[Member]) -> Option<Batch> {
    if members.is_empty() {
        return None;
    }
    let of = |member: &Member| (Arc::clone(&member.content), member.due.sequence);
    let batched = http.batched(&members.iter().map(of).collect::<Vec<_>>())?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &batched.body);
    Some(Batch {
        id: batched.id,
        body: batched.body.into(),
        content_type: batched.content_type,
        // What nothing proved must not become genuine by the signature of others.
        signs: !members.iter().any(|member| is_unproven(&member.content)),
        digest: HEXLOWER.encode(digest.as_ref()),
    })
}
