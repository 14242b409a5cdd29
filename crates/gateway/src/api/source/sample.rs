//! Samples for a source: what its provider might send, signed with the source's own settings.

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::provider::{Provider, SAMPLE_HEADER, vector::WireRequest};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{ingest_url, opened_settings};
use crate::{
    api::{
        Api,
        error::Error,
        extract::{self, Caller, Json, Named},
        reply::json,
    },
    receive::Config,
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default().routes(routes!(sample))
}

/// Which sample.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
struct SourceSampleIn {
    /// One of the sample events that `ringback providers show` lists; the first if not given.
    #[schema(example = "invoice.paid")]
    event: Option<String>,
    /// Fields of the body to set, by their paths with dots; a lone name is the one field of that
    /// name, wherever it stands, and one that begins with a dot a field at the top.
    #[schema(example = json!({"data.object.amount": 5000}))]
    set: BTreeMap<String, Value>,
    /// An event of your own instead, to be signed in the same way: its body as text.
    body: Option<String>,
    /// The same in base64, where it is not text.
    body_base64: Option<String>,
    /// Its headers; what proves it is made anew.
    headers: Option<BTreeMap<String, String>>,
}

/// A request as the provider would send it now.
#[derive(Serialize, ToSchema)]
struct SourceSampleOut {
    /// The sample event; none for an event of your own.
    event: Option<String>,
    /// The method.
    method: String,
    /// The source's URL.
    url: String,
    /// Headers, the provider's proof and `x-ringback-sample` among them.
    headers: BTreeMap<String, String>,
    /// The body, byte for byte; empty if it is not text.
    body: String,
    /// The body in base64, where it is not text.
    #[serde(rename = "body_base64", skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// Make a sample event for a source
///
/// The answer is a request that is signed with the source's settings, as its provider would sign it
/// now. Send it to its URL, and it goes the way of any event; its header `x-ringback-sample` goes
/// on to the endpoints. Fields can be set, and an event of your own can stand in the sample's place:
/// what is signed is what is sent.
#[utoipa::path(post, path = "/ingest/api/v1/source/{source_id}/sample", tag = "Source",
    params(("source_id" = String, Path, description = "id or uid")),
    request_body = SourceSampleIn,
    responses((status = 200, body = SourceSampleOut)))]
async fn sample(
    State(api): State<Api>,
    Caller { environment, now }: Caller,
    Named(source): Named<extract::Source>,
    Json(body): Json<SourceSampleIn>,
) -> Result<Response, Error> {
    let source = api.store.source(environment, source).await?;
    let provider = api.catalog.get(&source.provider).ok_or(Error::Internal)?;
    let url = ingest_url(&api, environment, &source).ok_or(Error::Internal)?;
    let config: Config = serde_json::from_str(&source.config).map_err(|_| Error::Internal)?;
    let settings = opened_settings(&api, environment, &source);
    let random = u64::from_be_bytes(api.world.entropy.bytes());
    let id = format!("sample_{random:016x}");
    let Unsigned { event, request } = body.request(&provider, &url, random)?;
    let made = request
        .sign(&provider, &settings, config.public_url.as_deref(), &id, now)
        .map_err(|error| wrong("event", format!("it cannot be signed: {error}")))?;
    let WireRequest { method, headers, body, body_base64, .. } = made;
    let method = config.methods.first().cloned().unwrap_or(method);
    Ok(json(StatusCode::OK, &SourceSampleOut { event, method, url, headers, body, body_base64 }))
}

fn wrong(field: &'static str, what: String) -> Error {
    Error::invalid("body", field, what)
}

/// What is to be signed.
struct Unsigned {
    event: Option<String>,
    request: WireRequest,
}

impl SourceSampleIn {
    /// # Errors
    /// 422 that names the field.
    fn request(self, provider: &Provider, url: &str, random: u64) -> Result<Unsigned, Error> {
        let mut unsigned = match (self.body, self.body_base64) {
            (None, None) => {
                let sample = provider.sample(self.event.as_deref()).ok_or_else(|| {
                    let known: Vec<_> =
                        provider.samples.iter().map(|one| one.event.as_str()).collect();
                    wrong(
                        "event",
                        format!("there is no such sample: there is {}", known.join(", ")),
                    )
                })?;
                let mut request = provider.request_of(sample, url, random);
                request.headers.extend(self.headers.into_iter().flatten());
                Unsigned { event: Some(sample.event.clone()), request }
            }
            (body, body_base64) => {
                let mut headers: BTreeMap<_, _> = self.headers.into_iter().flatten().collect();
                headers.insert(SAMPLE_HEADER.to_owned(), "1".to_owned());
                let body = body.unwrap_or_default();
                let (method, url) = ("POST".to_owned(), Some(url.to_owned()));
                let request = WireRequest { method, url, headers, body, body_base64 };
                Unsigned { event: self.event, request }
            }
        };
        for (path, value) in &self.set {
            let set = unsigned.request.set(path, value);
            unsigned.request = set.map_err(|error| wrong("set", error.to_string()))?;
        }
        Ok(unsigned)
    }
}
