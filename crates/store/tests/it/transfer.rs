//! Copying from SQLite to PostgreSQL: whatever the store's rules make is the same afterwards, and
//! what is not the same is noticed.

use std::{path::Path, sync::Arc};

use ringback_pg_cluster::Database;
use ringback_store::{
    Store,
    conformance::CASES,
    postgres::{OpenError, Postgres},
    sqlite::Sqlite,
    transfer::{Error, Leftovers, Progress, Transfer},
};

/// Cases that leave rows in every table.
const FILLING: &[&str] = &[
    "what_is_appended_survives",
    "a_repeated_claim_returns_the_first_message",
    "an_event_id_is_unique_in_its_application",
    "a_retry_moves_the_delivery",
    "a_failing_endpoint_is_disabled",
    "changes_count_for_later_messages_only",
    "a_deleted_application_takes_its_endpoints_along",
    "secrets_rotate",
    "event_types_are_archived_and_come_back",
    "answers_are_kept_with_what_they_answer",
    "the_sweep_deletes_what_expired",
    "sessions_end_by_application_and_by_name",
    "tasks_are_kept",
    "a_purge_empties_what_was_there",
    "every_change_is_noted",
    "source_tokens_rotate",
    "a_repeated_arrival_is_a_duplicate",
    "a_kept_request_becomes_a_message_once",
    "what_is_refused_is_written_down",
    "callbacks_are_kept",
    "a_message_and_a_callback_that_meet_find_each_other",
    "connections_are_kept",
    "authorizations_are_kept",
    "listeners_are_kept",
    "event_streams_are_kept",
    "a_contract_is_kept",
    "what_a_message_carries_is_kept",
    "what_was_sent_is_kept",
    "consumers_are_kept",
];

/// Runs a case on the embedded store and leaves its rows in the directory.
async fn fill(directory: &Path, case: &str) {
    let open = || Arc::new(Sqlite::open(directory, &Default::default()).unwrap()) as Arc<dyn Store>;
    let case = CASES.iter().find(|known| known.name == case).unwrap();
    case.run(&open).await;
}

fn begin(directory: &Path, database: &Database, leftovers: Leftovers) -> Result<Transfer, Error> {
    Transfer::open(directory, &database.dsn(), leftovers)
}

fn ignore(_: Progress) {}

/// What blocks has a thread that is in no runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(work).join().unwrap()
}

#[tokio::test]
async fn whatever_a_store_makes_is_the_same_afterwards() {
    let mut seen = std::collections::BTreeMap::new();
    let filling = CASES.iter().map(|case| case.name).filter(|name| FILLING.contains(name));
    for case in filling {
        let directory = tempfile::tempdir().unwrap();
        fill(directory.path(), case).await;
        let tables = blocking(move || {
            let database = Database::create().unwrap();
            let transfer = begin(directory.path(), &database, Leftovers::Refuse).unwrap();
            transfer.copy(&mut ignore).unwrap();
            let mut tables = Vec::new();
            let verified = transfer.verify(&mut |progress| {
                if let Progress::Verified(table, sum) = progress {
                    tables.push((table, sum.rows));
                }
            });
            verified.unwrap_or_else(|error| panic!("{case}: {error}"));
            transfer.finish().unwrap();
            drop(Postgres::open(&database.dsn(), &Default::default()).unwrap());
            tables
        })
        .await;
        tables.into_iter().for_each(|(table, rows)| *seen.entry(table).or_insert(0) += rows);
    }
    let empty: Vec<_> = seen.iter().filter(|(_, rows)| **rows == 0).collect();
    // What a server keeps of its own is copied in a test of the whole server.
    assert!(empty.iter().all(|(table, _)| *table == "meta"), "nothing to compare: {empty:?}");
}

/// A process that was killed leaves a log behind; what is only there is copied, too.
#[tokio::test]
async fn what_is_only_in_the_log_is_copied_and_nothing_changes() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(directory.path(), &Default::default()).unwrap();
    let now = ringback_domain::time::Timestamp(1_800_000_000_000);
    store.environment("made up".to_owned(), now).await.unwrap();
    let left = tempfile::tempdir().unwrap();
    let names = ["ringback.sqlite", "ringback.sqlite-wal"];
    for name in names {
        std::fs::copy(directory.path().join(name), left.path().join(name)).unwrap();
    }
    let read = |left: &Path| names.map(|name| std::fs::read(left.join(name)).unwrap());
    let before = read(left.path());
    assert!(!before[1].is_empty(), "there is a log");
    let (left, environments) = blocking(move || {
        let database = Database::create().unwrap();
        let transfer = begin(left.path(), &database, Leftovers::Refuse).unwrap();
        transfer.copy(&mut ignore).unwrap();
        transfer.verify(&mut ignore).unwrap();
        transfer.finish().unwrap();
        (left, database.ask("SELECT name FROM environment").unwrap())
    })
    .await;
    assert_eq!(environments, "made up");
    assert!(read(left.path()) == before, "the source is as it was");
}

/// A change, and what undoes it.
const DAMAGES: &[(&str, &str)] = &[
    ("UPDATE application SET name = name || ' '", "UPDATE application SET name = rtrim(name)"),
    (
        "UPDATE content SET payload = payload || '\\x00'",
        "UPDATE content SET payload = substr(payload, 1, length(payload) - 1)",
    ),
    ("UPDATE delivery SET due_at = due_at + 1", "UPDATE delivery SET due_at = due_at - 1"),
    ("UPDATE endpoint SET shard = shard + 1", "UPDATE endpoint SET shard = shard - 1"),
    ("UPDATE application SET hidden = NOT hidden", "UPDATE application SET hidden = NOT hidden"),
    (
        "CREATE TABLE spare AS SELECT * FROM delivery; DELETE FROM delivery WHERE key = (SELECT max(key) FROM delivery)",
        "INSERT INTO delivery SELECT * FROM spare ON CONFLICT DO NOTHING",
    ),
];

#[tokio::test]
async fn damage_is_noticed_and_what_is_unfinished_is_not_served() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path(), "the_sweep_cancels_what_was_deleted").await;
    blocking(move || {
        let database = Database::create().unwrap();
        let transfer = begin(directory.path(), &database, Leftovers::Refuse).unwrap();
        transfer.copy(&mut ignore).unwrap();
        for (damage, repair) in DAMAGES {
            transfer.verify(&mut ignore).unwrap();
            database.ask(damage).unwrap();
            let noticed = transfer.verify(&mut ignore);
            assert!(matches!(noticed, Err(Error::Differs { .. })), "{damage}: {noticed:?}");
            database.ask(repair).unwrap();
        }
        transfer.verify(&mut ignore).unwrap();
        database.ask("DROP TABLE spare").unwrap();

        // As if it had been interrupted here.
        drop(transfer);
        let served = Postgres::open(&database.dsn(), &Default::default());
        assert!(matches!(served.err(), Some(OpenError::Unfinished)));
        let refused = begin(directory.path(), &database, Leftovers::Refuse);
        assert!(matches!(refused.err(), Some(Error::Unfinished)));
        let transfer = begin(directory.path(), &database, Leftovers::Delete).unwrap();
        transfer.copy(&mut ignore).unwrap();
        transfer.verify(&mut ignore).unwrap();
        transfer.finish().unwrap();
        drop(Postgres::open(&database.dsn(), &Default::default()).unwrap());
        // What is complete is never deleted.
        let refused = begin(directory.path(), &database, Leftovers::Delete);
        assert!(matches!(refused.err(), Some(Error::NotEmpty(_))));
    })
    .await;
}
