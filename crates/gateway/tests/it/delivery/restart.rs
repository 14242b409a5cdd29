//! What is pending survives the end of the process, of whichever kind.

use std::time::Duration;

use super::{Bench, millis, schedule};
use crate::support::{Answer, Receiver, Settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pending_retries_are_made_at_their_time_after_a_restart() {
    let receiver = Receiver::with(|_, before| Answer::status(if before == 0 { 500 } else { 204 }));
    let mut bench = Bench::new(schedule("3")).await;
    let endpoint = bench.endpoint(&receiver.url()).await;
    for crash in [true, false] {
        let message = bench.send("restart.test").await;
        let planned = millis(&bench.attempts(&message, 1).await[0]["nextAttempt"]);
        if crash {
            bench.server.kill();
        } else {
            assert_eq!(bench.server.stop().code(), Some(0));
        }
        bench.server.restart();
        let line = bench.explain(&message, &endpoint).await;
        assert_eq!(line["state"], "pending", "{line}");
        assert_eq!(millis(&line["nextAttempt"]), planned);
        let attempts = bench.attempts(&message, 2).await;
        let late = millis(&attempts[1]["timestamp"]) - planned;
        assert!((0..1_000).contains(&late), "{late} ms late");
        assert_eq!(attempts[1]["attemptNumber"], 2);
    }
    assert_eq!(receiver.receipts().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_and_not_recorded_when_the_process_died_is_sent_again() {
    // The first request arrives, and is still open when the process dies.
    let answer = |before| if before == 0 { Answer::Never } else { Answer::status(204) };
    let receiver = Receiver::with(move |_, before| answer(before));
    let mut bench = Bench::new(Settings::default()).await;
    bench.endpoint(&receiver.url()).await;
    let message = bench.send("restart.test").await;
    receiver.wait_for(1);
    bench.server.kill();
    bench.server.restart();
    let attempts = bench.attempts(&message, 1).await;
    assert_eq!(attempts.len(), 1, "the attempt that nobody saw the end of is not made up");
    assert_eq!(attempts[0]["attemptNumber"], 1);
    let receipts = receiver.receipts();
    assert_eq!(receipts.len(), 2);
    assert_eq!(receipts[0].id(), receipts[1].id(), "a receiver can tell that it is the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_twice_over_clean_restarts() {
    // Slower than messages are accepted, whatever the store.
    let receiver = Receiver::with(|_, _| Answer::Slowly(204, Duration::from_millis(150)));
    let settings = Settings::default().env("RINGBACK_DELIVERY_IN_FLIGHT_PER_ENDPOINT", "4");
    let mut bench = Bench::new(settings).await;
    bench.endpoint(&receiver.url()).await;
    let mut messages = Vec::new();
    for round in 0..3 {
        for _ in 0..60 {
            messages.push(bench.send("restart.test").await);
        }
        let arrived = receiver.receipts().len();
        assert!(arrived < messages.len(), "something is left for the next life");
        receiver.wait_for(arrived + 1);
        assert_eq!(bench.server.stop().code(), Some(0), "round {round}");
        bench.server.restart();
    }
    receiver.wait_until(|_, by_id| by_id.len() == messages.len());
    // Each is recorded once, too.
    for message in &messages {
        assert_eq!(bench.attempts(message, 1).await.len(), 1);
    }
    assert_eq!(receiver.receipts().len(), messages.len());
}
