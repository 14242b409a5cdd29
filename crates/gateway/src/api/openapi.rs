//! The OpenAPI 3.1 document, put together from the attributes on the handlers.

use axum::{Router, middleware, routing};
use http::StatusCode;
use utoipa::{
    OpenApi,
    openapi::{
        self, Components, Content, Ref, RefOr, ResponseBuilder,
        path::Operation,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    Api, application, attempt, attempted, audit, callback, endpoint, environment,
    error::{ErrorOut, InvalidOut},
    event_type, explain, health, listener, message, not_implemented, oauth, poller, portal, quota,
    reply::{render, rendered},
    source, statistics, tail, task, usage,
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
        (name = "Application Quota", description = "What an application may use"),
        (name = "Endpoint", description = "Where an application's messages go"),
        (name = "Operational Webhook Endpoint",
            description = "Where an environment's own messages go, those about its deliveries"),
        (name = "Event Type", description = "What can happen"),
        (name = "Event Type Version", description = "What its payloads look like, version by version"),
        (name = "Event Type Conversion",
            description = "What makes a payload of one version into the one below"),
        (name = "Message", description = "What happened"),
        (name = "Message Attempt", description = "How each request to an endpoint went"),
        (name = "Callback", description = "A URL that is handed out, and the answer it waits for"),
        (name = "Callback Request", description = "What arrived at a callback"),
        (name = "OAuth Client", description = "A registration at a provider"),
        (name = "Authorization", description = "A person who is asked to connect an account"),
        (name = "Connection", description = "What was granted, and tokens that stay fresh"),
        (name = "Listener", description = "A place in what arrived, and who listens from there"),
        (name = "Statistics", description = "What applications use"),
        (name = "Background Task", description = "What takes longer than a request may"),
        (name = "Authentication", description = "Tokens for the portals of applications"),
        (name = "Environment", description = "Worlds apart in one installation"),
        (name = "Audit", description = "Who changed what"),
        (name = "Health", description = "Whether the server can take work")
    )
)]
struct Base;

/// All routes, with the document among them.
pub(super) fn assemble(door: OpenApiRouter, api: Api) -> Router {
    let (documented, document) = documented().split_for_parts();
    let (door, of_door) = door.split_for_parts();
    let document = finished(document, of_door);
    let names = audit::Names::of(&document);
    let document = render(&document);
    let serve = async move || rendered(StatusCode::OK, document);
    documented
        .route_layer(middleware::from_fn_with_state(names, audit::scoped))
        .merge(not_implemented::routes())
        .merge(attempted::old_routes())
        .merge(health::probes())
        .route(PATH, routing::get(serve))
        .with_state(api)
        .merge(door)
}

/// The document; `door` is what it says of the doors' handlers.
pub fn document(door: openapi::OpenApi) -> openapi::OpenApi {
    finished(documented().into_openapi(), door)
}

fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Base::openapi())
        .merge(application::routes())
        .merge(quota::routes())
        .merge(endpoint::routes())
        .merge(endpoint::operational::routes())
        .merge(event_type::routes())
        .merge(message::routes())
        .merge(attempt::routes())
        .merge(attempted::routes())
        .merge(statistics::routes())
        .merge(usage::routes())
        .merge(explain::routes())
        .merge(task::routes())
        .merge(poller::routes())
        .merge(portal::routes())
        .merge(source::routes())
        .merge(callback::routes())
        .merge(oauth::routes())
        .merge(listener::routes())
        .merge(tail::routes())
        .merge(environment::routes())
        .merge(audit::routes())
        .merge(health::routes())
}

/// The doors' paths among the others, and to every operation what is the same for all.
fn finished(mut document: openapi::OpenApi, door: openapi::OpenApi) -> openapi::OpenApi {
    document.merge(door);
    let components = document.components.get_or_insert_with(Components::default);
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme(SCHEME, bearer);
    for item in document.paths.paths.values_mut() {
        let methods =
            [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        methods.into_iter().flatten().for_each(finish);
    }
    document
}

/// Makes the operation's id unique (`endpoint.get_secret`) and adds the errors it can answer with.
fn finish(operation: &mut Operation) {
    let tag = operation.tags.iter().flatten().next().map(String::as_str).unwrap_or_default();
    let id = operation.operation_id.take().unwrap_or_default();
    operation.operation_id = Some(format!("{}.{id}", tag.to_lowercase().replace(' ', "_")));
    for (status, response) in &mut operation.responses.responses {
        // The document must describe every answer, and "OK" says as much as there is to say.
        let status = StatusCode::from_bytes(status.as_bytes()).ok();
        let reason = status.and_then(|status| status.canonical_reason());
        if let (RefOr::T(response), Some(reason)) = (response, reason)
            && response.description.is_empty()
        {
            response.description = reason.to_owned();
        }
    }
    for (status, description, schema) in [
        ("422", "The fields that are wrong", "InvalidOut"),
        ("default", "Any other error", "ErrorOut"),
    ] {
        let content = Content::new(Some(Ref::from_schema_name(schema)));
        let response = ResponseBuilder::new().description(description);
        let response = response.content("application/json", content).build();
        operation.responses.responses.insert(status.to_owned(), response.into());
    }
}
