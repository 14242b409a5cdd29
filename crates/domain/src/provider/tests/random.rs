//! Whatever a request holds: nothing panics, and nothing made up is proven.
//!
//! Requests are put together from what parsers of headers look for, under the names that the files
//! name, so that they get further than a first check. `fuzz/` has the same questions for a fuzzer.

use std::sync::{Arc, LazyLock};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::http_signatures;
use super::super::jwt::{self, Token};
use super::super::template::Template;
use super::*;
use crate::base64::unbase64;
use crate::public_key;

const URL: &str = "https://hooks.example.com/in/x";

/// A provider, the words of its file, and what a source of it has.
struct Known {
    provider: Provider,
    /// The file itself.
    text: String,
    /// Whatever may be the name of a header in it.
    names: Vec<String>,
    /// The fields of JSON bodies in it.
    fields: Vec<Vec<String>>,
    vectors: Vec<Vector>,
}

static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let mut all: Vec<Known> = files(&directory(), "toml")
        .into_values()
        .map(|text| Known {
            provider: Provider::parse(&text).unwrap(),
            names: names(&text),
            fields: fields(&text),
            text,
            vectors: Vec::new(),
        })
        .collect();
    for vector in vectors() {
        let known = all.iter_mut().find(|known| known.provider.id == vector.provider).unwrap();
        known.vectors.push(vector);
    }
    all
});

/// Names that the file's own headers may have, and those that schemes have by themselves.
fn names(text: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let quoted = text.split(['"', '\'']).filter(|word| word.chars().all(is_name));
    let named = text.split("header.").skip(1).map(|rest| rest.split(|c| !is_name(c)).next());
    let own = ["authorization", "signature", "signature-input", "content-digest", "digest", "date"];
    let all = quoted.chain(named.flatten()).chain(own).chain(["content-type"]);
    let all: BTreeSet<&str> = all.filter(|name| !name.is_empty()).collect();
    all.into_iter().map(str::to_owned).collect()
}

fn fields(text: &str) -> Vec<Vec<String>> {
    let end = |c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c));
    let paths = text.split("json.").skip(1).filter_map(|rest| rest.split(end).next());
    paths.map(|path| path.split('.').map(str::to_owned).collect()).collect()
}

/// What headers are made of.
fn piece() -> impl Strategy<Value = String> {
    const WORDS: [&str; 24] = [
        "t",
        "v1",
        "v0",
        "v1a",
        "s",
        "ts",
        "sha256",
        "sha1",
        "sig1",
        "keyId",
        "created",
        "expires",
        "alg",
        "headers",
        "signature",
        "(\"@method\" \"content-digest\")",
        "(request-target)",
        "Basic",
        "Bearer",
        "Signature",
        "ed25519",
        "none",
        "whsec_",
        "payload",
    ];
    const MARKS: [&str; 16] =
        [",", "=", ";", " ", "\"", ":", ".", "(", ")", "&", "%", "%2", "|", "*", "-", "="];
    const TIMES: [&str; 8] = [
        "0",
        "1700000000",
        "1700000000000",
        "-1",
        "9223372036854775807",
        "99999999999999999999",
        "2023-11-14T22:13:20Z",
        "Tue, 14 Nov 2023 22:13:20 GMT",
    ];
    prop_oneof![
        3 => select(&WORDS[..]).prop_map(str::to_owned),
        4 => select(&MARKS[..]).prop_map(str::to_owned),
        1 => select(&TIMES[..]).prop_map(str::to_owned),
        1 => "[0-9a-f]{64}",
        1 => "[0-9A-Za-z+/]{43}=",
        1 => "eyJ[0-9A-Za-z_-]{8,40}\\.eyJ[0-9A-Za-z_-]{0,40}\\.[0-9A-Za-z_-]{0,86}",
        1 => "\\PC{0,6}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    vec(piece(), 0..10).prop_map(|pieces| pieces.concat())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => text().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..60),
    ]
}

/// A request before it is known whose it is.
#[derive(Clone, Debug)]
struct Made {
    method: &'static str,
    query: String,
    headers: Vec<(Index, Vec<u8>)>,
    body: Body,
    now: i64,
}

