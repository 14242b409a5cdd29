//! Holding a request against a provider's file: one judgement, with the reason that is proven.
//!
//! Everything is over the bytes that arrived. All comparisons of secrets and signatures are in
//! constant time, after decoding, and only between equal lengths.

use std::borrow::Cow;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::digest;

use super::definition::{
    Conditions, Fetch, Format, HashRule, Message, Provider, Scheme, SignatureRule, Strength,
    TimestampRule, Unit, Verify, VerifyMode,
};
use super::diagnose;
use super::hosts;
use super::http_signatures::{self, Signed};
use super::jwt::{self, Token};
use super::lookup;
use super::request::Request;
use super::settings::{Chosen, Settings};
use super::signatures::{Parts, Unreadable};
use super::template::{Expression, Missing, Scope, Template, Values};
use super::verdict::{Reason, State, Verdict};
use crate::base64::unbase64;
use crate::hash::Hash;
use crate::public_key::{Algorithm, JwkSet, PublicKey};
use crate::time::Timestamp;

/// What the caller has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: this is the judgement.
    Verdict(Verdict),
    /// Fetch this and ask again. Its host was held against the provider's list.
    Fetch(KeyRequest),
}

/// A document with a key that has to be had first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRequest {
    /// An `https` address at one of the provider's hosts.
    pub url: String,
}

/// Documents that were fetched before, by their URL.
pub trait FetchedKeys {
    /// The text of the document at `url`, if it is at hand.
    fn get(&self, url: &str) -> Option<Arc<str>>;
}

/// No document is at hand.
impl FetchedKeys for () {
    fn get(&self, _: &str) -> Option<Arc<str>> {
        None
    }
}

/// Why a block did not pass.
enum Fault {
    Reason(Reason),
    Fetch(KeyRequest),
    /// Its conditions do not hold: as if it were not there.
    NotForThis,
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Self {
        Self::Reason(reason)
    }
}

impl From<Missing> for Fault {
    fn from(Missing(name): Missing) -> Self {
        Self::Reason(Reason::Missing(name))
    }
}

impl From<Unreadable> for Fault {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Missing(missing) => missing.into(),
            Unreadable::Malformed(what) => {
                Reason::Malformed(format!("the signature cannot be read: {what}")).into()
            }
        }
    }
}

/// A block that passed.
#[derive(Default)]
struct Proven {
    /// The claims of the token, as JSON text.
    claims: Option<String>,
    /// A shared secret passed, and nothing covers the body.
    only_token: bool,
}

impl Provider {
    /// Judges a request.
    ///
    /// `keys` are documents fetched before; if one is missing, the outcome names it.
    pub fn verify(
        &self,
        request: &Request<'_>,
        settings: &Settings,
        keys: &dyn FetchedKeys,
        now: Timestamp,
    ) -> Outcome {
        match self.prove(request, settings, keys, now) {
            Ok(proven) => {
                let state = match self.strength {
                    _ if proven.only_token => State::Authenticated,
                    Strength::Signed | Strength::Partial => State::Verified,
                    Strength::Token => State::Authenticated,
                    Strength::None => State::Unattempted,
                };
                Outcome::Verdict(Verdict { state, reason: None, claims: proven.claims })
            }
            Err(Fault::Fetch(key)) => Outcome::Fetch(key),
            Err(Fault::Reason(reason @ Reason::MissingSetting(_))) => Outcome::Verdict(Verdict {
                state: State::Unattempted,
                reason: Some(reason),
                claims: None,
            }),
            Err(Fault::Reason(reason)) => Outcome::Verdict(Verdict::failed(reason)),
            Err(Fault::NotForThis) => Outcome::Verdict(Verdict::failed(Reason::Missing(
                "what this provider's requests have".to_owned(),
            ))),
        }
    }

    fn prove(
        &self,
        request: &Request<'_>,
        settings: &Settings,
        keys: &dyn FetchedKeys,
        now: Timestamp,
    ) -> Result<Proven, Fault> {
        let missing = self
            .settings
            .iter()
            .find(|setting| setting.required && settings.values(&setting.name).is_empty());
        if let Some(setting) = missing {
            return Err(Reason::MissingSetting(setting.name.clone()).into());
        }
        let attempt = Attempt { request, settings, keys, now, lets: &[] };
        let mut told: Option<Fault> = None;
        let mut proven = None;
        for block in &self.verify {
            let result = attempt.block(block.get_ref());
            match (result, self.verify_mode) {
                (Ok(found), VerifyMode::Any) => return Ok(found),
                (Ok(found), VerifyMode::All) => proven = Some(found),
                (Err(Fault::NotForThis), _) => {}
                (Err(fault), VerifyMode::All) => return Err(fault),
                (Err(fault), VerifyMode::Any) => told = Some(heavier(told, fault)),
            }
        }
        match (proven, told) {
            (Some(proven), _) => Ok(proven),
            (None, Some(fault)) => Err(fault),
            (None, None) if self.verify.is_empty() => Ok(Proven::default()),
            (None, None) => Err(Fault::NotForThis),
        }
    }
}

