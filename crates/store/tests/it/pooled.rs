//! The suite behind a pooler that gives every transaction another connection: nothing of a session
//! may be relied on.

use std::sync::Arc;

use ringback_pg_cluster::{Cluster, Database, Pooler};
use ringback_store::{
    Store,
    conformance::CASES,
    postgres::{Options, Postgres},
};

/// How many cases run at the same time.
const LANES: usize = 2;
/// Cases about many rows, which take long and do nothing to connections that others do not.
const LARGE: &[&str] = &[
    "a_large_import_is_one",
    "a_page_looks_at_a_bounded_number",
    "too_many_are_counted_for_a_shorter_time",
    "the_sweep_deletes_what_expired",
    "the_sweep_keeps_the_newest_requests",
    "a_flood_of_requests_stays_small_without_a_sweep",
    "whatever_happens_a_callback_ends_once",
];

#[allow(clippy::print_stdout, reason = "which case it was is the report")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rule_holds_behind_a_pooler() {
    let cluster = Cluster::start(&Default::default()).unwrap();
    let pooler = Arc::new(Pooler::start(&cluster.dsn()).unwrap());
    let server = cluster.dsn();
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..LANES {
        let (pooler, server) = (Arc::clone(&pooler), server.clone());
        lanes.spawn(async move {
            let cases = CASES.iter().filter(|case| !LARGE.contains(&case.name));
            for case in cases.skip(lane).step_by(LANES) {
                println!("{}", case.name);
                let database = Database::create_on(&server).unwrap();
                let url = pooler.dsn(&database.dsn());
                let open = || {
                    let store = Postgres::open(&url, &Options::default()).unwrap();
                    Arc::new(store) as Arc<dyn Store>
                };
                case.run(&open).await;
            }
        });
    }
    lanes.join_all().await;
}
