//! SQLite against the conformance suite, and its own promises: shared commits, and files that hold
//! whatever was acknowledged.

use std::sync::Arc;

use bytes::Bytes;
use ringback_domain::{
    application::{Application, Metadata},
    id::{ApplicationId, Id},
    scope::{Reference, Scope},
    time::Timestamp,
};
use ringback_store::{
    Append, NewApplication, NewMessage, Order, Page, Position, Store,
    conformance::Case,
    sqlite::{Options, Sqlite},
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

conformance_tests!();

async fn conform(case: Case) {
    let directory = tempfile::tempdir().unwrap();
    let open = || Arc::new(open(directory.path())) as Arc<dyn Store>;
    case.run(&open).await;
}

fn open(directory: &std::path::Path) -> Sqlite {
    Sqlite::open(directory, &Options::default()).unwrap()
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
    let scope = Scope { environment: append.environment, application: 7 };
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
    let scope = Scope { environment: append.environment, application: 7 };
    let query = ringback_store::MessageQuery {
        page: Page { limit: 100, from: Position::Start, order: Order::Ascending },
        event_types: Vec::new(),
        channel: None,
        tag: None,
        before: None,
        after: None,
        with_content: false,
    };
    assert_eq!(store.messages(scope, query).await.unwrap().items.len(), 50);
}

#[tokio::test]
async fn nothing_is_changed_without_its_entry() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let environment = store.environment("default".to_owned(), NOW).await.unwrap();
    let other = rusqlite::Connection::open(directory.path().join("ringback.sqlite")).unwrap();
    other.execute_batch("DROP TABLE audit").unwrap();
    crate::entries::check(&store, environment).await;
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
