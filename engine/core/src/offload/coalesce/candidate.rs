//! What may be merged: the headers of one frame, and the rules that it has to fulfil by itself.

use crate::offload::checksum::{
    self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, FRAGMENT_MASK, Segment, TCP, UDP, add, u16_at,
};
use crate::offload::coalesce::{HEADER_BYTES, Place, Switches};
use crate::sink::OpenChecksum;

const ECE: u8 = 0x40;
const ACK: u8 = 0x10;
pub(super) const PSH: u8 = 0x08;
/// The flags, from the start of a TCP header.
pub(super) const TCP_FLAGS: usize = 13;

/// A frame as it was pushed.
pub(super) struct Frame<'a> {
    pub(super) network: u64,
    /// Its first bytes, then zeros.
    pub(super) header: &'a [u8; HEADER_BYTES],
    /// How many of them are not in `body`.
    pub(super) elided: usize,
    pub(super) length: usize,
    pub(super) body: &'a [u8],
    pub(super) place: Place,
    pub(super) open: Option<OpenChecksum>,
}

/// Where the headers of a candidate are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) ip: usize,
    pub(super) l4: usize,
    pub(super) payload: usize,
    pub(super) end: usize,
    pub(super) is_ipv6: bool,
    pub(super) is_udp: bool,
}

/// What can be done with a frame.
pub(super) enum Class {
    /// It may be merged.
    Candidate(Shape),
    /// It is of a flow whose super-frame must not grow behind it.
    Ends(Shape),
    /// It passes by.
    Alone,
    /// It could be of any flow.
    Unknown,
}

pub(super) fn classify(frame: &Frame<'_>, switches: Switches) -> Class {
    let header = &frame.header[..frame.length.min(HEADER_BYTES)];
    let Some((ethertype, ip)) = checksum::ethertype(header) else {
        return Class::Alone;
    };
    let segment = match ethertype {
        ETHERTYPE_IPV4 => in_ipv4(header, ip, frame.length),
        ETHERTYPE_IPV6 => in_ipv6(header, ip, frame.length),
        _ => return Class::Alone,
    };
    let Some(segment) = segment else {
        return Class::Unknown;
    };
    classify_segment(frame, &segment, switches)
}

/// The segment in an IPv4 packet without options and of the right sum, if all of it is there.
fn in_ipv4(header: &[u8], ip: usize, length: usize) -> Option<Segment> {
    let l4 = ip + 20;
    if header.len() < l4
        || header[ip] != 0x45
        || u16_at(header, ip + 6) & FRAGMENT_MASK != 0
        || checksum::sum(&header[ip..l4]) != 0xffff
    {
        return None;
    }
    let end = ip + usize::from(u16_at(header, ip + 2));
    let protocol = header[ip + 9];
    (end >= l4 && end <= length).then_some(Segment { ip, start: l4, end, protocol, is_ipv6: false })
}

fn in_ipv6(header: &[u8], ip: usize, length: usize) -> Option<Segment> {
    let l4 = ip + 40;
    if header.len() < l4 || header[ip] >> 4 != 6 {
        return None;
    }
    let end = l4 + usize::from(u16_at(header, ip + 4));
    let protocol = header[ip + 6];
    (end <= length).then_some(Segment { ip, start: l4, end, protocol, is_ipv6: true })
}

fn classify_segment(frame: &Frame<'_>, segment: &Segment, switches: Switches) -> Class {
    let Segment { ip, start: l4, end, protocol, is_ipv6 } = *segment;
    let header = frame.header;
    let (payload, is_udp) = match protocol {
        TCP if end >= l4 + 20 => {
            let bytes = usize::from(header[l4 + 12] >> 4) * 4;
            if bytes < 20 || l4 + bytes > end {
                return Class::Unknown;
            }
            (l4 + bytes, false)
        }
        UDP if end >= l4 + 8 => (l4 + 8, true),
        TCP | UDP => return Class::Unknown,
        // An extension header may hide one of the flows; other protocols are none of them.
        0 | 43 | 44 | 51 | 60 if is_ipv6 => return Class::Unknown,
        _ => return Class::Alone,
    };
    let shape = Shape { ip, l4, payload, end, is_ipv6, is_udp };
    if is_udp {
        let is_whole = usize::from(u16_at(header, l4 + 4)) == end - l4;
        if !switches.udp || !is_whole || payload == end {
            return Class::Ends(shape);
        }
    } else {
        let flags = header[l4 + TCP_FLAGS];
        // bits beside the data offset: accurate ECN, reserved
        if flags & !(PSH | ECE) != ACK || header[l4 + 12] & 0x0f != 0 {
            return Class::Ends(shape);
        }
        if payload == end {
            return Class::Alone;
        }
        if !switches.tcp {
            return Class::Ends(shape);
        }
    }
    if is_mergeable(frame, shape) { Class::Candidate(shape) } else { Class::Ends(shape) }
}

/// What even a frame that goes on where another ended has to fulfil: lengths that name its own
/// end, and checksums that merging does not make right.
fn is_mergeable(frame: &Frame<'_>, shape: Shape) -> bool {
    (shape.is_ipv6 || checksum::sum(&frame.header[shape.ip..shape.l4]) == 0xffff)
        && is_whole_and_right(frame, shape)
}

/// The same but for the sum of the IPv4 header.
pub(super) fn is_whole_and_right(frame: &Frame<'_>, shape: Shape) -> bool {
    let Shape { ip, l4, end, is_ipv6, is_udp, .. } = shape;
    let header = frame.header;
    let names_end = if is_ipv6 {
        usize::from(u16_at(header, ip + 4)) == end - l4
    } else {
        usize::from(u16_at(header, ip + 2)) == end - ip
    };
    if !names_end || (is_udp && usize::from(u16_at(header, l4 + 4)) != end - l4) {
        return false;
    }
    let protocol = if is_udp { UDP } else { TCP };
    let segment = Segment { ip, start: l4, end, protocol, is_ipv6 };
    let expected = segment.open_checksum();
    let field = u16_at(header, l4 + usize::from(expected.offset));
    if let Some(open) = frame.open {
        // whatever the open field holds: it gets the right sum when the item is written
        return open == expected;
    }
    // the body begins behind what did not travel, and that is Ethernet at most
    let Some(covered) = frame.body.get(l4 - frame.elided..end - frame.elided) else {
        return false;
    };
    let is_absent = is_udp && field == 0;
    !is_absent && add(segment.pseudo(header), checksum::sum(covered)) == 0xffff
}
