//! The essential journey through the current official Rust SDK.
//!
//! Run by `cargo xtask test --only rust`, which starts the server. The signatures are checked with
//! `svix` and with `standardwebhooks`.

mod destinations;
mod matrix;
mod receiver;

use std::error::Error;
use std::time::{Duration, Instant};

use matrix::Ground;
use receiver::{Delivery, Receiver};
use serde_json::json;
use svix::api::{
    ApplicationListOptions, MessageAttemptListByMsgOptions, MessageListOptions, Svix, SvixOptions,
};
use svix::models::{
    ApplicationIn, ApplicationPatch, EndpointIn, EndpointSecretRotateIn, EventTypeIn, MessageIn,
};

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::var("RINGBACK_URL").expect("RINGBACK_URL names the server");
    let token = std::env::var("RINGBACK_TOKEN").expect("RINGBACK_TOKEN is an API token");
    let options = SvixOptions { server_url: Some(url.clone()), ..SvixOptions::default() };
    let api = Svix::new(token.clone(), Some(options));
    let mut outcomes: Vec<(String, Outcome)> = [
        ("health", api.health().get().await.map_err(Into::into)),
        ("applications", applications(&api).await),
        ("event types", event_types(&api).await),
        ("messages and attempts", messages(&api).await),
        ("rotation", rotation(&api).await),
        ("errors", errors(&api).await),
        ("destinations", destinations::kept(&api).await),
        ("wrong destinations", destinations::refused(&api).await),
        ("what destinations do not have", destinations::for_later(&api).await),
    ]
    .map(|(name, outcome)| (name.to_owned(), outcome))
    .into();
    outcomes.extend(matrix::matrix(&Ground { url, token, api }).await);
    let mut failed = 0;
    for (name, outcome) in &outcomes {
        match outcome {
            Ok(()) => println!("ok     {name}"),
            Err(error) => {
                failed += 1;
                println!("FAILED {name}: {error}");
            }
        }
    }
    println!("{} passed, {failed} failed", outcomes.len() - failed);
    std::process::exit(i32::from(failed > 0));
}

async fn applications(api: &Svix) -> Outcome {
    let uid = Some("rust-app".to_owned());
    let wanted = ApplicationIn { uid: uid.clone(), ..ApplicationIn::new("A".into()) };
    let made = api.application().create(wanted.clone(), None).await?;
    same(&api.application().get("rust-app".into()).await?, &made)?;
    same(&api.application().get_or_create(wanted.clone(), None).await?.id, &made.id)?;
    let renamed = ApplicationIn { uid, ..ApplicationIn::new("B".into()) };
    same(&api.application().upsert("rust-app".into(), renamed).await?.name.as_str(), &"B")?;
    let patch = ApplicationPatch { name: Some("C".into()), ..ApplicationPatch::default() };
    same(&api.application().patch(made.id.clone(), patch).await?.name.as_str(), &"C")?;
    let most = ApplicationListOptions { limit: Some(250), ..Default::default() };
    let listed = api.application().list(Some(most)).await?;
    same(&listed.data.iter().any(|app| app.id == made.id), &true)?;
    api.application().delete(made.id).await?;
    Ok(())
}

async fn event_types(api: &Svix) -> Outcome {
    let wanted = EventTypeIn::new("rust.type".into(), "x".into());
    let made = api.event_type().create(wanted, None).await?;
    same(&api.event_type().get("rust.type".into()).await?, &made)?;
    let listed = api.event_type().list(None).await?;
    same(&listed.data.iter().any(|item| item.name == "rust.type"), &true)?;
    api.event_type().delete("rust.type".into(), None).await?;
    Ok(())
}

