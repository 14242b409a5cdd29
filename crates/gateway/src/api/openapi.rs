//! The OpenAPI 3.1 document, put together from the attributes on the handlers.

use axum::{Router, routing};
use http::StatusCode;
use utoipa::{
    OpenApi,
    openapi::{
        self, Components,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    Api, application, attempt, endpoint,
    error::{ErrorOut, InvalidOut},
    event_type, explain, health, message, not_implemented,
    reply::{render, rendered},
};

/// Where the document is served.
const PATH: &str = "/api/v1/openapi.json";
const SCHEME: &str = "bearer";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Ringback",
        description = "Webhooks: send, retry, record. Wire-compatible with the Svix SDKs."
    ),
    security(("bearer" = [])),
    components(schemas(ErrorOut<'_>, InvalidOut<'_>)),
    tags(
        (name = "Application", description = "Whom messages are for"),
        (name = "Endpoint", description = "Where an application's messages go"),
        (name = "Event Type", description = "What can happen"),
        (name = "Message", description = "What happened"),
        (name = "Message Attempt", description = "How each request to an endpoint went"),
        (name = "Health", description = "Whether the server can take work")
    )
)]
struct Base;

/// All routes, with the document among them.
pub(super) fn assemble(door: OpenApiRouter, api: Api) -> Router {
    let (documented, document) = documented().split_for_parts();
    let (door, of_door) = door.split_for_parts();
    let document = render(&finished(document, of_door));
    let serve = async move || rendered(StatusCode::OK, document);
    documented
        .merge(not_implemented::routes())
        .merge(health::probes())
        .route(PATH, routing::get(serve))
        .with_state(api)
        .merge(door)
}

/// The document; `door` has the attributes of the doors' handlers.
pub fn document(door: OpenApiRouter) -> openapi::OpenApi {
    finished(documented().into_openapi(), door.into_openapi())
}

fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Base::openapi())
        .merge(application::routes())
        .merge(endpoint::routes())
        .merge(event_type::routes())
        .merge(message::routes())
        .merge(attempt::routes())
        .merge(explain::routes())
        .merge(health::routes())
}

/// The doors' paths among the others, and to every operation what is the same for all.
fn finished(mut document: openapi::OpenApi, door: openapi::OpenApi) -> openapi::OpenApi {
    document.merge(door);
    let components = document.components.get_or_insert_with(Components::default);
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme(SCHEME, bearer);
    document
}
