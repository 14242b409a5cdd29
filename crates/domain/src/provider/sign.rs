//! A provider's file run backwards: the headers that make a request verifiable.
//!
//! For samples, for replays with a fresh time, and for deliveries in a provider's own style. What
//! the file cannot say backwards (a signature inside the body, a private key that only the provider
//! has) is refused by name.

use super::definition::{HashRule, Provider, Scheme, TimestampRule, Unit, Verify};
use super::filter::Filter;
use super::jwt;
use super::request::Request;
use super::settings::{Chosen, Kind, Settings, ShapeError};
use super::template::{Expression, Scope, Source, Template};
use super::verify::{messages, whole};
use crate::time::Timestamp;

/// Why a request cannot be signed as this provider's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsignable {
    /// Only the provider has the private key.
    #[error("the provider signs with a private key of its own")]
    PrivateKey,
    /// The proof is part of the body.
    #[error("the provider's proof is inside the body")]
    InBody,
    /// A value is missing that nobody can make up.
    #[error("{0} is missing")]
    Missing(String),
    /// More than one secret has to be known.
    #[error("the provider's signature needs more than a secret: {0}")]
    Settings(String),
    /// The secret cannot be one of this provider's.
    #[error("the secret does not fit the provider: {0}")]
    Secret(#[from] ShapeError),
    /// There is no proof to make.
    #[error("the provider proves nothing")]
    NoScheme,
}

/// Headers by name, in lower case.
type Headers = Vec<(String, String)>;

impl Provider {
    /// The headers to add to `request` so that it verifies at `now` under the newest settings. What
    /// [is the proof](Provider::is_proof) of a request that was signed before does not count, and
    /// is to be replaced.
    ///
    /// `id` stands wherever the file signs an id that the request does not have yet.
    ///
    /// # Errors
    /// [`Unsignable`] of the first block, if none can be run backwards.
    pub fn sign(
        &self,
        request: &Request<'_>,
        settings: &Settings,
        id: &str,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, Unsignable> {
        let rest = request.headers.iter().copied().filter(|(name, _)| !self.is_proof(name));
        let rest: Vec<_> = rest.collect();
        let request = &Request::new(request.method, request.url, &rest, request.body);
        let mut told = None;
        for block in &self.verify {
            let backwards = Backwards { block: block.get_ref(), settings, id, now };
            match backwards.headers(request) {
                Ok(headers) => return Ok(headers),
                Err(error) => told = told.or(Some(error)),
            }
        }
        Err(told.unwrap_or(Unsignable::NoScheme))
    }

    /// Whether a header of this lower-case name holds a signature, a token, or the time of signing.
    pub fn is_proof(&self, name: &str) -> bool {
        self.verify.iter().any(|block| {
            let Verify { signature, timestamp, value, token, .. } = block.get_ref();
            let signs = signature.header.iter().any(|header| match header.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => name == header,
            });
            let times = timestamp.iter().map(|rule| &rule.value);
            let places = times.chain(value).chain(token).flat_map(Template::values);
            signs || places.filter_map(Expression::header).any(|header| header == name)
        })
    }

    /// The settings to sign with where one secret is all that there is.
    ///
    /// # Errors
    /// [`Unsignable::Settings`] if the provider needs more, [`Unsignable::Secret`] if its secrets
    /// look otherwise.
    pub fn settings_of(&self, secret: &str) -> Result<Settings, Unsignable> {
        if self.settings.is_empty() {
            return Err(Unsignable::NoScheme);
        }
        let required = self.settings.iter().filter(|setting| setting.required);
        // Where several settings stand for each other, none is required.
        let needed: Vec<_> = match required.clone().next() {
            Some(_) => required.collect(),
            None => self.settings.iter().filter(|setting| setting.kind == Kind::Secret).collect(),
        };
        let [only] = needed[..] else {
            let names: Vec<_> = needed.iter().map(|setting| setting.name.as_str()).collect();
            return Err(Unsignable::Settings(names.join(", ")));
        };
        if only.kind != Kind::Secret {
            return Err(Unsignable::PrivateKey);
        }
        only.check(secret)?;
        let mut settings = Settings::new();
        settings.set(only.name.clone(), vec![secret.to_owned()]);
        Ok(settings)
    }
}

