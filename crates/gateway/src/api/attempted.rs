//! What became of messages: at one endpoint, or one message at its endpoints.
//!
//! A delivery has one status here, in `explain` and in the figures: success as soon as one attempt
//! succeeded; before that pending (1) until the first attempt, sending (3) while another is to come,
//! and fail (2) when none is. What is canceled (4) is told to those who ask for expanded statuses;
//! to the others it is a fail, since it was not delivered.

use axum::{Router, extract::State, response::Response, routing};
use http::StatusCode;
use ringback_domain::{endpoint, id::Kind, scope::Reference, time::Timestamp};
use ringback_store::{AttemptedEndpoint, AttemptedMessage, DeliveryStatus, Identified, Order};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    attempt::{self, AtEndpoint},
    endpoint::EndpointOut,
    error::Error,
    extract::{self, Named, Scoped},
    list::List,
    message::{self, MessageOut, WithContent},
    query::{FromQuery, Paging, Params, Query},
    reply::json,
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(messages)).routes(routes!(endpoints))
}

/// Two lists that clients of 2024 and before know. They are not in the document: the lists that
/// took their place show the same.
pub(super) fn old_routes() -> Router<Api> {
    const OF_MESSAGE: &str = "/api/v1/app/{app_id}/msg/{msg_id}/attempt";
    const AT_ENDPOINT: &str = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/attempt";
    Router::new()
        .route(OF_MESSAGE, routing::get(old_of_message))
        .route(AT_ENDPOINT, routing::get(old_at_endpoint))
}

/// A message, and how far it is at the endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EndpointMessageOut<'a> {
    #[serde(flatten)]
    message: MessageOut<'a>,
    #[serde(flatten)]
    progress: ProgressOut,
}

/// An endpoint, and how far the message is there.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MessageEndpointOut {
    #[serde(flatten)]
    endpoint: EndpointOut,
    #[serde(flatten)]
    progress: ProgressOut,
}

/// How far a message is at an endpoint.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProgressOut {
    /// 0 success, 1 pending (not tried yet), 2 fail (tried as often as it will be), 3 sending
    /// (tried, and will be again), 4 canceled (the endpoint was deleted).
    status: u8,
    /// The same as a word.
    status_text: &'static str,
    /// When the next attempt is planned, if nothing holds it.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt: Option<Timestamp>,
}

/// Which statuses the caller knows.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Expanded {
    /// Whether what is canceled is told as 4 instead of 2.
    expanded_statuses: Option<bool>,
}

impl FromQuery for Expanded {
    fn read(query: &mut Params) -> Expanded {
        Expanded { expanded_statuses: query.flag("expanded_statuses") }
    }
}

impl Expanded {
    fn show(
        &self,
        status: DeliveryStatus,
        due_at: Option<Timestamp>,
        endpoint: endpoint::State,
    ) -> ProgressOut {
        let status = match status {
            DeliveryStatus::Canceled if self.expanded_statuses != Some(true) => {
                DeliveryStatus::Fail
            }
            status => status,
        };
        ProgressOut {
            status: status.number(),
            status_text: match status {
                DeliveryStatus::Success => "success",
                DeliveryStatus::Pending => "pending",
                DeliveryStatus::Fail => "fail",
                DeliveryStatus::Sending => "sending",
                DeliveryStatus::Canceled => "canceled",
            },
            next_attempt: due_at.filter(|_| endpoint.attempts()),
        }
    }
}

