//! Super-frames of every kind, cut and looked at frame by frame.

use super::*;
use crate::offload::packets::{Packet, check};
use proptest::prelude::*;

fn kind(packet: &Packet) -> GsoKind {
    match (packet.is_udp, packet.is_ipv6) {
        (true, _) => GsoKind::Udp,
        (false, true) => GsoKind::Tcp6,
        (false, false) => GsoKind::Tcp4,
    }
}

fn open(packet: &Packet) -> OpenChecksum {
    OpenChecksum { start: packet.l4() as u16, offset: if packet.is_udp { 6 } else { 16 } }
}

fn cut(packet: &Packet, size: u16, largest: usize) -> Vec<Vec<u8>> {
    let frame = packet.frame();
    let gso = Gso { kind: kind(packet), size, ecn: false };
    let split = Split::plan(&frame, gso, open(packet), largest).expect("a valid super-frame");
    let frames: Vec<Vec<u8>> = (0..split.count())
        .map(|index| {
            let mut to = vec![0xee; split.length(index)];
            split.write(index, &mut to);
            check(&to, split.open_checksum().is_some());
            let mut bare = vec![0xee; to.len() - 14];
            split.write_behind(index, 14, &mut bare);
            assert_eq!(bare, to[14..]);
            to
        })
        .collect();
    assert!(frames[..frames.len() - 1].iter().all(|frame| frame.len() == split.stride()));
    frames
}

fn flags(packet: &Packet, frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().map(|frame| frame[packet.l4() + 13]).collect()
}

#[test]
fn a_tcp_super_frame_is_cut_at_what_fits_the_path() {
    let packet = Packet::default();
    let frames = cut(&packet, 1448, 1400);
    let lengths: Vec<usize> = frames.iter().map(Vec::len).collect();
    assert_eq!(lengths, [1400, 1400, 66 + 4000 - 2 * 1334]);
}

#[test]
fn it_is_never_cut_above_the_size_that_the_kernel_meant() {
    let packet = Packet::default();
    assert_eq!(cut(&packet, 1000, 9000).len(), 4);
}

#[test]
fn what_would_show_is_cut_where_the_kernel_meant() {
    let shown = [
        Packet { df: false, ..Packet::default() },
        Packet { flags: 0x30, ..Packet::default() },
        Packet { options: vec![1, 1, 19, 2, 0, 0, 0, 0], ..Packet::default() },
        Packet { options: vec![29, 4, 1, 1], ..Packet::default() },
        Packet { options: vec![8, 1, 1, 1], ..Packet::default() },
        Packet { is_udp: true, ..Packet::default() },
    ];
    for packet in shown {
        assert_eq!(cut(&packet, 2000, 1400).len(), 2, "{packet:?}");
    }
    let packet = Packet { is_ipv6: true, df: false, ..Packet::default() };
    assert_eq!(cut(&packet, 2000, 1400).len(), 4);
}

#[test]
fn flags_are_where_the_kernel_puts_them() {
    // CWR, ECE, ACK, PSH, FIN
    let packet = Packet { flags: 0xd9, ..Packet::default() };
    assert_eq!(flags(&packet, &cut(&packet, 1500, 9000)), [0xd0, 0x50, 0x59]);
    assert_eq!(flags(&packet, &cut(&packet, 4000, 9000)), [0xd9]);
}

#[test]
fn sequence_numbers_and_identifications_wrap() {
    let frames = cut(&Packet::default(), 1000, 9000);
    let sequence =
        |frame: &Vec<u8>| u32::from_be_bytes([frame[38], frame[39], frame[40], frame[41]]);
    let ids: Vec<u16> = frames.iter().map(|frame| u16_at(frame, 18)).collect();
    assert_eq!(ids, [0xfffe, 0xffff, 0, 1]);
    assert_eq!(sequence(&frames[1]), 0xffff_ffe8);
    assert_eq!(sequence(&frames[2]), 0x3d0);
}

#[test]
fn behind_extension_headers_checksums_are_complete() {
    let packet = Packet { is_ipv6: true, extensions: 2, ..Packet::default() };
    let frame = packet.frame();
    let gso = Gso { kind: GsoKind::Tcp6, size: 1000, ecn: false };
    let split = Split::plan(&frame, gso, open(&packet), 1400).expect("a valid super-frame");
    assert_eq!(split.open_checksum(), None);
    assert_eq!(cut(&packet, 1000, 1400).len(), 4);
}

