//! Redirect callbacks on the real process: what a browser brings, what proves it, and where it goes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use http::Method;
use ringback_domain::{
    callback::{Presented, State, redirect::status},
    id::CallbackId,
    time::Timestamp,
};
use serde_json::{Value, json};

use crate::support::{Answer, Answered, Receiver, Server, Settings, call};

const DONE: &str = "https://shop.example.com/done?shop=1";
const SORRY: &str = "https://shop.example.com/sorry";
const WAIT: &str = "https://shop.example.com/wait";

/// What the examples of the gateways' files are made with.
fn example(preset: &str, name: &str) -> (String, String) {
    let preset = ringback_builtin::preset(preset).unwrap().parsed().unwrap();
    let example = preset.examples.iter().find(|example| example.name == name).unwrap();
    (example.query.clone(), example.form.clone())
}

struct Shop {
    server: Server,
    told: Receiver,
    app: String,
}

/// A callback that was made.
struct Made {
    id: String,
    path: String,
    secret: String,
}

impl Shop {
    async fn open() -> Shop {
        let targets = [DONE, SORRY, WAIT].join(",");
        let settings = Settings::default().env("RINGBACK_CALLBACK_REDIRECT_TARGETS", &targets);
        let server = Server::start(settings);
        let told = Receiver::ok();
        let (app, _) = server.application(&told.url()).await;
        Shop { server, told, app }
    }

    fn wanted(&self, reference: &str, redirect: Value) -> Value {
        let mut all = json!({ "success": DONE, "failure": SORRY, "pending": WAIT });
        all.as_object_mut().unwrap().extend(redirect.as_object().unwrap().clone());
        json!({ "application": self.app, "kind": "redirect", "reference": reference, "redirect": all })
    }

    async fn callback(&self, reference: &str, redirect: Value) -> Made {
        self.make(self.wanted(reference, redirect)).await
    }

    async fn make(&self, wanted: Value) -> Made {
        let made = self.server.post("/api/v1/callback", wanted).await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let url = text("url");
        let path = url[url.find("/cb/").unwrap()..].to_owned();
        Made { id: text("id"), path, secret: text("statusSecret") }
    }

    /// A browser that comes back with this query.
    async fn visit(&self, made: &Made, query: &str) -> Answered {
        let path = format!("{}?{query}", made.path);
        call(&self.server.url, Method::GET, &path, &[], Bytes::new()).await
    }

    async fn view(&self, made: &Made) -> Value {
        let path = format!("/api/v1/callback/{}/result", made.id);
        self.server.call(Method::GET, &path, None).await.1
    }

    async fn ended(&self, made: &Made) -> Value {
        let path = format!("/api/v1/callback/{}/result", made.id);
        loop {
            let prefer = [("prefer", "wait=30"), ("authorization", &bearer())];
            let answer = call(&self.server.url, Method::GET, &path, &prefer, Bytes::new()).await;
            if answer.status == 200 {
                return serde_json::from_slice(&answer.body).unwrap();
            }
        }
    }

    async fn requests(&self, made: &Made) -> Vec<(String, String)> {
        let path = format!("/api/v1/callback/{}/request?order=ascending", made.id);
        let all = self.server.get(&path).await["data"].as_array().unwrap().clone();
        let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
        all.iter().map(|one| (text(one, "by"), text(one, "verdict"))).collect()
    }

    /// The types of what the application was told, once it was told the last of them.
    fn told(&self, last: &str) -> Vec<String> {
        let kind = |body: &Bytes| {
            serde_json::from_slice::<Value>(body).unwrap()["type"].as_str().unwrap().to_owned()
        };
        self.told.wait_until(|receipts, _| receipts.iter().any(|one| kind(&one.body) == last));
        let mut told: Vec<_> = self.told.receipts().iter().map(|one| kind(&one.body)).collect();
        told.sort();
        told
    }
}

fn bearer() -> String {
    format!("Bearer {}", crate::support::TOKEN)
}

fn vnpay(reference: &str) -> (String, Value) {
    let redirect = json!({ "preset": "vnpay", "settings": { "hashSecret": "MADEUPSECRET" },
        "expect": { "amount": "1000000" } });
    (reference.to_owned(), redirect)
}

