//! Whether whoever answers is who they should be.

use aws_lc_rs::constant_time;
use http::{HeaderMap, header};
use ringback_domain::{
    callback::Callback,
    provider::{self, Provider, Reply},
    time::Timestamp,
};

use super::{Scheme, Secrets, Terms, sha256};
use crate::receive::{self, Judged};

/// A request that is to be proven.
pub(super) struct Unproven<'a> {
    pub(super) callback: &'a Callback,
    pub(super) method: &'a str,
    /// As the other side knows it.
    pub(super) url: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    pub(super) now: Timestamp,
}

/// What is known of whoever answers.
pub(super) enum Proof {
    /// Nothing more is asked than the URL, or they have proven it.
    Given,
    /// It is not there, or wrong: in a stable word.
    Missing(&'static str),
    /// A provider's challenge, and its answer.
    Challenge(Reply),
}

/// What proves who answers, by the terms and by what of them is secret.
pub(super) async fn prove(
    terms: &Terms,
    secrets: Option<Secrets>,
    sources: &receive::Door,
    request: &Unproven<'_>,
) -> Proof {
    let Some(scheme) = &terms.completer else { return Proof::Given };
    let Some(secrets) = secrets else {
        tracing::error!(callback = %request.callback.id, "a callback's secrets cannot be opened");
        return Proof::Missing("secret_unreadable");
    };
    match scheme {
        Scheme::Bearer => match secrets.bearer {
            Some(secret) if bears(request.headers, &secret) => Proof::Given,
            _ => Proof::Missing("wrong_secret"),
        },
        Scheme::Provider(id) => match sources.provider(id) {
            Some(provider) => by_provider(&provider, &secrets, sources, request).await,
            None => Proof::Missing("provider_unknown"),
        },
    }
}

/// Compares hashes, so that how long it takes says nothing, not even of the lengths.
fn bears(headers: &HeaderMap, secret: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let Some((scheme, given)) = given.and_then(|given| given.split_at_checked(7)) else {
        return false;
    };
    let (given, secret) = (sha256(given.trim_ascii()), sha256(secret.as_bytes()));
    scheme.eq_ignore_ascii_case(b"bearer ")
        && constant_time::verify_slices_are_equal(&given, &secret).is_ok()
}

async fn by_provider(
    provider: &Provider,
    secrets: &Secrets,
    sources: &receive::Door,
    request: &Unproven<'_>,
) -> Proof {
    let headers = receive::all_headers(request.headers);
    let raw = provider::Request::new(request.method, request.url, &headers, request.body);
    let (owner, now) = (request.callback.id.key(), request.now);
    match sources.judge_for(owner, (provider, &secrets.settings()), &raw, (now, now)).await {
        Judged::Challenge(answered) => Proof::Challenge(answered.reply),
        Judged::RefusedChallenge { verdict, .. } => Proof::Missing(reason(&verdict)),
        Judged::Event { verdict, .. } if verdict.is_proven() => Proof::Given,
        Judged::Event { verdict, .. } => Proof::Missing(reason(&verdict)),
    }
}

fn reason(verdict: &provider::Verdict) -> &'static str {
    verdict.reason.as_ref().map_or("unverified", provider::Reason::code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_opens() {
        let check = |value: &str, expect: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(bears(&headers, "rb-test-made-up"), expect, "{value}");
        };
        check("Bearer rb-test-made-up", true);
        check("bearer rb-test-made-up", true);
        check("Bearer rb-test-made-u", false);
        check("Bearer rb-test-made-up2", false);
        check("Bearer ", false);
        check("Basic rb-test-made-up", false);
        check("rb-test-made-up", false);
        assert!(!bears(&HeaderMap::new(), "rb-test-made-up"));
    }
}