/// Of two reasons the one that says more; a key to fetch before either.
fn heavier(told: Option<Fault>, fault: Fault) -> Fault {
    match (told, fault) {
        (Some(Fault::Fetch(key)), _) | (_, Fault::Fetch(key)) => Fault::Fetch(key),
        (Some(Fault::Reason(first)), Fault::Reason(second)) => {
            Fault::Reason(if second.weight() > first.weight() { second } else { first })
        }
        (_, fault) => fault,
    }
}

/// One request, tried against the blocks of a file.
struct Attempt<'a> {
    request: &'a Request<'a>,
    settings: &'a Settings,
    keys: &'a dyn FetchedKeys,
    now: Timestamp,
    /// Values that are neither the request's nor settings.
    lets: &'a [(String, Vec<u8>)],
}

impl SignatureRule {
    /// Whether it is over this request: what `values` has.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(&self, values: &Values<'_>, now: Timestamp) -> Result<(), Reason> {
        let Values { request, settings, callback: lets } = *values;
        let attempt = Attempt { request, settings, keys: &(), now, lets };
        match attempt.block(&self.0) {
            Ok(_) => Ok(()),
            Err(Fault::Reason(reason)) => Err(reason),
            Err(Fault::Fetch(_)) => Err(Reason::KeyUnavailable),
            Err(Fault::NotForThis) => Err(Reason::Missing("what is signed".to_owned())),
        }
    }
}

