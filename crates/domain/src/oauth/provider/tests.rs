use serde_json::json;

use super::*;
use crate::oauth::subscribe::{NoRequest, Refused, Wanted};

/// A small provider with a bit of everything.
const ACME: &str = r#"schema = 1
id = "acme"
name = "Acme"
docs = "https://example.com/oauth"
protocol = "openid"
proof = "contract"

[[setting]]
name = "tenant"
label = "The tenant"
pattern = 'any|[0-9a-f-]{36}'

[[setting]]
name = "baseUrl"
label = "URL of the server"
default = "https://acme.example"
required = false
pattern = 'https?://[a-z0-9.-]+(?::[0-9]+)?'

[issuer]
url = "https://{setting.tenant}.acme.example"

[issuer.token]
when = { tenant = ["any"] }
url = "https://{id_token.tid}.acme.example"

[endpoints]
authorize = "{setting.baseUrl}/{setting.tenant}/authorize"
token = "{setting.baseUrl}/token"
jwks = "{setting.baseUrl}/keys"

[authorize]
scopes = ["openid"]
params = { audience = "api" }

[client]
auth = ["client_secret_basic"]

[refresh]
rotates = "always"

[account]
from = "id-token"
id = "sub"

[[subscription]]
sources = ["acme"]
events = ["made"]
id = "hook.id"
error = "wrong"
exists = { status = 409, text = "taken" }

[[subscription.target]]
name = "project"
label = "owner/name"
pattern = '(?<owner>[a-z]+)/(?<repo>[a-z.]+)'

[subscription.create]
url = "{setting.baseUrl}/hooks/{target.owner}/{target.repo}"
headers = { authorization = "Bearer {token.access}" }
json = { events = "{subscription.events}", url = "{subscription.url}", secret = "{subscription.secret}" }

[subscription.delete]
method = "DELETE"
url = "{setting.baseUrl}/hooks/{subscription.id}"
headers = { authorization = "Bearer {token.access}" }

