//! `cargo xtask test`: the parts, in the order of what they cost.

use std::path::{Path, PathBuf};
use std::process::Command;

use ringback_pg_cluster::{Cluster, Database, Options, VARIABLE};

use crate::process::{Finished, stream};
use crate::report::{self, Count};
use crate::server::{Server, TOKEN};
use crate::{needs, tools};

/// Where the clients' suites find the server, which they start, kill and start again themselves.
const PROGRAM: &str = "RINGBACK_PROGRAM";

/// What makes the gateway's integration tests run their servers on PostgreSQL.
const STORE: (&str, &str) = ("RINGBACK_TEST_STORE", "postgres");

/// One part of the tests, runnable alone with `--only`.
struct Part {
    name: &'static str,
    on: On,
    run: fn(Ground<'_>) -> Result<Count, String>,
}

/// Which store a part is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Neither,
    Sqlite,
    Postgres,
    Both,
    /// On PostgreSQL, what a part on both has: for a server that is named.
    PostgresOnly,
}

/// Which parts are run, and where.
#[derive(Clone, Copy, Default)]
pub(crate) struct Choice<'a> {
    /// Only the part of this name.
    pub(crate) only: Option<&'a str>,
    /// Only the parts on PostgreSQL, on this server.
    pub(crate) store: Option<&'a str>,
}

/// What the parts stand on.
#[derive(Clone, Copy)]
struct Ground<'a> {
    root: &'a Path,
    /// The URL of a PostgreSQL on which databases may be created; empty if no part needs one.
    postgres: &'a str,
}

const PARTS: &[Part] = &[
    Part { name: "unit", on: On::Both, run: unit },
    Part { name: "doc", on: On::Neither, run: doc },
    Part { name: "client-typescript", on: On::Neither, run: client_typescript },
    Part { name: "client-python", on: On::Neither, run: client_python },
    Part { name: "python", on: On::Sqlite, run: |ground| python(ground, "python", None) },
    Part { name: "python-1.42", on: On::Sqlite, run: |ground| python(ground, "python-1.42", None) },
    Part { name: "js", on: On::Sqlite, run: |ground| js(ground, "js", None) },
    Part { name: "rust", on: On::Sqlite, run: |ground| rust(ground, None) },
    Part {
        name: "vendors-python",
        on: On::Sqlite,
        run: |ground| python(ground, "vendors-python", None),
    },
    Part { name: "vendors-js", on: On::Sqlite, run: |ground| js(ground, "vendors-js", None) },
    Part {
        name: "destinations-js",
        on: On::Sqlite,
        run: |ground| js(ground, "destinations-js", None),
    },
    Part { name: "callbacks-js", on: On::Sqlite, run: |ground| js(ground, "callbacks-js", None) },
    Part { name: "callbacks-browser", on: On::Sqlite, run: callbacks_browser },
    Part { name: "listen-js", on: On::Sqlite, run: |ground| js_alone(ground, "listen") },
    Part { name: "oauth", on: On::Sqlite, run: |ground| js_alone(ground, "oauth") },
    Part {
        name: "oauth-python",
        on: On::Sqlite,
        run: |ground| python(ground, "oauth-python", None),
    },
    Part { name: "payloads", on: On::Sqlite, run: payloads },
    Part { name: "mcp", on: On::Sqlite, run: mcp },
    Part { name: "schemathesis", on: On::Sqlite, run: |ground| schemathesis(ground, None) },
    Part { name: "postgres-store", on: On::PostgresOnly, run: postgres_store },
    Part { name: "postgres", on: On::Postgres, run: postgres },
    Part {
        name: "postgres-python",
        on: On::Postgres,
        run: |ground| python(ground, "python", Some(&database(ground)?)),
    },
    Part {
        name: "postgres-python-1.42",
        on: On::Postgres,
        run: |ground| python(ground, "python-1.42", Some(&database(ground)?)),
    },
    Part {
        name: "postgres-js",
        on: On::Postgres,
        run: |ground| js(ground, "js", Some(&database(ground)?)),
    },
    Part {
        name: "postgres-rust",
        on: On::Postgres,
        run: |ground| rust(ground, Some(&database(ground)?)),
    },
    Part {
        name: "postgres-schemathesis",
        on: On::Postgres,
        run: |ground| schemathesis(ground, Some(&database(ground)?)),
    },
];

