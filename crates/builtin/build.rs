//! Builds the files of `providers/`, `destinations/`, `callbacks/` and `oauth/` into the binary: writes
//! the tables that the library reads.
//!
//! The folders are listed anew whenever something in them changes, so that adding a provider or a
//! kind of destination stays adding a file.

#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    for (folder, name, kind) in [
        ("providers", "PROVIDERS", "Provider"),
        ("destinations", "KINDS", "Kind"),
        ("callbacks", "PRESETS", "Preset"),
        ("oauth", "OAUTH", "oauth::Provider"),
    ] {
        // Seen from this crate's folder.
        let place = format!("../../{folder}");
        println!("cargo::rerun-if-changed={place}");
        let ids = ids(Path::new(&place))?;
        let mut table = format!("static {name}: [BuiltIn<{kind}>; {}] = [\n", ids.len());
        for id in ids {
            // The path stays relative to the crate, so that the same sources make the same binary.
            let path = format!("concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{place}/{id}.toml\")");
            // Writing to a string cannot fail.
            let _ = writeln!(table, "    BuiltIn::new({id:?}, include_str!({path})),");
        }
        table.push_str("];\n");
        fs::write(out.join(format!("{folder}.rs")), table)?;
    }
    Ok(())
}

/// The names of the files without their ending, sorted: a table is searched by them.
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