fn location(answer: &Answered) -> &str {
    assert_eq!(answer.status, 303, "{:?}", answer.body);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    answer.headers["location"].to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_signed_ends_it_once() {
    let shop = Shop::open().await;
    let (query, _) = example("vnpay", "paid");
    let (reference, redirect) = vnpay("166117");
    let made = shop.callback(&reference, redirect).await;
    let first = shop.visit(&made, &query).await;
    let place = location(&first);
    assert!(
        place.starts_with(&format!("{DONE}&callback={}&status=completed&", made.id)),
        "{place}"
    );
    for _ in 0..2 {
        assert_eq!(location(&shop.visit(&made, &query).await), place, "a refresh");
    }
    // The application can tell it from one that somebody has made up.
    let url = url::Url::parse(place).unwrap();
    let field = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let id: CallbackId = made.id.parse().unwrap();
    let token = Presented::parse(&made.secret).map(|presented| presented.id);
    assert_eq!(token, Some(id), "the secret is of the same kind as the URL's");
    let expires: i64 = field("expires").parse().unwrap();
    let holds = |state: State| {
        let secret = status::Secret::new(&made.secret);
        status::holds(id, state, expires, &field("signature"), Timestamp(0), &secret)
    };
    assert!(holds(State::Completed) && !holds(State::Failed));
    let view = shop.ended(&made).await;
    assert_eq!(view["result"]["form"]["vnp_TxnRef"], "166117");
    assert_eq!(
        shop.told("callback.completed"),
        ["callback.completed", "callback.created", "callback.returned"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_proven_changes_nothing_but_that_somebody_came() {
    let shop = Shop::open().await;
    let (query, _) = example("vnpay", "paid");
    for (reference, query) in [
        ("166117", query.replace("vnp_Amount=1000000", "vnp_Amount=1")),
        ("166117", query.replace("vnp_ResponseCode=00", "vnp_ResponseCode=0")),
        ("another", query.clone()),
        ("166117", String::new()),
        ("166117", "status=completed&signature=x".to_owned()),
    ] {
        let (_, mut redirect) = vnpay("");
        redirect["expect"]["reference"] = json!(reference);
        let mut wanted = shop.wanted("", redirect);
        wanted.as_object_mut().unwrap().remove("reference");
        let made = shop.make(wanted).await;
        assert!(location(&shop.visit(&made, &query).await).starts_with(WAIT), "{query}");
        assert_eq!(shop.view(&made).await["status"], "returned", "{query}");
        // What is right counts all the same.
        let right = shop.visit(&made, &example("vnpay", "paid").0).await;
        let expected = if reference == "166117" { DONE } else { WAIT };
        assert!(location(&right).starts_with(expected));
        let refused = ("signature".to_owned(), "refused".to_owned());
        assert_eq!(shop.requests(&made).await.contains(&refused), reference == "another");
    }
}

#[tokio::test]
async fn who_only_looks_is_no_arrival() {
    let shop = Shop::open().await;
    let (query, _) = example("vnpay", "paid");
    let (reference, redirect) = vnpay("166117");
    let made = shop.callback(&reference, redirect).await;
    let path = format!("{}?{query}", made.path);
    for (method, headers, status) in [
        (Method::HEAD, &[][..], 303),
        (Method::GET, &[("sec-purpose", "prefetch")], 204),
        (Method::OPTIONS, &[], 204),
        (Method::PUT, &[], 405),
    ] {
        let answer = call(&shop.server.url, method, &path, headers, Bytes::new()).await;
        assert_eq!(answer.status, status);
    }
    assert_eq!(shop.view(&made).await["status"], "pending");
    assert_eq!(shop.requests(&made).await, []);
}

#[tokio::test]
async fn a_form_that_is_posted_across_sites_is_an_arrival() {
    let shop = Shop::open().await;
    let (_, form) = example("razorpay", "paid");
    let redirect = json!({ "preset": "razorpay", "settings": { "keySecret": "made-up-secret" } });
    let made = shop.callback("order_IluGWxBm9U8zJ8", redirect).await;
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "https://api.razorpay.com"),
        ("sec-fetch-site", "cross-site"),
    ];
    let post =
        |form: String| call(&shop.server.url, Method::POST, &made.path, &headers, form.into());
    let failed = post("error%5Bcode%5D=BAD_REQUEST_ERROR".to_owned()).await;
    assert!(location(&failed).starts_with(WAIT));
    assert!(location(&post(form).await).starts_with(DONE));
    assert_eq!(shop.view(&made).await["status"], "completed");
}

/// A gateway that knows one payment, and is there or not.
fn gateway(open: &Arc<AtomicBool>) -> Receiver {
    let open = Arc::clone(open);
    Receiver::with(move |receipt, _| {
        assert_eq!(receipt.header("authorization"), "Bearer sk_test_made_up");
        assert!(receipt.path.ends_with("/transaction/verify/nms6uvr1pl"), "{}", receipt.path);
        let body = json!({ "data": { "status": "success", "reference": "nms6uvr1pl",
            "amount": 20000, "currency": "NGN" } });
        match open.load(Ordering::Acquire) {
            true => Answer::Body(body.to_string().into()),
            false => Answer::status(503),
        }
    })
}

fn paystack(gateway: &Receiver, hold: u8) -> Value {
    let base = gateway.url();
    let base = base.trim_end_matches('/');
    json!({ "preset": "paystack", "hold": hold, "expect": { "amount": "20000", "currency": "ngn" },
        "settings": { "secretKey": "sk_test_made_up", "baseUrl": base } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_held_until_the_gateway_was_asked() {
    let shop = Shop::open().await;
    let open = Arc::new(AtomicBool::new(false));
    let gateway = gateway(&open);
    let made = shop.callback("nms6uvr1pl", paystack(&gateway, 30)).await;
    let page = shop.visit(&made, "trxref=nms6uvr1pl&reference=nms6uvr1pl").await;
    assert_eq!(page.status, 200);
    let text = String::from_utf8_lossy(&page.body).into_owned();
    assert!(!text.contains(&made.path), "the page does not repeat the secret");
    let refresh = page.headers["refresh"].to_str().unwrap();
    let next = refresh.strip_prefix("1; url=").unwrap();
    let next = next[next.find("/cb/").unwrap()..].to_owned();
    open.store(true, Ordering::Release);
    let sent = call(&shop.server.url, Method::GET, &next, &[], Bytes::new()).await;
    assert!(location(&sent).starts_with(DONE));
    assert_eq!(shop.view(&made).await["result"]["json"]["data"]["amount"], 20000);
    // Once it has ended nobody is held, nor where the gateway answers within a moment.
    assert!(location(&shop.visit(&made, "reference=other").await).starts_with(DONE));
    let quick = paystack(&gateway, 30);
    let quick = json!({ "expect": { "reference": "nms6uvr1pl", "amount": "20000", "currency": "ngn" },
        "preset": quick["preset"], "settings": quick["settings"], "hold": 30 });
    let made = shop.callback("another", quick).await;
    assert!(location(&shop.visit(&made, "reference=nms6uvr1pl").await).starts_with(DONE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_survives_a_kill() {
    let mut shop = Shop::open().await;
    let open = Arc::new(AtomicBool::new(false));
    let gateway = gateway(&open);
    let made = shop.callback("nms6uvr1pl", paystack(&gateway, 0)).await;
    assert!(location(&shop.visit(&made, "reference=nms6uvr1pl").await).starts_with(WAIT));
    gateway.wait_for(1);
    shop.server.kill();
    open.store(true, Ordering::Release);
    shop.server.restart();
    assert_eq!(shop.ended(&made).await["status"], "completed");
    let mut by = shop.requests(&made).await;
    by.sort();
    assert_eq!(
        by,
        [("lookup".to_owned(), "settled".to_owned()), ("url".to_owned(), "noted".to_owned())]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_channels_agree_whichever_is_first() {
    let shop = Shop::open().await;
    let options = json!({ "enforce": true, "correlations": [
        { "name": "paid", "reference": "{json.order}", "amount": "{json.paid}",
          "when": { "body": { "status": "paid" } } },
        { "name": "lost", "reference": "{json.order}", "outcome": "fail" },
    ] });
    let source = json!({ "name": "pay", "uid": "pay", "type": "github",
        "config": { "secret": "it is a secret" }, "options": options });
    let source = shop.server.post("/ingest/api/v1/source", source).await;
    let url = source["ingestUrl"].as_str().unwrap();
    let path = url[url.find("/in/").unwrap()..].to_owned();
    let webhook = async |status: &str, paid: u32| {
        let body = json!({ "order": "166117", "status": status, "paid": paid }).to_string();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"it is a secret");
        let tag = aws_lc_rs::hmac::sign(&key, body.as_bytes());
        let signature = format!("sha256={}", data_encoding::HEXLOWER.encode(tag.as_ref()));
        let headers = [
            ("x-hub-signature-256", &*signature),
            ("x-github-event", "order"),
            ("x-github-delivery", &*format!("{status} {paid}")),
            ("content-type", "application/json"),
        ];
        call(&shop.server.url, Method::POST, &path, &headers, body.into()).await.status
    };
    let (query, _) = example("vnpay", "paid");
    let (reference, redirect) = vnpay("166117");
    let mut wanted = shop.wanted(&reference, redirect);
    wanted["source"] = json!("pay");
    let made = shop.make(wanted).await;
    assert_eq!(webhook("paid", 999_999).await, 200, "it is kept, and settles nothing");
    assert_eq!(webhook("paid", 1_000_000).await, 200);
    assert!(location(&shop.visit(&made, &query).await).starts_with(DONE));
    let verdicts: Vec<_> =
        shop.requests(&made).await.into_iter().map(|(_, verdict)| verdict).collect();
    let expect = ["refused", "settled", "noted", "duplicate"];
    assert_eq!(verdicts, expect, "the signature says the same");
    assert_eq!(webhook("lost", 0).await, 200);
    let told = shop.told("callback.conflict");
    assert_eq!(told, ["callback.completed", "callback.conflict", "callback.created"]);
}

#[tokio::test]
async fn nobody_is_sent_anywhere_that_is_not_listed() {
    let shop = Shop::open().await;
    for evil in [
        "//evil.example",
        "\\evil.example",
        "/done",
        "https://shop.example.com@evil.example/done",
        "https://shop.example.com/done?shop=1%0d%0alocation:%20https://evil.example",
        "https://shop.example.com/done?shop=1\r\nx: y",
        "https://ſhop.example.com/done?shop=1",
        "https://shop.example.com/x/../done?shop=1",
        "javascript:alert(1)",
        "https://shop.example.com/done",
        "https://shop.example.com/done?shop=1#x",
        "https://evil.example/",
        "",
    ] {
        for field in ["success", "failure", "pending"] {
            let (reference, mut redirect) = vnpay("166117");
            redirect[field] = json!(evil);
            let wanted = shop.wanted(&reference, redirect);
            let (status, answer) =
                shop.server.call(Method::POST, "/api/v1/callback", Some(wanted)).await;
            assert_eq!(status, 422, "{evil:?}: {answer}");
            assert!(answer.to_string().contains(&format!(r#""redirect","{field}""#)), "{answer}");
        }
    }
}

#[tokio::test]
async fn what_is_for_answers_is_not_for_browsers() {
    let shop = Shop::open().await;
    for (field, value) in [
        ("heartbeat", json!(5)),
        ("mode", json!("stream")),
        ("methods", json!(["GET"])),
        ("completer", json!({ "bearer": "a made-up secret of it" })),
        ("successWhen", json!({ "body": {} })),
        ("confirm", json!({ "title": "Pay" })),
    ] {
        let (reference, redirect) = vnpay("166117");
        let mut wanted = shop.wanted(&reference, redirect);
        wanted[field] = value;
        let (status, answer) =
            shop.server.call(Method::POST, "/api/v1/callback", Some(wanted)).await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer.to_string().contains(&format!(r#"["body","{field}"]"#)), "{answer}");
    }
    let wanted = json!({ "application": shop.app, "kind": "redirect" });
    let (status, answer) = shop.server.call(Method::POST, "/api/v1/callback", Some(wanted)).await;
    assert_eq!(status, 422, "{answer}");
}