impl Attempt<'_> {
    /// One block with every combination of the settings it uses.
    fn block(&self, block: &Verify) -> Result<Proven, Fault> {
        let newest = self.settings.newest();
        let scope = Scope { lets: self.lets, ..Scope::new(self.request, &newest) };
        if !hold(&block.when, &scope) {
            return Err(Fault::NotForThis);
        }
        let names = block.settings();
        let unset = names.iter().find(|name| self.settings.values(name).is_empty());
        if let Some(name) = unset {
            let needs_it = block
                .key
                .iter()
                .flat_map(Template::values)
                .any(|value| value.settings().any(|used| used == *name));
            if needs_it {
                return Err(Reason::MissingSetting((*name).to_owned()).into());
            }
        }
        let mut told = None;
        for chosen in self.settings.choices(&names) {
            match self.with(block, &chosen, self.request) {
                Ok(proven) => return Ok(proven),
                Err(fault) => told = Some(heavier(told, fault)),
            }
        }
        let fault = told.unwrap_or(Fault::NotForThis);
        let Fault::Reason(Reason::SignatureMismatch) = fault else { return Err(fault) };
        let fits = |chosen: &Chosen<'_>, request: &Request<'_>| {
            // A signature that fits otherwise, but is stale, fits.
            !matches!(
                self.with(block, chosen, request),
                Err(Fault::Reason(reason)) if reason.weight() < Reason::Stale(0).weight()
            )
        };
        Err(diagnose::why(self.request, &self.settings.choices(&names), fits).into())
    }

    fn with(
        &self,
        block: &Verify,
        chosen: &Chosen<'_>,
        request: &Request<'_>,
    ) -> Result<Proven, Fault> {
        let scope = Scope { lets: self.lets, ..Scope::new(request, chosen) };
        let proven = match block.scheme {
            Scheme::Hmac | Scheme::Digest => self.hashed(block, &scope),
            Scheme::Token => token(block, &scope),
            Scheme::Basic => basic(block, &scope),
            Scheme::Signature => self.signed(block, &scope),
            Scheme::Jwt => self.jwt(block, &scope),
            Scheme::MessageSignatures => {
                self.message_signature(block, &scope, http_signatures::rfc9421(request)?)
            }
            Scheme::Cavage => {
                let header = block.signature.header.iter().next().map_or("", String::as_str);
                self.message_signature(block, &scope, http_signatures::cavage(request, header)?)
            }
        }?;
        let mut scope = scope;
        scope.claims = proven.claims.as_deref();
        for (place, expected) in &block.require {
            // Where the operator may leave the expected value out, there is nothing to compare.
            let unset =
                |value: &Expression| value.settings().any(|name| chosen.get(name).is_none());
            if expected.values().any(unset) {
                continue;
            }
            if !equal(&place.bytes(&scope)?, &expected.bytes(&scope)?) {
                return Err(Reason::Mismatch(place.to_string()).into());
            }
        }
        for (place, shape) in &block.shape {
            if !shape.fits(&place.bytes(&scope)?) {
                return Err(Reason::ChallengeRefused(place.to_string()).into());
            }
        }
        Ok(proven)
    }

    /// HMAC, or a digest with the secret inside, over one message or over each item.
    fn hashed(&self, block: &Verify, scope: &Scope<'_>) -> Result<Proven, Fault> {
        let Some(pointer) = &block.each else {
            return self.hashed_once(block, scope);
        };
        let no_items = || Reason::Missing(format!("items at {pointer}"));
        let text = scope.request.text().ok_or_else(no_items)?;
        let items = lookup::items(text, pointer).filter(|items| !items.is_empty());
        for item in items.ok_or_else(no_items)? {
            let scope = Scope { item: Some(item), ..*scope };
            refuse_compound(block, &scope)?;
            self.hashed_once(block, &scope)?;
        }
        Ok(Proven::default())
    }

    fn hashed_once(&self, block: &Verify, scope: &Scope<'_>) -> Result<Proven, Fault> {
        let groups = block.signature.find(scope)?;
        let mut told: Option<Fault> = None;
        for group in &groups {
            let scope = with_parts(scope, &group.parts);
            let key = match &block.key {
                Some(key) => key.bytes(&scope)?,
                None => Cow::Borrowed(&b""[..]),
            };
            for message in messages(block) {
                let message = match whole(message, &scope) {
                    Ok(message) => message,
                    Err(missing) => {
                        told = Some(heavier(told, missing.into()));
                        continue;
                    }
                };
                for (name, text) in &group.candidates {
                    let Some(hash) = hash_of(block, name) else { continue };
                    let Some(sent) = block.signature.encoding.decode(text) else {
                        let malformed = Reason::Malformed(
                            "the signature is not in this provider's encoding".to_owned(),
                        );
                        told = Some(heavier(told, malformed.into()));
                        continue;
                    };
                    if sent.len() != hash.len() {
                        let malformed = Reason::Malformed(format!(
                            "the signature has {} bytes instead of {}",
                            sent.len(),
                            hash.len()
                        ));
                        told = Some(heavier(told, malformed.into()));
                        continue;
                    }
                    let expected = match block.scheme {
                        Scheme::Digest => digest(hash.digest(), &message).as_ref().to_vec(),
                        _ => hash.hmac(&key, &message),
                    };
                    if !equal(&expected, &sent) {
                        told = Some(heavier(told, Reason::SignatureMismatch.into()));
                        continue;
                    }
                    return match self.in_time(block.timestamp.as_ref(), &scope) {
                        Ok(()) => Ok(Proven::default()),
                        Err(fault) => Err(fault),
                    };
                }
            }
        }
        Err(told.unwrap_or_else(|| Reason::SignatureMismatch.into()))
    }

    /// A signature under a public key, configured or fetched.
    fn signed(&self, block: &Verify, scope: &Scope<'_>) -> Result<Proven, Fault> {
        let algorithm = block.algorithm.unwrap_or(Algorithm::Ed25519);
        let groups = block.signature.find(scope)?;
        let mut told = None;
        for group in &groups {
            let scope = with_parts(scope, &group.parts);
            let keys = self.public_keys(block, &scope, algorithm, None)?;
            for message in messages(block) {
                let message = whole(message, &scope)?;
                for (_, text) in &group.candidates {
                    let Some(sent) = block.signature.encoding.decode(text) else {
                        let malformed = Reason::Malformed(
                            "the signature is not in this provider's encoding".to_owned(),
                        );
                        told = Some(heavier(told, malformed.into()));
                        continue;
                    };
                    if !keys.iter().any(|key| key.verifies(&message, &sent)) {
                        told = Some(heavier(told, Reason::SignatureMismatch.into()));
                        continue;
                    }
                    self.in_time(block.timestamp.as_ref(), &scope)?;
                    return Ok(Proven::default());
                }
            }
        }
        Err(told.unwrap_or_else(|| Reason::SignatureMismatch.into()))
    }

    /// RFC 9421 and the draft before it.
    fn message_signature(
        &self,
        block: &Verify,
        scope: &Scope<'_>,
        signed: Signed,
    ) -> Result<Proven, Fault> {
        let parts: Parts<'_> =
            vec![(Cow::Borrowed("keyid"), Cow::Borrowed(signed.key_id.as_bytes()))];
        let scope = with_parts(scope, &parts);
        let keys = self.public_keys(block, &scope, signed.algorithm, Some(&signed.key_id))?;
        if !keys.iter().any(|key| key.verifies(&signed.base, &signed.signature)) {
            return Err(Reason::SignatureMismatch.into());
        }
        if signed.expires.is_some_and(|end| self.now.seconds() > end) {
            return Err(Reason::Expired.into());
        }
        match (signed.created, &block.timestamp) {
            (Some(created), Some(rule)) => {
                let past = self.settings.tolerance().unwrap_or(rule.tolerance);
                within(created.saturating_mul(1000), past, rule.future, self.now)?;
            }
            (None, rule) => self.in_time(rule.as_ref(), &scope)?,
            (Some(_), None) => {}
        }
        Ok(Proven::default())
    }

    fn jwt(&self, block: &Verify, scope: &Scope<'_>) -> Result<Proven, Fault> {
        let text = block.token.as_ref().map(|token| token.text(scope)).transpose()?;
        let detached = block.payload.as_ref().map(|payload| payload.bytes(scope)).transpose()?;
        let token =
            Token::parse(&text.unwrap_or_default(), &block.algorithms, detached.as_deref())?;
        match &block.fetch {
            Some(fetch) => {
                let document = self.document(fetch, scope)?;
                token.check(&jwt::Key::Set(&document))?;
            }
            None => {
                let key = block.key.as_ref().map(|key| key.bytes(scope)).transpose()?;
                token.check(&jwt::Key::Configured(&key.unwrap_or_default()))?;
            }
        }
        let header = header_parts(&token.header);
        let mut inner = with_parts(scope, &header);
        inner.claims = Some(&token.claims);
        self.claims(block, &inner)?;
        self.in_time(block.timestamp.as_ref(), &inner)?;
        Ok(Proven { claims: Some(token.claims), only_token: false })
    }

    fn claims(&self, block: &Verify, scope: &Scope<'_>) -> Result<(), Fault> {
        let json = scope.claims.unwrap_or_default();
        let seconds = |name: &str| -> Option<i64> {
            let text = lookup::scalar(json, &[name.into()])?;
            text.split('.').next()?.parse().ok()
        };
        let now = self.now.seconds();
        if seconds("exp").is_some_and(|end| now > end.saturating_add(block.leeway)) {
            return Err(Reason::Expired.into());
        }
        let too_soon = |start: &i64| now < start.saturating_sub(block.leeway);
        if let Some(start) = seconds("nbf").filter(too_soon) {
            return Err(Reason::FromFuture(start.saturating_sub(now)).into());
        }
        if let Some(max_age) = block.max_age {
            let issued = seconds("iat").ok_or(Missing("claim iat".to_owned()))?;
            within(issued.saturating_mul(1000), max_age, None, self.now)?;
        }
        let check = |name: &str, expected: &Template| -> Result<(), Fault> {
            let expected = expected.bytes(scope)?;
            if claim_has(json, name, &expected) {
                return Ok(());
            }
            Err(Reason::Mismatch(format!("claim {name}")).into())
        };
        for (name, expected) in &block.claims {
            if lookup::at(json, &[name.as_str().into()]).is_none() {
                return Err(Missing(format!("claim {name}")).into());
            }
            check(name, expected)?;
        }
        for (name, expected) in &block.claims_optional {
            if lookup::at(json, &[name.as_str().into()]).is_some() {
                check(name, expected)?;
            }
        }
        Ok(())
    }

    /// The keys that may have signed: one, or all of a set that names none of them.
    fn public_keys(
        &self,
        block: &Verify,
        scope: &Scope<'_>,
        algorithm: Algorithm,
        key_id: Option<&str>,
    ) -> Result<Vec<PublicKey>, Fault> {
        let unavailable = || Fault::from(Reason::KeyUnavailable);
        let Some(fetch) = &block.fetch else {
            let text = block.key.as_ref().ok_or_else(unavailable)?.text(scope)?;
            let key = PublicKey::parse(&text, algorithm);
            return Ok(vec![key.ok_or_else(unavailable)?]);
        };
        let document = self.document(fetch, scope)?;
        let key = match fetch.format {
            Format::Certificate => {
                PublicKey::from_certificate(&document, algorithm, self.now.seconds())
            }
            Format::Pem => PublicKey::parse(&document, algorithm),
            Format::Ebay => {
                let text = lookup::scalar(&document, &["key".into()]);
                // eBay writes the PEM's line breaks as nothing; a bare PEM is taken as well.
                PublicKey::parse(text.as_deref().unwrap_or(&document), algorithm)
            }
            Format::Jwks => {
                let set: JwkSet = serde_json::from_str(&document).map_err(|_| unavailable())?;
                let named = set.keys.iter().filter(|jwk| {
                    key_id.is_none_or(|id| id.is_empty() || jwk.kid.as_deref() == Some(id))
                });
                let keys: Vec<PublicKey> = named
                    .take(jwt::MAX_KEYS)
                    .filter_map(|jwk| PublicKey::from_jwk(jwk, algorithm))
                    .collect();
                return if keys.is_empty() { Err(Reason::UnknownKey.into()) } else { Ok(keys) };
            }
        };
        Ok(vec![key.ok_or_else(unavailable)?])
    }

    /// The document that holds the key, if it is at hand.
    fn document(&self, fetch: &Fetch, scope: &Scope<'_>) -> Result<Arc<str>, Fault> {
        let url = fetch.url.text(scope)?;
        if !hosts::allows(&fetch.hosts, &fetch.path, &url) {
            return Err(Reason::KeyHost.into());
        }
        self.keys.get(&url).ok_or(Fault::Fetch(KeyRequest { url }))
    }

    fn in_time(&self, rule: Option<&TimestampRule>, scope: &Scope<'_>) -> Result<(), Fault> {
        let Some(rule) = rule else { return Ok(()) };
        let text = match rule.value.text(scope) {
            Ok(text) => text,
            Err(_) if rule.optional => return Ok(()),
            Err(missing) => return Err(missing.into()),
        };
        let millis = milliseconds(&text, rule.unit).ok_or_else(|| {
            Reason::Malformed(format!("the time `{}` cannot be read", shortened(&text)))
        })?;
        let (past, future) = match self.settings.tolerance() {
            Some(seconds) => (seconds, None),
            None => (rule.tolerance, rule.future),
        };
        Ok(within(millis, past, future, self.now)?)
    }
}

