//! The MCP server: what agents may ask a Ringback for, as tools of the Model Context Protocol.
//!
//! It is a face like the command line: every tool is one operation of the API ([`crate::operations`]),
//! asked for with the token of whoever calls, so that the server's own rights decide. Three things
//! always hold, whoever calls and however it was started. No tool changes where data is sent. No tool
//! gives out a secret, or what works like one. Whatever a stranger may have written is handed over as
//! data, and is said to be that. The protocol itself is `rmcp`'s (ADR 0021).

mod answer;
mod handler;
mod http;
mod prompts;
mod stdio;
mod tool;
mod trigger;
mod wait;

pub use self::http::{Doors, serve as serve_http};
pub use handler::{Agents, Caller};
pub use stdio::serve as serve_stdio;
pub use tool::{Access, tools};