struct Backwards<'a> {
    block: &'a Verify,
    settings: &'a Settings,
    id: &'a str,
    now: Timestamp,
}

impl Backwards<'_> {
    fn headers(&self, request: &Request<'_>) -> Result<Headers, Unsignable> {
        let mut added = self.conditions(request)?;
        let chosen = self.settings.newest();
        match self.block.scheme {
            Scheme::Hmac | Scheme::Digest => self.hashed(request, &chosen, added),
            Scheme::Token => {
                let (Some(place), Some(expected)) = (&self.block.value, &self.block.expected)
                else {
                    return Err(Unsignable::NoScheme);
                };
                let secret = self.text(expected, request, &chosen)?;
                added.push(header_for(place, secret)?);
                Ok(added)
            }
            Scheme::Basic => {
                let part = |template: &Option<Template>| match template {
                    Some(template) => self.text(template, request, &chosen),
                    None => Err(Unsignable::NoScheme),
                };
                let pair =
                    format!("{}:{}", part(&self.block.username)?, part(&self.block.password)?);
                let encoded = data_encoding::BASE64.encode(pair.as_bytes());
                added.push(("authorization".to_owned(), format!("Basic {encoded}")));
                Ok(added)
            }
            Scheme::Jwt => self.jwt(request, &chosen, added),
            Scheme::Signature | Scheme::MessageSignatures | Scheme::Cavage => {
                Err(Unsignable::PrivateKey)
            }
        }
    }

    /// Headers that make the block's conditions hold.
    fn conditions(&self, request: &Request<'_>) -> Result<Headers, Unsignable> {
        let chosen = self.settings.newest();
        let mut added = Headers::new();
        for (place, expected) in &self.block.when {
            let found = place.bytes(&Scope::new(request, &chosen)).ok();
            match (expected.as_str(), found, place.source()) {
                ("!", None, _) | ("*", Some(_), _) => {}
                (text, Some(found), _) if text.as_bytes() == &*found => {}
                // What the block itself will write, or signs, comes later.
                ("*", None, Source::Header(_)) => {}
                (text, None, Source::Header(name)) if text != "!" => {
                    added.push((name.to_string(), text.to_owned()));
                }
                _ => return Err(Unsignable::Missing(place.to_string())),
            }
        }
        Ok(added)
    }

    fn hashed(
        &self,
        request: &Request<'_>,
        chosen: &Chosen<'_>,
        mut added: Headers,
    ) -> Result<Headers, Unsignable> {
        let block = self.block;
        if block.each.is_some() || block.signature.value.is_some() {
            return Err(Unsignable::InBody);
        }
        let time_is_in_body =
            block.timestamp.iter().filter(|rule| !rule.optional).any(|rule| {
                rule.value.values().any(|value| matches!(value.source(), Source::Json(_)))
            });
        if time_is_in_body {
            return Err(Unsignable::InBody);
        }
        let message = messages(block).next().ok_or(Unsignable::NoScheme)?;
        let mut parts: Vec<(String, String)> = Vec::new();
        let signed = message.0.iter().filter(|part| !part.optional).map(|part| &part.template);
        let rule = block.timestamp.as_ref();
        for value in
            rule.map(|rule| &rule.value).into_iter().chain(signed).flat_map(Template::values)
        {
            let text = match rule {
                Some(rule) if rule.value.values().any(|time| time.same_source(value)) => {
                    self.time(rule)
                }
                _ => self.id.to_owned(),
            };
            match value.source() {
                Source::Signature(name) if !parts.iter().any(|(known, _)| **known == **name) => {
                    parts.push((name.to_string(), text));
                }
                Source::Header(name)
                    if request.header(name).is_none()
                        && !added.iter().any(|(known, _)| **known == **name) =>
                {
                    added.push((name.to_string(), text));
                }
                _ => {}
            }
        }
        let field = match (&block.signature.field, block.hash) {
            (_, Some(HashRule::FromField)) => Some("sha256".to_owned()),
            (Some(field), _) => Some(self.text(field, request, chosen)?),
            (None, _) => None,
        };
        let hash = match block.hash {
            Some(HashRule::Fixed(hash)) => hash,
            _ => crate::hash::Hash::Sha256,
        };
        let signature = {
            let all = joined(request, &added);
            let whole_request = Request::new(request.method, request.url, &all, request.body);
            let named: Vec<_> =
                parts.iter().map(|(n, v)| (n.as_str().into(), v.as_bytes().into())).collect();
            let scope = Scope { signature: &named, ..Scope::new(&whole_request, chosen) };
            let missing = |missing: super::template::Missing| Unsignable::Missing(missing.0);
            let bytes = whole(message, &scope).map_err(missing)?;
            match block.scheme {
                Scheme::Digest => {
                    aws_lc_rs::digest::digest(hash.digest(), &bytes).as_ref().to_vec()
                }
                _ => {
                    let key = block.key.as_ref().ok_or(Unsignable::NoScheme)?;
                    hash.hmac(&key.bytes(&scope).map_err(missing)?, &bytes)
                }
            }
        };
        let header = block.signature.write(&parts, field.as_deref(), &signature);
        added.push(header.ok_or(Unsignable::InBody)?);
        Ok(added)
    }

    fn jwt(
        &self,
        request: &Request<'_>,
        chosen: &Chosen<'_>,
        mut added: Headers,
    ) -> Result<Headers, Unsignable> {
        let block = self.block;
        let algorithm = block.algorithms.iter().copied().find(|one| one.shared().is_some());
        let (Some(algorithm), Some(place), Some(key), None) =
            (algorithm, &block.token, &block.key, &block.payload)
        else {
            return Err(Unsignable::PrivateKey);
        };
        let mut claims = serde_json::Map::new();
        claims.insert("iat".to_owned(), self.now.seconds().into());
        claims.insert("exp".to_owned(), (self.now.seconds() + 300).into());
        claims.insert("jti".to_owned(), self.id.into());
        for (name, expected) in block.claims.iter().chain(&block.claims_optional) {
            claims.insert(name.clone(), self.text(expected, request, chosen)?.into());
        }
        let scope = Scope::new(request, chosen);
        let key = key.bytes(&scope).map_err(|missing| Unsignable::Missing(missing.0))?;
        let claims = serde_json::Value::Object(claims).to_string();
        let token = jwt::sign(algorithm, &claims, &key).ok_or(Unsignable::PrivateKey)?;
        added.push(header_for(place, token)?);
        Ok(added)
    }

    fn text(
        &self,
        template: &Template,
        request: &Request<'_>,
        chosen: &Chosen<'_>,
    ) -> Result<String, Unsignable> {
        template
            .text(&Scope::new(request, chosen))
            .map_err(|missing| Unsignable::Missing(missing.0))
    }

    fn time(&self, rule: &TimestampRule) -> String {
        match rule.unit {
            Unit::Seconds | Unit::Auto => self.now.seconds().to_string(),
            Unit::Milliseconds => self.now.millis().to_string(),
            Unit::Rfc3339 => self.now.to_string(),
            Unit::HttpDate => {
                let time = jiff::Timestamp::from_millisecond(self.now.millis()).unwrap_or_default();
                time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
            }
        }
    }
}

/// The header that makes `place`, a template of one header, come out as `text`.
fn header_for(place: &Template, text: String) -> Result<(String, String), Unsignable> {
    let mut values = place.values();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Unsignable::InBody);
    };
    let Source::Header(name) = value.source() else { return Err(Unsignable::InBody) };
    let prefix: String = prefixes(value).collect();
    Ok((name.to_string(), format!("{prefix}{text}")))
}

/// What the value's filters take from the front.
fn prefixes(value: &Expression) -> impl Iterator<Item = &str> {
    value.filters().iter().filter_map(|filter| match filter {
        Filter::Strip(prefix) | Filter::Require(prefix) | Filter::After(prefix) => Some(&**prefix),
        _ => None,
    })
}

fn joined<'a>(request: &Request<'a>, added: &'a [(String, String)]) -> Vec<(&'a str, &'a [u8])> {
    let own = request.headers.iter().copied();
    own.chain(added.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))).collect()
}
