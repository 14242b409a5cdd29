//! Every range and every disguise as data, then the laws that no list of examples can state.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::target::{Host, Rules, Target};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn policy(allow: &[&str], deny: &[&str], nat64: &[&str]) -> Policy {
    let nets =
        |texts: &[&str]| -> Vec<IpNet> { texts.iter().map(|t| t.parse().unwrap()).collect() };
    Policy::new(nets(allow), nets(deny), nat64.iter().map(|t| t.parse().unwrap())).unwrap()
}

fn passes(address: IpAddr, policy: &Policy) -> bool {
    judge(address, policy).is_ok()
}

/// A few addresses of every refused IPv4 range, its first and last among them.
const REFUSED_V4: [&str; 44] = [
    "0.0.0.0",
    "0.0.0.1",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.0",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.192",
    "192.0.0.255",
    "192.0.2.0",
    "192.0.2.255",
    "192.88.99.0",
    "192.88.99.255",
    "192.168.0.0",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.0",
    "198.51.100.255",
    "203.0.113.0",
    "203.0.113.255",
    "224.0.0.0",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.0",
    "240.0.0.1",
    "250.1.2.3",
    "255.255.255.0",
    "255.255.255.254",
    "255.255.255.255",
];

/// The neighbours of those ranges, some well-known hosts, and ranges that are special by registry
/// but reachable from everywhere.
const PASSED_V4: [&str; 30] = [
    "1.0.0.0",
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "192.175.48.1",
    "198.17.255.255",
    "198.20.0.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
];

const REFUSED_V6: [&str; 58] = [
    "::",
    "::1",
    "::2",
    "::ffff",
    "::7f00:1",
    "::ffff:0:0:1",
    "ff:ffff::1",
    "64:ff9b::",
    "64:ff9b:0:0:0:1:808:808",
    "64:ff9b:0:1::808:808",
    "64:ff9b:1::",
    "64:ff9b:1::808:808",
    "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
    "64:ff9b:2::808:808",
    "100::",
    "100::ffff:ffff:ffff:ffff",
    "100:0:0:1::",
    "100:0:0:2::",
    "200::1",
    "1fff:ffff::",
    "2001::",
    "2001:0:808:808::f7f7:f7f7",
    "2001:1::1",
    "2001:2::1",
    "2001:3::1",
    "2001:4:112::1",
    "2001:10::1",
    "2001:20::1",
    "2001:30::1",
    "2001:1ff:ffff::",
    "2001:db8::1",
    "2001:db8:ffff:ffff::",
    "2002::",
    "2002:808:808::1",
    "2002:7f00:1::",
    "2606:4700:0:0:0:5efe:808:808",
    "2606:4700:0:0:200:5efe:808:808",
    "2606:4700:0:0:0:5efe:7f00:1",
    "3fff::",
    "3fff:fff:ffff::",
    "4000::1",
    "5f00::1",
    "5fff:ffff::",
    "8000::1",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::23",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fdff:ffff::1",
    "fe00::1",
    "fe80::1",
    "fe80::5efe:7f00:1",
    "febf:ffff::1",
    "fec0::1",
    "feff:ffff::1",
    "ff00::1",
    "ff02::1",
];

const PASSED_V6: [&str; 12] = [
    "2000::1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7:ffff::1",
    "2001:db9::1",
    "2003::1",
    "2606:4700:4700::1111",
    "2606:4700::100:5efe:808:808",
    "2a00:1450::1",
    "3ffe:ffff::1",
    "3fff:1000::1",
    "64:ff9b::808:808",
];

#[test]
fn the_ranges() {
    let plain = Policy::default();
    for text in REFUSED_V4.iter().chain(&REFUSED_V6) {
        assert!(!passes(ip(text), &plain), "{text} has to be refused");
    }
    for text in PASSED_V4.iter().chain(&PASSED_V6) {
        assert_eq!(judge(ip(text), &plain), Ok(()), "{text}");
    }
}

