//! Hosts to connect to without a proxy.

use std::net::{IpAddr, Ipv4Addr};

/// The entries of `NO_PROXY`. Loopback is always among them.
#[derive(Clone, Debug, Default)]
pub(crate) struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    hosts: Hosts,
    /// `None` for every port.
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Hosts {
    All,
    /// A domain in lower case, with its subdomains.
    Domain(String),
    Network(IpAddr, u32),
}

impl NoProxy {
    /// Parses a list that is separated by commas and blanks. Ignores invalid entries.
    pub(crate) fn parse(list: &str) -> Self {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace());
        Self(entries.filter_map(Entry::parse).collect())
    }

    /// Compares without regard to case. `host` is that of a URL, with brackets around an IPv6 address.
    pub(crate) fn contains(&self, host: &str, port: u16) -> bool {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let address = address(&name);
        let is_loopback = match address {
            Some(address) => address.is_loopback() || address.is_unspecified(),
            None => is_in_domain(&name, "localhost"),
        };
        is_loopback
            || self.0.iter().any(|entry| {
                entry.port.is_none_or(|own| own == port)
                    && match (&entry.hosts, address) {
                        (Hosts::All, _) => true,
                        (Hosts::Domain(domain), None) => is_in_domain(&name, domain),
                        (Hosts::Network(network, bits), Some(address)) => {
                            is_in_network(address, *network, *bits)
                        }
                        _ => false,
                    }
            })
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self { hosts: Hosts::All, port: None });
        }
        // More than one colon without brackets is an IPv6 address.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port.parse().ok()?))
            }
            _ => (text, None),
        };
        let (start, bits) = match host.split_once('/') {
            Some((start, bits)) => (start, Some(bits.parse().ok()?)),
            None => (host, None),
        };
        if let Some(address) = literal(start) {
            let all = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.unwrap_or(all);
            return (bits <= all).then_some(Self { hosts: Hosts::Network(address, bits), port });
        }
        let domain = host.strip_prefix('*').filter(|host| host.starts_with('.')).unwrap_or(host);
        let domain = domain.strip_prefix('.').unwrap_or(domain).trim_end_matches('.');
        let domain = domain.to_ascii_lowercase();
        (!domain.is_empty()).then_some(Self { hosts: Hosts::Domain(domain), port })
    }
}

fn is_in_domain(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_in_network(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let differs = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).checked_shr(32 - bits),
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let differs = (a.to_bits() ^ b.to_bits()).checked_shr(128 - bits);
            differs.map(|differs| u32::from(differs != 0))
        }
        _ => return false,
    };
    // A shift by all bits leaves none.
    differs.unwrap_or(0) == 0
}

/// An IP address with or without brackets. One that is mapped from IPv4 is that one.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// The address that a host is, in any spelling that the system's resolver takes for one: `127.1`,
/// `0x7f.0.0.1` and `2130706433` are loopback.
fn address(host: &str) -> Option<IpAddr> {
    literal(host).or_else(|| short_ipv4(host).map(IpAddr::V4))
}

/// Parses one to four numbers as `inet_aton` does; the last one fills the remaining bytes.
fn short_ipv4(host: &str) -> Option<Ipv4Addr> {
    let mut numbers = Vec::new();
    for part in host.split('.') {
        let (digits, radix) = match part.strip_prefix("0x") {
            Some(digits) => (digits, 16),
            None if part.len() > 1 && part.starts_with('0') => (part, 8),
            None => (part, 10),
        };
        // `from_str_radix` accepts a sign.
        let number =
            u32::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+'))?;
        numbers.push(number);
    }
    let last = numbers.pop()?;
    let left = 4_u32.checked_sub(u32::try_from(numbers.len()).ok()?).filter(|left| *left > 0)?;
    if numbers.iter().any(|number| *number > 255) || u64::from(last) >= 1 << (8 * left) {
        return None;
    }
    let shifted = numbers.iter().zip([24, 16, 8]).map(|(number, shift)| number << shift);
    Some(Ipv4Addr::from_bits(shifted.sum::<u32>() + last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_loopback_is_direct() {
        let none = NoProxy::default();
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "api.localhost",
            "127.0.0.1",
            "127.9.8.7",
            "127.1",
            "127.0.1",
            "0x7f.1",
            "0X7F.0.0.1",
            "0177.0.0.1",
            "2130706433",
            "017700000001",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "0.0.0.0",
            "0",
            "[::]",
        ] {
            assert!(none.contains(host, 443), "{host}");
        }
        for host in [
            "example.com",
            "localhost.example.com",
            "mylocalhost",
            "128.0.0.1",
            "10.127.0.1",
            "127",
            "127.0.0.1.example.com",
            "127.0.0.0.1",
            "127.0.0.256",
            "127.0x1000000",
            "0x.1",
            "+127.1",
            "4294967296",
            "[::2]",
            "[::ffff:128.0.0.1]",
            "",
        ] {
            assert!(!none.contains(host, 443), "{host}");
        }
    }

    #[test]
    fn numbers_are_read_as_by_the_resolver() {
        use std::net::ToSocketAddrs;

        for host in ["1.2.3.4", "127.1", "127.2.3", "0x7f.1", "0177.0.0.1", "2130706433"] {
            let resolved = (host, 0).to_socket_addrs().unwrap().next().unwrap().ip();
            assert_eq!(address(host), Some(resolved), "{host}");
        }
    }
}
