//! To which flow a frame belongs, as a number: what is sent over several uplinks is spread by it.
//!
//! A flow is what must stay in order: for IP both addresses, the protocol and, of unfragmented TCP
//! and UDP, both ports; else both MAC addresses and the ethertype. IPv6 extension headers are a
//! protocol to us. Nothing of this is on the wire, but both engines choose alike.

use crate::ethernet::{Frame, IPV4, IPV6, u16_at};
use crate::offload::checksum::{FRAGMENT_MASK, TCP, UDP};

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 divided by the golden ratio
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;

/// Which of `count` ways the flow of a frame takes; 0 for a frame that ends inside its header.
#[must_use]
pub fn way_of(frame: &[u8], count: usize) -> usize {
    ((u64::from(number(frame)) * count as u64) >> 32) as usize
}

fn number(frame: &[u8]) -> u32 {
    let Some(parsed) = Frame::parse(&[], frame) else { return 0 };
    let mixed = in_ip(parsed.ethertype, parsed.payload).unwrap_or_else(|| {
        let (head, rest) = frame.split_at(8);
        let stations = u64::from(be_u32(rest, 0).unwrap_or(0));
        mix(mix(0, be_u64(head)), stations << 16 | u64::from(parsed.ethertype))
    });
    (mixed >> 32) as u32
}

fn in_ip(ethertype: u16, packet: &[u8]) -> Option<u64> {
    match (ethertype, packet.first()? >> 4) {
        (IPV4, 4) if packet.len() >= IPV4_BYTES => {
            let header = usize::from(packet[0] & 0x0f) * 4;
            let is_whole = u16_at(packet, 6)? & FRAGMENT_MASK == 0;
            let ports = if is_whole { ports(packet, packet[9], header) } else { 0 };
            Some(mix(mix(0, be_u64(&packet[12..20])), u64::from(packet[9]) << 32 | ports))
        }
        (IPV6, 6) if packet.len() >= IPV6_BYTES => {
            let addresses =
                packet[8..IPV6_BYTES].chunks(8).fold(0, |mixed, word| mix(mixed, be_u64(word)));
            let ports = ports(packet, packet[6], IPV6_BYTES);
            Some(mix(addresses, u64::from(packet[6]) << 32 | ports))
        }
        _ => None,
    }
}

/// Both ports of TCP or UDP behind an IP header; 0 where there are none.
fn ports(packet: &[u8], protocol: u8, header: usize) -> u64 {
    match protocol {
        TCP | UDP => u64::from(be_u32(packet, header).unwrap_or(0)),
        _ => 0,
    }
}

/// One more word; what it says reaches the high bits.
fn mix(mixed: u64, word: u64) -> u64 {
    let product = (mixed ^ word).wrapping_mul(FACTOR);
    product ^ product >> 32
}

fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}

fn be_u64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(source: u16, fragment: u16) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend([8, 0, 0x45, 0, 0, 48, 0, 1]);
        frame.extend(fragment.to_be_bytes());
        frame.extend([64, 17, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2]);
        frame.extend(source.to_be_bytes());
        frame.extend([0, 53, 0, 28, 0, 0]);
        frame
    }

    #[test]
    fn ports_tell_flows_apart_unless_a_packet_is_cut() {
        let shares = |fragment| {
            let mut counts = [0; 3];
            (0..300).for_each(|port| counts[way_of(&udp(port, fragment), 3)] += 1);
            counts
        };
        assert!(shares(0).iter().all(|count| (70..130).contains(count)));
        assert_eq!(shares(0x2000).iter().filter(|count| **count > 0).count(), 1);
    }

    #[test]
    fn any_bytes_have_a_way() {
        let whole = udp(9, 0);
        for end in 0..whole.len() {
            assert!(way_of(&whole[..end], 4) < 4);
        }
    }
}
