//! What a frame says inside, as far as guards and limits judge it.
//!
//! Read are ARP (RFC 826), the five messages of neighbour discovery (RFC 4861), DHCP (RFC 2131,
//! 8415) as far as it takes to know a server's message, IGMP (RFC 2236, 3376) and MLD (RFC 2710,
//! 3810) as far as it takes to tell a query from a report, PIM (RFC 7761) as far as it takes to know
//! a hello, and of any other IP packet its source address. The work is bounded: at most 8 extension headers and 64 options. What no host would
//! take for valid IP is `Plain`; what one might take but we cannot judge, as neighbour discovery in
//! fragments (which RFC 6980 forbids) or a header chain that goes on in the next fragment
//! (RFC 7112), is `Hidden`.

use std::net::IpAddr;

use crate::ethernet::{ARP, IPV4, IPV6, Mac, u16_at};
use crate::offload::checksum::UDP;

const MAX_EXTENSIONS: usize = 8;
const MAX_OPTIONS: usize = 64;

const IGMP: u8 = 2;
const UDP_BYTES: usize = 8;
const ICMPV6: u8 = 58;
const PIM: u8 = 103;
/// First byte of a PIM hello: version 2, type 0.
const HELLO: u8 = 0x20;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;

const BOOTP_SERVER: u16 = 67;
const BOOTP_CLIENT: u16 = 68;
const BOOTREQUEST: u8 = 1;
const DHCP6_CLIENT: u16 = 546;
const DHCP6_SERVER: u16 = 547;
/// Ports of UDP behind which the payload is judged.
pub const DHCP_PORTS: [u16; 4] = [BOOTP_SERVER, BOOTP_CLIENT, DHCP6_CLIENT, DHCP6_SERVER];

const SOURCE_MAC: u8 = 1;
const TARGET_MAC: u8 = 2;
const OPTION_BYTES: usize = 8;

/// What is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing that is judged.
    Plain,
    /// A packet of which only the source address is judged.
    Ip,
    /// Somebody is asked for.
    ArpRequest,
    /// A reply, most likely.
    ArpOther,
    /// For IPv4 on Ethernet, but of wrong length.
    BadArp,
    /// A neighbour is asked for.
    Solicitation,
    /// A neighbour tells of itself.
    Advertisement,
    /// Routers are asked for.
    RouterSolicitation,
    /// A router tells of itself.
    RouterAdvertisement,
    /// A router tells of another way.
    Redirect,
    /// Malformed neighbour discovery, or what could be such.
    Hidden,
    /// What only servers and their relays send.
    DhcpServer,
    /// IGMP or MLD: who wants which group?
    GroupQuery,
    /// IGMP or MLD: this host wants a group, or wants it no longer.
    GroupReport,
    /// A multicast router is there.
    PimHello,
}

impl Kind {
    /// Whether it is a message of neighbour discovery.
    #[must_use]
    pub fn is_nd(self) -> bool {
        matches!(
            self,
            Self::Solicitation
                | Self::Advertisement
                | Self::RouterSolicitation
                | Self::RouterAdvertisement
                | Self::Redirect
        )
    }
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inside {
    /// What it is.
    pub kind: Kind,
    /// IP address of who says it.
    pub sender: Option<IpAddr>,
    /// IP address that an ARP, a solicitation or an advertisement is about.
    pub target: Option<IpAddr>,
    /// MAC that others shall believe to be the sender's, or the target's of an advertisement.
    pub told: Option<Mac>,
}

impl Inside {
    fn new(kind: Kind, sender: Option<IpAddr>) -> Self {
        Self { kind, sender, target: None, told: None }
    }

    /// The IP address, and the MAC, that a station says are its own.
    #[must_use]
    pub fn claim(&self) -> Option<(IpAddr, Mac)> {
        let address = match self.kind {
            Kind::ArpRequest | Kind::ArpOther => {
                self.sender.filter(|sender| !sender.is_unspecified())
            }
            Kind::Advertisement => self.target,
            _ => None,
        };
        address.zip(self.told)
    }

