//! One request, one bounded answer, one deadline.

use std::error::Error as _;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Version, header, response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use ringback_domain::attempt::{Phase, Timings};
use tokio::time::{Instant, timeout_at};

use super::{Reason, Sender, connector::BUFFER, meter::OverAllowance};

/// Bytes that are neither an answer's body nor its head: informational answers, chunk sizes,
/// trailers, and what is read ahead. More of them than this, and the peer is playing.
const OVERHEAD: usize = 2 * BUFFER;

/// How much of an answer is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body that are kept.
    pub keep: usize,
    /// Bytes of the body that are read, so that the connection can be used again.
    pub read: usize,
    /// Header fields.
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { keep: 16 * 1024, read: 64 * 1024, headers: 64 }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status, whatever it is: a redirect is an answer like any other.
    pub status: StatusCode,
    /// The header fields. They share the connection's buffer: take what is needed and let go.
    pub headers: HeaderMap,
    /// The beginning of the body, as it was sent (never decompressed); its bytes are its own.
    pub body: Bytes,
    /// Whether the body went on beyond what is kept.
    pub truncated: bool,
    /// Whether the connection may be used again. If not, it is ending already.
    pub reusable: bool,
    /// How long the head (from the begin of sending) and the body took; the rest is zero.
    pub timings: Timings,
}

/// Why there is no answer. The connection cannot be used again; it is ending already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} failed: {reason}", .phase.name())]
pub struct ExchangeFailure {
    /// One of `Send`, `FirstByte`, `Body`.
    pub phase: Phase,
    /// One of `Timeout`, `Reset`, `Malformed`, `TooLarge`, `TlsFailed`.
    pub reason: Reason,
    /// The status, if the head had arrived.
    pub status: Option<StatusCode>,
    /// Whether any byte of an answer arrived.
    pub received: bool,
    /// How long the head and the body took, the failed one included; the rest is zero.
    pub timings: Timings,
}

impl ExchangeFailure {
    /// Whether the connection ended before any byte of an answer. On a connection that was used
    /// before this is what an idle limit of the peer looks like, so the request may be repeated
    /// once on a fresh one (RFC 9112, 9.3.1: a repeated delivery carries the same id).
    pub fn ended_unanswered(&self) -> bool {
        self.reason == Reason::Reset && !self.received
    }
}

/// Sends `request` and reads its answer, all before `deadline`.
///
/// The request goes out as it is: its target in origin form (`/path?query`), `host` among its
/// headers. The connection must be polled beside this.
pub async fn exchange(
    sender: &mut Sender,
    request: Request<Full<Bytes>>,
    limits: &Limits,
    deadline: Instant,
) -> Result<Answer, ExchangeFailure> {
    let mut progress = Progress { started: Instant::now(), sending: false, head: None };
    sender.meter.begin((limits.read + OVERHEAD) as u64);
    let outcome = timeout_at(deadline, converse(sender, request, limits, &mut progress)).await;
    let failure = match outcome {
        Ok(Ok(answer)) => {
            if !answer.reusable {
                sender.abandon();
            }
            return Ok(answer);
        }
        Ok(Err(reason)) => reason,
        Err(_) => Reason::Timeout,
    };
    sender.abandon();
    Err(progress.failed(failure, sender))
}

/// How far an exchange has come; it outlives the conversation that the deadline cuts off.
struct Progress {
    started: Instant,
    sending: bool,
    head: Option<(StatusCode, Instant)>,
}

impl Progress {
    fn timings(&self) -> Timings {
        let now = Instant::now();
        match self.head {
            None => Timings { first_byte: now - self.started, ..Timings::default() },
            Some((_, head)) => {
                Timings { first_byte: head - self.started, body: now - head, ..Timings::default() }
            }
        }
    }

