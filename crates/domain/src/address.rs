//! The address guard's judgement: may a connection to this address be opened?
//!
//! Whoever registers an endpoint chooses where this process connects to, so without a guard every
//! service that trusts the network it runs in would be theirs to call. The judgement is about the
//! one address that is about to be dialled; it must be asked in the connector, for literal
//! addresses too, at every attempt.
//!
//! # How IPv4 addresses inside IPv6 addresses are judged
//!
//! *Forms that reach the IPv4 address*: the mapped form (`::ffff:a.b.c.d`, which the kernel dials
//! as IPv4) and NAT64 (`64:ff9b::/96` and the configured prefixes of RFC 6052, which a translator
//! turns into IPv4). Each is judged **as that IPv4 address**: same verdict, same refusal, and
//! entries that allow the IPv4 address count for it. Entries about IPv6 cannot widen the verdict; a
//! denied IPv6 network can narrow that of a NAT64 form.
//!
//! *Tunnels and leftovers*: 6to4, Teredo, ISATAP, IPv4-compatible and IPv4-translated (SIIT). Where
//! they lead depends on a router nobody here knows, so they are refused. Should the configuration
//! allow the IPv6 network around one, each IPv4 address inside must pass on its own as well: the
//! verdict is **never more permissive than that of the IPv4 address**.
//!
//! # Precedence
//!
//! A denied network wins over an allowed one, an allowed one over the built-in ranges. One
//! exception: addresses of cloud metadata services hand out credentials, so only an entry for
//! exactly that address (`/32`, `/128`) allows one; whoever opens `10.0.0.0/8`, `100.64.0.0/10` or
//! `fd00::/8` did not mean them.
//!
//! Invariant: without configuration, an IPv6 address passes only if it is in `2000::/3` outside the
//! ranges named here, or if it reaches an IPv4 address that passes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Why an address is refused, for operators and their logs.
///
/// Tenants must not read this: what it says about the network is what a prober wants to know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// In a network that the configuration denies.
    #[error("{address} is in {net}, which the configuration denies")]
    Denied {
        /// The address judged: the IPv4 address inside, if the form reaches one.
        address: IpAddr,
        /// The entry it matches.
        net: IpNet,
    },
    /// A cloud metadata service.
    #[error("{address} is the metadata service of {provider}")]
    Metadata {
        /// The address judged.
        address: IpAddr,
        /// Whose clouds answer there.
        provider: &'static str,
    },
    /// In a range that is not the public internet.
    #[error("{address} is in {net} ({name})")]
    Special {
        /// The address judged.
        address: IpAddr,
        /// The range.
        net: IpNet,
        /// What the range is for.
        name: &'static str,
    },
    /// An IPv6 address in no range that is handed out.
    #[error("{address} is not in 2000::/3, the global unicast addresses")]
    NotGlobal {
        /// The address judged.
        address: Ipv6Addr,
    },
    /// A form that hides an IPv4 address and leads who knows where.
    #[error("{address} hides {embedded} ({form})")]
    Tunnel {
        /// The address judged.
        address: Ipv6Addr,
        /// The IPv4 address inside.
        embedded: Ipv4Addr,
        /// How it is hidden.
        form: &'static str,
    },
    /// In a NAT64 prefix, but with bits set that RFC 6052 wants to be zero.
    #[error("{address} is no well-formed address of the NAT64 prefix {prefix}")]
    MalformedNat64 {
        /// The address judged.
        address: Ipv6Addr,
        /// The prefix it is in.
        prefix: Ipv6Net,
    },
}

/// The policy cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// RFC 6052, section 2.2, knows six lengths.
    #[error("the NAT64 prefix {prefix} must have length 32, 40, 48, 56, 64 or 96")]
    Nat64Length {
        /// The prefix.
        prefix: Ipv6Net,
    },
    /// An address could be read in two ways, and only one of them would be judged.
    #[error("the NAT64 prefixes {first} and {second} overlap")]
    Nat64Overlap {
        /// One of the two.
        first: Ipv6Net,
        /// The other, perhaps the well-known one.
        second: Ipv6Net,
    },
}

/// What a deployment adds to the built-in ranges; the default adds nothing.
///
/// It belongs to the instance, never to a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    /// The well-known prefix and the configured ones; no two overlap.
    nat64: Vec<Ipv6Net>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { allow: Vec::new(), deny: Vec::new(), nat64: vec![NAT64] }
    }
}

