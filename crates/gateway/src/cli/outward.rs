//! A request sent to any URL from here: where it goes, which of its headers go along, and the
//! sending to a receiver that is being built.

use std::time::Duration;

use http::Method;
use ringback_domain::provider::vector::WireRequest;
use url::{Position, Url};

use super::Failure;
use super::server::{failed, network};
use crate::api_client::{Answer, ApiClient};

/// How long a receiver may take; somebody may sit in its debugger.
const PATIENCE: Duration = Duration::from_secs(300);
/// What belongs to a connection and not to what is said over it (RFC 9110, section 7.6.1), or is
/// written for each anew.
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

/// Whether a header does not go along when its request is sent on. The name may be in any case.
pub(super) fn is_own(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    OWN.contains(&name.as_str()) || name.starts_with("proxy-")
}

/// The URL, and below it what a request came with: further path or a query.
pub(super) fn below(url: &Url, target: &str) -> Url {
    let mut url = url.clone();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !path.is_empty() && path != "/" {
        let joined =
            format!("{}/{}", url.path().trim_end_matches('/'), path.trim_start_matches('/'));
        url.set_path(&joined);
    }
    let query = [url.query().unwrap_or_default(), query];
    let query = query.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("&");
    url.set_query((!query.is_empty()).then_some(&*query));
    url
}

/// Where requests go.
pub(super) struct Target {
    client: ApiClient,
    /// Without a fragment.
    url: Url,
}

impl Target {
    /// The receiver at a URL, for the runtime at hand.
    pub(super) fn new(text: &str) -> Result<Target, Failure> {
        let wrong = || {
            let what = "is not a URL to send to, such as http://localhost:3000/webhooks";
            Failure::Usage(format!("{text:?} {what}"))
        };
        let mut url = Url::parse(text).map_err(|_| wrong())?;
        url.set_fragment(None);
        let origin = url.origin().ascii_serialization();
        let client = ApiClient::new(&origin, String::new(), network()?).map_err(|_| wrong())?;
        Ok(Target { client: client.with_patience(PATIENCE), url })
    }

    /// The URL for a request that came with this target, as [`below`] has it.
    pub(super) fn with(&self, target: &str) -> String {
        below(&self.url, target).into()
    }

    /// Sends a request whose URL is this one, or below it.
    pub(super) async fn send(&self, request: &WireRequest) -> Result<Answer, Failure> {
        let url = request.url.as_deref().unwrap_or(self.url.as_str());
        let url = Url::parse(url).map_err(|error| failed(&error))?;
        let path = &url[Position::BeforePath..Position::AfterQuery];
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
    let headers = headers.filter(|(name, _)| !is_own(name));
    let body = request.bytes().map_err(|error| failed(&error))?;
    client.send(method, path, headers, body.into()).await.map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_kept_and_the_query_goes_along() {
        for (base, target, expected) in [
            ("http://localhost:3000/hook", "", "/hook"),
            ("http://localhost:3000/hook", "/", "/hook"),
            ("http://localhost:3000", "?a=b%20c", "/?a=b%20c"),
            ("http://localhost:3000/hook?k=v", "?a=b", "/hook?k=v&a=b"),
            ("http://localhost:3000/hook/", "/more?a=b", "/hook/more?a=b"),
        ] {
            let url = below(&Url::parse(base).unwrap(), target);
            assert_eq!(&url[Position::BeforePath..], expected, "{base} {target}");
        }
    }

    #[test]
    fn what_belongs_to_a_connection_stays_behind() {
        for (name, expected) in [
            ("Host", true),
            ("transfer-encoding", true),
            ("proxy-authorization", true),
            ("x-host", false),
            ("content-type", false),
        ] {
            assert_eq!(is_own(name), expected, "{name}");
        }
    }
}
