//! Super-frames are merged, cut again, and compared with what they were made of.

use proptest::prelude::*;

use crate::offload::checksum::{self, UDP, complete, put_u16, u16_at};
use crate::offload::coalesce::{Coalescer, Place, Switches};
use crate::offload::packets::{Packet, check};
use crate::offload::split::Split;
use crate::offload::virtio;
use crate::sink::{FrameMeta, Gso, GsoKind, OpenChecksum};

const ALL: Switches = Switches { tcp: true, udp: true };

/// What becomes of frames, each with whether its checksum is open; by hand, with copies.
fn merge(frames: &[(Vec<u8>, bool)], switches: Switches) -> Vec<(FrameMeta, Vec<u8>)> {
    let mut coalescer = Coalescer::new(switches);
    for (index, (frame, is_open)) in frames.iter().enumerate() {
        let open =
            is_open.then(|| checksum::find_segment(frame).map(|s| s.open_checksum())).flatten();
        // every other frame without its Ethernet header, if it has no tags
        let elided = if index % 2 == 1 { 14 } else { 0 };
        let length = (frame.len() - elided) as u32;
        let place = Place { buffer: index as u32, start: elided as u32, length };
        coalescer.push(7, &frame[..elided], &frame[elided..], place, open);
    }
    coalescer
        .items()
        .map(|item| {
            let mut bytes = item.header.to_vec();
            for piece in item.pieces {
                let (start, length) = (piece.start as usize, piece.length as usize);
                bytes.extend(&frames[piece.buffer as usize].0[start..start + length]);
            }
            let meta = FrameMeta { open_checksum: item.open_checksum, gso: item.gso };
            let parsed = virtio::parse(item.vnet, &bytes).expect("a header that the kernel takes");
            assert_eq!(parsed, meta);
            (meta, bytes)
        })
        .collect()
}

fn open(frames: Vec<Vec<u8>>) -> Vec<(Vec<u8>, bool)> {
    frames.into_iter().map(|frame| (frame, true)).collect()
}

fn closed(frames: Vec<Vec<u8>>) -> Vec<(Vec<u8>, bool)> {
    let finish = |mut frame: Vec<u8>| {
        assert!(complete(&mut frame));
        (frame, false)
    };
    frames.into_iter().map(finish).collect()
}

fn kind(packet: &Packet) -> GsoKind {
    match (packet.is_udp, packet.is_ipv6) {
        (true, _) => GsoKind::Udp,
        (false, true) => GsoKind::Tcp6,
        (false, false) => GsoKind::Tcp4,
    }
}

fn cut(packet: &Packet, size: u16) -> Vec<Vec<u8>> {
    let frame = packet.frame();
    let gso = Gso { kind: kind(packet), size, ecn: false };
    let offset = if packet.is_udp { 6 } else { 16 };
    let place = OpenChecksum { start: packet.l4() as u16, offset };
    let split = Split::plan(&frame, gso, place, 9999).expect("a valid super-frame");
    (0..split.count())
        .map(|index| {
            let mut to = vec![0; split.length(index)];
            split.write(index, &mut to);
            to
        })
        .collect()
}

fn lengths(merged: &[(FrameMeta, Vec<u8>)]) -> Vec<usize> {
    merged.iter().map(|(_, bytes)| bytes.len()).collect()
}

fn small(sequence: u32, flags: u8) -> Packet {
    Packet { sequence, flags, payload: vec![sequence as u8; 100], id: 0, ..Packet::default() }
}

fn count(packets: &[Packet]) -> usize {
    merge(&open(packets.iter().map(Packet::frame).collect()), ALL).len()
}

#[test]
fn what_was_split_is_whole_again() {
    for packet in [
        Packet::default(),
        Packet { tags: 2, ..Packet::default() },
        Packet { is_ipv6: true, flags: 0x58, ..Packet::default() },
        Packet { is_udp: true, df: false, ..Packet::default() },
    ] {
        for frames in [open(cut(&packet, 1000)), closed(cut(&packet, 1000))] {
            let merged = merge(&frames, ALL);
            assert_eq!(lengths(&merged), [packet.headers() + 4000]);
            assert_eq!(merged[0].1, packet.frame());
            let gso = merged[0].0.gso.expect("a super-frame");
            assert_eq!((gso.kind, gso.size), (kind(&packet), 1000));
        }
    }
}

