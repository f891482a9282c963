//! Frames by which bridges find each other on a LAN and teach its switches (section 10.1).
//!
//! `l2mesh/switch/beacon.py` draws them. Every TAP of ours consumes one, and none crosses the mesh.

use crate::ethernet::{Frame, Mac};

/// Random bytes of a beacon.
pub type Nonce = [u8; 16];

const GROUP: Mac = [0x03, 0x6c, 0x32, 0x6d, 0x67, 0x01];
const ETHERTYPE: u16 = 0x88b6;
const BEACON: &[u8; 8] = b"l2mesh\x01\x01";
const NOTICE: &[u8; 8] = b"l2mesh\x01\x02";
const LEAST_BYTES: usize = 60;

/// Whether a frame belongs to this family, sound or not: then it goes nowhere.
#[must_use]
pub fn is_ours(frame: &Frame<'_>) -> bool {
    frame.ethertype == ETHERTYPE && frame.destination == GROUP
}

/// The nonce of a beacon; `None` for anything else of the family.
#[must_use]
pub fn parse_beacon(frame: &Frame<'_>) -> Option<Nonce> {
    frame.payload.strip_prefix(BEACON)?.first_chunk().copied()
}

/// The frame that teaches a LAN's switches where `station` is reached from now on.
#[must_use]
pub fn emit_notice(station: Mac, vlan: u16) -> Vec<u8> {
    let mut frame = [GROUP, station].concat();
    if vlan != 0 {
        frame.extend([0x81, 0]);
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend(ETHERTYPE.to_be_bytes());
    frame.extend(NOTICE);
    frame.resize(LEAST_BYTES, 0);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_of_the_family_and_no_beacon() {
        for (vlan, header) in [(0, 14), (7, 18)] {
            let bytes = emit_notice([2; 6], vlan);
            let frame = Frame::parse(&[], &bytes).expect("whole");
            assert!(is_ours(&frame) && parse_beacon(&frame).is_none());
            assert_eq!((frame.vlan, frame.header, frame.source), (vlan, header, [2; 6]));
        }
    }

    #[test]
    fn a_beacon_is_read_whole_or_not_at_all() {
        let mut bytes = emit_notice([2; 6], 0);
        bytes[21] = 1;
        bytes[22..38].copy_from_slice(&[9; 16]);
        let parse = |bytes: &[u8]| parse_beacon(&Frame::parse(&[], bytes).expect("whole"));
        assert_eq!(parse(&bytes), Some([9; 16]));
        assert_eq!(parse(&bytes[..38]), Some([9; 16]));
        assert_eq!(parse(&bytes[..37]), None);
    }
}
