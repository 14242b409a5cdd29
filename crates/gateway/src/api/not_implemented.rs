//! The operations that SDKs have and this server does not: 501, so that their users read what is
//! the matter instead of "not found".

use axum::{
    Router,
    routing::{MethodFilter, on},
};

use super::{Api, error::Error, extract::Caller};

/// Methods and paths; segments are named as in the routes that exist.
pub(super) const OPERATIONS: &[(&str, &str)] = &[
    ("POST", "/api/v1/app/{app_id}/autoconfig"),
    ("DELETE", "/api/v1/app/{app_id}/autoconfig/{autoconfig_id}"),
    ("POST", "/api/v1/app/{app_id}/autoconfig/{autoconfig_id}/rotate"),
    ("POST", "/api/v1/app/{app_id}/destination/{destination_id}/secret/rotate"),
    ("GET POST", "/api/v1/app/{app_id}/integration"),
    ("GET PUT DELETE", "/api/v1/app/{app_id}/integration/{integ_id}"),
    ("POST", "/api/v1/app/{app_id}/integration/{integ_id}/key/rotate"),
    ("POST", "/api/v1/auth/stream-logout"),
    ("POST", "/api/v1/auth/stream-portal-access/{stream_id}"),
    ("POST", "/api/v1/auth/stream/{stream_id}/expire-all"),
    ("GET", "/api/v1/auth/stream/{stream_id}/sink/{sink_id}/poller/token"),
    ("POST", "/api/v1/auth/stream/{stream_id}/sink/{sink_id}/poller/token/rotate"),
    ("GET", "/api/v1/auth/whoami"),
    ("GET POST", "/api/v1/connector"),
    ("GET PUT PATCH DELETE", "/api/v1/connector/{connector_id}"),
    ("POST", "/api/v1/environment/export"),
    ("POST", "/api/v1/environment/import"),
    ("GET POST", "/api/v1/stream"),
    ("GET POST", "/api/v1/stream/event-type"),
    ("GET PUT PATCH DELETE", "/api/v1/stream/event-type/{name}"),
    ("GET PUT PATCH DELETE", "/api/v1/stream/{stream_id}"),
    ("POST", "/api/v1/stream/{stream_id}/events"),
    ("GET POST", "/api/v1/stream/{stream_id}/sink"),
    ("GET PUT PATCH DELETE", "/api/v1/stream/{stream_id}/sink/{sink_id}"),
    ("GET", "/api/v1/stream/{stream_id}/sink/{sink_id}/events"),
    ("GET PATCH", "/api/v1/stream/{stream_id}/sink/{sink_id}/headers"),
    ("GET", "/api/v1/stream/{stream_id}/sink/{sink_id}/secret"),
    ("POST", "/api/v1/stream/{stream_id}/sink/{sink_id}/secret/rotate"),
    ("GET PATCH", "/api/v1/stream/{stream_id}/sink/{sink_id}/transformation"),
];

/// Routes that answer 501 to whoever has a token.
pub(super) fn routes() -> Router<Api> {
    OPERATIONS.iter().fold(Router::new(), |router, (methods, path)| {
        let methods = methods.split(' ').filter_map(filter).reduce(MethodFilter::or);
        match methods {
            Some(methods) => router.route(path, on(methods, answer)),
            None => router,
        }
    })
}

async fn answer(_: Caller) -> Error {
    Error::NotImplemented
}

fn filter(method: &str) -> Option<MethodFilter> {
    match method {
        "GET" => Some(MethodFilter::GET),
        "POST" => Some(MethodFilter::POST),
        "PUT" => Some(MethodFilter::PUT),
        "PATCH" => Some(MethodFilter::PATCH),
        "DELETE" => Some(MethodFilter::DELETE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        for (methods, path) in OPERATIONS {
            assert!(methods.split(' ').all(|method| filter(method).is_some()), "{methods}");
            assert!(path.contains("/api/v1/"), "{path}");
        }
    }
}
