//! Which right a route takes: the one table of permissions, for every router.
//!
//! It goes by the shape of the API, so that a route that nobody thought of is refused to whoever
//! could do harm: what changes something in the environment is for admins, what changes something
//! inside an application is not for its portal, and what ends like a secret is one.

use http::Method;
use ringback_domain::access::Right;

/// The right that an operation takes; `route` is the path with its parameters' names.
pub(crate) fn of(method: &Method, route: &str) -> Right {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let path: Vec<&str> = route.trim_start_matches('/').split('/').collect();
    match path.as_slice() {
        ["api", "v1", "auth", "logout"] => Right::Leave,
        ["api", "v1", "auth", "app-portal-access" | "dashboard-access", "{app_id}"]
        | ["api", "v1", "auth", "app", "{app_id}", "expire-all"] => Right::Own,
        ["api", "v1", "environment" | "audit", ..] => Right::Manage,
        ["api", "v1", "event-type", ..] if reads => Right::Catalog,
        ["api", "v1", "app", "{app_id}"] if reads => Right::View,
        ["api", "v1", "app", "{app_id}"] => Right::Manage,
        ["api", "v1", "app", "{app_id}", inside @ ..] => inside_application(reads, inside),
        // Whoever listens moves a place, and may answer for a source.
        ["api", "v1", "listener", _, "connect"] => Right::Manage,
        [.., "secret" | "token" | "key"] => Right::Manage,
        _ if reads => Right::Look,
        _ => Right::Manage,
    }
}

fn inside_application(reads: bool, path: &[&str]) -> Right {
    match path {
        ["msg"] if !reads => Right::Send,
        // It looks whether a message would go anywhere.
        ["msg", "precheck", "active"] => Right::View,
        ["poller", _] => Right::View,
        // Whoever reads as a consumer moves its place.
        ["poller", ..] => Right::Configure,
        [.., "secret" | "token" | "key"] if reads => Right::Reveal,
        _ if reads => Right::View,
        // Who is limited must not move the limit.
        ["quota"] => Right::Manage,
        ["endpoint" | "destination", _, "secret", "rotate"] => Right::Rotate,
        ["endpoint" | "destination", _, "transformation", ..] => Right::Transform,
        ["endpoint", _, "recover" | "replay-missing" | "bulk-replay" | "send-example"]
        | ["msg", _, "endpoint", _, "resend"] => Right::Attempt,
        ["endpoint" | "destination"]
        | ["endpoint" | "destination", _]
        | ["endpoint", _, "headers" | "mtls" | "oauth" | "pause" | "resume"]
        | ["endpoint", _, "order", "skip"]
        | ["destination", _, "dry-run"] => Right::Configure,
        _ => Right::Own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_thought_of_is_refused_to_most() {
        for (method, route, expect) in [
            (Method::GET, "/api/v1/new", Right::Look),
            (Method::HEAD, "/api/v1/new", Right::Look),
            (Method::POST, "/api/v1/new", Right::Manage),
            (Method::GET, "/api/v1/new/{id}/secret", Right::Manage),
            (
                Method::GET,
                "/api/v1/auth/stream/{stream_id}/sink/{sink_id}/poller/token",
                Right::Manage,
            ),
            (Method::OPTIONS, "/api/v1/app", Right::Manage),
            (Method::GET, "/api/v1/app/{app_id}/new", Right::View),
            (Method::POST, "/api/v1/app/{app_id}/new", Right::Own),
            (Method::DELETE, "/api/v1/app/{app_id}/endpoint/{endpoint_id}/new", Right::Own),
            (Method::GET, "/api/v1/app/{app_id}/new/{id}/key", Right::Reveal),
            (Method::POST, "/ingest/api/v1/source", Right::Manage),
            (Method::GET, "", Right::Look),
        ] {
            assert_eq!(of(&method, route), expect, "{method} {route}");
        }
    }
}
