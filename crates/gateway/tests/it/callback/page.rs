//! What a person sees, and what those do who only look.

use super::*;

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_confirms_with_the_pages_form() {
    let bench = Bench::new().await;
    let words =
        json!({"title": "Pay <Ada> & Co?", "text": "42 €", "accept": "Pay", "decline": "No"});
    let one = bench.made(json!({"confirm": words})).await;
    let page = bench.call(Method::GET, &one.path, &[BROWSER], "").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let text = page.text();
    assert!(text.contains("<h1>Pay &lt;Ada&gt; &amp; Co?</h1>") && text.contains(">Pay</button>"));
    assert!(text.contains(">No</button>") && !text.contains("<script") && !text.contains("http"));
    assert!(!text.contains(&one.path), "the secret is not repeated");
    for (name, part) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("x-robots-tag", "noindex"),
        ("content-security-policy", "default-src 'none'; style-src 'sha256-"),
        ("content-security-policy", "frame-ancestors 'none'"),
        ("content-security-policy", "form-action 'self'"),
    ] {
        assert!(page.header(name).contains(part), "{name}: {}", page.header(name));
    }
    let posted = bench.call(Method::POST, &one.path, &[BROWSER, FORM], "confirm=accept").await;
    assert_eq!((posted.status, posted.header("location")), (303, "?answered"));
    let shown = bench.shown(&one).await;
    assert_eq!(shown["status"], "completed");
    let after = bench.call(Method::GET, &one.path, &[BROWSER], "").await;
    assert!(after.text().contains("has been received") && !after.text().contains("<form"));
    // Posted twice by an impatient finger, or by the back button: the same page again.
    let twice = bench.call(Method::POST, &one.path, &[BROWSER, FORM], "confirm=accept").await;
    assert_eq!(twice.status, 303);
    let result = bench.server.get(&format!("/api/v1/callback/{}/result", one.id)).await;
    assert_eq!(result["result"]["form"], json!({"confirm": "accept"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_may_decline_where_that_is_offered() {
    let bench = Bench::new().await;
    let both = bench.made(json!({"confirm": {"decline": "No"}})).await;
    let decline = "confirm=decline";
    bench.call(Method::POST, &both.path, &[BROWSER, FORM], decline).await;
    assert_eq!(bench.shown(&both).await["status"], "failed");
    let page = bench.call(Method::GET, &both.path, &[BROWSER], "").await;
    assert!(page.text().contains("declined"));
    // A machine that happens to say the same where nothing is offered answers.
    let one = bench.made(json!({})).await;
    assert_eq!(bench.call(Method::POST, &one.path, &[FORM], decline).await.status, 200);
    assert_eq!(bench.shown(&one).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_only_looks_changes_nothing() {
    let bench = Bench::new().await;
    let one = bench.made(json!({})).await;
    for (method, headers, expect) in [
        (Method::GET, &[][..], 200),
        (Method::GET, &[BROWSER], 200),
        (Method::GET, &[("sec-purpose", "prefetch;prerender")], 200),
        (Method::GET, &[("purpose", "prefetch")], 200),
        (Method::GET, &[("user-agent", "a scanner of links")], 200),
        (Method::HEAD, &[], 200),
        (Method::OPTIONS, &[], 204),
    ] {
        let looked = bench.call(method.clone(), &one.path, headers, "").await;
        assert_eq!(looked.status, expect, "{method}");
        assert_eq!(looked.header("referrer-policy"), "no-referrer", "{method}");
    }
    let shown = bench.shown(&one).await;
    assert_eq!((&shown["status"], &shown["requests"]), (&json!("pending"), &json!(7)));
    let all = bench.requests(&one).await;
    assert!(
        all.iter()
            .all(|(_, fate, why)| (fate.as_str(), why.as_str()) == ("refused", "only_looked"))
    );
    let types: Vec<_> = bench.told(1).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(types, ["callback.created"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_to_prove_themselves_sees_no_page() {
    let bench = Bench::new().await;
    let one = bench.made(json!({"completer": {"bearer": "rb-test-made-up-secret"}})).await;
    let refused = bench.call(Method::GET, &one.path, &[BROWSER], "").await;
    assert_eq!((refused.status, refused.header("allow")), (405, "POST, OPTIONS"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_says_when_it_is_too_late() {
    let bench = Bench::new().await;
    let one = bench.made(json!({})).await;
    bench.server.post(&format!("/api/v1/callback/{}/cancel", one.id), json!({})).await;
    let page = bench.call(Method::GET, &one.path, &[BROWSER], "").await;
    assert!(page.text().contains("no longer needed") && !page.text().contains("<form"));
}
