use std::{collections::BTreeSet, fmt::Write as _, fs};

use ringback_domain::provider::{Proof, Strength};
use tempfile::TempDir;

use super::*;

/// Set to rewrite the list instead of comparing with it.
const UPDATE: &str = "RINGBACK_UPDATE_SNAPSHOTS";

/// A small provider of this name; `notes` tells versions apart.
fn acme(id: &str, notes: &str) -> String {
    format!(
        r#"schema = 1
id = "{id}"
name = "Acme"
docs = "https://example.com/webhooks"
strength = "signed"
proof = "derived"
notes = "{notes}"

[[setting]]
name = "secret"
kind = "secret"

[[verify]]
scheme = "hmac"
hash = "sha256"
key = "{{setting.secret}}"
message = "{{body}}"
signature = {{ header = "x-acme-signature", encoding = "hex" }}
"#
    )
}

/// A directory of an operator's.
struct Operator(TempDir);

impl Operator {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Puts a whole file in the place of what was there.
    fn put(&self, name: &str, text: &str) {
        let new = self.path("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn open(&self) -> Result<Catalog, Error> {
        Catalog::open(Some(self.0.path()))
    }
}

impl Catalog {
    fn look(&self) {
        self.own.as_ref().unwrap().look();
    }

    /// What the version in force notes.
    fn notes(&self, id: &str) -> Option<String> {
        Some(self.get(id)?.notes.clone())
    }
}

#[test]
fn every_file_is_built_in_and_can_be_read() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = names.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let files: BTreeSet<String> =
        files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let catalog = Catalog::default();
    let all: Vec<String> = catalog.all().iter().map(|one| one.id.clone()).collect();
    assert_eq!(all, files.into_iter().collect::<Vec<_>>(), "in order, and none is missing");
    assert_eq!(catalog.get("github").unwrap().name, "GitHub");
    assert!(catalog.get("no-such-provider").is_none());
    assert!(Arc::ptr_eq(
        &catalog.get("github").unwrap(),
        &Catalog::default().get("github").unwrap()
    ));
}

#[test]
fn own_files_stand_beside_built_in_ones_and_instead_of_them() {
    let operator = Operator::new();
    operator.put("acme.toml", &acme("acme", "one"));
    operator.put("github.toml", &acme("github", "ours"));
    operator.put(".hidden.toml", "not read");
    operator.put("README.md", "not read");
    let catalog = operator.open().unwrap();
    assert_eq!(catalog.notes("acme").unwrap(), "one");
    assert_eq!(catalog.notes("github").unwrap(), "ours");
    assert_eq!(catalog.get("stripe").unwrap().name, "Stripe");
    let origin = |id: &str| catalog.entry(id).unwrap().origin;
    assert_eq!(origin("acme"), Origin::Own(operator.path("acme.toml")));
    assert_eq!(origin("github"), Origin::Instead(operator.path("github.toml")));
    assert_eq!(origin("stripe"), Origin::BuiltIn);
    assert_eq!(catalog.entry("acme").unwrap().text, acme("acme", "one"));
    let ids: Vec<String> = catalog.all().iter().map(|one| one.id.clone()).collect();
    assert!(ids.is_sorted() && ids.iter().filter(|id| *id == "github").count() == 1, "{ids:?}");
    assert_eq!(ids.len(), ringback_builtin::providers().len() + 1);
}

#[test]
fn every_mistake_is_told_with_file_and_line() {
    let operator = Operator::new();
    let twice = acme("a", "").replace("{body}", "{setting.x}{setting.y}");
    operator.put("a.toml", &twice);
    operator.put("b.toml", &acme("b", "").replace("sha256", "sha257"));
    operator.put("c.toml", &acme("else", ""));
    operator.put("d.toml", &"#".repeat(300_000));
    operator.put("good.toml", &acme("good", ""));
    let Error { problems } = operator.open().unwrap_err();
    let told: Vec<(String, Option<usize>, &str)> = problems
        .iter()
        .map(|one| {
            let name = one.path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, one.line, one.what.split([':', ',']).next().unwrap())
        })
        .collect();
    let expected = [
        ("a.toml", Some(13), "setting `x` is not declared in a [[setting]]"),
        ("a.toml", Some(13), "setting `y` is not declared in a [[setting]]"),
        ("b.toml", Some(15), "`sha257` is no hash"),
        ("c.toml", Some(2), "`id` is `else`"),
        ("d.toml", None, "has more than 262144 bytes"),
    ];
    let expected = expected.map(|(name, line, what)| (name.to_owned(), line, what));
    assert_eq!(told, expected);
    let shown = Error { problems }.to_string();
    let place = format!("{}:15: `sha257` is no hash", operator.path("b.toml").display());
    assert!(
        shown.starts_with("5 mistakes in provider files:\n") && shown.contains(&place),
        "{shown}"
    );

    let nowhere = Catalog::open(Some(&operator.path("nowhere"))).unwrap_err().to_string();
    assert!(
        nowhere.starts_with("wrong provider file: ") && nowhere.contains("nowhere: cannot be read")
    );
}