#[test]
fn refusals_name_the_reason() {
    let denying = policy(&[], &["93.184.0.0/16"], &[]);
    for (address, expect) in [
        ("10.1.2.3", "10.1.2.3 is in 10.0.0.0/8 (private)"),
        ("::ffff:10.1.2.3", "10.1.2.3 is in 10.0.0.0/8 (private)"),
        ("64:ff9b::a01:203", "10.1.2.3 is in 10.0.0.0/8 (private)"),
        ("255.255.255.255", "255.255.255.255 is in 255.255.255.255/32 (broadcast)"),
        ("168.63.129.16", "168.63.129.16 is the metadata service of Azure"),
        ("fd00:ec2::254", "fd00:ec2::254 is the metadata service of Amazon EC2"),
        ("93.184.1.1", "93.184.1.1 is in 93.184.0.0/16, which the configuration denies"),
        ("::1", "::1 is in ::1/128 (loopback)"),
        ("fe80::1", "fe80::1 is in fe80::/10 (link-local)"),
        ("4000::1", "4000::1 is not in 2000::/3, the global unicast addresses"),
        ("2002:a01:203::1", "2002:a01:203::1 hides 10.1.2.3 (6to4)"),
        ("2606::5efe:a01:203", "2606::5efe:a01:203 hides 10.1.2.3 (ISATAP)"),
        (
            "64:ff9b:1::808:808",
            "64:ff9b:1::808:808 is in 64:ff9b:1::/48 \
             (local-use NAT64, needs its prefix configured)",
        ),
    ] {
        assert_eq!(judge(ip(address), &denying).unwrap_err().to_string(), expect);
    }
}

/// Every way to write an address into a URL that the parser or the guard has to see through.
fn spellings(v4: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = v4.octets();
    let number = v4.to_bits();
    let low = number & 0xff_ffff;
    let dotted = v4.to_string();
    let wide = dotted.chars().map(|c| match c {
        '0'..='9' => char::from_u32(u32::from(c) - u32::from('0') + 0xff10).unwrap(),
        _ => '。',
    });
    let mut spelled = vec![
        v4.to_string(),
        format!("{v4}."),
        number.to_string(),
        format!("0{number:o}"),
        format!("0x{number:x}"),
        format!("0X{number:08X}"),
        format!("0x{a:x}.{low}"),
        format!("0{a:o}.{low}"),
        format!("0x{a:x}.0{b:o}.{}", u32::from(c) << 8 | u32::from(d)),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        wide.collect(),
        format!("%{:02x}{}", dotted.as_bytes()[0], &dotted[1..]),
    ];
    spelled.extend(reaching(v4).into_iter().map(|v6| format!("[{v6}]")));
    spelled.extend(tunnelling(v4).into_iter().map(|v6| format!("[{v6}]")));
    spelled
}

#[test]
fn no_spelling_hides_a_refused_address() {
    for text in REFUSED_V4 {
        for host in spellings(text.parse().unwrap()) {
            let url = format!("https://{host}/hook");
            let target = Target::parse(&url, Rules { require_https: true }).unwrap();
            let Host::Ip(address) = target.host else { panic!("{url} has to be an address") };
            assert!(!passes(address, &Policy::default()), "{url} has to be refused");
        }
    }
}

#[test]
fn precedence() {
    let open = policy(&["10.0.0.0/8", "fd00::/8", "::1/128"], &["10.9.0.0/16", "2606::/16"], &[]);
    for (address, expect) in [
        ("10.1.2.3", true),
        ("::ffff:10.1.2.3", true),
        ("64:ff9b::a01:203", true),
        ("10.9.2.3", false),
        ("::ffff:10.9.2.3", false),
        ("64:ff9b::a09:203", false),
        ("192.168.0.1", false),
        ("fd00::1", true),
        ("fc00::1", false),
        ("::1", true),
        ("::2", false),
        ("2606:4700::1", false),
        // An ISATAP address of an allowed network passes only if what is inside passes, too.
        ("fd00::5efe:a01:203", true),
        ("fd00::5efe:a09:203", false),
        ("fd00::5efe:7f00:1", false),
        // Allowing an IPv4 network does not open the tunnels to it.
        ("2002:a01:203::1", false),
        ("::a01:203", false),
    ] {
        assert_eq!(passes(ip(address), &open), expect, "{address}");
    }
}