/// Whether all conditions hold.
pub(super) fn hold(conditions: &Conditions, scope: &Scope<'_>) -> bool {
    conditions.iter().all(|(place, expected)| {
        let found = place.bytes(scope).ok();
        match expected.as_str() {
            "*" => found.is_some(),
            "!" => found.is_none(),
            text => found.as_deref() == Some(text.as_bytes()),
        }
    })
}

/// Equal, in constant time for equal lengths.
pub(super) fn equal(one: &[u8], other: &[u8]) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}

fn token(block: &Verify, scope: &Scope<'_>) -> Result<Proven, Fault> {
    let (Some(value), Some(expected)) = (&block.value, &block.expected) else {
        return Err(Fault::NotForThis);
    };
    let (value, expected) = (value.bytes(scope)?, expected.bytes(scope)?);
    if expected.is_empty() || !equal(&value, &expected) {
        return Err(Reason::WrongSecret.into());
    }
    Ok(Proven { only_token: true, ..Proven::default() })
}

/// HTTP Basic (RFC 7617).
fn basic(block: &Verify, scope: &Scope<'_>) -> Result<Proven, Fault> {
    let (Some(username), Some(password)) = (&block.username, &block.password) else {
        return Err(Fault::NotForThis);
    };
    let header =
        scope.request.header("authorization").ok_or(Missing("header authorization".to_owned()))?;
    let malformed = || Reason::Malformed("the authorization header is not Basic".to_owned());
    let is_basic = header.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"basic "));
    if !is_basic {
        return Err(malformed().into());
    }
    let sent = unbase64(header[6..].trim_ascii()).ok_or_else(malformed)?;
    let expected = [&username.bytes(scope)?[..], b":", &password.bytes(scope)?[..]].concat();
    if !equal(&sent, &expected) {
        return Err(Reason::WrongSecret.into());
    }
    Ok(Proven { only_token: true, ..Proven::default() })
}

