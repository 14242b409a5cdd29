//! Receives with axum: `SECRET=whsec_… cargo run -p ringback-client --example receive`.
//!
//! The secret is that of a Ringback endpoint with the URL `http://127.0.0.1:8072/hooks`. For
//! webhooks straight from a provider, name it instead: `Receiver::new("stripe", …)`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it shows what happens")]

use std::time::Duration;

use axum::Router;
use ringback_client::{BoxError, Event, Receiver, Reject, Retry, SetupError, dedupe};
use tokio::net::TcpListener;

/// What is called for which event.
pub(crate) fn receiver(secret: &str) -> Result<Receiver, SetupError> {
    let receiver = Receiver::new("ringback", [secret])?
        .dedupe(dedupe::Memory::default())
        .on_problem(|problem| eprintln!("{problem}"))
        .on("invoice.paid", |event: Event| async move {
            let body: serde_json::Value = event.json()?;
            let Some(invoice) = body["data"]["invoice"].as_str() else {
                return Err(Reject::new("an invoice without a number").into());
            };
            println!("paid {invoice} {}", event.id.unwrap_or_default());
            Ok(())
        })
        .on("invoice.*", |_| async {
            let morning = Duration::from_secs(3600);
            Err(Retry::new("the books are closed until the morning").after(morning).into())
        });
    Ok(receiver)
}

/// Where it is called.
pub(crate) fn app(receiver: Receiver) -> Router {
    Router::new().route_service("/hooks", receiver)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let receiver = receiver(&std::env::var("SECRET")?)?;
    let port = std::env::var("PORT").unwrap_or_else(|_| "8072".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}/hooks", listener.local_addr()?);
    let end = receiver.clone();
    axum::serve(listener, app(receiver))
        .with_graceful_shutdown(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                end.close().await;
            }
        })
        .await?;
    Ok(())
}