/// Runs every part, or those chosen. A failing part does not keep the others from running.
pub(crate) fn run(root: &Path, choice: Choice<'_>) -> Result<(), String> {
    let chosen = chosen(choice)?;
    let machine = needs::meet().and_then(|()| server(&chosen, choice));
    let server = match machine {
        Ok(server) => server,
        Err(problem) => {
            eprintln!("error: {problem}");
            return report::conclude(&[("machine".to_owned(), Count::BROKEN)]);
        }
    };
    let ground = Ground { root, postgres: &server.url };
    let counts: Vec<(String, Count)> = chosen
        .into_iter()
        .map(|part| {
            println!("\n=== {} ===", part.name);
            let count = (part.run)(ground).unwrap_or_else(|problem| {
                eprintln!("error: {problem}");
                Count::BROKEN
            });
            (part.name.to_owned(), count)
        })
        .collect();
    report::conclude(&counts)
}

fn chosen(choice: Choice<'_>) -> Result<Vec<&'static Part>, String> {
    let is_url = |url: &str| ["postgres://", "postgresql://"].iter().any(|s| url.starts_with(s));
    if !choice.store.is_none_or(is_url) {
        return Err("--store takes a URL: postgres://…".to_owned());
    }
    let matches = |part: &&Part| match choice {
        Choice { only: Some(name), .. } => part.name == name,
        Choice { only: None, store: Some(_) } => part.on.is_postgres(),
        // A part on both has done what this one does.
        Choice { only: None, store: None } => part.on != On::PostgresOnly,
    };
    let chosen: Vec<&Part> = PARTS.iter().filter(matches).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        return Err(format!("no such part; there are: {}", names.join(", ")));
    }
    if choice.store.is_some() && !chosen.iter().all(|part| part.on.is_postgres()) {
        return Err("--store is for the parts that run on PostgreSQL alone".to_owned());
    }
    Ok(chosen)
}

impl On {
    fn is_postgres(self) -> bool {
        matches!(self, On::Postgres | On::PostgresOnly)
    }
}

/// The PostgreSQL of this run; ours ends when it is dropped.
#[derive(Default)]
struct Postgres {
    url: String,
    _own: Option<Cluster>,
}

fn server(chosen: &[&Part], choice: Choice<'_>) -> Result<Postgres, String> {
    if let Some(url) = choice.store {
        return Ok(Postgres { url: url.to_owned(), _own: None });
    }
    if chosen.iter().all(|part| matches!(part.on, On::Neither | On::Sqlite)) {
        return Ok(Postgres::default());
    }
    let own = Cluster::start(&Options::default())?;
    Ok(Postgres { url: own.dsn(), _own: Some(own) })
}

/// An empty database for a suite's server.
fn database(ground: Ground<'_>) -> Result<Database, String> {
    Database::create_on(ground.postgres)
}

/// Installs everything the parts would install on their first run.
pub(crate) fn install(root: &Path) -> Result<(), String> {
    needs::meet()?;
    tools::rust_tools(root)?;
    tools::client_typescript(root)?;
    tools::client_python(root)?;
    tools::python_sdk(root, "python")?;
    tools::python_sdk(root, "python-1.42")?;
    tools::python_sdk(root, "vendors-python")?;
    tools::schemathesis(root)?;
    tools::js_sdk(root, "js")?;
    tools::js_sdk(root, "vendors-js")?;
    tools::js_sdk(root, "destinations-js")?;
    tools::js_sdk(root, "callbacks-js")?;
    tools::python_sdk(root, "localstripe")?;
    tools::js_sdk(root, "callbacks-browser")?;
    tools::js_sdk(root, "listen")?;
    tools::js_sdk(root, "oauth")?;
    tools::js_sdk(root, "mcp")?;
    tools::python_sdk(root, "payloads")?;
    tools::python_sdk(root, "oauth-python").map(drop)
}

