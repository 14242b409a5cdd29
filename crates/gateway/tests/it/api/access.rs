//! Who may do what: every operation, with a token of every role.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use http::Method;
use ringback_domain::{
    access::{Capabilities, Capability, Grant, Role},
    id::ApplicationId,
};
use serde_json::json;

use super::{Answer, Bench, document::filled, document::operations};

/// Operations, and the roles that may call them besides `admin`: s(end), r(ead), a(pplication) and
/// p(ortal) with every capability. `-` is only for admins, `!` not even for them.
const MAY: &str = "
GET /app                                             r
POST /app                                            -
GET /app/{}                                          r a p
PUT PATCH DELETE /app/{}                             -
GET PUT DELETE /app/{}/quota                         GET:r a p
POST /app/{}/autoconfig                              a
DELETE /app/{}/autoconfig/{}                         a
POST /app/{}/autoconfig/{}/rotate                    a
GET POST /app/{}/destination                         GET:r a p  POST:a p
GET PUT PATCH DELETE /app/{}/destination/{}          GET:r a p  PUT:a p  PATCH:a p  DELETE:a p
POST /app/{}/destination/dry-run                     a p
POST /app/{}/destination/{}/dry-run                  a p
POST /app/{}/destination/{}/secret/rotate            a p
GET PATCH /app/{}/destination/{}/transformation      GET:r a p  PATCH:a p
POST /app/{}/destination/{}/transformation/dry-run   a p
GET POST /app/{}/endpoint                            GET:r a p  POST:a p
GET PUT PATCH DELETE /app/{}/endpoint/{}             GET:r a p  PUT:a p  PATCH:a p  DELETE:a p
GET PUT PATCH /app/{}/endpoint/{}/headers            GET:r a p  PUT:a p  PATCH:a p
PUT DELETE /app/{}/endpoint/{}/mtls                  a p
PUT DELETE /app/{}/endpoint/{}/oauth                 a p
POST /app/{}/endpoint/{}/order/skip                  a p
POST /app/{}/endpoint/{}/pause                       a p
POST /app/{}/endpoint/{}/resume                      a p
GET /app/{}/endpoint/{}/secret                       a p
POST /app/{}/endpoint/{}/secret/rotate               a p
GET /app/{}/endpoint/{}/stats                        r a p
GET /app/{}/endpoint/{}/attempt-stats                r a p
GET /app/{}/endpoint/{}/msg                          r a p
POST /app/{}/endpoint/{}/recover                     a p
POST /app/{}/endpoint/{}/replay-missing              a p
POST /app/{}/endpoint/{}/bulk-replay                 a p
POST /app/{}/endpoint/{}/send-example                a p
GET PATCH /app/{}/endpoint/{}/transformation         GET:r a p  PATCH:a p
POST /app/{}/endpoint/{}/transformation/dry-run      a p
GET POST /app/{}/integration                         GET:r a p  POST:a
GET PUT DELETE /app/{}/integration/{}                GET:r a p  PUT:a  DELETE:a
POST /app/{}/integration/{}/key/rotate               a
GET POST /app/{}/msg                                 GET:r a p  POST:s a
GET /app/{}/msg/{}                                   r a p
GET /app/{}/msg/{}/explain                           r a p
GET /app/{}/msg/{}/endpoint                          r a p
GET /app/{}/msg/{}/attempt                           r a p
GET /app/{}/msg/{}/endpoint/{}/attempt               r a p
GET /app/{}/msg/{}/attempt/{}                        r a p
DELETE /app/{}/msg/{}/attempt/{}/content             a
GET DELETE /app/{}/msg/{}/content                    GET:r a p  DELETE:a
POST /app/{}/msg/{}/endpoint/{}/resend               a p
POST /app/{}/msg/bulk-expunge                        a
POST /app/{}/msg/expunge-all-contents                a
POST /app/{}/msg/precheck/active                     r a p
GET /app/{}/attempt/msg/{}                           r a p
GET /app/{}/attempt/endpoint/{}                      r a p
GET /app/{}/poller/{}                                r a p
GET /app/{}/poller/{}/consumer/{}                    a p
POST /app/{}/poller/{}/consumer/{}/seek              a p
POST /app/{}/poller/{}/consumer/{}/commit            a p
GET /app/{}/poller/{}/consumer/{}/stream             a p
POST /auth/app-portal-access/{}                      a
POST /auth/dashboard-access/{}                       a
POST /auth/app/{}/expire-all                         a
POST /auth/logout                                    ! p
POST /auth/stream-logout                             -
POST /auth/stream-portal-access/{}                   -
POST /auth/stream/{}/expire-all                      -
GET /auth/stream/{}/sink/{}/poller/token             -
POST /auth/stream/{}/sink/{}/poller/token/rotate     -
GET /audit                                           -
GET /background-task                                 r
GET /background-task/{}                              r
POST /call                                           -
GET POST /authorization                              GET:r
POST /authorization/device                           -
GET /authorization/{}                                r
POST /authorization/{}/confirm                       -
POST /authorization/{}/cancel                        -
POST /authorization/{}/poll                          -
GET POST /callback                                   GET:r
POST /callback/cancel                                -
GET /callback/{}                                     r
GET /callback/{}/result                              r
GET /callback/{}/events                              r
GET /callback/{}/request                             r
GET /callback/{}/request/{}                          r
POST /callback/{}/rotate                             -
POST /callback/{}/complete                           -
POST /callback/{}/fail                               -
POST /callback/{}/close                              -
POST /callback/{}/cancel                             -
POST /callback/{}/extend                             -
GET POST /connection                                 GET:r
GET DELETE /connection/{}                            GET:r
GET /connection/{}/token                             -
POST /connection/{}/refresh                          -
POST /connection/{}/revoke                           -
POST /connection/{}/reauthorize                      -
GET POST /connection/{}/subscription                 GET:r
DELETE /connection/{}/subscription/{}                -
GET /listener                                        r
GET PUT DELETE /listener/{}                          GET:r
POST /listener/{}/seek                               -
POST /listener/{}/disconnect                         -
POST /listener/{}/take                               -
GET /listener/{}/connect                             -
GET /tail                                            r
GET POST /oauth-client                               GET:r
GET PUT DELETE /oauth-client/{}                      GET:r
GET POST /connector                                  GET:r
GET PUT PATCH DELETE /connector/{}                   GET:r
GET POST /environment                                -
POST /environment/export                             -
POST /environment/import                             -
GET POST /event-type                                 GET:r a p
GET PUT PATCH DELETE /event-type/{}                  GET:r a p
GET POST /event-type/{}/version                      GET:r a p
GET PATCH /event-type/{}/version/{}                  GET:r a p
POST /event-type/{}/version/{}/publish               -
POST /event-type/{}/version/{}/retire                -
GET POST /event-type/{}/conversion                   GET:r a p
POST /event-type/{}/conversion/dry-run               -
POST /event-type/import/openapi                      -
GET POST /operational-webhook/endpoint               GET:r
GET PUT DELETE /operational-webhook/endpoint/{}      GET:r
GET PUT /operational-webhook/endpoint/{}/headers     GET:r
GET /operational-webhook/endpoint/{}/secret          -
POST /operational-webhook/endpoint/{}/secret/rotate  -
POST /stats/usage/app                                -
PUT /stats/usage/event-types                         -
GET POST /stream                                     GET:r
GET PUT PATCH DELETE /stream/{}                      GET:r
GET POST /stream/event-type                          GET:r
GET PUT PATCH DELETE /stream/event-type/{}           GET:r
POST /stream/{}/events                               -
GET POST /stream/{}/sink                             GET:r
GET PUT PATCH DELETE /stream/{}/sink/{}              GET:r
GET /stream/{}/sink/{}/events                        r
GET PATCH /stream/{}/sink/{}/headers                 GET:r
GET /stream/{}/sink/{}/secret                        -
POST /stream/{}/sink/{}/secret/rotate                -
GET PATCH /stream/{}/sink/{}/transformation          GET:r
GET POST /ingest/api/v1/source                       GET:r
GET PUT DELETE /ingest/api/v1/source/{}              GET:r
GET PUT DELETE /ingest/api/v1/source/{}/event-stream/token -
POST /ingest/api/v1/source/{}/arm                    -
POST /ingest/api/v1/source/{}/dashboard              -
POST /ingest/api/v1/source/{}/sample                 -
POST /ingest/api/v1/source/{}/token/rotate           -
GET /ingest/api/v1/source/{}/request                 r
GET /ingest/api/v1/source/{}/request/{}              r
POST /ingest/api/v1/source/{}/request/{}/release     -
POST /ingest/api/v1/source/{}/request/{}/replay      -
GET POST /ingest/api/v1/source/{}/destination        GET:r
GET PUT PATCH DELETE /ingest/api/v1/source/{}/destination/{}  GET:r
POST /ingest/api/v1/source/{}/destination/{}/dry-run  -
GET POST /ingest/api/v1/source/{}/endpoint           GET:r
GET PUT DELETE /ingest/api/v1/source/{}/endpoint/{}  GET:r
GET PUT /ingest/api/v1/source/{}/endpoint/{}/headers  GET:r
GET /ingest/api/v1/source/{}/endpoint/{}/secret      -
POST /ingest/api/v1/source/{}/endpoint/{}/secret/rotate  -
GET PATCH /ingest/api/v1/source/{}/endpoint/{}/transformation  GET:r
POST /ingest/api/v1/source/{}/endpoint/{}/transformation/dry-run  -
";

