//! Callbacks: an application hands out a URL and waits for one answer.
//!
//! ```text
//!  /cb/{token} ─► door ─► completer ─► judge ─┐                        ┌─► lanes (messages about it)
//!                 (limits, page)   (filters,  ├─► commit (one step) ───┼─► waiters ─► wait ─► /result,
//!  the API ───────────────────────  schema) ──┤                        │              events    /events
//!  timer (deadlines) ─────────────────────────┤                        ├─► alarm ─► timer
//!  errands (calls: requests of our own) ──────┘                        └─► errands
//! ```
//!
//! Invariants:
//! - What happens to a callback is a step of the store, and nobody is told of it before it is
//!   committed. [`Callbacks`] is the only way there.
//! - The path of a URL is a secret: it is in no span, no log line and no metric.
//! - Whoever waits reads the row; what wakes them is a hint.

mod call;
mod commit;
mod completer;
mod door;
mod errand;
mod judge;
pub mod keys;
mod limits;
mod page;
mod redirect;
mod reply;
pub mod terms;
mod timer;
mod view;
mod wait;
mod waiters;

pub(crate) use call::Call;
pub(crate) use commit::answer;
pub use commit::{Callbacks, Parts};
pub use door::{Door, Doors, PREFIX, Route, WAIT_PREFIX, route};
pub use errand::Errands;
pub(crate) use errand::{WORK, Work};
pub(crate) use page::{html, is_prefetch};
pub use redirect::{Expect as RedirectExpect, Options as Redirect};
pub(crate) use reply::guarded;
pub use terms::{Acknowledge, Confirm, Scheme, Secrets, Terms};
pub use view::CallbackOut;
pub use wait::{LONGEST, Waited, wait_of};

use aws_lc_rs::digest::{SHA256, digest};

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}
