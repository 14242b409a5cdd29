//! The one list of operations: what the API's document says of each, the right that it takes, and
//! what only people can decide.
//!
//! `ringback api` offers all of them, by construction; the MCP server offers those that the table
//! ([`decided`]) gives a tool. Nothing else says what an operation is called or takes. The document
//! is made of the routes themselves, so a route that nobody thought of has no entry here, and the
//! tests fail.

mod ask;
mod decided;
mod described;

use std::sync::LazyLock;

use http::Method;
use ringback_domain::access::Right;
use serde_json::Value;

use crate::{api, auth::rights, send};

pub use ask::{Ask, Unfit, ask, fields, segment};
pub use decided::{Decided, Effect, Routing, Tool};

/// Something that can be asked of a server.
#[derive(Debug)]
pub struct Operation {
    /// Its id in the document: `message.list`. The official SDKs call it by the same words.
    pub id: String,
    /// How it is asked for.
    pub method: Method,
    /// Where, with its parameters' names in braces: `/api/v1/app/{app_id}/msg`.
    pub path: String,
    /// What it does, in a line.
    pub summary: String,
    /// What else there is to say; often empty.
    pub description: String,
    /// What it takes beside a body.
    pub parameters: Vec<Parameter>,
    /// The JSON Schema of its body, without references; none if it takes none.
    pub body: Option<Body>,
    /// The statuses that it answers with, and what each means.
    pub answers: Vec<(String, String)>,
    /// The right that it takes; none if it takes no token.
    pub right: Option<Right>,
    /// What people decided about it.
    pub decided: &'static Decided,
}

/// What an operation takes beside a body.
#[derive(Debug)]
pub struct Parameter {
    /// As it is written.
    pub name: String,
    /// Where it is written.
    pub place: Place,
    /// What it is for.
    pub description: String,
    /// Its JSON Schema, without references.
    pub schema: Value,
}

/// Where a parameter is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the path. These are needed, in this order; all others may be left out.
    Path,
    /// In the query.
    Query,
    /// In a header.
    Header,
}

/// What an operation takes in its body.
#[derive(Debug)]
pub struct Body {
    /// Its JSON Schema, without references.
    pub schema: Value,
    /// Whether it has to be there.
    pub required: bool,
}

impl Operation {
    /// The parameters of this place, in order.
    pub fn parameters(&self, place: Place) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(move |one| one.place == place)
    }

    /// Whether its answer is a page of a list.
    pub fn pages(&self) -> bool {
        self.parameters(Place::Query).any(|one| one.name == "iterator")
    }
}

/// Every operation, in the order of their ids.
pub fn all() -> &'static [Operation] {
    static ALL: LazyLock<Vec<Operation>> = LazyLock::new(|| {
        let document = api::document(send::described());
        // It is written by a derived implementation; there is nothing in it that could fail.
        let document = serde_json::to_value(document).unwrap_or_default();
        described::read(&document)
    });
    &ALL
}

/// The operation of this id.
pub fn find(id: &str) -> Option<&'static Operation> {
    let all = all();
    all.binary_search_by(|one| one.id.as_str().cmp(id)).ok().map(|at| &all[at])
}

/// The right of a route; `open` are those that take no token.
fn right(method: &Method, path: &str, open: bool) -> Option<Right> {
    (!open).then(|| rights::of(method, path))
}

#[cfg(test)]
mod tests;
