//! Which addresses may be called. A URL from outside must not reach into the network that Outlay
//! runs in, nor the metadata service of its cloud
//! (<https://owasp.org/www-community/attacks/Server_Side_Request_Forgery>).
//!
//! The ranges are those of the registries of special-purpose addresses:
//! <https://www.iana.org/assignments/iana-ipv4-special-registry> and
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Which addresses a guarded client may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Public addresses, over `https`.
    PublicOnly,
    /// Also loopback and private networks, and `http`: the operator's choice, for tests, the
    /// sandbox and gateways inside a company. Link-local addresses (a cloud's metadata service)
    /// stay refused.
    PrivateAllowed,
}

impl AddressPolicy {
    /// Whether `address` may be called.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            AddressPolicy::PublicOnly => is_public(address),
            AddressPolicy::PrivateAllowed => is_public(address) || is_private(address),
        }
    }
}

/// Whether an address belongs to the public internet. Addresses that carry another inside are
/// judged by it.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0 // this network
        || (a == 100 && (64..128).contains(&b)) // carrier-grade NAT
        || (a, b, c) == (192, 0, 0) // protocol assignments
        || (a, b, c) == (192, 88, 99) // 6to4 relays
        || (a == 198 && (18..20).contains(&b)) // benchmarks
        || a >= 224; // multicast, reserved, broadcast
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let global_unicast = (0x2000..0x4000).contains(&a);
    // Protocol assignments, Teredo among them, and documentation.
    let special = (a == 0x2001 && (b < 0x0200 || b == 0x0db8))
        || a == 0x2002 // 6to4: leads to any IPv4 address
        || (a == 0x3fff && b < 0x1000); // documentation
    global_unicast && !special
}

/// The IPv4 address inside an IPv4-mapped (`::ffff:0:0/96`) or NAT64 (`64:ff9b::/96`) one.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Some(mapped);
    }
    let octets = address.octets();
    let prefix = [0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
    let last = [octets[12], octets[13], octets[14], octets[15]];
    octets.starts_with(&prefix).then(|| Ipv4Addr::from(last))
}

/// Loopback and the networks that people number themselves.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(inner) => is_private(IpAddr::V4(inner)),
            None => v6.is_loopback() || v6.is_unique_local(),
        },
    }
}

/// A name that has no address which may be called.
#[derive(Debug, thiserror::Error)]
#[error("the name has no address that may be called")]
pub(crate) struct RefusedAddress;

/// Resolves a name and keeps the addresses that may be called. The connection is made to these and
/// no others, so there is no moment between the check and the use in which the answer could change.
pub(crate) struct GuardedResolver {
    pub(crate) policy: AddressPolicy,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|address| policy.allows(address.ip())).collect();
            match allowed.is_empty() {
                true => Err(RefusedAddress.into()),
                false => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_public_addresses_are_public() {
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "198.17.255.255",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(ip(public)), "{public}");
        }
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "64:ff9b:1::1.1.1.1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(ip(special)), "{special}");
        }
    }

    #[test]
    fn allowing_private_addresses_keeps_the_metadata_service_out() {
        let policy = AddressPolicy::PrivateAllowed;
        for allowed in ["127.0.0.1", "10.1.2.3", "100.64.0.1", "::1", "fd00::1", "8.8.8.8"] {
            assert!(policy.allows(ip(allowed)), "{allowed}");
        }
        for refused in ["169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0", "fe80::1", "::"] {
            assert!(!policy.allows(ip(refused)), "{refused}");
        }
    }
}
