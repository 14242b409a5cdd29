//! The types a setting can have: how each is read and shown, and the bounds they share.

use std::fmt::{Display, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use ringback_domain::callback::redirect::Target;

use super::secret::{Secret, SecretKey, SecretKeys, UrlKeys};
use super::sections::LogFormat;
use super::setting::{Raw, Shown, Value};
use crate::payloads::Place;

/// The ports a target may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(Vec<RangeInclusive<u16>>);

impl Ports {
    /// As given; never empty, and no range is.
    #[must_use]
    pub fn ranges(&self) -> &[RangeInclusive<u16>] {
        &self.0
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self(vec![80..=80, 443..=443, 1024..=65_535])
    }
}

/// A host, and a port of it or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an address, in lower case; an IPv6 address without brackets.
    pub host: String,
    /// Any if there is none.
    pub port: Option<u16>,
}

pub(super) fn this_machine() -> Vec<HostPort> {
    ["localhost", "127.0.0.1", "::1"]
        .map(|host| HostPort { host: host.to_owned(), port: None })
        .into()
}

pub(super) fn loopback() -> Vec<IpNet> {
    let v4 = Ipv4Net::new_assert(std::net::Ipv4Addr::new(127, 0, 0, 0), 8);
    let v6 = Ipv6Net::new_assert(std::net::Ipv6Addr::LOCALHOST, 128);
    vec![v4.into(), v6.into()]
}

pub(super) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Marks a number as bytes where it is declared.
pub(super) const fn bytes(bytes: usize) -> usize {
    bytes
}

// --- bounds ---------------------------------------------------------------------------------

/// A type whose bounds can be named in a message.
pub(super) trait Bounded: PartialOrd + Copy {
    fn name(self) -> String;
}

macro_rules! bounded_numbers {
    ($($type:ty),+) => {
        $(impl Bounded for $type {
            fn name(self) -> String {
                self.to_string()
            }
        })+
    };
}
bounded_numbers!(usize, u32, f64);

impl Bounded for Duration {
    fn name(self) -> String {
        format!("{} s", self.as_secs_f64())
    }
}

fn in_bounds<T: Bounded>(value: T, low: T, high: T) -> Result<(), String> {
    if value >= low && value <= high {
        return Ok(());
    }
    Err(format!("must be {} to {}, found {}", low.name(), high.name(), value.name()))
}

pub(super) fn between<T: Bounded>(low: T, high: T) -> impl Fn(&T) -> Result<(), String> {
    move |value| in_bounds(*value, low, high)
}

pub(super) fn at_least(low: usize) -> impl Fn(&usize) -> Result<(), String> {
    move |value| in_bounds(*value, low, usize::MAX)
}

/// Bounds of a setting that may be unset.
pub(super) fn within<T: Bounded>(low: T, high: T) -> impl Fn(&Option<T>) -> Result<(), String> {
    move |value| value.map_or(Ok(()), |value| in_bounds(value, low, high))
}

/// Bounds of a list's length and of each of its items.
pub(super) fn list_of<T>(
    most: usize,
    item: impl Fn(&T) -> Result<(), String>,
) -> impl Fn(&Vec<T>) -> Result<(), String> {
    move |list| {
        if list.len() > most {
            return Err(format!("must have at most {most} items, found {}", list.len()));
        }
        list.iter().try_for_each(&item)
    }
}

/// The prefix lengths under which RFC 6052 section 2.2 embeds an IPv4 address.
pub(super) fn nat64_length(prefix: &Ipv6Net) -> Result<(), String> {
    if [32, 40, 48, 56, 64, 96].contains(&prefix.prefix_len()) {
        return Ok(());
    }
    Err(format!("must have a length of 32, 40, 48, 56, 64 or 96, found {prefix}"))
}

// --- types ----------------------------------------------------------------------------------

/// The single text of a scalar setting.
fn text(raw: &Raw) -> Result<&str, String> {
    match raw {
        Raw::Text(text) if text.trim().is_empty() => Err("is empty".to_owned()),
        Raw::Text(text) => Ok(text.trim()),
        Raw::List(_) => Err("must be a single value, found a list".to_owned()),
    }
}

fn parse<T: std::str::FromStr>(raw: &Raw, expected: &str) -> Result<T, String> {
    let text = text(raw)?;
    text.parse().map_err(|_| format!("must be {expected}, found {text:?}"))
}

