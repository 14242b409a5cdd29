//! A browser on this machine goes to the provider and comes back to a port here (RFC 8252, section 7.3).

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use axum::response::Response;
use http::{Method, Request, StatusCode, Uri};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::server::{ask, call, refused};
use super::super::{Failure, note};
use super::Flow;
use crate::api_client::ApiClient;
use crate::callback::{guarded, html};
use crate::terminal::printable;

/// Where the browser comes back to.
const PATH: &str = "/connected";
/// The same as a server lists it: with no port any is meant.
const TARGET: &str = "http://127.0.0.1/connected";
/// What opens a page in the browser of whoever sits here.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// What a browser brings: the confirmation, or why there is none.
type Brought = Result<String, String>;

/// A free port, and the page that it is.
pub(super) async fn listen() -> io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let page = format!("http://{}{PATH}", listener.local_addr()?);
    Ok((listener, page))
}

/// Begins a flow whose browser comes back to `page`.
pub(super) async fn begin(
    api: &ApiClient,
    mut wanted: Value,
    page: &str,
) -> Result<Value, Failure> {
    wanted["returnTo"] = page.into();
    let answer = call(api, Method::POST, "/api/v1/authorization", Some(&wanted)).await?;
    let json = answer.json();
    if answer.status.is_success() {
        return Ok(json);
    }
    let problems = json["detail"].as_array().into_iter().flatten();
    let places: Vec<_> = problems.map(|problem| &problem["loc"]).collect();
    if places == [&json!(["body", "returnTo"])] {
        return Err(Failure::Failed(format!(
            "the server sends no browser to {TARGET}, where this command would wait for it: list it \
             in `callback.redirect_targets` (RINGBACK_CALLBACK_REDIRECT_TARGETS) and start the \
             server anew"
        )));
    }
    Err(refused(&answer))
}

/// Says where the person has to go.
pub(super) fn show(begun: &Value, provider: &str) {
    let url = printable(begun["url"].as_str().unwrap_or_default());
    note(&format!(
        "To connect {provider}, open\n\n    {url}\n\nin a browser on this machine. Ctrl-C ends this."
    ));
}

/// Opens the page, where there is something that opens pages: it was shown, too.
pub(super) fn open(begun: &Value) {
    let url = begun["url"].as_str().unwrap_or_default();
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return;
    }
    // In a group of its own: Ctrl-C here is not meant for a browser.
    let opener = Command::new(OPENER)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    // It may last as long as the browser, and longer than this.
    drop(opener);
}

/// The connection, once the browser has come back.
pub(super) async fn granted(flow: &Flow<'_>, listener: TcpListener) -> Result<Value, Failure> {
    let brought = timeout(flow.lasts, arrival(listener, &flow.id)).await.map_err(|_| {
        Failure::Failed(format!("nobody came back within {} s", flow.lasts.as_secs_f64()))
    })??;
    let confirmation = brought
        .map_err(|why| Failure::Failed(format!("nothing was granted: {}", printable(&why))))?;
    let body = json!({ "userRef": flow.user_ref, "confirmation": confirmation });
    let mut confirmed = ask(flow.api, Method::POST, &flow.path("confirm"), Some(&body)).await?;
    Ok(confirmed["granted"].take())
}

/// Waits for the browser of the flow with this id, and answers whatever else comes.
async fn arrival(listener: TcpListener, id: &str) -> io::Result<Brought> {
    // Browsers open connections that they may need, and leave them open.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                connections.spawn(serve(stream, id.to_owned()));
            }
            Some(served) = connections.join_next() => {
                if let Ok(Some(brought)) = served {
                    return Ok(brought);
                }
            }
        }
    }
}

/// Answers one request; what it brought is told once it has its answer.
async fn serve(stream: TcpStream, id: String) -> Option<Brought> {
    let brought = OnceLock::new();
    let service = service_fn(async |request: Request<_>| {
        let read = read(request.method(), request.uri(), &id);
        let page = page(read.as_ref());
        if let Some(read) = read {
            // Whoever asks again brings nothing new.
            let _ = brought.set(read);
        }
        Ok::<_, std::convert::Infallible>(page)
    });
    let mut server = http1::Builder::new();
    server.keep_alive(false).timer(TokioTimer::new());
    // A browser that hears no answer has brought what it had.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
    brought.into_inner()
}

/// What a request brings of the flow with this id.
fn read(method: &Method, uri: &Uri, id: &str) -> Option<Brought> {
    if method != Method::GET || uri.path() != PATH {
        return None;
    }
    let query = uri.query().unwrap_or_default().as_bytes();
    let fields: Vec<_> = url::form_urlencoded::parse(query).collect();
    let [(first, named), (what, text)] = &*fields else { return None };
    match (&**first, &**what) {
        ("authorization", "confirmation") if named == id => Some(Ok(text.clone().into_owned())),
        ("authorization", "error") if named == id => Some(Err(text.clone().into_owned())),
        _ => None,
    }
}

/// What the person sees.
fn page(brought: Option<&Brought>) -> Response {
    let (status, title, text) = match brought {
        Some(Ok(_)) => {
            (StatusCode::OK, "Done here", "Go back to the terminal: it says what came of it.")
        }
        Some(Err(_)) => (StatusCode::OK, "Nothing was granted", "Go back to the terminal."),
        None => (StatusCode::NOT_FOUND, "Nothing here", "Nobody waits for this."),
    };
    let mut response = html(title, &format!("<h1>{title}</h1><p>{text}</p>"));
    *response.status_mut() = status;
    guarded(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_of_this_flow_is_read() {
        fn check(method: Method, uri: &str, expected: Option<Brought>) {
            assert_eq!(read(&method, &uri.parse().unwrap(), "auth_1"), expected, "{uri}");
        }
        let granted = "/connected?authorization=auth_1&confirmation=made-up";
        check(Method::GET, granted, Some(Ok("made-up".to_owned())));
        let denied = "/connected?authorization=auth_1&error=access_denied";
        check(Method::GET, denied, Some(Err("access_denied".to_owned())));
        check(Method::HEAD, granted, None);
        check(Method::POST, granted, None);
        for uri in [
            "/",
            "/favicon.ico",
            "/connected",
            "/connected?authorization=auth_1",
            "/connected?confirmation=made-up",
            "/connected?authorization=auth_2&confirmation=made-up",
            "/connected?authorization=auth_1&confirmation=made-up&error=access_denied",
            "/connected?authorization=auth_1&confirmation=a&confirmation=b",
            "/other?authorization=auth_1&confirmation=made-up",
        ] {
            check(Method::GET, uri, None);
        }
    }
}
