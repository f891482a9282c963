//! The internet checksum (RFC 1071), whole, open and of pseudo headers.
//!
//! An *open* checksum is a field that holds only the folded sum of the pseudo header, not
//! inverted: whoever completes it sums from the start of the TCP or UDP header with the field in
//! it, and writes the complement. A frame may travel so (flag CSUM, section 4) if it has at most
//! two tags, unfragmented IPv4 or IPv6 without extension headers, and TCP or UDP. Both ends find
//! the place themselves, so that no sender can make a receiver write elsewhere.

use crate::sink::OpenChecksum;

/// Ethertype of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// Ethertype of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Of the checksum field, from the start of a TCP header.
pub const TCP_FIELD: u16 = 16;
/// Of the checksum field, from the start of a UDP header.
pub const UDP_FIELD: u16 = 6;

const ETHERNET_BYTES: usize = 14;
const TAG_BYTES: usize = 4;
const MOST_TAGS: usize = 2;
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
/// Of IPv4: more fragments, and the fragment offset.
pub const FRAGMENT_MASK: u16 = 0x3fff;

/// Where the parts of a frame lie that an offload needs, in bytes from the frame's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The IP header.
    pub ip: usize,
    /// The TCP or UDP header.
    pub start: usize,
    /// Behind the TCP or UDP payload; Ethernet padding lies beyond.
    pub end: usize,
    /// `TCP` or `UDP`.
    pub protocol: u8,
    /// IPv6, not IPv4.
    pub is_ipv6: bool,
}

impl Segment {
    /// Where the checksum is, as virtio says it.
    #[must_use]
    pub fn open_checksum(&self) -> OpenChecksum {
        let offset = if self.protocol == TCP { TCP_FIELD } else { UDP_FIELD };
        OpenChecksum { start: self.start as u16, offset }
    }

    /// The folded sum of this segment's pseudo header.
    #[must_use]
    pub fn pseudo(&self, frame: &[u8]) -> u16 {
        let addresses = if self.is_ipv6 {
            &frame[self.ip + 8..self.ip + 40]
        } else {
            &frame[self.ip + 12..self.ip + 20]
        };
        pseudo_sum(addresses, self.protocol, self.end - self.start)
    }
}

/// The 16 bits in network order at `at`.
#[must_use]
#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Writes 16 bits in network order at `at`.
pub(crate) fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Ethertype and where the payload starts, behind at most two tags; None for a runt.
#[must_use]
pub fn ethertype(frame: &[u8]) -> Option<(u16, usize)> {
    let mut at = ETHERNET_BYTES;
    for _ in 0..=MOST_TAGS {
        if frame.len() < at {
            return None;
        }
        let found = u16_at(frame, at - 2);
        if !matches!(found, 0x8100 | 0x88a8) {
            return Some((found, at));
        }
        at += TAG_BYTES;
    }
    // a third tag is payload like any other
    let at = at - TAG_BYTES;
    Some((u16_at(frame, at - 2), at))
}

/// The segment whose checksum may be left open, None where there is none.
#[must_use]
pub fn find_segment(frame: &[u8]) -> Option<Segment> {
    let (kind, at) = ethertype(frame)?;
    match kind {
        ETHERTYPE_IPV4 => in_ipv4(frame, at),
        ETHERTYPE_IPV6 => in_ipv6(frame, at),
        _ => None,
    }
}

/// The same for what is behind the Ethernet header, from whose end all offsets then count.
#[must_use]
pub fn find_in_packet(ethertype: u16, packet: &[u8]) -> Option<Segment> {
    match ethertype {
        ETHERTYPE_IPV4 => in_ipv4(packet, 0),
        ETHERTYPE_IPV6 => in_ipv6(packet, 0),
        _ => None,
    }
}

fn in_ipv4(frame: &[u8], at: usize) -> Option<Segment> {
    if frame.len() < at + IPV4_BYTES || frame[at] >> 4 != 4 {
        return None;
    }
    if u16_at(frame, at + 6) & FRAGMENT_MASK != 0 {
        return None;
    }
    let header = usize::from(frame[at] & 0x0f) * 4;
    if header < IPV4_BYTES {
        return None;
    }
    let total = usize::from(u16_at(frame, at + 2));
    let (start, end) = (at + header, at + total);
    bounded(frame, Segment { ip: at, start, end, protocol: frame[at + 9], is_ipv6: false })
}

fn in_ipv6(frame: &[u8], at: usize) -> Option<Segment> {
    if frame.len() < at + IPV6_BYTES || frame[at] >> 4 != 6 {
        return None;
    }
    let start = at + IPV6_BYTES;
    let end = start + usize::from(u16_at(frame, at + 4));
    bounded(frame, Segment { ip: at, start, end, protocol: frame[at + 6], is_ipv6: true })
}

fn bounded(frame: &[u8], segment: Segment) -> Option<Segment> {
    let shortest = match segment.protocol {
        TCP => 20,
        UDP => 8,
        _ => return None,
    };
    let fits = segment.end <= frame.len() && segment.end >= segment.start + shortest;
    fits.then_some(segment)
}

/// The sum of 16-bit words, folded to 16 bits, in network order; odd bytes count as if a zero
/// followed. Zero only if every byte is zero.
#[must_use]
pub fn sum(data: &[u8]) -> u16 {
    fold(partial(data))
}

