//! E-mail: read as a server has received it.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::conformance::{Counterpart, Destination, Refusal, conforms};
use crate::server::{Done, PYTHON, Server, certificate};

struct Mail {
    server: Server,
    authority: String,
}

impl Mail {
    fn start(mode: &'static str) -> Mail {
        let (authority, key) = certificate();
        let files = [("cert", authority.clone()), ("key", key)];
        let server = Server::start(move |directory, port| {
            for (name, content) in &files {
                fs::write(directory.join(name), content).unwrap();
            }
            let mut python = Command::new(PYTHON);
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/mail_server.py");
            python.args(["-B", script, &port.to_string(), mode]);
            python
        });
        Mail { server, authority }
    }

    fn mails(&self) -> Vec<Value> {
        let mails = fs::read_to_string(self.server.file("mails")).unwrap_or_default();
        mails.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A header of a message.
fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    let (head, _) = mail["content"].as_str().unwrap().split_once("\r\n\r\n").unwrap();
    let named = |line: &'a str| line.strip_prefix(name)?.strip_prefix(": ");
    head.split("\r\n").find_map(named).unwrap()
}

impl Counterpart for Mail {
    const KIND: &'static str = "email";
    const REPEATED: usize = 2;

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("host", "127.0.0.1".to_owned()),
            ("port", self.server.port.to_string()),
            ("tls", "none".to_owned()),
            ("from", "Shop <shop@example.com>".to_owned()),
        ]
    }

    fn mapping(&self) -> Value {
        json!({ "to": "a@example.com", "subject": "n is {{ body.n | default('-') }}" })
    }

    fn arrived(&self) -> Vec<String> {
        let id = |mail: Value| {
            assert_eq!(
                (&mail["to"], header(&mail, "Subject")),
                (&json!(["a@example.com"]), "n is 1")
            );
            assert!(mail["content"].as_str().unwrap().ends_with("\r\n\r\n{\"n\":1}\r\n"), "{mail}");
            let id = header(&mail, "Message-ID").strip_prefix('<').unwrap();
            id.strip_suffix("@example.com>").unwrap().to_owned()
        };
        self.mails().into_iter().map(id).collect()
    }

    fn does(&mut self, done: Done) {
        self.server.does(done);
    }

    fn refuses(&self) -> Vec<Refusal> {
        let to = |to: &str| json!({ "to": to });
        let long = json!({ "text": "x".repeat(210_000) }).to_string();
        vec![
            Refusal::for_good("mailbox_unavailable").mapping(to("nobody@example.com")),
            // One for all, and all for one.
            Refusal::for_good("mailbox_unavailable").mapping(to("a@b.example, nobody@b.example")),
            Refusal::for_good("rejected").mapping(to("spam@example.com")),
            Refusal::for_good("invalid_address").mapping(to("a@example.com\r\nBcc: b@example.com")),
            // Nothing but ASCII can be said to this server.
            Refusal::for_good("invalid_address").mapping(to("grüße@example.com")),
            Refusal::for_good("too_large").body(long),
            Refusal::for_now("deferred").mapping(to("full@example.com")),
            Refusal::for_now("deferred").mapping(to("later@example.com")),
            Refusal::for_now("authentication")
                .setting("user", "shop")
                .setting("password", "made-up-wrong-one"),
            // This server has none.
            Refusal::for_now("tls").setting("tls", "starttls"),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn email_conforms() {
    let mut mail = Mail::start("none");
    conforms(&mut mail).await;
}

#[tokio::test]
async fn email_is_protected() {
    for mode in ["starttls", "implicit"] {
        let mail = Mail::start(mode);
        let deliver = async |host: &str, authority: Option<String>| {
            let mut settings = mail.settings();
            settings[0].1 = host.to_owned();
            settings[2].1 = mode.to_owned();
            settings
                .extend([("user", "shop".to_owned()), ("password", "made-up-password".to_owned())]);
            settings.extend(authority.map(|pem| ("sslRootCert", pem)));
            let fields = json!({
                "to": ["a@example.com", "B <b@example.com>"],
                "cc": "c@example.com",
                "replyTo": "d@example.com",
                "text": "Grüße",
                "html": "<p>Grüße</p>",
            });
            let to = Destination::new(Mail::KIND, settings, fields);
            to.deliver("msg_1").await.map_err(|refused| refused.reason)
        };
        let taken = Ok("250 2.0.0 taken".to_owned());
        assert_eq!(deliver("localhost", Some(mail.authority.clone())).await, taken, "{mode}");
        assert_eq!(deliver("127.0.0.1", Some(mail.authority.clone())).await, Err("tls"));
        assert_eq!(deliver("localhost", None).await, Err("tls"));
        let mails = mail.mails();
        assert_eq!(mails.len(), 1);
        let to = json!(["a@example.com", "b@example.com", "c@example.com"]);
        assert_eq!((&mails[0]["to"], &mails[0]["protected"]), (&to, &json!(true)), "{mode}");
        assert_eq!(header(&mails[0], "Reply-To"), "d@example.com");
        assert_eq!(header(&mails[0], "Subject"), "order.paid");
        let content = mails[0]["content"].as_str().unwrap();
        assert!(content.contains("multipart/alternative"), "{content}");
    }
}
