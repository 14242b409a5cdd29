//! Canonical forms: what a few providers sign is put together by rules that no template says.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use super::lookup;
use super::request::{Request, split_url};

/// A named way to put together what is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    SortedPairs,
    UniquePairs,
    Vnpay,
    Shopify,
    Plivo,
    Sns,
    Contentful,
    AtlassianQsh,
}

impl Form {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "form-sorted" => Self::SortedPairs,
            "form-sorted-unique" => Self::UniquePairs,
            "vnpay" => Self::Vnpay,
            "shopify-query" => Self::Shopify,
            "plivo" => Self::Plivo,
            "sns" => Self::Sns,
            "contentful" => Self::Contentful,
            "atlassian-qsh" => Self::AtlassianQsh,
            _ => return None,
        })
    }

    pub(super) fn bytes(self, request: &Request<'_>) -> Option<Vec<u8>> {
        match self {
            // Of a body that is no form, nothing would be covered.
            Self::SortedPairs | Self::UniquePairs if !request.is_form() => None,
            Self::SortedPairs => Some(joined(&sorted_pairs(request.form()))),
            Self::UniquePairs => {
                let mut pairs = sorted_pairs(request.form());
                pairs.dedup();
                Some(joined(&pairs))
            }
            Self::Vnpay => Some(query_form(request, |name, value| {
                name.starts_with("vnp_") && !VNPAY_UNSIGNED.contains(&name) && !value.is_empty()
            })),
            Self::Shopify => {
                Some(query_form(request, |name, _| !["hmac", "signature"].contains(&name)))
            }
            Self::Plivo => plivo(request),
            Self::Sns => sns(request.text()?),
            Self::Contentful => contentful(request),
            Self::AtlassianQsh => Some(atlassian_qsh(request)),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SortedPairs => "form-sorted",
            Self::UniquePairs => "form-sorted-unique",
            Self::Vnpay => "vnpay",
            Self::Shopify => "shopify-query",
            Self::Plivo => "plivo",
            Self::Sns => "sns",
            Self::Contentful => "contentful",
            Self::AtlassianQsh => "atlassian-qsh",
        })
    }
}

type Pair<'a> = (&'a str, &'a str);

fn sorted_pairs(form: &[(String, String)]) -> Vec<Pair<'_>> {
    let mut pairs: Vec<_> = form.iter().map(|(name, value)| (&**name, &**value)).collect();
    pairs.sort_unstable();
    pairs
}

fn joined(pairs: &[Pair<'_>]) -> Vec<u8> {
    pairs
        .iter()
        .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()])
        .flatten()
        .copied()
        .collect()
}

/// What VNPAY does not sign of its fields: the signature and its kind; empty ones and those whose names
/// do not begin with `vnp_` neither.
///
/// Source: `vnpay` 2.5.0 for Node, which makes and verifies them so.
const VNPAY_UNSIGNED: [&str; 2] = ["vnp_SecureHash", "vnp_SecureHashType"];

/// The signed fields of the query, sorted by name and written as a form is. Shopify signs all but its
/// signatures.
///
/// Source: `@shopify/shopify-api` 13.1, `lib/utils/hmac-validator.ts`.
fn query_form(request: &Request<'_>, is_signed: impl Fn(&str, &str) -> bool) -> Vec<u8> {
    let query = request.query().unwrap_or_default();
    let decoded: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .filter(|(name, value)| is_signed(name, value))
        .collect();
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(sorted_pairs(&decoded)).finish().into_bytes()
}

