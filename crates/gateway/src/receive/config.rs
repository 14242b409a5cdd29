//! How a source treats requests: what its owner chose, as it is stored and as the API takes it.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use ipnet::IpNet;
use ringback_domain::{
    provider::{Reply, Template},
    schema::Schema,
};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{correlate, reply};

/// The longest answer that an owner may choose, in bytes.
const MAX_ANSWER: usize = 16 * 1024;
/// The largest body that any source may take.
pub const MAX_BODY: usize = 32 * 1024 * 1024;

/// How requests to a source are treated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schema(as = SourceConfig)]
pub struct Config {
    /// `false` only observes: what is not verified is accepted, marked, and forwarded unsigned.
    pub enforce: bool,
    /// Methods that events come with.
    pub methods: Vec<String>,
    /// What is answered to an accepted request, instead of what the provider's file says.
    #[schema(nullable)]
    pub acknowledge: Option<Acknowledge>,
    /// Whether the destination itself answers.
    pub reply: reply::Options,
    /// Addresses that may call, as networks (`203.0.113.0/24`); all when empty.
    #[schema(value_type = Vec<String>)]
    #[serde(deserialize_with = "networks")]
    pub allowed_addresses: Vec<IpNet>,
    /// Requests a second.
    #[schema(nullable)]
    pub rate_limit: Option<u32>,
    /// Bytes of a body; the provider's own limit when absent.
    #[schema(nullable)]
    pub body_limit: Option<usize>,
    /// The source's URL as it is registered with the provider, where that is not the one that
    /// Ringback knows: for providers that sign the URL.
    #[schema(nullable)]
    pub public_url: Option<String>,
    /// How far a signed time may be off, in seconds, instead of what the provider's file says.
    #[schema(nullable)]
    pub tolerance: Option<i64>,
    /// How a request is recognised when it comes again.
    pub dedupe: Dedupe,
    /// One message for each event of a batch.
    pub split: bool,
    /// The event type of messages, as a template: `{json.kind}`. The provider's own when absent.
    #[schema(nullable)]
    pub event_type: Option<String>,
    /// The ordering key of messages, as a template: endpoints that keep an order get those with the
    /// same key one after the other.
    #[schema(nullable)]
    pub ordering_key: Option<String>,
    /// JSON Schemas of bodies, by event type; `*` for all others.
    pub schemas: BTreeMap<String, serde_json::Value>,
    /// What becomes of a body that its schema refuses.
    pub on_violation: OnViolation,
    /// Which messages answer callbacks; rules are read in their order.
    pub correlations: Vec<correlate::Options>,
    /// Days that messages and requests are kept; the installation's own when absent.
    #[schema(nullable)]
    pub retention_days: Option<u16>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            enforce: true,
            methods: vec!["POST".to_owned()],
            acknowledge: None,
            reply: reply::Options::default(),
            allowed_addresses: Vec::new(),
            rate_limit: None,
            body_limit: None,
            public_url: None,
            tolerance: None,
            dedupe: Dedupe::default(),
            split: false,
            event_type: None,
            ordering_key: None,
            schemas: BTreeMap::new(),
            on_violation: OnViolation::Reject,
            correlations: Vec::new(),
            retention_days: None,
        }
    }
}

/// An answer that an owner chose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Acknowledge {
    /// 200 to 299.
    pub status: u16,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body, as a template over the request: `{"received":{json.id|json}}` with doubled outer
    /// braces.
    #[serde(default)]
    pub body: String,
}

/// How a request is recognised when it comes again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Dedupe {
    /// By what.
    pub by: DedupeBy,
    /// The template of the field: `{json.order.id}`.
    #[schema(nullable)]
    pub field: Option<String>,
    /// For how long, in seconds.
    pub window: u32,
}

impl Default for Dedupe {
    fn default() -> Dedupe {
        // GitHub lets people redeliver for three days.
        Dedupe { by: DedupeBy::Provider, field: None, window: 3 * 24 * 3600 }
    }
}