#[test]
fn a_frame_alone_stays_as_it_is() {
    for frames in [open(vec![small(0, 0x18).frame()]), closed(vec![small(0, 0x18).frame()])] {
        let merged = merge(&frames, ALL);
        assert_eq!(merged[0].1, frames[0].0);
        assert_eq!(merged[0].0.gso, None);
        assert_eq!(merged[0].0.open_checksum.is_some(), frames[0].1);
    }
}

#[test]
fn only_what_follows_is_merged() {
    assert_eq!(count(&[small(0, 0x10), small(100, 0x10)]), 1);
    assert_eq!(count(&[small(0, 0x10), small(99, 0x10)]), 2);
    assert_eq!(count(&[small(0, 0x10), small(101, 0x10)]), 2);
    // PSH ends
    assert_eq!(count(&[small(0, 0x18), small(100, 0x10)]), 2);
    // ECE of both or none
    assert_eq!(count(&[small(0, 0x50), small(100, 0x10)]), 2);
    assert_eq!(count(&[small(0, 0x50), small(100, 0x50)]), 1);
    // SYN, FIN, RST, URG, CWR never, nor anything without ACK
    for flags in [0x12, 0x11, 0x14, 0x30, 0x90, 0x00] {
        assert_eq!(count(&[small(0, 0x10), small(100, flags)]), 2);
        assert_eq!(count(&[small(0, flags), small(100, 0x10)]), 2);
        assert_eq!(count(&[small(0, 0x10), small(100, flags), small(100, 0x10)]), 3);
    }
}

#[test]
fn a_longer_segment_opens_and_a_shorter_one_closes() {
    let longer = Packet { payload: vec![1; 101], ..small(100, 0x10) };
    let shorter = Packet { payload: vec![1; 99], ..small(100, 0x10) };
    assert_eq!(count(&[small(0, 0x10), longer]), 2);
    assert_eq!(count(&[small(0, 0x10), shorter.clone()]), 1);
    assert_eq!(count(&[small(0, 0x10), shorter, small(199, 0x10)]), 2);
}

#[test]
fn an_acknowledgement_passes_and_other_flows_may_lie_between() {
    let ack = Packet { payload: vec![], ..small(100, 0x10) };
    assert_eq!(count(&[small(0, 0x10), ack, small(100, 0x10)]), 2);
    let other = |sequence| Packet { port: 80, ..small(sequence, 0x10) };
    assert_eq!(count(&[small(0, 0x10), other(0), small(100, 0x10), other(100)]), 2);
}

#[test]
fn headers_must_agree() {
    let frames = |change: fn(&mut Vec<u8>)| {
        let mut second = small(100, 0x10).frame();
        change(&mut second);
        vec![small(0, 0x10).frame(), second]
    };
    let changes: [fn(&mut Vec<u8>); 7] = [
        |frame| frame[0] = 4,   // destination
        |frame| frame[15] ^= 1, // ECN
        |frame| frame[22] = 63, // TTL
        |frame| frame[34] ^= 1, // port
        |frame| frame[45] ^= 1, // acknowledgement
        |frame| frame[48] ^= 1, // window
        |frame| frame[65] ^= 1, // timestamp
    ];
    for change in changes {
        let mut frames = frames(change);
        put_u16(&mut frames[1], 24, 0);
        let sum = !checksum::sum(&frames[1][14..34]);
        put_u16(&mut frames[1], 24, sum);
        assert_eq!(merge(&open(frames), ALL).len(), 2);
    }
    assert_eq!(merge(&open(frames(|_| ())), ALL).len(), 1);
}

#[test]
fn wrong_checksums_stay_wrong() {
    let frames = vec![small(0, 0x10).frame(), small(100, 0x10).frame()];
    for (place, is_open) in [(24, true), (24, false), (50, false), (90, false)] {
        let mut frames = if is_open { open(frames.clone()) } else { closed(frames.clone()) };
        frames[1].0[place] ^= 1;
        let merged = merge(&frames, ALL);
        assert_eq!(merged.len(), 2, "byte {place}");
        assert_eq!(merged[1].1, frames[1].0);
    }
}