type Operation = (Method, String);

/// The roles that may call each operation.
fn table() -> HashMap<Operation, HashSet<Role>> {
    let mut table = HashMap::new();
    for line in MAY.lines().filter(|line| !line.is_empty()) {
        let (methods, rest) = line.split_once('/').unwrap();
        let (path, roles) = rest.split_once(' ').unwrap();
        let root = if path.starts_with("ingest/") { "/" } else { "/api/v1/" };
        for method in methods.split_whitespace() {
            let taken = table.insert(
                (method.parse().unwrap(), format!("{root}{path}")),
                roles_of(method, roles.trim()),
            );
            assert!(taken.is_none(), "{method} {path} is there twice");
        }
    }
    table
}

/// The roles of `r a`, or those after `GET:` where methods differ.
fn roles_of(method: &str, text: &str) -> HashSet<Role> {
    let mine = match text.contains(':') {
        false => text,
        true => {
            let mut parts = text.split("  ").filter_map(|part| part.split_once(':'));
            parts.find(|(of, _)| *of == method).map_or("", |(_, roles)| roles)
        }
    };
    let role = |letter| match letter {
        "s" => Some(Role::Send),
        "r" => Some(Role::Read),
        "a" => Some(Role::Application),
        "p" => Some(Role::Portal),
        "-" | "!" => None,
        other => panic!("{other:?} in {text:?}"),
    };
    let mut roles: HashSet<_> = mine.split_whitespace().filter_map(role).collect();
    if !mine.starts_with('!') {
        roles.insert(Role::Admin);
    }
    roles
}

