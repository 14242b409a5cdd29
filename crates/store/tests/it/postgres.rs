//! PostgreSQL against the conformance suite, each case on a database of its own, and what it asks of
//! a server.

use std::sync::Arc;

use ringback_domain::{
    application::{Application, Metadata},
    id::{ApplicationId, Id},
    idempotency::Claim,
    scope::{Reference, Scope},
    time::Timestamp,
};
use ringback_pg_cluster::{Cluster, Database};
use ringback_store::{
    Answer, NewApplication, Repeated, Store, WriteError,
    conformance::Case,
    postgres::{OpenError, Options, Postgres},
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

conformance_tests!();

async fn conform(case: Case) {
    let database = Database::create().unwrap();
    let url = database.dsn();
    let open = || {
        let store = Postgres::open(&url, &Options::default()).unwrap();
        Arc::new(store) as Arc<dyn Store>
    };
    case.run(&open).await;
}

#[tokio::test]
async fn nothing_is_changed_without_its_entry() {
    let database = Database::create().unwrap();
    let store = Postgres::open(&database.dsn(), &Options::default()).unwrap();
    let now = ringback_domain::time::Timestamp(1_800_000_000_000);
    let environment = store.environment("default".to_owned(), now).await.unwrap();
    database.ask("DROP TABLE audit").unwrap();
    crate::entries::check(&store, environment).await;
}

#[tokio::test]
async fn expired_content_without_a_partition_goes_unless_it_is_pending() {
    let database = Database::create().unwrap();
    let store = Postgres::open(&database.dsn(), &Options::default()).unwrap();
    // Messages 10 to 13 of one shard: expired; with a scheduled delivery, with a manual one; to come.
    let later = NOW.millis() + 1;
    database
        .ask(&format!(
            "INSERT INTO content (expires_at, shard, message, payload) \
             VALUES (1, 5, 10, ''), (1, 5, 11, ''), (1, 5, 12, ''), ({later}, 5, 13, ''); \
             INSERT INTO delivery VALUES \
             (5, 12, 11, 1, 1, 1, 0, 0, 0, 0), (5, 9000000000, 12, 1, 1, 1, 0, 0, 1, 0)"
        ))
        .unwrap();
    let left =
        || database.ask("SELECT string_agg(message::text, ' ' ORDER BY message) FROM content");
    while store.sweep(NOW).await.unwrap() {}
    assert_eq!(left().unwrap(), "11 12 13");
    database.ask("DELETE FROM delivery").unwrap();
    while store.sweep(NOW).await.unwrap() {}
    assert_eq!(left().unwrap(), "13");
}

/// A message as a process of schema version 3 appends it, to application 7 of environment 1.
fn append_of_version_3(key: i64) -> String {
    let (shard, now) = (ringback_domain::shard::of(7), NOW.millis());
    format!(
        "SELECT count(*) FROM append_1( \
         ARRAY[{shard}], ARRAY[{key}], ARRAY[5], ARRAY[1], ARRAY[7], ARRAY[0]::int2[], ARRAY[0], \
         ARRAY[0], ARRAY[{now}], ARRAY[{now} + 1000], ARRAY['user.created'], ARRAY[NULL], \
         ARRAY[NULL], ARRAY[NULL], ARRAY[NULL], ARRAY['\\x7b7d']::bytea[], ARRAY[NULL]::bytea[], \
         ARRAY[NULL]::bytea[], ARRAY[NULL]::int8[], ARRAY[NULL]::int8[], ARRAY[NULL]::int8[], \
         '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', ARRAY[7], ARRAY[0], false, false, 1)"
    )
}

/// What the version before has written stays, and one of its processes may go on for a while.
#[tokio::test]
async fn a_database_of_version_3_is_brought_up_to_date() {
    let database = Database::create().unwrap();
    for step in [
        include_str!("../../src/postgres/queries/schema_version.sql"),
        "INSERT INTO schema_version (version) VALUES (1), (2), (3)",
        include_str!("../../src/postgres/migrations/0001_schema.sql"),
        include_str!("../../src/postgres/migrations/0002_append.sql"),
        include_str!("../../src/postgres/migrations/0003_record.sql"),
        "INSERT INTO environment VALUES (1, 'default', 0)",
        "INSERT INTO application \
         VALUES (7, 7, 0, 1, false, NULL, 'one', '{}', NULL, NULL, 0, 0, 0, NULL)",
    ] {
        database.ask(step).unwrap();
    }
    let first = Id::first_key_at(NOW);
    assert_eq!(database.ask(&append_of_version_3(first)).unwrap(), "0");
    let store = Postgres::open(&database.dsn(), &Options::default()).unwrap();
    assert_eq!(database.ask(&append_of_version_3(first + 1)).unwrap(), "0");
    for key in [first, first + 1] {
        let scope = Scope { environment: 1, application: 7 };
        let id = Reference::Id(Id { key, shard: 0, nonce: 5 });
        let message = store.message(scope, id, true).await.unwrap();
        assert_eq!((message.payload.as_deref(), message.headers), (Some(&b"{}"[..]), None));
    }
}

fn refused(url: &str) -> OpenError {
    Postgres::open(url, &Options::default()).err().unwrap()
}

#[test]
fn a_server_that_could_lose_what_it_acknowledged_is_refused() {
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        let settings = vec![(name.to_owned(), "off".to_owned())];
        let options = ringback_pg_cluster::Options { settings, ..Default::default() };
        let cluster = Cluster::start(&options).unwrap();
        let database = Database::create_on(&cluster.dsn()).unwrap();
        let error = refused(&database.dsn());
        assert!(matches!(error, OpenError::Unsafe { setting, .. } if setting == name), "{error}");
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(database.ask(tables).unwrap(), "0", "nothing was made");
    }
}

