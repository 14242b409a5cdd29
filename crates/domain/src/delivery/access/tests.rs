use serde_json::json;

use super::*;

const RULES: Rules = Rules { require_https: true };

/// `openssl req -x509 -newkey ed25519 -days 3650 -subj "/C=DE/O=Example/CN=shop"`, of 2026-11-23.
const CERTIFICATE: &str = include_str!("tests/certificate.pem");

fn read(value: &Value) -> Result<Access, Mistake> {
    Access::read(value, RULES)
}

#[test]
fn what_is_wanted_is_read_back_and_shown_without_secrets() {
    let tls = json!({ "clientCertificate": CERTIFICATE, "clientKey": "made-up-key" });
    let shop =
        json!({ "subject": "C=DE, O=Example, CN=shop", "notAfter": "2036-11-20T08:29:01.000Z" });
    for (wanted, shown) in [
        (json!({ "type": "bearer", "token": "made-up.token" }), json!({ "type": "bearer" })),
        (
            json!({ "type": "basic", "user": "me", "password": "made up: password" }),
            json!({ "type": "basic", "user": "me" }),
        ),
        (
            json!({ "type": "apiKey", "header": "X-Api-Key", "value": "made-up" }),
            json!({ "type": "apiKey", "header": "X-Api-Key" }),
        ),
        (
            json!({ "type": "oauth2", "tokenUrl": "https://login.example.com/token",
                "clientId": "me", "clientSecret": "made-up", "authMethod": "clientSecretPost",
                "scopes": ["a", "b"], "audience": "https://example.com",
                "extraParams": { "resource": "made-up" } }),
            json!({ "type": "oauth2", "tokenUrl": "https://login.example.com/token",
                "clientId": "me", "authMethod": "clientSecretPost", "scopes": ["a", "b"],
                "audience": "https://example.com", "extraParams": ["resource"] }),
        ),
        (json!({ "tls": tls }), json!({ "tls": shop })),
        (
            json!({ "type": "bearer", "token": "made-up", "ca": CERTIFICATE.repeat(2) }),
            json!({ "type": "bearer", "ca": [shop, shop] }),
        ),
    ] {
        let access = read(&wanted).unwrap();
        assert_eq!(serde_json::to_value(&access).unwrap(), wanted);
        let made = serde_json::to_value(access.shown()).unwrap();
        assert_eq!(made, shown);
        assert!(!made.to_string().contains("made-up"), "{made}");
        assert!(!format!("{access:?}").contains("made"), "{access:?}");
        let back: Shown = serde_json::from_value(made).unwrap();
        assert_eq!(back, access.shown());
    }
}

#[test]
fn mistakes_are_found_and_repeat_no_secret() {
    let oauth2 = |change: Value| {
        let mut wanted = json!({ "type": "oauth2", "tokenUrl": "https://login.example.com/token",
            "clientId": "me", "clientSecret": "made-up" });
        for (name, value) in change.as_object().unwrap() {
            wanted[name] = value.clone();
        }
        wanted
    };
    for (wanted, place) in [
        (json!("bearer"), ""),
        (json!({}), ""),
        (json!({ "token": "made-up" }), "type"),
        (json!({ "type": "digest" }), "type"),
        (json!({ "type": 7_777 }), "type"),
        (json!({ "type": "bearer" }), ""),
        (json!({ "type": "bearer", "token": 7_777 }), "token"),
        (json!({ "type": "bearer", "token": "made up" }), "token"),
        (json!({ "type": "bearer", "token": "" }), "token"),
        (json!({ "type": "bearer", "token": "a", "user": "b" }), "user"),
        (json!({ "type": "basic", "user": "a:b", "password": "made-up" }), "user"),
        (json!({ "type": "basic", "user": "a", "password": "made-up\n" }), "password"),
        (json!({ "type": "apiKey", "header": "host", "value": "made-up" }), "header"),
        (json!({ "type": "apiKey", "header": "x-key", "value": "made-up\n" }), "value"),
        (json!({ "type": "apiKey", "header": "x-key", "value": "" }), "value"),
        (oauth2(json!({ "tokenUrl": "http://login.example.com" })), "tokenUrl"),
        (oauth2(json!({ "tokenUrl": "https://me:made-up@login.example.com" })), "tokenUrl"),
        (oauth2(json!({ "clientId": "" })), "clientId"),
        (oauth2(json!({ "clientSecret": "" })), "clientSecret"),
        (oauth2(json!({ "clientSecret": { "made-up": 1 } })), "clientSecret"),
        (oauth2(json!({ "authMethod": "privateKeyJwt" })), "authMethod"),
        (oauth2(json!({ "scopes": ["a", "b c"] })), "scopes/1"),
        (oauth2(json!({ "audience": "" })), "audience"),
        (oauth2(json!({ "extraParams": { "grant_type": "made-up" } })), "extraParams/grant_type"),
        (json!({ "tls": { "clientCertificate": "a" } }), "tls"),
        (json!({ "tls": { "clientCertificate": "a", "clientKey": 7_777 } }), "tls/clientKey"),
        (json!({ "ca": "a".repeat(LONGEST_PEM + 1) }), "ca"),
    ] {
        let mistake = read(&wanted).unwrap_err();
        assert_eq!(mistake.place().collect::<Vec<_>>().join("/"), place, "{mistake}");
        let what = mistake.to_string();
        assert!(!what.contains("made") && !what.contains("7777"), "{what}");
    }
}

#[test]
fn rfc6749_4_4_2_a_client_asks_for_itself() {
    let wanted = json!({ "type": "oauth2", "tokenUrl": "https://login.example.com/token",
        "clientId": "me:too", "clientSecret": "made up", "scopes": ["a", "b"],
        "audience": "https://example.com", "extraParams": { "resource": "c" } });
    let Some(Credentials::Oauth2(mut oauth2)) = read(&wanted).unwrap().credentials else {
        panic!("{wanted}")
    };
    let header = |ask: &Ask| {
        let found = ask.headers.iter().find(|(name, _)| name == "authorization");
        found.map(|(_, value)| value.clone())
    };
    let rest = "grant_type=client_credentials&scope=a%20b";
    let extra = "audience=https%3A%2F%2Fexample.com&resource=c";
    let ask = oauth2.ask();
    assert_eq!(String::from_utf8_lossy(&ask.body), format!("{rest}&{extra}"));
    // The base64 of `me%3Atoo:made%20up`.
    assert_eq!(header(&ask).as_deref(), Some("Basic bWUlM0F0b286bWFkZSUyMHVw"));
    oauth2.auth_method = AuthMethod::ClientSecretPost;
    let ask = oauth2.ask();
    let client = "client_id=me%3Atoo&client_secret=made%20up";
    assert_eq!(String::from_utf8_lossy(&ask.body), format!("{rest}&{client}&{extra}"));
    assert_eq!(header(&ask), None);
}
