//! The only way out to the network: every HTTP request that leaves the process goes through here.
//!
//! A request's way, in reading order: the host name becomes addresses ([`network`]), every address
//! is judged ([`guard`]), one is dialled, through the operator's proxy if there is one ([`proxy`]),
//! and spoken TLS to ([`connector`], [`tls`]), the bytes are counted ([`meter`]), and one request is
//! exchanged for one bounded answer ([`mod@exchange`]). What can go wrong on the way has one
//! vocabulary ([`reason`]).
//!
//! Invariants:
//! - No socket is opened to an address that the guard has not passed immediately before, but to the
//!   proxy; and that is asked for no address which the guard has not passed, and for no name.
//! - One forbidden address among a name's answers refuses the whole name.
//! - Redirects are never followed, proxy variables of the environment are never read, answers are
//!   never decompressed.
//! - Every wait ends at the caller's deadline; every answer is bounded in bytes and headers.
//! - What a tenant is told is a phase and a [`Reason`], never an address or an error's text.
//!
//! Which connection serves which request (keeping alive, pooling) is the caller's business: a
//! connection is owned by whoever opened it.

mod connector;
mod exchange;
mod guard;
mod hosts;
mod meter;
mod network;
mod once;
mod proxy;
mod reason;
mod tls;
pub(crate) mod tunnel;

pub use connector::{ConnectFailure, Connection, Connector, Opened, Sender};
pub use exchange::{Answer, ExchangeFailure, Limits, exchange};
pub use guard::{Guard, Ports, Refused};
pub use hosts::Hosts;
pub use network::{ResolverError, SystemNetwork};
pub use once::Once;
pub use proxy::{Proxy, ProxyError};
pub use reason::Reason;
pub use tls::{Identity, IdentityError, Own, Tls, TlsError, roots};
