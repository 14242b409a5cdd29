//! How a message becomes a signed request.

use std::{io::Write as _, sync::Arc};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use ringback_domain::{
    delivery::{Batched, Delivery, Element, Format, Plain, Shape, Shaped, Unfit, batched},
    provider::State as Proof,
    retry::KeptBack,
    signature::SigningKey,
    time::Timestamp,
};
use ringback_store::{Content, Lane};

use super::{
    batch::Batch,
    claim::is_claim,
    destination::Unsent,
    sealed::Sealed,
    services::Services,
    style::{Line, Style},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A request that is not signed yet.
struct Unsigned<'a> {
    id: &'a str,
    body: Bytes,
    headers: HeaderMap,
    /// Where it goes, if that is not the endpoint's URL.
    url: Option<&'a str>,
    /// Whether it is to be.
    signs: bool,
}

/// How a message becomes a signed request.
pub(super) struct Signed {
    keys: Vec<(SigningKey, Option<Timestamp>)>,
    style: Option<Style>,
    shape: Shape,
    gzip: bool,
    /// What the source of its events is unless it names another.
    source: String,
}

impl Signed {
    /// What requests to an endpoint need that wants its deliveries like this.
    ///
    /// # Errors
    /// The word that says what cannot be read.
    pub(super) fn new(
        lane: &Lane,
        delivery: &Delivery,
        sealed: &Sealed<'_>,
        services: &Services,
    ) -> Result<Signed, &'static str> {
        Ok(Signed {
            keys: sealed.keys()?,
            style: style(lane, sealed, services)?,
            shape: delivery.shape(),
            gzip: delivery.gzip,
            source: format!("/app/{}", lane.application),
        })
    }

    /// The request in its shape, signed at `now` over its body by every key that has not expired;
    /// with the headers that the message came with.
    ///
    /// Compression is part of the way, so that is not signed: whoever handles the request gets the
    /// body from a framework or proxy that has undone it.
    ///
    /// # Errors
    /// [`Unsent`]: the message cannot have the shape; see also [`Style::sign`].
    pub(super) fn request(
        &self,
        content: &Content,
        method: &Method,
        url: Option<&str>,
        now: Timestamp,
    ) -> Result<Request<Full<Bytes>>, Unsent> {
        let id = content.id.to_string();
        let Shaped { body: made, content_type, headers: shaped } = self.shape(content, &id)?;
        let is_made = made.is_some();
        let body = made.map_or_else(|| content.payload.clone(), Bytes::from);
        let came_with = content.headers.as_deref().unwrap_or_default();
        let mut headers = HeaderMap::with_capacity(16 + came_with.len());
        for (name, value) in came_with {
            let pair = (HeaderName::try_from(name), HeaderValue::try_from(value));
            if let (Ok(name), Ok(value)) = pair {
                headers.append(name, value);
            }
        }
        if is_made {
            // It was about the payload as it came.
            headers.remove(header::CONTENT_ENCODING);
        }
        for (name, value) in shaped {
            headers.insert(HeaderName::from_static(name), text(&value));
        }
        let content_type = HeaderValue::try_from(content_type);
        headers.insert(header::CONTENT_TYPE, content_type.unwrap_or(JSON));
        let signs = !is_unproven(content);
        self.finished(Unsigned { id: &id, body, headers, url, signs }, method, now)
    }

    /// The request with several messages, likewise.
    ///
    /// # Errors
    /// As [`request`](Signed::request).
    pub(super) fn batch_request(
        &self,
        batch: &Batch,
        method: &Method,
        now: Timestamp,
    ) -> Result<Request<Full<Bytes>>, Unsent> {
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(batch.content_type));
        let Batch { id, body, signs, .. } = batch;
        let body = body.clone();
        self.finished(Unsigned { id, body, headers, url: None, signs: *signs }, method, now)
    }

    /// Several messages in their shape; of each the sequence that it has.
    pub(super) fn batched(&self, messages: &[(Arc<Content>, Option<i64>)]) -> Batched {
        let names: Vec<_> = messages
            .iter()
            .map(|(content, _)| (content.id.to_string(), content.id.0.created_at().to_string()))
            .collect();
        let elements: Vec<_> = messages
            .iter()
            .zip(&names)
            .map(|((content, sequence), (id, at))| Element {
                plain: self.plain(content, id, at),
                sequence: *sequence,
                headers: content.headers.as_deref().unwrap_or_default(),
            })
            .collect();
        batched(&self.shape, &elements)
    }

    fn finished(
        &self,
        unsigned: Unsigned<'_>,
        method: &Method,
        now: Timestamp,
    ) -> Result<Request<Full<Bytes>>, Unsent> {
        let Unsigned { id, body, mut headers, url, signs } = unsigned;
        let signature = signature(&self.keys, id, &body, now);
        // Both families (Standard Webhooks 1.0.0 and the older names): every verifier finds its own.
        for (names, value) in [
            (["webhook-id", "svix-id"], text(id)),
            (["webhook-timestamp", "svix-timestamp"], HeaderValue::from(now.seconds())),
            (["webhook-signature", "svix-signature"], text(&signature)),
        ] {
            let [first, second] = names.map(HeaderName::from_static);
            headers.insert(first, value.clone());
            headers.insert(second, value);
        }
        if !signs {
            // A forgery must not become genuine by our signature.
            for name in ["webhook-signature", "svix-signature"] {
                headers.remove(name);
            }
        } else if let Some(style) = &self.style {
            let line = Line { method: method.as_str(), url };
            style.sign(line, &mut headers, id, &body, now)?;
        }
        // What came compressed already stays as it is.
        let body = if self.gzip && !headers.contains_key(header::CONTENT_ENCODING) {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            compressed(&body)?
        } else {
            body
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// The content type of a message's payload.
    pub(super) fn content_type<'a>(&'a self, content: &'a Content) -> &'a str {
        self.shape.content_type(content.content_type.as_deref())
    }

    fn plain<'a>(&'a self, content: &'a Content, id: &'a str, at: &'a str) -> Plain<'a> {
        Plain {
            id,
            kind: &content.event_type,
            at,
            source: &self.source,
            content_type: content.content_type.as_deref(),
            body: &content.payload,
        }
    }

    fn shape(&self, content: &Content, id: &str) -> Result<Shaped, Unsent> {
        let at = content.id.0.created_at().to_string();
        let plain = self.plain(content, id, &at);
        let unfit = |unfit: Unfit| Unsent::KeptBack(KeptBack::Unfit, unfit.to_string());
        let came_with = content.headers.as_deref().unwrap_or_default();
        // What tells where the payload is has a content type of its own.
        match self.shape.format {
            Format::Raw if is_claim(came_with) => Shape::default().of(&plain),
            _ => self.shape.of(&plain),
        }
        .map_err(unfit)
    }
}

/// Whose style a lane signs in, too.
fn style(
    lane: &Lane,
    sealed: &Sealed<'_>,
    services: &Services,
) -> Result<Option<Style>, &'static str> {
    let Some(provider) = &lane.endpoint.sign_as else { return Ok(None) };
    Ok(Some(Style {
        providers: Arc::clone(&services.providers),
        provider: provider.clone(),
        url: lane.endpoint.url.clone(),
        secret: sealed.newest()?,
    }))
}

/// The body as `gzip` (RFC 1952).
fn compressed(body: &[u8]) -> Result<Bytes, &'static str> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.map(Bytes::from).map_err(|_| "body_uncompressed")
}

fn signature(
    keys: &[(SigningKey, Option<Timestamp>)],
    id: &str,
    payload: &[u8],
    now: Timestamp,
) -> String {
    let mut signature = String::with_capacity(48 * keys.len());
    let valid = |until: &Option<Timestamp>| until.is_none_or(|until| now < until);
    for (key, _) in keys.iter().filter(|(_, until)| valid(until)) {
        if !signature.is_empty() {
            signature.push(' ');
        }
        key.sign_into(id, now.seconds(), payload, &mut signature);
    }
    signature
}

/// Whether the message came to a source and nothing proved who sent it.
pub(super) fn is_unproven(content: &Content) -> bool {
    let came_with = content.headers.as_deref().unwrap_or_default();
    let verdict =
        came_with.iter().find(|(name, _)| name == ringback_domain::source::VERDICT_HEADER);
    verdict.is_some_and(|(_, verdict)| {
        ![Proof::Verified, Proof::Authenticated].map(Proof::as_str).contains(&verdict.as_str())
    })
}

/// Ids and signatures are ASCII by their making.
fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