#[test]
fn a_database_of_a_later_version_is_left_alone() {
    let database = Database::create().unwrap();
    drop(Postgres::open(&database.dsn(), &Options::default()).unwrap());
    database.ask("INSERT INTO schema_version (version) VALUES (99)").unwrap();
    let error = refused(&database.dsn());
    assert!(error.to_string().contains("schema version 99"), "{error}");
}

#[test]
fn an_address_that_leads_nowhere_is_told_without_its_password() {
    for place in ["127.0.0.1:1/x", "127.0.0.1:port/x", "%zz/x", "?nope=1"] {
        let error = refused(&format!("postgres://made-up:made-up-password@{place}")).to_string();
        assert!(error.contains("database") && !error.contains("made-up"), "{place}: {error}");
    }
}

/// The runtime that the store made for itself is given up where nothing may block.
#[tokio::test]
async fn a_failed_start_is_told_inside_a_runtime() {
    let error = refused("postgres://made-up@127.0.0.1:1/x");
    assert!(matches!(error, OpenError::Server(_)), "{error}");
}

#[tokio::test]
async fn a_visitor_leaves_the_epoch_alone() {
    let database = Database::create().unwrap();
    let open = || Postgres::open(&database.dsn(), &Options::default()).unwrap();
    let server = open();
    let visitor = Postgres::visit(&database.dsn(), &Options::default()).unwrap();
    assert_eq!(visitor.epoch(), server.epoch());
    visitor.close().await;
    assert_eq!(open().epoch(), server.epoch() + 1);
}

/// What the suite checks within one process, between two.
#[tokio::test]
async fn one_of_two_processes_makes_a_claim() {
    let database = Database::create().unwrap();
    let one = Arc::new(Postgres::open(&database.dsn(), &Options::default()).unwrap());
    let two = Arc::new(Postgres::visit(&database.dsn(), &Options::default()).unwrap());
    let environment = one.environment("default".to_owned(), NOW).await.unwrap();
    for round in 0..20 {
        let key = format!("key {round}");
        let claim = Claim::new(environment, "POST", "/somewhere", &key, b"body", NOW).unwrap();
        let create = |store: &Arc<Postgres>, number: i64| {
            let answer = Some(Answer { claim, status: 201, body: b"answer".to_vec() });
            let id = ApplicationId(Id { key: 1_000 + 2 * round + number, shard: 0, nonce: 7 });
            let application = Application {
                id,
                uid: None,
                name: key.clone(),
                metadata: Metadata::default(),
                throttle_rate: None,
                created_at: NOW,
                updated_at: NOW,
            };
            let store = Arc::clone(store);
            async move {
                let new = NewApplication { environment, application, answer };
                store.create_application(new).await
            }
        };
        let told = tokio::join!(create(&one, 0), create(&two, 1));
        let lost = WriteError::Repeated(Repeated);
        let fair = match &told {
            (Ok(_), Err(error)) | (Err(error), Ok(_)) => *error == lost,
            _ => false,
        };
        assert!(fair, "{told:?}");
    }
}