/// List messages that were sent to an endpoint or are to be
///
/// A page of a list that little passes may be short or empty and not be the last: go on until
/// `done`.
#[utoipa::path(get, path = "/api/v1/app/{app_id}/endpoint/{endpoint_id}/msg",
    tag = "Message Attempt",
    params(("app_id" = String, Path, description = "id or uid"),
        ("endpoint_id" = String, Path, description = "id or uid"),
        Paging, message::Filter, WithContent, Expanded),
    responses((status = 200, body = List<EndpointMessageOut<'_>>)))]
async fn messages(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Named(endpoint): Named<extract::Endpoint>,
    Query(paging): Query<Paging>,
    Query(filter): Query<message::Filter>,
    Query(content): Query<WithContent>,
    Query(expanded): Query<Expanded>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Message, Order::Descending)?;
    let with_content = content.wanted();
    let state = api.store.endpoint(scope, endpoint.clone()).await?.state;
    let search = filter.search(page.clone(), with_content);
    let found = api.store.attempted_messages(scope, endpoint, search).await?;
    let ids = found.items.iter().map(Identified::id).collect();
    let mut data = Vec::with_capacity(found.items.len());
    for AttemptedMessage { message, status, due_at } in &found.items {
        let label = message::version(&api, scope, message, now).await?;
        let message = MessageOut::stored(message, with_content).in_version(label);
        let progress = expanded.show(*status, *due_at, state);
        data.push(EndpointMessageOut { message, progress });
    }
    let list = List::found(Kind::Message, &page, ids, data, (found.done, found.reached));
    Ok(json(StatusCode::OK, &list))
}

/// List endpoints that a message was sent to or is to be
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}/endpoint", tag = "Message Attempt",
    params(("app_id" = String, Path, description = "id or uid"),
        ("msg_id" = String, Path, description = "id or event id"), Paging, Expanded),
    responses((status = 200, body = List<MessageEndpointOut>)))]
async fn endpoints(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(message): Named<extract::Message>,
    Query(paging): Query<Paging>,
    Query(expanded): Query<Expanded>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Endpoint, Order::Descending)?;
    let listed = api.store.attempted_endpoints(scope, message, page.clone()).await?;
    let ids = listed.items.iter().map(Identified::id).collect();
    let show = |AttemptedEndpoint { endpoint, status, due_at }| MessageEndpointOut {
        progress: expanded.show(status, due_at, endpoint.state),
        endpoint: EndpointOut::from(endpoint),
    };
    let data = listed.items.into_iter().map(show).collect();
    Ok(json(StatusCode::OK, &List::new(Kind::Endpoint, &page, ids, data, listed.done)))
}

async fn old_of_message(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(message): Named<extract::Message>,
    Query(paging): Query<Paging>,
    Query(filter): Query<attempt::Filter>,
    Query(content): Query<WithContent>,
    Query(AtEndpoint { endpoint_id }): Query<AtEndpoint>,
) -> Result<Response, Error> {
    let endpoint = endpoint_id.map(|text| Reference::parse(Kind::Endpoint, &text));
    attempt::of_message(&api, scope, (message, endpoint), &paging, filter, content).await
}

async fn old_at_endpoint(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(message): Named<extract::Message>,
    Named(endpoint): Named<extract::Endpoint>,
    Query(paging): Query<Paging>,
    Query(filter): Query<attempt::Filter>,
    Query(content): Query<WithContent>,
) -> Result<Response, Error> {
    attempt::of_message(&api, scope, (message, Some(endpoint)), &paging, filter, content).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_canceled_is_never_called_a_success() {
        let show = |expanded_statuses, status, state| {
            let shown = Expanded { expanded_statuses }.show(status, Some(Timestamp(1)), state);
            (shown.status, shown.status_text, shown.next_attempt.is_some())
        };
        use DeliveryStatus::{Canceled, Pending, Sending};
        use endpoint::State::{Deleted, Enabled, Paused};
        assert_eq!(show(None, Canceled, Deleted), (2, "fail", false));
        assert_eq!(show(Some(false), Canceled, Deleted), (2, "fail", false));
        assert_eq!(show(Some(true), Canceled, Deleted), (4, "canceled", false));
        assert_eq!(show(None, Pending, Enabled), (1, "pending", true));
        assert_eq!(show(None, Sending, Paused), (3, "sending", false));
    }
}
