//! Kinds of destinations, and what a destination of one is given, held against it.

use std::sync::Arc;

use ringback_domain::{
    destination::{Given, Kind, Problem, Wanted},
    target::{Rules, Target},
};

use crate::{api::field::Problems, outbound::Hosts};

/// The kind with this id.
pub(super) fn find(id: &str) -> Option<Arc<Kind>> {
    ringback_builtin::kind(id)?.parsed()
}

/// The kind that a body names.
pub(super) fn named(problems: &mut Problems, name: Option<&str>) -> Option<Arc<Kind>> {
    let name = problems.required("type", name)?;
    // `rabbitMq` has the id `rabbitmq`; whoever writes `Slack` means `slack`.
    let kind = find(&name.to_ascii_lowercase())
        .ok_or("there is no such kind: `ringback destinations` lists them");
    problems.check("type", kind)
}

/// What destinations may reach.
#[derive(Clone, Copy)]
pub(super) struct Reach<'a> {
    /// What is asked of URLs.
    pub(super) rules: Rules,
    /// Whom kinds with a protocol of their own may dial.
    pub(super) hosts: &'a Hosts,
}

/// The URL that an endpoint has which is such a destination; or everything that is wrong with it.
pub(super) fn url(
    kind: &Kind,
    wanted: &Wanted,
    reach: Reach<'_>,
    problems: &mut Problems,
) -> Option<String> {
    let given = kind.given(wanted);
    let host = given.and_then(|given| match kind.has_code() {
        true => dialled(kind, &given, reach.hosts),
        false => called(kind, &given, reach.rules),
    });
    let note = |wrong: Vec<Problem>| {
        for Problem { place, message } in wrong {
            let here: Vec<&str> = ["body", "config"]
                .into_iter()
                .chain(place.split('.'))
                .filter(|it| !it.is_empty())
                .collect();
            let mut there = Problems::at(&here);
            there.add_here(&message);
            problems.append(there);
        }
    };
    Some(format!("{}://{}", kind.id, host.map_err(note).ok()?))
}

/// Whom its requests go to.
fn called(kind: &Kind, given: &Given, rules: Rules) -> Result<String, Vec<Problem>> {
    let base = kind.base(given).unwrap_or_else(|| Ok(String::new()));
    let base = base.map_err(|mistake| whole(mistake.to_string()))?;
    let target = Target::parse(&base, rules);
    let target = target.map_err(|error| whole(format!("its URL: {error}")))?;
    match target.credentials {
        Some(_) => Err(whole("its URL may hold no user and password".to_owned())),
        None => Ok(target.host_header),
    }
}

/// Whom it dials by itself.
fn dialled(kind: &Kind, given: &Given, hosts: &Hosts) -> Result<String, Vec<Problem>> {
    let unknown = || whole("destinations of this kind cannot be made".to_owned());
    let (id, settings) = (&kind.id, &given.settings);
    ringback_connect::open(id, settings).ok_or_else(unknown)?.map_err(|problem| vec![problem])?;
    let dials = ringback_connect::dials(id, settings).ok_or_else(unknown)?;
    let dials = dials.map_err(|problem| vec![problem])?;
    let mut shown = Vec::with_capacity(dials.len());
    for (host, port) in dials {
        let place =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        if !hosts.allow(&host, port) {
            let what = "is not among the hosts that the operator allows";
            return Err(whole(format!("{place} {what} (`delivery.destination_hosts`)")));
        }
        shown.push(place);
    }
    Ok(shown.join(","))
}

/// About no setting alone.
fn whole(message: String) -> Vec<Problem> {
    vec![Problem { place: String::new(), message }]
}