#[test]
fn a_metadata_service_is_allowed_by_its_address_only() {
    let wide = policy(&["0.0.0.0/0", "::/0"], &[], &[]);
    for (address, _) in METADATA {
        assert!(!passes(address, &wide), "{address}");
        assert!(passes(address, &Policy::new([address.into()], [], []).unwrap()), "{address}");
    }
    assert!(passes(ip("127.0.0.1"), &wide) && passes(ip("::1"), &wide));
    assert!(passes(ip("169.254.1.1"), &wide) && passes(ip("fd00:ec2::1"), &wide));
}

#[test]
fn entries_in_mapped_form_are_about_ipv4() {
    let mapped = policy(&["::ffff:10.0.0.0/104"], &["::ffff:8.8.8.8/128"], &[]);
    for (address, expect) in [("10.1.2.3", true), ("8.8.8.8", false), ("8.8.4.4", true)] {
        assert_eq!(passes(ip(address), &mapped), expect, "{address}");
    }
}

/// The table of RFC 6052, section 2.4, with a public address in place of its documentation one.
#[test]
fn custom_nat64_prefixes() {
    let lengths = ["2a00:db8::/32", "2a01:db8:100::/40", "2a02:db8:122::/48"];
    let more = ["2a03:db8:122:300::/56", "2a04:db8:122:344::/64", "2a05:db8:122:344::/96"];
    let custom = policy(&[], &[], &[lengths, more].concat());
    for (address, expect) in [
        ("2a00:db8:0808:0404::", Ok(())),
        ("2a01:db8:108:804:4::", Ok(())),
        ("2a02:db8:122:808:4:400::", Ok(())),
        ("2a03:db8:122:308:8:404::", Ok(())),
        ("2a04:db8:122:344:8:804:400:0", Ok(())),
        ("2a05:db8:122:344::808:404", Ok(())),
        ("2a00:db8:a00:1::", Err("10.0.0.1 is in 10.0.0.0/8 (private)")),
        ("2a01:db8:10a:0:1::", Err("10.0.0.1 is in 10.0.0.0/8 (private)")),
        ("2a02:db8:122:a00:0:100::", Err("10.0.0.1 is in 10.0.0.0/8 (private)")),
        ("2a03:db8:122:30a:0:1::", Err("10.0.0.1 is in 10.0.0.0/8 (private)")),
        ("2a04:db8:122:344:a:0:100:0", Err("10.0.0.1 is in 10.0.0.0/8 (private)")),
        ("2a05:db8:122:344::a00:1", Err("10.0.0.1 is in 10.0.0.0/8 (private)")),
        (
            "2a00:db8:808:404:100::",
            Err(
                "2a00:db8:808:404:100:: is no well-formed address of the NAT64 prefix 2a00:db8::/32",
            ),
        ),
        (
            "2a00:db8:808:404::1",
            Err("2a00:db8:808:404::1 is no well-formed address of the NAT64 prefix 2a00:db8::/32"),
        ),
    ] {
        let verdict = judge(ip(address), &custom).map_err(|refusal| refusal.to_string());
        assert_eq!(verdict, expect.map_err(str::to_owned), "{address}");
    }
    for wrong in ["2a00::/16", "2a00::/44", "2a00::/72", "2a00::/128"] {
        let prefix: Ipv6Net = wrong.parse().unwrap();
        assert_eq!(Policy::new([], [], [prefix]), Err(PolicyError::Nat64Length { prefix }));
    }
}

#[test]
fn nat64_prefixes_must_not_overlap() {
    let new = |texts: [&str; 2]| Policy::new([], [], texts.map(|t| t.parse().unwrap())).map(|_| ());
    for [first, second] in [
        ["2a00:db8::/32", "2a00:db8:808::/48"],
        ["2a00:db8:808::/48", "2a00:db8::/32"],
        ["64:ff9b::/96", "64:ff9b::/64"],
        ["64:ff9b::/96", "64:ff9b::/32"],
    ] {
        let [first_net, second_net] = [first, second].map(|t| t.parse().unwrap());
        let expect = PolicyError::Nat64Overlap { first: first_net, second: second_net };
        assert_eq!(new([first, second]), Err(expect));
    }
    assert_eq!(new(["64:ff9b::/96", "64:ff9b:1::/48"]), Ok(()));
    assert_eq!(new(["2a00:db8:1:2::/64", "2a00:db8:1:2:3::/64"]), Ok(()));
}

