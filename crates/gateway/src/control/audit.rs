//! The audit log, for commands.

use ringback_domain::{
    id::{ApplicationId, Key, Kind},
    scope::Reference,
};
use ringback_store::{Actor, AuditQuery, Entry, Order, Page, Position, Store};

use super::{AuditInfo, Response, tokens::Refusal};

/// Entries that are read at once.
const PAGE: usize = 250;

/// Which entries.
pub(super) struct Asked {
    pub(super) application: Option<String>,
    pub(super) operation: Option<String>,
    pub(super) limit: usize,
}

/// The newest entries of an environment.
pub(super) async fn list(
    store: &dyn Store,
    environment: Key,
    Asked { application, operation, limit }: Asked,
) -> Result<Response, Refusal> {
    let application = match application {
        Some(named) => Some(application_id(store, environment, &named).await?.key()),
        None => None,
    };
    let (mut all, mut from) = (Vec::new(), Position::Start);
    loop {
        let page = Page { limit: PAGE.min(limit - all.len()), from, order: Order::Descending };
        let operation = operation.clone();
        let query = AuditQuery { page, application, operation, before: None, after: None };
        let listed = store.audit(environment, query).await?;
        let Some(last) = listed.items.last().map(|entry| entry.id.0) else { break };
        all.extend(listed.items.into_iter().map(AuditInfo::from));
        if listed.done || all.len() >= limit {
            break;
        }
        from = Position::After(last);
    }
    Ok(Response::Audit(all))
}

/// Of a deleted application only the id is known.
async fn application_id(
    store: &dyn Store,
    environment: Key,
    named: &str,
) -> Result<ApplicationId, Refusal> {
    match Reference::parse(Kind::Application, named) {
        Reference::Id(id) => Ok(ApplicationId(id)),
        uid @ Reference::Uid(_) => Ok(store.application(environment, uid).await?.id),
    }
}

impl From<Entry> for AuditInfo {
    fn from(Entry { id, act }: Entry) -> Self {
        let actor = match act.actor {
            Actor::Token { id, name, role } if name.is_empty() => format!("{id} ({role})"),
            Actor::Token { id, name, role } => format!("{id} ({role}, {name})"),
            Actor::Bootstrap => "bootstrap".to_owned(),
            Actor::Command => "command".to_owned(),
            Actor::System => "system".to_owned(),
        };
        Self {
            id: id.to_string(),
            timestamp: act.at,
            actor,
            operation: act.operation,
            resources: act.resources,
            request_id: act.request,
            address: act.address,
        }
    }
}
