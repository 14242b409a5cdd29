//! PostgreSQL against the conformance suite, each case on a database of its own, and what it asks of
//! a server.

use std::sync::Arc;

use ringback_pg_cluster::{Cluster, Database};
use ringback_store::{
    Store,
    conformance::Case,
    postgres::{OpenError, Options, Postgres},
};

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