/// Addresses that a packet leaves as IPv4 to `v4`.
fn reaching(v4: Ipv4Addr) -> Vec<Ipv6Addr> {
    vec![v4.to_ipv6_mapped(), nat64(v4, "64:ff9b::/96".parse().unwrap())]
}

/// `v4` in an address of a NAT64 prefix, written as RFC 6052 describes it and unlike the decoder.
fn nat64(v4: Ipv4Addr, prefix: Ipv6Net) -> Ipv6Addr {
    let bits = u128::from(v4.to_bits());
    let len = u32::from(prefix.prefix_len());
    let tail = match len {
        96 => bits,
        // What lies before bit 64 keeps its place, the rest moves behind the octet of zeros.
        _ => {
            let whole = bits << (96 - len);
            (whole >> 64 << 64) | ((whole & u128::from(u64::MAX)) >> 8)
        }
    };
    Ipv6Addr::from_bits(prefix.network().to_bits() | tail)
}

/// Addresses that tunnels or old stacks would take for `v4`.
fn tunnelling(v4: Ipv4Addr) -> Vec<Ipv6Addr> {
    let bits = u128::from(v4.to_bits());
    let teredo = 0x2001_0000_u128 << 96;
    let server = 0x0808_0808_u128 << 64;
    [
        0x2002 << 112 | bits << 80 | 1,
        0x2002 << 112 | bits << 80,
        teredo | server | u128::from(!v4.to_bits()),
        teredo | bits << 64 | 0xf7f7_f7f7,
        0xffff_0000 << 32 | bits,
        isatap(v4, 0x2606_4700_0000_0001, false),
        isatap(v4, 0x2606_4700_0000_0001, true),
        isatap(v4, 0xfe80_0000_0000_0000, false),
        bits,
    ]
    .into_iter()
    .map(Ipv6Addr::from_bits)
    .collect()
}

fn isatap(v4: Ipv4Addr, prefix: u64, universal: bool) -> u128 {
    let marker = if universal { 0x0200_5efe } else { 0x5efe };
    u128::from(prefix) << 64 | marker << 32 | u128::from(v4.to_bits())
}

/// Any IPv4 address, those on the borders of ranges far more often than chance would have it.
fn any_v4() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![
        any::<u32>().prop_map(Ipv4Addr::from_bits),
        select([REFUSED_V4.as_slice(), &PASSED_V4].concat()).prop_map(|t| t.parse().unwrap()),
    ]
}

fn v4_nets() -> impl Strategy<Value = Vec<IpNet>> {
    let net = (any_v4(), 0..=32u8).prop_map(|(v4, len)| Ipv4Net::new(v4, len).unwrap().into());
    prop::collection::vec(net, 0..3)
}

fn v6_nets() -> impl Strategy<Value = Vec<IpNet>> {
    let nets = ["::/0", "::/8", "::/96", "2000::/3", "2002::/16", "2001::/32", "64:ff9b::/96"];
    let more = ["fd00::/8", "fe80::/10", "::ffff:0:0/96", "::ffff:0:0:0/96", "2606:4700::/32"];
    let net = select([nets.as_slice(), &more].concat()).prop_map(|t| t.parse().unwrap());
    prop::collection::vec(net, 0..3)
}