/// `cargo deny`, without the advisory database: that one is fetched from the network.
pub(crate) fn deny(root: &Path) -> Result<(), String> {
    needs::meet()?;
    let program = tools::rust_tools(root)?.join("cargo-deny");
    let mut command = Command::new(program);
    command.current_dir(root).args(["--workspace", "check", "bans", "licenses", "sources"]);
    if stream(&mut command)?.success {
        Ok(())
    } else {
        Err("a dependency breaks the rules of deny.toml".to_owned())
    }
}

/// Fills a store and measures every list of it.
pub(crate) fn lists(root: &Path, choices: &[&str]) -> Result<(), String> {
    needs::meet()?;
    let bench = ["bench", "--profile", "release", "-p", "ringback-store", "--bench", "lists", "--"];
    let done = stream(cargo(root).args(bench).args(choices))?;
    if done.success { Ok(()) } else { Err("a list is too slow, or was not measured".to_owned()) }
}

/// Every Rust test; those of the store on both stores, those of the gateway on SQLite.
fn unit(ground: Ground<'_>) -> Result<Count, String> {
    let mut command = nextest(ground)?;
    command.env_remove(STORE.0);
    let done = stream(&mut command)?;
    Ok(report::nextest(&done.output).judged(done.success))
}

/// The store's rules on PostgreSQL alone.
fn postgres_store(ground: Ground<'_>) -> Result<Count, String> {
    filtered(&mut nextest(ground)?, "binary_id(ringback-store::it) & test(/^postgres::/)")
}

/// The gateway's integration tests with their servers on PostgreSQL, but those that are about
/// SQLite and those that have no server.
fn postgres(ground: Ground<'_>) -> Result<Count, String> {
    let mut command = nextest(ground)?;
    command.env(STORE.0, STORE.1);
    filtered(&mut command, "binary_id(ringback::it) & not test(/^(sqlite|outbound|held)::/)")
}

/// Holds a PostgreSQL back for this long, in seconds, with messages arriving all the time.
pub(crate) fn held(root: &Path, seconds: &str) -> Result<(), String> {
    needs::meet()?;
    let mut test = cargo(root);
    test.args(["test", "--release", "--package", "ringback", "--test", "it", "--", "held::"]);
    let done = stream(test.arg("--nocapture").env("RINGBACK_TEST_HELD_SECONDS", seconds))?;
    if done.success { Ok(()) } else { Err("it did not keep up".to_owned()) }
}

/// Listening through a hostile network, in full.
pub(crate) fn hostile(root: &Path) -> Result<(), String> {
    let mut test = cargo(root);
    test.args(["test", "--release", "--package", "ringback", "--test", "it", "--"]);
    test.args(["listen::hostile::", "--nocapture"]).env("RINGBACK_TEST_HOSTILE", "long");
    let done = stream(&mut test)?;
    if done.success { Ok(()) } else { Err("an event was lost, or out of order".to_owned()) }
}

fn filtered(command: &mut Command, filter: &str) -> Result<Count, String> {
    let done = stream(command.args(["--filterset", filter]))?;
    let count = report::nextest(&done.output).judged(done.success);
    // What the filter leaves out is what other parts are for.
    Ok(Count { skipped: 0, ..count })
}

fn nextest(ground: Ground<'_>) -> Result<Command, String> {
    let program = tools::rust_tools(ground.root)?.join("cargo-nextest");
    let profile = if std::env::var_os("CI").is_some() { "ci" } else { "default" };
    // The same packages each time, so that they have the same features and are built once.
    let flags = ["nextest", "run", "--workspace", "--no-fail-fast", "--profile", profile];
    let mut command = Command::new(program);
    command.current_dir(ground.root).args(flags).env(VARIABLE, ground.postgres);
    Ok(command)
}

fn doc(ground: Ground<'_>) -> Result<Count, String> {
    let done = stream(cargo(ground.root).args(["test", "--workspace", "--doc", "--quiet"]))?;
    let count = report::cargo_test(&done.output);
    // Documentation need not hold examples, so an empty run that ends well is fine here.
    Ok(if done.success { count } else { count.judged(false) })
}