#[test]
fn a_change_is_read_and_a_broken_one_keeps_the_last_good_version() {
    let operator = Operator::new();
    operator.put("acme.toml", &acme("acme", "one"));
    let catalog = operator.open().unwrap();
    let shared = catalog.clone();
    let given = catalog.get("acme").unwrap();
    operator.put("acme.toml", &acme("acme", "two"));
    operator.put("other.toml", &acme("other", "new"));
    assert_eq!(catalog.notes("acme").unwrap(), "one");
    catalog.look();
    assert_eq!(shared.notes("acme").unwrap(), "two");
    assert_eq!(shared.notes("other").unwrap(), "new");
    assert_eq!(given.notes, "one", "what was given out never changes");

    operator.put("acme.toml", "schema = 1\nid =");
    operator.put("third.toml", "nonsense");
    catalog.look();
    assert_eq!(catalog.notes("acme").unwrap(), "two");
    assert_eq!(catalog.notes("third"), None);
    operator.put("acme.toml", &acme("acme", "three"));
    catalog.look();
    assert_eq!(catalog.notes("acme").unwrap(), "three");
}

#[test]
fn a_file_that_is_gone_is_forgotten_when_it_stays_away() {
    let operator = Operator::new();
    operator.put("github.toml", &acme("github", "ours"));
    let catalog = operator.open().unwrap();
    let remove = || fs::remove_file(operator.path("github.toml")).unwrap();
    remove();
    catalog.look();
    assert_eq!(catalog.notes("github").unwrap(), "ours", "an editor may be at work");
    operator.put("github.toml", &acme("github", "edited"));
    catalog.look();
    assert_eq!(catalog.notes("github").unwrap(), "edited");
    remove();
    catalog.look();
    catalog.look();
    assert_eq!(catalog.get("github").unwrap().name, "GitHub", "the built-in one");

    // A directory that cannot be read at the moment says nothing about its files.
    operator.put("acme.toml", &acme("acme", "one"));
    catalog.look();
    let (here, away) = (operator.0.path().to_owned(), operator.0.path().with_extension("away"));
    fs::rename(&here, &away).unwrap();
    (0..3).for_each(|_| catalog.look());
    assert_eq!(catalog.notes("acme").unwrap(), "one");
    fs::rename(&away, &here).unwrap();
    catalog.look();
    assert_eq!(catalog.notes("acme").unwrap(), "one");
}

/// `docs/providers.md` lists every built-in provider with what is claimed of it.
#[test]
fn the_list_in_the_documents_is_true() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers.md");
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- the list: begin -->\n", "<!-- the list: end -->\n");
    let (before, rest) = text.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let fresh = format!("{before}{begin}{}{end}{after}", listed());
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &fresh).unwrap();
        return;
    }
    assert!(fresh == text, "docs/providers.md is outdated: run the tests with {UPDATE}=1");
}

fn listed() -> String {
    let all = Catalog::default().all();
    let count = |proof: Proof, strength: Strength| {
        all.iter().filter(|one| (one.proof, one.strength) == (proof, strength)).count()
    };
    let mut text = format!("\n{} providers:\n\n| proof | ", all.len());
    let strengths = [Strength::Signed, Strength::Partial, Strength::Token, Strength::None];
    let heads = strengths.map(Strength::as_str).join(" | ");
    let _ = write!(text, "{heads} |\n|---|---|---|---|---|\n");
    for proof in [Proof::Published, Proof::VendorSdk, Proof::Derived] {
        let numbers = strengths.map(|strength| count(proof, strength).to_string()).join(" | ");
        let _ = writeln!(text, "| `{}` | {numbers} |", proof.as_str());
    }
    text.push_str("\n| id | provider | strength | proof |\n|---|---|---|---|\n");
    for one in all {
        let (strength, proof) = (one.strength.as_str(), one.proof.as_str());
        let _ = writeln!(
            text,
            "| `{}` | [{}]({}) | {strength} | {proof} |",
            one.id, one.name, one.docs
        );
    }
    text.push('\n');
    text
}
