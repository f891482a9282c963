//! Frames that are almost right: a kernel's TCP or UDP packet, of which some bytes are changed.

use l2mesh_core::ethernet::Mac;
use l2mesh_core::offload::checksum::{complete, find_segment, sum};
use l2mesh_core::sink::OpenChecksum;

use crate::input::Input;

/// Between which stations, how long at most, and whether the L4 checksum is to be open.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Candidates for both addresses.
    pub macs: &'a [Mac],
    /// Most bytes of payload.
    pub payload: u16,
    /// Leave the checksum to somebody else.
    pub is_open: bool,
}

/// A frame, and how it may lie.
pub fn frame(input: &mut Input<'_>, wanted: &Wanted<'_>) -> Vec<u8> {
    let (kind, shape) = (input.u8(), input.u8());
    let mut frame = Vec::with_capacity(128);
    frame.extend(input.one_of(wanted.macs));
    frame.extend(input.one_of(wanted.macs));
    for _ in 0..[0, 0, 0, 1, 2, 3][usize::from(kind & 7) % 6] {
        frame.extend([0x81, 0x00, kind & 0x60, input.u8()]);
    }
    let (is_ipv6, is_udp) = (kind & 0x10 != 0, kind & 0x20 != 0);
    let options = if is_udp { 0 } else { usize::from(shape & 3) * 4 };
    let l4_bytes = if is_udp { 8 } else { 20 + options };
    let payload = usize::from(input.u16() % (wanted.payload + 1));
    let protocol = if is_udp { 17 } else { 6 };
    let ip = frame.len() + 2;
    push_ip(&mut frame, input, is_ipv6, protocol, l4_bytes + payload);
    let l4 = frame.len();
    frame.extend([0x14, input.u8() & 1, 0x20, 0x01]);
    if is_udp {
        frame.extend(((8 + payload) as u16).to_be_bytes());
        frame.extend([0, 0]);
    } else {
        frame.extend(u32::from(input.u16()).wrapping_mul(1000).to_be_bytes());
        frame.extend([
            0,
            0,
            0,
            77,
            ((20 + options) as u8 / 4) << 4,
            shape | 0x10,
            1,
            1,
            0,
            0,
            0,
            0,
        ]);
        frame.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2][..options].iter());
    }
    frame.resize(frame.len() + payload, shape);
    if !is_ipv6 {
        let value = !sum(&frame[ip..l4]);
        frame[ip + 10..ip + 12].copy_from_slice(&value.to_be_bytes());
    }
    lie(&mut frame, input);
    if let Some(segment) = find_segment(&frame) {
        let field = usize::from(segment.open_checksum().start + segment.open_checksum().offset);
        if let Some(room) = frame.get_mut(field..field + 2) {
            room.copy_from_slice(&segment_pseudo(protocol, l4_bytes + payload));
        }
        if !wanted.is_open {
            let _ = complete(&mut frame);
        }
    }
    frame
}

/// Where the kernel would say that the checksum is open.
#[must_use]
pub fn open_of(frame: &[u8]) -> Option<OpenChecksum> {
    find_segment(frame).map(|segment| segment.open_checksum())
}

fn segment_pseudo(protocol: u8, length: usize) -> [u8; 2] {
    (u16::from(protocol) + length as u16).to_be_bytes()
}

fn push_ip(frame: &mut Vec<u8>, input: &mut Input<'_>, is_ipv6: bool, protocol: u8, length: usize) {
    if is_ipv6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend((length as u16).to_be_bytes());
        frame.extend([protocol, 64]);
        frame.extend([0; 32]);
    } else {
        frame.extend([0x08, 0x00, 0x45, 0x00]);
        frame.extend(((20 + length) as u16).to_be_bytes());
        frame.extend([0, input.u8(), 0x40, 0, 64, protocol, 0, 0]);
        frame.extend([0; 8]);
    }
}

/// Changes some bytes, mostly of headers, and the end.
fn lie(frame: &mut Vec<u8>, input: &mut Input<'_>) {
    for _ in 0..input.u8() & 3 {
        let at = usize::from(input.u8()) % frame.len().min(96);
        frame[at] = input.u8();
    }
    match input.u8() {
        0 => frame.truncate(usize::from(input.u16()) % (frame.len() + 1)),
        1 => frame.resize(frame.len() + usize::from(input.u8()), 0),
        _ => {}
    }
}
