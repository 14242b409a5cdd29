//! The three ways to become certain: a signature, a question, and patience.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::Value;

use super::claims::{Claims, Expected, Finding, of_fields};
use crate::{
    filter::Event,
    provider::{Request, Settings, SignatureRule, Template, Values},
    time::Timestamp,
};

/// One way to become certain.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub enum Verifier {
    /// The provider has signed what the browser brings.
    Signature(Box<Signature>),
    /// The provider is asked.
    Lookup(Box<Lookup>),
    /// A verified message of the callback's source has its reference: nothing to do but wait.
    Webhook,
}

/// A signature over what the browser brings.
#[derive(Clone, Debug)]
pub struct Signature {
    signed: SignatureRule,
    claims: Claims,
}

/// A request to the provider, and what its answer means.
#[derive(Clone, Debug)]
pub struct Lookup {
    question: Question,
    claims: Claims,
}

/// A verifier as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    signature: Option<SignatureRule>,
    lookup: Option<Question>,
    #[serde(default)]
    webhook: bool,
    reference: Option<Template>,
    amount: Option<Template>,
    currency: Option<Template>,
    complete: Option<Value>,
    fail: Option<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    #[serde(default = "get")]
    method: String,
    url: Template,
    #[serde(default)]
    headers: BTreeMap<String, Template>,
    /// Name and password of HTTP Basic.
    basic: Option<[Template; 2]>,
    /// What is sent, JSON.
    body: Option<Template>,
}

fn get() -> String {
    "GET".to_owned()
}

/// What a browser brought: one request, as templates and filters see it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// The query, without `?`.
    pub query: &'a str,
    /// The fields of a form, as they came; empty of a GET.
    pub form: &'a [u8],
}

/// What forms are sent as.
const FORM: &str = "application/x-www-form-urlencoded";

/// A request to make.
#[derive(Clone, PartialEq, Eq)]
pub struct Ask {
    /// `GET` or `POST`.
    pub method: String,
    /// Where to.
    pub url: String,
    /// With which headers; credentials among them.
    pub headers: Vec<(String, String)>,
    /// What is sent; empty of a GET.
    pub body: String,
}

impl Ask {
    /// It as examples write it: method and URL, headers, and the body after an empty line.
    pub fn text(&self) -> String {
        let Ask { method, url, headers, body } = self;
        let mut text = format!("{method} {url}\n");
        for (name, value) in headers {
            text.extend([name, ": ", value, "\n"]);
        }
        if !body.is_empty() {
            text.extend(["\n", body]);
        }
        text
    }
}

impl std::fmt::Debug for Ask {
    /// Without headers and body: there are credentials in them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask").field("method", &self.method).finish_non_exhaustive()
    }
}

impl TryFrom<Written> for Verifier {
    type Error = String;

    fn try_from(written: Written) -> Result<Verifier, String> {
        let Written { signature, lookup, webhook, .. } = &written;
        match (signature, lookup, webhook) {
            (None, None, true) if written.says_nothing() => Ok(Verifier::Webhook),
            (None, None, true) => Err("`webhook` goes with nothing else".to_owned()),
            (Some(signed), None, false) => {
                if let Some(name) = signed.missing_keys().first() {
                    return Err(format!("the signature's scheme needs `{name}`"));
                }
                let signed = signed.clone();
                let claims = written.claims()?;
                Ok(Verifier::Signature(Box::new(Signature { signed, claims })))
            }
            (None, Some(question), false) => {
                if !matches!(&*question.method, "GET" | "POST") {
                    return Err("`method` is GET or POST".to_owned());
                }
                let question = question.clone();
                let claims = written.claims()?;
                Ok(Verifier::Lookup(Box::new(Lookup { question, claims })))
            }
            _ => Err("takes one of `signature`, `lookup` and `webhook`".to_owned()),
        }
    }
}

impl Written {
    fn says_nothing(&self) -> bool {
        let Written { reference, amount, currency, complete, fail, .. } = self;
        let templates = [reference, amount, currency];
        templates.iter().all(|it| it.is_none()) && complete.is_none() && fail.is_none()
    }

    fn claims(self) -> Result<Claims, String> {
        let missing = |name: &str| format!("needs `{name}`");
        let filter = |name: &str, filter: &Value| {
            of_fields(filter).map_err(|mistake| format!("`{name}`: {mistake}"))
        };
        let complete = self.complete.as_ref().ok_or_else(|| missing("complete"))?;
        Ok(Claims {
            reference: self.reference.ok_or_else(|| missing("reference"))?,
            amount: self.amount,
            currency: self.currency,
            complete: filter("complete", complete)?,
            fail: self.fail.as_ref().map(|it| filter("fail", it)).transpose()?,
        })
    }
}

