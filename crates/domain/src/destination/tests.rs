//! Kinds: their files, what they make of an event, and what they make of answers.

use serde_json::{Value, json};

use super::example::EVENT;
use super::*;
use crate::retry::Meaning;
use crate::source::TARGET_HEADER;
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
later = "{{ (answer.headers['x-reset'] | int) - answer.time if answer.status == 404 else answer.json.wait }}"

[example]
settings = {}
"##;

const NOW: Timestamp = Timestamp(1_700_000_000_500);

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
fn no_two_kinds_are_called_the_same() {
    let mut names: Vec<String> =
        files().iter().map(|(_, text)| Kind::parse(text).unwrap().api().to_owned()).collect();
    assert!(names.contains(&"rabbitMq".to_owned()) && names.contains(&"postgres".to_owned()));
    names.sort_unstable();
    let called = names.len();
    names.dedup();
    assert_eq!(names.len(), called);
}

#[test]
fn what_code_is_to_send_is_bounded_too() {
    let (head, tail) = KIND.split_once("[request]").unwrap();
    let kind = Kind::parse(&format!("{head}{}", &tail[tail.find("[limits]").unwrap()..])).unwrap();
    assert!(kind.has_code());
    let check = |to: &str, expect: Result<Value, Unfilled>| {
        assert_eq!(kind.fields(&given(&json!({ "to": to })), &event(b"{}")), expect);
    };
    check("somebody", Ok(json!({ "to": "somebody", "text": "order.paid" })));
    check(&"x".repeat(60), Err(Unfilled::TooLarge { bytes: 89, limit: 60 }));
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
    assert_eq!(missing.to_string(), "`to`: the event has no body.to");
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
        headers: &[
            ("x-shop".to_owned(), "eu".to_owned()),
            (TARGET_HEADER.to_owned(), "/?a=b".to_owned()),
        ],
        ..event(b"name=A+B")
    };
    let given = given(&json!({ "to": "{{ body.name }} {{ headers | tojson }} {{ text }}" }));
    let expect = r#"A B {"x-shop":"eu"} name=A+B"#;
    assert_eq!(kind().fields(&given, &form).unwrap()["to"], expect);
}