/// A NAT64 prefix of every length, inside and outside of what is refused otherwise.
fn nat64_prefix() -> impl Strategy<Value = Ipv6Net> {
    let head = select(vec!["2a00:db8::", "64:ff9b:1::", "fd00:64::", "2001:db8::"]);
    let len = select(vec![32, 40, 48, 56, 64, 96]);
    let rest = any::<u128>().prop_map(|bits| bits >> 48);
    (head, rest, len)
        .prop_map(|(head, rest, len)| {
            let head: Ipv6Addr = head.parse().unwrap();
            // RFC 6052, section 2.2: bits 64 to 71 are zero in a prefix of 96 bits, too.
            let bits = (head.to_bits() | rest) & !(0xff << 56);
            Ipv6Net::new(Ipv6Addr::from_bits(bits), len).unwrap().trunc()
        })
        .prop_filter("overlaps the well-known prefix", |prefix| !prefix.contains(&NAT64))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// What reaches an IPv4 address is judged as that IPv4 address: verdict and refusal are equal,
    /// whatever is allowed, and whatever is denied of IPv4.
    #[test]
    fn what_reaches_an_ipv4_address_is_judged_as_it(
        v4 in any_v4(),
        allow_v4 in v4_nets(),
        allow_v6 in v6_nets(),
        deny in v4_nets(),
        prefix in nat64_prefix(),
    ) {
        let policy = Policy::new([allow_v4, allow_v6].concat(), deny, [prefix]).unwrap();
        let expect = judge(v4.into(), &policy);
        for v6 in reaching(v4).into_iter().chain([nat64(v4, prefix)]) {
            prop_assert_eq!(&judge(v6.into(), &policy), &expect, "{}", v6);
        }
    }

    /// No IPv6 form passes, of whatever kind and under whatever policy, if the IPv4 address inside
    /// does not.
    #[test]
    fn no_form_is_more_permissive(
        v4 in any_v4(),
        isatap_prefix: u64,
        universal: bool,
        allow_v4 in v4_nets(),
        allow_v6 in v6_nets(),
        deny_v4 in v4_nets(),
        deny_v6 in v6_nets(),
        prefix in nat64_prefix(),
    ) {
        let allow = [allow_v4, allow_v6].concat();
        let policy = Policy::new(allow, [deny_v4, deny_v6].concat(), [prefix]).unwrap();
        let v4_passes = passes(v4.into(), &policy);
        let isatap = Ipv6Addr::from_bits(isatap(v4, isatap_prefix, universal));
        let forms = [reaching(v4), tunnelling(v4), vec![nat64(v4, prefix), isatap]].concat();
        // `::` and `::1` have a meaning of their own.
        for v6 in forms.into_iter().filter(|v6| *v6 > Ipv6Addr::LOCALHOST) {
            prop_assert!(v4_passes || !passes(v6.into(), &policy), "{}", v6);
        }
    }

    /// Without an IPv6 entry that opens it, no tunnel passes at all.
    #[test]
    fn tunnels_are_refused(
        v4 in any_v4(),
        isatap_prefix: u64,
        universal: bool,
        allow in v4_nets(),
    ) {
        let policy = Policy::new(allow, [], []).unwrap();
        let isatap = Ipv6Addr::from_bits(isatap(v4, isatap_prefix, universal));
        for v6 in tunnelling(v4).into_iter().chain([isatap]) {
            prop_assert!(!passes(v6.into(), &policy), "{}", v6);
        }
    }

    /// Without configuration, only global unicast and what reaches a public IPv4 address passes.
    #[test]
    fn nothing_else_passes(bits: u128, keep in 0..=128u32) {
        // Shifting makes short and all-but-empty addresses as frequent as long ones.
        let v6 = Ipv6Addr::from_bits(bits.checked_shr(keep).unwrap_or(0));
        let global = v6.segments()[0] >> 13 == 1;
        let reaches = v6.to_ipv4_mapped().is_some() || NAT64.contains(&v6);
        if passes(v6.into(), &Policy::default()) {
            prop_assert!(global || reaches, "{}", v6);
        }
    }

    /// Denying only ever narrows, and a denied address never passes.
    #[test]
    fn denying_narrows(v4 in any_v4(), allow in v4_nets(), deny in v4_nets()) {
        let open = Policy::new(allow.clone(), [], []).unwrap();
        let narrow = Policy::new(allow, deny.clone(), []).unwrap();
        let denied = deny.iter().any(|net| net.contains(&IpAddr::V4(v4)));
        prop_assert_eq!(passes(v4.into(), &narrow), passes(v4.into(), &open) && !denied);
    }
}
