//! The HTTP proxy between this machine and the server, as the environment names it.
//!
//! `HTTPS_PROXY` or `HTTP_PROXY` by the server's scheme, else `ALL_PROXY`, in either case of letters,
//! unless `NO_PROXY` names the host. Whatever the server speaks goes through a tunnel (`CONNECT`,
//! RFC 9110, section 9.3.6). This machine is never asked for by way of a proxy.

use std::fmt;
use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Position, Url};

use crate::{outbound::tunnel, seam::BoxStream};

/// A proxy that tunnels.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    url: Url,
}

/// The environment names something that is no HTTP proxy.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{0} does not name an HTTP proxy, such as http://proxy.example:3128")]
pub(crate) struct ProxyError(String);

impl Proxy {
    /// The proxy for the server at `url`, if there is to be one.
    ///
    /// # Errors
    /// [`ProxyError`] names the variable.
    pub(crate) fn of_environment(url: &Url) -> Result<Option<Proxy>, ProxyError> {
        Self::of(url, |name| std::env::var(name).ok())
    }

    fn of(
        url: &Url,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Proxy>, ProxyError> {
        let either = |name: &str| {
            let found = variable(&name.to_ascii_lowercase()).or_else(|| variable(name));
            found.filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value))
        };
        let own = if url.scheme() == "https" { "HTTPS_PROXY" } else { "HTTP_PROXY" };
        let Some((name, value)) = either(own).or_else(|| either("ALL_PROXY")) else {
            return Ok(None);
        };
        let exceptions = either("NO_PROXY").map(|(_, value)| value).unwrap_or_default();
        if is_local(url) || exceptions.split(',').any(|one| excepts(one.trim(), url)) {
            return Ok(None);
        }
        let text = if value.contains("://") { value } else { format!("http://{value}") };
        let parsed = Url::parse(&text).ok().filter(|url| url.scheme() == "http" && url.has_host());
        parsed.map(|url| Some(Proxy { url })).ok_or(ProxyError(name))
    }

    /// Where it is.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Asks it for a tunnel to the server over this stream.
    pub(super) async fn ask(&self, stream: &mut BoxStream, server: &Url) -> io::Result<()> {
        let host = server.host_str().unwrap_or_default();
        let port = server.port_or_known_default().unwrap_or_default();
        let mut authorization = None;
        if !self.url.username().is_empty() || self.url.password().is_some() {
            let decoded = |text: &str| {
                url::form_urlencoded::parse(format!("a={}", text.replace('+', "%2B")).as_bytes())
                    .next()
                    .map(|(_, value)| value.into_owned())
                    .unwrap_or_default()
            };
            let (user, password) = (self.url.username(), self.url.password().unwrap_or_default());
            let pair = format!("{}:{}", decoded(user), decoded(password));
            let pair = data_encoding::BASE64.encode(pair.as_bytes());
            authorization = Some(format!("Basic {pair}"));
        }
        let place = format!("{host}:{port}");
        let (status, line) = tunnel::ask(stream, &place, authorization.as_deref()).await?;
        match status {
            200..=299 => Ok(()),
            _ => Err(io::Error::other(format!("it answers {line:?}"))),
        }
    }
}

/// Without the password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url[Position::BeforeHost..Position::AfterPort])
    }
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// `*`, a name with those below it, an address, a network, each with a port or without.
fn excepts(entry: &str, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if let (Ok(network), Ok(address)) = (entry.parse::<IpNet>(), host.parse::<IpAddr>()) {
        return network.contains(&address);
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            (name, port.parse::<u16>().ok())
        }
        _ => (entry, None),
    };
    if port.is_some() && port != url.port_or_known_default() {
        return false;
    }
    let name = name.trim_matches(['[', ']']).trim_start_matches("*.").trim_start_matches('.');
    let name = name.to_ascii_lowercase();
    let below = || host.strip_suffix(&*name).is_some_and(|rest| rest.ends_with('.'));
    name == "*" || (!name.is_empty() && (host == name || below()))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn proxy(url: &str, environment: &[(&str, &str)]) -> Result<Option<String>, ProxyError> {
        let variable = |name: &str| {
            environment.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned())
        };
        let found = Proxy::of(&Url::parse(url).unwrap(), variable)?;
        Ok(found.map(|proxy| proxy.to_string()))
    }

    #[test]
    fn the_scheme_decides_and_exceptions_hold() {
        let both = [("HTTPS_PROXY", "http://s.example:1"), ("http_proxy", "p.example:2")];
        let all = [("ALL_PROXY", "http://a.example:3"), ("HTTPS_PROXY", "")];
        for (url, environment, expected) in [
            ("https://hooks.example", &both[..], Some("s.example:1")),
            ("http://hooks.example", &both, Some("p.example:2")),
            ("https://hooks.example", &all, Some("a.example:3")),
            ("https://hooks.example", &[], None),
            ("http://127.0.0.1:8071", &both, None),
            ("http://localhost:8071", &both, None),
            ("http://[::1]:8071", &both, None),
        ] {
            assert_eq!(proxy(url, environment), Ok(expected.map(str::to_owned)), "{url}");
        }
        for (entry, excepted) in [
            ("*", true),
            ("example.com", true),
            (".example.com", true),
            ("a.example.com:443", true),
            ("a.example.com:80", false),
            ("ample.com", false),
            ("other.com, EXAMPLE.com", true),
            ("", false),
        ] {
            let environment = [("ALL_PROXY", "http://a.example"), ("NO_PROXY", entry)];
            let found = proxy("https://a.example.com", &environment).unwrap();
            assert_eq!(found.is_none(), excepted, "{entry}");
        }
        let environment = [("ALL_PROXY", "http://a.example"), ("NO_PROXY", "10.0.0.0/8")];
        assert_eq!(proxy("https://10.1.2.3", &environment), Ok(None));
        let socks = [("ALL_PROXY", "socks5://a.example")];
        assert_eq!(proxy("https://x.example", &socks), Err(ProxyError("ALL_PROXY".to_owned())));
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for_and_may_be_refused() {
        async fn ask(answer: &str) -> (io::Result<()>, String) {
            let (ours, mut theirs) = tokio::io::duplex(1024);
            let proxy = Proxy { url: Url::parse("http://ada:a%40b@p.example:3128").unwrap() };
            let server = Url::parse("https://hooks.example").unwrap();
            let mut stream: BoxStream = Box::new(ours);
            let other = async {
                let mut head = vec![0; 1024];
                let read = theirs.read(&mut head).await.unwrap();
                theirs.write_all(answer.as_bytes()).await.unwrap();
                String::from_utf8_lossy(&head[..read]).into_owned()
            };
            tokio::join!(proxy.ask(&mut stream, &server), other)
        }
        let (outcome, head) = ask("HTTP/1.1 200 Connection established\r\n\r\nthe tunnel").await;
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(
            head,
            "CONNECT hooks.example:443 HTTP/1.1\r\nHost: hooks.example:443\r\n\
             Proxy-Authorization: Basic YWRhOmFAYg==\r\n\r\n"
        );
        let (outcome, _) = ask("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
        assert!(outcome.unwrap_err().to_string().contains("407"));
    }
}