    fn failed(&self, reason: Reason, sender: &Sender) -> ExchangeFailure {
        let phase = match self.head {
            Some(_) => Phase::Body,
            None if self.sending && !sender.meter.blocked() => Phase::FirstByte,
            None => Phase::Send,
        };
        ExchangeFailure {
            phase,
            reason,
            status: self.head.map(|(status, _)| status),
            received: sender.meter.received(),
            timings: self.timings(),
        }
    }
}

async fn converse(
    sender: &mut Sender,
    request: Request<Full<Bytes>>,
    limits: &Limits,
    progress: &mut Progress,
) -> Result<Answer, Reason> {
    sender.http.ready().await.map_err(|_| Reason::Reset)?;
    progress.sending = true;
    let response = sender.http.send_request(request).await.map_err(|error| reason(&error))?;
    let (head, body) = response.into_parts();
    // The HTTP library's own limit (100) costs nothing; a lower one would cost an allocation for
    // each answer, so the rest of the way is gone here.
    if head.headers.len() > limits.headers {
        return Err(Reason::TooLarge);
    }
    progress.head = Some((head.status, Instant::now()));
    let lasting = outlives(&head, &body);
    let read = read(body, limits).await?;
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        truncated: read.truncated,
        // A peer that answers before it has taken the whole request leaves the connection in use.
        reusable: lasting && read.to_the_end && !sender.meter.blocked() && !sender.is_closed(),
        body: read.kept,
        timings: progress.timings(),
    })
}

struct Read {
    kept: Bytes,
    truncated: bool,
    to_the_end: bool,
}

/// Reads to the end or to the limit. What is kept is copied: a slice would hold on to the
/// connection's whole buffer.
async fn read(mut body: Incoming, limits: &Limits) -> Result<Read, Reason> {
    let mut kept = Vec::new();
    let mut read = 0;
    let mut to_the_end = true;
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            // Too much around the body is treated like too much body.
            Err(error) if is_over_allowance(&error) => {
                to_the_end = false;
                break;
            }
            Err(error) => return Err(reason(&error)),
        };
        let Ok(data) = frame.into_data() else { continue };
        read += data.len();
        let room = limits.keep.saturating_sub(kept.len());
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if read >= limits.read && !body.is_end_stream() {
            to_the_end = false;
            break;
        }
    }
    Ok(Read { truncated: !to_the_end || read > kept.len(), kept: kept.into(), to_the_end })
}

/// Whether the connection can serve another request once this answer is read (RFC 9112, 9.3): the
/// peer does not say otherwise, and the body's end is not the connection's.
fn outlives(head: &response::Parts, body: &Incoming) -> bool {
    let says_close = || {
        head.headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|option| option.trim().eq_ignore_ascii_case("close"))
    };
    let framed = body.is_end_stream()
        || head.headers.contains_key(header::CONTENT_LENGTH)
        || head.headers.contains_key(header::TRANSFER_ENCODING);
    framed && head.version == Version::HTTP_11 && !head.status.is_informational() && !says_close()
}

fn reason(error: &hyper::Error) -> Reason {
    if error.is_parse_too_large() || is_over_allowance(error) {
        return Reason::TooLarge;
    }
    if is_about_tls(error) {
        return Reason::TlsFailed;
    }
    if error.is_parse() || is_about_framing(error) { Reason::Malformed } else { Reason::Reset }
}

fn is_over_allowance(error: &hyper::Error) -> bool {
    io_source(error).and_then(|io| io.get_ref()).is_some_and(|inner| inner.is::<OverAllowance>())
}

/// In TLS 1.3 a server refuses a client's certificate only after the handshake.
fn is_about_tls(error: &hyper::Error) -> bool {
    io_source(error).and_then(|io| io.get_ref()).is_some_and(|inner| inner.is::<rustls::Error>())
}

/// A body whose chunks make no sense comes as an I/O error of one of these kinds.
fn is_about_framing(error: &hyper::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput};
    io_source(error).is_some_and(|io| matches!(io.kind(), InvalidData | InvalidInput))
}

fn io_source(error: &hyper::Error) -> Option<&std::io::Error> {
    error.source()?.downcast_ref()
}