impl Policy {
    /// `allow` are private networks that may be dialled, `deny` networks that never may, `nat64`
    /// the prefixes behind which this network's translators put IPv4, besides `64:ff9b::/96`.
    ///
    /// # Errors
    /// [`PolicyError`] for a NAT64 prefix of a length that does not exist, and for two that overlap.
    pub fn new(
        allow: impl IntoIterator<Item = IpNet>,
        deny: impl IntoIterator<Item = IpNet>,
        nat64: impl IntoIterator<Item = Ipv6Net>,
    ) -> Result<Self, PolicyError> {
        let mut policy = Self::default();
        policy.allow.extend(allow.into_iter().map(unmap));
        policy.deny.extend(deny.into_iter().map(unmap));
        for prefix in nat64 {
            policy.add_nat64(prefix.trunc())?;
        }
        Ok(policy)
    }

    fn add_nat64(&mut self, prefix: Ipv6Net) -> Result<(), PolicyError> {
        if !matches!(prefix.prefix_len(), 32 | 40 | 48 | 56 | 64 | 96) {
            return Err(PolicyError::Nat64Length { prefix });
        }
        if self.nat64.contains(&prefix) {
            return Ok(());
        }
        let overlaps = |other: &&Ipv6Net| other.contains(&prefix) || prefix.contains(*other);
        if let Some(&first) = self.nat64.iter().find(overlaps) {
            return Err(PolicyError::Nat64Overlap { first, second: prefix });
        }
        self.nat64.push(prefix);
        Ok(())
    }

    fn denies(&self, address: IpAddr) -> Result<(), Refusal> {
        match self.deny.iter().find(|net| net.contains(&address)) {
            Some(&net) => Err(Refusal::Denied { address, net }),
            None => Ok(()),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        let only_exactly = metadata(address).is_some();
        let counts = |net: &&IpNet| !only_exactly || net.prefix_len() == net.max_prefix_len();
        self.allow.iter().filter(counts).any(|net| net.contains(&address))
    }
}

/// Whether a connection to `address` may be opened; see the module for the rules.
///
/// # Errors
/// [`Refusal`] with the range that is the reason.
pub fn judge(address: IpAddr, policy: &Policy) -> Result<(), Refusal> {
    match address {
        IpAddr::V4(v4) => judge_v4(v4, policy),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => judge_v4(v4, policy),
            None => judge_v6(v6, policy),
        },
    }
}

fn judge_v4(v4: Ipv4Addr, policy: &Policy) -> Result<(), Refusal> {
    let address = IpAddr::V4(v4);
    policy.denies(address)?;
    if policy.allows(address) {
        return Ok(());
    }
    refuse_metadata(address)?;
    match SPECIAL_V4.iter().find(|(net, _)| net.contains(&v4)) {
        Some(&(net, name)) => Err(Refusal::Special { address, net: IpNet::V4(net), name }),
        None => Ok(()),
    }
}

fn judge_v6(v6: Ipv6Addr, policy: &Policy) -> Result<(), Refusal> {
    let address = IpAddr::V6(v6);
    policy.denies(address)?;
    if let Some(&prefix) = policy.nat64.iter().find(|prefix| prefix.contains(&v6)) {
        let v4 = nat64_embedded(v6, prefix);
        return judge_v4(v4.ok_or(Refusal::MalformedNat64 { address: v6, prefix })?, policy);
    }
    let allowed = policy.allows(address);
    for (form, embedded) in tunnels(v6) {
        if !allowed {
            return Err(Refusal::Tunnel { address: v6, embedded, form });
        }
        judge_v4(embedded, policy)?;
    }
    if allowed {
        return Ok(());
    }
    refuse_metadata(address)?;
    match SPECIAL_V6.iter().find(|(net, _)| net.contains(&v6)) {
        Some(&(net, name)) => Err(Refusal::Special { address, net: IpNet::V6(net), name }),
        None if GLOBAL.contains(&v6) => Ok(()),
        None => Err(Refusal::NotGlobal { address: v6 }),
    }
}

fn refuse_metadata(address: IpAddr) -> Result<(), Refusal> {
    match metadata(address) {
        Some(provider) => Err(Refusal::Metadata { address, provider }),
        None => Ok(()),
    }
}

fn metadata(address: IpAddr) -> Option<&'static str> {
    METADATA.iter().find(|(service, _)| *service == address).map(|&(_, provider)| provider)
}

