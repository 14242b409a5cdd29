//! A request to a source while it is looked at: one that comes now, or one that was kept.

use std::net::IpAddr;

use ringback_domain::{
    provider::{Provider, Request},
    source::Received,
    time::Timestamp,
};

use super::Ready;

/// What is asked of a request, and of its source.
pub(super) struct Call<'a> {
    pub(super) ready: &'a Ready,
    pub(super) provider: &'a Provider,
    pub(super) method: &'a str,
    /// The path that was called: the source's secret.
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    /// All headers with lower-case names, in the order of arrival.
    pub(super) headers: &'a [(&'a str, &'a [u8])],
    /// Who called; none of one that was kept, where nobody asks for it again.
    pub(super) address: Option<IpAddr>,
    pub(super) received_at: Timestamp,
    /// Later than that only for one that was kept.
    pub(super) now: Timestamp,
}

impl<'a> Call<'a> {
    /// A request that was kept, as it came to the path that the source has now.
    pub(super) fn kept(
        ready: &'a Ready,
        provider: &'a Provider,
        kept: &'a Received,
        path: &'a str,
        headers: &'a [(&'a str, &'a [u8])],
        now: Timestamp,
    ) -> Call<'a> {
        Call {
            ready,
            provider,
            method: &kept.method,
            path,
            query: kept.target.strip_prefix('?'),
            headers,
            address: None,
            received_at: kept.received_at,
            now,
        }
    }
}

impl Call<'_> {
    /// The request as the provider's rules see it.
    pub(super) fn request<'b>(&'b self, url: &'b str, body: &'b [u8]) -> Request<'b> {
        Request::new(self.method, url, self.headers, body)
    }

    pub(super) fn address_is_allowed(&self) -> bool {
        let allowed = &self.ready.config.allowed_addresses;
        let is_in = |address: IpAddr| {
            let address = address.to_canonical();
            allowed.iter().any(|network| network.contains(&address))
        };
        allowed.is_empty() || self.address.is_none_or(is_in)
    }

    /// Whether events come with its method.
    pub(super) fn may_be_event(&self) -> bool {
        self.ready.config.methods.iter().any(|one| one == self.method)
    }

    /// The URL as the provider knows it. Never from the `Host` header, which the caller chooses.
    pub(super) fn url(&self, public_url: &str) -> String {
        let base = match &self.ready.config.public_url {
            Some(url) => url.split(['?', '#']).next().unwrap_or_default().to_owned(),
            None => format!("{public_url}{}", self.path),
        };
        match self.query {
            Some(query) => format!("{base}?{query}"),
            None => base,
        }
    }

    /// What of the request's target can be shown: the query. The path is the secret.
    pub(super) fn target(&self) -> String {
        self.query.map(|query| format!("?{query}")).unwrap_or_default()
    }
}
