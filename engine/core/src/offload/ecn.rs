//! Telling a sender of congestion: the two bits of Explicit Congestion Notification (RFC 3168).

use crate::offload::checksum::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, add, ethertype, put_u16, u16_at};

const IPV4_BYTES: usize = 20;
const IPV4_SUM: usize = 10;
/// Of the octet with the class: the sender may be told by a mark; all bits: it is.
const IPV4_CE: u16 = 0b11;
/// The same in the first two octets of IPv6, whose class begins in the middle of the first.
const IPV6_CE: u16 = 0b11 << 4;

/// Marks a frame "congestion experienced", if its sender understands that: codepoint ECT(0) or
/// ECT(1), or marked already. Else nothing is changed, and the answer is no. Only the first bytes
/// of the frame are needed, with the IP header.
#[must_use]
pub fn mark(frame: &mut [u8]) -> bool {
    let Some((kind, at)) = ethertype(frame) else { return false };
    let (bits, header) = match kind {
        ETHERTYPE_IPV4 => (IPV4_CE, IPV4_BYTES),
        ETHERTYPE_IPV6 => (IPV6_CE, 2),
        _ => return false,
    };
    if frame.len() < at + header {
        return false;
    }
    let old = u16_at(frame, at);
    if old & bits == 0 {
        return false;
    }
    let new = old | bits;
    put_u16(frame, at, new);
    if kind == ETHERTYPE_IPV4 {
        // RFC 1624: HC' = ~(~HC + ~m + m')
        let sum = u16_at(frame, at + IPV4_SUM);
        put_u16(frame, at + IPV4_SUM, !add(add(!sum, !old), new));
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::offload::checksum::sum;

    fn ipv4(class: u8, rest: [u8; 16]) -> Vec<u8> {
        let mut packet = [vec![0x45, class], rest.to_vec(), vec![1, 2]].concat();
        put_u16(&mut packet, IPV4_SUM, 0);
        let right = !sum(&packet);
        put_u16(&mut packet, IPV4_SUM, right);
        packet
    }

    fn tagged(tags: usize, ethertype: u16, packet: &[u8]) -> Vec<u8> {
        let tags = [0x81, 0x00, 0, 7].repeat(tags);
        [&[2; 12][..], &tags, &ethertype.to_be_bytes(), packet].concat()
    }

    proptest! {
        #[test]
        fn a_mark_keeps_the_checksum_right(class: u8, rest: [u8; 16], tags in 0usize..3) {
            let mut frame = tagged(tags, ETHERTYPE_IPV4, &ipv4(class, rest));
            let before = frame.clone();
            let (at, is_capable) = (14 + 4 * tags, class & 3 != 0);
            prop_assert_eq!(mark(&mut frame), is_capable);
            prop_assert_eq!(frame[at + 1], if is_capable { class | 3 } else { class });
            prop_assert_eq!(sum(&frame[at..]), 0xffff);
            // nothing else was touched
            frame[at + 1] = before[at + 1];
            frame[at + 10..at + 12].copy_from_slice(&before[at + 10..at + 12]);
            prop_assert_eq!(frame, before);
        }

        #[test]
        fn ipv6_is_marked_in_its_class(class: u8, label: u8) {
            let head = [0x60 | class >> 4, class << 4 | label & 0xf];
            let mut frame = tagged(0, ETHERTYPE_IPV6, &[&head[..], &[9; 38]].concat());
            prop_assert_eq!(mark(&mut frame), class & 3 != 0);
            let marked = if class & 3 != 0 { class | 3 } else { class };
            prop_assert_eq!(&frame[14..16], &[0x60 | marked >> 4, marked << 4 | label & 0xf]);
            prop_assert_eq!(&frame[16..], &[9; 38]);
        }

        #[test]
        fn any_bytes_are_borne(mut frame in prop::collection::vec(any::<u8>(), 0..60)) {
            let before = frame.clone();
            if !mark(&mut frame) {
                prop_assert_eq!(frame, before);
            }
        }

        #[test]
        fn a_cut_frame_is_not_marked(cut in 0usize..33) {
            let mut frame = tagged(0, ETHERTYPE_IPV4, &ipv4(2, [0; 16]));
            frame.truncate(cut);
            prop_assert!(!mark(&mut frame));
        }
    }
}
