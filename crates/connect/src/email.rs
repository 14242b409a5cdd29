//! E-mail: an event becomes a message that a server takes over SMTP.
//!
//! Its `Message-ID` and its date are made of the event alone, so a repeated event is the same message
//! again, and mailboxes can tell.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Mailboxes, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, response::Response};
use ringback_domain::destination::Problem;
use serde_json::Value;

use crate::settings::problem;
use crate::spare::Spare;
use crate::{Handed, Place, Protocol, Refused, Settings, written};

/// A server that takes mail.
pub(crate) struct Email {
    place: Place,
    protection: Protection,
    credentials: Option<Credentials>,
    from: Mailbox,
    spare: Spare<AsyncSmtpConnection>,
}

/// How a connection is protected.
enum Protection {
    None,
    /// After a few words in the clear, or not at all.
    StartTls(TlsParameters),
    /// From the first byte on.
    Implicit(TlsParameters),
}

impl Protocol for Email {
    fn place(settings: Settings<'_>) -> Result<Place, Problem> {
        settings.place("host", "port")
    }

    fn open(settings: Settings<'_>) -> Result<Email, Problem> {
        let place = Email::place(settings)?;
        let protection = match settings.get("tls").unwrap_or("starttls") {
            "none" => Protection::None,
            "starttls" => Protection::StartTls(parameters(settings, &place)?),
            "implicit" => Protection::Implicit(parameters(settings, &place)?),
            _ => return Err(problem("tls", "is starttls, implicit or none")),
        };
        let credentials = match (settings.get("user"), settings.get("password")) {
            (None, None) => None,
            (Some(user), Some(password)) => {
                Some(Credentials::new(user.to_owned(), password.to_owned()))
            }
            (Some(_), None) => return Err(problem("password", "is missing: there is a user")),
            (None, Some(_)) => return Err(problem("user", "is missing: there is a password")),
        };
        let from = addresses(settings.need("from")?).filter(|from| from.len() == 1);
        let from = from.and_then(|mut from| from.pop());
        let from = from.ok_or_else(|| problem("from", "has to be one address"))?;
        Ok(Email { place, protection, credentials, from, spare: Spare::new() })
    }

    async fn deliver(&self, event: &Handed) -> Result<String, Refused> {
        let (envelope, message) = self.message(event)?;
        let mut connection = self.connection().await?;
        let answer = connection.send(&envelope, &message).await;
        // One that was refused anything has been told to end.
        if !connection.has_broken() {
            self.spare.put(connection);
        }
        match answer {
            Ok(answer) => Ok(answered(&answer)),
            Err(error) if error.is_permanent() => {
                let reason = match error.status().map(u16::from) {
                    Some(552) => "too_large",
                    Some(550 | 551 | 553) => "mailbox_unavailable",
                    _ => "rejected",
                };
                Err(Refused::for_good(reason, said(&error)))
            }
            Err(error) if error.is_transient() => Err(Refused::for_now("deferred", said(&error))),
            // An address that this server cannot be told.
            Err(error) if error.is_client() => {
                Err(Refused::for_good("invalid_address", said(&error)))
            }
            Err(error) => Err(failed(&error)),
        }
    }
}

fn parameters(settings: Settings<'_>, place: &Place) -> Result<TlsParameters, Problem> {
    let wrong = |error: Error| problem("sslRootCert", said(&error));
    let mut builder = TlsParameters::builder(place.host.clone());
    if settings.authorities()?.is_some() {
        let pem = settings.need("sslRootCert")?;
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(pem.as_bytes()).map_err(wrong)?);
    }
    builder.build().map_err(wrong)
}

