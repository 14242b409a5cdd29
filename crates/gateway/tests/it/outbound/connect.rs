//! Opening a connection: whose turn it is, and when patience ends.

use std::{sync::Arc, time::Duration};

use ringback::{outbound::Reason, seam::ResolveError};
use ringback_domain::attempt::Phase;
use tokio::time::Instant;

use super::world::{CONNECT_LIMIT, Line, World, connect, read_request, target};

const V4: [&str; 3] = ["93.184.216.1", "93.184.216.2", "93.184.216.3"];
const V6: [&str; 2] = ["2606:2800:220:1::1", "2606:2800:220:1::2"];

async fn check(world: &Arc<World>, url: &str, phase: Phase, reason: Reason, after: Duration) {
    let begin = Instant::now();
    let failure = connect(&world.connector(), url).await.err().unwrap();
    assert_eq!((failure.phase, failure.reason), (phase, reason));
    assert_eq!(begin.elapsed(), after);
    let timings = failure.timings;
    assert_eq!(timings.dns + timings.connect + timings.tls, after);
}

#[tokio::test(start_paused = true)]
async fn names_that_lead_nowhere() {
    let world = World::new();
    world.failing_name("broken.example", ResolveError::Failed("SERVFAIL".into()));
    world.failing_name("slow.example", ResolveError::TimedOut);
    world.silent_name("silent.example");
    world.name("empty.example", &[]);
    for (url, reason, after) in [
        ("http://missing.example/", Reason::DnsNotFound, Duration::ZERO),
        ("http://empty.example/", Reason::DnsNotFound, Duration::ZERO),
        ("http://broken.example/", Reason::DnsFailed, Duration::ZERO),
        ("http://slow.example/", Reason::DnsTimeout, Duration::ZERO),
        ("http://silent.example/", Reason::DnsTimeout, CONNECT_LIMIT),
    ] {
        check(&world, url, Phase::Dns, reason, after).await;
    }
    assert!(world.dialled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn addresses_that_lead_nowhere() {
    let world = World::new();
    world.name("refusing.example", &V4);
    world.name("swallowing.example", &V4);
    check(
        &world,
        "http://refusing.example/",
        Phase::Connect,
        Reason::ConnectionRefused,
        Duration::ZERO,
    )
    .await;
    for ip in V4 {
        world.swallow(&format!("{ip}:80"));
    }
    check(
        &world,
        "http://swallowing.example/",
        Phase::Connect,
        Reason::ConnectTimeout,
        CONNECT_LIMIT,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_speak_tls_in_time() {
    let world = World::new();
    world.serve("93.184.216.1:443", |mut stream| async move {
        read_request(&mut stream).await;
        std::future::pending().await
    });
    check(&world, "https://93.184.216.1/", Phase::Tls, Reason::TlsTimeout, CONNECT_LIMIT).await;
}

#[tokio::test(start_paused = true)]
async fn the_total_deadline_counts_when_it_is_earlier() {
    let world = World::new();
    world.swallow("93.184.216.1:80");
    let begin = Instant::now();
    let soon = begin + Duration::from_secs(1);
    let failure =
        world.connector().connect(&target("http://93.184.216.1/"), soon).await.err().unwrap();
    assert_eq!(failure.reason, Reason::ConnectTimeout);
    assert_eq!(begin.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn families_take_turns_and_one_that_swallows_leaves_time_for_the_other() {
    let world = World::new();
    world.name("both.example", &[V4[0], V4[1], V4[2], V6[0], V6[1]]);
    world.swallow("93.184.216.1:80");
    world.serve("93.184.216.2:80", |mut stream| async move {
        read_request(&mut stream).await;
    });
    let begin = Instant::now();
    let opened = connect(&world.connector(), "http://both.example/").await.unwrap();
    assert_eq!(world.dialled(), ["93.184.216.1:80", "[2606:2800:220:1::1]:80", "93.184.216.2:80"]);
    assert_eq!(opened.address.to_string(), "93.184.216.2:80");
    assert_eq!(begin.elapsed(), CONNECT_LIMIT / 4);
    drop(Line::of(opened));
}
