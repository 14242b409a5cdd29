//! Counts the bytes of a connection, exchange by exchange.
//!
//! The count answers three questions that the HTTP library does not: did any byte of an answer
//! arrive (a reused connection that ends before may be replaced silently), was the request still
//! being written when time ran out, and does the peer send without end in ways that are neither
//! head nor body (informational answers, chunk extensions, trailers).
//!
//! The exchange and the connection hold one meter. Every field has one writer at a time and is
//! only a number to be looked at, so relaxed atomics suffice.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use crate::seam::BoxStream;

/// What is known about the bytes of the present exchange.
pub(super) struct Meter {
    /// Bytes read in this exchange (after TLS). Written by the connection, reset by the exchange.
    read: AtomicU64,
    /// Bytes that may be read in this exchange.
    allowance: AtomicU64,
    /// Whether the peer's window is full: there is more to write than it takes.
    blocked: AtomicBool,
}

/// The peer sent more than one exchange may.
#[derive(Debug, thiserror::Error)]
#[error("the peer sent more than the limit")]
pub(super) struct OverAllowance;

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            read: AtomicU64::new(0),
            allowance: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
        }
    }

    /// A new exchange begins, in which `allowance` bytes may be read.
    pub(super) fn begin(&self, allowance: u64) {
        self.read.store(0, Relaxed);
        self.allowance.store(allowance, Relaxed);
        self.blocked.store(false, Relaxed);
    }

    /// Whether a byte has arrived in this exchange.
    pub(super) fn received(&self) -> bool {
        self.read.load(Relaxed) > 0
    }

    /// Whether the peer does not take what there is to write.
    pub(super) fn blocked(&self) -> bool {
        self.blocked.load(Relaxed)
    }

    fn count_read(&self, bytes: usize) -> io::Result<()> {
        let read = self.read.load(Relaxed) + bytes as u64;
        self.read.store(read, Relaxed);
        if read > self.allowance.load(Relaxed) {
            return Err(io::Error::other(OverAllowance));
        }
        Ok(())
    }

    fn count_write(&self, written: &Poll<io::Result<usize>>) {
        self.blocked.store(written.is_pending(), Relaxed);
    }
}

/// A stream with a meter on it.
pub(super) struct Metered {
    stream: Transport,
    meter: Arc<Meter>,
}

/// What HTTP is spoken over.
pub(super) enum Transport {
    Plain(BoxStream),
    Tls(Box<TlsStream<BoxStream>>),
}

impl Metered {
    pub(super) fn new(stream: Transport, meter: Arc<Meter>) -> Self {
        Self { stream, meter }
    }
}

/// Calls the same method of whichever stream it is.
macro_rules! each {
    ($transport:expr, $stream:ident => $call:expr) => {
        match $transport {
            Transport::Plain($stream) => $call,
            Transport::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(each!(&mut this.stream, stream => Pin::new(stream).poll_read(cx, buf)))?;
        Poll::Ready(this.meter.count_read(buf.filled().len() - before))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = each!(&mut this.stream, stream => Pin::new(stream).poll_write(cx, buf));
        this.meter.count_write(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written =
            each!(&mut this.stream, stream => Pin::new(stream).poll_write_vectored(cx, bufs));
        this.meter.count_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        each!(&self.stream, stream => stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = each!(&mut this.stream, stream => Pin::new(stream).poll_flush(cx));
        // TLS takes bytes before the socket does; only its flush tells whether they are gone.
        this.meter.blocked.store(flushed.is_pending(), Relaxed);
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        each!(&mut this.stream, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
