//! Who is calling: the peer's address, or the one a trusted proxy reports.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::extract::ConnectInfo;
use http::{HeaderMap, request::Parts};

/// A block of addresses, `10.0.0.0/8` or a single address; IPv4 mapped into IPv6 counts as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressBlock {
    base: IpAddr,
    prefix_bits: u8,
}

/// A text that is not an address block; says which text.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not an address or a block such as 10.0.0.0/8")]
pub struct NotABlock(String);

impl AddressBlock {
    /// Whether `address` lies in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, plain(address)) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_bits)).unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix_bits)).unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for AddressBlock {
    type Err = NotABlock;

    fn from_str(text: &str) -> Result<AddressBlock, NotABlock> {
        let refuse = || NotABlock(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let base = plain(address.parse().map_err(|_| refuse())?);
        let bits_max = if base.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|bits| *bits <= bits_max).ok_or_else(refuse)?,
            None => bits_max,
        };
        Ok(AddressBlock { base, prefix_bits })
    }
}

impl fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix_bits)
    }
}

/// The caller's address: the peer of the connection, unless that peer is a trusted proxy; then the last address in
/// `X-Forwarded-For` that is not itself a trusted proxy. `None` when the request came over no socket (tests).
pub fn caller_address(parts: &Parts, trusted_proxies: &[AddressBlock]) -> Option<IpAddr> {
    let peer = plain(parts.extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip());
    Some(behind_proxies(peer, &parts.headers, trusted_proxies))
}

// Anybody can write the header, so it is read from its end: each trusted hop vouches for the one before it, and the
// first address nobody vouches for is the caller. Something unreadable ends the walk at the last vouched hop.
fn behind_proxies(peer: IpAddr, headers: &HeaderMap, trusted_proxies: &[AddressBlock]) -> IpAddr {
    let trusted = |address: IpAddr| trusted_proxies.iter().any(|block| block.contains(address));
    let mut nearest = peer;
    if !trusted(nearest) {
        return nearest;
    }
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(address) = hop_address(hop.trim()) else { return nearest };
        nearest = address;
        if !trusted(nearest) {
            return nearest;
        }
    }
    nearest
}

// Proxies write `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1` or `[2001:db8::1]:4711`.
fn hop_address(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(plain)
}

fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, forwarded: &[&str], trusted: &[&str], expected: &str) {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        let trusted: Vec<AddressBlock> = trusted.iter().map(|block| block.parse().unwrap()).collect();
        let found = behind_proxies(plain(peer.parse().unwrap()), &headers, &trusted);
        assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
    }

    #[test]
    fn a_stranger_cannot_choose_its_own_address() {
        check("198.51.100.4", &["203.0.113.7"], &[], "198.51.100.4");
        check("198.51.100.4", &["203.0.113.7"], &["10.0.0.0/8"], "198.51.100.4");
        // The forged first hop is not believed: only the hop that our proxy saw is.
        check("10.0.0.1", &["1.1.1.1, 203.0.113.7"], &["10.0.0.0/8"], "203.0.113.7");
        check("10.0.0.1", &["1.1.1.1", "203.0.113.7"], &["10.0.0.0/8"], "203.0.113.7");
    }

    #[test]
    fn trusted_hops_are_walked_through() {
        check("10.0.0.1", &["203.0.113.7, 10.2.3.4"], &["10.0.0.0/8"], "203.0.113.7");
        check("::ffff:10.0.0.1", &["[2001:db8::1]:4711"], &["10.0.0.0/8"], "2001:db8::1");
        check("10.0.0.1", &["203.0.113.7:5000"], &["10.0.0.1"], "203.0.113.7");
        check("10.0.0.1", &[], &["10.0.0.0/8"], "10.0.0.1");
        check("10.0.0.1", &["unknown, 10.9.9.9"], &["10.0.0.0/8"], "10.9.9.9");
    }

    #[test]
    fn blocks_that_are_none_are_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "host", "10.0.0.0/8/8"] {
            assert!(text.parse::<AddressBlock>().is_err(), "{text}");
        }
        assert!("0.0.0.0/0".parse::<AddressBlock>().unwrap().contains("9.9.9.9".parse().unwrap()));
        assert!(!"::/0".parse::<AddressBlock>().unwrap().contains("9.9.9.9".parse().unwrap()));
    }
}
