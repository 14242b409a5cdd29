//! What an application is told about its connections: the `connection.*` messages.
//!
//! ```json
//! {"type": "connection.created", "timestamp": "2026-01-01T00:00:00.000Z",
//!  "data": {"id": "conn_…", "provider": "github", "userRef": "user-17", "status": "active", …}}
//! ```

use serde_json::{Map, Value, json};

use super::connection::{Change, Connection};
use crate::{callback::Told, time::Timestamp};

/// What is told about a connection that was just made.
pub fn created(connection: &Connection) -> Told {
    told("connection.created", connection, connection.created_at)
}

/// What is told about a change. `connection` is as it is after it.
pub fn changed(connection: &Connection, change: Change, now: Timestamp) -> Told {
    let event_type = match change {
        Change::Refreshed => "connection.refreshed",
        Change::RefreshFailed => "connection.refresh_failed",
        Change::ReauthorizationRequired => "connection.reauthorization_required",
        Change::Revoked => "connection.revoked",
        // To the application it is what it was in the beginning.
        Change::Reauthorized => "connection.created",
    };
    told(event_type, connection, now)
}

fn told(event_type: &'static str, connection: &Connection, now: Timestamp) -> Told {
    let data = about(connection);
    let payload = json!({"type": event_type, "timestamp": now.to_string(), "data": data});
    Told { event_type, payload: payload.to_string().into_bytes() }
}

/// A connection as messages and the API show it: no token.
pub fn about(connection: &Connection) -> Map<String, Value> {
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| drop(data.insert(name.to_owned(), value));
    put("id", json!(connection.id));
    put("application", json!(connection.application));
    put("client", json!(connection.client));
    put("provider", json!(connection.provider));
    put("userRef", json!(connection.user_ref));
    put("status", json!(connection.state.name()));
    if let Some(reason) = &connection.reason {
        put("reason", json!(reason));
    }
    if let Some(account) = &connection.grant.account {
        put("account", json!(account));
    }
    put("scopes", json!(connection.grant.scopes));
    put("version", json!(connection.version));
    put("refreshable", json!(connection.grant.is_refreshable));
    if let Some(expires_at) = connection.grant.expires_at {
        put("expiresAt", json!(expires_at));
    }
    put("subscriptions", json!(connection.subscriptions));
    put("metadata", json!(connection.metadata));
    put("createdAt", json!(connection.created_at));
    put("refreshedAt", json!(connection.refreshed_at));
    data
}