#[derive(Clone, Debug)]
enum Body {
    Raw(Vec<u8>),
    /// A value for each field that the file names.
    Json(Vec<String>),
    /// The same, cut off somewhere.
    Torn(Vec<String>, Index),
}

fn made() -> impl Strategy<Value = Made> {
    let body = prop_oneof![
        bytes().prop_map(Body::Raw),
        vec(text(), 1..4).prop_map(Body::Json),
        (vec(text(), 1..4), any::<Index>()).prop_map(|(values, at)| Body::Torn(values, at)),
    ];
    let method = select(&["POST", "GET", "PUT", "OPTIONS", "HEAD"][..]);
    let now = prop_oneof![Just(1_700_000_000_000), Just(0), Just(i64::MAX), Just(i64::MIN)];
    (method, text(), vec((any::<Index>(), bytes()), 0..8), body, now)
        .prop_map(|(method, query, headers, body, now)| Made { method, query, headers, body, now })
}

impl Made {
    /// What the provider says to it.
    fn judged(&self, known: &Known, settings: &Settings, document: Option<Arc<str>>) -> Judgement {
        let name = |index: &Index| known.names[index.index(known.names.len())].as_str();
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(index, value)| (name(index), value.as_slice())).collect();
        let url = format!("{URL}?{}", self.query);
        let body = self.body(known);
        let request = Request::new(self.method, &url, &headers, &body);
        known.provider.judge(&request, settings, &Document(document), Timestamp(self.now))
    }

    fn body(&self, known: &Known) -> Vec<u8> {
        match &self.body {
            Body::Raw(bytes) => bytes.clone(),
            Body::Json(values) => json(&known.fields, values).into_bytes(),
            Body::Torn(values, at) => {
                let whole = json(&known.fields, values).into_bytes();
                whole[..at.index(whole.len())].to_vec()
            }
        }
    }
}

/// An object that has all these fields.
fn json(fields: &[Vec<String>], values: &[String]) -> String {
    let mut whole = serde_json::json!({});
    for (path, value) in fields.iter().zip(values.iter().cycle()) {
        let mut at = &mut whole;
        for name in path {
            if !at.is_object() {
                *at = serde_json::json!({});
            }
            at = &mut at[name.as_str()];
        }
        *at = value.as_str().into();
    }
    whole.to_string()
}

/// One document for whatever is fetched.
struct Document(Option<Arc<str>>);

impl FetchedKeys for Document {
    fn get(&self, _: &str) -> Option<Arc<str>> {
        self.0.clone()
    }
}

fn known(index: Index) -> &'static Known {
    index.get(&KNOWN)
}

