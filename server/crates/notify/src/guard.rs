//! Which addresses a request of a user may go to.
//!
//! A destination's host is written by a user, the connection is made by the server, which sees more than the user does: its own admin port,
//! the cloud's metadata service, the neighbours. So only addresses of the public internet are allowed, by the registries of special
//! addresses (<https://www.iana.org/assignments/iana-ipv4-special-registry>, `iana-ipv6-special-registry`), and what the operator opens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn net4(a: u8, b: u8, c: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), prefix)
}

/// What is not the public internet.
const NOT_PUBLIC_4: [(Ipv4Net, &str); 17] = [
    (net4(0, 0, 0, 8), "this network"),
    (net4(10, 0, 0, 8), "a private network"),
    (net4(100, 64, 0, 10), "a provider's shared network"),
    (net4(127, 0, 0, 8), "this machine"),
    (net4(169, 254, 0, 16), "a link-local network"),
    (net4(172, 16, 0, 12), "a private network"),
    (net4(192, 0, 0, 24), "reserved"),
    (net4(192, 0, 2, 24), "for documentation"),
    (net4(192, 31, 196, 24), "reserved"),
    (net4(192, 52, 193, 24), "reserved"),
    (net4(192, 88, 99, 24), "a 6to4 relay"),
    (net4(192, 168, 0, 16), "a private network"),
    (net4(198, 18, 0, 15), "for benchmarks"),
    (net4(198, 51, 100, 24), "for documentation"),
    (net4(203, 0, 113, 24), "for documentation"),
    (net4(224, 0, 0, 4), "multicast"),
    (net4(240, 0, 0, 4), "reserved or broadcast"),
];

const fn net6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// The part of IPv6 that is given out. All else (loopback, unspecified, v4-compatible, unique local, link-local, site-local, multicast) is outside.
const GLOBAL_6: Ipv6Net = net6(0x2000, 0, 0, 3);

/// What is not the public internet within it.
const NOT_PUBLIC_6: [(Ipv6Net, &str); 4] = [
    (net6(0x2001, 0, 0, 23), "Teredo, benchmarks or reserved"),
    (net6(0x2001, 0xdb8, 0, 32), "for documentation"),
    (net6(0x2002, 0, 0, 16), "6to4"),
    (net6(0x3fff, 0, 0, 20), "for documentation"),
];

/// The prefix with which NAT64 writes IPv4 addresses (RFC 6052).
const NAT64: Ipv6Net = net6(0x64, 0xff9b, 0, 96);

/// The address is not of the public internet, and its net is not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host's address is not allowed: it is {0}; the operator can open networks with `alert-allow`")]
pub struct Private(pub &'static str);

/// Judges addresses.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allow: Vec<IpNet>,
}

impl Guard {
    /// Public addresses, and these networks.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self { allow }
    }

    /// Whether a connection may go there. An IPv6 address that stands for an IPv4 address is judged as that one.
    ///
    /// # Errors
    /// What kind of address it is. Not which: that would tell a user about names inside.
    pub fn check(&self, address: IpAddr) -> Result<(), Private> {
        let meant = meant(address);
        if self.allow.iter().any(|net| net.contains(&meant)) {
            return Ok(());
        }
        match meant {
            IpAddr::V4(v4) => check4(v4),
            IpAddr::V6(v6) => check6(v6),
        }
    }
}

/// The address that a packet would go to: v4-mapped (`::ffff:a.b.c.d`) and NAT64 addresses are IPv4.
fn meant(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if NAT64.contains(&v6) => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        other => other,
    }
}

fn check4(address: Ipv4Addr) -> Result<(), Private> {
    let special = NOT_PUBLIC_4.iter().find(|(net, _)| net.contains(&address));
    special.map_or(Ok(()), |(_, what)| Err(Private(what)))
}

fn check6(address: Ipv6Addr) -> Result<(), Private> {
    if !GLOBAL_6.contains(&address) {
        return Err(Private("not a global IPv6 address"));
    }
    let special = NOT_PUBLIC_6.iter().find(|(net, _)| net.contains(&address));
    special.map_or(Ok(()), |(_, what)| Err(Private(what)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allowed(guard: &Guard, address: &str) -> bool {
        guard.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn what_is_inside_is_refused_in_any_form() {
        let inside = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
        ];
        for address in inside {
            let v4: Ipv4Addr = address.parse().unwrap();
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let forms: [IpAddr; 6] = [
                v4.into(),
                v4.to_ipv6_mapped().into(),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low).into(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into(),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1).into(),
                Ipv6Addr::new(0x2001, 0, 1, 1, 0, 0, !high, !low).into(),
            ];
            for form in forms {
                assert!(Guard::default().check(form).is_err(), "{form}");
            }
        }
    }

    #[test]
    fn special_addresses_of_ipv6_are_refused() {
        for address in [
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "2001:2::1",
            "2001:10::1",
            "3fff::1",
            "100::1",
            "64:ff9b:1::1",
            "5f00::1",
            "4000::1",
        ] {
            assert!(!allowed(&Guard::default(), address), "{address}");
        }
    }

    #[test]
    fn the_internet_is_allowed() {
        for address in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "11.0.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(allowed(&Guard::default(), address), "{address}");
        }
    }

    #[test]
    fn the_operator_opens_networks() {
        let guard = Guard::new(vec!["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        assert!(
            allowed(&guard, "10.1.2.3") && allowed(&guard, "::ffff:10.1.2.3") && allowed(&guard, "fd00::1")
        );
        assert!(!allowed(&guard, "10.2.0.1") && !allowed(&guard, "127.0.0.1") && !allowed(&guard, "fc00::1"));
    }

    proptest! {
        /// The standard library knows a part of the same registries.
        #[test]
        fn never_what_the_standard_library_calls_special(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(bits);
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast()
                || v4.is_documentation() || v4.is_multicast() || v4.is_unspecified();
            prop_assert!(!special || Guard::default().check(v4.into()).is_err());
        }
    }
}