#[test]
fn answers_mean_what_the_file_says() {
    let check = |status, body: &str, expect| {
        let answered = Answered { status, body: body.as_bytes(), ..Answered::default() };
        assert_eq!(kind().meaning(&answered, NOW).0, expect, "{status} {body}");
    };
    check(200, r#"{"ok":true}"#, Meaning::Delivered);
    check(200, r#"{"ok":false}"#, Meaning::Permanent);
    check(200, "not json", Meaning::Permanent);
    check(404, "", Meaning::Permanent);
    check(409, "", Meaning::Delivered);
    check(500, "", Meaning::ByStatus);
}

#[test]
fn an_answer_can_ask_for_a_wait_whatever_its_status() {
    let check = |status, headers: &[(&'static str, &'static str)], body: &str, expect| {
        let headers = headers.iter().copied().collect();
        let answered = Answered { status, headers, body: body.as_bytes() };
        let (meaning, wait) = kind().meaning(&answered, NOW);
        assert_eq!((meaning, wait.map(|it| it.as_secs_f64())), expect, "{status} {body}");
    };
    check(404, &[("x-reset", "1700000060")], "", (Meaning::Later, Some(60.0)));
    check(500, &[], r#"{"wait":0.25}"#, (Meaning::Later, Some(0.25)));
    // What is no number of seconds, or lies in the past, says nothing.
    for reset in ["1699999999", "soon", ""] {
        check(404, &[("x-reset", reset)], "", (Meaning::Permanent, None));
    }
    check(404, &[], "", (Meaning::Permanent, None));
    check(429, &[], r#"{"wait":null}"#, (Meaning::ByStatus, None));
    check(409, &[], r#"{"wait":1}"#, (Meaning::Delivered, None));
    check(200, &[], r#"{"ok":true,"wait":1}"#, (Meaning::Delivered, None));
}

#[test]
fn vendors_say_in_their_own_ways_when_to_come_again() {
    let files = files();
    let later = |name: &str, status, headers: &[(&'static str, &'static str)], body: &str| {
        let (_, text) = files.iter().find(|(known, _)| known == name).unwrap();
        let headers = headers.iter().copied().collect();
        let answered = Answered { status, headers, body: body.as_bytes() };
        let (meaning, wait) = Kind::parse(text).unwrap().meaning(&answered, NOW);
        assert_eq!(wait.is_some(), meaning == Meaning::Later, "{name} {status} {body}");
        wait.map(|it| it.as_secs_f64())
    };
    for name in ["github-actions", "github-workflow"] {
        let (none, reset) = (("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1700000030"));
        assert_eq!(later(name, 403, &[("retry-after", "7"), none, reset], ""), Some(7.0));
        assert_eq!(later(name, 429, &[none, reset], ""), Some(30.0));
        assert_eq!(later(name, 403, &[("x-ratelimit-remaining", "9"), reset], ""), None);
        let said = r#"{"message":"You have exceeded a secondary rate limit. Please wait."}"#;
        assert_eq!(later(name, 403, &[], said), Some(60.0));
        assert_eq!(later(name, 403, &[], r#"{"message":"Resource not accessible"}"#), None);
        // The last request that there was: it was refused for another reason.
        assert_eq!(later(name, 422, &[none, reset], ""), None);
    }
    let hubspot = |status, headers: &[_], body| later("hubspot-contact", status, headers, body);
    assert_eq!(hubspot(429, &[], r#"{"policyName":"TEN_SECONDLY_ROLLING"}"#), Some(10.0));
    let said = r#"{"message":"You have reached your secondly limit."}"#;
    assert_eq!(hubspot(429, &[], said), Some(1.0));
    assert_eq!(hubspot(429, &[], r#"{"policyName":"DAILY"}"#), None);
    assert_eq!(hubspot(477, &[("retry-after", "3600")], ""), Some(3600.0));
    assert_eq!(hubspot(502, &[], "<html>"), None);
    let discord = |body| later("discord", 429, &[("retry-after", "1")], body);
    assert_eq!(discord(r#"{"message":"…","retry_after":0.3,"global":false}"#), Some(0.3));
    assert_eq!(discord("<html>"), None, "the header is heard");
    let reset = [("x-sib-ratelimit-reset", "42")];
    assert_eq!(later("brevo-contact", 429, &reset, ""), Some(42.0));
    assert_eq!(later("brevo-contact", 500, &reset, ""), None);
}

#[test]
fn mistakes_in_files_are_found() {
    let check = |from: &str, to: &str, expect: &str| {
        let mistakes = Kind::parse(&KIND.replace(from, to)).unwrap_err();
        let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert!(all.join("\n").contains(expect), "{all:?}");
    };
    check("body = 60", "body = 60\nrate = 0.0", "`limits.rate` has to be more than 0");
    check("schema = 1", "schema = 2", "`schema` has to be 1");
    check("name = \"token\"", "name = \"url\"", "`url` is there twice");
    check("{{ event.type }}", "{{ event.", "line 21");
    check("pattern = 'https://[^/]+'", "pattern = '('", "line 11");
    check("method = \"PUT\"", "methods = \"PUT\"", "methods");
    check("body.json = {", "body.jason = {", "unknown variant `jason`");
    check("required = true", "required = true\ndefault = 'x'", "required and has a default");
}

#[test]
fn every_file_makes_the_request_that_its_interface_documents() {
    for (name, text) in files() {
        let kind = Kind::parse(&text).unwrap();
        let example = &kind.example;
        let given = kind.given(&example.wanted()).unwrap_or_else(|problems| {
            panic!("{name}: {problems:?}");
        });
        let Some(filled) = kind.fill(&given, &EVENT, Timestamp(1_440_938_160_000)) else {
            assert_eq!(example.request, None, "{name}");
            continue;
        };
        let filled = filled.unwrap_or_else(|unfilled| panic!("{name}: {unfilled}"));
        let base = kind.base(&given).unwrap().unwrap();
        assert!(filled.url.starts_with(&base), "{name}: {base}");
        assert_eq!(Some(filled.to_string()), example.request, "{name}");
        let meaning = |status, body| {
            let answered = Answered { status, body, ..Answered::default() };
            kind.meaning(&answered, NOW).0
        };
        assert_ne!(meaning(200, example.answer.as_bytes()), Meaning::Permanent, "{name}");
        for status in kind.permanent() {
            assert_eq!(meaning(*status, b""), Meaning::Permanent, "{name}");
        }
        let mut smaller = kind.clone();
        smaller.limits.body = filled.body.len() - 1;
        let refused = smaller.fill(&given, &EVENT, Timestamp(0)).unwrap();
        assert!(matches!(refused, Err(Unfilled::TooLarge { .. })), "{name}: {refused:?}");
    }
}
