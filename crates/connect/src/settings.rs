//! Reading settings: what is wrong with one names it, and never repeats it.

use std::collections::BTreeMap;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use ringback_domain::destination::Problem;
use ringback_tls::Trust;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// The setting of authorities, in PEM; the system's if it is not given.
const AUTHORITIES: &str = "sslRootCert";

/// What a destination was given, by name, with defaults.
#[derive(Clone, Copy)]
pub(crate) struct Settings<'a>(pub(crate) &'a BTreeMap<String, String>);

/// What is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

pub(crate) fn problem(place: &str, message: impl Into<String>) -> Problem {
    Problem { place: place.to_owned(), message: message.into() }
}

impl<'a> Settings<'a> {
    pub(crate) fn get(self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn need(self, name: &str) -> Result<&'a str, Problem> {
        self.get(name).ok_or_else(|| problem(name, "is missing"))
    }

    /// `true` or `false`.
    pub(crate) fn is(self, name: &str, otherwise: bool) -> Result<bool, Problem> {
        match self.get(name) {
            None => Ok(otherwise),
            Some(text) => text.parse().map_err(|_| problem(name, "has to be true or false")),
        }
    }

    pub(crate) fn number(self, name: &str) -> Result<Option<u64>, Problem> {
        let number = |text: &str| text.parse().map_err(|_| problem(name, "has to be a number"));
        self.get(name).map(number).transpose()
    }

    /// A URL with one of these schemes, each with the port that it has by default.
    pub(crate) fn url(self, name: &str, schemes: &[(&str, u16)]) -> Result<(Url, Place), Problem> {
        let text = self.need(name)?;
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        let known = schemes.iter().find(|(known, _)| Some(*known) == scheme);
        let Some((_, port)) = known else {
            let first = schemes.first().map_or("", |(scheme, _)| scheme);
            return Err(problem(name, format!("has to begin with {first}://")));
        };
        let url = Url::parse(text).map_err(|_| problem(name, "is no URL"))?;
        let named = url.host_str().filter(|host| !host.is_empty());
        let host = host(named.ok_or_else(|| problem(name, "names no host"))?)
            .ok_or_else(|| problem(name, "has to name one host"))?;
        let port = url.port().unwrap_or(*port);
        Ok((url, Place { host, port }))
    }

    /// A host in one setting, and its port in another.
    pub(crate) fn place(self, name: &str, port: &str) -> Result<Place, Problem> {
        let named = self.need(name)?;
        let named = if named.contains(':') { format!("[{named}]") } else { named.to_owned() };
        let host = host(&named).ok_or_else(|| problem(name, "has to name one host"))?;
        let number = self.number(port)?.ok_or_else(|| problem(port, "is missing"))?;
        let number = u16::try_from(number).ok().filter(|number| *number > 0);
        let port = number.ok_or_else(|| problem(port, "has to be a port"))?;
        Ok(Place { host, port })
    }

    /// What shakes hands with a server that has to prove its name.
    pub(crate) fn tls(self) -> Result<TlsConnector, Problem> {
        let roots = self.authorities()?.unwrap_or_else(ringback_tls::system);
        self.trusting(Trust::Name(roots))
    }

    pub(crate) fn trusting(self, trust: Trust) -> Result<TlsConnector, Problem> {
        let config = ringback_tls::client(trust);
        let config = config.map_err(|error| problem(AUTHORITIES, error.to_string()))?;
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// Those that were given.
    pub(crate) fn authorities(self) -> Result<Option<rustls::RootCertStore>, Problem> {
        let read = |pem: &str| ringback_tls::authorities(pem.as_bytes());
        let read = self.get(AUTHORITIES).map(read).transpose();
        read.map_err(|error| problem(AUTHORITIES, error.to_string()))
    }
}

/// One host, as it is dialled.
fn host(named: &str) -> Option<String> {
    // A comma would be part of a name; to some it separates several.
    match Host::parse(named).ok()? {
        Host::Domain(name) if name.contains(',') => None,
        Host::Domain(name) => Some(name),
        Host::Ipv4(address) => Some(address.to_string()),
        Host::Ipv6(address) => Some(address.to_string()),
    }
}

/// A part of a URL, as it was meant.
pub(crate) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