/// Builds `clients/typescript`, checks its examples' types, runs its suite.
fn client_typescript(Ground { root, .. }: Ground<'_>) -> Result<Count, String> {
    let node = tools::node(&tools::js_sdk(root, "js")?)?;
    let place = tools::client_typescript(root)?;
    let from = root.join("clients/typescript");
    // A module finds its packages beside itself, so it is built and run where they are installed.
    for folder in ["src", "test", "examples"] {
        tools::copy_folder(&from.join(folder), &place.join(folder))?;
    }
    let projects = ["tsconfig.json", "tsconfig.check.json", "tsconfig.browser.json"];
    for file in projects {
        tools::copy(&from.join(file), &place.join(file))?;
    }
    for file in ["scenarios.json", "callbacks.json"] {
        tools::copy(&root.join("clients").join(file), &place.join("..").join(file))?;
    }
    for project in projects {
        let mut compiler = Command::new(&node);
        compiler.arg("node_modules/typescript/bin/tsc").args(["-p", project]).current_dir(&place);
        if !stream(&mut compiler)?.success {
            return Err(format!("clients/typescript does not compile with {project}"));
        }
    }
    let mut suite = Command::new(&node);
    suite.arg("test/suite.mjs").env(PROGRAM, built_server(root)?);
    let done = stream(suite.current_dir(&place))?;
    Ok(report::suite(&done.output).judged(done.success))
}

/// Checks the types of `clients/python` and its examples, runs its suite.
fn client_python(Ground { root, .. }: Ground<'_>) -> Result<Count, String> {
    let programs = tools::client_python(root)?;
    let folder = root.join("clients/python");
    let mut types = Command::new(programs.join("python"));
    types.args(["-B", "-m", "mypy", "--cache-dir"]).arg(root.join("target/clients/mypy"));
    if !stream(types.current_dir(&folder))?.success {
        return Err("the types of clients/python are wrong".to_owned());
    }
    let mut suite = Command::new(programs.join("python"));
    suite.args(["-u", "-B", "tests/suite.py"]).env("PYTHONPATH", &folder).current_dir(&folder);
    let done = stream(suite.env(PROGRAM, built_server(root)?))?;
    Ok(report::suite(&done.output).judged(done.success))
}

fn python(ground: Ground<'_>, name: &str, store: Option<&Database>) -> Result<Count, String> {
    let programs = tools::python_sdk(ground.root, name)?;
    let script = ground.root.join("tests/sdk").join(name).join("suite.py");
    against_server(ground.root, name, store, || {
        let mut command = Command::new(programs.join("python"));
        command.args(["-u", "-B"]).arg(&script);
        Ok(command)
    })
}

/// A browser, vendors' SDKs, and a gateway that is a program in Python.
fn callbacks_browser(ground: Ground<'_>) -> Result<Count, String> {
    let gateway = tools::python_sdk(ground.root, "localstripe")?.join("localstripe");
    js_with(ground, "callbacks-browser", None, &[("LOCALSTRIPE", &gateway)])
}

fn js(ground: Ground<'_>, name: &str, store: Option<&Database>) -> Result<Count, String> {
    js_with(ground, name, store, &[])
}

fn js_with(
    ground: Ground<'_>,
    name: &str,
    store: Option<&Database>,
    programs: &[(&str, &Path)],
) -> Result<Count, String> {
    let mut suite = js_suite(ground.root, name)?;
    suite.envs(programs.iter().copied());
    against_server(ground.root, name, store, || Ok(suite))
}

/// The suite of that name, with its packages and the Node.js of `js`.
fn js_suite(root: &Path, name: &str) -> Result<Command, String> {
    let node = tools::node(&tools::js_sdk(root, "js")?)?;
    let place = tools::js_sdk(root, name)?;
    // A module finds its packages beside itself, so the suite runs from where they are installed.
    tools::copy_modules(&root.join("tests/sdk").join(name), &place)?;
    tools::copy_modules(&root.join("tests/sdk/harness"), &place.join("harness"))?;
    let mut suite = Command::new(node);
    suite.arg(place.join("suite.mjs"));
    Ok(suite)
}

