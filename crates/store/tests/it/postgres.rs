//! PostgreSQL against the conformance suite, each case on a database of its own.

use std::sync::Arc;

use ringback_pg_cluster::Database;
use ringback_store::{
    Store,
    conformance::Case,
    postgres::{Options, Postgres},
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