/// Every address of a list, or none if there is anything else in it.
fn addresses(text: &str) -> Option<Vec<Mailbox>> {
    if text.chars().any(char::is_control) {
        return None;
    }
    let read: Vec<Mailbox> = text.parse::<Mailboxes>().ok()?.into_iter().collect();
    // The parser stops where it understands no more; whoever stands behind is not to be forgotten.
    let count = |text: &str| text.matches('@').count();
    let kept: usize = read.iter().map(|one| count(&one.to_string())).sum();
    (kept == count(text)).then_some(read)
}

impl Email {
    async fn connection(&self) -> Result<AsyncSmtpConnection, Refused> {
        if let Some(mut spare) = self.spare.take(|_| true) {
            // Servers close what is idle for long.
            if spare.test_connected().await {
                return Ok(spare);
            }
        }
        self.connect().await
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Refused> {
        // Whatever it says now is not about this message: it is never for good.
        let refused = |error: Error| failed(&error);
        let Place { host, port } = &self.place;
        let hello = ClientId::default();
        let implicit = match &self.protection {
            Protection::Implicit(tls) => Some(tls.clone()),
            Protection::None | Protection::StartTls(_) => None,
        };
        let place = (host.as_str(), *port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(place, None, &hello, implicit, None)
                .await
                .map_err(refused)?;
        if let Protection::StartTls(tls) = &self.protection {
            connection.starttls(tls.clone(), &hello).await.map_err(refused)?;
        }
        if let Some(credentials) = &self.credentials {
            let proven = connection.auth(DEFAULT_MECHANISMS, credentials).await;
            proven.map_err(|error| Refused::for_now("authentication", said(&error)))?;
        }
        Ok(connection)
    }

    fn message(&self, event: &Handed) -> Result<(Envelope, Vec<u8>), Refused> {
        let wrong =
            |error: &dyn std::fmt::Display| Refused::for_good("invalid_message", error.to_string());
        let date = Duration::from_millis(u64::try_from(event.at).unwrap_or_default());
        let domain = self.from.email.domain();
        let mut message = Message::builder()
            .message_id(Some(format!("<{}@{domain}>", event.id)))
            .date(UNIX_EPOCH + date)
            .from(self.from.clone())
            .subject(one_line(&event.text("subject").unwrap_or_else(|| event.kind.clone())));
        for address in given(event, "to")? {
            message = message.to(address);
        }
        for address in given(event, "cc")? {
            message = message.cc(address);
        }
        for address in given(event, "replyTo")? {
            message = message.reply_to(address);
        }
        let message = match (event.text("text"), event.text("html")) {
            (Some(text), Some(html)) => {
                message.multipart(MultiPart::alternative_plain_html(text, html))
            }
            (None, Some(html)) => message.singlepart(SinglePart::html(html)),
            (Some(text), None) => message.singlepart(SinglePart::plain(text)),
            (None, None) => {
                let text = std::str::from_utf8(&event.body).map_err(|error| wrong(&error))?;
                message.header(ContentType::TEXT_PLAIN).body(text.to_owned())
            }
        };
        let message = message.map_err(|error| wrong(&error))?;
        Ok((message.envelope().clone(), message.formatted()))
    }
}

/// The addresses in a field: one text of them, or a list of texts.
fn given(event: &Handed, name: &str) -> Result<Vec<Mailbox>, Refused> {
    let texts: Vec<String> = match event.fields.get(name) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list.iter().map(written).collect(),
        Some(value) => vec![written(value)],
    };
    let read = texts.iter().filter(|text| !text.trim().is_empty()).map(|text| addresses(text));
    let read: Option<Vec<Vec<Mailbox>>> = read.collect();
    let wrong =
        || Refused::for_good("invalid_address", format!("`{name}` is no list of addresses"));
    Ok(read.ok_or_else(wrong)?.concat())
}

/// A header is one line.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn answered(answer: &Response) -> String {
    let lines: Vec<&str> = answer.message().collect();
    format!("{} {}", answer.code(), lines.join(" "))
}

/// The error and what it stems from: what the server said is further down.
fn said(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        // Some repeat it in their own text.
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}

