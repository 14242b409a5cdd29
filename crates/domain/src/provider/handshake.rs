//! Challenges: what a provider asks before it trusts a URL, and what is answered.

use std::collections::BTreeMap;

use super::definition::{Handshake, Provider};
use super::hosts;
use super::request::Request;
use super::settings::Settings;
use super::template::Scope;
use super::verdict::{Reason, Verdict};
use super::verify::{FetchedKeys, KeyRequest, Outcome, equal, hold};
use crate::time::Timestamp;

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A status and nothing else.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }
}

/// What a request means as a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// It is none: it has to be verified as an event.
    None,
    /// It is one, and this is the answer.
    Answered(Answered),
    /// It is one that must not be answered.
    Refused {
        /// The answer to it.
        reply: Reply,
        /// Why.
        verdict: Verdict,
    },
    /// A key has to be fetched first.
    Fetch(KeyRequest),
}

/// An answered challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The handshake's name in the provider's file.
    pub name: String,
    /// The answer.
    pub reply: Reply,
    /// Settings that the request brings; to be kept only while the source is armed.
    pub learned: BTreeMap<String, String>,
    /// A URL to fetch once, held against the provider's hosts.
    pub visit: Option<String>,
}

impl Provider {
    /// Answers a challenge, if the request is one.
    pub fn challenge(
        &self,
        request: &Request<'_>,
        settings: &Settings,
        keys: &dyn FetchedKeys,
        now: Timestamp,
    ) -> Challenge {
        let chosen = settings.newest();
        let scope = Scope::new(request, &chosen);
        let found = self
            .handshakes
            .iter()
            .map(toml::Spanned::get_ref)
            .find(|handshake| handshake.takes(request.method) && hold(&handshake.when, &scope));
        let Some(handshake) = found else { return Challenge::None };
        if handshake.signed {
            match self.verify(request, settings, keys, now) {
                Outcome::Fetch(key) => return Challenge::Fetch(key),
                Outcome::Verdict(verdict) if !verdict.is_proven() => {
                    return Challenge::Refused {
                        reply: Reply::empty(self.answer.refused),
                        verdict,
                    };
                }
                Outcome::Verdict(_) => {}
            }
        }
        match answer(handshake, request, settings) {
            Ok(answered) => Challenge::Answered(answered),
            Err(reason) => Challenge::Refused {
                reply: Reply::empty(handshake.deny),
                verdict: Verdict::failed(reason),
            },
        }
    }
}

fn answer(
    handshake: &Handshake,
    request: &Request<'_>,
    settings: &Settings,
) -> Result<Answered, Reason> {
    let chosen = settings.newest();
    let missing = |missing: super::template::Missing| Reason::Missing(missing.0);
    let plain = Scope::new(request, &chosen);
    let mut lets = Vec::new();
    for (name, value) in &handshake.lets {
        lets.push((name.clone(), value.bytes(&plain).map_err(missing)?.into_owned()));
    }
    let scope = Scope { lets: &lets, ..plain };
    for (place, shape) in &handshake.shape {
        if !shape.fits(&place.bytes(&scope).map_err(missing)?) {
            return Err(Reason::ChallengeRefused(place.to_string()));
        }
    }
    for (place, expected) in &handshake.check {
        let sent = place.bytes(&scope).map_err(missing)?;
        let names: Vec<&str> =
            expected.values().flat_map(super::template::Expression::settings).collect();
        if let Some(name) = names.iter().find(|name| settings.values(name).is_empty()) {
            return Err(Reason::MissingSetting((*name).to_owned()));
        }
        let fits = settings.choices(&names).iter().any(|chosen| {
            expected
                .bytes(&Scope::new(request, chosen))
                .is_ok_and(|expected| !expected.is_empty() && equal(&sent, &expected))
        });
        if !fits {
            return Err(Reason::Mismatch(place.to_string()));
        }
    }
    let mut headers = Vec::new();
    for (name, value) in &handshake.headers {
        let value = value.text(&scope).map_err(missing)?;
        if value.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(Reason::ChallengeRefused(format!("header {name}")));
        }
        headers.push((name.to_ascii_lowercase(), value));
    }
    let body = match &handshake.body {
        Some(body) => body.bytes(&scope).map_err(missing)?.into_owned(),
        None => Vec::new(),
    };
    let mut learned = BTreeMap::new();
    for (name, value) in &handshake.learn {
        learned.insert(name.clone(), value.text(&scope).map_err(missing)?);
    }
    let visit = match &handshake.visit {
        Some(visit) => {
            let url = visit.url.text(&scope).map_err(missing)?;
            if !hosts::allows(&visit.hosts, "/", &url) {
                return Err(Reason::KeyHost);
            }
            Some(url)
        }
        None => None,
    };
    let reply = Reply { status: handshake.status, headers, body };
    Ok(Answered { name: handshake.name.clone(), reply, learned, visit })
}
