//! Where a request really comes from, if a proxy stands in between.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::HeaderName;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Proxies whose word is believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(Vec<Network>);

/// A range of addresses: `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// An address or a range as it stands in the configuration.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let expected =
            || format!("{text:?} is no address; write one such as 10.0.0.1, or a range such as 10.0.0.0/8");
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| expected())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| expected()))?;
        if bits > most { Err(expected()) } else { Ok(Self { address, bits }) }
    }

    fn contains(&self, other: IpAddr) -> bool {
        let (own, other, width) = match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u128::from(own.to_bits()), u128::from(other.to_bits()), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        let drop = width - self.bits;
        own.checked_shr(drop).unwrap_or(0) == other.checked_shr(drop).unwrap_or(0)
    }
}

impl Proxies {
    pub(crate) fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// The address of whoever sent a request that came from `peer`: of those that the proxies name, the last that is no
    /// proxy itself. Without a trusted proxy it is `peer`, whatever the headers say.
    pub(crate) fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut address = peer.to_canonical();
        let lines = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<_> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
        for hop in hops.into_iter().rev() {
            if !self.0.iter().any(|network| network.contains(address)) {
                break;
            }
            // What a proxy could not name is the proxy's own business.
            let Ok(named) = hop.trim_matches(['[', ']']).parse::<IpAddr>() else { break };
            address = named.to_canonical();
        }
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(proxies: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let networks = proxies.iter().map(|text| Network::parse(text).unwrap()).collect();
        Proxies::new(networks).origin(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_only_their_own_word() {
        assert_eq!(origin(&[], "10.0.0.1", &["1.1.1.1"]), "10.0.0.1");
        assert_eq!(origin(&["10.0.0.0/8"], "11.0.0.1", &["1.1.1.1"]), "11.0.0.1");
        assert_eq!(origin(&["10.0.0.0/8"], "10.0.0.1", &["1.1.1.1"]), "1.1.1.1");
        // What stands before the last stranger is what that stranger says.
        assert_eq!(origin(&["10.0.0.0/8"], "10.0.0.1", &["9.9.9.9, 1.1.1.1"]), "1.1.1.1");
        assert_eq!(origin(&["10.0.0.0/8"], "10.0.0.1", &["1.1.1.1, 10.2.2.2"]), "1.1.1.1");
        assert_eq!(origin(&["10.0.0.0/8"], "10.0.0.1", &["9.9.9.9", "1.1.1.1"]), "1.1.1.1");
        assert_eq!(origin(&["10.0.0.0/8"], "10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(origin(&["::1"], "::1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(origin(&["127.0.0.1"], "::ffff:127.0.0.1", &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(origin(&["0.0.0.0/0"], "10.0.0.1", &["1.1.1.1, 2.2.2.2"]), "1.1.1.1");
    }

    #[test]
    fn what_is_no_range_is_not_taken() {
        for text in ["", "10.0.0", "10.0.0.0/33", "10.0.0.0/x", "::/129", "example.com"] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }
}
