//! The effective configuration as a TOML file that documents itself.

use std::fmt::Write as _;

use super::layers::Layers;
use super::setting::{Section as _, Shown};
use super::{Config, Profile};

pub(super) fn toml(config: &Config, layers: &Layers, profile: Profile) -> String {
    let command = match profile {
        Profile::Serve => "serve",
        Profile::Dev => "dev",
    };
    let mut out = format!("# The settings of `ringback {command}`, each with its origin.\n");
    let mut section = "";
    // A section shows its settings through `&mut`, as it sets them; the copy keeps ours untouched.
    config.clone().visit(&mut |at, slot| {
        // Writing to a string cannot fail.
        if at.section != section {
            section = at.section;
            let _ = write!(out, "\n[{section}]\n");
        } else {
            out.push('\n');
        }
        for line in at.doc.lines() {
            let _ = writeln!(out, "#{line}");
        }
        let origin = layers.origin_of(&at.path());
        let _ = match slot.show() {
            Shown::Toml(value) => writeln!(out, "{} = {value} # {origin}", at.key),
            Shown::Unset => writeln!(out, "# {} is unset # {origin}", at.key),
            Shown::Secret => writeln!(out, "# {} is not shown # {origin}", at.key),
        };
    });
    out
}
