//! Kinds: their files, what they make of an event, and what they make of answers.

use serde_json::{Value, json};

use super::*;
use crate::retry::Meaning;
use crate::time::Timestamp;

const KIND: &str = r##"
schema = 1
id = "chat"
name = "Chat"
docs = "https://example.com/docs"
proof = "contract"

[[setting]]
name = "url"
label = "Where"
pattern = 'https://[^/]+'

[[setting]]
name = "token"
label = "Token"
secret = true

[[field]]
name = "text"
label = "Text"
default = "{{ event.type }}"

[[field]]
name = "to"
label = "Whom"
required = true

[request]
method = "PUT"
base = "{{ settings.url }}"
path = "/to/{{ fields.to | urlencode }}"
headers = { authorization = "Bearer {{ settings.token }}" }
body.json = { text = "{{ fields.text }}", id = "{{ event.id }}", note = "{{ fields.note }}" }

[limits]
body = 60

[answer]
permanent = [404]
done = [409]
delivered = "{{ answer.json.ok }}"
"##;

fn kind() -> Kind {
    Kind::parse(KIND).unwrap()
}

fn given(fields: &Value) -> Given {
    let setting = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Given {
        settings: [("url", "https://example.com"), ("token", "made-up")].map(setting).into(),
        fields: Mapping::parse(fields).unwrap(),
        on_missing: OnMissing::default(),
    }
}

fn event(body: &[u8]) -> Event<'_> {
    let (id, kind) = ("msg_1", "order.paid");
    Event { id, kind, at: 1_700_000_000_000, content_type: None, body, headers: &[] }
}

fn fill(fields: &Value, body: &[u8]) -> Result<Filled, Unfilled> {
    kind().fill(&given(fields), &event(body), Timestamp(0)).unwrap()
}

/// Every file in `destinations/`, by its name.
fn files() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../destinations");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let kinds = paths.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    kinds
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn every_file_can_be_read_and_is_named_after_its_kind() {
    let files = files();
    assert!(files.len() >= 12, "{}", files.len());
    for (name, text) in files {
        match Kind::parse(&text) {
            Ok(kind) => assert_eq!(kind.id, name),
            Err(mistakes) => panic!("{name}: {mistakes:?}"),
        }
    }
}

#[test]
fn what_is_given_is_held_against_the_kind() {
    let check = |settings: &[(&str, &str)], fields: Value, expect: &[&str]| {
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let on_missing = OnMissing::default();
        let wanted = Wanted { settings: settings.collect(), fields, on_missing };
        let problems = kind().given(&wanted).err().unwrap_or_default();
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, expect);
    };
    let good = [("url", "https://example.com"), ("token", "x")];
    check(&good, json!({ "to": "x" }), &[]);
    check(&good[..1], json!({ "to": "x" }), &["`token`: is missing: Token"]);
    check(&good, json!({}), &["`fields.to`: is missing: Whom"]);
    check(
        &good,
        json!({ "to": "{{ x" }),
        &["`fields.to`: unexpected end of input, expected end of variable block"],
    );
    check(&good, json!({ "to": "x", "cc": "y" }), &["`fields.cc`: Chat knows no such field"]);
    check(&good, json!("x"), &["`fields`: has to be an object", "`fields.to`: is missing: Whom"]);
    let bad = [("url", "https://a/b"), ("token", ""), ("x", "y")];
    let expect = [
        "`url`: does not look like one: Where",
        "`token`: has to be 1 to 16384 bytes long",
        "`x`: Chat knows no such setting",
    ];
    check(&bad, json!({ "to": "x" }), &expect);
}

