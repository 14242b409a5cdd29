//! A disk that is full, and a disk that fails.

use std::{fs, io::Write, path::PathBuf, time::Duration};

use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{Answer, Receiver, Server, Settings, Store};

/// Recovery after there is space again, by itself.
const RECOVERY: Duration = Duration::from_secs(10);

/// A server on a file system of a few megabytes in a mount namespace of its own.
struct SmallDisk {
    server: Server,
    directory: tempfile::TempDir,
}

impl SmallDisk {
    fn new(megabytes: usize) -> SmallDisk {
        let directory = tempfile::tempdir().unwrap();
        let mount = format!(
            "mount -t tmpfs -o size={megabytes}m small \"{}\" && exec \"$@\"",
            directory.path().display()
        );
        let through = ["unshare", "--mount", "sh", "-c", &mount, "sh"].map(str::to_owned).to_vec();
        let data = Some(directory.path().join("data"));
        let store = Some(Store::Sqlite);
        let settings = Settings { data, through, store, ..Settings::default() }
            .env("RINGBACK_DELIVERY_RETRY_SCHEDULE", "1,1,1,1,1");
        SmallDisk { server: Server::start(settings), directory }
    }

    /// The file system as only the server's namespace sees it.
    fn ballast(&self) -> PathBuf {
        let inside = self.directory.path().join("ballast");
        PathBuf::from(format!("/proc/{}/root{}", self.server.pid(), inside.display()))
    }

