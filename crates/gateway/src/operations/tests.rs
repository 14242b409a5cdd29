use std::collections::{BTreeMap, BTreeSet};

use super::*;
use decided::{COMPOSED, ELSEWHERE, TABLE, UNDECIDED};

#[test]
fn every_operation_is_decided_about_and_nothing_else_is() {
    let known: Vec<&str> = all().iter().map(|one| one.id.as_str()).collect();
    let decided: Vec<&str> = TABLE.iter().map(|one| one.id).collect();
    let unknown: Vec<&&str> = decided.iter().filter(|id| !known.contains(id)).collect();
    let undecided: Vec<&&str> = known.iter().filter(|id| !decided.contains(id)).collect();
    assert!(unknown.is_empty(), "no route has these operations: {unknown:?}");
    assert!(undecided.is_empty(), "operations/decided.rs has no line for {undecided:?}");
    assert_eq!(known, decided, "the table is in the order of ids, each once");
    assert!(known.len() > 100 && all().iter().all(|one| *one.decided != UNDECIDED));
}

#[test]
fn the_tools_that_are_named_are_those_that_exist() {
    let mut named: BTreeSet<&str> = COMPOSED.iter().map(|(name, _)| *name).collect();
    for one in TABLE {
        if let Tool::Named(name) = one.tool {
            assert!(named.insert(name), "{name} is the tool of two");
        }
    }
    for (name, operations) in COMPOSED {
        for id in *operations {
            assert!(find(id).is_some(), "{name} asks for {id}, which does not exist");
        }
    }
    let tools = crate::mcp::tools(crate::mcp::Access::Write);
    let exist: BTreeSet<&str> = tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(named, exist);
    assert_eq!(exist.len(), tools.len());
}

#[test]
fn the_commands_that_are_named_are_those_that_exist() {
    fn walk(command: &clap::Command, path: &str, all: &mut BTreeSet<String>) {
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name()).trim().to_owned();
            if !sub.is_subcommand_required_set() {
                all.insert(path.clone());
            }
            walk(sub, &path, all);
        }
    }
    let mut exist = BTreeSet::new();
    walk(&crate::cli::command(), "", &mut exist);
    let own = TABLE.iter().filter_map(|one| one.command);
    let named: BTreeSet<String> =
        own.chain(ELSEWHERE.iter().map(|(name, _)| *name)).map(str::to_owned).collect();
    let missing: Vec<_> = named.difference(&exist).collect();
    let unnamed: Vec<_> = exist.difference(&named).collect();
    assert!(missing.is_empty(), "these commands do not exist: {missing:?}");
    assert!(unnamed.is_empty(), "no line of operations/decided.rs names {unnamed:?}");
}

#[test]
fn reasons_are_dated() {
    let absent = TABLE.iter().filter_map(|one| match one.tool {
        Tool::Absent(reason) => Some(reason),
        Tool::Named(_) => None,
    });
    for reason in absent.chain(ELSEWHERE.iter().map(|(_, reason)| *reason)) {
        let date = format!("{}T00:00:00Z", reason.since);
        let date: ringback_domain::time::Timestamp = date.parse().unwrap();
        assert!(date.to_string().starts_with(reason.since), "{reason:?}");
        assert!(reason.why.len() > 20, "{reason:?}");
    }
}

/// The table against what a route looks like: whoever adds one cannot call it harmless by mistake.
#[test]
fn what_looks_dangerous_is_called_so() {
    for one in all() {
        let (id, decided) = (&one.id, one.decided);
        let reads = decided.effect == Effect::Reads;
        if one.method == Method::GET {
            assert!(reads, "{id} is a GET");
        }
        if one.method == Method::DELETE {
            assert_eq!(decided.effect, Effect::Destroys, "{id} deletes");
        }
        if one.decided.routing == Routing::Changed {
            assert!(!reads, "{id}");
            assert_eq!(decided.tool, Tool::Absent(&decided::ROUTES), "{id}");
        }
        // Whatever makes, replaces or removes one of these things has to do with routes.
        let place = one.path.trim_end_matches('}').rsplit('/').next().unwrap_or_default();
        let places = [
            "endpoint",
            "{endpoint_id",
            "destination",
            "{destination_id",
            "source",
            "{source_id",
            "oauth-client",
            "{oauth_client_id",
            "subscription",
            "{subscription_id",
            "headers",
        ];
        if !reads && places.contains(&place) {
            assert_eq!(decided.routing, Routing::Changed, "{id}");
        }
        let ends = ["secret", "token", "key"].contains(&place) || one.path.contains("/auth/");
        if ends || one.right == Some(Right::Reveal) {
            assert!(matches!(decided.tool, Tool::Absent(_)), "{id} gives out a secret");
        }
    }
}

/// Of what changes something, few have a tool: each was thought about.
#[test]
fn few_tools_change_anything() {
    let writing: BTreeMap<&str, Tool> = TABLE
        .iter()
        .filter(|one| one.effect != Effect::Reads && matches!(one.tool, Tool::Named(_)))
        .map(|one| (one.id, one.tool))
        .collect();
    assert_eq!(
        writing.into_keys().collect::<Vec<_>>(),
        [
            "endpoint.recover",
            "endpoint.replay_missing",
            "message_attempt.resend",
            "source.sample",
            "source_request.replay",
        ]
    );
}

#[test]
fn an_operation_says_what_the_document_says() {
    let list = find("source_request.list").unwrap();
    assert_eq!((list.method.as_str(), list.pages()), ("GET", true));
    assert_eq!(list.path, "/ingest/api/v1/source/{source_id}/request");
    assert_eq!(
        list.parameters(Place::Path).map(|one| &*one.name).collect::<Vec<_>>(),
        ["source_id"]
    );
    assert_eq!(list.right, Some(Right::Look));
    assert_eq!(find("health.get").unwrap().right, None);
    let recover = find("endpoint.recover").unwrap();
    let body = recover.body.as_ref().unwrap();
    assert_eq!(body.schema["properties"]["since"]["format"], "date-time");
    assert!(!all().iter().any(|one| {
        one.body.as_ref().is_some_and(|body| body.schema.to_string().contains("\"$ref\""))
    }));
    assert!(find("nothing.at_all").is_none());
}