#[test]
fn identifications_count_up_where_the_kernel_sets_them() {
    let packet = |sequence, id| Packet { df: false, id, ..small(sequence, 0x10) };
    assert_eq!(count(&[packet(0, 0xffff), packet(100, 0)]), 1);
    assert_eq!(count(&[packet(0, 1), packet(100, 1)]), 2);
}

#[test]
fn padding_is_left_off() {
    let tiny = |sequence| Packet { payload: vec![9], options: vec![], ..small(sequence, 0x10) };
    let padded = |sequence| {
        let mut frame = tiny(sequence).frame();
        frame.resize(60, 0);
        frame
    };
    let merged = merge(&open(vec![padded(0), padded(1), padded(2)]), ALL);
    assert_eq!(lengths(&merged), [54 + 3]);
    check(&merged[0].1, true);
}

#[test]
fn datagrams_of_one_size_are_merged_and_none_passes_another() {
    let datagram = |port, bytes| {
        let payload = vec![3; bytes];
        Packet { is_udp: true, df: false, port, payload, ..Packet::default() }
    };
    let ids = |packets: Vec<Packet>| {
        packets
            .into_iter()
            .enumerate()
            .map(|(id, packet)| Packet { id: id as u16, ..packet })
            .collect::<Vec<_>>()
    };
    assert_eq!(count(&ids(vec![datagram(1, 22); 64])), 1);
    assert_eq!(count(&ids(vec![datagram(1, 22); 65])), 2);
    assert_eq!(count(&ids(vec![datagram(1, 22), datagram(1, 21), datagram(1, 22)])), 2);
    assert_eq!(count(&ids(vec![datagram(1, 22), datagram(1, 23), datagram(1, 22)])), 2);
    assert_eq!(count(&ids(vec![datagram(1, 22), datagram(1, 0), datagram(1, 22)])), 3);
}

#[test]
fn udp_without_a_checksum_stays_alone() {
    let packet = |id| Packet { is_udp: true, id, payload: vec![1; 50], ..Packet::default() };
    let mut frames = vec![packet(0).frame(), packet(1).frame()];
    for frame in &mut frames {
        put_u16(frame, 40, 0);
    }
    let frames: Vec<_> = frames.into_iter().map(|frame| (frame, false)).collect();
    assert_eq!(merge(&frames, ALL).len(), 2);
}

#[test]
fn what_no_flow_owns_ends_all() {
    let mut fragment = small(0, 0x10).frame();
    fragment[20] |= 0x20;
    let frames = vec![small(0, 0x10).frame(), fragment, small(100, 0x10).frame()];
    assert_eq!(merge(&open(frames), ALL).len(), 3);
}

#[test]
fn switches_turn_it_off() {
    let frames = open(cut(&Packet::default(), 1000));
    assert_eq!(merge(&frames, Switches { tcp: false, udp: true }).len(), 4);
    let frames = open(cut(&Packet { is_udp: true, ..Packet::default() }, 1000));
    assert_eq!(merge(&frames, Switches { tcp: true, udp: false }).len(), 4);
}

#[test]
fn a_super_frame_never_exceeds_what_ip_can_say() {
    let frames: Vec<_> = (0..10u32)
        .map(|i| {
            let packet = Packet { sequence: i * 9000, payload: vec![0; 9000], ..small(0, 0x10) };
            packet.frame()
        })
        .collect();
    let merged = merge(&open(frames), ALL);
    assert_eq!(lengths(&merged), [66 + 7 * 9000, 66 + 3 * 9000]);
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let flags = prop_oneof![Just(0x10u8), Just(0x18), Just(0x50), any::<u8>()];
    let shape = (0usize..3, any::<bool>(), 0usize..2, any::<bool>(), any::<bool>());
    (shape, 0u16..3, flags, 0u32..5, 0usize..130).prop_map(
        |((tags, is_ipv6, extensions, df, is_udp), port, flags, step, length)| Packet {
            tags,
            is_ipv6,
            extensions: if is_ipv6 { extensions } else { 0 },
            df,
            id: step as u16,
            is_udp,
            port,
            sequence: step * 100,
            flags,
            options: vec![],
            payload: vec![length as u8; if length > 100 { 100 } else { length }],
        },
    )
}