/// The IPv4 addresses that tunnelling forms hide in `v6`; one address can be several forms.
fn tunnels(v6: Ipv6Addr) -> impl Iterator<Item = (&'static str, Ipv4Addr)> {
    let bytes = v6.octets();
    let v4_at = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
    let form = |is: bool, name, v4| is.then_some((name, v4));

    let segments = v6.segments();
    // `::` and `::1` are not of the compatible form (RFC 4291, section 2.5.5.1).
    let compatible = segments[..6] == [0; 6] && v6 > Ipv6Addr::LOCALHOST;
    let translated = segments[..6] == [0, 0, 0, 0, 0xffff, 0];
    let six_to_four = segments[0] == 0x2002;
    let teredo = segments[..2] == [0x2001, 0];
    let isatap = matches!(segments[4..6], [0 | 0x0200, 0x5efe]);
    let inverted = Ipv4Addr::from_bits(!v4_at(12).to_bits());
    [
        form(compatible, "IPv4-compatible", v4_at(12)),
        form(translated, "IPv4-translated", v4_at(12)),
        form(six_to_four, "6to4", v4_at(2)),
        form(teredo, "Teredo client", inverted),
        form(teredo, "Teredo server", v4_at(4)),
        form(isatap, "ISATAP", v4_at(12)),
    ]
    .into_iter()
    .flatten()
}

/// The IPv4 address in an address of a NAT64 prefix (RFC 6052, section 2.2).
///
/// It follows the prefix, but skips the octet of bits 64 to 71; that octet and what comes after
/// are zero in every address a DNS64 makes. Otherwise there is no answer: what a translator does
/// with other bits is not written anywhere.
fn nat64_embedded(v6: Ipv6Addr, prefix: Ipv6Net) -> Option<Ipv4Addr> {
    const SKIPPED: usize = 8;
    let start = usize::from(prefix.prefix_len()) / 8;
    let bytes = v6.octets();
    let skipped_is_zero = start > SKIPPED || bytes[SKIPPED] == 0;
    let mut rest = (start..16).filter(|&at| at != SKIPPED).map(|at| bytes[at]);
    let v4 = Ipv4Addr::new(rest.next()?, rest.next()?, rest.next()?, rest.next()?);
    (skipped_is_zero && rest.all(|byte| byte == 0)).then_some(v4)
}

/// An entry written in mapped form is one about IPv4.
fn unmap(net: IpNet) -> IpNet {
    let mapped = match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => v6.addr().to_ipv4_mapped(),
        IpNet::V4(_) | IpNet::V6(_) => None,
    };
    let v4 = mapped.and_then(|v4| Ipv4Net::new(v4, net.prefix_len() - 96).ok());
    v4.map_or(net, IpNet::V4).trunc()
}

const fn v4(a: u8, b: u8, c: u8, d: u8, len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), len)
}

const fn v6(head: [u16; 4], len: u8) -> Ipv6Net {
    let [a, b, c, d] = head;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), len)
}

/// The well-known prefix of RFC 6052.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0], 96);

/// The only part of IPv6 handed out to networks so far.
const GLOBAL: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// Where clouds tell a machine who it is, and give it credentials.
const METADATA: [(IpAddr, &str); 9] = [
    (IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), "most clouds"),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)), "Amazon ECS"),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)), "Amazon EKS"),
    (IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), "Alibaba Cloud"),
    (IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)), "Oracle Cloud"),
    // A public address in no special range, yet served by the host itself.
    (IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)), "Azure"),
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), "Amazon EC2"),
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)), "Amazon EKS"),
    (IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)), "Google Cloud"),
];

/// The IANA special-purpose registry of IPv4, without what is reachable from everywhere.
const SPECIAL_V4: [(Ipv4Net, &str); 16] = [
    (v4(0, 0, 0, 0, 8), "this network"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared by carriers"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "protocol assignments"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "6to4 relays"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmarks"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

/// The same for IPv6, 6to4 (`2002::/16`) being a tunnel. What is outside of `2000::/3` is refused
/// anyway and is here for the name in the refusal.
const SPECIAL_V6: [(Ipv6Net, &str); 14] = [
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), "unspecified"),
    (v6([0x64, 0xff9b, 1, 0], 48), "local-use NAT64, needs its prefix configured"),
    (v6([0, 0, 0, 0], 8), "reserved"),
    (v6([0x100, 0, 0, 0], 64), "discard"),
    (v6([0x100, 0, 0, 1], 64), "dummy"),
    (v6([0x2001, 0, 0, 0], 23), "protocol assignments"),
    (v6([0x2001, 0xdb8, 0, 0], 32), "documentation"),
    (v6([0x3fff, 0, 0, 0], 20), "documentation"),
    (v6([0x5f00, 0, 0, 0], 16), "segment routing"),
    (v6([0xfc00, 0, 0, 0], 7), "unique local"),
    (v6([0xfe80, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0, 0], 8), "multicast"),
];

#[cfg(test)]
mod tests;
