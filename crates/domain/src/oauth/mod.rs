//! OAuth: a person lets an application act for them elsewhere, and the application gets tokens that
//! stay fresh.
//!
//! ```text
//! client (a registration at a provider)
//!   └► authorization (one flow):  pending ─► returned ─► exchanging ─► completed
//!         start ─► provider ─► callback ─► confirmed by the application ─┘
//!           └► connection (the grant):  active ─► reauthorization_required | revoked
//! ```
//!
//! What may happen to a flow is in [`authorization`], to a grant in [`connection`]; what stands in
//! URLs, and the PKCE verifier, is made of the flow's id ([`ticket`]), so none of it is stored.
//! Requests are described as an [`Ask`], and answers are read: whoever dials is elsewhere.

pub mod ask;
pub mod authorization;
pub mod client;
pub mod connection;
pub mod device;
pub mod field;
pub mod jose;
pub mod metadata;
pub mod pkce;
pub mod provider;
pub mod register;
pub mod request;
pub mod response;
pub mod revoke;
pub mod subscribe;
pub mod ticket;
pub mod token;
pub mod told;

pub use ask::Ask;
pub use authorization::Authorization;
pub use client::Client;
pub use connection::Connection;
pub use provider::Provider;

#[cfg(test)]
mod random;