/// A TOML basic string.
fn quoted(text: impl Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

macro_rules! values {
    ($($type:ty: $expected:literal, $show:expr;)+) => {
        $(impl Value for $type {
            fn read(raw: &Raw) -> Result<Self, String> {
                parse(raw, $expected)
            }

            fn show(&self) -> Shown {
                let show: fn(&Self) -> String = $show;
                Shown::Toml(show(self))
            }
        })+
    };
}

values! {
    bool: "true or false", bool::to_string;
    u32: "a whole number", u32::to_string;
    usize: "a whole number", usize::to_string;
    f64: "a number", |number| format!("{number:?}");
    PathBuf: "a path", |path| quoted(path.display());
    String: "text", |text| quoted(text);
    IpNet: "a network such as 10.1.0.0/16", |net| quoted(net);
    Ipv6Net: "an IPv6 network such as 64:ff9b::/96", |net| quoted(net);
}

impl Value for SocketAddr {
    fn read(raw: &Raw) -> Result<Self, String> {
        parse(raw, "ADDRESS:PORT with a numeric address, such as 127.0.0.1:8071")
    }

    fn show(&self) -> Shown {
        Shown::Toml(quoted(self))
    }
}

impl Value for Duration {
    fn read(raw: &Raw) -> Result<Self, String> {
        let seconds: f64 = parse(raw, "a number of seconds")?;
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| format!("must be a number of seconds from 0 on, found {seconds}"))
    }

    fn show(&self) -> Shown {
        Shown::Toml(seconds(*self))
    }
}

fn seconds(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        return duration.as_secs().to_string();
    }
    format!("{:?}", duration.as_secs_f64())
}

impl Value for LogFormat {
    fn read(raw: &Raw) -> Result<Self, String> {
        match text(raw)? {
            "auto" => Ok(Self::Auto),
            "json" => Ok(Self::Json),
            "pretty" => Ok(Self::Pretty),
            other => Err(format!("must be auto, json or pretty, found {other:?}")),
        }
    }

    fn show(&self) -> Shown {
        Shown::Toml(quoted(match self {
            Self::Auto => "auto",
            Self::Json => "json",
            Self::Pretty => "pretty",
        }))
    }
}

impl Value for Secret {
    fn read(raw: &Raw) -> Result<Self, String> {
        text(raw).map(Self::new)
    }

    fn show(&self) -> Shown {
        Shown::Secret
    }
}

impl Value for SecretKey {
    fn read(raw: &Raw) -> Result<Self, String> {
        let expected = "must be 32 bytes as base64 or 64 hexadecimal digits";
        Self::parse(text(raw)?).ok_or_else(|| expected.to_owned())
    }

    fn show(&self) -> Shown {
        Shown::Secret
    }
}

impl Value for SecretKeys {
    fn read(raw: &Raw) -> Result<Self, String> {
        Self::read(items(raw).iter().map(String::as_str))
    }

    fn show(&self) -> Shown {
        if self.is_empty() { Shown::Unset } else { Shown::Secret }
    }
}

impl Value for UrlKeys {
    fn read(raw: &Raw) -> Result<Self, String> {
        Self::read(items(raw).iter().map(String::as_str))
    }

    fn show(&self) -> Shown {
        if self.is_empty() { Shown::Unset } else { Shown::Secret }
    }
}

impl Value for Ports {
    fn read(raw: &Raw) -> Result<Self, String> {
        let ports =
            items(raw).iter().map(|item| port_range(item)).collect::<Result<Vec<_>, _>>()?;
        if ports.is_empty() {
            return Err("must name at least one port".to_owned());
        }
        Ok(Self(ports))
    }

    fn show(&self) -> Shown {
        let ranges = self.0.iter().map(|range| {
            if range.start() == range.end() {
                return range.start().to_string();
            }
            quoted(format_args!("{}-{}", range.start(), range.end()))
        });
        Shown::Toml(array(ranges))
    }
}

fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    match (low.trim().parse(), high.trim().parse()) {
        (Ok(low), Ok(high)) if 0 < low && low <= high => Ok(low..=high),
        _ => Err(format!("must be ports such as 443 or 1024-65535, found {text:?}")),
    }
}

/// Unset in the environment is the empty text.
impl<T: Value> Value for Option<T> {
    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) if text.trim().is_empty() => Ok(None),
            raw => T::read(raw).map(Some),
        }
    }

    fn show(&self) -> Shown {
        self.as_ref().map_or(Shown::Unset, T::show)
    }
}

