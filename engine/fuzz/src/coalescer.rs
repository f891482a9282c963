//! Merging what a hostile peer would like to see merged.

use l2mesh_core::offload::coalesce::{Coalescer, MOST_FRAMES, Place, Switches};
use l2mesh_core::offload::split::Split;
use l2mesh_core::offload::virtio;
use l2mesh_core::sink::FrameMeta;

use crate::frames::{Wanted, frame, open_of};
use crate::input::Input;

const MOST: usize = 200;

/// One batch.
///
/// # Panics
/// When bytes are lost or made, or an item is nothing that a kernel takes.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let macs = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
    let wanted = Wanted { macs: &macs, payload: 1500, is_open: input.coin() };
    let switches = Switches { tcp: !input.coin(), udp: !input.coin() };
    let mut coalescer = Coalescer::new(switches);
    let (mut memory, mut pushed) = (Vec::new(), 0);
    while !input.is_empty() && pushed < MOST {
        let one = frame(&mut input, &wanted);
        let open = open_of(&one).filter(|_| wanted.is_open);
        // runs of equal frames are what a flood looks like
        for _ in 0..=input.u8() & 3 {
            let (start, length) = (memory.len() as u32, one.len() as u32);
            memory.extend_from_slice(&one);
            coalescer.push(7, &[], &one, Place { buffer: 0, start, length }, open);
            pushed += 1;
        }
    }
    let mut frames = 0;
    for item in coalescer.items() {
        frames += item.frames;
        let mut whole = item.header.to_vec();
        for place in item.pieces {
            whole.extend_from_slice(&memory[place.start as usize..][..place.length as usize]);
        }
        assert!(item.frames > 0 && item.frames <= MOST_FRAMES);
        assert!((item.frames > 1) == item.gso.is_some());
        let meta = FrameMeta { open_checksum: item.open_checksum, gso: item.gso };
        assert_eq!(virtio::parse(item.vnet, &whole), Ok(meta));
        if let (Some(gso), Some(open)) = (item.gso, item.open_checksum) {
            let split = Split::plan(&whole, gso, open, usize::MAX).expect("a super-frame");
            assert_eq!(split.count(), item.frames);
        }
    }
    assert_eq!(frames, pushed);
}
