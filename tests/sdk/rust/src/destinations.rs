//! The destination operations of the SDK, for the kinds that it and Ringback both know.

use serde_json::{Value, json};
use svix::api::Svix;
use svix::models::{
    DestinationIn, DestinationOut, DestinationPatch, DestinationStatus, DestinationTransformIn,
    EndpointSecretRotateIn, MessageIn,
};

use crate::receiver::Receiver;
use crate::{Outcome, application, same};

const SECRET: &str = "made-up-secret-of-a-destination";

/// What a destination of each kind is given, without what it is reached at; and a change of it. What
/// holds the secret is never shown again.
fn kinds() -> Vec<(&'static str, Value, Value)> {
    let queue = "https://sqs.eu-central-1.amazonaws.com/1/orders.fifo";
    let broker = format!("amqp://shop:{SECRET}@127.0.0.1:5672/%2F");
    let database = "postgres://shop@127.0.0.1/shop";
    vec![
        (
            "sqs",
            json!({"queueUrl": queue, "accessKeyId": "AKIDEXAMPLE", "secretAccessKey": SECRET}),
            json!({"region": "eu-west-1"}),
        ),
        ("rabbitMq", json!({"uri": broker, "routingKey": "orders"}), json!({"mandatory": false})),
        (
            "postgres",
            json!({"url": database, "password": SECRET, "tableName": "app.orders"}),
            json!({"tableName": "app.payments"}),
        ),
    ]
}

/// The body that makes a destination of this kind.
pub fn wanted(kind: &str) -> Value {
    let config =
        kinds().into_iter().find(|(known, ..)| *known == kind).map(|(_, config, _)| config);
    json!({"type": kind, "config": config})
}

/// Every operation, for every kind.
pub async fn kept(api: &Svix) -> Outcome {
    for (kind, config, change) in kinds() {
        let app = application(api).await?;
        let uid = format!("rust-{kind}");
        let mut body = wanted(kind);
        body["uid"] = json!(uid);
        body["eventTypes"] = json!(["order.paid"]);
        body["metadata"] = json!({"team": "x"});
        let wanted: DestinationIn = serde_json::from_value(body)?;
        let made = api.destination().create(app.clone(), wanted, None).await?;
        same(&made.uid, &Some(uid.clone()))?;
        same(&made.status, &DestinationStatus::Enabled)?;
        let shown = shown(&made)?;
        for (name, value) in config.as_object().into_iter().flatten() {
            if !value.to_string().contains(SECRET) {
                same(&shown.get(name), &Some(value))?;
            }
        }
        same(&api.destination().get(app.clone(), uid.clone()).await?, &made)?;
        same(&api.destination().list(app.clone(), None).await?.data, &vec![made.clone()])?;

        // What was shown, sent back, changes nothing, and the secret stays.
        let put: DestinationIn = serde_json::from_value(serde_json::to_value(&made)?)?;
        let same_again = api.destination().upsert(app.clone(), uid.clone(), put).await?;
        let updated_at = same_again.updated_at;
        same(&same_again, &DestinationOut { updated_at, ..made.clone() })?;
        let patch = json!({"type": kind, "config": change, "status": "disabled", "uid": null});
        let patch: DestinationPatch = serde_json::from_value(patch)?;
        let patched = api.destination().patch(app.clone(), uid, patch).await?;
        same(&(patched.uid.clone(), patched.status), &(None, DestinationStatus::Disabled))?;
        let mut expect = shown;
        expect
            .as_object_mut()
            .ok_or("settings")?
            .extend(change.as_object().cloned().unwrap_or_default());
        same(&self::shown(&patched)?, &expect)?;
        api.destination().delete(app, made.id).await?;
    }
    delivers(api).await
}

/// A message reaches a destination.
async fn delivers(api: &Svix) -> Outcome {
    let app = application(api).await?;
    let receiver = Receiver::start(vec![])?;
    let mut body = wanted("sqs");
    body["config"]["endpointUrl"] = json!(receiver.url());
    api.destination().create(app.clone(), serde_json::from_value(body)?, None).await?;
    api.message().create(app, MessageIn::new("order.paid".into(), json!({"n": 7})), None).await?;
    let delivery = receiver.next()?;
    same(&delivery.header("x-amz-target"), &"AmazonSQS.SendMessage")?;
    let sent: Value = serde_json::from_slice(&delivery.body)?;
    same(&sent["MessageBody"], &json!(r#"{"n":7}"#))
}

/// Wrong configurations, and a kind that is not here, come as typed errors.
pub async fn refused(api: &Svix) -> Outcome {
    let app = application(api).await?;
    let with = |name: &str, value: Value| {
        let mut body = wanted("sqs");
        body["config"][name] = value;
        body
    };
    let snowflake = json!({"accountIdentifier": "a-b", "userId": "ada", "privateKey": SECRET});
    for (body, expect) in [
        (with("queueUrl", json!("orders")), "body.config.queueUrl"),
        (with("secretAccessKey", Value::Null), "body.config.secretAccessKey"),
        (with("roleArn", json!("arn:aws:iam::1:role/made-up")), "body.config.roleArn"),
        (json!({"type": "snowflake", "config": snowflake}), "body.type"),
    ] {
        let wanted: DestinationIn = serde_json::from_value(body)?;
        match api.destination().create(app.clone(), wanted, None).await {
            Err(svix::Error::Validation(error)) => {
                let detail = error.payload.ok_or("the 422 has no readable body")?.detail;
                let places: Vec<String> = detail.iter().map(|item| item.loc.join(".")).collect();
                same(&places, &vec![expect.to_owned()])?;
            }
            other => return Err(format!("{expect}: not a validation error: {other:?}").into()),
        }
    }
    same(&api.destination().list(app, None).await?.data, &vec![])
}

/// Secrets that rotate are not there; a transformation is.
pub async fn for_later(api: &Svix) -> Outcome {
    let app = application(api).await?;
    let wanted = serde_json::from_value(wanted("sqs"))?;
    let id = api.destination().create(app.clone(), wanted, None).await?.id;
    let rotate = EndpointSecretRotateIn::default();
    let destination = api.destination();
    not_implemented(destination.rotate_secret(app.clone(), id.clone(), rotate, None).await)?;
    let transformation = destination.transformation();
    let code = "function handler(webhook) { return webhook }".to_owned();
    let change = DestinationTransformIn { code: Some(code.clone()) };
    transformation.patch(app.clone(), id.clone(), change).await?;
    let there = transformation.get(app, id).await?;
    same(&(there.code, there.enabled), &(Some(code), true))
}

fn not_implemented<T: std::fmt::Debug>(answer: svix::error::Result<T>) -> Outcome {
    match answer {
        Err(svix::Error::Http(error)) => {
            let code = error.payload.map(|payload| payload.code);
            same(&(error.status.as_u16(), code.as_deref()), &(501, Some("not_implemented")))
        }
        other => Err(format!("not an HTTP error: {other:?}").into()),
    }
}

/// The settings that the SDK reads from an answer.
fn shown(destination: &DestinationOut) -> Result<Value, Box<dyn std::error::Error>> {
    let text = serde_json::to_string(destination)?;
    same(&text.contains(SECRET), &false)?;
    let mut read: Value = serde_json::from_str(&text)?;
    Ok(read["config"].take())
}