async fn messages(api: &Svix) -> Outcome {
    let app = application(api).await?;
    let receiver = Receiver::start(vec![500])?;
    let endpoint =
        api.endpoint().create(app.clone(), EndpointIn::new(receiver.url()), None).await?;
    let secret = api.endpoint().get_secret(app.clone(), endpoint.id.clone()).await?.key;
    let wanted = MessageIn {
        channels: Some(["c".to_owned()].into()),
        ..MessageIn::new("order.paid".into(), json!({"n": 1.5}))
    };
    let message = api.message().create(app.clone(), wanted, None).await?;

    for delivery in [receiver.next()?, receiver.next()?] {
        same(&delivery.header("webhook-id"), &message.id.as_str())?;
        same(&delivery.body.as_slice(), &br#"{"n":1.5}"#.as_slice())?;
        verify(&delivery, &secret)?;
    }
    let codes = attempts(api, &app, &message.id, 2).await?;
    same(&codes, &vec![200, 500])?;

    api.message_attempt().resend(app.clone(), message.id.clone(), endpoint.id, None).await?;
    same(&receiver.next()?.header("webhook-id"), &message.id.as_str())?;
    same(&attempts(api, &app, &message.id, 3).await?.len(), &3)?;

    let filter = |channel: &str| {
        Some(MessageListOptions { channel: Some(channel.into()), ..Default::default() })
    };
    same(&api.message().list(app.clone(), filter("c")).await?.data.len(), &1)?;
    same(&api.message().list(app.clone(), filter("d")).await?.data.len(), &0)?;
    same(&api.message().get(app, message.id.clone(), None).await?.id, &message.id)
}

/// The status codes of a message's attempts, newest first, as soon as there are `count`.
async fn attempts(
    api: &Svix,
    app: &str,
    message: &str,
    count: usize,
) -> Result<Vec<i16>, Box<dyn Error>> {
    let deadline = Instant::now() + Duration::from_secs(15);
    let records = api.message_attempt();
    loop {
        let options = MessageAttemptListByMsgOptions { limit: Some(10), ..Default::default() };
        let data = records.list_by_msg(app.into(), message.into(), Some(options)).await?.data;
        if data.len() >= count {
            return Ok(data.iter().map(|attempt| attempt.response_status_code).collect());
        }
        if Instant::now() > deadline {
            return Err(format!("{} attempts instead of {count}", data.len()).into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn rotation(api: &Svix) -> Outcome {
    let app = application(api).await?;
    let receiver = Receiver::start(vec![])?;
    let endpoint =
        api.endpoint().create(app.clone(), EndpointIn::new(receiver.url()), None).await?;
    let old = api.endpoint().get_secret(app.clone(), endpoint.id.clone()).await?.key;
    let rotate = EndpointSecretRotateIn::default();
    let new = api.endpoint().rotate_secret(app.clone(), endpoint.id, rotate, None).await?.key;
    same(&(new == old), &false)?;
    api.message().create(app, MessageIn::new("a".into(), json!({})), None).await?;
    let delivery = receiver.next()?;
    same(&delivery.header("webhook-signature").split(' ').count(), &2)?;
    for secret in [old, new] {
        verify(&delivery, &secret)?;
        attacked(&delivery, &secret)?;
    }
    Ok(())
}

async fn errors(api: &Svix) -> Outcome {
    let app = application(api).await?;
    match api.endpoint().create(app.clone(), EndpointIn::new("no url".into()), None).await {
        Err(svix::Error::Validation(error)) => {
            let detail = error.payload.ok_or("the 422 has no readable body")?.detail;
            same(&detail.first().map(|item| item.loc.join(".")), &Some("body.url".to_owned()))?;
        }
        other => return Err(format!("not a validation error: {other:?}").into()),
    }
    match api.application().get("nobody".into()).await {
        Err(svix::Error::Http(error)) => {
            same(&error.status.as_u16(), &404)?;
            let code = error.payload.map(|payload| payload.code);
            same(&code.as_deref(), &Some("not_found"))
        }
        other => Err(format!("not an HTTP error: {other:?}").into()),
    }
}

async fn application(api: &Svix) -> Result<String, svix::Error> {
    Ok(api.application().create(ApplicationIn::new("Rust".into()), None).await?.id)
}

/// Both libraries accept the delivery.
fn verify(delivery: &Delivery, secret: &str) -> Outcome {
    svix::Webhook::new(secret)?.verify(&delivery.body, &delivery.headers)?;
    let standard = standardwebhooks::Webhook::new(secret)?;
    standard.verify(&delivery.body, &delivery.headers)?;
    Ok(())
}

/// Neither library accepts anything that was made of the delivery.
fn attacked(delivery: &Delivery, secret: &str) -> Outcome {
    refused(delivery, secret, b"{ }", &[])?;
    let (id, time) = (delivery.header("webhook-id"), delivery.header("webhook-timestamp"));
    let time: i64 = time.parse()?;
    refused(delivery, secret, &delivery.body, &[("id", &format!("{id}x"))])?;
    refused(delivery, secret, &delivery.body, &[("timestamp", &(time + 1).to_string())])?;
    // Signed well, but too long ago: somebody sends it once more.
    for then in [time - 360, time + 360] {
        let signature = svix::Webhook::new(secret)?.sign(id, then, &delivery.body)?;
        let forged = [("timestamp", then.to_string()), ("signature", signature)];
        let forged = forged.each_ref().map(|(name, value)| (*name, value.as_str()));
        refused(delivery, secret, &delivery.body, &forged)?;
    }
    Ok(())
}

fn refused(delivery: &Delivery, secret: &str, body: &[u8], changes: &[(&str, &str)]) -> Outcome {
    let mut headers = delivery.headers.clone();
    for (name, value) in changes {
        for family in ["svix", "webhook"] {
            let name = http::HeaderName::from_bytes(format!("{family}-{name}").as_bytes())?;
            headers.insert(name, value.parse()?);
        }
    }
    let svix = svix::Webhook::new(secret)?.verify(body, &headers);
    let standard = standardwebhooks::Webhook::new(secret)?.verify(body, &headers);
    same(&(svix.is_err(), standard.is_err()), &(true, true))
}

fn same<T: PartialEq + std::fmt::Debug>(got: &T, expected: &T) -> Outcome {
    if got == expected { Ok(()) } else { Err(format!("got {got:?}, expected {expected:?}").into()) }
}
