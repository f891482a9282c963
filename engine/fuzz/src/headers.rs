//! Readers of headers: they take anything, and what they read is written the same way.

use l2mesh_core::ethernet::Frame;
use l2mesh_core::header::{
    DATA_BIT, data_word, parse_data, parse_piece, parse_relay, piece_head, relay_head,
};
use l2mesh_core::offload::checksum::{complete, complete_at, find_segment};
use l2mesh_core::offload::virtio;
use l2mesh_core::sink::OpenChecksum;

use crate::input::Input;

/// One datagram and one frame with its header.
///
/// # Panics
/// When a reader and its writer disagree.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let vnet = std::array::from_fn(|_| input.u8());
    let open = OpenChecksum { start: input.u16(), offset: input.u16() };
    let rest = input.0;
    if let Some((flags, index, counter)) = parse_data(rest) {
        let word = data_word(flags, index).to_be_bytes();
        assert!(word[0] == rest[0] | DATA_BIT && word[1..] == rest[1..4]);
        assert_eq!(counter.to_be_bytes(), rest[4..8]);
    }
    if let Some(relay) = parse_relay(rest) {
        assert_eq!(relay_head(relay)[1..], rest[1..8]);
    }
    if let Some((number, offset, total, piece)) = parse_piece(rest) {
        assert_eq!(piece_head(number, offset, total), rest[..8]);
        assert!(!piece.is_empty());
    }
    for head in [0, 14] {
        let (head, body) = rest.split_at(head.min(rest.len()));
        if let Some(frame) = Frame::parse(head, body) {
            assert!(frame.header + frame.payload.len() == rest.len() && frame.vlan < 4096);
        }
    }
    if let Ok(meta) = virtio::parse(vnet, rest) {
        let again = virtio::emit(&meta, u16::from_ne_bytes([vnet[2], vnet[3]]));
        assert_eq!(virtio::parse(again, rest), Ok(meta));
    }
    if let Some(segment) = find_segment(rest) {
        assert!(segment.start < segment.end && segment.end <= rest.len());
    }
    let mut frame = rest.to_vec();
    let _ = complete(&mut frame);
    let _ = complete_at(&mut frame, open);
    assert_eq!(frame.len(), rest.len());
}
