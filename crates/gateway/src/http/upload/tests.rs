//! How much is discarded, and for how long.

use std::{
    cell::Cell,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::Instant;

use super::{LINGER, MOST, discard};

const PIECE: usize = 64 * 1024;

/// A body of so many pieces, after which nothing comes for ever or it ends.
struct Pieces<'a> {
    taken: &'a Cell<usize>,
    of: usize,
    ends: bool,
}

impl Body for Pieces<'_> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.taken.get() == self.of {
            return if self.ends { Poll::Ready(None) } else { Poll::Pending };
        }
        self.taken.set(self.taken.get() + 1);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; PIECE])))))
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_discarded_within_bounds() {
    for (of, ends, taken, lingers) in [
        (3, true, 3, false),
        (MOST / PIECE, true, MOST / PIECE, false),
        (3, false, 3, true),
        (usize::MAX, true, MOST / PIECE + 1, false),
    ] {
        let count = Cell::new(0);
        let begun = Instant::now();
        discard(Pieces { taken: &count, of, ends }).await;
        assert_eq!(count.get(), taken, "{of} {ends}");
        assert_eq!(begun.elapsed() >= LINGER, lingers, "{of} {ends}: {:?}", begun.elapsed());
    }
}