impl Verifier {
    /// The settings that it uses.
    pub fn settings(&self) -> Vec<&str> {
        match self {
            Verifier::Signature(signature) => {
                let Signature { signed, claims } = &**signature;
                let mut names = signed.settings();
                names.extend(claims.templates().flat_map(Template::settings));
                names
            }
            Verifier::Lookup(lookup) => {
                let Lookup { question, claims } = &**lookup;
                let Question { url, headers, basic, body, .. } = question;
                let templates = [url].into_iter().chain(headers.values()).chain(body);
                let templates = templates.chain(basic.iter().flatten()).chain(claims.templates());
                templates.flat_map(Template::settings).collect()
            }
            Verifier::Webhook => Vec::new(),
        }
    }

    /// Which of the stored values it cannot see: it would never be certain.
    pub fn blind_to(&self, expected: &Expected) -> Option<&'static str> {
        match self {
            Verifier::Signature(signature) => signature.claims.blind_to(expected),
            Verifier::Lookup(lookup) => lookup.claims.blind_to(expected),
            Verifier::Webhook => None,
        }
    }
}

impl Arrival<'_> {
    /// The fields that it brings, as they came: what is kept of it, and what a filter looks at.
    pub fn fields(&self) -> &[u8] {
        if self.form.is_empty() { self.query.as_bytes() } else { self.form }
    }

    /// Calls `judge` with the arrival as a request. The URL that it came to is a secret and of no
    /// meaning to a provider: nothing of it but the query is there.
    fn with<R>(&self, judge: impl FnOnce(&Request<'_>) -> R) -> R {
        let url = format!("https://callback.invalid/?{}", self.query);
        let headers: [(&str, &[u8]); 1] = [("content-type", FORM.as_bytes())];
        judge(&Request::new(self.method, &url, &headers, self.form))
    }
}

impl Signature {
    /// What an arrival proves.
    pub fn judge(
        &self,
        arrival: &Arrival<'_>,
        settings: &Settings,
        expected: &Expected,
        now: Timestamp,
    ) -> Finding {
        let stored = expected.values();
        arrival.with(|request| {
            let values = Values { request, settings, callback: &stored };
            if let Err(reason) = self.signed.verify(&values, now) {
                return Finding::Unproven(reason.to_string());
            }
            let event =
                Event { content_type: Some(FORM), body: arrival.fields(), ..Event::default() };
            self.claims.judge(&values, &event, expected)
        })
    }
}

impl Lookup {
    /// The request to make after this arrival.
    ///
    /// # Errors
    /// What is missing for it.
    pub fn ask(
        &self,
        arrival: &Arrival<'_>,
        settings: &Settings,
        expected: &Expected,
    ) -> Result<Ask, String> {
        let stored = expected.values();
        arrival.with(|request| {
            let values = Values { request, settings, callback: &stored };
            let Question { method, url, headers, basic, body } = &self.question;
            let mut filled: Vec<(String, String)> = headers
                .iter()
                .map(|(name, value)| Ok((name.to_ascii_lowercase(), value.filled(&values)?)))
                .collect::<Result<_, String>>()?;
            if let Some([name, password]) = basic {
                let pair = format!("{}:{}", name.filled(&values)?, password.filled(&values)?);
                let encoded = BASE64.encode(pair.as_bytes());
                filled.push(("authorization".to_owned(), format!("Basic {encoded}")));
            }
            let body = body.as_ref().map(|body| body.filled(&values)).transpose()?;
            if body.is_some() {
                filled.push(("content-type".to_owned(), "application/json".to_owned()));
            }
            Ok(Ask {
                method: method.clone(),
                url: url.filled_url(&values)?,
                headers: filled,
                body: body.unwrap_or_default(),
            })
        })
    }

    /// What an answer says. Nothing is certain of one that is no success.
    pub fn judge(
        &self,
        status: u16,
        body: &[u8],
        settings: &Settings,
        expected: &Expected,
    ) -> Finding {
        if !(200..300).contains(&status) {
            return Finding::Unproven(format!("answered with {status}"));
        }
        let stored = expected.values();
        let request = Request::new("GET", "", &[], body);
        let values = Values { request: &request, settings, callback: &stored };
        let event = Event { body, ..Event::default() };
        self.claims.judge(&values, &event, expected)
    }
}
