//! A running server, for the commands that talk to its API.

use std::future::Future;
use std::sync::Arc;

use http::Method;
use serde_json::Value;

use super::Failure;
use crate::api_client::{Answer, ApiClient, Proxy};
use crate::outbound::SystemNetwork;
use crate::seam::Network;
use crate::terminal::printable;

/// A running server, and who asks it.
#[derive(Debug, clap::Args)]
pub(super) struct Server {
    /// The server's address
    #[arg(long, env = "RINGBACK_URL", default_value = "http://127.0.0.1:8071")]
    url: String,
    /// API token; better given by the variable, as arguments are visible to others
    #[arg(long, env = "RINGBACK_TOKEN", hide_env_values = true)]
    token: String,
}

impl Server {
    /// A server that was named otherwise than by these flags.
    pub(super) fn at(url: &str, token: &str) -> Server {
        Server { url: url.to_owned(), token: token.to_owned() }
    }

    /// A client of it, for the runtime at hand.
    pub(super) fn client(&self) -> Result<ApiClient, Failure> {
        let client = ApiClient::new(&self.url, self.token.clone(), network()?)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let proxy = Proxy::of_environment(client.base())
            .map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(client.through(proxy))
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
    api.call(method, path, body).await.map_err(|error| failed(&error))
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
    let text = match &json["detail"] {
        Value::String(detail) => detail.clone(),
        Value::Array(problems) => problems.iter().map(problem).collect::<Vec<_>>().join("; "),
        _ => String::from_utf8_lossy(&answer.body).into_owned(),
    };
    Failure::Failed(format!("the server answered {}: {}", answer.status, printable(&text)))
}

/// `body.returnTo: is not listed`
fn problem(problem: &Value) -> String {
    let place = problem["loc"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let place = place.collect::<Vec<_>>().join(".");
    format!("{place}: {}", problem["msg"].as_str().unwrap_or_default())
}

pub(super) fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::Failed(error.to_string())
}

/// Whatever was typed stays one segment of the path.
pub(super) fn path_segment(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

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
    fn a_refusal_says_why() {
        fn check(body: &'static str, expected: &str) {
            let (status, headers) = (http::StatusCode::CONFLICT, http::HeaderMap::new());
            let answer = Answer { status, headers, body: body.into() };
            let said = refused(&answer).to_string();
            assert_eq!(said, format!("the server answered 409 Conflict: {expected}"));
        }
        check(r#"{"code":"conflict","detail":"the uid is taken"}"#, "the uid is taken");
        check(
            r#"{"detail":[{"loc":["body","a"],"msg":"wrong"},{"loc":["body","b"],"msg":"too"}]}"#,
            "body.a: wrong; body.b: too",
        );
        check("a proxy's page", "a proxy's page");
        check(r#"{"detail":"\u001b[2J"}"#, "\\u{1b}[2J");
    }
}
