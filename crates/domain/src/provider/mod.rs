//! Providers of webhooks: how to tell that a request comes from one, and what to answer it.
//!
//! A provider is a file of data (`providers/*.toml`; the format is in `providers/README.md`). This
//! module reads such files and holds requests against them. It does no I/O: a key that has to be
//! fetched is asked for by an [`Outcome`], and the caller comes again with it.
//!
//! ```text
//!  file ──► definition ──► Provider ─┬─ challenge ─► the answer to a handshake
//!           template, filter,        ├─ verify ────► a verdict, with a reason that is proven
//!           canonical, signatures    ├─ event ─────► id and type, items of a batch
//!                                    └─ sign ──────► the same file run backwards
//! ```
//!
//! [`Provider::judge`] does the first three in the order a source needs. Suggested reading order:
//! `definition`, `template`, `verify`, `handshake`, `event`, `judge`, `sign`, [`vector`].

mod definition;
mod request;
mod settings;
mod verdict;

mod canonical;
mod encoding;
mod filter;
mod hosts;
mod http_signatures;
mod jwt;
mod lookup;
mod one_or_many;
mod shape;
mod signatures;
mod template;

mod describe;
mod diagnose;
mod event;
mod handshake;
mod judge;
mod sample;
mod set;
mod sign;
pub mod vector;
mod verify;

#[cfg(test)]
mod tests;

pub(crate) use canonical::percent_encoded;
pub use definition::{
    Answer, Detect, Mistake, Proof, Provider, SCHEMA, Sample, SignatureRule, Strength,
};
pub use event::{Event, Item};
pub use handshake::{Answered, Challenge, Reply};
pub use judge::Judgement;
pub use request::Request;
pub use sample::SAMPLE_HEADER;
pub use set::SetError;
pub use settings::{Kind, MAX_VALUE_LEN, MAX_VALUES, Setting, Settings, ShapeError};
pub use sign::Unsignable;
pub use template::{Mistake as TemplateMistake, Template, Values};
pub use verdict::{Reason, State, Verdict};
pub use verify::{FetchedKeys, KeyRequest, Outcome};
