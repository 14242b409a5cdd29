//! Messages: what was sent. Creating one is a door of its own (`send::accept`).

mod content;
mod expunge;
mod model;
mod precheck;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{id::Kind, message::Message, scope::Scope, time::Timestamp};
use ringback_store::{DeliveryStatus, Identified, MessageQuery, MessageSearch, Order, Page};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::{self, Named, Scoped},
    list::List,
    query::{FromQuery, Paging, Params, Query},
    reply::json,
};

pub use model::{MessageIn, MessageOut, Posted, WithContent, not_admitted};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list))
        .routes(routes!(get))
        .merge(precheck::routes())
        .merge(content::routes())
        .merge(expunge::routes())
}

/// Which messages to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Only with this status at one endpoint or more: 0 success, 1 pending (not tried yet), 2 fail
    /// (tried as often as it will be), 3 sending (tried, and will be again), 4 canceled.
    #[param(value_type = Option<u8>, minimum = 0, maximum = 4)]
    pub(super) status: Option<DeliveryStatus>,
    /// Only these event types.
    #[param(explode = false, required = false)]
    event_types: Vec<String>,
    /// Only with this channel.
    channel: Option<String>,
    /// Only with this tag.
    tag: Option<String>,
    /// Only accepted before.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
    /// Only accepted after.
    #[param(value_type = Option<String>, format = DateTime)]
    after: Option<Timestamp>,
}

impl FromQuery for Filter {
    fn read(query: &mut Params) -> Filter {
        let status = query.number("status");
        let known = status.map(DeliveryStatus::from_number);
        Filter {
            status: match known {
                Some(None) => query.wrong("status", "it is between 0 and 4"),
                known => known.flatten(),
            },
            event_types: query.list("event_types"),
            channel: query.text("channel"),
            tag: query.text("tag"),
            before: query.time("before"),
            after: query.time("after"),
        }
    }
}

impl Filter {
    /// What to search for.
    pub(super) fn search(self, page: Page, with_content: bool) -> MessageSearch {
        let Filter { status, event_types, channel, tag, before, after } = self;
        let query = MessageQuery { page, event_types, channel, tag, before, after, with_content };
        MessageSearch { query, status }
    }
}

/// List messages
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg", tag = "Message",
    params(("app_id" = String, Path, description = "id or uid"), Paging, Filter, WithContent),
    responses((status = 200, body = List<MessageOut<'_>>)))]
async fn list(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
    Query(content): Query<WithContent>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Message, Order::Descending)?;
    let with_content = content.wanted();
    let search = filter.search(page.clone(), with_content);
    let found = api.store.search_messages(scope, search).await?;
    let ids = found.items.iter().map(Identified::id).collect();
    let mut data = Vec::with_capacity(found.items.len());
    for message in &found.items {
        let label = version(&api, scope, message, now).await?;
        data.push(MessageOut::stored(message, with_content).in_version(label));
    }
    let end = (found.done, found.reached);
    let list = List::found(Kind::Message, &page, ids, data, end);
    Ok(json(StatusCode::OK, &list))
}

/// Get a message
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}", tag = "Message",
    params(("app_id" = String, Path, description = "id or uid"),
        ("msg_id" = String, Path, description = "id or event id"), WithContent),
    responses((status = 200, body = MessageOut<'_>)))]
async fn get(
    State(api): State<Api>,
    Scoped { scope, now }: Scoped,
    Named(message): Named<extract::Message>,
    Query(content): Query<WithContent>,
) -> Result<Response, Error> {
    let with_content = content.wanted();
    let message = api.store.message(scope, message, with_content).await?;
    let label = version(&api, scope, &message, now).await?;
    Ok(json(StatusCode::OK, &MessageOut::stored(&message, with_content).in_version(label)))
}

/// The label of the version that a message has.
pub(super) async fn version(
    api: &Api,
    scope: Scope,
    message: &Message,
    now: Timestamp,
) -> Result<Option<String>, Error> {
    let Some(ordinal) = message.version else { return Ok(None) };
    let found = api.contracts.find(scope.environment, &message.event_type, now).await?;
    let edition = found.as_ref().and_then(|contract| contract.version(ordinal));
    Ok(edition.map(|edition| edition.version.label.clone()))
}
