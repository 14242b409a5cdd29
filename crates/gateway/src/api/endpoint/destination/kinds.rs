//! Kinds of destinations, and what a destination of one is given, held against it.

use std::sync::Arc;

use ringback_domain::{
    destination::{Given, Kind, Problem, Wanted},
    target::{Rules, Target},
};

use crate::api::field::Problems;

/// The kind with this id, whichever way its letters are written.
pub(super) fn find(id: &str) -> Option<Arc<Kind>> {
    ringback_builtin::kind(&id.to_ascii_lowercase())?.parsed()
}

/// The kind that a body names.
pub(super) fn named(problems: &mut Problems, name: Option<&str>) -> Option<Arc<Kind>> {
    let name = problems.required("type", name)?;
    let kind = find(name).ok_or("there is no such kind: `ringback destinations` lists them");
    problems.check("type", kind)
}

/// What the destination was given, complete; or everything that is wrong with it.
pub(super) fn complete(kind: &Kind, wanted: &Wanted, problems: &mut Problems) -> Option<Given> {
    let note = |wrong: Vec<Problem>| {
        for Problem { place, message } in wrong {
            let mut here: Vec<&str> = vec!["body", "config"];
            here.extend(place.split('.'));
            let mut there = Problems::at(&here);
            there.add_here(&message);
            problems.append(there);
        }
    };
    kind.given(wanted).map_err(note).ok()
}

/// Whom a destination's requests go to, as an URL names it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn host(kind: &Kind, given: &Given, rules: Rules) -> Result<String, String> {
    let base = kind.base(given).ok_or("destinations of this kind cannot be made")?;
    let target = Target::parse(&base.map_err(|mistake| mistake.to_string())?, rules);
    let target = target.map_err(|error| format!("its URL: {error}"))?;
    match target.credentials {
        Some(_) => Err("its URL may hold no user and password".to_owned()),
        None => Ok(target.host_header),
    }
}
