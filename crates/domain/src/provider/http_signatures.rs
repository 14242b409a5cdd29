//! Signatures over parts of an HTTP message: RFC 9421, and the draft that came before it
//! (draft-cavage-http-signatures-12).
//!
//! Invariant: a request with a body is only accepted if a digest of it is among what is signed, and
//! that digest is this body's.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use data_encoding::BASE64;

use super::request::{Request, split_url};
use super::verdict::Reason;
use crate::base64::unbase64;
use crate::public_key::Algorithm;

/// A signature with what it covers put together.
pub(super) struct Signed {
    /// The bytes that are signed.
    pub(super) base: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) key_id: String,
    pub(super) algorithm: Algorithm,
    /// Seconds since 1970, if the signature names it.
    pub(super) created: Option<i64>,
    pub(super) expires: Option<i64>,
}

fn malformed(what: &str) -> Reason {
    Reason::Malformed(format!("the signature {what}"))
}

/// Reads `Signature` and `Signature-Input` (RFC 9421, 4) and builds the signature base (2.5).
pub(super) fn rfc9421(request: &Request<'_>) -> Result<Signed, Reason> {
    let input = text_header(request, "signature-input")?;
    let signatures = text_header(request, "signature")?;
    let (label, parameters) = input.split_once('=').ok_or_else(|| malformed("input is empty"))?;
    let label = label.trim();
    let parameters = parameters.trim();
    let covered_end = closing(parameters).ok_or_else(|| malformed("input has no list"))?;
    let covered = parameters[1..covered_end].split_ascii_whitespace();

    let mut base = String::new();
    let mut covers_digest = false;
    for component in covered {
        let name = component
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .ok_or_else(|| malformed("covers a component with parameters"))?;
        covers_digest |= name == "content-digest";
        let value = component_value(request, name)?;
        base.push_str(&format!("\"{name}\": {value}\n"));
    }
    if covers_digest {
        content_digest(request)?;
    } else if !request.body.is_empty() {
        return Err(malformed("does not cover the body's digest"));
    }
    // One signature is expected; what follows its parameters belongs to others.
    let end = list_end(parameters);
    let parameters = &parameters[..end];
    base.push_str(&format!("\"@signature-params\": {parameters}"));

    let named = parameters.get(covered_end + 1..).unwrap_or_default();
    let parameter = |name: &str| {
        named.split(';').find_map(|part| {
            let (found, value) = part.split_once('=')?;
            (found.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let signature = dictionary_bytes(&signatures, label)
        .ok_or_else(|| malformed("has no bytes under the label of its input"))?;
    let algorithm = match parameter("alg").as_deref() {
        None | Some("ed25519") => Algorithm::Ed25519,
        Some("ecdsa-p256-sha256") => Algorithm::EcdsaP256Sha256Fixed,
        Some("rsa-v1_5-sha256") => Algorithm::RsaSha256,
        Some(_) => return Err(Reason::Algorithm),
    };
    let seconds = |name: &str| parameter(name).and_then(|value| value.parse().ok());
    Ok(Signed {
        base: base.into_bytes(),
        signature,
        key_id: parameter("keyid").unwrap_or_default(),
        algorithm,
        created: seconds("created"),
        expires: seconds("expires"),
    })
}

/// Reads a header of the older draft: `keyid="",algorithm="",signature="",headers="…"`.
pub(super) fn cavage(request: &Request<'_>, header: &str) -> Result<Signed, Reason> {
    let text = text_header(request, header)?;
    let text = text.strip_prefix("Signature ").unwrap_or(&text);
    let field = |name: &str| {
        text.split(',').find_map(|part| {
            let (found, value) = part.split_once('=')?;
            (found.trim().eq_ignore_ascii_case(name))
                .then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let covered = field("headers").unwrap_or_else(|| "date".to_owned());
    let mut lines = Vec::new();
    let mut covers_digest = false;
    for name in covered.split_ascii_whitespace() {
        let name = name.to_ascii_lowercase();
        covers_digest |= name == "digest";
        let value = match name.as_str() {
            "(request-target)" => {
                let query = request.query().map(|query| format!("?{query}")).unwrap_or_default();
                format!("{} {}{query}", request.method.to_ascii_lowercase(), request.path())
            }
            "host" => request.authority().unwrap_or_default().to_owned(),
            _ => text_header(request, &name)?,
        };
        lines.push(format!("{name}: {value}"));
    }
    if covers_digest {
        let sent = text_header(request, "digest")?;
        let (name, value) = sent.split_once('=').ok_or_else(|| malformed("has no digest"))?;
        if !name.eq_ignore_ascii_case("sha-256") {
            return Err(Reason::Algorithm);
        }
        if unbase64(value.trim().as_bytes()).as_deref()
            != Some(digest(&SHA256, request.body).as_ref())
        {
            return Err(Reason::Mismatch("header digest".to_owned()));
        }
    } else if !request.body.is_empty() {
        return Err(malformed("does not cover the body's digest"));
    }
    let algorithm = match field("algorithm").as_deref() {
        None | Some("ed25519" | "hs2019") => Algorithm::Ed25519,
        Some("ecdsa-p256" | "ecdsa-sha256") => Algorithm::EcdsaP256Sha256,
        Some("rsa-sha256") => Algorithm::RsaSha256,
        Some(_) => return Err(Reason::Algorithm),
    };
    let signature = field("signature")
        .and_then(|text| unbase64(text.as_bytes()))
        .ok_or_else(|| malformed("is not base64"))?;
    Ok(Signed {
        base: lines.join("\n").into_bytes(),
        signature,
        key_id: field("keyid").unwrap_or_default(),
        algorithm,
        created: None,
        expires: None,
    })
}

fn text_header(request: &Request<'_>, name: &str) -> Result<String, Reason> {
    let value = request.header(name).ok_or_else(|| Reason::Missing(format!("header {name}")))?;
    String::from_utf8(value.into_owned()).map_err(|_| malformed("is not text"))
}

/// Where the list of covered components ends: the index of its closing parenthesis.
fn closing(parameters: &str) -> Option<usize> {
    parameters.starts_with('(').then(|| parameters.find(')')).flatten()
}

/// Where the parameters of the first signature end: at a comma outside quotes, or at the end.
fn list_end(parameters: &str) -> usize {
    let mut quoted = false;
    for (index, byte) in parameters.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => return index,
            _ => {}
        }
    }
    parameters.len()
}

/// `label=:base64:` in a dictionary of byte sequences (RFC 8941, 3.3.5).
fn dictionary_bytes(text: &str, label: &str) -> Option<Vec<u8>> {
    text.split(',').find_map(|member| {
        let (name, value) = member.split_once('=')?;
        if name.trim() != label {
            return None;
        }
        let inner = value.trim().strip_prefix(':')?.strip_suffix(':')?;
        BASE64.decode(inner.as_bytes()).ok()
    })
}

/// The value of a component (RFC 9421, 2.1 and 2.2).
fn component_value(request: &Request<'_>, name: &str) -> Result<String, Reason> {
    let scheme = split_url(request.url).map_or("https", |(scheme, _, _)| scheme);
    Ok(match name {
        "@method" => request.method.to_ascii_uppercase(),
        "@target-uri" => request.url.to_owned(),
        "@authority" => request.authority().unwrap_or_default().to_ascii_lowercase(),
        "@scheme" => scheme.to_ascii_lowercase(),
        "@path" => request.path().to_owned(),
        "@query" => format!("?{}", request.query().unwrap_or_default()),
        "@request-target" => match request.query() {
            Some(query) => format!("{}?{query}", request.path()),
            None => request.path().to_owned(),
        },
        _ if name.starts_with('@') => return Err(malformed("covers an unknown component")),
        _ => {
            let text = text_header(request, name)?;
            text.split(',').map(str::trim).collect::<Vec<_>>().join(", ")
        }
    })
}

/// The body must have a digest that the header names (RFC 9530, 2).
fn content_digest(request: &Request<'_>) -> Result<(), Reason> {
    let header = text_header(request, "content-digest")?;
    let fits = |label: &str, algorithm| {
        dictionary_bytes(&header, label)
            .map(|sent| sent == digest(algorithm, request.body).as_ref())
    };
    match fits("sha-256", &SHA256).or_else(|| fits("sha-512", &SHA512)) {
        Some(true) => Ok(()),
        Some(false) => Err(Reason::Mismatch("header content-digest".to_owned())),
        None => Err(Reason::Algorithm),
    }
}
