//! Where datagrams go to and come from.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A UDP address. Two are equal when address family, address, port and uplink are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Without scope or flow label.
    pub address: IpAddr,
    /// 1 to 65535.
    pub port: u16,
    /// By which interface of ours: 0, as the host's routes say, else the index of a named uplink.
    /// It is never on the wire.
    pub uplink: u32,
}

impl Endpoint {
    /// One that is reached as the host's routes say.
    #[must_use]
    pub fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port, uplink: 0 }
    }

    /// The address as cookies name it: IPv6, or IPv4 mapped into it.
    #[must_use]
    pub fn mapped(&self) -> Ipv6Addr {
        match self.address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(to, "{address}:{}", self.port),
            IpAddr::V6(address) => write!(to, "[{address}]:{}", self.port),
        }
    }
}

/// One way to a peer: a direct endpoint (relay 0), or a relay id at a planet's endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// Where the datagram goes.
    pub endpoint: Endpoint,
    /// 0, or a relay id below 2^56.
    pub relay: u64,
}