/// A connection that could not be made, or broke.
fn failed(error: &Error) -> Refused {
    let mut reason = match error {
        error if error.is_permanent() || error.is_transient() => "server",
        // What was asked for, the server does not have: only STARTTLS is.
        error if error.is_tls() || error.is_client() => "tls",
        _ => "connection_lost",
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            let is_tls = io.get_ref().is_some_and(|within| within.is::<rustls::Error>());
            let is_refused = io.kind() == std::io::ErrorKind::ConnectionRefused;
            reason = if is_tls { "tls" } else { reason };
            reason = if is_refused { "connection_refused" } else { reason };
        }
        source = cause.source();
    }
    Refused::for_now(reason, said(error))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use lettre::Address;
    use serde_json::json;

    use super::*;

    fn message(fields: Value) -> Result<(Envelope, String), Refused> {
        let given = [("host", "h"), ("port", "25"), ("tls", "none"), ("from", "R <r@example.com>")];
        let given: BTreeMap<String, String> =
            given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let event = Handed {
            id: "msg_1".to_owned(),
            kind: "order.paid".to_owned(),
            at: 1_700_000_000_000,
            content_type: None,
            body: Bytes::from_static(br#"{"n":1}"#),
            fields: serde_json::from_value(fields).unwrap(),
        };
        let email = Email::open(Settings(&given)).unwrap();
        email.message(&event).map(|(envelope, text)| (envelope, String::from_utf8(text).unwrap()))
    }

    #[test]
    fn an_event_is_the_same_message_every_time() {
        let (envelope, text) = message(json!({ "to": "a@example.com" })).unwrap();
        let expect = "Message-ID: <msg_1@example.com>\r\n\
            Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\
            From: R <r@example.com>\r\n\
            Subject: order.paid\r\n\
            To: a@example.com\r\n\
            Content-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: 7bit\r\n\r\n{\"n\":1}";
        assert_eq!(text, expect);
        assert_eq!(envelope.to().len(), 1);
    }

    #[test]
    fn addresses_are_lists_or_texts_and_nothing_else() {
        let check = |to: Value, expect: &[&str]| {
            let (envelope, _) = message(json!({ "to": to })).unwrap();
            let to: Vec<String> = envelope.to().iter().map(Address::to_string).collect();
            assert_eq!(to, expect);
        };
        check(json!("a@example.com, B <b@example.com>"), &["a@example.com", "b@example.com"]);
        check(json!(["a@example.com", "b@example.com"]), &["a@example.com", "b@example.com"]);
        check(json!("\"x@y\" <a@example.com>"), &["a@example.com"]);
        for wrong in ["a", "a@b.c; d@e.f", "a@b.c d@e.f", "a@b.c\r\nBcc: d@e.f", "a@b.c\nx"] {
            let refused = message(json!({ "to": wrong })).unwrap_err();
            assert_eq!((refused.permanent, refused.reason), (true, "invalid_address"), "{wrong}");
        }
        let nobody = message(json!({ "to": "" })).unwrap_err();
        assert_eq!((nobody.permanent, nobody.reason), (true, "invalid_message"));
    }

    #[test]
    fn no_field_makes_a_header() {
        let fields = json!({
            "to": "\"x\\\" y\" <a@example.com>",
            "subject": "paid\r\nBcc: b@example.com\r\n\r\nx",
            "text": "a\r\n.\r\nRCPT TO:<c@example.com>",
            "html": "<p>Grüße</p>",
        });
        let (envelope, text) = message(fields).unwrap();
        assert_eq!(envelope.to().len(), 1);
        let head = text.split_once("\r\n\r\n").unwrap().0;
        let names: Vec<&str> = head
            .lines()
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| line.split_once(':').map(|(name, _)| name))
            .collect();
        let expect =
            ["Message-ID", "Date", "From", "Subject", "To", "MIME-Version", "Content-Type"];
        assert_eq!(names, expect, "{head}");
    }
}
