//! SQLite against the conformance suite, and its own promises: shared commits, and files that hold
//! whatever was acknowledged.

use std::sync::Arc;

use bytes::Bytes;
use ringback_domain::{
    application::{Application, Metadata},
    id::{ApplicationId, Id},
    scope::Reference,
    time::Timestamp,
};
use ringback_store::{
    Append, NewApplication, NewMessage, Store, conformance,
    sqlite::{Options, Sqlite},
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

macro_rules! conform {
    ($($name:ident)*) => {
        $(#[tokio::test]
        async fn $name() {
            conform(stringify!($name)).await;
        })*

        #[test]
        fn every_case_is_a_test() {
            let cases: Vec<&str> = conformance::CASES.iter().map(|case| case.name).collect();
            assert_eq!(cases, [$(stringify!($name)),*]);
        }
    };
}

async fn conform(name: &str) {
    let case = conformance::CASES.iter().find(|case| case.name == name).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let open = || Arc::new(open(directory.path())) as Arc<dyn Store>;
    case.run(&open).await;
}

fn open(directory: &std::path::Path) -> Sqlite {
    Sqlite::open(directory, &Options::default()).unwrap()
}

conform! {
    what_is_appended_survives
    payloads_are_kept_byte_by_byte
    a_repeated_claim_returns_the_first_message
    a_claim_with_another_body_is_a_conflict
    an_expired_claim_is_forgotten
    a_duplicate_fails_alone
    an_event_id_is_unique_in_its_application
    a_missing_application_gets_nothing
    deliveries_follow_their_message
    keys_grow_when_the_clock_goes_back
    due_is_oldest_first_and_cut
    due_leaves_out_the_future
    a_retry_moves_the_delivery
    a_settled_delivery_is_gone
    an_attempt_takes_effect_once
    an_older_epoch_changes_nothing
    a_failed_resend_changes_nothing
    a_successful_resend_settles_the_schedule
    a_resend_needs_an_endpoint_that_takes_messages
    a_failing_endpoint_is_disabled
    notices_come_with_their_record
    waiting_endpoints_are_walked_by_key
    the_backlog_counts_what_is_attempted
    a_lane_knows_its_endpoint
    attempt_keys_go_on_after_a_restart
    every_endpoint_has_a_verdict
    changes_count_for_later_messages_only
    progress_is_told
    applications_are_kept
    application_uids_are_unique
    a_deleted_application_takes_its_endpoints_along
    the_hidden_application_stays
    endpoints_are_kept
    endpoint_uids_are_unique
    a_deleted_endpoint_is_gone
    secrets_rotate
    headers_change_only_from_what_was_expected
    event_types_are_kept
    event_types_are_archived_and_come_back
    environments_are_made_once
    tokens_are_found_until_the_end
    answers_are_kept_with_what_they_answer
    pages_join_in_both_orders_and_both_ways
    a_cursor_may_be_deleted
    event_types_are_listed_by_name
    messages_are_filtered
    attempts_are_filtered
    foreign_scopes_read_nothing
    foreign_scopes_write_nothing
    foreign_records_write_nothing
    guessed_ids_find_nothing
    the_sweep_deletes_what_expired
    the_sweep_spares_what_is_pending
    the_sweep_cancels_what_was_deleted
    a_store_is_checked_and_measured
    a_closed_store_says_so
    epochs_grow
}

async fn application(store: &Sqlite) -> Append {
    let environment = store.environment("default".to_owned(), NOW).await.unwrap();
    let id = ApplicationId(Id { key: 7, shard: 0, nonce: 7 });
    let application = Application {
        id,
        uid: None,
        name: "one".to_owned(),
        metadata: Metadata::default(),
        throttle_rate: None,
        created_at: NOW,
        updated_at: NOW,
    };
    let new = NewApplication { environment, application, answer: None };
    store.create_application(new).await.unwrap();
    let message = NewMessage {
        accepted_at: NOW,
        expires_at: Timestamp(i64::MAX),
        event_type: "a".to_owned(),
        payload: Bytes::from_static(b"{}"),
        ..NewMessage::default()
    };
    Append { environment, application: Reference::Id(id.0), message, claim: None }
}

/// The number of transactions that the log holds, by the commit marks in its frames
/// (<https://sqlite.org/fileformat2.html#the_write_ahead_log>).
fn commits(directory: &std::path::Path) -> usize {
    let log = std::fs::read(directory.join("ringback.sqlite-wal")).unwrap();
    let frames = log[32..].chunks_exact(24 + 4096);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test]
async fn concurrent_appends_share_commits() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let append = application(&store).await;
    let before = commits(directory.path());
    // All are queued before any is waited for; the writer takes what it finds.
    let waiting: Vec<_> = (0..500).map(|_| store.append(vec![append.clone()])).collect();
    for answer in waiting {
        assert!(answer.await.iter().all(Result::is_ok));
    }
    let shared = commits(directory.path()) - before;
    assert!((1..100).contains(&shared), "{shared} commits for 500 appends");
}

/// A process that is killed leaves its files as they are, and so does a copy of them.
#[tokio::test]
async fn the_files_hold_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let append = application(&store).await;
    let scope = ringback_domain::scope::Scope { environment: append.environment, application: 7 };
    let waiting: Vec<_> = (0..100).map(|_| store.append(vec![append.clone()])).collect();
    let mut acknowledged = Vec::new();
    for (number, answer) in waiting.into_iter().enumerate() {
        acknowledged.push(answer.await.remove(0).unwrap().id);
        if number % 33 != 0 {
            continue;
        }
        let copy = tempfile::tempdir().unwrap();
        for file in ["ringback.sqlite", "ringback.sqlite-wal"] {
            std::fs::copy(directory.path().join(file), copy.path().join(file)).unwrap();
        }
        let reopened = open(copy.path());
        for id in &acknowledged {
            assert!(reopened.message(scope, Reference::Id(id.0), true).await.is_ok());
        }
    }
}

/// Whatever was queued before the store is dropped is still done.
#[tokio::test]
async fn dropping_finishes_what_is_queued() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let append = application(&store).await;
    let waiting = store.append(vec![append.clone(); 50]);
    drop(waiting);
    drop(store);
    let store = open(directory.path());
    let scope = ringback_domain::scope::Scope { environment: append.environment, application: 7 };
    let query = ringback_store::MessageQuery {
        page: ringback_store::Page {
            limit: 100,
            from: ringback_store::Position::Start,
            order: ringback_store::Order::Ascending,
        },
        event_types: Vec::new(),
        channel: None,
        tag: None,
        before: None,
        after: None,
        with_content: false,
    };
    assert_eq!(store.messages(scope, query).await.unwrap().items.len(), 50);
}

#[test]
fn a_file_of_a_later_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let file = directory.path().join("ringback.sqlite");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = Sqlite::open(directory.path(), &Options::default()).err().unwrap();
    assert!(error.to_string().contains("schema version 99"), "{error}");
}