#[test]
fn an_event_becomes_a_request() {
    let filled = fill(&json!({ "to": "{{ body.to }}" }), br#"{"to":"a/b"}"#).unwrap();
    assert_eq!((&*filled.method, &*filled.url), ("PUT", "https://example.com/to/a%2Fb"));
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expect =
        [header("content-type", "application/json"), header("authorization", "Bearer made-up")];
    assert_eq!(filled.headers, expect);
    assert_eq!(filled.body, br#"{"id":"msg_1","text":"order.paid"}"#);
}

#[test]
fn nothing_is_sent_of_an_event_that_lacks_something() {
    let missing = fill(&json!({ "to": "{{ body.to }}" }), b"{}").unwrap_err();
    assert_eq!(missing.to_string(), "`to`: a value is missing: {{ body.to }}");
    assert!(matches!(missing, Unfilled::Missing(_)));
    let wrong = fill(&json!({ "to": "{{ body.to | fixed(2) }}" }), br#"{"to":"x"}"#).unwrap_err();
    assert!(matches!(wrong, Unfilled::Template(_)), "{wrong}");
    let long = fill(
        &json!({ "to": "a", "text": "{{ body.to }}" }),
        br#"{"to":"0123456789012345678901234567890123456789"}"#,
    );
    assert_eq!(long, Err(Unfilled::TooLarge { bytes: 64, limit: 60 }));
}

#[test]
fn forms_and_headers_are_seen() {
    let form = Event {
        content_type: Some("application/x-www-form-urlencoded; charset=utf-8"),
        headers: &[("x-shop".to_owned(), "eu".to_owned())],
        ..event(b"name=A+B")
    };
    let given = given(&json!({ "to": "{{ body.name }} {{ headers['x-shop'] }} {{ text }}" }));
    assert_eq!(kind().fields(&given, &form).unwrap()["to"], "A B eu name=A+B");
}

#[test]
fn answers_mean_what_the_file_says() {
    let check = |status, body: &str, expect| {
        assert_eq!(kind().meaning(status, body.as_bytes()), expect, "{status} {body}");
    };
    check(200, r#"{"ok":true}"#, Meaning::Delivered);
    check(200, r#"{"ok":false}"#, Meaning::Permanent);
    check(200, "not json", Meaning::Permanent);
    check(404, "", Meaning::Permanent);
    check(409, "", Meaning::Delivered);
    check(500, "", Meaning::ByStatus);
}

#[test]
fn mistakes_in_files_are_found() {
    let check = |from: &str, to: &str, expect: &str| {
        let mistakes = Kind::parse(&KIND.replace(from, to)).unwrap_err();
        let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert!(all.join("\n").contains(expect), "{all:?}");
    };
    check("schema = 1", "schema = 2", "`schema` has to be 1");
    check("name = \"token\"", "name = \"url\"", "`url` is there twice");
    check("{{ event.type }}", "{{ event.", "line 21");
    check("pattern = 'https://[^/]+'", "pattern = '('", "line 11");
    check("method = \"PUT\"", "methods = \"PUT\"", "methods");
    check("body.json = {", "body.jason = {", "unknown variant `jason`");
    check("required = true", "required = true\ndefault = 'x'", "required and has a default");
}

/// What each kind makes of one event: beside each file, as its interface documents it.
#[test]
fn every_file_makes_the_request_that_its_interface_documents() {
    let event = Event {
        id: "msg_1",
        kind: "order.paid",
        at: 1_700_000_000_000,
        content_type: Some("application/json"),
        body: br#"{"email":"Ada@Example.com","name":"Ada","amount":1250}"#,
        headers: &[],
    };
    let mut without = Vec::new();
    for (name, text) in files() {
        let kind = Kind::parse(&text).unwrap();
        let case = CASES.iter().find(|case| case.kind == name);
        let Some(case) = case else {
            without.push(name);
            continue;
        };
        let object = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
        let wanted = Wanted {
            settings: serde_json::from_value(object(case.settings)).unwrap(),
            fields: object(case.fields),
            on_missing: OnMissing::default(),
        };
        let given = kind.given(&wanted).unwrap_or_else(|problems| {
            panic!("{name}: {problems:?}");
        });
        let filled = kind.fill(&given, &event, Timestamp(1_440_938_160_000)).unwrap();
        let filled = filled.unwrap_or_else(|unfilled| panic!("{name}: {unfilled}"));
        let base = kind.base(&given).unwrap().unwrap();
        assert!(filled.url.starts_with(&base), "{name}: {base}");
        let mut head = format!("{} {}\n", filled.method, filled.url);
        filled.headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\n"));
        let body = String::from_utf8(filled.body).unwrap();
        assert_eq!(format!("{head}\n{body}"), case.expect.trim_start(), "{name}");
    }
    assert!(without.is_empty(), "no case for {without:?}");
}

/// A destination, and what it is sent.
struct Case {
    kind: &'static str,
    settings: &'static str,
    fields: &'static str,
    expect: &'static str,
}

const CASES: [Case; 13] = [
    Case {
        kind: "slack",
        settings: r#"{"url":"https://hooks.slack.com/services/T0/B0/made-up"}"#,
        fields: r#"{"text":"{{ body.name | escape }} paid {{ (body.amount / 100) | fixed(2) }}"}"#,
        expect: r#"
POST https://hooks.slack.com/services/T0/B0/made-up
content-type: application/json

{"text":"Ada paid 12.50"}"#,
    },
    Case {
        kind: "discord",
        settings: r#"{"url":"https://discord.com/api/webhooks/1/made-up"}"#,
        fields: r#"{"content":"@everyone {{ body.name }}"}"#,
        expect: r#"
POST https://discord.com/api/webhooks/1/made-up?wait=true
content-type: application/json

{"allowed_mentions":{"parse":[]},"content":"@everyone Ada"}"#,
    },
    Case {
        kind: "microsoft-teams",
        settings: r#"{"url":"https://example.westeurope.logic.azure.com/workflows/made-up"}"#,
        fields: r#"{"text":"{{ body.name }} paid"}"#,
        expect: r#"
POST https://example.westeurope.logic.azure.com/workflows/made-up
content-type: application/json

{"attachments":[{"content":{"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","body":[{"text":"Ada paid","type":"TextBlock","wrap":true}],"type":"AdaptiveCard","version":"1.4"},"contentType":"application/vnd.microsoft.card.adaptive"}],"type":"message"}"#,
    },
    Case {
        kind: "jenkins",
        settings: r#"{"url":"https://jenkins.example.com","token":"made-up"}"#,
        fields: "{}",
        expect: r#"
POST https://jenkins.example.com/generic-webhook-trigger/invoke
content-type: application/json
token: made-up

{"email":"Ada@Example.com","name":"Ada","amount":1250}"#,
    },
    Case {
        kind: "jenkins-job",
        settings: r#"{"url":"https://jenkins.example.com/job/deploy","user":"ada","apiToken":"made-up","token":"job token"}"#,
        fields: r#"{"parameters":{"NAME":"{{ body.name }}","AMOUNT":"{{ body.amount }}"}}"#,
        expect: r#"
POST https://jenkins.example.com/job/deploy/buildWithParameters
content-type: application/x-www-form-urlencoded
authorization: Basic YWRhOm1hZGUtdXA=

AMOUNT=1250&NAME=Ada&cause=order.paid+%28msg_1%29&token=job+token"#,
    },
    Case {
        kind: "github-actions",
        settings: r#"{"repository":"example/shop","token":"made-up"}"#,
        fields: r#"{"client_payload":{"amount":"{{ body.amount }}"}}"#,
        expect: r#"
POST https://api.github.com/repos/example/shop/dispatches
content-type: application/json
accept: application/vnd.github+json
authorization: Bearer made-up
x-github-api-version: 2022-11-28

{"client_payload":{"amount":1250},"event_type":"order.paid"}"#,
    },
    Case {
        kind: "github-workflow",
        settings: r#"{"repository":"example/shop","workflow":"deploy.yml","token":"made-up"}"#,
        fields: r#"{"inputs":{"name":"{{ body.name }}"}}"#,
        expect: r#"
POST https://api.github.com/repos/example/shop/actions/workflows/deploy.yml/dispatches
content-type: application/json
accept: application/vnd.github+json
authorization: Bearer made-up
x-github-api-version: 2022-11-28

{"inputs":{"name":"Ada"},"ref":"main"}"#,
    },
    Case {
        kind: "gitlab-pipeline",
        settings: r#"{"project":"42","token":"made-up"}"#,
        fields: r#"{"variables":{"NAME":"{{ body.name }}"}}"#,
        expect: r#"
POST https://gitlab.com/api/v4/projects/42/trigger/pipeline
content-type: application/x-www-form-urlencoded

ref=main&token=made-up&variables%5BNAME%5D=Ada"#,
    },
    Case {
        kind: "hubspot-contact",
        settings: r#"{"token":"made-up"}"#,
        fields: r#"{"email":"{{ body.email }}","properties":{"firstname":"{{ body.name }}"}}"#,
        expect: r#"
POST https://api.hubapi.com/crm/v3/objects/contacts/batch/upsert
content-type: application/json
authorization: Bearer made-up

{"inputs":[{"id":"Ada@Example.com","idProperty":"email","properties":{"firstname":"Ada"}}]}"#,
    },
    Case {
        kind: "mailchimp-member",
        settings: r#"{"apiKey":"made-up-us21","dataCenter":"us21","audience":"a1"}"#,
        fields: r#"{"email":"{{ body.email }}","merge_fields":{"FNAME":"{{ body.name }}"}}"#,
        expect: r#"
PUT https://us21.api.mailchimp.com/3.0/lists/a1/members/3e3417d7ef77d5932a6734b916515ed5
content-type: application/json
authorization: Basic YW55Om1hZGUtdXAtdXMyMQ==

{"email_address":"Ada@Example.com","merge_fields":{"FNAME":"Ada"},"status_if_new":"pending"}"#,
    },
    Case {
        kind: "brevo-contact",
        settings: r#"{"apiKey":"made-up"}"#,
        fields: r#"{"email":"{{ body.email }}","listIds":[3]}"#,
        expect: r#"
POST https://api.brevo.com/v3/contacts
content-type: application/json
accept: application/json
api-key: made-up

{"email":"Ada@Example.com","listIds":[3],"updateEnabled":true}"#,
    },
    Case {
        kind: "sqs",
        settings: r#"{"queueUrl":"https://sqs.eu-central-1.amazonaws.com/1/orders.fifo","region":"eu-central-1","accessKeyId":"AKIDEXAMPLE","secretAccessKey":"made-up"}"#,
        fields: r#"{"body":{"amount":"{{ body.amount }}"}}"#,
        // The signature is botocore's.
        expect: r#"
POST https://sqs.eu-central-1.amazonaws.com/1/orders.fifo
content-type: application/x-amz-json-1.0
x-amz-target: AmazonSQS.SendMessage
x-amz-date: 20150830T123600Z
authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-central-1/sqs/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=91e840cd0aa03bfe0ed7f7b352226b200a06c22de3fbabe3f38983cda0be019b

{"MessageAttributes":{"event-id":{"DataType":"String","StringValue":"msg_1"},"event-type":{"DataType":"String","StringValue":"order.paid"}},"MessageBody":"{\"amount\":1250}","MessageDeduplicationId":"msg_1","MessageGroupId":"order.paid","QueueUrl":"https://sqs.eu-central-1.amazonaws.com/1/orders.fifo"}"#,
    },
    Case {
        kind: "kafka",
        settings: r#"{"url":"https://rest.example.com","topic":"orders"}"#,
        fields: r#"{"value":{"amount":"{{ body.amount }}"}}"#,
        expect: r#"
POST https://rest.example.com/topics/orders
accept: application/vnd.kafka.v2+json
content-type: application/vnd.kafka.json.v2+json

{"records":[{"key":"msg_1","value":{"amount":1250}}]}"#,
    },
];