/// By what a request is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DedupeBy {
    /// The provider's own id of the delivery, where it has one.
    Provider,
    /// A field of the request.
    Field,
    /// The hash of the body.
    Body,
    /// Nothing.
    None,
}

/// What becomes of a body that its schema refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnViolation {
    /// It is refused with 422.
    Reject,
    /// It is acknowledged and kept, and goes nowhere until somebody releases it.
    Quarantine,
    /// It is accepted, with a mark.
    Mark,
}

/// Networks; a lone address is the network of just that address.
fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let read = |text: String| match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.into()),
        Err(_) => text.parse().map_err(|_| {
            serde::de::Error::custom(format_args!("`{text}` is neither an address nor a network"))
        }),
    };
    texts.into_iter().map(read).collect()
}

/// A field that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Its name.
    pub field: &'static str,
    /// What is wrong.
    pub reason: String,
}

impl Config {
    /// Checks what no type says.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn check(&self) -> Result<(), Vec<Wrong>> {
        let mut wrong = Vec::new();
        let mut say = |field, reason: String| wrong.push(Wrong { field, reason });
        let known = ["GET", "POST", "PUT", "PATCH", "DELETE"];
        if self.methods.is_empty() || !self.methods.iter().all(|one| known.contains(&one.as_str()))
        {
            say("methods", format!("takes one or more of {}", known.join(", ")));
        }
        if let Some(answer) = &self.acknowledge {
            let fields = ["acknowledge.status", "acknowledge.headers", "acknowledge.body"];
            answer.check(fields, Statuses::Success, &mut say);
        }
        for (kind, schema) in &self.schemas {
            if let Err(mistake) = Schema::compile(schema) {
                say("schemas", format!("`{kind}`: {mistake}"));
            }
        }
        self.reply.check(self.split, &mut say);
        correlate::check(&self.correlations, &mut say);
        if self.rate_limit == Some(0) {
            say("rateLimit", "has to be at least 1".to_owned());
        }
        if self.body_limit.is_some_and(|limit| limit == 0 || limit > MAX_BODY) {
            say("bodyLimit", format!("has to be from 1 to {MAX_BODY}"));
        }
        if let Some(url) = &self.public_url {
            let fine =
                url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if !fine {
                say("publicUrl", "is no absolute http or https url".to_owned());
            }
        }
        if self.tolerance.is_some_and(|seconds| !(1..=86_400 * 7).contains(&seconds)) {
            say("tolerance", "has to be from 1 second to 7 days".to_owned());
        }
        match (self.dedupe.by, &self.dedupe.field) {
            (DedupeBy::Field, None) => say("dedupe.field", "is needed with `by: field`".to_owned()),
            (_, Some(field)) => {
                if let Err(mistake) = Template::parse(field) {
                    say("dedupe.field", mistake.to_string());
                }
            }
            (_, None) => {}
        }
        if !(60..=30 * 24 * 3600).contains(&self.dedupe.window) {
            say("dedupe.window", "has to be from a minute to 30 days, in seconds".to_owned());
        }
        if let Some(Err(mistake)) = self.event_type.as_deref().map(Template::parse) {
            say("eventType", mistake.to_string());
        }
        if let Some(Err(mistake)) = self.ordering_key.as_deref().map(Template::parse) {
            say("orderingKey", mistake.to_string());
        }
        if self.retention_days.is_some_and(|days| days == 0) {
            say("retentionDays", "has to be at least 1".to_owned());
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// How long the same request counts as the same.
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.dedupe.window.into())
    }
}

/// Which statuses an answer may have.
#[derive(Clone, Copy)]
pub(super) enum Statuses {
    /// 200 to 299.
    Success,
    /// Those, and 400 to 599.
    SuccessOrFailure,
}

