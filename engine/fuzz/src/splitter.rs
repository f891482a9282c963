//! Cutting super-frames whose headers, sizes and offsets are anybody's.

use l2mesh_core::offload::split::Split;
use l2mesh_core::sink::{Gso, GsoKind, OpenChecksum};

use crate::frames::{Wanted, frame, open_of};
use crate::input::Input;

/// One super-frame.
///
/// # Panics
/// When a plan that was accepted does not hold, or payload is lost or made.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let macs = [[2, 0, 0, 0, 0, 1]];
    let whole = frame(&mut input, &Wanted { macs: &macs, payload: u16::MAX - 60, is_open: true });
    let kind = input.one_of(&[GsoKind::Tcp4, GsoKind::Tcp6, GsoKind::Udp]);
    let gso = Gso { kind, size: input.u16(), ecn: input.coin() };
    let told = OpenChecksum { start: input.u16(), offset: input.u16() };
    let open = if input.coin() { told } else { open_of(&whole).unwrap_or(told) };
    let largest = usize::from(input.u16());
    let Ok(split) = Split::plan(&whole, gso, open, largest) else { return };
    let (count, stride) = (split.count(), split.stride());
    assert!(count > 0 && split.length(count - 1) == split.last() && split.last() <= stride);
    let headers = headers_of(&whole, gso, open);
    let mut payload = 0;
    let mut made = vec![0; stride];
    for index in 0..count {
        let length = split.length(index);
        assert!(length == stride || index + 1 == count);
        // of many frames some are enough: each is written by itself
        if index < 3 || index + 2 > count || index % 64 == 0 {
            split.write(index, &mut made[..length]);
            assert_eq!(made[headers..length], whole[headers + payload..][..length - headers]);
        }
        payload += length - headers;
    }
    assert_eq!(payload, whole.len() - headers);
}

fn headers_of(frame: &[u8], gso: Gso, open: OpenChecksum) -> usize {
    let l4 = usize::from(open.start);
    l4 + if gso.kind == GsoKind::Udp { 8 } else { usize::from(frame[l4 + 12] >> 4) * 4 }
}