[[example]]
name = "connect"
settings = { tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47" }
"#;

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

fn acme() -> Provider {
    Provider::parse(ACME).unwrap()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[track_caller]
fn mistake(from: &str, to: &str, line: usize, message: &str) {
    assert!(ACME.contains(from), "{from}");
    let mistakes = Provider::parse(&ACME.replace(from, to)).unwrap_err();
    let is_it = |it: &&Mistake| it.message.contains(message);
    let found = mistakes.iter().find(is_it).unwrap_or_else(|| panic!("{mistakes:?}"));
    assert_eq!(found.line, line, "{found}");
}

#[test]
fn mistakes_name_the_field_and_its_line() {
    let check = mistake;
    check("schema = 1", "schema = 2", 1, "`schema` has to be 1");
    check(r#"id = "acme""#, r#"id = "Acme""#, 2, "`id` has to be lower-case");
    check("contract\"\n", "contract\"\ncolour = 1\n", 7, "unknown field `colour`");
    check("[authorize]", "[authorize]\npkce = \"plain\"", 33, "`pkce` is \"S256\" or");
    check("[authorize]", "[authorize]\npkce = { off = \" \" }", 33, "`pkce` is \"S256\" or");
    check(
        "{setting.baseUrl}/keys",
        "{setting.base}/keys",
        27,
        "names `base`, which no [[setting]]",
    );
    check("{setting.baseUrl}/keys", "{token.access}", 27, "`endpoints.jwks` may not use");
    check("audience = \"api\"", "scope = \"api\"", 32, "has `scope`, which is always made");
    check("scopes = [\"openid\"]", "scopes = []", 32, "needs the scope `openid`");
    check("rotates = \"always\"", "", 39, "takes one of `rotates` and `none`");
    check("\"client_secret_basic\"", "", 36, "`client` needs a way in `auth`");
    check("sources = [\"acme\"]", "sources = []", 46, "needs the `sources`");
    check("\"made\"", "\"m de\"", 46, "has an event that is none");
    check(", secret = \"{subscription.secret}\"", "", 46, "sends the secret if it is ours");
    check("{target.owner}", "{target.org}", 46, "may not use `target.org`");
    check("id = \"hook.id\"", "", 46, "needs `id` with `create`");
    check("{id_token.tid}", "{token.access}", 20, "`issuer.token` may not use");
    check("from = \"id-token\"", "from = \"callback\"", 42, "does not `keep` it");
    check("jwks = \"{setting.baseUrl}/keys\"", "", 27, "needs `jwks` for ID tokens");
}

/// A setting that stands in a URL has a form that cannot name another host, and a file whose form
/// could is refused.
#[test]
fn no_setting_names_another_host() {
    mistake("pattern = 'any|[0-9a-f-]{36}'", "", 8, "it needs a `pattern`");
    for wide in ["any|.*", "any|[^/]+", "any|[a-z0-9.-]+", "any|[0-9a-f-]{36}.*", "any|\\S*"] {
        let to = format!("pattern = '{wide}'");
        mistake("pattern = 'any|[0-9a-f-]{36}'", &to, 8, "its `pattern` lets");
    }
    let to = "pattern = 'https?://.*'";
    mistake("pattern = 'https?://[a-z0-9.-]+(?::[0-9]+)?'", to, 8, "its `pattern` lets");
    let provider = acme();
    for evil in ["", "evil.example", "any/..", "any@evil.example", "any#", "any?x", "any ", "Any"] {
        let problems = provider.resolve(&map(&[("tenant", evil)]), None).unwrap_err();
        assert_eq!(problems[0].place, "tenant", "{evil:?}");
        assert!(evil.is_empty() || !problems[0].to_string().contains(evil), "{evil:?} is repeated");
    }
    let unknown = provider.resolve(&map(&[("tenant", "any"), ("tenannt", "x")]), None).unwrap_err();
    assert_eq!(unknown[0].place, "tenannt");
    assert_eq!(provider.resolve(&map(&[]), None).unwrap_err()[0].place, "tenant");
}

#[test]
fn only_https_is_dialed_or_loopback() {
    let resolved = |url: &str| {
        let settings = map(&[("tenant", "any"), ("baseUrl", url)]);
        acme().resolve(&settings, None).map(|endpoints| endpoints.token)
    };
    for good in
        ["https://a.example", "https://a.example:8443", "http://127.0.0.1:9", "http://localhost:9"]
    {
        assert_eq!(resolved(good).unwrap(), format!("{good}/token"));
    }
    for bad in
        ["http://a.example", "http://10.0.0.1", "http://127.0.0.1.evil.example", "http://0.0.0.0"]
    {
        assert!(resolved(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_id_token_names_its_tenant_only_where_all_may_come() {
    let issuer = |tenant: &str, tid: serde_json::Value| {
        let endpoints = acme().resolve(&map(&[("tenant", tenant)]), None).unwrap();
        let claims = json!({ "tid": tid });
        endpoints.issuer_of(claims.as_object().unwrap())
    };
    let of = |tenant: &str| Some(format!("https://{tenant}.acme.example"));
    let other = "00000000-0000-4000-8000-000000000000";
    assert_eq!(issuer(TENANT, json!(other)), of(TENANT));
    assert_eq!(issuer("any", json!(other)), of(other));
    for evil in
        [json!("evil.example/"), json!(""), json!(null), json!(1), json!(format!("{other}0"))]
    {
        assert_eq!(issuer("any", evil.clone()), None, "{evil}");
    }
    // Nothing is expected of `iss` in a response then.
    assert_eq!(acme().resolve(&map(&[("tenant", "any")]), None).unwrap().issuer, None);
}

fn given() -> Given {
    Given::new(&acme().settings(&map(&[("tenant", "any")])).unwrap()).tokens("made-up-token", None)
}

fn wanted<'a>(target: &'a BTreeMap<String, String>, events: &'a [String]) -> Wanted<'a> {
    Wanted { target, events, url: "https://ringback.example.com/in/x", secret: Some("made-up") }
}

#[test]
fn a_target_is_of_its_form_and_stays_in_its_place() {
    let provider = acme();
    let one = provider.subscription(&map(&[("project", "")])).unwrap();
    let create = |project: &str, events: &[&str]| {
        let events: Vec<String> = events.iter().map(|event| (*event).to_owned()).collect();
        one.create(&given(), &wanted(&map(&[("project", project)]), &events))
    };
    let made = create("acme/shop.x", &[]).unwrap();
    assert_eq!(made[0].ask.url, "https://acme.example/hooks/acme/shop.x");
    assert_eq!(made[0].events, ["made"]);
    let body: Value = serde_json::from_slice(&made[0].ask.body).unwrap();
    assert_eq!(body["events"], json!(["made"]));
    for evil in ["acme", "acme/shop/..", "acme/shop?x", "acme/", "", "acme/shop\n"] {
        assert!(matches!(create(evil, &[]), Err(NoRequest::Form(_, _))), "{evil:?}");
    }
    // What the form lets pass and a path would not.
    assert!(matches!(create("acme/..", &[]), Err(NoRequest::Unmade(_))));
    for evil in ["", "a b", "a\"b", "a,b", "a&b"] {
        assert_eq!(create("acme/shop", &[evil]), Err(NoRequest::Event), "{evil:?}");
    }
    for target in [map(&[]), map(&[("repo", "x")]), map(&[("project", "a/b"), ("x", "y")])] {
        assert!(matches!(provider.subscription(&target), Err(NoRequest::Target(_))), "{target:?}");
    }
    let delete = one.delete(&given(), &map(&[("project", "acme/shop")]), "a/../b?").unwrap();
    assert_eq!(delete.url, "https://acme.example/hooks/a%2F..%2Fb%3F");
}

#[test]
fn answers_to_subscriptions() {
    let provider = acme();
    let one = provider.subscription(&map(&[("project", "")])).unwrap();
    for (status, body, expected) in [
        (201, r#"{"hook":{"id":17}}"#, Ok("17")),
        (200, r#"{"hook":{"id":"h"},"wrong":"but"}"#, Err(Refused::Invalid(200))),
        (200, r#"{"hook":{"id":{}}}"#, Err(Refused::Unreadable("id"))),
        (200, "<html>", Err(Refused::Unreadable("json"))),
        (409, "the url is taken", Err(Refused::Exists)),
        (409, "no", Err(Refused::Invalid(409))),
        (401, "", Err(Refused::Unauthorized)),
        (403, "", Err(Refused::Forbidden)),
        (404, "", Err(Refused::Forbidden)),
        (422, "", Err(Refused::Invalid(422))),
        (429, "", Err(Refused::Unavailable(429))),
        (503, "", Err(Refused::Unavailable(503))),
        (302, "", Err(Refused::Invalid(302))),
    ] {
        let found = one.created(status, body.as_bytes()).map(|registered| registered.id);
        assert_eq!(found, expected.map(str::to_owned), "{status} {body}");
    }
    for gone in [200, 204, 404, 410] {
        assert_eq!(one.deleted(gone), Ok(()), "{gone}");
    }
    assert_eq!(one.deleted(403), Err(Refused::Forbidden));
    assert_eq!(one.deleted(500), Err(Refused::Unavailable(500)));
}

#[test]
fn nothing_secret_is_shown() {
    let given = given().client("id", Some("made-up-secret"));
    let shown = format!("{given:?}");
    assert!(shown.contains("client.secret") && !shown.contains("made-up"), "{shown}");
    let target = map(&[("project", "acme/shop")]);
    let made = acme().subscription(&target).unwrap().create(&given, &wanted(&target, &[])).unwrap();
    let shown = format!("{made:?}");
    assert!(shown.contains("hooks/acme/shop") && !shown.contains("made-up"), "{shown}");
}
