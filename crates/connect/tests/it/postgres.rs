//! PostgreSQL: read back with its own command line.

use ringback_pg_cluster::{Cluster, Database, Options, Pooler};
use serde_json::{Value, json};

use crate::conformance::{Counterpart, Destination, Refusal, conforms};
use crate::server::{Done, certificate};

struct Postgres {
    /// Dropped first.
    database: Database,
    cluster: Cluster,
    authority: String,
}

impl Postgres {
    fn start() -> Postgres {
        let (authority, key) = certificate();
        let files = vec![("cert".to_owned(), authority.clone()), ("key".to_owned(), key)];
        // What is killed is the server and not the machine, so that syncing would only take time.
        let settings = [
            ("fsync", "off"),
            ("ssl", "on"),
            ("ssl_cert_file", "../cert"),
            ("ssl_key_file", "../key"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let cluster = Cluster::start(&Options { settings, files, ..Options::default() }).unwrap();
        let database = Database::create_on(&cluster.dsn()).unwrap();
        let postgres = Postgres { database, cluster, authority };
        postgres.ask(
            "CREATE SCHEMA app;
             CREATE TABLE app.\"Events\"
                 (id text PRIMARY KEY, type text NOT NULL, payload jsonb NOT NULL, at timestamptz);
             CREATE TABLE orders
                 (number int PRIMARY KEY, \"the\"\"total\" numeric(10, 2) NOT NULL, paid timestamptz,
                  tags text[], raw json, made int GENERATED ALWAYS AS (number + 1) STORED)",
        );
        postgres
    }

    fn ask(&self, statement: &str) -> String {
        self.database.ask(statement).unwrap()
    }

    /// The server's URL as a setting: without a password.
    fn url(&self, host: &str, query: &str) -> String {
        let dsn = self.database.dsn();
        let (credentials, place) = dsn.split_once('@').unwrap();
        let (scheme_and_user, _) = credentials.rsplit_once(':').unwrap();
        format!("{scheme_and_user}@{}?{query}", place.replacen("127.0.0.1", host, 1))
    }

    fn orders(&self, url: String, conflict: &str) -> Destination {
        let fields = json!({
            "number": "{{ body.number }}",
            "the\"total": "{{ (body.cents / 100) | fixed(2) }}",
            "paid": "{{ event.time | time('%Y-%m-%dT%H:%M:%SZ') }}",
            "tags": "{{ body.tags }}",
            "raw": "{{ body }}",
        });
        let settings = [("url", url), ("tableName", "orders".to_owned())];
        let conflict = [("conflict", conflict.to_owned())].into_iter();
        let conflict = conflict.filter(|(_, columns)| !columns.is_empty());
        Destination::new(Self::KIND, settings.into_iter().chain(conflict), fields)
    }
}

impl Counterpart for Postgres {
    const KIND: &'static str = "postgres";
    const REPEATED: usize = 1;

    fn settings(&self) -> Vec<(&'static str, String)> {
        let url = self.url("127.0.0.1", "sslmode=disable");
        vec![("url", url), ("tableName", "app.Events".to_owned())]
    }

    fn mapping(&self) -> Value {
        json!({})
    }

    fn arrived(&self) -> Vec<String> {
        let is_whole = "type = 'order.paid' AND payload = '{\"n\": 1}'";
        let ids = self.ask(&format!("SELECT id FROM app.\"Events\" WHERE {is_whole}"));
        ids.lines().map(str::to_owned).collect()
    }

    fn does(&mut self, done: Done) {
        match done {
            Done::Kill => self.cluster.kill(),
            Done::Start => self.cluster.start_again(),
            Done::Freeze => self.cluster.freeze(),
            Done::Thaw => self.cluster.thaw(),
        }
        .unwrap();
    }

    fn refuses(&self) -> Vec<Refusal> {
        let id = json!({ "id": "{{ event.id }}", "type": "x", "payload": {} });
        let with = |name: &str, value: Value| {
            let mut fields = id.clone();
            fields[name] = value;
            fields
        };
        // Longer than a key may be, however well it is packed.
        let long: String = (1..2000_u64).map(|n| (n * n * 2_654_435_761).to_string()).collect();
        vec![
            Refusal::for_good("too_large")
                .mapping(with("id", json!("{{ body.long }}")))
                .body(json!({ "long": long }).to_string()),
            Refusal::for_good("statement").setting("tableName", "no_such_table"),
            Refusal::for_good("statement").mapping(with("no_such_column", json!("x"))),
            Refusal::for_good("statement").mapping(id.clone()).setting("conflict", "payload"),
            Refusal::for_good("constraint").mapping(with("payload", Value::Null)),
            Refusal::for_good("invalid_value").mapping(with("at", json!("no time"))),
            Refusal::for_good("invalid_value").body(r#"{"n":"\u0000"}"#),
            Refusal::for_now("authentication")
                .setting("url", self.url("127.0.0.1", "").replacen("ringback@", "nobody@", 1)),
            Refusal::for_now("tls").setting("url", self.url("localhost", "sslmode=verify-full")),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_conforms() {
    let mut postgres = Postgres::start();
    converts_and_updates(&postgres).await;
    works_behind_a_pooler(&postgres).await;
    proves_who_it_is(&postgres).await;
    leaves_nothing_behind(&postgres).await;
    conforms(&mut postgres).await;
}

const ORDER: &str = r#"{"number":7,"cents":1250,"tags":["a","b c"]}"#;

async fn converts_and_updates(postgres: &Postgres) {
    let to = postgres.orders(postgres.url("127.0.0.1", "sslmode=prefer"), "number");
    let said = to.hand(&to.event("msg_1", ORDER)).await;
    assert_eq!(said.as_deref(), Ok("1 row"));
    let row = "SELECT number, \"the\"\"total\", paid AT TIME ZONE 'UTC', tags, raw->>'cents', made \
               FROM orders";
    assert_eq!(postgres.ask(row), "7|12.50|2023-11-14 22:13:20|{a,\"b c\"}|1250|8");
    let changed = ORDER.replace("1250", "900");
    to.hand(&to.event("msg_2", &changed)).await.unwrap();
    assert_eq!(postgres.ask("SELECT \"the\"\"total\" FROM orders"), "9.00");
    let inserting = postgres.orders(postgres.url("127.0.0.1", ""), "");
    let again = inserting.hand(&inserting.event("msg_2", &changed)).await.unwrap_err();
    assert_eq!((again.permanent, again.reason), (true, "constraint"));
}

async fn works_behind_a_pooler(postgres: &Postgres) {
    let pooler = Pooler::start(&postgres.cluster.dsn()).unwrap();
    let direct = postgres.url("127.0.0.1", "sslmode=disable");
    let to = postgres.orders(pooler.dsn(&direct), "number");
    for number in 100..120 {
        let body = ORDER.replace('7', &number.to_string());
        to.hand(&to.event("msg_1", &body)).await.unwrap();
    }
    assert_eq!(postgres.ask("SELECT count(*) FROM orders WHERE number >= 100"), "20");
}

async fn proves_who_it_is(postgres: &Postgres) {
    let deliver = async |host: &str, mode: &str, authority: Option<&str>| {
        let mut settings = postgres.settings();
        settings[0].1 = postgres.url(host, &format!("sslmode={mode}"));
        settings.extend(authority.map(|pem| ("sslRootCert", pem.to_owned())));
        let to = Destination::new(Postgres::KIND, settings, json!({}));
        to.deliver(&format!("msg_{host}_{mode}")).await.map_err(|refused| refused.reason)
    };
    let authority = Some(&*postgres.authority);
    let (other, _) = certificate();
    let once = Ok("1 row".to_owned());
    assert_eq!(deliver("localhost", "verify-full", authority).await, once);
    assert_eq!(deliver("127.0.0.1", "verify-full", authority).await, Err("tls"));
    assert_eq!(deliver("127.0.0.1", "verify-ca", authority).await, once);
    assert_eq!(deliver("127.0.0.1", "require", None).await, once);
    assert_eq!(deliver("localhost", "require", Some(&other)).await, Err("tls"));
}

async fn leaves_nothing_behind(postgres: &Postgres) {
    let connections = "SELECT count(*) FROM pg_stat_activity \
                       WHERE application_name = 'ringback' AND query LIKE '%\"Events\"%'";
    let to = Destination::new(Postgres::KIND, postgres.settings(), postgres.mapping());
    to.deliver("msg_left").await.unwrap();
    assert_eq!(postgres.ask(connections), "1");
    drop(to);
    // The server takes a moment to notice.
    while postgres.ask(connections) != "0" {
        tokio::task::yield_now().await;
    }
}
