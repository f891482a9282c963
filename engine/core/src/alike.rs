//! Which segment of TCP or UDP is like another one in all that the switch judges.
//!
//! Guards, limits and the FDB look at the addresses of Ethernet and IP, at ports, and at what DHCP
//! and messages without ports say. So of two frames without tags and IP options from one member, at
//! one time, of one length, whose headers are equal up to the ports, the second fares as the first,
//! whatever their IPv4 identification and header checksum, which nobody judges.

use crate::ethernet::{IPV4, IPV6};
use crate::inside::DHCP_PORTS;
use crate::offload::checksum::{TCP, UDP};
use crate::peers::PeerId;
use crate::switching::Arrived;

/// Ethernet, IPv6 and the ports, in whole words.
const HEAD_BYTES: usize = 64;
const WORD_BYTES: usize = 8;
/// Where things are in a frame without tags.
const ETHERTYPE: usize = 12;
const IP: usize = 14;
const IPV4_PROTOCOL: usize = IP + 9;
const IPV4_PORTS: usize = IP + 20;
const IPV6_NEXT: usize = IP + 6;
const IPV6_PORTS: usize = IP + 40;
const PORTS_BYTES: usize = 4;
/// Of version 4, without options.
const PLAIN_IPV4: u8 = 0x45;
/// Where the identification is, and the checksum of the header.
const UNJUDGED: [usize; 4] = [IP + 4, IP + 5, IP + 10, IP + 11];

type Words = [u64; HEAD_BYTES / WORD_BYTES];

/// What frames like this one have.
#[derive(Clone, Copy, Debug)]
pub struct Alike {
    peer: PeerId,
    network: u64,
    now: f64,
    is_open: bool,
    length: usize,
    head: Words,
    /// Ones where heads have to be equal.
    judged: Words,
}

impl Alike {
    /// Like this frame; `None` where more of it is judged.
    #[must_use]
    pub fn of(arrived: &Arrived<'_>, now: f64) -> Option<Self> {
        let head = head(arrived);
        let (ports, protocol, is_ipv4) = match u16::from_be_bytes([head[ETHERTYPE], head[13]]) {
            IPV4 if head[IP] == PLAIN_IPV4 => (IPV4_PORTS, head[IPV4_PROTOCOL], true),
            IPV6 if head[IP] >> 4 == 6 => (IPV6_PORTS, head[IPV6_NEXT], false),
            _ => return None,
        };
        let port = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        match protocol {
            TCP => {}
            UDP if ![ports, ports + 2].iter().any(|&at| DHCP_PORTS.contains(&port(at))) => {}
            _ => return None,
        }
        let mut judged = [0; HEAD_BYTES];
        judged[..ports + PORTS_BYTES].fill(0xff);
        if is_ipv4 {
            for at in UNJUDGED {
                judged[at] = 0;
            }
        }
        let &Arrived { peer, network, is_open, .. } = arrived;
        let (length, head, judged) = (length(arrived), words(&head), words(&judged));
        Some(Self { peer, network, now, is_open, length, head, judged })
    }

    /// Whether a frame is.
    #[must_use]
    pub fn is(&self, arrived: &Arrived<'_>, now: f64) -> bool {
        if (self.peer, self.network, self.now) != (arrived.peer, arrived.network, now)
            || (self.is_open, self.length) != (arrived.is_open, length(arrived))
        {
            return false;
        }
        let theirs = words(&head(arrived));
        let pairs = self.head.iter().zip(theirs).zip(self.judged);
        pairs.fold(0, |found, ((mine, theirs), judged)| found | ((mine ^ theirs) & judged)) == 0
    }
}

fn length(arrived: &Arrived<'_>) -> usize {
    arrived.head.len() + arrived.body.len()
}

/// The first bytes of a frame, then zeros.
fn head(arrived: &Arrived<'_>) -> [u8; HEAD_BYTES] {
    let mut bytes = [0; HEAD_BYTES];
    let at = arrived.head.len().min(HEAD_BYTES);
    bytes[..at].copy_from_slice(&arrived.head[..at]);
    let most = arrived.body.len().min(HEAD_BYTES - at);
    bytes[at..at + most].copy_from_slice(&arrived.body[..most]);
    bytes
}

