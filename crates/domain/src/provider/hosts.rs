//! Where a key may be fetched from: the provider's hosts, over TLS.

use url::{Host, Url};

/// Whether `url` is an `https` address at one of `hosts`, on the usual port, under `path`.
///
/// A `*` stands for one label; at the front (`*.example.com`) for one or more.
pub(super) fn allows(hosts: &[String], path: &str, url: &str) -> bool {
    let Ok(parsed) = Url::parse(url) else { return false };
    let plain = parsed.scheme() == "https"
        && parsed.port().is_none()
        && parsed.username().is_empty()
        && parsed.password().is_none()
        && parsed.fragment().is_none();
    let Some(Host::Domain(host)) = parsed.host() else { return false };
    plain && parsed.path().starts_with(path) && hosts.iter().any(|pattern| fits(pattern, host))
}

fn fits(pattern: &str, host: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("*.") {
        let labels = rest.split('.').count();
        let all: Vec<&str> = host.split('.').collect();
        return all.len() > labels && fits(rest, &all[all.len() - labels..].join("."));
    }
    let (pattern, host): (Vec<&str>, Vec<&str>) =
        (pattern.split('.').collect(), host.split('.').collect());
    pattern.len() == host.len()
        && pattern.iter().zip(&host).all(|(one, other)| *one == "*" || one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, url: &str, expect: bool) {
        assert_eq!(allows(&[pattern.to_owned()], "/certs/", url), expect, "{url}");
    }

    #[test]
    fn keys_come_from_the_providers_hosts_only() {
        check("api.paypal.com", "https://api.paypal.com/certs/1", true);
        check("api.paypal.com", "http://api.paypal.com/certs/1", false);
        check("api.paypal.com", "https://api.paypal.com:444/certs/1", false);
        check("api.paypal.com", "https://api.paypal.com/other", false);
        check("api.paypal.com", "https://api.paypal.com/certs/../other", false);
        check("api.paypal.com", "https://x@api.paypal.com/certs/1", false);
        check("api.paypal.com", "https://api.paypal.com.evil.test/certs/1", false);
        check("*.paypal.com", "https://a.b.paypal.com/certs/1", true);
        check("*.paypal.com", "https://paypal.com/certs/1", false);
        check("*.paypal.com", "https://evilpaypal.com/certs/1", false);
        check("sns.*.amazonaws.com", "https://sns.eu-west-1.amazonaws.com/certs/1", true);
        check("sns.*.amazonaws.com", "https://sns.a.b.amazonaws.com/certs/1", false);
        check("sns.*.amazonaws.com", "https://127.0.0.1/certs/1", false);
    }
}
