//! `cargo xtask test`: the parts, in the order of what they cost.

use std::path::Path;
use std::process::Command;

use crate::process::{Finished, stream};
use crate::report::{self, Count};
use crate::server::{Server, TOKEN};
use crate::{needs, tools};

/// One part of the tests, runnable alone with `--only`.
struct Part {
    name: &'static str,
    run: fn(&Path) -> Result<Count, String>,
}

const PARTS: &[Part] = &[
    Part { name: "unit", run: unit },
    Part { name: "doc", run: doc },
    Part { name: "python", run: |root| python(root, "python") },
    Part { name: "python-1.42", run: |root| python(root, "python-1.42") },
    Part { name: "js", run: js },
    Part { name: "rust", run: rust },
];

/// Runs every part, or the one named. A failing part does not keep the others from running.
pub(crate) fn run(root: &Path, only: Option<&str>) -> Result<(), String> {
    let chosen: Vec<&Part> =
        PARTS.iter().filter(|part| only.is_none_or(|name| part.name == name)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        return Err(format!("no such part; there are: {}", names.join(", ")));
    }
    if let Err(problem) = needs::meet() {
        eprintln!("error: {problem}");
        return report::conclude(&[("machine".to_owned(), Count::BROKEN)]);
    }
    let counts: Vec<(String, Count)> = chosen
        .into_iter()
        .map(|part| {
            println!("\n=== {} ===", part.name);
            let count = (part.run)(root).unwrap_or_else(|problem| {
                eprintln!("error: {problem}");
                Count::BROKEN
            });
            (part.name.to_owned(), count)
        })
        .collect();
    report::conclude(&counts)
}

/// Installs everything the parts would install on their first run.
pub(crate) fn install(root: &Path) -> Result<(), String> {
    needs::meet()?;
    tools::rust_tools(root)?;
    tools::python_sdk(root, "python")?;
    tools::python_sdk(root, "python-1.42")?;
    tools::js_sdk(root).map(drop)
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

fn unit(root: &Path) -> Result<Count, String> {
    let program = tools::rust_tools(root)?.join("cargo-nextest");
    let profile = if std::env::var_os("CI").is_some() { "ci" } else { "default" };
    let flags = ["nextest", "run", "--workspace", "--no-fail-fast", "--profile", profile];
    let done = stream(Command::new(program).current_dir(root).args(flags))?;
    Ok(report::nextest(&done.output).judged(done.success))
}

fn doc(root: &Path) -> Result<Count, String> {
    let done = stream(cargo(root).args(["test", "--workspace", "--doc", "--quiet"]))?;
    let count = report::cargo_test(&done.output);
    // Documentation need not hold examples, so an empty run that ends well is fine here.
    Ok(if done.success { count } else { count.judged(false) })
}

fn python(root: &Path, name: &str) -> Result<Count, String> {
    let programs = tools::python_sdk(root, name)?;
    let script = root.join("tests/sdk").join(name).join("suite.py");
    against_server(root, name, || {
        let mut command = Command::new(programs.join("python"));
        command.args(["-u", "-B"]).arg(&script);
        Ok(command)
    })
}

fn js(root: &Path) -> Result<Count, String> {
    let place = tools::js_sdk(root)?;
    let node = tools::node(&place)?;
    // A module finds its packages beside itself, so the suite runs from where they are installed.
    let script = place.join("suite.mjs");
    tools::copy(&root.join("tests/sdk/js/suite.mjs"), &script)?;
    against_server(root, "js", || {
        let mut command = Command::new(&node);
        command.arg(&script);
        Ok(command)
    })
}

fn rust(root: &Path) -> Result<Count, String> {
    let target = root.join("target/sdk/rust-build");
    let manifest = root.join("tests/sdk/rust/Cargo.toml");
    let mut build = cargo(root);
    build.args(["build", "--locked", "--quiet", "--manifest-path"]).arg(manifest);
    if !stream(build.env("CARGO_TARGET_DIR", &target))?.success {
        return Err("the suite with the Rust SDK does not build".to_owned());
    }
    against_server(root, "rust", || Ok(Command::new(target.join("debug/sdk-suite"))))
}

/// Builds the server, starts it, runs `suite` with `RINGBACK_URL` and `RINGBACK_TOKEN`, stops it.
/// A server that does not end as it should is one failure more.
fn against_server(
    root: &Path,
    name: &str,
    suite: impl FnOnce() -> Result<Command, String>,
) -> Result<Count, String> {
    // With `--workspace` the features are those the tests were built with: nothing is built twice.
    let build = ["build", "--workspace", "--bin", "ringback", "--quiet"];
    if !stream(cargo(root).args(build))?.success {
        return Err("the server does not build".to_owned());
    }
    let server = Server::start(root, name)?;
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

/// The cargo that runs this task.
fn cargo(root: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root);
    command
}
