//! Recognising our own outer datagrams inside a frame, so that the mesh never carries itself.
//!
//! A frame counts as ours when it is UDP over IPv4 or IPv6, under at most two tags, and its source
//! or destination is our UDP address. We send neither IP fragments nor IPv6 extension headers, so
//! such a frame is somebody else's.

use std::net::IpAddr;

use crate::ethernet::{Frame, IPV4, IPV6, u16_at};
use crate::offload::checksum::UDP;

/// Knows our underlay: one UDP port at several addresses.
#[derive(Clone, Debug, Default)]
pub struct OwnDatagrams {
    port: u16,
    v4: Vec<[u8; 4]>,
    v6: Vec<[u8; 16]>,
}

impl OwnDatagrams {
    /// One port at these addresses.
    #[must_use]
    pub fn new(port: u16, addresses: &[IpAddr]) -> Self {
        let mut own = Self { port, ..Self::default() };
        for address in addresses {
            match address {
                IpAddr::V4(address) => own.v4.push(address.octets()),
                IpAddr::V6(address) => own.v6.push(address.octets()),
            }
        }
        own
    }

    /// Whether `frame` carries a datagram from or to our UDP socket.
    #[must_use]
    pub fn is_own(&self, frame: &Frame<'_>) -> bool {
        match frame.ethertype {
            IPV4 if !self.v4.is_empty() => self.is_own_ipv4(frame.payload),
            IPV6 if !self.v6.is_empty() => self.is_own_ipv6(frame.payload),
            _ => false,
        }
    }

    fn is_own_ipv4(&self, packet: &[u8]) -> bool {
        let Some(head) = packet.first_chunk::<20>() else { return false };
        if head[9] != UDP || u16::from_be_bytes([head[6], head[7]]) & 0x1fff != 0 {
            return false;
        }
        let ports = usize::from(head[0] & 0x0f) * 4;
        (u16_at(packet, ports) == Some(self.port) && is_among(&self.v4, &head[12..16]))
            || (u16_at(packet, ports + 2) == Some(self.port) && is_among(&self.v4, &head[16..20]))
    }

    fn is_own_ipv6(&self, packet: &[u8]) -> bool {
        let Some(head) = packet.first_chunk::<40>() else { return false };
        if head[6] != UDP {
            return false;
        }
        (u16_at(packet, 40) == Some(self.port) && is_among(&self.v6, &head[8..24]))
            || (u16_at(packet, 42) == Some(self.port) && is_among(&self.v6, &head[24..40]))
    }
}

fn is_among<const N: usize>(addresses: &[[u8; N]], address: &[u8]) -> bool {
    addresses.iter().any(|one| one == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp4(source: [u8; 4], from: u16, target: [u8; 4], to: u16) -> Vec<u8> {
        let mut bytes = vec![2; 12];
        bytes.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, UDP, 0, 0]);
        bytes.extend(source);
        bytes.extend(target);
        bytes.extend(from.to_be_bytes());
        bytes.extend(to.to_be_bytes());
        bytes
    }

    #[test]
    fn both_ends_are_ours_and_nothing_else() {
        let own = OwnDatagrams::new(9993, &[IpAddr::from([10, 0, 0, 1])]);
        let is_own = |bytes: &[u8]| own.is_own(&Frame::parse(&[], bytes).expect("whole"));
        let (us, them) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        assert!(is_own(&udp4(us, 9993, them, 5)));
        assert!(is_own(&udp4(them, 5, us, 9993)));
        assert!(!is_own(&udp4(us, 5, them, 9993)));
        assert!(!is_own(&udp4(them, 9993, us, 5)));
        let mut piece = udp4(us, 9993, them, 5);
        piece[21] = 1;
        assert!(!is_own(&piece));
        assert!(!is_own(&udp4(us, 9993, them, 5)[..34]));
        assert!(
            !OwnDatagrams::default()
                .is_own(&Frame::parse(&[], &udp4(us, 0, them, 0)).expect("whole"))
        );
    }
}