fn words(bytes: &[u8; HEAD_BYTES]) -> Words {
    let (words, _) = bytes.as_chunks::<WORD_BYTES>();
    std::array::from_fn(|at| u64::from_ne_bytes(words[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: f64 = 1.0;

    fn frame(ethertype: u16, protocol: u8, ports: [u16; 2]) -> Vec<u8> {
        let mut bytes = vec![2; ETHERTYPE];
        bytes.extend(ethertype.to_be_bytes());
        if ethertype == IPV4 {
            bytes.extend([PLAIN_IPV4, 0, 0, 60, 1, 1, 0x40, 0, 64, protocol, 5, 5]);
            bytes.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        } else {
            bytes.extend([0x60, 0, 0, 0, 0, 40, protocol, 64]);
            bytes.extend([0xfd; 32]);
        }
        bytes.extend(ports.map(u16::to_be_bytes).as_flattened());
        bytes.extend([7; 36]);
        bytes
    }

    fn arrived(body: &[u8]) -> Arrived<'_> {
        Arrived { peer: PeerId(3), network: 7, head: &[], body, is_open: false }
    }

    fn is_alike(one: &[u8], other: &[u8]) -> bool {
        let alike = Alike::of(&arrived(one), NOW).expect("nothing else is judged");
        alike.is(&arrived(other), NOW)
    }

    #[test]
    fn segments_of_one_flow_are_alike_whatever_they_carry() {
        for (ethertype, protocol) in [(IPV4, TCP), (IPV4, UDP), (IPV6, TCP), (IPV6, UDP)] {
            let one = frame(ethertype, protocol, [5000, 80]);
            let mut other = one.clone();
            let ports = if ethertype == IPV4 { IPV4_PORTS } else { IPV6_PORTS };
            other[ports + PORTS_BYTES..].fill(9);
            if ethertype == IPV4 {
                for at in UNJUDGED {
                    other[at] ^= 0xff;
                }
            }
            assert!(is_alike(&one, &other));
        }
    }

    #[test]
    fn every_other_byte_up_to_the_ports_counts_and_so_does_the_length() {
        for (ethertype, end) in [(IPV4, IPV4_PORTS + 4), (IPV6, IPV6_PORTS + 4)] {
            let one = frame(ethertype, TCP, [5000, 80]);
            for at in 0..end {
                let mut other = one.clone();
                other[at] ^= 1;
                let is_unjudged = ethertype == IPV4 && UNJUDGED.contains(&at);
                assert_eq!(is_alike(&one, &other), is_unjudged, "byte {at}");
            }
            assert!(!is_alike(&one, &one[..one.len() - 1]));
        }
    }

    #[test]
    fn another_member_network_time_or_checksum_is_not_alike() {
        let one = frame(IPV4, TCP, [5000, 80]);
        let alike = Alike::of(&arrived(&one), NOW).expect("nothing else is judged");
        assert!(!alike.is(&arrived(&one), 2.0));
        for other in [
            Arrived { peer: PeerId(4), ..arrived(&one) },
            Arrived { network: 8, ..arrived(&one) },
            Arrived { is_open: true, ..arrived(&one) },
        ] {
            assert!(!alike.is(&other, NOW));
        }
    }

    #[test]
    fn a_frame_whose_ethernet_header_did_not_travel_is_like_one_whose_did() {
        let one = frame(IPV4, TCP, [5000, 80]);
        let alike = Alike::of(&arrived(&one), NOW).expect("nothing else is judged");
        let (head, body) = one.split_at(IP);
        assert!(alike.is(&Arrived { head, body, ..arrived(&one) }, NOW));
    }

    #[test]
    fn nothing_is_like_what_is_judged_by_more() {
        let tagged = frame(0x8100, TCP, [5000, 80]);
        let mut options = frame(IPV4, TCP, [5000, 80]);
        options[IP] = 0x46;
        let ping = frame(IPV6, 58, [0x8800, 0]);
        let igmp = frame(IPV4, 2, [0x1100, 0]);
        let short = vec![8, 0];
        let dhcp = DHCP_PORTS.map(|port| frame(IPV4, UDP, [port, 5000]));
        let dhcp6 = DHCP_PORTS.map(|port| frame(IPV6, UDP, [5000, port]));
        for bytes in [tagged, options, ping, igmp, short].iter().chain(&dhcp).chain(&dhcp6) {
            assert!(Alike::of(&arrived(bytes), NOW).is_none());
        }
    }
}