impl Known {
    /// One of its known answers; a provider that signs nothing has none.
    fn vector(&self, index: Index) -> Option<&Vector> {
        (!self.vectors.is_empty()).then(|| index.get(&self.vectors))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    /// A source with real settings takes no event that was made up.
    #[test]
    fn nothing_made_up_is_proven(which: Index, vector: Index, made in made()) {
        let known = known(which);
        let vector = known.vector(vector);
        let settings = vector.map(|one| one.settings(&known.provider)).unwrap_or_default();
        let judged = made.judged(known, &settings, vector.and_then(Vector::document));
        let proven = matches!(&judged, Judgement::Event { verdict, .. } if verdict.is_proven());
        prop_assert!(!proven, "{}: {judged:?}", known.provider.id);
    }

    /// Settings of any kind cause no panic, though empty ones may be guessed.
    #[test]
    fn no_setting_panics(which: Index, made in made(), values in vec(text(), 0..4), key in text()) {
        let known = known(which);
        let mut settings = Settings::new();
        for setting in &known.provider.settings {
            // Saved or not, whatever is said about it.
            values.iter().for_each(|value| drop(setting.check(value)));
            settings.set(setting.name.clone(), values.clone());
        }
        made.judged(known, &settings, Some(key.into()));
    }

    /// A known answer whose signatures are replaced is not proven any more.
    #[test]
    fn a_random_signature_is_refused(which: Index, vector: Index, value in text()) {
        let known = known(which);
        let vectors: Vec<&Vector> = known
            .vectors
            .iter()
            .filter(|one| one.expect.as_deref() == Some("valid") && one.kind.is_none())
            .collect();
        if vectors.is_empty() {
            return Ok(());
        }
        let mut vector = (*vector.get(&vectors)).clone();
        let before = vector.request.headers.clone();
        for (name, sent) in &mut vector.request.headers {
            if known.provider.signs_in(&name.to_ascii_lowercase()) {
                sent.clone_from(&value);
            }
        }
        // Some have their signature elsewhere.
        if vector.request.headers == before {
            return Ok(());
        }
        let proven = vector.judge(&known.provider).is_ok_and(|answer| answer.is_valid());
        prop_assert!(!proven, "{}: {:?}", vector.id, vector.request.headers);
    }

    /// What fits is in time or not, at any time.
    #[test]
    fn a_known_answer_can_be_judged_at_any_time(which: Index, vector: Index, now: i64) {
        let known = known(which);
        let Some(vector) = known.vector(vector) else { return Ok(()) };
        let mut vector = vector.clone();
        vector.now = now;
        drop(vector.judge(&known.provider));
    }

    /// A file with a slip in it is refused or read, whatever the slip.
    #[test]
    fn a_broken_file_is_no_panic(which: Index, at: Index, length in 0..40usize, with in text()) {
        let text = &known(which).text;
        let boundary = |at: usize| (0..=at.min(text.len())).rfind(|at| text.is_char_boundary(*at));
        let start = boundary(at.index(text.len())).unwrap_or(0);
        let end = boundary(start + length).unwrap_or(0).max(start);
        let broken = format!("{}{with}{}", &text[..start], &text[end..]);
        if let Err(mistakes) = Provider::parse(&broken) {
            let lines = broken.lines().count().max(1);
            prop_assert!(!mistakes.is_empty());
            prop_assert!(mistakes.iter().all(|one| (1..=lines + 1).contains(&one.line)));
        }
    }

    /// A template is shown as what reads the same again.
    #[test]
    fn templates_are_read_or_refused(pieces in vec(template_piece(), 0..6)) {
        if let Ok(template) = Template::parse(&pieces.concat()) {
            prop_assert_eq!(Template::parse(&template.to_string()).unwrap(), template);
        }
    }

    #[test]
    fn parsers_take_anything(text in text(), other in text(), body in bytes()) {
        drop(unbase64(text.as_bytes()));
        let _ = public_key::check(&text);
        let algorithms = [jwt::Algorithm::HS256, jwt::Algorithm::RS256, jwt::Algorithm::EdDSA];
        for detached in [None, Some(&body[..])] {
            if let Ok(token) = Token::parse(&text, &algorithms, detached) {
                prop_assert!(token.check(&jwt::Key::Configured(b"rb-test-secret")).is_err());
                prop_assert!(token.check(&jwt::Key::Set(&other)).is_err());
            }
        }
        let label = other.replace('=', "");
        let input = format!("{label}=(\"@method\"{text}");
        let signature = format!("{label}=:AAAA:");
        let headers: [(&str, &[u8]); 4] = [
            ("signature-input", input.as_bytes()),
            ("signature", signature.as_bytes()),
            ("authorization", text.as_bytes()),
            (&other, &body),
        ];
        let request = Request::new("POST", URL, &headers, &body);
        drop(http_signatures::rfc9421(&request));
        drop(http_signatures::cavage(&request, "authorization"));
    }
}

fn template_piece() -> impl Strategy<Value = String> {
    const WORDS: [&str; 18] = [
        "{body}",
        "{",
        "}",
        "{{",
        "}}",
        "{json.a.b|sha256|hex}",
        "{header.x-y?}",
        "{setting.secret}",
        "|",
        "hex",
        ":",
        "?",
        ".",
        "{sig.t|strip:v=}",
        "{sns}",
        "{query.a",
        "|after:x}",
        "{body|}",
    ];
    prop_oneof![3 => select(&WORDS[..]).prop_map(str::to_owned), 1 => "\\PC{0,4}"]
}

impl Provider {
    /// Whether a signature may stand in this header.
    fn signs_in(&self, name: &str) -> bool {
        self.verify.iter().any(|block| {
            block.get_ref().signature.header.iter().any(|header| match header.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => header == name,
            })
        })
    }
}
