//! Asks for an approval and waits for it:
//! `RINGBACK_URL=… RINGBACK_TOKEN=… cargo run -p ringback-client --example approve`.

#![allow(clippy::print_stdout, reason = "it shows what happens")]

use ringback_client::BoxError;
use ringback_client::callback::{Callback, Error, Gateway, Happened, NewCallback};
use serde::Deserialize;
use serde_json::json;

/// What whoever is asked answers.
#[derive(Deserialize)]
pub(crate) struct Approval {
    approved: bool,
}

/// Asks; the callback's URL goes to whoever decides.
pub(crate) async fn ask(gateway: &Gateway) -> Result<Callback<Approval>, Error> {
    let schema = json!({
        "type": "object", "required": ["approved"], "properties": {"approved": {"type": "boolean"}},
    });
    let wanted =
        NewCallback { expires_in: Some(3600), schema: Some(schema), ..NewCallback::of("acme") };
    gateway.callback(wanted).await
}

/// What became of it, in words. `show` is told how far whoever was asked is.
pub(crate) async fn outcome(
    callback: &Callback<Approval>,
    mut show: impl FnMut(String) + Send,
) -> Result<String, Error> {
    callback
        .on(Happened::Progress, |event| {
            show(format!("progress {}", event.value));
            async {}
        })
        .await?;
    Ok(match callback.wait().await {
        Ok(Approval { approved: true }) => "approved".to_owned(),
        Ok(_) => "not approved".to_owned(),
        Err(Error::Failed(why)) => format!("failed {why}"),
        Err(Error::Expired) => "nobody has answered".to_owned(),
        Err(error) => return Err(error),
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let gateway = Gateway::new(&std::env::var("RINGBACK_URL")?, &std::env::var("RINGBACK_TOKEN")?)?;
    let callback = ask(&gateway).await?;
    println!("waiting at {}", callback.url());
    println!("{}", outcome(&callback, |text| println!("{text}")).await?);
    Ok(())
}
