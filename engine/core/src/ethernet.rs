//! What a switch reads of an Ethernet frame: the addresses, the VLAN and where the payload begins.

/// A MAC address.
pub type Mac = [u8; 6];

/// Bytes of an Ethernet header without tags.
pub const HEADER_BYTES: usize = 14;
/// Bytes of an 802.1Q tag.
pub const TAG_BYTES: usize = 4;
/// Ethertype of IPv4.
pub const IPV4: u16 = 0x0800;
/// Ethertype of ARP.
pub const ARP: u16 = 0x0806;
/// Ethertype of IPv6.
pub const IPV6: u16 = 0x86dd;

const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const MAX_HEADER_BYTES: usize = HEADER_BYTES + 2 * TAG_BYTES;
const BROADCAST: Mac = [0xff; 6];
const DISCOVERY: [Mac; 6] = [
    [0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb], // mDNS, 224.0.0.251
    [0x01, 0x00, 0x5e, 0x00, 0x00, 0xfc], // LLMNR, 224.0.0.252
    [0x01, 0x00, 0x5e, 0x7f, 0xff, 0xfa], // SSDP, 239.255.255.250
    [0x33, 0x33, 0x00, 0x00, 0x00, 0xfb], // mDNS, ff02::fb
    [0x33, 0x33, 0x00, 0x01, 0x00, 0x03], // LLMNR, ff02::1:3
    [0x33, 0x33, 0x00, 0x00, 0x00, 0x0c], // SSDP, ff02::c and ff05::c
];

/// Where a destination MAC points to, as limits and flooding see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// One station.
    Unicast,
    /// Everybody.
    Broadcast,
    /// Everybody, with ethertype 0x0806.
    Arp,
    /// A group.
    Multicast,
    /// A group, with neighbour discovery (RFC 4861), which only a look inside tells.
    Nd,
    /// The group of mDNS (RFC 6762), LLMNR (RFC 4795) or SSDP.
    Discovery,
    /// 01-80-C2-00-00-00..0F: meant for the neighbour on the wire; a bridge keeps it.
    LinkLocal,
}

/// A frame, taken apart: at most two tags, a third one is payload to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Where it goes.
    pub destination: Mac,
    /// Where it comes from.
    pub source: Mac,
    /// VID of the outer tag; 0 if untagged or priority-tagged.
    pub vlan: u16,
    /// The one behind the tags.
    pub ethertype: u16,
    /// Bytes before `payload`: 14, 18 or 22.
    pub header: usize,
    /// What is behind the ethertype.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame whose bytes are `head`, which may be empty or a whole untagged Ethernet header,
    /// and then `body`. `None` for one that ends inside its header.
    #[must_use]
    pub fn parse(head: &[u8], body: &'a [u8]) -> Option<Self> {
        if head.is_empty() {
            return Self::parse_whole(body);
        }
        let (destination, rest) = head.split_first_chunk::<6>()?;
        let (source, rest) = rest.split_first_chunk::<6>()?;
        Some(Self {
            destination: *destination,
            source: *source,
            vlan: 0,
            ethertype: u16_at(rest, 0)?,
            header: HEADER_BYTES,
            payload: body,
        })
    }

    fn parse_whole(frame: &'a [u8]) -> Option<Self> {
        let (destination, rest) = frame.split_first_chunk::<6>()?;
        let (source, rest) = rest.split_first_chunk::<6>()?;
        let mut ethertype = u16_at(rest, 0)?;
        let (mut header, mut vlan) = (HEADER_BYTES, 0);
        while (ethertype == VLAN || ethertype == QINQ) && header < MAX_HEADER_BYTES {
            let control = u16_at(frame, header)?;
            ethertype = u16_at(frame, header + 2)?;
            if header == HEADER_BYTES {
                vlan = control & 0x0fff;
            }
            header += TAG_BYTES;
        }
        let (destination, source) = (*destination, *source);
        Some(Self { destination, source, vlan, ethertype, header, payload: &frame[header..] })
    }
}

