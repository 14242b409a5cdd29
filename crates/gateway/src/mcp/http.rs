//! The protocol over Streamable HTTP: one endpoint, `/mcp`, for whoever brings a token.
//!
//! `rmcp` does the protocol, and holds Host and Origin against DNS rebinding. What is added here: a
//! request without a bearer token is refused before anything else, a session belongs to the token
//! that began it, and there is a bound on sessions.

use std::{collections::HashMap, future::Future, io, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, Method, StatusCode, header};
use ringback_domain::token;
use rmcp::{
    ServerHandler,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService,
        session::{SessionManager as _, local::LocalSessionManager},
    },
};
use tokio::{net::TcpListener, sync::Mutex};

use crate::auth;

/// Where it is served.
const PATH: &str = "/mcp";
const SESSION: &str = "mcp-session-id";
/// The longest body of a request, in bytes.
const LONGEST_BODY: usize = 4 * 1024 * 1024;
/// Sessions at a time; each ends by itself after five minutes without a request.
const MOST_SESSIONS: usize = 256;

/// By which names it may be reached.
#[derive(Clone, Debug, Default)]
pub struct Doors {
    /// Hosts beside those of the loopback: `mcp.example.com`.
    pub hosts: Vec<String>,
    /// Origins of pages that may call it, beside those of the loopback:
    /// `https://app.example.com:443`.
    pub origins: Vec<String>,
}

/// Serves whoever connects, until `stop`; then what is under way is ended.
///
/// # Errors
/// When the listener breaks.
pub async fn serve<H: ServerHandler + Clone>(
    listener: TcpListener,
    handler: H,
    doors: Doors,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let loopback = ["localhost", "127.0.0.1", "[::1]", "::1"].map(str::to_owned);
    let hosts = loopback.into_iter().chain(doors.hosts);
    // A page of this machine may call; it needs a token as anybody does.
    let local = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"].map(str::to_owned);
    let origins = local.into_iter().chain(doors.origins);
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(hosts)
        .with_allowed_origins(origins)
        .enforce_origin_validation()
        .with_max_request_body_bytes(LONGEST_BODY);
    let ended = config.cancellation_token.clone();
    let manager = Arc::new(LocalSessionManager::default());
    let begun = Begun { manager: Arc::clone(&manager), holders: Arc::default() };
    let service = StreamableHttpService::new(move || Ok(handler.clone()), manager, config);
    let router = Router::new()
        .route_service(PATH, service)
        .layer(middleware::from_fn_with_state(begun, guarded));
    let stopped = async move {
        stop.await;
        ended.cancel();
    };
    axum::serve(listener, router).with_graceful_shutdown(stopped).await
}

/// Whose the sessions are.
#[derive(Clone)]
struct Begun {
    manager: Arc<LocalSessionManager>,
    /// The hash of the token that began a session, by the session's id.
    holders: Arc<Mutex<HashMap<String, [u8; 32]>>>,
}

async fn guarded(State(begun): State<Begun>, request: Request, next: Next) -> Response {
    let Some(token) = auth::bearer(request.headers().get(header::AUTHORIZATION)) else {
        let mut refused = (StatusCode::UNAUTHORIZED, "send a bearer token\n").into_response();
        let wants = HeaderValue::from_static("Bearer realm=\"ringback\"");
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, wants);
        return refused;
    };
    let holder = token::hash(token);
    let said = request.headers().get(SESSION).and_then(|id| id.to_str().ok()).map(str::to_owned);
    let Begun { holders, .. } = &begun;
    if let Some(id) = &said {
        // As one that does not exist: whoever asks learns nothing about it.
        if holders.lock().await.get(id).is_some_and(|known| *known != holder) {
            return (StatusCode::NOT_FOUND, "there is no such session\n").into_response();
        }
    } else if !begun.has_room().await {
        let text = "too many sessions: end one, or wait until one has ended\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    let ends = *request.method() == Method::DELETE;
    let answer = next.run(request).await;
    let given = answer.headers().get(SESSION).and_then(|id| id.to_str().ok());
    match (said, given) {
        (None, Some(id)) => {
            holders.lock().await.insert(id.to_owned(), holder);
        }
        (Some(id), _) if ends => {
            holders.lock().await.remove(&id);
        }
        _ => {}
    }
    answer
}

impl Begun {
    /// Whether another session may begin; forgets those that have ended if there are many.
    async fn has_room(&self) -> bool {
        let mut holders = self.holders.lock().await;
        if holders.len() < MOST_SESSIONS {
            return true;
        }
        let ids: Vec<String> = holders.keys().cloned().collect();
        for id in ids {
            if !matches!(self.manager.has_session(&id.as_str().into()).await, Ok(true)) {
                holders.remove(&id);
            }
        }
        holders.len() < MOST_SESSIONS
    }
}
