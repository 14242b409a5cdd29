//! Destinations with a protocol of their own: only where the operator allows it, and through whatever
//! becomes of the other side.

use http::Method;
use ringback_pg_cluster::{Cluster, Database, Options};
use serde_json::{Value, json};

use super::{Bench, schedule, text};

/// The settings of a destination in this database, and the host that it is at.
fn settings(database: &Database) -> (Value, String) {
    let dsn = database.dsn();
    let (credentials, place) = dsn.split_once('@').unwrap();
    let (user, password) = credentials.rsplit_once(':').unwrap();
    let config = json!({
        "url": format!("{user}@{place}?sslmode=disable"), "password": password,
        "tableName": "payments", "conflict": "event",
        "fields": { "event": "{{ event.id }}", "amount": "{{ body.amount }}" },
    });
    (config, place.split_once('/').unwrap().0.to_owned())
}

/// What the table holds.
fn rows(database: &Database) -> String {
    let rows = database.ask("SELECT count(*), coalesce(sum(amount), 0) FROM payments").unwrap();
    rows.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_is_written_once_through_the_end_of_the_database() {
    let mut cluster = Cluster::start(&Options::default()).unwrap();
    let database = Database::create_on(&cluster.dsn()).unwrap();
    database.ask("CREATE TABLE payments (event text PRIMARY KEY, amount int NOT NULL)").unwrap();
    let (config, host) = settings(&database);
    let allowed = schedule("1,1,1,1,1,1,1,1,1,1").env("RINGBACK_DELIVERY_DESTINATION_HOSTS", &host);
    let bench = Bench::new(allowed).await;
    let wanted = json!({ "type": "postgres", "config": config });
    let made = bench.server.post(&bench.path("/destination"), wanted).await;
    let id = text(&made["id"]);
    assert_eq!(made["url"], format!("postgres://{host}"));
    assert_eq!(made["config"].get("password"), None);

    let pay = async |amount: Value| {
        bench.send_as(json!({ "eventType": "paid", "payload": { "amount": amount } })).await
    };
    let first = pay(json!(7)).await;
    bench.explained(&first, &id, "delivered", "success").await;
    let attempt = bench.attempts(&first, 1).await.remove(0);
    assert_eq!((&attempt["status"], &attempt["responseStatusCode"]), (&json!(0), &json!(0)));
    assert_eq!(rows(&database), "1|7");

    // The database ends without a word and comes back; what was sent meanwhile arrives.
    cluster.kill().unwrap();
    let meanwhile = pay(json!(10)).await;
    let line = bench.explained(&meanwhile, &id, "pending", "retrying").await;
    assert_eq!(line["lastAttempt"]["failedPhase"], "handover");
    cluster.start_again().unwrap();
    bench.explained(&meanwhile, &id, "delivered", "success").await;
    assert_eq!(rows(&database), "2|17");

    // The same event again is the same row.
    assert_eq!(bench.resend(&first, &id).await.0, 202);
    bench.attempts(&first, 2).await;
    assert_eq!(rows(&database), "2|17");

    // What a column refuses is refused for good, with the database's own words.
    let wrong = pay(json!("a lot")).await;
    let line = bench.explained(&wrong, &id, "failed", "exhausted").await;
    let last = &line["lastAttempt"];
    assert_eq!((&line["attempts"], &last["failedPhase"]), (&json!(1), &json!("handover")));
    assert!(text(&last["response"]).contains("integer"), "{last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_hosts_that_the_operator_names_and_only_by_admins() {
    let allowed = schedule("1").env("RINGBACK_DELIVERY_DESTINATION_HOSTS", "db.example.com:5432");
    let bench = Bench::new(allowed).await;
    let wanted = |host: &str| {
        let url = format!("postgres://app@{host}/shop?sslmode=disable");
        json!({ "type": "postgres", "config": { "url": url, "tableName": "t" } })
    };
    let path = bench.path("/destination");
    for host in ["127.0.0.1:5432", "db.example.com:5433", "db.example.org", "169.254.169.254"] {
        let (status, answer) = bench.server.call(Method::POST, &path, Some(wanted(host))).await;
        assert_eq!(status, 422, "{host}: {answer}");
        assert_eq!(answer["detail"][0]["loc"], json!(["body", "config"]), "{host}");
        assert!(text(&answer["detail"][0]["msg"]).contains("destination_hosts"), "{answer}");
    }
    let made = bench.server.post(&path, wanted("db.example.com")).await;

    let access = format!("/api/v1/auth/app-portal-access/{}", bench.app);
    let portal = text(&bench.server.post(&access, json!({})).await["token"]);
    let customer = bench.server.client_with(&portal);
    let body = serde_json::to_vec(&wanted("db.example.com")).unwrap();
    let refused = customer.call(Method::POST, &path, Some(body.clone().into())).await.unwrap();
    assert_eq!(refused.status, 403);
    let one = format!("{path}/{}", text(&made["id"]));
    assert_eq!(customer.call(Method::PUT, &one, Some(body.into())).await.unwrap().status, 403);
}