impl Acknowledge {
    /// Says what is wrong, by the names of its fields: status, headers, body.
    pub(super) fn check(
        &self,
        [status, headers, body]: [&'static str; 3],
        statuses: Statuses,
        say: &mut impl FnMut(&'static str, String),
    ) {
        let (fine, expected) = match (statuses, self.status) {
            (Statuses::Success, code) => ((200..300).contains(&code), "from 200 to 299"),
            (Statuses::SuccessOrFailure, code) => {
                let fine = (200..300).contains(&code) || (400..600).contains(&code);
                (fine, "from 200 to 299, or from 400 to 599")
            }
        };
        if !fine {
            say(status, format!("has to be {expected}"));
        }
        if self.body.len() > MAX_ANSWER {
            say(body, format!("has more than {MAX_ANSWER} bytes"));
        }
        if let Err(mistake) = Template::parse(&self.body) {
            say(body, mistake.to_string());
        }
        let bad = self.headers.iter().find(|(name, value)| !is_header(name, value));
        if let Some((name, _)) = bad {
            say(headers, format!("`{name}` cannot be a header with this value"));
        }
    }
}

fn is_header(name: &str, value: &str) -> bool {
    let framing = ["content-length", "transfer-encoding", "connection", "host"];
    name.parse::<http::HeaderName>().is_ok_and(|name| !framing.contains(&name.as_str()))
        && http::HeaderValue::from_str(value).is_ok()
}

/// The chosen answer for a request, if one was chosen and its values are there.
pub(super) fn acknowledgement(
    chosen: Option<&Acknowledge>,
    request: &ringback_domain::provider::Request<'_>,
) -> Option<Reply> {
    let chosen = chosen?;
    let body = Template::parse(&chosen.body).ok()?.for_request(request).unwrap_or_default();
    let headers = chosen.headers.iter().map(|(n, v)| (n.to_ascii_lowercase(), v.clone())).collect();
    Some(Reply { status: chosen.status, headers, body: body.into_bytes() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, field: Option<&str>) {
        let config: Config = serde_json::from_str(json).unwrap();
        let wrong = config.check().err().map(|wrong| wrong[0].field);
        assert_eq!(wrong, field, "{json}");
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        check("{}", None);
        check(r#"{"methods":["BREW"]}"#, Some("methods"));
        check(r#"{"methods":[]}"#, Some("methods"));
        check(r#"{"rateLimit":0}"#, Some("rateLimit"));
        check(r#"{"schemas":{"*":{"type":"object"}}}"#, None);
        check(r#"{"schemas":{"*":{"type":"objekt"}}}"#, Some("schemas"));
        check(r#"{"schemas":{"a":{"$ref":"https://example.com/a.json"}}}"#, Some("schemas"));
        check(r#"{"bodyLimit":99999999}"#, Some("bodyLimit"));
        check(r#"{"publicUrl":"example.com/x"}"#, Some("publicUrl"));
        check(r#"{"dedupe":{"by":"field"}}"#, Some("dedupe.field"));
        check(r#"{"dedupe":{"by":"field","field":"{json.id}"}}"#, None);
        check(r#"{"dedupe":{"by":"field","field":"{jason.id}"}}"#, Some("dedupe.field"));
        check(r#"{"dedupe":{"window":1}}"#, Some("dedupe.window"));
        check(r#"{"correlations":[{"name":"a","reference":"{json.id}"}]}"#, None);
        check(r#"{"correlations":[{"name":"a","reference":"{id}"}]}"#, Some("correlations"));
        check(r#"{"acknowledge":{"status":301}}"#, Some("acknowledge.status"));
        check(
            r#"{"acknowledge":{"status":200,"headers":{"content-length":"3"}}}"#,
            Some("acknowledge.headers"),
        );
        check(r#"{"reply":{"mode":"destination","fallback":{"status":503}}}"#, None);
        check(r#"{"reply":{"fallback":{"status":302}}}"#, Some("reply.fallback.status"));
        check(r#"{"reply":{"deadlineMs":99}}"#, Some("reply.deadlineMs"));
        check(r#"{"reply":{"endpoint":"a b"}}"#, Some("reply.endpoint"));
        check(r#"{"reply":{"mode":"destination"},"split":true}"#, Some("reply.mode"));
        check(r#"{"allowedAddresses":["203.0.113.0/24","2001:db8::1"]}"#, None);
        assert!(serde_json::from_str::<Config>(r#"{"enforced":true}"#).is_err());
    }
}
