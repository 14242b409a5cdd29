//! Reads every operation out of the installed SDK's source and writes a call of each, so that none
//! that a newer version brings can be missed: what cannot be read ends the build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    let source = sdk();
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&source).expect("the SDK's source").flatten() {
        let text = fs::read_to_string(entry.path()).expect("a source file");
        files.insert(entry.path(), text);
    }
    let ways = ways(files.values());
    let mut operations = Vec::new();
    for (path, text) in &files {
        let found = read(text, &ways);
        let requests = released(text).matches("request::Request::new(").count();
        assert_eq!(found.len(), requests, "{} is not understood", path.display());
        operations.extend(found);
    }
    assert!(operations.len() > 130, "{} operations", operations.len());
    let out = PathBuf::from(env::var("OUT_DIR").expect("OUT_DIR")).join("operations.rs");
    fs::write(out, generated(&operations)).expect("the generated source");
}

/// Where the source of the operations is.
fn sdk() -> PathBuf {
    let package = env::var("CARGO_MANIFEST_DIR").expect("CARGO_MANIFEST_DIR");
    let mut metadata = Command::new(env::var("CARGO").expect("CARGO"));
    metadata.args(["metadata", "--format-version", "1", "--locked", "--filter-platform"]);
    metadata.arg(env::var("TARGET").expect("TARGET")).current_dir(package);
    let output = metadata.output().expect("cargo metadata");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect(&said);
    let packages = metadata["packages"].as_array().expect("packages");
    let svix = packages.iter().find(|package| package["name"] == "svix").expect("the SDK");
    let manifest = Path::new(svix["manifest_path"].as_str().expect("a path"));
    manifest.with_file_name("src").join("api")
}

/// One operation of the SDK.
struct Operation {
    /// How to get at its resource: `message().poller()`.
    way: String,
    name: String,
    method: String,
    path: String,
    /// Names and types.
    parameters: Vec<(String, String)>,
}

/// A file without what only an unreleased version of the API has.
fn released(text: &str) -> String {
    let mut kept = String::new();
    let mut parts = text.split("    #[cfg(feature = \"svix_beta\")]\n    pub async fn ");
    kept.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find("\n    }\n").expect("the end of a function");
        kept.push_str(&part[end..]);
    }
    kept
}

/// How to get at each resource, by its type: `MessagePoller` through `message().poller()`.
fn ways<'a>(files: impl Iterator<Item = &'a String> + Clone) -> BTreeMap<String, String> {
    let mut steps = Vec::new();
    for text in files {
        let owner = text.split("impl<'a> ").nth(1).and_then(|rest| rest.split('<').next());
        for line in text.lines().map(str::trim) {
            let Some((name, made)) = line
                .strip_prefix("pub fn ")
                .and_then(|line| line.strip_suffix("> {"))
                .and_then(|line| line.split_once("(&self) -> "))
            else {
                continue;
            };
            let Some((made, "'a" | "'_")) = made.split_once('<') else { continue };
            steps.push((owner.unwrap_or("Svix").to_owned(), name.to_owned(), made.to_owned()));
        }
    }
    let mut ways = BTreeMap::from([("Svix".to_owned(), String::new())]);
    for _ in 0..4 {
        for (owner, name, made) in &steps {
            if let Some(way) = ways.get(owner) {
                let way =
                    if way.is_empty() { format!("{name}()") } else { format!("{way}.{name}()") };
                ways.entry(made.clone()).or_insert(way);
            }
        }
    }
    ways
}

/// The operations of one file.
fn read(text: &str, ways: &BTreeMap<String, String>) -> Vec<Operation> {
    let text = released(text);
    let Some(owner) = text.split("impl<'a> ").nth(1) else { return Vec::new() };
    let owner = owner.split('<').next().unwrap_or_default();
    let functions = text.split("pub async fn ").skip(1);
    functions.map(|function| operation(function, owner, ways)).collect()
}

fn operation(function: &str, owner: &str, ways: &BTreeMap<String, String>) -> Operation {
    let (name, rest) = function.split_once('(').expect("a function");
    let (parameters, body) = rest.split_once(") -> Result<").expect("its parameters");
    let parameters = parameters
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty() && *one != "&self")
        .map(|one| one.split_once(": ").expect("a parameter with its type"))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    let (_, request) = body.split_once("http::Method::").expect("its method");
    let method = request.split(',').next().expect("its method").trim().to_owned();
    let path = request.split('"').nth(1).expect("its path").to_owned();
    assert!(path.contains("/api/v1/"), "{name}: {path}");
    let way = ways.get(owner).unwrap_or_else(|| panic!("no way to {owner}")).clone();
    Operation { way, name: name.to_owned(), method, path, parameters }
}

fn generated(operations: &[Operation]) -> String {
    let mut table = String::new();
    let mut calls = String::new();
    for Operation { way, name, method, path, parameters } in operations {
        let called = format!("{}.{name}", way.replace("()", ""));
        table.push_str(&format!("    ({called:?}, {method:?}, {path:?}),\n"));
        let arguments: Vec<String> = parameters
            .iter()
            .map(|(name, kind)| match kind.as_str() {
                "String" => format!("things.text({name:?})?"),
                kind if kind.starts_with("Option<") => "None".to_owned(),
                kind => format!("things.body::<svix::models::{kind}>({kind:?})?"),
            })
            .collect();
        let arguments = arguments.join(", ");
        calls.push_str(&format!(
            "        {called:?} => Box::pin(async move {{ \
             api.{way}.{name}({arguments}).await?; Ok(()) }}),\n"
        ));
    }
    format!(
        "/// Name, method and path of every operation.\n\
         pub const OPERATIONS: &[(&str, &str, &str)] = &[\n{table}];\n\n\
         /// Calls an operation with what it needs.\n\
         #[allow(deprecated)]\n\
         pub fn call<'a>(name: &str, api: &'a Svix, things: &'a Things) -> Call<'a> {{\n    \
         match name {{\n{calls}        _ => unreachable!(\"{{name}} is no operation\"),\n    }}\n}}\n"
    )
}