proptest! {
    /// The slow checker of everything: cutting what was merged gives the frames again, with
    /// those of a flow in their order, but for pure acknowledgements.
    #[test]
    fn cutting_what_was_merged_gives_the_same_frames(
        packets in proptest::collection::vec(any_packet(), 1..40), is_open: bool,
    ) {
        let plain: Vec<_> = packets.iter().map(Packet::frame).collect();
        let frames: Vec<(Vec<u8>, bool)> = plain
            .into_iter()
            .map(|mut frame| {
                let open = is_open && checksum::find_segment(&frame).is_some();
                if !open { let _ = complete(&mut frame); }
                (frame, open)
            })
            .collect();
        let mut again = Vec::new();
        for (meta, bytes) in merge(&frames, ALL) {
            let Some(gso) = meta.gso else {
                let open = meta.open_checksum.is_some();
                again.push((bytes, open));
                continue;
            };
            let place = meta.open_checksum.expect("every super-frame has one");
            let split = Split::plan(&bytes, gso, place, usize::MAX).expect("a valid super-frame");
            for index in 0..split.count() {
                let mut to = vec![0; split.length(index)];
                split.write(index, &mut to);
                check(&to, true);
                if !is_open { let _ = complete(&mut to); }
                again.push((to, is_open));
            }
        }
        // identifications of IPv4 with DF are the kernel's to choose
        let bare = |(mut frame, open): (Vec<u8>, bool)| {
            let at = checksum::ethertype(&frame).expect("long enough").1;
            if frame[at] == 0x45 && frame[at + 6] & 0x40 != 0 {
                put_u16(&mut frame, at + 4, 0);
                put_u16(&mut frame, at + 10, 0);
            }
            (frame, open)
        };
        let mut before: Vec<_> = frames.into_iter().map(bare).collect();
        let mut after: Vec<_> = again.into_iter().map(bare).collect();
        for flow in before.iter().filter_map(|(frame, _)| datagram_flow(frame)) {
            let of_flow = |frames: &[(Vec<u8>, bool)]| -> Vec<Vec<u8>> {
                let frames = frames.iter().map(|(frame, _)| frame.clone());
                frames.filter(|frame| datagram_flow(frame) == Some(flow)).collect()
            };
            prop_assert_eq!(of_flow(&before), of_flow(&after));
        }
        before.sort();
        after.sort();
        prop_assert_eq!(before, after);
    }

    #[test]
    fn no_bytes_do_harm(
        mut frames in proptest::collection::vec(any_packet(), 1..20),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..90, any::<u8>(), any::<bool>()), 0..20),
    ) {
        let mut bytes: Vec<_> = frames.drain(..).map(|packet| packet.frame()).collect();
        for (which, at, byte, cut) in changes {
            let index = which.index(bytes.len());
            let frame = &mut bytes[index];
            if cut { frame.truncate(at.max(14)); } else if at < frame.len() { frame[at] = byte; }
        }
        let mut coalescer = Coalescer::new(ALL);
        for (index, frame) in bytes.iter().enumerate() {
            let open = checksum::find_segment(frame).map(|segment| segment.open_checksum());
            let place = Place { buffer: index as u32, start: 0, length: frame.len() as u32 };
            coalescer.push(1, &[], frame, place, open);
        }
        let mut total = 0;
        for item in coalescer.items() {
            total += item.frames;
            for piece in item.pieces {
                let frame = &bytes[piece.buffer as usize];
                prop_assert!((piece.start + piece.length) as usize <= frame.len());
            }
        }
        prop_assert_eq!(total, bytes.len());
    }
}

/// What tells the flows of UDP in these tests apart.
fn datagram_flow(frame: &[u8]) -> Option<(usize, bool, u16)> {
    let segment = checksum::find_segment(frame)?;
    let flow = (segment.ip, segment.is_ipv6, u16_at(frame, segment.start));
    (segment.protocol == UDP).then_some(flow)
}
