//! Messages: what was sent. Creating one is a door of its own (`send::accept`).

mod model;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{id::Kind, time::Timestamp};
use ringback_store::{Identified, MessageQuery, Order};
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

pub use model::{MessageIn, MessageOut, Posted, WithContent};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(list)).routes(routes!(get))
}

/// Which messages to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
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
        Filter {
            event_types: query.list("event_types"),
            channel: query.text("channel"),
            tag: query.text("tag"),
            before: query.time("before"),
            after: query.time("after"),
        }
    }
}

/// List messages
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg", tag = "Message",
    params(("app_id" = String, Path, description = "id or uid"), Paging, Filter, WithContent),
    responses((status = 200, body = List<MessageOut<'_>>)))]
async fn list(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
    Query(content): Query<WithContent>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Message, Order::Descending)?;
    let Filter { event_types, channel, tag, before, after } = filter;
    let with_content = content.wanted();
    let query =
        MessageQuery { page: page.clone(), event_types, channel, tag, before, after, with_content };
    let listed = api.store.messages(scope, query).await?;
    let ids = listed.items.iter().map(Identified::id).collect();
    let data = listed.items.iter().map(|message| MessageOut::stored(message, with_content));
    let list = List::new(Kind::Message, &page, ids, data.collect(), listed.done);
    Ok(json(StatusCode::OK, &list))
}

/// Get a message
#[utoipa::path(get, path = "/api/v1/app/{app_id}/msg/{msg_id}", tag = "Message",
    params(("app_id" = String, Path, description = "id or uid"),
        ("msg_id" = String, Path, description = "id or event id"), WithContent),
    responses((status = 200, body = MessageOut<'_>)))]
async fn get(
    State(api): State<Api>,
    Scoped { scope, .. }: Scoped,
    Named(message): Named<extract::Message>,
    Query(content): Query<WithContent>,
) -> Result<Response, Error> {
    let with_content = content.wanted();
    let message = api.store.message(scope, message, with_content).await?;
    Ok(json(StatusCode::OK, &MessageOut::stored(&message, with_content)))
}
