//! Which endpoints an application has, as this process read them last.
//!
//! They are remembered with the newest revision among them. An append names that revision, and the
//! statement refuses it if the application has a newer one by now: so a message never misses an
//! endpoint that was there before it, whoever made it and through which process.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ringback_domain::{id::Key, route::Filter, scope::Reference};
use tokio_postgres::{Client, Error, Row};

use super::{
    rows,
    transaction::{int8s, texts},
};
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
    names: HashMap<Name, Key>,
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
    /// Those of them that keep an order.
    pub(super) ordered: Arc<[Key]>,
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
        let Matched { endpoints, ordered } = known.endpoints.of(message);
        Some(Route { application, routed: known.routed, hidden: known.hidden, endpoints, ordered })
    }

    fn learn(&mut self, found: Vec<Loaded>) {
        let room = APPLICATIONS.saturating_sub(found.len());
        if self.names.len() > room || self.applications.len() > room {
            self.names.clear();
            self.applications.clear();
        }
        for Loaded { name, application, routed, hidden, wishes } in found {
            self.names.insert(name, application);
            let endpoints = Endpoints::new(wishes);
            self.applications.insert(application, Application { routed, hidden, endpoints });
        }
    }
}

/// What an application is called, within its environment.
type Name = (Key, Reference);

struct Loaded {
    name: Name,
    application: Key,
    routed: Key,
    hidden: bool,
    wishes: Vec<(Key, Wish)>,
}

/// Reads the routes of those of these applications that are not known, all with one statement; of
/// one that does not exist there are none afterwards.
pub(super) async fn load<'a>(
    node: &super::Node,
    client: &Client,
    names: impl Iterator<Item = (Key, &'a Reference)>,
) -> Result<(), Error> {
    let mut unknown = Vec::new();
    {
        let routes = node.routes();
        let mut seen = HashSet::new();
        for name in names.map(|(environment, reference)| (environment, reference.clone())) {
            let known = routes.names.get(&name);
            if !known.is_some_and(|known| routes.applications.contains_key(known))
                && seen.insert(name.clone())
            {
                unknown.push(name);
            }
        }
    }
    if !unknown.is_empty() {
        let found = read(client, unknown).await?;
        node.routes().learn(found);
    }
    Ok(())
}

async fn read(client: &Client, names: Vec<Name>) -> Result<Vec<Loaded>, Error> {
    let environments: Vec<Key> = names.iter().map(|(environment, _)| *environment).collect();
    let id = |(_, reference): &Name| match reference {
        Reference::Id(id) => Some(*id),
        Reference::Uid(_) => None,
    };
    let keys: Vec<Option<Key>> = names.iter().map(|name| id(name).map(|id| id.key)).collect();
    let nonces: Vec<Option<i64>> =
        names.iter().map(|name| id(name).map(|id| id.nonce as i64)).collect();
    let uids: Vec<Option<&str>> = names
        .iter()
        .map(|(_, reference)| match reference {
            Reference::Id(_) => None,
            Reference::Uid(uid) => Some(uid.as_str()),
        })
        .collect();
    let parameters = [int8s(&environments), int8s(&keys), int8s(&nonces), texts(&uids)];
    // One statement sees one moment: a revision belongs to the endpoints.
    let rows = client.query_typed(include_str!("queries/routes.sql"), &parameters).await?;
    let mut names: Vec<Option<Name>> = names.into_iter().map(Some).collect();
    let of_one = rows.chunk_by(|one, next| one.get::<_, i64>(7) == next.get::<_, i64>(7));
    Ok(of_one.filter_map(|rows| loaded(rows, &mut names)).collect())
}

/// An application from its rows, one for each endpoint; its name is taken out of `names`.
fn loaded(rows: &[Row], names: &mut [Option<Name>]) -> Option<Loaded> {
    let first = rows.first()?;
    let place = usize::try_from(first.get::<_, i64>(7)).ok()?;
    let name = names.get_mut(place.checked_sub(1)?)?.take()?;
    let (application, routed, hidden) = (first.get(0), first.get(1), first.get(6));
    let wishes = rows.iter().filter_map(|row| {
        let key: Option<Key> = row.get(2);
        let filter = Filter {
            event_types: rows::optional(row, 3),
            channels: rows::optional(row, 4),
            state: row.get::<_, Option<i16>>(5).map(|_| rows::state(row, 5)).unwrap_or_default(),
        };
        let ordered = ordering::is_kept(row.get(8));
        key.map(|key| (key, Wish { filter, ordered }))
    });
    Some(Loaded { name, application, routed, hidden, wishes: wishes.collect() })
}