/// A path without the names of its parameters.
fn plain(path: &str) -> String {
    let plain = |segment: &str| if segment.starts_with('{') { "{}" } else { segment }.to_owned();
    path.split('/').map(plain).collect::<Vec<_>>().join("/")
}

fn grant(role: Role, own: ApplicationId) -> Grant {
    let confined = matches!(role, Role::Application | Role::Portal);
    Grant {
        role,
        application: confined.then_some(own),
        capabilities: if role == Role::Portal { Capabilities::all() } else { Default::default() },
        flags: None,
    }
}

async fn application(bench: &Bench, uid: &str) -> ApplicationId {
    let made = bench.post("/api/v1/app", json!({"name": uid, "uid": uid})).await.expect(201);
    made["id"].as_str().unwrap().parse().unwrap()
}

/// Every operation that the document or the list of unbuilt ones has, with every role.
#[tokio::test]
async fn every_operation_is_for_the_roles_that_it_is_for() {
    let bench = Bench::new().await;
    let own = application(&bench, "own").await;
    let document = bench.get("/api/v1/openapi.json").await.expect(200);
    let mut documented = HashSet::new();
    let table = table();
    for (method, path, operation) in operations(&document) {
        let open = operation["security"] == json!([{}]);
        if !open {
            let known = (method, plain(&path));
            assert!(table.contains_key(&known), "who may do {known:?}? Say it in the table");
            documented.insert(known);
        }
    }
    for operation in &documented {
        let (method, path) = operation;
        let document = &document["paths"];
        let path = document.as_object().unwrap().keys().find(|one| plain(one) == *path).unwrap();
        check(&bench, own, method, path, &table[operation]).await;
    }
    // What is not in the document answers 501; whoever may not call it is told that first.
    for (operation, roles) in table.iter().filter(|(one, _)| !documented.contains(*one)) {
        check(&bench, own, &operation.0, &operation.1, roles).await;
    }
}

