//! The two places where browsers come. What stands in their URLs is a secret or proves nothing, so the
//! path is in no span and no log line.

use axum::{Router, routing};

use super::{CALLBACK, Oauth, START, arrive, start};

/// The routes of the door.
pub fn routes(oauth: Oauth) -> Router {
    Router::new()
        .route(&format!("{START}{{ticket}}"), routing::get(start::start).head(start::look))
        .route(
            &format!("{CALLBACK}{{context}}"),
            routing::get(arrive::get).post(arrive::post).head(arrive::look),
        )
        .with_state(oauth)
}
