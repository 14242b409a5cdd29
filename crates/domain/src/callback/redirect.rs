//! Callbacks to which a browser comes back: what it brings proves nothing, until something does.
//!
//! ```text
//!  browser ──► arrival: query or form, typed and unverified ──► returned
//!                 │
//!                 ├─ signature: the provider has signed what the browser brings ──┐
//!                 ├─ lookup:    the provider is asked, server to server ──────────┼──► completed, failed
//!                 └─ webhook:   a verified message of a source has the reference ─┘
//! ```
//!
//! The first verifier that is certain ends the callback. Whatever it found is held against what was
//! stored when the callback was made ([`Expected`]): the reference always, amount and currency where
//! they are known. What a gateway does is a file of data ([`Preset`]; `callbacks/README.md` has the
//! format) or is said when the callback is made, in the same words ([`Verifier`]).
//!
//! The browser is always sent on to a page of the application's ([`Target`]) with a short signed
//! [`status`]. Everything here is pure: what has to be asked is an [`Ask`], and its answer is judged
//! by [`Lookup::judge`].

mod claims;
pub mod preset;
pub mod status;
mod target;
mod verify;

pub use claims::{Expected, Finding};
pub use preset::Preset;
pub use target::{NotATarget, Target};
pub use verify::{Arrival, Ask, Lookup, Signature, Verifier};
