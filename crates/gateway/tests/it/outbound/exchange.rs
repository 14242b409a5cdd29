//! Every bad answer there is, against the limits.

use std::{
    iter::repeat,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use ringback::outbound::Reason;
use ringback_domain::attempt::Phase;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::world::{Line, PUBLIC, TOTAL, World, drip, read_request, write_endlessly};

const OK_EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const OK_CHUNKED: &[u8] =
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";

/// A server that reads the request, writes `answer` and keeps the connection open.
fn answering(answer: impl Into<Vec<u8>>) -> Arc<World> {
    let answer = Arc::new(answer.into());
    World::with_server(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            read_request(&mut stream).await;
            // A client that has had enough is gone before the end.
            let _ = stream.write_all(&answer).await;
            read_request(&mut stream).await;
        }
    })
}

/// A server that reads the request, writes `answer` and closes.
fn closing(answer: &'static [u8]) -> Arc<World> {
    World::with_server(move |mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(answer).await.unwrap();
    })
}

async fn check_failure(world: Arc<World>, phase: Phase, reason: Reason, received: bool) {
    let mut line = Line::open(&world).await;
    let failure = line.post(b"{}").await.unwrap_err();
    assert_eq!((failure.phase, failure.reason, failure.received), (phase, reason, received));
    assert_eq!(failure.status.is_some(), phase == Phase::Body);
    line.ended().await;
}

/// As `check_failure`, for what only the deadline ends; it must end exactly then.
async fn check_timeout(world: Arc<World>, phase: Phase, received: bool) {
    let begin = Instant::now();
    check_failure(world, phase, Reason::Timeout, received).await;
    assert_eq!(begin.elapsed(), TOTAL);
}