#[test]
fn headers_that_disagree_with_the_virtio_header_are_refused() {
    let packet = Packet::default();
    let frame = packet.frame();
    let right = Gso { kind: GsoKind::Tcp4, size: 1000, ecn: false };
    let place = open(&packet);
    let refused = |frame: &[u8], gso, open| Split::plan(frame, gso, open, 1400).is_err();
    assert!(!refused(&frame, right, place));
    assert!(refused(&frame, Gso { kind: GsoKind::Tcp6, ..right }, place));
    assert!(refused(&frame, Gso { kind: GsoKind::Udp, ..right }, place));
    assert!(refused(&frame, Gso { size: 0, ..right }, place));
    assert!(refused(&frame, right, OpenChecksum { start: 35, ..place }));
    assert!(refused(&frame, right, OpenChecksum { offset: 6, ..place }));
    assert!(refused(&frame, right, OpenChecksum { start: 65535, offset: 65535 }));
    assert!(refused(&frame[..66], right, place));
    let mut fragment = frame.clone();
    fragment[20] |= 0x20;
    assert!(refused(&fragment, right, place));
}

#[test]
fn an_open_checksum_travels_open_or_complete() {
    let packet = Packet { payload: vec![1; 100], ..Packet::default() };
    let mut frame = packet.frame();
    let meta = FrameMeta { open_checksum: Some(open(&packet)), gso: None };
    assert!(settle_checksum(&mut frame, &meta));
    check(&frame, true);
    let packet = Packet { is_ipv6: true, extensions: 1, ..packet };
    let mut frame = packet.frame();
    let meta = FrameMeta { open_checksum: Some(open(&packet)), gso: None };
    assert!(!settle_checksum(&mut frame, &meta));
    check(&frame, false);
}

pub(crate) fn any_packet() -> impl Strategy<Value = Packet> {
    let addressing = (0usize..3, any::<bool>(), 0usize..3, any::<bool>(), any::<u16>());
    let tcp = (any::<bool>(), any::<u32>(), any::<u8>(), 0usize..11);
    let payload = proptest::collection::vec(any::<u8>(), 1..6000);
    (addressing, tcp, payload).prop_map(
        |((tags, is_ipv6, extensions, df, id), (is_udp, sequence, flags, words), payload)| {
            let options = if is_udp { vec![] } else { vec![1; words * 4] };
            let extensions = if is_ipv6 { extensions } else { 0 };
            Packet {
                tags,
                is_ipv6,
                extensions,
                df,
                id,
                is_udp,
                sequence,
                flags,
                options,
                payload,
                port: id,
            }
        },
    )
}

proptest! {
    #[test]
    fn segments_are_valid_and_their_payloads_are_the_whole(
        packet in any_packet(), size in 64u16..9000, largest in 0usize..9000,
    ) {
        let frames = cut(&packet, size, largest);
        let payloads: Vec<u8> =
            frames.iter().flat_map(|frame| frame[packet.headers()..].to_vec()).collect();
        prop_assert_eq!(&payloads, &packet.payload);
        prop_assert!(frames.iter().all(|frame| frame.len() <= packet.headers() + usize::from(size)));
    }

    #[test]
    fn no_bytes_and_no_header_do_harm(
        packet in any_packet(), at in any::<prop::sample::Index>(), byte: u8,
        start: u16, offset: u16, size: u16, largest: usize, cut_at in any::<prop::sample::Index>(),
        honest: bool,
    ) {
        let mut frame = packet.frame();
        let length = frame.len().min(140);
        frame[at.index(length)] = byte;
        let frame = &frame[..if honest { frame.len() } else { cut_at.index(frame.len()) }];
        for kind in [GsoKind::Tcp4, GsoKind::Tcp6, GsoKind::Udp] {
            for place in [open(&packet), OpenChecksum { start, offset }] {
                let gso = Gso { kind, size, ecn: false };
                if let Ok(split) = Split::plan(frame, gso, place, largest) {
                    for index in [0, split.count() - 1] {
                        split.write(index, &mut vec![0; split.length(index)]);
                    }
                }
            }
        }
    }
}