/// Calls the operation once for each role, each time with a fresh token.
async fn check(
    bench: &Bench,
    own: ApplicationId,
    method: &Method,
    path: &str,
    may: &HashSet<Role>,
) {
    for role in Role::ALL {
        // Of so many tokens in one millisecond two would get the same key.
        bench.clock.advance(Duration::from_millis(1));
        let token = bench.token_for("default", grant(role, own)).await.1;
        // A path of the document names the application's parameter, the table's do not; an admin
        // gets one that does not exist, so as to leave the others theirs.
        let confined = matches!(role, Role::Application | Role::Portal);
        let names_application = path.starts_with("/api/v1/app/{")
            || path.starts_with("/api/v1/auth/app")
            || path.contains("/dashboard-access/");
        let first = std::cell::Cell::new(confined && names_application);
        let path = filled(path, |_| if first.take() { own.to_string() } else { "some".to_owned() });
        // Of what has no end, only whether it would begin.
        let path = if path == "/api/v1/tail" { format!("{path}?source=nobody") } else { path };
        let answer = bench.call_as(&token, method.clone(), &path, "").await;
        if may.contains(&role) {
            assert_ne!(answer.status, 403, "{role}: {method} {path}: {answer:?}");
            assert_ne!(answer.status, 401, "{role}: {method} {path}: {answer:?}");
        } else if answer.status != 404 || !unrouted(&answer) {
            assert_eq!(answer.status, 403, "{role}: {method} {path}: {answer:?}");
            let code = answer.json()["code"].as_str().unwrap().to_owned();
            let least = Role::ALL.iter().map(|role| format!("needs_{role}"));
            assert!(least.chain(["needs_capability".to_owned()]).any(|one| one == code), "{code}");
        }
    }
}

/// Whether there is no such route (yet).
fn unrouted(answer: &Answer) -> bool {
    answer.json()["detail"] == "there is nothing at this path"
}

#[tokio::test]
async fn a_refusal_names_what_it_takes() {
    let bench = Bench::new().await;
    let own = application(&bench, "own").await;
    for (role, method, path, code) in [
        (Role::Send, Method::GET, "/api/v1/app", "needs_read"),
        (Role::Send, Method::GET, "/api/v1/app/own/endpoint/e/secret", "needs_application"),
        (Role::Read, Method::POST, "/api/v1/app/own/msg", "needs_send"),
        (Role::Read, Method::POST, "/api/v1/app", "needs_admin"),
        (Role::Application, Method::GET, "/api/v1/app", "needs_read"),
        (Role::Application, Method::DELETE, "/api/v1/app/own", "needs_admin"),
        (Role::Portal, Method::POST, "/api/v1/app/own/msg", "needs_send"),
        (Role::Portal, Method::POST, "/api/v1/auth/app-portal-access/own", "needs_application"),
        (Role::Admin, Method::POST, "/api/v1/auth/logout", "needs_portal"),
    ] {
        let token = bench.token_for("default", grant(role, own)).await.1;
        bench.call_as(&token, method, path, "{}").await.error(403, code);
    }
    let view = [Capability::ViewBase].into_iter().collect();
    let portal = Grant { capabilities: view, ..grant(Role::Portal, own) };
    let token = bench.token_for("default", portal).await.1;
    let answer = bench.call_as(&token, Method::POST, "/api/v1/app/own/endpoint", "{}").await;
    answer.error(403, "needs_capability");
    assert!(answer.text.contains("ManageEndpoint"), "{answer:?}");
}

#[tokio::test]
async fn for_a_confined_token_the_other_applications_do_not_exist() {
    let bench = Bench::new().await;
    let own = application(&bench, "own").await;
    let other = application(&bench, "other").await.to_string();
    let body = json!({"eventType": "a", "payload": {}}).to_string();
    for role in [Role::Send, Role::Read, Role::Application, Role::Portal] {
        let grant = Grant { application: Some(own), ..grant(role, own) };
        let token = bench.token_for("default", grant).await.1;
        let own = own.to_string();
        for (app, there) in [(&*own, true), ("own", true), (&*other, false), ("other", false)] {
            let (method, path) = match role {
                Role::Send => (Method::POST, format!("/api/v1/app/{app}/msg")),
                _ => (Method::GET, format!("/api/v1/app/{app}/endpoint")),
            };
            let answer = bench.call_as(&token, method, &path, &body).await;
            assert_eq!(answer.status.is_success(), there, "{role} {app}: {answer:?}");
            if !there {
                answer.error(404, "not_found");
                assert_eq!(answer.json()["detail"], "the application does not exist");
            }
        }
    }
}

#[tokio::test]
async fn who_may_only_send_makes_no_application_with_a_message() {
    let bench = Bench::new().await;
    let own = application(&bench, "own").await;
    let token = bench.token_for("default", grant(Role::Send, own)).await.1;
    let body = json!({"eventType": "a", "payload": {}, "application": {"name": "new"}}).to_string();
    let send = async |token: &str, app: &str| {
        bench.call_as(token, Method::POST, &format!("/api/v1/app/{app}/msg"), &body).await
    };
    send(&token, "new").await.error(403, "needs_admin");
    bench.get("/api/v1/app/new").await.error(404, "not_found");
    send(&token, "own").await.expect(202);
    send(&bench.token, "new").await.expect(202);
    send(&token, "new").await.expect(202);
}