/// The same, not folded, for sums of several parts; every part but the last has an even length.
#[must_use]
fn partial(data: &[u8]) -> u64 {
    // Four bytes at a time in the machine's order: ones' complement sums do not mind, as long as
    // the result is turned once. 64 bits hold the sum of 2^32 of them.
    let (words, rest) = data.as_chunks::<4>();
    let mut total = 0u64;
    for word in words {
        total = total.wrapping_add(u64::from(u32::from_ne_bytes(*word)));
    }
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    total.wrapping_add(u64::from(u32::from_ne_bytes(last)))
}

fn fold(mut total: u64) -> u16 {
    total = (total & 0xffff_ffff) + (total >> 32);
    total = (total & 0xffff) + ((total >> 16) & 0xffff) + (total >> 32);
    total = (total & 0xffff) + (total >> 16);
    total = (total & 0xffff) + (total >> 16);
    u16::from_be(total as u16)
}

/// Ones' complement addition of two folded sums.
#[must_use]
pub fn add(a: u16, b: u16) -> u16 {
    let (total, carry) = a.overflowing_add(b);
    total.wrapping_add(u16::from(carry))
}

/// The folded sum of a pseudo header: `addresses` are both, 8 or 32 bytes.
#[must_use]
pub fn pseudo_sum(addresses: &[u8], protocol: u8, length: usize) -> u16 {
    let length = length as u32;
    let length = add((length >> 16) as u16, length as u16);
    add(add(sum(addresses), u16::from(protocol)), length)
}

/// The complement, with which a header of `protocol` carries a folded sum; UDP has no zero.
#[must_use]
pub fn finish(sum: u16, protocol: u8) -> u16 {
    match !sum {
        0 if protocol == UDP => 0xffff,
        value => value,
    }
}

/// Completes an open checksum of a frame of any protocol, as the kernel says where; false, and
/// nothing is changed, when that lies outside.
#[must_use]
pub fn complete_at(frame: &mut [u8], open: OpenChecksum) -> bool {
    let start = usize::from(open.start);
    let field = start + usize::from(open.offset);
    if field + 2 > frame.len() {
        return false;
    }
    // only UDP has its field there, of all that the kernel leaves open
    let protocol = if open.offset == UDP_FIELD { UDP } else { TCP };
    let value = finish(sum(&frame[start..]), protocol);
    put_u16(frame, field, value);
    true
}

/// Completes the open checksum of a frame with flag CSUM; false, and nothing is changed, when it
/// cannot have one (`bad_offload`).
#[must_use]
pub fn complete(frame: &mut [u8]) -> bool {
    let Some(segment) = find_segment(frame) else {
        return false;
    };
    let open = segment.open_checksum();
    let value = finish(sum(&frame[segment.start..segment.end]), segment.protocol);
    put_u16(frame, segment.start + usize::from(open.offset), value);
    true
}

/// Whether the complete checksum of a segment is right. UDP without one (IPv4 only) is not.
#[must_use]
pub fn is_valid(frame: &[u8], segment: &Segment) -> bool {
    let field = segment.start + usize::from(segment.open_checksum().offset);
    let absent = segment.protocol == UDP && u16_at(frame, field) == 0;
    !absent && add(segment.pseudo(frame), sum(&frame[segment.start..segment.end])) == 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071, word by word.
    fn slow_sum(data: &[u8]) -> u16 {
        let mut total = 0u32;
        for pair in data.chunks(2) {
            total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            total = (total & 0xffff) + (total >> 16);
        }
        total as u16
    }

    #[test]
    fn the_example_of_rfc_1071_sums_to_ddf2() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }

    #[test]
    fn a_third_tag_is_no_tag() {
        let mut frame = [0; 40];
        for at in [12, 16, 20] {
            frame[at] = 0x81;
        }
        assert_eq!(ethertype(&frame), Some((0x8100, 22)));
        assert_eq!(ethertype(&frame[..21]), None);
    }

    #[test]
    fn the_field_is_where_the_kernel_says_or_nothing_changes() {
        let mut frame = [7; 30];
        assert!(!complete_at(&mut frame, OpenChecksum { start: 20, offset: 9 }));
        assert!(!complete_at(&mut frame, OpenChecksum { start: 65535, offset: 65535 }));
        assert_eq!(frame, [7; 30]);
        assert!(complete_at(&mut frame, OpenChecksum { start: 20, offset: 8 }));
    }

    proptest! {
        #[test]
        fn sums_equal_the_obvious_ones(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(sum(&data), slow_sum(&data));
        }

        #[test]
        fn any_bytes_are_looked_at_without_harm(
            mut frame in proptest::collection::vec(any::<u8>(), 0..120),
            kind in prop_oneof![Just(0x0800u16), Just(0x86dd), Just(0x8100)],
            version in prop_oneof![Just(0x45u8), Just(0x60), any::<u8>()],
        ) {
            if frame.len() > 16 {
                put_u16(&mut frame, 12, kind);
                frame[14] = version;
            }
            if let Some(segment) = find_segment(&frame) {
                prop_assert!(segment.start < segment.end && segment.end <= frame.len());
                let open = segment.open_checksum();
                let pseudo = segment.pseudo(&frame);
                put_u16(&mut frame, usize::from(open.start + open.offset), pseudo);
                prop_assert!(complete(&mut frame));
                let segment = find_segment(&frame).expect("completing moves nothing");
                prop_assert!(is_valid(&frame, &segment));
            } else {
                let before = frame.clone();
                prop_assert!(!complete(&mut frame));
                prop_assert_eq!(before, frame);
            }
        }
    }
}
