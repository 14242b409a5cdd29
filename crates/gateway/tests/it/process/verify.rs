//! `ringback verify`: the verdict over one request, and over files of known answers.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use super::{command, run, stderr, stdout, text};

/// GitHub's own example of a signature.
const SECRET: &str = "It's a Secret to Everybody";
const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

fn github(body: &str) -> String {
    let headers = json!({ "X-Hub-Signature-256": SIGNATURE, "X-GitHub-Event": "ping" });
    json!({ "method": "POST", "headers": headers, "body": body }).to_string()
}

/// Runs the program with this on its standard input.
fn run_with(words: &[&str], env: &[(&str, &str)], input: &str) -> Output {
    let mut child = command(words, env)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn providers() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../providers")
}

#[test]
fn one_request_is_judged_in_one_line() {
    let verify = ["verify", "--provider", "github", "--request", "-"];
    let with = |secret| [&verify[..], &["--secret", secret]].concat();
    for (words, env, body, code, expected) in [
        (with(SECRET), ("X", ""), "Hello, World!", 0, "✓ valid  signed by GitHub: ping  → 200\n"),
        // The newest first, and an older one counts as well.
        (
            [&with("rb-test-new")[..], &["--secret", SECRET]].concat(),
            ("X", ""),
            "Hello, World!",
            0,
            "✓ valid  signed by GitHub: ping  → 200\n",
        ),
        (
            verify.to_vec(),
            ("RINGBACK_SECRET", SECRET),
            "Hello, World!",
            0,
            "✓ valid  signed by GitHub: ping  → 200\n",
        ),
        (
            with(SECRET),
            ("X", ""),
            "Hello, World",
            1,
            "✗ invalid  signature_mismatch  no signature fits: the secret is another one, or the \
             request was changed  → 401\n",
        ),
        (
            with(SECRET),
            ("X", ""),
            "Hello, World!\n",
            1,
            "✗ invalid  body_changed  the signature fits the body without the white space at \
             its ends  → 401\n",
        ),
        (
            verify.to_vec(),
            ("RINGBACK_SECRET", ""),
            "Hello, World!",
            1,
            "✗ invalid  missing_setting  the source has no `secret`  → 401\n",
        ),
    ] {
        let output = run_with(&words, &[env], &github(body));
        assert_eq!(stdout(&output), expected, "{words:?}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(code), "{words:?}");
    }
}

#[test]
fn programs_get_the_verdict_as_json() {
    let words = ["verify", "--provider", "github", "--secret", SECRET, "--request", "-", "--json"];
    let told: Value =
        serde_json::from_str(&stdout(&run_with(&words, &[], &github("Hello, World!")))).unwrap();
    let expected = json!({
        "provider": "github", "verdict": "valid", "state": "verified", "reason": "ok",
        "event": { "id": null, "type": "ping" },
        "response": { "status": 200, "headers": {}, "body": "" },
    });
    assert_eq!(told, expected);
    let told: Value = serde_json::from_str(&stdout(&run_with(&words, &[], &github("{}")))).unwrap();
    assert_eq!(told["verdict"], "invalid");
    assert_eq!(told["reason"], "signature_mismatch");
    assert!(told["detail"].as_str().unwrap().starts_with("no signature fits"), "{told}");
    assert_eq!(told["response"]["status"], 401);
}

/// How much it proves is said, and a setting may be called as a vector calls it.
#[test]
fn what_is_proven_is_said() {
    for (name, expected) in [
        ("adyen", "✓ valid  signed in part by Adyen (standard webhooks): EVENT, id "),
        ("sendgrid", "✓ valid  signed by "),
        ("generic-bearer", "✓ valid  shared secret of "),
        ("okta", "✓ valid  challenge of Okta event hooks: "),
    ] {
        let file = providers().join(format!("vectors/{name}.json"));
        let file: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let mut all = file["vectors"].as_array().unwrap().iter();
        let valid = all.find(|one| one["expect"] == "valid");
        let vector = valid.unwrap().as_object().unwrap();
        let now = vector["now"].to_string();
        let mut words = ["verify", "--provider", name, "--request", "-", "--now", &now]
            .map(str::to_owned)
            .to_vec();
        let given = ["secret", "public_url", "public_key_spki_b64", "verify_token", "token"];
        for (field, value) in vector.iter().filter(|(field, _)| given.contains(&field.as_str())) {
            let Some(value) = value.as_str() else { continue };
            match field.as_str() {
                "public_url" => words.extend(["--public-url".to_owned(), value.to_owned()]),
                _ => words.extend(["--set".to_owned(), format!("{field}={value}")]),
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = run_with(&words, &[], &vector["request"].to_string());
        let line = stdout(&output);
        assert!(line.contains(expected), "{name}: {line}{}", stderr(&output));
        assert_eq!(output.status.code(), Some(0), "{name}: {line}");
    }
}

/// What a request holds can neither break the line nor steer the terminal.
#[test]
fn the_line_stays_a_line() {
    let body = json!({ "type": "url\u{1b}[2J", "validationToken": "x" }).to_string();
    let request = json!({
        "method": "GET", "url": "https://h/x?hub.mode=subscribe&hub.verify_token=t&hub.challenge=1%0A%1B[2J",
        "body": body,
    });
    let words = ["verify", "--provider", "meta", "--request", "-", "--set", "verify_token=t"];
    let output = run_with(&words, &[], &request.to_string());
    let line = stdout(&output);
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(!line.contains('\u{1b}'), "{line}");
}

#[test]
fn a_stale_request_and_one_of_now() {
    let words = ["verify", "--provider", "standard-webhooks", "--request", "-"];
    let secret = ["--secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
    // The example of the specification.
    let request = json!({
        "headers": {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        "body": r#"{"test": 2432232314}"#,
    });
    for (now, code, expected) in [
        (&["--now", "1614265331"][..], 0, "✓ valid"),
        (&["--now", "1614266331"], 1, "stale"),
        (&[], 1, "stale"),
    ] {
        let words = [&words[..], &secret, now].concat();
        let output = run_with(&words, &[], &request.to_string());
        assert!(stdout(&output).contains(expected), "{now:?}: {}", stdout(&output));
        assert_eq!(output.status.code(), Some(code), "{now:?}");
    }
}

#[test]
fn wrong_arguments_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("broken.toml");
    fs::write(&broken, "schema = 1\nid = 7\n").unwrap();
    for (words, named) in [
        (&["--request", "-"][..], "not a request as JSON"),
        (&["--provider", "github"], "--request"),
        (&["--provider", "git-hub", "--request", "-"], "did you mean github?"),
        (&["--provider", "xyz", "--request", "-"], "`ringback providers` lists them"),
        (&["--provider", "github", "--request", "/nowhere"], "/nowhere"),
        (&["--provider", "github", "--request", "-"], "not a request as JSON"),
        (
            &["--provider", "github", "--set", "x=1", "--request", "-"],
            "no setting \"x\": it has secret",
        ),
        (&["--provider", "github", "--set", "secret", "--request", "-"], "NAME=VALUE"),
        (&["--vectors", "-"], "not a file of vectors"),
        (&["--vectors", "-", "--provider", "github"], "--provider"),
        (&["--vectors", "-", "--providers", text(directory.path())], "broken.toml:2:"),
        (&["--vectors", "-", "--providers", "/nowhere"], "/nowhere"),
    ] {
        let output = run(&[&["verify"], words].concat(), &[]);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(64), "{words:?}: {told}");
        assert!(told.contains(named), "{words:?}: {told}");
        assert_eq!(stdout(&output), "", "{words:?}");
    }
    // A secret that no source would take is told, and what it gives is judged.
    let words = ["verify", "--provider", "stripe", "--secret", "sk_x", "--request", "-"];
    let output = run_with(&words, &[], r#"{"headers": {"stripe-signature": "t=1,v1=00"}}"#);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("has to begin with `whsec_`"), "{}", stderr(&output));
}

#[test]
fn a_key_that_a_source_would_fetch_is_given() {
    let vectors = fs::read_to_string(providers().join("vectors/aws-sns.json")).unwrap();
    let vectors: Value = serde_json::from_str(&vectors).unwrap();
    let all = vectors["vectors"].as_array().unwrap();
    let is_event = |one: &&Value| {
        one["expect"] == "valid" && one["kind"].is_null() && one["cert_pem_test_only"].is_string()
    };
    let vector = all.iter().find(is_event).unwrap();
    let key = tempfile::NamedTempFile::new().unwrap();
    fs::write(&key, vector["cert_pem_test_only"].as_str().unwrap()).unwrap();
    let now = vector["now"].to_string();
    let words = ["verify", "--provider", "aws-sns", "--request", "-", "--now", &now];
    let request = vector["request"].to_string();
    let given = run_with(&[&words[..], &["--key", text(key.path())]].concat(), &[], &request);
    assert_eq!(given.status.code(), Some(0), "{}{}", stdout(&given), stderr(&given));
    let without = run_with(&words, &[], &request);
    assert_eq!(without.status.code(), Some(1));
    assert!(stdout(&without).contains("key_unavailable"), "{}", stdout(&without));
    assert!(stderr(&without).contains("--key"), "{}", stderr(&without));
}

/// Every known answer of every provider, through the program.
#[test]
fn known_answers_are_given() {
    let mut whole = Vec::new();
    for entry in fs::read_dir(providers().join("vectors")).unwrap() {
        let file: Value =
            serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
        whole.extend(file["vectors"].as_array().unwrap().iter().cloned());
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, json!({ "note": "all", "vectors": whole }).to_string()).unwrap();
    let output = run(&["verify", "--vectors", text(file.path())], &[]);
    let (lines, told) = (stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_eq!(told, format!("{} judged, all as expected\n", whole.len()));
    for (line, vector) in lines.lines().zip(&whole) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["id"], vector["id"]);
        assert_eq!(line["verdict"], vector["expect"], "{line}");
        assert_eq!(line["reason"] == "ok", vector["expect"] == "valid", "{line}");
        let status = &vector["expected_response"]["status"];
        assert!(status.is_null() || *status == line["response"]["status"], "{line}");
        assert!(line["response"]["headers"].is_object() && line["response"]["body"].is_string());
    }
    assert_eq!(lines.lines().count(), whole.len());
}

#[test]
fn what_is_not_as_expected_is_told_and_hides_nothing() {
    let vector = |id: &str, provider: &str, expect: &str| {
        json!({
            "id": id, "provider": provider, "secret": SECRET, "now": 1_700_000_000,
            "request": serde_json::from_str::<Value>(&github("Hello, World!")).unwrap(),
            "expect": expect,
        })
    };
    let mut unknown_time = vector("no-now", "github", "valid");
    unknown_time.as_object_mut().unwrap().remove("now");
    let vectors = [
        vector("right", "github", "valid"),
        vector("wrong", "github", "invalid"),
        vector("stranger", "no-such-provider", "valid"),
        unknown_time,
        vector("last", "github", "valid"),
    ];
    let output =
        run_with(&["verify", "--vectors", "-"], &[], &json!({ "vectors": vectors }).to_string());
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            let word = |name: &str| line[name].as_str().unwrap().to_owned();
            [word("id"), word("verdict"), word("reason")].join(" ")
        })
        .collect();
    let expected = [
        "right valid ok",
        "wrong valid ok",
        "stranger invalid unknown_provider",
        "no-now invalid unreadable",
        "last valid ok",
    ];
    assert_eq!(told, expected);
    let expected = "\
wrong: expected to be invalid, is valid (ok)
stranger: there is no provider \"no-such-provider\"
no-now: cannot be read: missing field `now`
5 judged, 3 not as expected
";
    assert_eq!(stderr(&output), expected);
}

/// A provider of one's own is judged by its file.
#[test]
fn own_files_are_tested_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let github = fs::read_to_string(providers().join("github.toml")).unwrap();
    let own = github
        .replace("id = \"github\"", "id = \"acme\"")
        .replace("name = \"GitHub\"", "name = \"Acme\"")
        .replace("x-hub-signature-256", "x-acme-signature");
    fs::write(directory.path().join("acme.toml"), own).unwrap();
    let request = json!({ "headers": { "x-acme-signature": SIGNATURE }, "body": "Hello, World!" });
    let words = ["verify", "--provider", "acme", "--secret", SECRET, "--request", "-"];
    let env = [("RINGBACK_PROVIDERS", text(directory.path()))];
    let output = run_with(&words, &env, &request.to_string());
    assert_eq!(stdout(&output), "✓ valid  signed by Acme  → 200\n", "{}", stderr(&output));
    let unset = run_with(&words, &[("RINGBACK_PROVIDERS", "")], &request.to_string());
    assert!(stderr(&unset).contains("there is no provider \"acme\""), "{}", stderr(&unset));
}