/// Scheme, host, port and path; then the sorted query as `?k=v&k=v`; for a POST with fields a `.`
/// (if there was a query) and the sorted fields as `kv`.
///
/// Source: `plivo` 4.79.0 for Python, `plivo/utils/signature_v3.py`.
fn plivo(request: &Request<'_>) -> Option<Vec<u8>> {
    let (scheme, authority, _) = split_url(request.url)?;
    let mut text = format!("{scheme}://{authority}{}", request.path());
    let decoded: Vec<(String, String)> =
        url::form_urlencoded::parse(request.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let query = sorted_pairs(&decoded);
    let fields = if request.method == "POST" { sorted_pairs(request.form()) } else { Vec::new() };
    if !query.is_empty() || !fields.is_empty() {
        text.push('?');
    }
    for (index, (name, value)) in query.iter().enumerate() {
        if index > 0 {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    if !query.is_empty() && !fields.is_empty() {
        text.push('.');
    }
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&joined(&fields));
    Some(bytes)
}

/// Name and value of each signed field on lines of their own, in the order that the kind of
/// message prescribes. `Subject` only if it is there.
///
/// Source: AWS, "Verifying the signatures of Amazon SNS messages".
fn sns(body: &str) -> Option<Vec<u8>> {
    const NOTIFICATION: [&str; 6] =
        ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
    const CONFIRMATION: [&str; 7] =
        ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
    let field = |name: &str| lookup::scalar(body, &[name.into()]);
    let names: &[&str] = match field("Type")?.as_ref() {
        "Notification" => &NOTIFICATION,
        "SubscriptionConfirmation" | "UnsubscribeConfirmation" => &CONFIRMATION,
        _ => return None,
    };
    let mut text = String::new();
    for name in names {
        match field(name) {
            Some(value) => {
                text.push_str(name);
                text.push('\n');
                text.push_str(&value);
                text.push('\n');
            }
            None if *name == "Subject" => {}
            None => return None,
        }
    }
    Some(text.into_bytes())
}

/// Method, path with query, the headers that are named as signed (`k:v;k:v`), and the body, on
/// lines of their own.
///
/// Source: `@contentful/node-apps-toolkit`, `src/requests/create-canonical-request.ts`.
fn contentful(request: &Request<'_>) -> Option<Vec<u8>> {
    let listed = request.header("x-contentful-signed-headers")?;
    let listed = std::str::from_utf8(&listed).ok()?;
    let mut headers = Vec::new();
    for name in listed.split(',').map(|name| name.trim().to_ascii_lowercase()) {
        let value = request.header(&name)?;
        headers.push(format!("{name}:{}", std::str::from_utf8(&value).ok()?.trim()));
    }
    headers.sort_unstable();
    let mut path = request.path().to_owned();
    if let Some(query) = request.query() {
        path.push('?');
        path.push_str(query);
    }
    let mut bytes = format!("{}\n{path}\n{}\n", request.method, headers.join(";")).into_bytes();
    bytes.extend_from_slice(request.body);
    Some(bytes)
}

/// The hex SHA-256 of method, path and sorted query: the claim `qsh` of Atlassian Connect.
///
/// Source: Atlassian, "Creating a query string hash"; `atlassian-jwt` 2.0.3.
fn atlassian_qsh(request: &Request<'_>) -> Vec<u8> {
    let mut fields: Vec<(String, Vec<String>)> = Vec::new();
    let query = request.query().unwrap_or_default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name == "jwt" {
            continue;
        }
        let (name, value) = (percent_encoded(&name), percent_encoded(&value));
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => fields.push((name, vec![value])),
        }
    }
    fields.sort_unstable();
    let query: Vec<String> = fields
        .into_iter()
        .map(|(name, mut values)| {
            values.sort_unstable();
            format!("{name}={}", values.join(","))
        })
        .collect();
    let path = request.path();
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    let canonical = format!(
        "{}&{}&{}",
        request.method.to_ascii_uppercase(),
        path.replace('&', "%26"),
        query.join("&")
    );
    HEXLOWER.encode(digest(&SHA256, canonical.as_bytes()).as_ref()).into_bytes()
}

/// Percent-encoding of everything but RFC 3986's unreserved characters.
pub(crate) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(byte as char);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