/// A suite that starts its servers itself, as it ends or kills them and starts them again.
fn js_alone(Ground { root, .. }: Ground<'_>, name: &str) -> Result<Count, String> {
    let mut suite = js_suite(root, name)?;
    let done = stream(suite.env(PROGRAM, built_server(root)?).current_dir(root))?;
    Ok(report::suite(&done.output).judged(done.success))
}

/// Large payloads in a bucket that is served in Python; the suite starts the server itself.
fn payloads(Ground { root, .. }: Ground<'_>) -> Result<Count, String> {
    let programs = tools::python_sdk(root, "payloads")?;
    let mut suite = Command::new(programs.join("python"));
    suite.args(["-u", "-B"]).arg(root.join("tests/sdk/payloads/suite.py"));
    let done = stream(suite.env(PROGRAM, built_server(root)?).current_dir(root))?;
    Ok(report::suite(&done.output).judged(done.success))
}

/// The protocol of agents: the program, and a fixture with the tools that the conformance suites want.
fn mcp(ground: Ground<'_>) -> Result<Count, String> {
    let root = ground.root;
    let program = built_server(root)?;
    let build = ["build", "--workspace", "--example", "mcp_conformance", "--quiet"];
    if !stream(cargo(root).args(build))?.success {
        return Err("the fixture of the conformance suites does not build".to_owned());
    }
    let fixture = root.join("target/debug/examples/mcp_conformance");
    js_with(ground, "mcp", None, &[(PROGRAM, &program), ("RINGBACK_MCP_FIXTURE", &fixture)])
}

fn rust(Ground { root, .. }: Ground<'_>, store: Option<&Database>) -> Result<Count, String> {
    let target = root.join("target/sdk/rust-build");
    let manifest = root.join("tests/sdk/rust/Cargo.toml");
    let mut build = cargo(root);
    build.args(["build", "--locked", "--quiet", "--manifest-path"]).arg(manifest);
    if !stream(build.env("CARGO_TARGET_DIR", &target))?.success {
        return Err("the suite with the Rust SDK does not build".to_owned());
    }
    against_server(root, "rust", store, || Ok(Command::new(target.join("debug/sdk-suite"))))
}

/// Requests made up from the OpenAPI document, for as long as `suite.py` says.
fn schemathesis(
    Ground { root, .. }: Ground<'_>,
    store: Option<&Database>,
) -> Result<Count, String> {
    let programs = tools::schemathesis(root)?;
    let name = if store.is_some() { "postgres-schemathesis" } else { "schemathesis" };
    against_server(root, name, store, || {
        let mut command = Command::new(programs.join("python"));
        command.args(["-u", "-B"]).arg(root.join("tests/schemathesis/suite.py"));
        Ok(command)
    })
}

/// Builds the server, starts it on SQLite or on the database, runs `suite` with `RINGBACK_URL` and `RINGBACK_TOKEN`, stops it.
/// A server that does not end as it should is one failure more.
fn against_server(
    root: &Path,
    name: &str,
    store: Option<&Database>,
    suite: impl FnOnce() -> Result<Command, String>,
) -> Result<Count, String> {
    built_server(root)?;
    let server = Server::start(root, name, store)?;
    let mut command = suite()?;
    command.current_dir(root).env("RINGBACK_URL", &server.url).env("RINGBACK_TOKEN", TOKEN);
    let Finished { success, output } = stream(&mut command)?;
    let mut count = report::suite(&output).judged(success);
    if count.failed > 0 {
        eprintln!("{}", server.log());
    }
    if let Err(problem) = server.stop() {
        eprintln!("error: {problem}");
        count.failed += 1;
    }
    Ok(count)
}

/// The server's program, built.
fn built_server(root: &Path) -> Result<PathBuf, String> {
    // With `--workspace` the features are those the tests were built with: nothing is built twice.
    let build = ["build", "--workspace", "--bin", "ringback", "--quiet"];
    if !stream(cargo(root).args(build))?.success {
        return Err("the server does not build".to_owned());
    }
    Ok(root.join("target/debug/ringback"))
}

/// The cargo that runs this task.
fn cargo(root: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root);
    command
}
