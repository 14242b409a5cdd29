//! A running server, for the commands that talk to its API.

use std::future::Future;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use http::{Method, StatusCode};
use ringback_domain::token::Token;
use serde_json::Value;
use url::{Host, Url};

use super::{Failure, dev};
use crate::api_client::{Answer, ApiClient, CallError, Proxy};
use crate::outbound::SystemNetwork;
use crate::seam::Network;
use crate::terminal::printable;

/// A running server, and who asks it.
#[derive(Debug, clap::Args)]
pub(super) struct Server {
    /// The server's address
    #[arg(long, env = "RINGBACK_URL", default_value = "http://127.0.0.1:8071")]
    url: String,
    /// API token; better given by the variable, as arguments are visible to others [default: on
    /// loopback, the one that `ringback dev` keeps in ringback-data/dev-token]
    #[arg(long, env = "RINGBACK_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

impl Server {
    /// A client of it, for the runtime at hand.
    pub(super) fn client(&self) -> Result<ApiClient, Failure> {
        self.client_with(self.token()?)
    }

    /// As [`Server::client`], with another token.
    pub(super) fn client_with(&self, token: String) -> Result<ApiClient, Failure> {
        let client = ApiClient::new(self.url(), token, network()?)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let proxy = Proxy::of_environment(client.base())
            .map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(client.through(proxy))
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The token that was given; for a server of this machine, the one of its development server.
    ///
    /// That file is in the data directory, which is looked for where a server looks. Nothing of it
    /// leaves this machine: whoever may read it could be asked for it all the same.
    pub(super) fn token(&self) -> Result<String, Failure> {
        // A variable that is there and empty sets nothing, as with any setting.
        if let Some(token) = self.token.as_ref().filter(|token| !token.is_empty()) {
            return Ok(token.clone());
        }
        let making = "`ringback token create` makes one where the server's data are";
        if !is_loopback(&self.url) {
            let url = printable(&self.url);
            return Err(Failure::Usage(format!(
                "no token for {url}: give one with RINGBACK_TOKEN or --token; {making}"
            )));
        }
        let data = std::env::var_os("RINGBACK_DATA").filter(|path| !path.is_empty());
        let data = data.map_or_else(|| PathBuf::from("ringback-data"), PathBuf::from);
        let file = data.join(dev::TOKEN_FILE);
        match std::fs::read_to_string(&file) {
            Ok(text) if Token::parse(text.trim()).is_ok() => Ok(text.trim().to_owned()),
            _ => Err(Failure::Usage(format!(
                "no token: RINGBACK_TOKEN and --token are not given, and there is none in {}. With \
                 `ringback dev`, do this in the folder where that runs; else {making}: \
                 export RINGBACK_TOKEN=$(ringback token create)",
                file.display()
            ))),
        }
    }
}

/// Whether a URL leads to this machine alone.
fn is_loopback(url: &str) -> bool {
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The way out of this machine, for the runtime at hand.
pub(super) fn network() -> Result<Arc<dyn Network>, Failure> {
    let runtime = tokio::runtime::Handle::current();
    Ok(Arc::new(SystemNetwork::new(&[], runtime).map_err(|error| failed(&error))?))
}

/// Does what a command has to ask a server, on a runtime of its own.
pub(super) fn carried<T>(asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(asking)
}

/// The answer, of whatever status.
pub(super) async fn call(
    api: &ApiClient,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer, Failure> {
    let body = body.map(|body| body.to_string().into());
    api.call(method, path, body).await.map_err(|error| unanswered(&error))
}

/// The JSON of an answer that has to be a success; null where it has none.
pub(super) async fn ask(
    api: &ApiClient,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, Failure> {
    let answer = call(api, method, path, body).await?;
    if !answer.status.is_success() {
        return Err(refused(&answer));
    }
    match answer.body.is_empty() {
        true => Ok(Value::Null),
        false => serde_json::from_slice(&answer.body)
            .map_err(|error| Failure::Failed(format!("the answer is not JSON: {error}"))),
    }
}

/// The items of a list, page after page, at most so many. `path` has a query.
pub(super) async fn listed(
    api: &ApiClient,
    path: &str,
    most: usize,
) -> Result<Vec<Value>, Failure> {
    listed_after(api, path, None, most).await
}

/// The same, from the item on that comes after this one.
pub(super) async fn listed_after(
    api: &ApiClient,
    path: &str,
    after: Option<&str>,
    most: usize,
) -> Result<Vec<Value>, Failure> {
    /// The most that a page has.
    const PAGE: usize = 250;
    let place = |iterator: &str| format!("&iterator={}", path_segment(iterator));
    let (mut items, mut place_now) = (Vec::new(), after.map(place).unwrap_or_default());
    while items.len() < most {
        let limit = (most - items.len()).min(PAGE);
        let page = ask(api, Method::GET, &format!("{path}&limit={limit}{place_now}"), None).await?;
        items.extend(page["data"].as_array().into_iter().flatten().cloned());
        match page["iterator"].as_str() {
            Some(iterator) if page["done"] == false => place_now = place(iterator),
            _ => break,
        }
    }
    Ok(items)
}

/// What the server says to people of why it does not do it.
pub(super) fn refused(answer: &Answer) -> Failure {
    let json = answer.json();
    let step = next_step(answer, &json).map(|step| format!("; {step}")).unwrap_or_default();
    Failure::Failed(format!("the server answered {}{step}", answer.refusal()))
}

/// What to do about a refusal that is no fault of what was asked.
fn next_step(answer: &Answer, json: &Value) -> Option<&'static str> {
    match answer.status {
        // Whatever our API refuses, it says for programs, too.
        _ if json["detail"].is_null() => {
            Some("this is no answer of a Ringback server: is RINGBACK_URL (or --url) its address?")
        }
        StatusCode::UNAUTHORIZED => Some(
            "`ringback token list` and `ringback token create`, where the server's data are, show \
             what is valid and make a new one; `ringback dev` keeps its own in \
             ringback-data/dev-token",
        ),
        StatusCode::FORBIDDEN
            if json["code"].as_str().is_some_and(|it| it.starts_with("needs_")) =>
        {
            Some("`ringback token create --role …` makes a token that may do more")
        }
        StatusCode::NOT_FOUND => {
            Some("a token sees its own environment only: is the name right, and the token?")
        }
        _ => None,
    }
}

/// Why there is no answer, and what to do about it.
pub(super) fn unanswered(error: &CallError) -> Failure {
    let step = match error {
        CallError::Connect(_, reason) if reason.kind() == ErrorKind::ConnectionRefused => {
            "; is the server running? `ringback dev` starts one to try things with, and RINGBACK_URL \
             (or --url) says where another one is"
        }
        CallError::Resolve(..) => "; is RINGBACK_URL (or --url) right?",
        _ => "",
    };
    Failure::Failed(format!("{error}{step}"))
}

pub(super) fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::Failed(error.to_string())
}

/// Whatever was typed stays one segment of the path.
pub(super) use crate::operations::segment as path_segment;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_one_segment() {
        fn check(typed: &str, expected: &str) {
            assert_eq!(path_segment(typed), expected);
        }
        check("customer-7_a.b", "customer-7_a.b");
        check("../x?y", "..%2Fx%3Fy");
        check("é", "%C3%A9");
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (url, expect) in [
            ("http://127.0.0.1:8071", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:8071/", true),
            ("http://localhost:8071", true),
            ("http://LOCALHOST", true),
            ("http://localhost.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("http://127.0.0.1@example.com", false),
            ("http://10.0.0.1", false),
            ("https://hooks.example.com", false),
            ("nowhere", false),
        ] {
            assert_eq!(is_loopback(url), expect, "{url}");
        }
    }

    #[test]
    fn a_refusal_says_why_and_what_to_do() {
        fn check(status: u16, body: &'static str, expected: &str) {
            let (status, headers) = (StatusCode::from_u16(status).unwrap(), Default::default());
            let answer = Answer { status, headers, body: body.into() };
            let said = refused(&answer).to_string();
            assert_eq!(said, format!("the server answered {status}: {expected}"));
        }
        check(409, r#"{"code":"conflict","detail":"the uid is taken"}"#, "the uid is taken");
        check(
            422,
            r#"{"detail":[{"loc":["body","a"],"msg":"wrong"},{"loc":["body","b"],"msg":"too"}]}"#,
            "body.a: wrong; body.b: too",
        );
        check(409, r#"{"detail":"\u001b[2J"}"#, "\\u{1b}[2J");
        check(
            403,
            r#"{"code":"needs_admin","detail":"too little"}"#,
            "too little; `ringback token create --role …` makes a token that may do more",
        );
        check(403, r#"{"code":"not_allowed","detail":"never"}"#, "never");
        check(
            502,
            "a proxy's page",
            "a proxy's page; this is no answer of a Ringback server: is RINGBACK_URL (or --url) its \
             address?",
        );
    }
}