/// A type that can stand in a list.
trait Item: Sized {
    fn read_item(text: &str) -> Result<Self, String>;
    fn show_item(&self) -> String;
}

impl<T: Item> Value for Vec<T> {
    fn read(raw: &Raw) -> Result<Self, String> {
        items(raw).iter().map(|item| T::read_item(item)).collect()
    }

    fn show(&self) -> Shown {
        Shown::Toml(array(self.iter().map(T::show_item)))
    }
}

impl Item for Duration {
    fn read_item(text: &str) -> Result<Self, String> {
        Self::read(&Raw::Text(text.to_owned()))
    }

    fn show_item(&self) -> String {
        seconds(*self)
    }
}

impl Item for HostPort {
    fn read_item(text: &str) -> Result<Self, String> {
        let wrong = || format!("must be HOST:PORT such as db.example.com:5432, found {text:?}");
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = bare.is_some() || (!host.is_empty() && !host.contains([':', '/', '@', ' ']));
        let port = match port {
            "*" => None,
            number => Some(number.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?),
        };
        if !is_host {
            return Err(wrong());
        }
        Ok(Self { host: bare.unwrap_or(host).to_ascii_lowercase(), port })
    }

    fn show_item(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match self.port {
            Some(port) => quoted(format_args!("{host}:{port}")),
            None => quoted(format_args!("{host}:*")),
        }
    }
}

impl Item for String {
    fn read_item(text: &str) -> Result<Self, String> {
        Self::read(&Raw::Text(text.to_owned()))
    }

    fn show_item(&self) -> String {
        quoted(self)
    }
}

impl Item for Ipv6Net {
    fn read_item(text: &str) -> Result<Self, String> {
        Self::read(&Raw::Text(text.to_owned()))
    }

    fn show_item(&self) -> String {
        quoted(self)
    }
}

impl Item for IpNet {
    /// A lone address is the network of just that address.
    fn read_item(text: &str) -> Result<Self, String> {
        match text.trim().parse::<IpAddr>() {
            Ok(address) => Ok(address.into()),
            Err(_) => <Self as Value>::read(&Raw::Text(text.to_owned())),
        }
    }

    fn show_item(&self) -> String {
        quoted(self)
    }
}

impl Item for SocketAddr {
    /// A lone address is a name server on port 53.
    fn read_item(text: &str) -> Result<Self, String> {
        match text.trim().parse::<IpAddr>() {
            Ok(address) => Ok(SocketAddr::new(address, 53)),
            Err(_) => <Self as Value>::read(&Raw::Text(text.to_owned())),
        }
    }

    fn show_item(&self) -> String {
        quoted(self)
    }
}

/// Whether a text is an origin as browsers send it.
pub(super) fn origin_shape(text: &String) -> Result<(), String> {
    let origin = url::Url::parse(text).map(|url| url.origin().ascii_serialization());
    if origin.is_ok_and(|origin| origin == *text && text.starts_with("http")) {
        return Ok(());
    }
    Err(format!("must be an origin such as https://shop.example.com, found {text:?}"))
}

/// Whether browsers can be sent there.
pub(super) fn redirect_target_shape(text: &String) -> Result<(), String> {
    match Target::parse(text) {
        Ok(_) => Ok(()),
        Err(wrong) => Err(format!("has {text:?}, which {wrong}")),
    }
}

/// Whether a text is the beginning of URLs: scheme and host, perhaps a path.
pub(super) fn public_url_shape(url: &Option<String>) -> Result<(), String> {
    let Some(text) = url else { return Ok(()) };
    let fine = url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
    });
    if fine && !text.ends_with('/') {
        return Ok(());
    }
    Err("must be a URL such as https://hooks.example.com, without a slash at its end".to_owned())
}

/// Whether a text says where payloads can be kept.
pub(super) fn payload_store_shape(store: &Option<String>) -> Result<(), String> {
    store.as_deref().map_or(Ok(()), |text| Place::parse(text).map(drop))
}

/// The items of a list: those of an array, or what stands between commas.
fn items(raw: &Raw) -> Vec<String> {
    match raw {
        Raw::List(items) => items.clone(),
        Raw::Text(text) if text.trim().is_empty() => Vec::new(),
        Raw::Text(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
    }
}

fn array(items: impl Iterator<Item = String>) -> String {
    let mut array = String::from("[");
    for (index, item) in items.enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(array, "{separator}{item}");
    }
    array.push(']');
    array
}