/// What reading on costs follows from how many applications it is about and how many messages are
/// told, not from how many there are.
#[tokio::test]
async fn reading_on_looks_at_a_bounded_number() {
    const MANY: i64 = 60_000;
    let database = Database::create().unwrap();
    let store = Postgres::open(&database.dsn(), &Options::default()).unwrap();
    let environment = store.environment("default".to_owned(), NOW).await.unwrap();
    // Application 7 has a message in a thousand; the others of its shard are 8's, which is put there.
    let (shard, first) = (ringback_domain::shard::of(7), Id::first_key_at(NOW));
    database
        .ask(&format!(
            "INSERT INTO message (shard, key, nonce, environment, application, origin, fanout, routed, \
             expires_at, event_type) SELECT {shard}, {first} + n, 5, {environment}, \
             CASE WHEN n % 1000 = 0 THEN 7 ELSE 8 END, 0, 0, 0, {}, 'user.created' \
             FROM generate_series(1, {MANY}) AS n; ANALYZE message",
            NOW.millis() + 1_000
        ))
        .unwrap();
    let read = |sql: &str, arguments: &[&str]| {
        let mut sql = sql.to_owned();
        for (number, argument) in arguments.iter().enumerate().rev() {
            sql = sql.replace(&format!("${}", number + 1), argument);
        }
        let plan = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}");
        let plan: serde_json::Value = serde_json::from_str(&database.ask(&plan).unwrap()).unwrap();
        let plan = &plan[0]["Plan"];
        plan["Shared Hit Blocks"].as_i64().unwrap() + plan["Shared Read Blocks"].as_i64().unwrap()
    };
    let (shards, applications) = (format!("'{{{shard}}}'::int4[]"), "'{7}'::int8[]");
    let (environment, after) = (environment.to_string(), first.to_string());
    let heads = include_str!("../../src/postgres/queries/arrival_heads.sql");
    let next = include_str!("../../src/postgres/queries/arrival_next.sql");
    let behind = include_str!("../../src/postgres/queries/arrivals_behind.sql");
    for (name, blocks) in [
        ("heads", read(heads, &[&shards, applications, &environment, &after])),
        (
            "next",
            read(next, &[&shards, applications, &environment, &after, &i64::MAX.to_string(), "9"]),
        ),
        ("behind", read(behind, &[&shards, applications, &environment, &after, "9"])),
    ] {
        // The whole table is more than 700 blocks.
        assert!(blocks < 150, "{name}: {blocks} blocks");
    }
}

/// What listeners wait for after a connection was lost in the middle of a commit: whoever still writes
/// is seen, and who asks is not.
#[test]
fn a_server_says_whether_a_commit_is_under_way() {
    let database = Database::create().unwrap();
    let under_way = || {
        let asked = include_str!("../../src/postgres/queries/commits_under_way.sql");
        database.ask(asked).unwrap()
    };
    assert_eq!(under_way(), "0");
    // As the statement of a batch begins, but slower.
    let slow = "CREATE VIEW append_9 AS \
                SELECT 1 AS stale, 2 AS first, 3 AS same_body, count(*) AS taken FROM pg_sleep(60)";
    database.ask(slow).unwrap();
    std::thread::scope(|scope| {
        let writing =
            scope.spawn(|| database.ask("SELECT stale, first, same_body, taken FROM append_9"));
        while under_way() != "1" {
            assert!(!writing.is_finished(), "it was never seen");
        }
        let ended = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity \
                     WHERE query LIKE 'SELECT stale%' AND state = 'active'";
        database.ask(ended).unwrap();
        assert!(writing.join().unwrap().is_err());
    });
    assert_eq!(under_way(), "0");
}
