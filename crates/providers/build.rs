//! Builds the files of `providers/` into the binary: writes the table that the library reads.
//!
//! The folder is listed anew whenever something in it changes, so that adding a provider stays
//! adding a file.

#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The folder, seen from this crate's.
const FOLDER: &str = "../../providers";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={FOLDER}");
    let ids = ids(Path::new(FOLDER))?;
    let mut table = format!("static BUILT_IN: [BuiltIn; {}] = [\n", ids.len());
    for id in ids {
        // The path stays relative to the crate, so that the same sources make the same binary.
        let path = format!("concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{FOLDER}/{id}.toml\")");
        // Writing to a string cannot fail.
        let _ = writeln!(table, "    BuiltIn::new({id:?}, include_str!({path})),");
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("providers.rs"), table)
}

/// The names of the files without their ending, sorted: the table is searched by them.
fn ids(folder: &Path) -> io::Result<Vec<String>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            ids.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
        }
    }
    ids.sort_unstable();
    Ok(ids)
}
