//! Where an endpoint's URL points: parsed once, with every spelling of a host brought to one.
//!
//! The parser is the WHATWG one, so `2130706433`, `0x7f.1`, `0177.1` and full-width digits all come
//! out as the address 127.0.0.1 and are judged as such by [`crate::address`]. Whether the address
//! may be dialled is not decided here: a name only has addresses when it is dialled.
//!
//! Invariant: [`Target::display`] and everything else but [`Target::credentials`] can be shown and
//! logged; user and password never stay in the URL.

use std::fmt;
use std::net::IpAddr;

use data_encoding::BASE64;
use url::{ParseError, Position, Url};
use zeroize::Zeroizing;

/// The longest URL accepted, in bytes, as given and as normalised.
pub const MAX_LEN: usize = 2048;

/// What a deployment asks of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Refuse `http`.
    pub require_https: bool,
}

/// Why a text is no target; the text may hold a password, so no variant repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// More than [`MAX_LEN`] bytes.
    #[error("the url is longer than {MAX_LEN} bytes")]
    TooLong,
    /// A line break, tab or other control character, which the parser would silently drop.
    #[error("the url contains a control character")]
    ControlCharacter,
    /// No scheme: a path or a bare host name.
    #[error("the url is not absolute, it has to begin with https://")]
    NotAbsolute,
    /// Plain `http` where [`Rules::require_https`] is set.
    #[error("the url has to use https")]
    NotHttps,
    /// Neither `http` nor `https`.
    #[error("the scheme of the url has to be http or https")]
    Scheme,
    /// No host.
    #[error("the url has no host")]
    NoHost,
    /// Neither an address nor a name that the domain name system could hold.
    #[error("the host of the url is neither a domain name nor an address")]
    Host,
    /// Not 1 to 65535.
    #[error("the port of the url is not between 1 and 65535")]
    Port,
    /// A fragment: it is never sent, so it can only be a mistake.
    #[error("the url has a fragment (#)")]
    Fragment,
    /// A user name with a colon, which Basic authentication cannot carry (RFC 7617).
    #[error("the user name in the url contains a colon")]
    Credentials,
    /// Anything else the parser stumbled over.
    #[error("the url is not well-formed")]
    Syntax,
}

/// How the connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// The other side: a name to resolve, or the address itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// Lower case ASCII (punycode), possibly with a dot at the end.
    Domain(String),
    /// A literal address, in whatever notation it was written.
    Ip(IpAddr),
}

/// A parsed endpoint URL: all that is needed to connect and to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether to use TLS.
    pub scheme: Scheme,
    /// Whom to connect to.
    pub host: Host,
    /// The port, that of the scheme if none was given.
    pub port: u16,
    /// The value of the `Host` header: with the port unless it is that of the scheme.
    pub host_header: String,
    /// The request target: begins with a slash, ASCII only.
    pub path_and_query: String,
    /// The normalised URL without user and password.
    pub display: String,
    /// User and password of the URL, to be sent as a header and stored encrypted.
    pub credentials: Option<Basic>,
}

impl Target {
    /// Reads an endpoint's URL.
    ///
    /// # Errors
    /// [`TargetError`]: the first thing that is wrong.
    pub fn parse(text: &str, rules: Rules) -> Result<Self, TargetError> {
        if text.len() > MAX_LEN {
            return Err(TargetError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(TargetError::ControlCharacter);
        }
        let mut url = Url::parse(text).map_err(cause)?;
        let scheme = scheme(&url, rules)?;
        if url.fragment().is_some() {
            return Err(TargetError::Fragment);
        }
        let credentials = take_credentials(&mut url)?;
        if url.as_str().len() > MAX_LEN {
            return Err(TargetError::TooLong);
        }
        let port = url.port_or_known_default().filter(|&port| port != 0);
        Ok(Self {
            scheme,
            host: host(&url)?,
            port: port.ok_or(TargetError::Port)?,
            host_header: url[Position::BeforeHost..Position::AfterPort].to_owned(),
            path_and_query: url[Position::BeforePath..Position::AfterQuery].to_owned(),
            display: url.into(),
            credentials,
        })
    }
}

/// A user and a password as the `Basic` scheme carries them (RFC 7617).
#[derive(Clone, PartialEq, Eq)]
pub struct Basic {
    /// `user:password`.
    pair: Zeroizing<Vec<u8>>,
}

impl Basic {
    /// The value of the `Authorization` header: `Basic <base64>`.
    pub fn header_value(&self) -> Zeroizing<String> {
        const SCHEME: &str = "Basic ";
        let capacity = SCHEME.len() + BASE64.encode_len(self.pair.len());
        let mut value = Zeroizing::new(String::with_capacity(capacity));
        value.push_str(SCHEME);
        BASE64.encode_append(&self.pair, &mut value);
        value
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Basic(redacted)")
    }
}

fn cause(error: ParseError) -> TargetError {
    match error {
        ParseError::RelativeUrlWithoutBase => TargetError::NotAbsolute,
        ParseError::EmptyHost => TargetError::NoHost,
        ParseError::InvalidPort => TargetError::Port,
        ParseError::IdnaError
        | ParseError::InvalidIpv4Address
        | ParseError::InvalidIpv6Address
        | ParseError::InvalidDomainCharacter => TargetError::Host,
        _ => TargetError::Syntax,
    }
}

fn scheme(url: &Url, rules: Rules) -> Result<Scheme, TargetError> {
    match url.scheme() {
        "https" => Ok(Scheme::Https),
        "http" if rules.require_https => Err(TargetError::NotHttps),
        "http" => Ok(Scheme::Http),
        _ => Err(TargetError::Scheme),
    }
}

fn host(url: &Url) -> Result<Host, TargetError> {
    match url.host() {
        Some(url::Host::Domain(name)) if is_resolvable(name) => Ok(Host::Domain(name.to_owned())),
        Some(url::Host::Domain(_)) => Err(TargetError::Host),
        Some(url::Host::Ipv4(v4)) => Ok(Host::Ip(IpAddr::V4(v4))),
        Some(url::Host::Ipv6(v6)) => Ok(Host::Ip(IpAddr::V6(v6))),
        None => Err(TargetError::NoHost),
    }
}

/// The lengths of RFC 1035, section 2.3.4, which the URL standard leaves unchecked.
fn is_resolvable(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()))
}

/// Moves user and password out of the URL.
fn take_credentials(url: &mut Url) -> Result<Option<Basic>, TargetError> {
    let user = percent_decode(url.username());
    let password = percent_decode(url.password().unwrap_or_default());
    url.set_username("").map_err(|()| TargetError::Syntax)?;
    url.set_password(None).map_err(|()| TargetError::Syntax)?;
    if user.contains(&b':') {
        return Err(TargetError::Credentials);
    }
    if user.is_empty() && password.is_empty() {
        return Ok(None);
    }
    let pair = [user.as_slice(), b":", password.as_slice()].concat();
    Ok(Some(Basic { pair: Zeroizing::new(pair) }))
}

/// As in the URL standard: what does not read as `%` and two digits stands for itself.
fn percent_decode(text: &str) -> Zeroizing<Vec<u8>> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.split_first_chunk::<2>().and_then(|(digits, after)| {
            let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
            let byte = u8::try_from(high? * 16 + low?).ok()?;
            (first == b'%').then_some((byte, after))
        });
        let (byte, after) = escaped.unwrap_or((first, after));
        decoded.push(byte);
        rest = after;
    }
    decoded
}

#[cfg(test)]
mod tests;
