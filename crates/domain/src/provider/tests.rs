//! Every file under `providers/` against its known answers, and against mutations of them.

mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::definition::Scheme;
use super::vector::{Vector, Vectors};
use super::*;
use crate::time::Timestamp;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../providers")
}

/// Files of one directory with this ending, by their stem.
fn files(directory: &Path, ending: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let wanted = entries.filter(|path| path.extension().is_some_and(|end| end == ending));
    let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    wanted.map(|path| (stem(&path), fs::read_to_string(&path).unwrap())).collect()
}

fn providers() -> BTreeMap<String, Provider> {
    let parsed = files(&directory(), "toml").into_iter().map(|(name, text)| {
        let provider = Provider::parse(&text);
        (name.clone(), provider.unwrap_or_else(|mistakes| panic!("{name}: {mistakes:?}")))
    });
    parsed.collect()
}

fn vectors() -> Vec<Vector> {
    let parsed =
        files(&directory().join("vectors"), "json").into_iter().flat_map(|(name, text)| {
            let vectors: Vectors =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            vectors.vectors
        });
    parsed.collect()
}

/// Panics with all complaints, so that one run shows everything.
#[track_caller]
fn none_of(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn every_file_can_be_read_and_is_named_after_its_provider() {
    let mut complaints = Vec::new();
    for (name, text) in files(&directory(), "toml") {
        match Provider::parse(&text) {
            Ok(provider) if provider.id == name => {}
            Ok(provider) => complaints.push(format!("{name}: `id` is {}", provider.id)),
            Err(mistakes) => {
                complaints.extend(mistakes.into_iter().map(|one| format!("{name}: {one}")));
            }
        }
    }
    none_of(complaints);
}

#[test]
fn there_are_enough_of_them_and_each_has_a_known_answer() {
    let providers = providers();
    assert!(providers.len() >= 160, "{}", providers.len());
    let known: BTreeSet<String> = vectors()
        .into_iter()
        .filter(|vector| vector.expect.is_some())
        .map(|v| v.provider)
        .collect();
    let lacks_proof =
        |provider: &Provider| provider.strength != Strength::None && !known.contains(&provider.id);
    let without = providers.values().filter(|one| lacks_proof(one)).map(|one| one.id.clone());
    none_of(without.map(|id| format!("{id} has no vector")).collect());
    let unknown = known.into_iter().filter(|id| !providers.contains_key(id));
    none_of(unknown.map(|id| format!("vectors for {id}, and no file")).collect());
}

#[test]
fn known_answers() {
    let providers = providers();
    let mut complaints = Vec::new();
    for vector in vectors() {
        let Some(provider) = providers.get(&vector.provider) else { continue };
        let answer = match vector.judge(provider) {
            Ok(answer) => answer,
            Err(error) => {
                complaints.push(format!("{}: {error}", vector.id));
                continue;
            }
        };
        let differences = vector.differences(&answer);
        complaints.extend(differences.into_iter().map(|one| format!("{}: {one}", vector.id)));
    }
    none_of(complaints);
}

/// One flipped bit anywhere in what counts, and nothing of it is valid any more.
#[test]
fn mutations_of_known_answers_are_refused() {
    let providers = providers();
    let mut complaints = Vec::new();
    let mut tried = 0;
    for vector in vectors() {
        let is_event = vector.expect.as_deref() == Some("valid") && vector.kind.is_none();
        let Some(provider) = providers.get(&vector.provider).filter(|_| is_event) else { continue };
        let signs = provider.verify.iter().any(|block| {
            matches!(block.get_ref().scheme, Scheme::Hmac | Scheme::Digest | Scheme::Signature)
        });
        if !signs {
            continue;
        }
        let mut check = |what: &str, mutated: &Vector| {
            tried += 1;
            if mutated.judge(provider).is_ok_and(|answer| answer.verdict.state == State::Verified) {
                complaints.push(format!("{}: {what} is accepted", vector.id));
            }
        };
        if provider.strength == Strength::Signed && !vector.request.body.is_empty() {
            let mut mutated = vector.clone();
            mutated.request.body = flipped(&vector.request.body);
            check("a flipped bit in the body", &mutated);
        }
        for (name, value) in &vector.request.headers {
            if !provider.reads_header_as_proof(name) {
                continue;
            }
            for (what, changed) in mutations(value) {
                let mut mutated = vector.clone();
                mutated.request.headers.insert(name.clone(), changed);
                check(&format!("{what} in {name}"), &mutated);
            }
            let mut without = vector.clone();
            without.request.headers.remove(name);
            check(&format!("a request without {name}"), &without);
        }
        if let Some(serde_json::Value::String(secret)) = vector.rest.get("secret") {
            let mut mutated = vector.clone();
            mutated.rest.insert("secret".to_owned(), flipped(secret).into());
            check("a flipped bit in the secret", &mutated);
        }
    }
    none_of(complaints);
    assert!(tried > 500, "{tried}");
}

impl Provider {
    /// Whether the header holds the signature itself.
    fn reads_header_as_proof(&self, name: &str) -> bool {
        self.verify.iter().any(|block| {
            let signature = &block.get_ref().signature;
            let several = signature.header.iter().count() > 1
                || signature.header.iter().any(|header| header.ends_with('*'));
            !several && signature.header.iter().any(|header| header == name)
        })
    }
}

/// The text with its last letter or digit changed to another one that a decoder takes as well.
fn flipped(text: &str) -> String {
    let at = text.rfind(|c: char| c.is_ascii_alphanumeric()).unwrap();
    // The last character of base64 may hold bits that do not count; the one before it does not.
    let at = text[..at].rfind(|c: char| c.is_ascii_alphanumeric()).unwrap_or(at);
    let replacement = if &text[at..=at] == "1" { "2" } else { "1" };
    format!("{}{replacement}{}", &text[..at], &text[at + 1..])
}

fn mutations(value: &str) -> Vec<(&'static str, String)> {
    // Several signatures stand in one header: all of them have to go wrong.
    let all_flipped: String = value
        .split_inclusive([',', ' ', ';'])
        .map(|piece| {
            let is_long = piece.trim_end_matches([',', ' ', ';']).len() > 20;
            if is_long { flipped(piece) } else { piece.to_owned() }
        })
        .collect();
    let halved: String = value
        .split_inclusive([',', ' ', ';'])
        .map(|piece| &piece[..if piece.len() > 20 { piece.len() / 2 } else { piece.len() }])
        .collect();
    vec![
        ("a flipped bit", all_flipped),
        ("nothing", String::new()),
        ("half of it", halved),
        ("more than it", value.replace([',', ' '], "AA,").repeat(40)),
    ]
}

/// Whatever can be signed backwards verifies, and no longer does when it is old.
#[test]
fn samples_are_signed_and_verified_by_the_same_file() {
    let mut complaints = Vec::new();
    let mut signed = 0;
    let now = Timestamp(1_760_000_000_000);
    for provider in providers().values() {
        let settings = made_up(provider);
        for sample in &provider.samples {
            let headers: Vec<(String, String)> = sample
                .headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                .collect();
            let sent: Vec<(&str, &[u8])> =
                headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
            let url = "https://hooks.example.com/in/sample";
            let request = Request::new("POST", url, &sent, sample.body.as_bytes());
            let event = provider.event(&request, None);
            if event.kind.as_deref().is_none_or(|kind| !kind.starts_with(&plain(&sample.event))) {
                complaints.push(format!(
                    "{}: the sample {} is read as {:?}",
                    provider.id, sample.event, event.kind
                ));
            }
            let Ok(made) = provider.sign(&request, &settings, "rb_sample_1", now) else { continue };
            signed += 1;
            let mut whole = sent.clone();
            whole.extend(made.iter().map(|(n, v)| (n.as_str(), v.as_bytes())));
            let request = Request::new("POST", url, &whole, sample.body.as_bytes());
            let verdict = |at: Timestamp| match provider.verify(&request, &settings, &(), at) {
                Outcome::Verdict(verdict) => verdict,
                Outcome::Fetch(key) => panic!("{key:?}"),
            };
            if !verdict(now).is_proven() {
                complaints.push(format!("{}: {:?}, {made:?}", provider.id, verdict(now)));
            }
            let has_window = provider
                .verify
                .iter()
                .any(|block| block.get_ref().timestamp.as_ref().is_some_and(|rule| !rule.optional));
            let day = std::time::Duration::from_secs(86_400);
            if has_window && verdict(now + day).reason.is_none() && provider.verify.len() == 1 {
                complaints.push(format!("{}: a day later it is still valid", provider.id));
            }
        }
    }
    none_of(complaints);
    assert!(signed > 100, "{signed}");
}

fn plain(kind: &str) -> String {
    kind.chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
        .collect()
}

/// Values that have the shape that each setting asks for.
fn made_up(provider: &Provider) -> Settings {
    let mut settings = Settings::new();
    for setting in &provider.settings {
        if setting.kind == Kind::PublicKey {
            continue;
        }
        let base = "72622d746573742d7365637265742d303030312d72622d746573742d7365637265";
        let length = setting.min_length.or(setting.max_length).unwrap_or(32).clamp(1, 128);
        let value: String = base.chars().cycle().take(length.max(8) / 4 * 4).collect();
        let value = format!("{}{value}", setting.prefix.clone().unwrap_or_default());
        settings.set(setting.name.clone(), vec![value]);
    }
    settings
}

#[test]
fn the_reason_is_proven_where_it_can_be() {
    let github = &providers()["github"];
    let mut settings = Settings::new();
    settings.set("secret", vec!["rb-test-old".to_owned(), "rb-test-secret".to_owned()]);
    let body = br#"{"zen":  "Keep it logically awesome."}"#;
    let url = "https://hooks.example.com/in/x";
    let signing = {
        let mut only = Settings::new();
        only.set("secret", vec!["rb-test-secret".to_owned()]);
        only
    };
    let plain = Request::new("POST", url, &[], body);
    let made = github.sign(&plain, &signing, "1", Timestamp(0)).unwrap();
    let headers: Vec<(&str, &[u8])> =
        made.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
    let code = |body: &[u8], settings: &Settings| {
        let request = Request::new("POST", url, &headers, body);
        match github.verify(&request, settings, &(), Timestamp(0)) {
            Outcome::Verdict(verdict) => verdict.reason.map_or("ok", |reason| reason.code()),
            Outcome::Fetch(_) => "fetch",
        }
    };
    assert_eq!(code(body, &settings), "ok", "an older secret still counts");
    assert_eq!(code(&[&body[..], b"\n"].concat(), &settings), "body_changed");
    assert_eq!(code(b"{}", &settings), "signature_mismatch");
    assert_eq!(code(body, &Settings::new()), "missing_setting");
    let mut padded = Settings::new();
    padded.set("secret", vec!["rb-test-secret ".to_owned()]);
    assert_eq!(code(body, &padded), "secret_form");
}

#[test]
fn mistakes_in_a_file_have_a_line() {
    let good = fs::read_to_string(directory().join("github.toml")).unwrap();
    let line_of = |text: &str| match Provider::parse(text) {
        Ok(_) => panic!("it was read"),
        Err(mistakes) => (mistakes[0].line, mistakes[0].message.clone()),
    };
    let at = 1 + good.lines().position(|line| line.starts_with("message")).unwrap();
    let (line, message) = line_of(&good.replace("{body}", "{bodi}"));
    assert_eq!(line, at, "{message}");
    assert!(message.contains("`bodi` is no value"), "{message}");
    let (_, message) = line_of(&good.replace("{setting.secret}", "{setting.sekret}"));
    assert!(message.contains("`sekret` is not declared"), "{message}");
    let oracle = format!(
        "{good}\n[[handshake]]\nname = \"x\"\nbody = \"{{query.c|hmac-sha256:secret|hex}}\"\n"
    );
    let (_, message) = line_of(&oracle);
    assert!(message.contains("needs a `shape`"), "{message}");
}
