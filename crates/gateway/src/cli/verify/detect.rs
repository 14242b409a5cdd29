//! Whose request something looks like, by the headers that providers' files name.

use std::sync::Arc;

use ringback_domain::provider::Provider;
use ringback_domain::provider::vector::WireRequest;

use crate::cli::{Failure, note};
use crate::receive::catalog::Catalog;

/// What most senders with its headers follow.
const STANDARD: &str = "standard-webhooks";
/// Providers that are named when it could be any of them.
const NAMED: usize = 8;

/// The provider that a request looks like, which is told.
pub(super) fn provider(catalog: &Catalog, request: &WireRequest) -> Result<Arc<Provider>, Failure> {
    let sent: Vec<String> = request.headers.keys().map(|name| name.to_ascii_lowercase()).collect();
    let seen = |provider: &Provider| {
        let named = provider.detect.headers.iter();
        named.filter(|header| sent.contains(header)).count()
    };
    let all: Vec<Arc<Provider>> =
        catalog.entries().into_iter().map(|entry| entry.provider).collect();
    // A file for any sender is meant only where there is none for the very one.
    let rank = |provider: &Arc<Provider>| {
        let standard = provider.id == STANDARD;
        (standard, !provider.id.starts_with("generic-"), seen(provider))
    };
    let looks: Vec<_> = all.into_iter().filter(|provider| seen(provider) > 0).collect();
    let Some(best) = looks.iter().map(rank).max() else {
        let what = "no header says whose request it is: name its provider with --provider, \
            `ringback providers` lists them";
        return Err(Failure::Usage(what.to_owned()));
    };
    let mut best: Vec<_> = looks.into_iter().filter(|provider| rank(provider) == best).collect();
    if best.len() > 1 {
        let names: Vec<_> = best.iter().take(NAMED).map(|one| one.id.as_str()).collect();
        let names = names.join(", ");
        let what = format!("by its headers it could be of {names}: say whose with --provider");
        return Err(Failure::Usage(what));
    }
    let found = best.remove(0);
    let header = found.detect.headers.iter().find(|header| sent.contains(header));
    let header = header.map(String::as_str).unwrap_or_default();
    note(&format!("by its header {header} it is taken for one of {} ({})", found.name, found.id));
    Ok(found)
}
