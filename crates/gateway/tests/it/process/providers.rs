//! `ringback providers`, and a server with providers of the operator's own.

use std::{fs, path::PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::{run, stderr, stdout, text};
use crate::support::{Server, Settings};

/// A directory with a provider `acme`, whose file is GitHub's with this mistake or none.
fn own(mistake: (&str, &str)) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    put(&directory, mistake);
    directory
}

fn put(directory: &TempDir, (right, wrong): (&str, &str)) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    let github = fs::read_to_string(folder.join("github.toml")).unwrap();
    let own = github
        .replace("id = \"github\"", "id = \"acme\"")
        .replace("name = \"GitHub\"", "name = \"Acme\"")
        .replace(right, wrong);
    fs::write(directory.path().join("acme.toml"), own).unwrap();
}

/// Where in the file this stands, as mistakes name it.
fn place(directory: &TempDir, text: &str) -> String {
    let file = fs::read_to_string(directory.path().join("acme.toml")).unwrap();
    let index = file.lines().position(|line| line.contains(text)).unwrap();
    format!("acme.toml:{}: ", index + 1)
}

#[test]
fn the_list_has_every_provider_and_counts_the_grades() {
    let directory = own(("", ""));
    let dir = text(directory.path());
    let shown = stdout(&run(&["providers", "--providers", dir], &[]));
    let line = |start: &str| shown.lines().find(|line| line.starts_with(start)).unwrap();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(shown.lines().next().unwrap()), ["ID", "NAME", "STRENGTH", "PROOF"]);
    assert_eq!(words(line("github ")), ["github", "GitHub", "signed", "published"]);
    assert_eq!(words(line("acme ")), ["acme", "Acme", "signed", "published", "yours"]);

    let all = stdout(&run(&["providers", "--json", "--providers", dir], &[]));
    let all: Vec<Value> = serde_json::from_str(&all).unwrap();
    assert!(shown.contains(&format!("\n{} providers\n", all.len())), "{shown}");
    for grade in ["published", "vendor-sdk", "derived"] {
        let number = all.iter().filter(|one| one["proof"] == grade).count();
        assert_eq!(words(line(grade))[1], number.to_string());
    }
    let acme = all.iter().find(|one| one["id"] == "acme").unwrap();
    assert!(acme["file"].as_str().unwrap().ends_with("/acme.toml"), "{acme}");
    assert!(all.iter().filter(|one| one.get("file").is_some()).count() == 1);
}

#[test]
fn one_is_shown_for_people_for_programs_and_as_its_file() {
    let shown = stdout(&run(&["providers", "show", "stripe"], &[]));
    for part in [
        "Stripe  stripe\n",
        "  strength  signed: the proof covers the whole body\n",
        "  proof     vendor-sdk: by the provider's own library\n",
        "  file      built in\n",
        "    secret  secret, begins with whsec_  Signing secret of the endpoint (whsec_...)\n",
        "    HMAC-SHA256 over {sig.t}.{body}, in stripe-signature, at most 300 s old\n",
        "    200 to what is proven, 401 to what is not, wanted within 10 s\n",
        "    charge.succeeded, invoice.paid, payment_intent.succeeded, charge.refunded",
    ] {
        assert!(shown.contains(part), "{part:?} is not in\n{shown}");
    }
    assert!(shown.lines().all(|line| line.chars().count() <= 120), "{shown}");
    let json = stdout(&run(&["providers", "show", "slack", "--json"], &[]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["challenges"][0], "URL verification");
    assert_eq!(json["settings"][0]["kind"], "secret");
    let file = stdout(&run(&["providers", "show", "stripe", "--toml"], &[]));
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    assert_eq!(file, fs::read_to_string(folder.join("stripe.toml")).unwrap());
    let unknown = run(&["providers", "show", "strip"], &[]);
    assert_eq!(unknown.status.code(), Some(64));
    assert!(stderr(&unknown).contains("did you mean stripe?"), "{}", stderr(&unknown));
}

#[test]
fn files_are_checked() {
    let good = own(("", ""));
    let checked = run(&["providers", "check", text(good.path())], &[]);
    assert_eq!(checked.status.code(), Some(0), "{}", stdout(&checked));
    assert_eq!(stdout(&checked), "acme  Acme  signed  published  yours\n");
    assert_eq!(stderr(&checked), "1 file without a mistake\n");

    let bad = own(("{setting.secret}", "{setting.sekret}"));
    fs::write(bad.path().join("empty.toml"), "").unwrap();
    let checked = run(&["providers", "check", text(bad.path())], &[]);
    assert_eq!(checked.status.code(), Some(1));
    let told = stdout(&checked);
    // Of a block the first line is named.
    let at = place(&bad, "[[verify]]");
    assert!(told.contains(&format!("{at}setting `sekret` is not declared")), "{told}");
    assert!(told.contains("empty.toml:1: missing field `schema`"), "{told}");
    assert_eq!(stderr(&checked), "2 mistakes in 2 files\n");
    let checked = run(&["providers", "check", text(bad.path()), "--json"], &[]);
    assert_eq!((checked.status.code(), &*stderr(&checked)), (Some(1), ""));
    let problems: Vec<Value> = serde_json::from_str(&stdout(&checked)).unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    let empty = problems.iter().find(|one| one["line"] == 1).unwrap();
    assert_eq!(empty["file"], text(&bad.path().join("empty.toml")));
    assert!(empty["problem"].as_str().unwrap().contains("missing field `schema`"), "{empty}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_refuses_a_broken_file_and_reads_what_changes() {
    let directory = own(("{body}", "{bodi}"));
    let dir = text(directory.path()).to_owned();
    let data = directory.path().join("data");
    let mistake = format!("{}`bodi` is no value", place(&directory, "bodi"));
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", text(&data)];
    for (words, env) in [
        ([&serve[..], &["--providers", &dir]].concat(), ("X", "")),
        (serve.to_vec(), ("RINGBACK_PROVIDERS", &*dir)),
    ] {
        let refused = run(&words, &[env]);
        let told = stderr(&refused);
        assert_eq!(refused.status.code(), Some(64), "{told}");
        assert!(told.contains(&mistake), "{told}");
        assert!(!data.exists());
    }

    put(&directory, ("", ""));
    let mut server = Server::start(Settings::default().env("RINGBACK_PROVIDERS", &dir));
    put(&directory, ("{body}", "{bodi}"));
    server.wait_for_log("its last good version stays in force");
    assert!(server.log().contains(&mistake), "{}", server.log());
    put(&directory, ("", ""));
    server.wait_for_log("a provider's file was read");
    assert_eq!(server.stop().code(), Some(0));
}
