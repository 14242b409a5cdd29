//! One connection: events out, acknowledgements in.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_arrives_is_told_as_it_came() {
    let bench = Bench::new().await;
    let mut socket = bench.listen("me", json!({ "sources": ["hub"] })).await;
    assert_eq!(socket.hello["behind"], 0, "{}", socket.hello);
    assert_eq!(socket.hello["sources"][0]["provider"], "github");
    bench.events(1..2).await;
    let told = socket.event().await;
    assert_eq!(told.body, body(1));
    let expect = [("sourceName", "hub"), ("provider", "github"), ("eventType", "push")];
    for (name, value) in expect.into_iter().chain([("verdict", "verified"), ("method", "POST")]) {
        assert_eq!(told.head[name], value, "{}", told.head);
    }
    // The original signature is that of the original bytes.
    let made = signed("github", SECRET, now(), "", &[], &body(1));
    assert_eq!(told.header("x-hub-signature-256"), Some(made[0].1.as_str()));
    let own = |name: &str| name.starts_with("ringback-") || name.starts_with(':');
    let headers = told.head["headers"].as_array().unwrap();
    assert!(!headers.iter().any(|pair| own(pair[0].as_str().unwrap())), "{headers:?}");
    socket.ack(&told).await;
    assert_eq!(socket.behind().await["count"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_text_and_tokens_come_through() {
    let bench = Bench::new().await;
    let path = source(&bench.server, "gitlab", "lab", json!({})).await;
    let mut socket = bench.listen("me", json!({ "sources": ["lab"] })).await;
    let raw = Bytes::from_static(b"{\"a\":\"\xff\xfe\x00\"}\n\n");
    let headers = [
        ("x-gitlab-token", SECRET),
        ("x-gitlab-event", "Push Hook"),
        ("x-twice", "one"),
        ("x-twice", "two"),
    ];
    let url = &bench.server.url;
    let target = format!("{path}?a=b&a=c");
    let answered = call(url, Method::POST, &target, &headers, raw.clone()).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    let told = socket.event().await;
    assert_eq!(told.body, raw);
    assert_eq!(told.head["target"], "?a=b&a=c");
    assert_eq!(told.header("x-gitlab-token"), Some(SECRET));
    let pairs = told.head["headers"].as_array().unwrap();
    let twice: Vec<_> = pairs.iter().filter(|pair| pair[0] == "x-twice").collect();
    assert_eq!((&twice[0][1], &twice[1][1]), (&json!("one"), &json!("two")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_goes_on_where_it_was() {
    let mut bench = Bench::new().await;
    let mut socket = bench.listen("me", json!({})).await;
    bench.events(0..30).await;
    let told = socket.take(30).await;
    assert_eq!(numbers(&told), (0..30).collect::<Vec<_>>());
    socket.ack(&told[9]).await;
    assert_eq!(socket.behind().await["count"], 20, "all before are acknowledged with it");
    drop(socket);
    // The connection breaks.
    let mut socket = Socket::open(&bench.server, "me", "").await.unwrap();
    assert_eq!(socket.hello["behind"], 20);
    assert_eq!(numbers(&socket.take(20).await), (10..30).collect::<Vec<_>>());
    // The client knows more than the server.
    drop(socket);
    let after = format!("?after={}", told[19].id());
    let mut socket = Socket::open(&bench.server, "me", &after).await.unwrap();
    assert_eq!(numbers(&socket.take(10).await), (20..30).collect::<Vec<_>>());
    // The server is killed, and more arrives before anybody is back.
    socket.ack(&told[9]).await;
    bench.server.kill();
    bench.server.restart();
    bench.events(30..40).await;
    let mut socket = Socket::open(&bench.server, "me", &after).await.unwrap();
    assert_eq!(numbers(&socket.take(20).await), (20..40).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_survive_the_end_of_the_process() {
    let mut bench = Bench::new().await;
    let mut socket = bench.listen("me", json!({})).await;
    bench.events(0..5).await;
    let told = socket.take(5).await;
    socket.ack(&told[2]).await;
    assert_eq!(socket.behind().await["count"], 2);
    assert!(bench.server.stop().success());
    assert_eq!(socket.sent_away().await, 1001, "it is to come again");
    bench.server.restart();
    let mut socket = Socket::open(&bench.server, "me", "").await.unwrap();
    assert_eq!(numbers(&socket.take(2).await), [3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_who_listens_hears_all() {
    let bench = Bench::new().await;
    let mut one = bench.listen("one", json!({ "sources": ["hub"] })).await;
    let mut two = bench.listen("two", json!({})).await;
    let mut pushes = bench.listen("pushes", json!({ "eventTypes": ["pu*"] })).await;
    let filter = json!({ "body": { "number": { "$gte": 2 } } });
    let mut filtered = bench.listen("filtered", json!({ "filter": filter })).await;
    bench.events(0..3).await;
    send(&bench.server, &bench.path, "issues", "3", &body(3)).await;
    bench.events(4..5).await;
    assert_eq!(numbers(&one.take(5).await), [0, 1, 2, 3, 4]);
    assert_eq!(numbers(&two.take(5).await), [0, 1, 2, 3, 4]);
    assert_eq!(numbers(&pushes.take(4).await), [0, 1, 2, 4]);
    assert_eq!(numbers(&filtered.take(3).await), [2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_made_later_is_heard_from_its_first_event() {
    let bench = Bench::new().await;
    let mut all = bench.listen("all", json!({})).await;
    bench.put("later", json!({})).await;
    for number in 0..10 {
        let path = source(&bench.server, "github", &format!("new-{number}"), json!({})).await;
        let sent = send(&bench.server, &path, "push", &number.to_string(), &body(number)).await;
        assert_eq!(sent.status, 200);
        assert_eq!(bench.event(100 + number).await.status, 200);
    }
    let expect: Vec<usize> = (0..10).flat_map(|number| [number, 100 + number]).collect();
    assert_eq!(numbers(&all.take(20).await), expect);
    let mut later = Socket::open(&bench.server, "later", "").await.unwrap();
    assert_eq!(numbers(&later.take(20).await), expect);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_shares_what_arrives() {
    let bench = Bench::new().await;
    let mut one = bench.listen("team", json!({ "shared": true })).await;
    bench.events(0..1).await;
    let first = one.event().await;
    let mut two = Socket::open(&bench.server, "team", "?client=laptop").await.unwrap();
    bench.events(1..20).await;
    let mut seen = vec![first];
    // Each is told to one of them.
    while seen.len() < 20 {
        tokio::select! {
            told = one.event() => seen.push(told),
            told = two.event() => seen.push(told),
        }
    }
    let mut all = numbers(&seen);
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    let listener = bench.listener("team").await;
    let connections = listener["connections"].as_array().unwrap();
    assert_eq!(connections.len(), 2, "{listener}");
    assert_eq!(connections[1]["client"], "laptop");
    let in_flight: u64 = connections.iter().map(|one| one["inFlight"].as_u64().unwrap()).sum();
    assert_eq!(in_flight, 20);
    // What one had comes to the other, marked.
    drop(one);
    for told in &seen {
        two.ack(told).await;
    }
    let left = connections[0]["inFlight"].as_u64().unwrap() as usize;
    for _ in 0..left {
        let told = two.event().await;
        assert_eq!(told.head["again"], true, "{}", told.head);
        two.ack(&told).await;
    }
    while two.behind().await["count"] != 0 {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_back_gets_or_leaves_it() {
    let bench = Bench::new().await;
    let mut one = bench.listen("team", json!({ "shared": true })).await;
    bench.events(0..1).await;
    let told = one.event().await;
    one.say(json!({ "type": "nack", "id": told.id() })).await;
    assert_eq!(one.event().await.id(), told.id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_sent_away_is_told_why() {
    let bench = Bench::new().await;
    let path = "/api/v1/listener/me";
    let mut first = bench.listen("me", json!({})).await;
    let mut second = Socket::open(&bench.server, "me", "").await.unwrap();
    assert_eq!(first.sent_away().await, 4001, "there is one of them");
    let (status, said) = bench.server.call(Method::POST, &format!("{path}/disconnect"), None).await;
    assert_eq!((status, &said["disconnected"]), (200, &json!(1)), "{said}");
    assert_eq!(second.sent_away().await, 4002);
    let mut third = Socket::open(&bench.server, "me", "").await.unwrap();
    bench.put("me", json!({ "eventTypes": ["push"] })).await;
    assert_eq!(third.sent_away().await, 1001, "other terms count from now on");
    bench.events(0..3).await;
    let mut fourth = Socket::open(&bench.server, "me", "").await.unwrap();
    let told = fourth.take(3).await;
    fourth.ack(&told[2]).await;
    assert_eq!(fourth.behind().await["count"], 0);
    let seek = json!({ "to": told[0].id() });
    bench.server.post(&format!("{path}/seek"), seek).await;
    assert_eq!(fourth.sent_away().await, 4004);
    let mut fifth = Socket::open(&bench.server, "me", "").await.unwrap();
    assert_eq!(numbers(&fifth.take(2).await), [1, 2], "it goes on from where it was moved to");
    let (status, _) = bench.server.call(Method::DELETE, path, None).await;
    assert_eq!(status, 204);
    assert_eq!(fifth.sent_away().await, 4003);
    assert_eq!(Socket::open(&bench.server, "me", "").await.err().unwrap().0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_connection_is_refused_clearly() {
    let bench = Bench::new().await;
    bench.put("me", json!({})).await;
    let refused = Socket::open_as(&bench.server, "another-made-up-token", "me", "").await;
    assert_eq!(refused.err().unwrap().0, 401);
    let refused = Socket::open(&bench.server, "me", "?after=yesterday").await.err().unwrap();
    assert!(refused.0 == 422 && refused.1.contains("after"), "{refused:?}");
    let path = "/api/v1/listener/me/connect";
    let (status, said) = bench.server.call(Method::GET, path, None).await;
    assert_eq!((status, &said["code"]), (400, &json!("no_upgrade")), "{said}");
    let mut socket = Socket::open(&bench.server, "me", "").await.unwrap();
    socket.say(json!({ "type": "hallo" })).await;
    assert_eq!(socket.sent_away().await, 1002);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_has_so_much_in_hand_and_no_more() {
    let bench = Bench::new().await;
    bench.put("me", json!({})).await;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(3 * 1024 * 1024));
    for id in ["1", "2", "3", "4", "5"] {
        let sent = send(&bench.server, &bench.path, "push", id, &large).await;
        assert_eq!(sent.status, 200);
    }
    let mut socket = Socket::open(&bench.server, "me", "").await.unwrap();
    let told = socket.take(3).await;
    // More than 8 MiB are in hand: there is nothing but words until one is acknowledged.
    assert_eq!(bench.listener("me").await["connections"][0]["inFlight"], 3);
    socket.ack(&told[0]).await;
    assert_eq!(numbers(&socket.take(1).await), [4]);
    assert_eq!(told[0].body.len(), large.len());
}
