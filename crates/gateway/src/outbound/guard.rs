//! Who may be dialled.
//!
//! The ranges are the domain's ([`ringback_domain::address`]); here they meet host names, ports
//! and the process's own listeners. A name is judged by all of its addresses, and whatever address
//! is about to be dialled is judged once more by itself, whether it came from a name or was
//! written into the URL: an HTTP client that checks in its resolver alone never sees the latter.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use ringback_domain::address::{self, Policy};

/// Judges addresses before they are dialled.
#[derive(Debug, Clone)]
pub struct Guard {
    policy: Policy,
    ports: Ports,
    own: Vec<SocketAddr>,
}

/// The ports that may be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(Vec<RangeInclusive<u16>>);

/// Why an address may not be dialled. For the operator's eyes: a tenant learns only that it was
/// refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The address is in a forbidden range.
    #[error("{address} may not be dialled: {refusal}")]
    Address {
        /// The address judged.
        address: IpAddr,
        /// Which rule it broke.
        refusal: address::Refusal,
    },
    /// The port is not among those allowed.
    #[error("port {0} may not be dialled")]
    Port(u16),
    /// It is this process itself.
    #[error("{0} is this server itself")]
    Own(SocketAddr),
}

impl Guard {
    /// A guard with these rules, for a process that listens on `own`.
    pub fn new(policy: Policy, ports: Ports, own: Vec<SocketAddr>) -> Self {
        Self { policy, ports, own }
    }

    /// A guard that lets every address pass, for what the operator names and no tenant can.
    pub fn open() -> Self {
        let all = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        let policy = Policy::new(all, [], []).unwrap_or_default();
        Self::new(policy, Ports(vec![1..=u16::MAX]), Vec::new())
    }

    /// Judges everything that a name resolved to: one forbidden address refuses them all, since
    /// whoever mixes a forbidden address in is trying something.
    pub fn vet(&self, addresses: &[IpAddr], port: u16) -> Result<(), Refused> {
        addresses.iter().try_for_each(|address| self.check(SocketAddr::new(*address, port)))
    }

    /// Judges the very address that is about to be dialled.
    pub fn check(&self, address: SocketAddr) -> Result<(), Refused> {
        if !self.ports.contain(address.port()) {
            return Err(Refused::Port(address.port()));
        }
        address::judge(address.ip(), &self.policy)
            .map_err(|refusal| Refused::Address { address: address.ip(), refusal })?;
        if self.is_own(address) && is_public(address.ip()) {
            return Err(Refused::Own(address));
        }
        Ok(())
    }

    fn is_own(&self, address: SocketAddr) -> bool {
        let canonical = |address: &SocketAddr| (address.ip().to_canonical(), address.port());
        self.own.iter().any(|own| canonical(own) == canonical(&address))
    }
}

/// Our own private address has passed only because the operator allowed it; our public one passes
/// everywhere, and nobody has said yet that messages may be sent in a circle.
fn is_public(ip: IpAddr) -> bool {
    address::judge(ip, &Policy::default()).is_ok()
}

impl Ports {
    /// Exactly these.
    pub fn new(ranges: Vec<RangeInclusive<u16>>) -> Self {
        Self(ranges)
    }

    fn contain(&self, port: u16) -> bool {
        self.0.iter().any(|range| range.contains(&port))
    }
}

impl Default for Ports {
    /// HTTP, HTTPS and everything above the ports that only a system's own services use: mail,
    /// name and login servers are not for webhooks to talk to.
    fn default() -> Self {
        Self(vec![80..=80, 443..=443, 1024..=u16::MAX])
    }
}
