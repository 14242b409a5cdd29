//! What may be sent, and how it is shown.

use ringback_domain::id::Id;

use super::*;

const NOW: Timestamp = Timestamp(1_000);
const RETENTION: Duration = Duration::from_secs(90 * 24 * 3600);

fn read(body: &str) -> Result<Posted, Error> {
    Posted::read(&Bytes::copy_from_slice(body.as_bytes()), 64, 7, NOW, RETENTION)
}

#[test]
fn the_payload_is_kept_byte_for_byte() {
    let body =
        r#"{"eventType":"a.b", "payload": {"b":1.0,"a" : 1e2,"a":"\u00e9"} ,"eventId":"e1"}"#;
    let posted = read(body).unwrap();
    assert_eq!(&posted.message.payload[..], br#"{"b":1.0,"a" : 1e2,"a":"\u00e9"}"#);
    assert_eq!(posted.message.event_id.as_deref(), Some("e1"));
    assert_eq!(posted.message.content_type, None);
    assert_eq!(posted.message.expires_at, NOW + RETENTION);
}

#[test]
fn raw_payloads_as_the_sdks_send_them() {
    let posted = read(
        r#"{"eventType":"a.b","payload":{},"transformationsParams":
            {"rawPayload":"<a/>","headers":{"content-type":"text/xml; charset=utf-8"}}}"#,
    )
    .unwrap();
    assert_eq!(&posted.message.payload[..], b"<a/>");
    assert_eq!(posted.message.content_type.as_deref(), Some("text/xml; charset=utf-8"));
    let posted =
        read(r#"{"eventType":"a","payload":{},"transformationsParams":{"rawPayload":"[1]"}}"#);
    assert_eq!(posted.unwrap().message.content_type.as_deref(), Some("application/json"));
}

#[test]
fn retention_is_never_longer_than_the_servers() {
    let expires = |fields: &str| {
        read(&format!(r#"{{"eventType":"a","payload":{{}},{fields}}}"#)).unwrap().message.expires_at
    };
    assert_eq!(expires(r#""payloadRetentionPeriod":90"#), NOW + RETENTION);
    assert_eq!(expires(r#""payloadRetentionPeriod":1"#), NOW + HOUR * 24);
    assert_eq!(expires(r#""payloadRetentionPeriod":90,"payloadRetentionHours":2"#), NOW + HOUR * 2);
    let short = Posted::read(
        &Bytes::from_static(br#"{"eventType":"a","payload":{},"payloadRetentionPeriod":90}"#),
        64,
        7,
        NOW,
        HOUR,
    );
    assert_eq!(short.unwrap().message.expires_at, NOW + HOUR);
}

#[test]
fn wrong_fields_are_named() {
    let deep =
        format!(r#"{{"eventType":"a","payload":{{"a":{}1{}}}}}"#, "[".repeat(63), "]".repeat(63));
    let with = |field: &str| format!(r#"{{"eventType":"a","payload":{{}},{field}}}"#);
    for (body, loc) in [
        (r#"{"payload":{}}"#.to_owned(), "body.eventType"),
        (r#"{"eventType":"a b","payload":{}}"#.to_owned(), "body.eventType"),
        (r#"{"eventType":"a"}"#.to_owned(), "body.payload"),
        (r#"{"eventType":"a","payload":null}"#.to_owned(), "body.payload"),
        (r#"{"eventType":"a","payload":[1]}"#.to_owned(), "body.payload"),
        (r#"{"eventType":"a","payload":"{}"}"#.to_owned(), "body.payload"),
        (r#"{"eventType":1,"payload":{}}"#.to_owned(), "body.eventType"),
        (deep, "body"),
        ("{".to_owned(), "body"),
        (with(r#""eventId":"a b""#), "body.eventId"),
        (with(r#""channels":["a b"]"#), "body.channels.0"),
        (with(r#""channels":"a""#), "body.channels"),
        (with(r#""deliverAt":"2030-01-01T00:00:00Z""#), "body.deliverAt"),
        (with(r#""payloadRetentionPeriod":0"#), "body.payloadRetentionPeriod"),
        (with(r#""application":{}"#), "body.application.name"),
        (with(r#""transformationsParams":{"x":1}"#), "body.transformationsParams.x"),
        (
            with(r#""transformationsParams":{"rawPayload":1}"#),
            "body.transformationsParams.rawPayload",
        ),
        (
            with(r#""transformationsParams":{"rawPayload":"","headers":{"x-a":"b"}}"#),
            "body.transformationsParams.x-a",
        ),
        (
            with(
                r#""transformationsParams":{"rawPayload":"","headers":{"content-type":"a\nb/c"}}"#,
            ),
            "body.transformationsParams.content-type",
        ),
    ] {
        let Err(Error::Invalid(problems)) = read(&body) else { panic!("{body}") };
        assert_eq!(problems[0].loc.join("."), loc, "{body}");
    }
}

#[test]
fn what_sdks_always_send_is_accepted() {
    let body = r#"{"eventType":"a","payload":{},"payloadRetentionPeriod":90,"deliverAt":null,
        "channels":null,"tags":[],"eventId":null,"application":null,"transformationsParams":null}"#;
    assert!(read(body).is_ok());
}

fn message(payload: Option<&str>, content_type: Option<&str>) -> Message {
    Message {
        id: MessageId(Id { key: 1, shard: 0, nonce: 0 }),
        event_id: None,
        event_type: "a.b".to_owned(),
        channels: None,
        tags: Some(vec!["t".to_owned()]),
        content_type: content_type.map(str::to_owned),
        payload: payload.map(|payload| payload.as_bytes().to_vec()),
        headers: None,
        version: None,
        fits_schema: None,
        ordering_key: None,
        origin: Origin::Send,
        created_at: Timestamp(0),
    }
}

#[test]
fn how_messages_are_shown() {
    let check = |message: &Message, with_content, payload: &str, raw: Option<&str>| {
        let text = serde_json::to_string(&MessageOut::stored(message, with_content)).unwrap();
        assert!(text.contains(&format!(r#""payload":{payload},"#)), "{text}");
        let shown: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(shown.get("rawPayload").and_then(Value::as_str), raw, "{text}");
        for key in ["id", "eventType", "timestamp", "eventId", "channels", "tags", "deliverAt"] {
            assert!(shown.get(key).is_some(), "{key} is not in {text}");
        }
    };
    check(&message(Some(r#"{"b":1.0,"a":2}"#), None), true, r#"{"b":1.0,"a":2}"#, None);
    check(&message(Some(r#"{"b":1.0,"a":2}"#), None), false, "{}", None);
    check(&message(None, None), true, r#"{"expired":true}"#, None);
    check(&message(Some("<a/>"), Some("text/xml")), true, "{}", Some("<a/>"));
    check(&message(Some("no longer JSON"), None), true, "{}", None);
}
