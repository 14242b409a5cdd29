//! `ringback api`: what it prints, and how it ends.

use serde_json::{Value, json};

use super::{run, stderr, stdout};
use crate::support::{Receiver, Server, Settings, TOKEN};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_operation_of_a_server() {
    let receiver = Receiver::ok();
    let server = Server::start(Settings::default());
    let env = [("RINGBACK_URL", server.url.as_str()), ("RINGBACK_TOKEN", TOKEN)];
    let api = |words: &[&str]| run(&[&["api"], words].concat(), &env);
    let printed = |words: &[&str]| -> Value {
        let done = api(words);
        assert_eq!(done.status.code(), Some(0), "{words:?}: {}", stderr(&done));
        serde_json::from_str(&stdout(&done)).unwrap_or(Value::Null)
    };
    let made = printed(&["application.create", "-f", "name=7", "--field", "uid=shop", "--json"]);
    assert_eq!((&made["uid"], &made["name"]), (&json!("shop"), &json!("7")));
    let url = format!("url={}", receiver.url());
    let endpoint = printed(&["endpoint.create", "shop", "-f", &url]);
    let id = endpoint["id"].as_str().unwrap();
    printed(&["message.create", "shop", "-d", r#"{"eventType":"a.b","payload":{"n":1}}"#]);
    assert_eq!(receiver.wait_for(1)[0].body, r#"{"n":1}"#);
    let found = printed(&["message.list", "shop", "-p", "event_types=a.b", "-p", "limit=1"]);
    assert_eq!(found["data"][0]["eventType"], "a.b");

    for number in 0..3 {
        printed(&["application.create", "-f", &format!("name=\"n{number}\"")]);
    }
    let all = api(&["application.list", "--all", "-p", "limit=1", "--json"]);
    let ids: std::collections::HashSet<_> = stdout(&all).lines().map(str::to_owned).collect();
    assert_eq!(ids.len(), 4, "{ids:?}");

    let kept = api(&["endpoint.delete", "shop", id]);
    assert_eq!(kept.status.code(), Some(64));
    assert!(stderr(&kept).contains("cannot be undone: say --yes"), "{}", stderr(&kept));
    assert_eq!(printed(&["endpoint.get", "shop", id])["id"], id);
    let gone = api(&["endpoint.delete", "shop", id, "--yes"]);
    assert_eq!((gone.status.code(), stdout(&gone)), (Some(0), String::new()));
    assert_eq!(stderr(&gone), "done: 204 No Content\n");

    for (words, code, told) in [
        (&["endpoint.get", "shop", id][..], 1, "the server answered 404"),
        (&["endpoint.gets", "shop"], 64, "there are endpoint.bulk_replay, endpoint.create"),
        (&["no.such"], 64, "`ringback api list` lists them"),
        (&["endpoint.get", "shop"], 64, "endpoint.get needs endpoint_id"),
        (&["endpoint.get", "shop", id, "x"], 64, "\"x\" is one too many"),
        (&["endpoint.get", "shop", id, "-p", "a=b"], 64, "it takes app_id, endpoint_id"),
        (&["endpoint.get", "shop", id, "-p", "a"], 64, "takes NAME=VALUE"),
        (&["endpoint.get", "shop", id, "-f", "a=b"], 64, "takes no body"),
        (&["endpoint.get", "shop", id, "--all"], 64, "is no list"),
        (
            &["application.create", "-f", "nam=x"],
            64,
            "has no field \"nam\"; it takes metadata, name",
        ),
        (&["application.create", "-d", "{"], 64, "--data is not JSON"),
        (&["application.create", "-d", "@/nowhere"], 64, "/nowhere"),
        (&["application.create", "-f", "name="], 1, "body.name"),
        (&[], 64, "ringback api list"),
    ] {
        let refused = api(words);
        let said = stderr(&refused);
        assert_eq!(refused.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(told) && !said.contains(TOKEN), "{words:?}: {said}");
        assert_eq!(stdout(&refused), "", "{words:?}");
    }
}

/// What is said about operations takes no server and no token.
#[test]
fn operations_are_listed_and_shown() {
    let list = run(&["api", "list", "REPLAY"], &[]);
    let said = stdout(&list);
    assert!(
        said.contains("source_request.replay") && said.contains("endpoint.bulk_replay"),
        "{said}"
    );
    assert!(!said.contains("application.list"), "{said}");
    let none = run(&["api", "list", "teapot"], &[]);
    assert_eq!((none.status.code(), stdout(&none)), (Some(1), String::new()));
    let all: Value = serde_json::from_str(&stdout(&run(&["api", "list", "--json"], &[]))).unwrap();
    assert!(all.as_array().unwrap().len() > 140);

    let shown = stdout(&run(&["api", "show", "endpoint.recover"], &[]));
    for part in [
        "endpoint.recover  POST /api/v1/app/{app_id}/endpoint/{endpoint_id}/recover",
        "needed; Only messages accepted at this time or later.",
        "a token with the role application",
        "recover_endpoint of `ringback mcp`",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let shown = stdout(&run(&["api", "show", "endpoint.delete"], &[]));
    assert!(shown.contains("cannot be undone") && shown.contains("2026-11-23)"), "{shown}");
    let shown = stdout(&run(&["api", "show", "source_request.list", "--json"], &[]));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["role"], &shown["tool"]), (&json!("read"), &json!("list_requests")));
    assert_eq!(run(&["api", "show", "nothing"], &[]).status.code(), Some(64));
}