/// The class of a destination MAC. `Nd` counts as `Multicast` here.
#[must_use]
pub fn classify(destination: Mac, ethertype: u16) -> Class {
    if destination[0] & 1 == 0 {
        Class::Unicast
    } else if destination == BROADCAST {
        if ethertype == ARP { Class::Arp } else { Class::Broadcast }
    } else if destination[..5] == [0x01, 0x80, 0xc2, 0, 0] && destination[5] <= 0x0f {
        Class::LinkLocal
    } else if DISCOVERY.contains(&destination) {
        Class::Discovery
    } else {
        Class::Multicast
    }
}

/// Whether a group is of the link alone (PAUSE and the like): no relay of any kind passes it on,
/// IEEE 802.1Q-2022 tables 8-1 to 8-3.
#[must_use]
pub fn is_mac_control(destination: Mac) -> bool {
    matches!(destination, [0x01, 0x80, 0xc2, 0, 0, 0x01 | 0x04])
}

/// Whether a source MAC names one station: neither a group nor all zero.
#[must_use]
pub fn is_learnable(source: Mac) -> bool {
    source[0] & 1 == 0 && source != [0; 6]
}

/// The number at `at`, if the bytes reach that far.
#[must_use]
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([two[0], two[1]]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(tags: &[(u16, u16)], ethertype: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]].concat();
        for (kind, control) in tags {
            bytes.extend(kind.to_be_bytes());
            bytes.extend(control.to_be_bytes());
        }
        bytes.extend(ethertype.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn the_outer_tag_names_the_vlan() {
        for tags in [&[][..], &[(VLAN, 0xe007)], &[(QINQ, 7), (VLAN, 9)]] {
            let bytes = frame(tags, IPV4, b"payload");
            let parsed = Frame::parse(&[], &bytes).expect("whole");
            assert_eq!(parsed.vlan, if tags.is_empty() { 0 } else { 7 });
            assert_eq!((parsed.ethertype, parsed.payload), (IPV4, &b"payload"[..]));
        }
        let bytes = frame(&[(VLAN, 1), (VLAN, 2)], VLAN, b"");
        assert_eq!(Frame::parse(&[], &bytes).expect("whole").ethertype, VLAN);
    }

    #[test]
    fn classes() {
        assert_eq!(classify([0xff; 6], IPV4), Class::Broadcast);
        assert_eq!(classify([0xff; 6], ARP), Class::Arp);
        assert_eq!(classify([0x01, 0x00, 0x5e, 0, 0, 0xfb], IPV4), Class::Discovery);
        assert_eq!(classify([0x01, 0x80, 0xc2, 0, 0, 0x0f], IPV4), Class::LinkLocal);
        assert_eq!(classify([0x01, 0x80, 0xc2, 0, 0, 0x10], IPV4), Class::Multicast);
        assert_eq!(classify([2, 0, 0, 0, 0, 1], ARP), Class::Unicast);
        assert!(!is_learnable([0; 6]) && !is_learnable([1; 6]) && is_learnable([2; 6]));
    }

    proptest! {
        #[test]
        fn an_elided_header_reads_like_a_whole_one(payload in prop::collection::vec(any::<u8>(), 0..60)) {
            let whole = frame(&[], IPV6, &payload);
            let (head, body) = whole.split_at(HEADER_BYTES);
            prop_assert_eq!(Frame::parse(head, body), Frame::parse(&[], &whole));
        }

        #[test]
        fn truncation_never_panics(kind in prop::sample::select(vec![VLAN, QINQ, IPV4]), cut in 0usize..30) {
            let bytes = frame(&[(kind, 1), (kind, 2)], kind, &[0; 8]);
            let short = &bytes[..cut.min(bytes.len())];
            let parsed = Frame::parse(&[], short);
            prop_assert!(parsed.is_none_or(|one| one.header + one.payload.len() == short.len()));
        }
    }
}