/// A scope with the named parts of a signature header.
fn with_parts<'s>(scope: &Scope<'s>, parts: &'s Parts<'s>) -> Scope<'s> {
    Scope { signature: parts, ..*scope }
}

/// The scalar fields of a token's protected header.
fn header_parts(json: &str) -> Parts<'static> {
    let fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(json).unwrap_or_default();
    fields
        .into_iter()
        .filter_map(|(name, value)| {
            let text = match value {
                serde_json::Value::String(text) => text,
                serde_json::Value::Number(number) => number.to_string(),
                _ => return None,
            };
            Some((Cow::Owned(name), Cow::Owned(text.into_bytes())))
        })
        .collect()
}

pub(super) fn messages(block: &Verify) -> impl Iterator<Item = &Message> {
    block.message.iter().chain(&block.messages)
}

/// The bytes that are signed.
pub(super) fn whole<'a>(message: &'a Message, scope: &Scope<'a>) -> Result<Cow<'a, [u8]>, Missing> {
    if let [part] = message.0.as_slice() {
        return part.template.bytes(scope);
    }
    let mut bytes = Vec::new();
    for part in &message.0 {
        match part.template.bytes(scope) {
            Ok(next) => bytes.extend_from_slice(&next),
            Err(_) if part.optional => {}
            Err(missing) => return Err(missing),
        }
    }
    Ok(Cow::Owned(bytes))
}