#[tokio::test(start_paused = true)]
async fn a_head_in_drops_is_cut_at_the_deadline() {
    let world = World::with_server(|mut stream| async move {
        read_request(&mut stream).await;
        drip(&mut stream, b"HTTP/1.1 200 OK\r\nx-slow: ".iter().copied().chain(repeat(b'a'))).await;
    });
    check_timeout(world, Phase::FirstByte, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_in_drops_is_cut_at_the_deadline() {
    let world = World::with_server(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        drip(&mut stream, repeat(b'a')).await;
    });
    check_timeout(world, Phase::Body, true).await;
}

#[tokio::test(start_paused = true)]
async fn silence_is_cut_at_the_deadline() {
    check_timeout(answering(""), Phase::FirstByte, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_read_is_cut_at_the_deadline() {
    let world = World::with_server(|stream| async move {
        let _open = stream;
        std::future::pending().await
    });
    let begin = Instant::now();
    let mut line = Line::open(&world).await;
    let failure = line.post(&vec![b'a'; 1024 * 1024]).await.unwrap_err();
    assert_eq!((failure.phase, failure.reason), (Phase::Send, Reason::Timeout));
    assert!(!failure.received);
    assert_eq!(begin.elapsed(), TOTAL);
    line.ended().await;
}

/// Checks that an answer without end is kept to 16 KiB, and that no more than `most` bytes of it
/// ever left the server (what lies in the pipe included).
async fn check_endless(head: &'static str, piece: Vec<u8>, most: usize) {
    let taken = Arc::new(AtomicUsize::new(0));
    let world = World::with_server({
        let taken = Arc::clone(&taken);
        move |mut stream| {
            let (taken, piece) = (Arc::clone(&taken), piece.clone());
            async move {
                read_request(&mut stream).await;
                stream.write_all(head.as_bytes()).await.unwrap();
                taken.store(write_endlessly(&mut stream, &piece).await, SeqCst);
            }
        }
    });
    let mut line = Line::open(&world).await;
    let answer = line.post(b"{}").await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() <= 16 * 1024);
    assert!(answer.truncated && !answer.reusable);
    line.ended().await;
    // The server notices when its end of the pipe is gone.
    while taken.load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(taken.load(SeqCst) < most, "{taken:?} bytes were taken");
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_is_read_to_the_limit() {
    let piece = vec![b'a'; 4096];
    check_endless("HTTP/1.1 200 OK\r\n\r\n", piece.clone(), 120 * 1024).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n";
    check_endless(head, piece, 120 * 1024).await;
}

#[tokio::test(start_paused = true)]
async fn endless_chunks_are_read_to_the_limit() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = [b"1000\r\n".to_vec(), vec![b'a'; 4096], b"\r\n".to_vec()].concat();
    check_endless(head, chunk, 120 * 1024).await;
    // Hardly any body, all framing.
    check_endless(head, b"000001\r\na\r\n".to_vec(), 160 * 1024).await;
}

#[tokio::test(start_paused = true)]
async fn endless_chunk_extensions_are_malformed() {
    let world = World::with_server(|mut stream| async move {
        read_request(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let extension = "x".repeat(1000);
        write_endlessly(&mut stream, format!("1;{extension}\r\na\r\n").as_bytes()).await;
    });
    check_failure(world, Phase::Body, Reason::Malformed, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_over_what_is_kept_leaves_the_connection_usable() {
    let body = "a".repeat(40 * 1024);
    let world =
        answering(format!("HTTP/1.1 500 Oh\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    let answer = Line::open(&world).await.post(b"{}").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.len()), (500, 16 * 1024));
    assert!(answer.truncated && answer.reusable);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_decompressed_or_asked_to_be_compressed() {
    let requests = Arc::new(std::sync::Mutex::new(Vec::new()));
    let world = World::with_server({
        let requests = Arc::clone(&requests);
        move |mut stream| {
            let requests = Arc::clone(&requests);
            async move {
                let request = read_request(&mut stream).await;
                requests.lock().unwrap().push(request);
                let head =
                    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10\r\n\r\n";
                stream.write_all(head).await.unwrap();
                stream.write_all(b"\x1f\x8b\x08\0\0\0\0\0\0\x03").await.unwrap();
            }
        }
    });
    let answer = Line::open(&world).await.post(b"{}").await.unwrap();
    assert_eq!(answer.body.as_ref(), b"\x1f\x8b\x08\0\0\0\0\0\0\x03");
    let requests = requests.lock().unwrap();
    assert_eq!(
        *requests,
        ["POST /hook HTTP/1.1\r\nhost: 93.184.216.34\r\ncontent-length: 2\r\n\r\n{}"]
    );
}

fn headers(count: usize) -> Arc<World> {
    let fields: String = (0..count).map(|n| format!("x-{n}: v\r\n")).collect();
    answering(format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n"))
}

#[tokio::test(start_paused = true)]
async fn too_many_headers_are_refused() {
    for count in [64, 99, 1000] {
        check_failure(headers(count), Phase::FirstByte, Reason::TooLarge, true).await;
    }
    Line::open(&headers(63)).await.post(b"{}").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_huge_header_is_refused() {
    let world = answering(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(1024 * 1024)));
    check_failure(world, Phase::FirstByte, Reason::TooLarge, true).await;
}

#[tokio::test(start_paused = true)]
async fn informational_answers_are_skipped_but_not_without_end() {
    let few =
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(3) + "HTTP/1.1 204 No\r\n\r\n";
    let answer = Line::open(&answering(few)).await.post(b"{}").await.unwrap();
    assert_eq!(answer.status, 204);
    assert!(answer.reusable);

    let flood = World::with_server(|mut stream| async move {
        read_request(&mut stream).await;
        write_endlessly(&mut stream, b"HTTP/1.1 102 Processing\r\n\r\n").await;
    });
    check_failure(flood, Phase::FirstByte, Reason::TooLarge, true).await;
}

#[tokio::test(start_paused = true)]
async fn every_status_is_an_answer_and_redirects_are_not_followed() {
    for status in [200, 201, 299, 300, 301, 302, 303, 307, 308, 400, 404, 410, 429, 500, 503, 599] {
        let world = answering(format!(
            "HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:9/\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n"
        ));
        let answer = Line::open(&world).await.post(b"{}").await.unwrap();
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.headers["retry-after"], "7");
        assert_eq!(world.dialled(), [format!("{PUBLIC}:80")]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_before_the_answer() {
    for (answer, received) in [(&b""[..], false), (b"HTTP/1.1 2", true)] {
        let world = closing(answer);
        let mut line = Line::open(&world).await;
        let failure = line.post(b"{}").await.unwrap_err();
        assert_eq!((failure.phase, failure.reason), (Phase::FirstByte, Reason::Reset));
        assert_eq!(failure.ended_unanswered(), !received);
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_within_the_body() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        check_failure(closing(answer), Phase::Body, Reason::Reset, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_http_is_malformed() {
    for answer in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "<html>HTTP/0.9 it is</html>\r\n\r\n",
        "HTTP/1.1 20x OK\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    ] {
        check_failure(answering(answer), Phase::FirstByte, Reason::Malformed, true).await;
    }
    for chunks in ["zz\r\nabc\r\n", "3\r\nabcdef\r\n", "fffffffffffffffff\r\nabc\r\n"] {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
        check_failure(answering(answer), Phase::Body, Reason::Malformed, true).await;
    }
}

/// A server that answers each request on a connection with the next of these, and closes when
/// there is one more.
fn one_after_the_other(answers: &'static [&'static [u8]]) -> Arc<World> {
    World::with_server(move |mut stream| async move {
        for answer in answers {
            read_request(&mut stream).await;
            stream.write_all(answer).await.unwrap();
        }
        read_request(&mut stream).await;
    })
}

#[tokio::test(start_paused = true)]
async fn a_connection_serves_many_exchanges() {
    let world = one_after_the_other(&[OK_EMPTY, OK_CHUNKED, OK_EMPTY]);
    let mut line = Line::open(&world).await;
    for body in [&b""[..], b"ok", b""] {
        let answer = line.post(b"{}").await.unwrap();
        assert_eq!(answer.body, body);
        assert!(answer.reusable && !answer.truncated);
    }
    // What the peer's idle limit looks like: worth one repetition on a fresh connection.
    let failure = line.post(b"{}").await.unwrap_err();
    assert!(failure.ended_unanswered());
    line.ended().await;
}

#[tokio::test(start_paused = true)]
async fn connections_that_do_not_outlive_their_answer() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"[..],
        b"HTTP/1.1 200 OK\r\nconnection: x, CLOSE\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\nok",
    ] {
        let world = closing(answer);
        let mut line = Line::open(&world).await;
        let answer = line.post(b"{}").await.unwrap();
        assert_eq!(answer.body.as_ref(), b"ok");
        assert!(!answer.reusable && !answer.truncated);
        line.ended().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_does_not_leave_a_busy_connection_for_reuse() {
    let world = World::with_server(|mut stream| async move {
        stream.read_exact(&mut [0; 100]).await.unwrap();
        stream.write_all(b"HTTP/1.1 413 Large\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        std::future::pending().await
    });
    let mut line = Line::open(&world).await;
    let answer = line.post(&vec![b'a'; 1024 * 1024]).await.unwrap();
    assert_eq!(answer.status, 413);
    assert!(!answer.reusable);
    line.ended().await;
}

#[tokio::test(start_paused = true)]
async fn switching_protocols_is_no_connection_for_more() {
    let world =
        answering("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n");
    let mut line = Line::open(&world).await;
    let answer = line.post(b"{}").await.unwrap();
    assert_eq!(answer.status, 101);
    assert!(!answer.reusable);
    line.ended().await;
}