    /// What the payload of a frame says; total for any bytes.
    #[must_use]
    pub fn look(ethertype: u16, payload: &[u8]) -> Self {
        let found = match ethertype {
            IPV4 => in_ipv4(payload),
            IPV6 => in_ipv6(payload),
            ARP => in_arp(payload),
            _ => None,
        };
        found.unwrap_or(Self::new(Kind::Plain, None))
    }
}

fn in_arp(arp: &[u8]) -> Option<Inside> {
    let bad = Some(Inside::new(Kind::BadArp, None));
    let Some(head) = arp.first_chunk::<8>() else { return bad };
    // hosts on Ethernet take IEEE 802 (6) for the same
    if head[0] != 0 || !matches!(head[1], 1 | 6) || head[2..4] != IPV4.to_be_bytes() {
        return None;
    }
    let Some(body) = arp.get(8..28).filter(|_| head[4..6] == [6, 4]) else { return bad };
    Some(Inside {
        kind: if head[6..] == [0, 1] { Kind::ArpRequest } else { Kind::ArpOther },
        told: body.first_chunk().copied(),
        sender: ipv4_at(body, 6),
        target: ipv4_at(body, 16),
    })
}

fn in_ipv4(packet: &[u8]) -> Option<Inside> {
    let head = packet.first_chunk::<20>()?;
    let length = usize::from(head[0] & 0x0f) * 4;
    if head[0] >> 4 != 4 || length < head.len() {
        return None;
    }
    let offset = u16::from_be_bytes([head[6], head[7]]) & 0x1fff;
    let kind = match (head[9], packet.get(length)) {
        _ if offset != 0 => Kind::Ip,
        (UDP, _) if is_dhcp4(packet, length) => Kind::DhcpServer,
        (IGMP, Some(0x11)) => Kind::GroupQuery,
        (IGMP, Some(0x12 | 0x16 | 0x17 | 0x22)) => Kind::GroupReport,
        (PIM, Some(&HELLO)) => Kind::PimHello,
        _ => Kind::Ip,
    };
    Some(Inside::new(kind, ipv4_at(head, 12)))
}

/// Whether a server or relay sends it, for all that this fragment shows.
fn is_dhcp4(packet: &[u8], udp: usize) -> bool {
    match (u16_at(packet, udp), u16_at(packet, udp + 2)) {
        (_, Some(BOOTP_CLIENT)) => true,
        (Some(BOOTP_SERVER), Some(BOOTP_SERVER)) => {
            packet.get(udp + UDP_BYTES) != Some(&BOOTREQUEST)
        }
        _ => false,
    }
}

fn in_ipv6(packet: &[u8]) -> Option<Inside> {
    let head = packet.first_chunk::<40>()?;
    if head[0] >> 4 != 6 {
        return None;
    }
    let sender = ipv6_at(head, 8);
    let (mut protocol, mut at, mut is_fragment) = (head[6], head.len(), false);
    let mut extensions = 0;
    // hop-by-hop, routing, destination options, mobility
    while matches!(protocol, 0 | 43 | 60 | 135 | FRAGMENT | AUTHENTICATION) {
        extensions += 1;
        let next = packet.get(at..at + 8).filter(|_| extensions <= MAX_EXTENSIONS);
        let Some(next) = next else { return Some(Inside::new(Kind::Hidden, sender)) };
        at += match protocol {
            FRAGMENT if u16::from_be_bytes([next[2], next[3]]) >> 3 != 0 => {
                return Some(Inside::new(Kind::Ip, sender)); // what it continues has been judged
            }
            FRAGMENT => {
                is_fragment = true;
                8
            }
            AUTHENTICATION => (usize::from(next[1]) + 2) * 4,
            _ => (usize::from(next[1]) + 1) * 8,
        };
        protocol = next[0];
    }
    match protocol {
        UDP => Some(Inside::new(udp6_kind(packet, at), sender)),
        ICMPV6 => {
            let end = head.len() + usize::from(u16::from_be_bytes([head[4], head[5]]));
            let hidden = Inside::new(Kind::Hidden, sender);
            Some(in_icmpv6(packet, at, end, sender, is_fragment).unwrap_or(hidden))
        }
        PIM if packet.get(at) == Some(&HELLO) => Some(Inside::new(Kind::PimHello, sender)),
        _ => Some(Inside::new(Kind::Ip, sender)),
    }
}

fn udp6_kind(packet: &[u8], udp: usize) -> Kind {
    match u16_at(packet, udp + 2) {
        None => Kind::Hidden,
        Some(DHCP6_CLIENT) => Kind::DhcpServer,
        Some(DHCP6_SERVER) => match packet.get(udp + UDP_BYTES) {
            None => Kind::Hidden,
            // ADVERTISE, REPLY, RECONFIGURE, RELAY-REPL
            Some(2 | 7 | 10 | 13) => Kind::DhcpServer,
            Some(_) => Kind::Ip,
        },
        Some(_) => Kind::Ip,
    }
}

/// `end` is where the packet ends by its own word. `None` if it cannot be judged.
fn in_icmpv6(
    packet: &[u8],
    at: usize,
    end: usize,
    sender: Option<IpAddr>,
    is_fragment: bool,
) -> Option<Inside> {
    let (kind, head, wanted) = match packet.get(at)? {
        133 => (Kind::RouterSolicitation, 8, Some(SOURCE_MAC)),
        134 => (Kind::RouterAdvertisement, 16, Some(SOURCE_MAC)),
        135 => (Kind::Solicitation, 24, Some(SOURCE_MAC)),
        136 => (Kind::Advertisement, 24, Some(TARGET_MAC)),
        137 => (Kind::Redirect, 40, None),
        130 => return Some(Inside::new(Kind::GroupQuery, sender)),
        131 | 132 | 143 => return Some(Inside::new(Kind::GroupReport, sender)),
        _ => return Some(Inside::new(Kind::Ip, sender)),
    };
    let message = packet.get(at..end).filter(|_| !is_fragment)?;
    let told = find_mac(message.get(head..)?, wanted)?;
    let about_one = matches!(kind, Kind::Solicitation | Kind::Advertisement);
    let target = if about_one { ipv6_at(message, 8) } else { None };
    Some(Inside { kind, sender, target, told })
}

/// The MAC in the options of one type, if there is one; `None` where they are malformed.
///
/// Two that differ are malformed: nobody knows which of them a host believes.
#[expect(clippy::option_option, reason = "malformed is not the same as absent")]
fn find_mac(mut options: &[u8], wanted: Option<u8>) -> Option<Option<Mac>> {
    let mut told = None;
    for _ in 0..MAX_OPTIONS {
        if options.is_empty() {
            return Some(told);
        }
        let size = usize::from(*options.get(1)?) * 8;
        if size == 0 {
            return None;
        }
        let option = options.get(..size)?;
        if Some(option[0]) == wanted {
            let mac = option[2..OPTION_BYTES].first_chunk().copied();
            if size != OPTION_BYTES || (told.is_some() && told != mac) {
                return None;
            }
            told = mac;
        }
        options = &options[size..];
    }
    options.is_empty().then_some(told)
}

/// The IPv4 address at `at`, if the bytes reach that far.
#[must_use]
pub fn ipv4_at(bytes: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(IpAddr::from(octets))
}

/// The IPv6 address at `at`, if the bytes reach that far.
#[must_use]
pub fn ipv6_at(bytes: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    Some(IpAddr::from(octets))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn advertisement(options: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((24 + options.len() as u16).to_be_bytes());
        packet.extend([ICMPV6, 255]);
        packet.extend([[1; 16], [2; 16]].concat());
        packet.extend([136, 0, 0, 0, 0x60, 0, 0, 0]);
        packet.extend([3; 16]);
        packet.extend(options);
        packet
    }

    #[test]
    fn an_advertisement_tells_of_its_target() {
        let told = Inside::look(IPV6, &advertisement(&[TARGET_MAC, 1, 2, 0, 0, 0, 0, 9]));
        assert_eq!(told.kind, Kind::Advertisement);
        assert_eq!(told.sender, Some(IpAddr::from([1; 16])));
        assert_eq!(told.target, Some(IpAddr::from([3; 16])));
        assert_eq!(told.told, Some([2, 0, 0, 0, 0, 9]));
    }

    #[test]
    fn what_cannot_be_judged_is_hidden() {
        let two = [[TARGET_MAC, 1, 2, 0, 0, 0, 0, 9], [TARGET_MAC, 1, 2, 0, 0, 0, 0, 8]].concat();
        for options in [&[TARGET_MAC, 0][..], &[TARGET_MAC, 2, 0], &[9], &two, &[1, 1].repeat(400)]
        {
            assert_eq!(Inside::look(IPV6, &advertisement(options)).kind, Kind::Hidden);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(
            ethertype in prop::sample::select(vec![IPV4, IPV6, ARP]),
            first in prop::sample::select(vec![0x45u8, 0x4f, 0x60, 0]),
            next in prop::sample::select(vec![0u8, 17, 43, 44, 51, 58, 60]),
            mut bytes in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            if bytes.len() > 9 {
                bytes[0] = first;
                bytes[6] = next;
                bytes[9] = next;
            }
            let inside = Inside::look(ethertype, &bytes);
            prop_assert!(ethertype != ARP || inside.kind != Kind::Ip);
        }
    }
}
