//! A request sent to any URL from here: what a receiver that is being built gets.

use std::time::Duration;

use http::Method;
use ringback_domain::provider::vector::WireRequest;

use super::Failure;
use super::server::{failed, network};
use crate::api_client::{Answer, ApiClient};

/// How long a receiver may take; somebody may sit in its debugger.
const PATIENCE: Duration = Duration::from_secs(300);
/// What belongs to the connection, and is written for each anew.
const OWN: [&str; 9] = [
    "host",
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Where requests go.
pub(super) struct Target {
    client: ApiClient,
    /// Without a fragment.
    url: url::Url,
}

impl Target {
    /// The receiver at a URL, for the runtime at hand.
    pub(super) fn new(text: &str) -> Result<Target, Failure> {
        let wrong = || {
            let what = "is not a URL to send to, such as http://localhost:3000/webhooks";
            Failure::Usage(format!("{text:?} {what}"))
        };
        let mut url = url::Url::parse(text).map_err(|_| wrong())?;
        url.set_fragment(None);
        let origin = url.origin().ascii_serialization();
        let client = ApiClient::new(&origin, String::new(), network()?).map_err(|_| wrong())?;
        Ok(Target { client: client.with_patience(PATIENCE), url })
    }

    /// The URL, and below it what a request came with: further path or a query.
    pub(super) fn with(&self, target: &str) -> String {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut url = self.url.clone();
        if !path.is_empty() {
            url.set_path(&format!(
                "{}/{}",
                url.path().trim_end_matches('/'),
                path.trim_start_matches('/')
            ));
        }
        let queries = [url.query().unwrap_or_default(), query];
        let queries: Vec<&str> = queries.into_iter().filter(|part| !part.is_empty()).collect();
        let joined = queries.join("&");
        url.set_query(Some(joined.as_str()).filter(|query| !query.is_empty()));
        url.into()
    }

    /// Sends a request whose URL is this one, or below it.
    pub(super) async fn send(&self, request: &WireRequest) -> Result<Answer, Failure> {
        let url = request.url.as_deref().unwrap_or(self.url.as_str());
        let url = url::Url::parse(url).map_err(|error| failed(&error))?;
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        send(&self.client, path, request).await
    }
}

/// Sends a request to a path of a server, with its own headers.
pub(super) async fn send(
    client: &ApiClient,
    path: &str,
    request: &WireRequest,
) -> Result<Answer, Failure> {
    let method = request.method.parse::<Method>().map_err(|error| failed(&error))?;
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let headers = headers.filter(|(name, _)| !OWN.contains(&name.to_ascii_lowercase().as_str()));
    let body = request.bytes().map_err(|error| failed(&error))?;
    client.send(method, path, headers, body.into()).await.map_err(|error| failed(&error))
}
