//! Which endpoints an application has, as the writer's transaction sees them.
//!
//! Matching happens inside the transaction that appends, so it must not read the database for
//! every message: the writer keeps the routes of the applications it met last. Whoever changes an
//! endpoint in a transaction calls [`Routes::forget`] in the same one.

use std::collections::HashMap;

use ringback_domain::{id::Key, route::Filter, scope::Reference};
use rusqlite::{Connection, OptionalExtension};

use super::rows;
use crate::{
    NewMessage,
    matching::{Endpoints, Matched, Wish},
    ordering,
};

/// The most applications that are kept.
const APPLICATIONS: usize = 10_000;

/// The routes of the applications met last.
#[derive(Default)]
pub(super) struct Routes {
    names: HashMap<(Key, Reference), Named>,
    applications: HashMap<Key, Endpoints>,
}

/// An application that somebody named.
#[derive(Clone, Copy)]
pub(super) struct Named {
    pub(super) key: Key,
    /// Whether it is the one for operational messages.
    pub(super) hidden: bool,
}

impl Routes {
    /// Forgets an application: its endpoints, or the application itself, changed.
    pub(super) fn forget(&mut self, application: Key) {
        self.applications.remove(&application);
        self.names.retain(|_, named| named.key != application);
    }

    /// Forgets everything: a transaction was rolled back.
    pub(super) fn clear(&mut self) {
        self.applications.clear();
        self.names.clear();
    }

    /// An application of this environment.
    pub(super) fn application(
        &mut self,
        connection: &Connection,
        environment: Key,
        reference: &Reference,
    ) -> rusqlite::Result<Option<Named>> {
        // The tuple has to be owned to be looked up; a clone of a short string is cheap enough.
        let name = (environment, reference.clone());
        if let Some(named) = self.names.get(&name) {
            return Ok(Some(*named));
        }
        let Some(key) = rows::application_key(connection, environment, reference).optional()?
        else {
            return Ok(None);
        };
        let mut select =
            connection.prepare_cached(include_str!("queries/application_hidden.sql"))?;
        let named = Named { key, hidden: select.query_row([key], |row| row.get(0))? };
        if self.names.len() >= APPLICATIONS {
            self.names.clear();
        }
        self.names.insert(name, named);
        Ok(Some(named))
    }

    /// The endpoints that a message of this application goes to.
    pub(super) fn matching(
        &mut self,
        connection: &Connection,
        application: Key,
        message: &NewMessage,
    ) -> rusqlite::Result<Matched> {
        if self.applications.len() >= APPLICATIONS {
            self.applications.clear();
        }
        let routes = match self.applications.entry(application) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(unknown) => {
                unknown.insert(load(connection, application)?)
            }
        };
        Ok(routes.of(message))
    }
}

fn load(connection: &Connection, application: Key) -> rusqlite::Result<Endpoints> {
    let mut select = connection.prepare_cached(include_str!("queries/routes.sql"))?;
    let wishes = select.query_map([application], |row| {
        let filter = Filter {
            event_types: rows::optional(row, 1)?,
            channels: rows::optional(row, 2)?,
            state: rows::state(row, 3)?,
        };
        let delivery: Option<String> = row.get(4)?;
        let ordered = ordering::is_kept(delivery.as_deref());
        Ok((row.get(0)?, Wish { filter, ordered }))
    })?;
    Ok(Endpoints::new(wishes.collect::<rusqlite::Result<_>>()?))
}
