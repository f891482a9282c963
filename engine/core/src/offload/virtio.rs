//! The header before each frame of a TAP opened with `IFF_VNET_HDR`.
//!
//! ```text
//! 0  u8   flags       1 = NEEDS_CSUM
//! 1  u8   gso_type    0 none, 1 TCP/IPv4, 4 TCP/IPv6, 5 UDP; 0x80 = CWR among its flags
//! 2  u16  hdr_len     bytes of headers, a hint when read
//! 4  u16  gso_size    L4 payload of a segment
//! 6  u16  csum_start  of the TCP or UDP header, from the start of the frame with its tags
//! 8  u16  csum_offset of the field, from csum_start
//! ```
//! Integers in the machine's order. From `include/uapi/linux/virtio_net.h`, Linux 6.18.

use crate::offload::checksum::{TCP_FIELD, UDP_FIELD};
use crate::sink::{FrameMeta, Gso, GsoKind, OpenChecksum};

/// Length of the header.
pub const VNET_HEADER_BYTES: usize = 10;

const NEEDS_CSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// A header that says what we do not understand, or what cannot be. The frame is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadVnetHeader;

/// What the kernel says of `frame`. `hdr_len` is not looked at: it may be any number.
///
/// # Errors
/// An unknown kind of super-frame, offsets outside of the frame, or a combination that the
/// kernel's own reader of this header would refuse.
pub fn parse(header: [u8; VNET_HEADER_BYTES], frame: &[u8]) -> Result<FrameMeta, BadVnetHeader> {
    let field = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
    let open_checksum = match header[0] & NEEDS_CSUM {
        0 => None,
        _ => Some(OpenChecksum { start: field(6), offset: field(8) }),
    };
    if let Some(open) = open_checksum
        && usize::from(open.start) + usize::from(open.offset) + 2 > frame.len()
    {
        return Err(BadVnetHeader);
    }
    let ecn = header[1] & GSO_ECN != 0;
    let kind = match header[1] & !GSO_ECN {
        GSO_NONE if !ecn => return Ok(FrameMeta { open_checksum, gso: None }),
        GSO_TCPV4 => GsoKind::Tcp4,
        GSO_TCPV6 => GsoKind::Tcp6,
        GSO_UDP_L4 if !ecn => GsoKind::Udp,
        _ => return Err(BadVnetHeader),
    };
    let offset = if kind == GsoKind::Udp { UDP_FIELD } else { TCP_FIELD };
    let size = field(4);
    if size == 0 || open_checksum.is_none_or(|open| open.offset != offset) {
        return Err(BadVnetHeader);
    }
    Ok(FrameMeta { open_checksum, gso: Some(Gso { kind, size, ecn }) })
}

/// The header that tells the kernel of a frame with `headers` bytes before its L4 payload.
#[must_use]
pub fn emit(meta: &FrameMeta, headers: u16) -> [u8; VNET_HEADER_BYTES] {
    let mut header = [0; VNET_HEADER_BYTES];
    if let Some(open) = meta.open_checksum {
        header[0] = NEEDS_CSUM;
        header[6..8].copy_from_slice(&open.start.to_ne_bytes());
        header[8..10].copy_from_slice(&open.offset.to_ne_bytes());
    }
    if let Some(gso) = meta.gso {
        header[1] = match gso.kind {
            GsoKind::Tcp4 => GSO_TCPV4,
            GsoKind::Tcp6 => GSO_TCPV6,
            GsoKind::Udp => GSO_UDP_L4,
        } | if gso.ecn { GSO_ECN } else { 0 };
        header[2..4].copy_from_slice(&headers.to_ne_bytes());
        header[4..6].copy_from_slice(&gso.size.to_ne_bytes());
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAME: [u8; 100] = [0; 100];

    fn header(flags: u8, kind: u8, size: u16, start: u16, offset: u16) -> [u8; 10] {
        let mut header = [flags, kind, 0xff, 0xff, 0, 0, 0, 0, 0, 0];
        header[4..6].copy_from_slice(&size.to_ne_bytes());
        header[6..8].copy_from_slice(&start.to_ne_bytes());
        header[8..10].copy_from_slice(&offset.to_ne_bytes());
        header
    }

    #[test]
    fn the_length_of_headers_is_only_a_hint() {
        let meta = parse(header(1, 1, 1448, 34, 16), &FRAME).expect("a valid header");
        assert_eq!(meta.open_checksum, Some(OpenChecksum { start: 34, offset: 16 }));
        assert_eq!(meta.gso, Some(Gso { kind: GsoKind::Tcp4, size: 1448, ecn: false }));
    }

    #[test]
    fn a_plain_frame_needs_nothing() {
        assert_eq!(parse(header(0, 0, 9, 9999, 9), &FRAME), Ok(FrameMeta::default()));
        // DATA_VALID
        assert_eq!(parse(header(2, 0, 0, 0, 0), &FRAME), Ok(FrameMeta::default()));
    }

    #[test]
    fn what_the_kernel_would_refuse_is_refused() {
        let refused = [
            header(1, 0x11, 1448, 34, 16), // accurate ECN, not asked for
            header(1, 3, 1448, 34, 6),     // UFO
            header(1, 0x20, 1448, 34, 6),  // UDP tunnel
            header(1, 0x80, 0, 34, 16),    // ECN of nothing
            header(1, 0x85, 1448, 34, 6),  // ECN of UDP
            header(1, 1, 0, 34, 16),       // segments without a size
            header(1, 1, 1448, 34, 6),     // TCP whose checksum is UDP's
            header(1, 5, 1448, 34, 16),    // and the reverse
            header(0, 1, 1448, 34, 16),    // a super-frame with a complete checksum
            header(1, 0, 0, 90, 10),       // a field behind the end
            header(1, 0, 0, 0xffff, 0xffff),
        ];
        for bytes in refused {
            assert_eq!(parse(bytes, &FRAME), Err(BadVnetHeader), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_emitted_alike(bytes: [u8; 10], length in 0usize..200) {
            if let Ok(meta) = parse(bytes, &vec![0; length]) {
                let again = emit(&meta, 54);
                prop_assert_eq!(parse(again, &vec![0; length]), Ok(meta));
            }
        }
    }
}