fn hash_of(block: &Verify, field: &str) -> Option<Hash> {
    match block.hash? {
        HashRule::Fixed(hash) => Some(hash),
        HashRule::FromField => Hash::parse(field),
    }
}

/// A signed field that is an object or array must not count as empty: otherwise the signature of an
/// item without an amount would cover any amount that is written as a list.
fn refuse_compound(block: &Verify, scope: &Scope<'_>) -> Result<(), Reason> {
    let item = scope.item.unwrap_or_default();
    for value in
        messages(block).flat_map(|message| &message.0).flat_map(|part| part.template.values())
    {
        let Some(path) = item_path(value) else { continue };
        let is_object =
            |depth: usize| lookup::at(item, &path[..depth]).is_none_or(|raw| raw.starts_with('{'));
        let leaf = lookup::at(item, path).unwrap_or("null");
        if !(0..path.len()).all(is_object) || leaf.starts_with(['{', '[']) {
            return Err(Reason::Malformed(format!("{value} is not a single value")));
        }
    }
    Ok(())
}

fn item_path(value: &Expression) -> Option<&[Box<str>]> {
    match value.source() {
        super::template::Source::Item(path) => Some(path),
        _ => None,
    }
}

fn claim_has(json: &str, name: &str, expected: &[u8]) -> bool {
    let path = [Box::from(name)];
    if let Some(found) = lookup::scalar(json, &path) {
        return equal(found.as_bytes(), expected);
    }
    let listed: Option<Vec<String>> =
        lookup::at(json, &path).and_then(|raw| serde_json::from_str(raw).ok());
    listed.is_some_and(|all| all.iter().any(|one| equal(one.as_bytes(), expected)))
}

/// Whether a time of signing, in milliseconds, is near enough.
fn within(signed: i64, tolerance: i64, future: Option<i64>, now: Timestamp) -> Result<(), Reason> {
    let past = tolerance.saturating_mul(1000);
    let ahead = future.unwrap_or(tolerance).saturating_mul(1000);
    let seconds = |over: i64| over.saturating_add(999) / 1000;
    let age = now.millis().saturating_sub(signed);
    if age > past {
        return Err(Reason::Stale(seconds(age.saturating_sub(past))));
    }
    let early = signed.saturating_sub(now.millis());
    if early > ahead {
        return Err(Reason::FromFuture(seconds(early.saturating_sub(ahead))));
    }
    Ok(())
}

fn milliseconds(text: &str, unit: Unit) -> Option<i64> {
    /// 1973 in milliseconds, 5138 in seconds.
    const MILLISECONDS_FROM: i64 = 100_000_000_000;
    let text = text.trim();
    let number = || text.parse::<i64>().ok().filter(|number| *number >= 0);
    match unit {
        Unit::Seconds => number()?.checked_mul(1000),
        Unit::Milliseconds => number(),
        Unit::Auto => match number()? {
            millis if millis > MILLISECONDS_FROM => Some(millis),
            seconds => seconds.checked_mul(1000),
        },
        Unit::Rfc3339 => text.parse::<Timestamp>().ok().map(Timestamp::millis),
        Unit::HttpDate => {
            jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp().as_millisecond())
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