    /// Takes all space but this many bytes.
    fn fill(&self, leave: usize) {
        let mut file = fs::File::create(self.ballast()).unwrap();
        let block = vec![0u8; 4096];
        while file.write_all(&block).is_ok() {}
        let size = file.metadata().unwrap().len();
        file.set_len(size.saturating_sub(leave as u64)).unwrap();
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

fn message(number: usize) -> Value {
    json!({ "eventType": "disk.test", "payload": { "n": number, "pad": "x".repeat(8_000) } })
}

/// Posts until it is refused; returns the ids that were acknowledged.
async fn post_until_full(server: &Server, path: &str) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0..20_000 {
        let body = message(number).to_string();
        let answer = server.client().call(Method::POST, path, Some(body.into())).await.unwrap();
        let json: Value = serde_json::from_slice(&answer.body).unwrap();
        match answer.status.as_u16() {
            202 => acknowledged.push(json["id"].as_str().unwrap().to_owned()),
            503 => {
                assert_eq!(json["code"], "disk_full", "{json}");
                return acknowledged;
            }
            other => panic!("{other}: {json}"),
        }
    }
    panic!("the disk never became full");
}

/// Posts until it is accepted again; how long that took.
async fn time_to_recover(server: &Server, path: &str) -> (Duration, String) {
    let freed = Instant::now();
    loop {
        let (status, json) = server.call(Method::POST, path, Some(message(0))).await;
        if status == 202 {
            return (freed.elapsed(), json["id"].as_str().unwrap().to_owned());
        }
        assert_eq!(status, 503, "{json}");
        assert!(freed.elapsed() < RECOVERY, "still refused after {RECOVERY:?}");
        // What is waited for is another process's disk: there is no signal to wait on.
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_recovers() {
    let disk = SmallDisk::new(48);
    let server = &disk.server;
    let receiver = Receiver::ok();
    let (app, _) = server.application(&receiver.url()).await;
    let path = format!("/api/v1/app/{app}/msg");

    // A little is left: the log takes messages until it is full, while checkpoints, which need
    // room in the database, fail before.
    disk.fill(2 << 20);
    let mut acknowledged = post_until_full(server, &path).await;
    assert!(!acknowledged.is_empty());
    server.wait_for_log("a checkpoint failed and will be tried again");
    let (status, json) = server.call(Method::POST, &path, Some(message(1))).await;
    assert_eq!((status, &json["code"]), (503, &json!("disk_full")));
    // Nothing half-stored: the list has what was acknowledged, and it can be read.
    let listed = server.get(&format!("{path}?limit=1")).await;
    assert_eq!(listed["data"][0]["id"], json!(acknowledged.last().unwrap()));

    disk.free();
    let (took, id) = time_to_recover(server, &path).await;
    acknowledged.push(id);
    println!("accepting again {took:?} after there was space");
    receiver.wait_until(|_, by_id| acknowledged.iter().all(|id| by_id.contains_key(id)));
    assert_eq!(receiver.by_id().len(), acknowledged.len(), "what was refused was not sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_wait_for_space() {
    let disk = SmallDisk::new(32);
    let server = &disk.server;
    let receiver = Receiver::with(|_, _| Answer::Slowly(200, Duration::from_secs(2)));
    let (app, _) = server.application(&receiver.url()).await;
    let path = format!("/api/v1/app/{app}/msg");
    let accepted = server.post(&path, message(0)).await;
    let id = accepted["id"].as_str().unwrap().to_owned();
    receiver.wait_for(1);

    // While the receiver thinks, the disk fills up: the result cannot be recorded.
    disk.fill(0);
    let (status, _) = server.call(Method::POST, &path, Some(message(1))).await;
    assert_eq!(status, 503);
    let attempts = format!("/api/v1/app/{app}/attempt/msg/{id}");
    // Nothing is posted any more: what fails now is the recording.
    let refused = "a transaction failed and was rolled back";
    server.wait_for_log_times(refused, server.logged(refused) + 1);
    assert_eq!(server.get(&attempts).await["data"], json!([]), "nothing could be recorded");

    disk.free();
    let freed = Instant::now();
    let recorded = loop {
        let list = server.get(&attempts).await;
        if let Some(attempt) = list["data"].get(0) {
            break attempt.clone();
        }
        assert!(freed.elapsed() < RECOVERY, "the result was not recorded");
        sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(recorded["responseStatusCode"], 200);
    assert_eq!(receiver.receipts().len(), 1, "it was not sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_ends_the_process_and_the_next_start_is_clean() {
    let receiver = Receiver::ok();
    let directory = tempfile::tempdir().unwrap();
    // The first syncs, of the start and of the application, succeed; then the disk fails for good.
    let inject = "inject=fsync,fdatasync:error=EIO:when=60+";
    let trace =
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", inject];
    let settings = Settings {
        data: Some(directory.path().join("data")),
        through: trace.map(str::to_owned).to_vec(),
        store: Some(Store::Sqlite),
        ..Settings::default()
    };
    let mut server = Server::start(settings.clone());
    let (app, _) = server.application(&receiver.url()).await;
    let path = format!("/api/v1/app/{app}/msg");
    let mut acknowledged = Vec::new();
    for number in 0..1_000 {
        let body = json!({ "eventType": "sync.test", "payload": { "n": number } }).to_string();
        let answer = server.client().call(Method::POST, &path, Some(body.into())).await;
        let Ok(answer) = answer else { break };
        if answer.status != 202 {
            break;
        }
        let json: Value = serde_json::from_slice(&answer.body).unwrap();
        acknowledged.push(json["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(server.wait().code(), Some(74), "a failed sync is not survived");
    assert!(!acknowledged.is_empty() && acknowledged.len() < 1_000);

    drop(server);
    let mut server = Server::start(Settings { through: Vec::new(), ..settings });
    let listed = server.get(&format!("{path}?limit=250")).await;
    let listed: Vec<_> = listed["data"].as_array().unwrap().iter().map(|m| &m["id"]).collect();
    for id in &acknowledged {
        assert!(listed.contains(&&json!(id)), "{id} was acknowledged and is gone");
    }
    receiver.wait_until(|_, by_id| acknowledged.iter().all(|id| by_id.contains_key(id)));
    println!("{} acknowledged before the disk failed, 0 lost", acknowledged.len());
    assert_eq!(server.stop().code(), Some(0));
}
