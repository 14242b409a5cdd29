//! Which endpoints an application has, as this process read them last.
//!
//! They are remembered with the newest revision among them. An append names that revision, and the
//! statement refuses it if the application has a newer one by now: so a message never misses an
//! endpoint that was there before it, whoever made it and through which process.

use std::{collections::HashMap, sync::Arc};

use ringback_domain::{id::Key, route::Filter, scope::Reference};
use tokio_postgres::{Client, Error};

use super::{
    rows,
    transaction::{int8, text},
};
use crate::{NewMessage, matching::Endpoints};

/// The most applications that are kept.
const APPLICATIONS: usize = 10_000;

/// The routes of the applications met last.
#[derive(Default)]
pub(super) struct Routes {
    names: HashMap<(Key, Reference), Key>,
    applications: HashMap<Key, Application>,
}

struct Application {
    routed: Key,
    hidden: bool,
    endpoints: Endpoints,
}

/// Where a message goes.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) application: Key,
    /// The newest revision that was known.
    pub(super) routed: Key,
    /// Whether the application is the one for operational messages.
    pub(super) hidden: bool,
    pub(super) endpoints: Arc<[Key]>,
}

impl Routes {
    /// Forgets an application: its endpoints, or the application itself, changed.
    pub(super) fn forget(&mut self, application: Key) {
        self.applications.remove(&application);
        self.names.retain(|_, key| *key != application);
    }

    /// Where a message goes, if the application is known.
    pub(super) fn route(
        &mut self,
        environment: Key,
        reference: &Reference,
        message: &NewMessage,
    ) -> Option<Route> {
        // The tuple has to be owned to be looked up; a clone of a short string is cheap enough.
        let application = *self.names.get(&(environment, reference.clone()))?;
        let known = self.applications.get_mut(&application)?;
        let endpoints = known.endpoints.of(message);
        Some(Route { application, routed: known.routed, hidden: known.hidden, endpoints })
    }

    fn learn(&mut self, environment: Key, reference: &Reference, loaded: Loaded) {
        if self.names.len() >= APPLICATIONS || self.applications.len() >= APPLICATIONS {
            self.names.clear();
            self.applications.clear();
        }
        let Loaded { application, routed, hidden, filters } = loaded;
        self.names.insert((environment, reference.clone()), application);
        let endpoints = Endpoints::new(filters);
        self.applications.insert(application, Application { routed, hidden, endpoints });
    }
}

struct Loaded {
    application: Key,
    routed: Key,
    hidden: bool,
    filters: Vec<(Key, Filter)>,
}

/// Reads an application's routes. False if there is no such application.
pub(super) async fn load(
    node: &super::Node,
    client: &Client,
    environment: Key,
    reference: &Reference,
) -> Result<bool, Error> {
    let Some(loaded) = read(client, environment, reference).await? else { return Ok(false) };
    node.routes().learn(environment, reference, loaded);
    Ok(true)
}

async fn read(
    client: &Client,
    environment: Key,
    reference: &Reference,
) -> Result<Option<Loaded>, Error> {
    // One statement sees one moment: the revision belongs to the endpoints.
    let rows = match reference {
        Reference::Id(id) => {
            let nonce = id.nonce as i64;
            let parameters = [int8(&environment), int8(&id.key), int8(&nonce)];
            client.query_typed(include_str!("queries/routes_by_id.sql"), &parameters).await?
        }
        Reference::Uid(uid) => {
            let parameters = [int8(&environment), text(uid)];
            client.query_typed(include_str!("queries/routes_by_uid.sql"), &parameters).await?
        }
    };
    let Some(first) = rows.first() else { return Ok(None) };
    let (application, routed, hidden) = (first.get(0), first.get(1), first.get(6));
    let filters = rows.iter().filter_map(|row| {
        let key: Option<Key> = row.get(2);
        let filter = Filter {
            event_types: rows::optional(row, 3),
            channels: rows::optional(row, 4),
            state: row.get::<_, Option<i16>>(5).map(|_| rows::state(row, 5)).unwrap_or_default(),
        };
        key.map(|key| (key, filter))
    });
    Ok(Some(Loaded { application, routed, hidden, filters: filters.collect() }))
}
