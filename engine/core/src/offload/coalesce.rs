//! Merging the frames of one batch back into super-frames for the kernel that gets them.
//!
//! Whatever the frames were, merging changes nothing that their receiver can see: only frames are
//! merged that a kernel would make again of the super-frame, byte for byte, but for the
//! identification of IPv4 with DF set. The rules are the stricter ones of Linux, wireguard-go and
//! Nebula:
//!
//! * Equal in all frames: Ethernet header with all tags, the whole IP header but lengths,
//!   identification and checksum; ports, acknowledgement, data offset, window, options, and flags.
//! * IPv4 without options, no fragments, a right header checksum; without DF the identifications
//!   count up. IPv6 without extension headers. Ethernet padding is left off.
//! * TCP flags ACK, PSH and ECE alone, and a payload. Each sequence number is the one expected.
//! * UDP has a payload, and over IPv4 a checksum.
//! * All payloads but the last are equally long, and the last is not longer. It, or PSH, ends the
//!   super-frame, as do 64 frames or 65,535 bytes.
//! * Checksums are right, be they open (flag CSUM) or complete: merging leaves the sum to the
//!   kernel, and must not make a wrong one right.
//!
//! Any other frame is passed on as it is. SYN, FIN, RST, URG and CWR end the super-frame of their
//! flow; a pure acknowledgement does not. A frame that belongs to no flow one can see (a fragment,
//! an extension header) ends all. A super-frame takes the place of its first frame, and only the
//! newest one of a flow grows, so that nothing is reordered within a flow.
//!
//! A frame is first held against the item made last, and only then its flow is looked up. That is
//! all that flag CONT could promise, and it finds runs of senders that set no CONT, too.
//!
//! Nothing is copied but headers: pieces name the places where payloads lie.

use std::hash::{BuildHasher, RandomState};

use crate::offload::checksum::{
    self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Segment, TCP, UDP, add, put_u16, u16_at,
};
use crate::offload::virtio::{self, VNET_HEADER_BYTES};
use crate::sink::{FrameMeta, Gso, GsoKind, OpenChecksum};

/// Frames in one super-frame: what every kernel takes as one UDP super-frame.
pub const MOST_FRAMES: usize = 64;
/// Bytes behind the Ethernet header of a super-frame.
const MOST_BYTES: usize = 65_535;
/// Ethernet with two tags, IPv6, TCP with all options.
const HEADER_BYTES: usize = 14 + 8 + 40 + 60;
const ETHERNET_BYTES: usize = 14;
/// Flows looked for at once; one more takes the place of another, which then grows no more.
const FLOWS: usize = 256;
const NO_CHAIN: u32 = u32::MAX;

const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const ECE: u8 = 0x40;
const TCP_FLAGS: usize = 13;
const DF: u16 = 0x4000;
/// More fragments, and the fragment offset.
const FRAGMENT_MASK: u16 = 0x3fff;

/// Bytes that stay where they are until the batch has been written: `buffer` is the caller's
/// number for a piece of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which memory.
    pub buffer: u32,
    /// First byte in it.
    pub start: u32,
    /// How many bytes.
    pub length: u32,
}

/// A frame or super-frame to be written to a port: `header`, then `pieces`.
#[derive(Debug)]
pub struct Item<'a> {
    /// Whose port.
    pub network: u64,
    /// What to tell the kernel before it.
    pub vnet: [u8; VNET_HEADER_BYTES],
    /// First bytes of it; for a frame that was not merged often none.
    pub header: &'a [u8],
    /// The rest.
    pub pieces: &'a [Place],
    /// How many frames it was made of.
    pub frames: usize,
    /// What kind of super-frame it is.
    pub gso: Option<Gso>,
    /// Bytes of header and payload of frame 0, with which it can be cut again.
    pub open_checksum: Option<OpenChecksum>,
}

/// Which frames are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    /// TCP, over IPv4 and IPv6.
    pub tcp: bool,
    /// UDP, over IPv4 and IPv6.
    pub udp: bool,
}

/// The frames of one batch, in order.
#[derive(Debug)]
pub struct Coalescer {
    /// Which frames are merged, from the next frame on.
    pub switches: Switches,
    chains: Vec<Chain>,
    used: usize,
    flows: Box<[Slot; FLOWS]>,
    /// Slots of another generation are empty.
    generation: u32,
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    generation: u32,
    chain: u32,
}

/// One item in the making.
#[derive(Debug)]
struct Chain {
    network: u64,
    /// Of a candidate all headers, else the bytes that did not travel (ELIDED).
    header: [u8; HEADER_BYTES],
    header_length: usize,
    /// How many of them are not in `whole`.
    elided: usize,
    /// The first frame, to be written as it is if no other joins.
    whole: Place,
    open: Option<OpenChecksum>,
    shape: Shape,
    /// Payload bytes of the first frame, and of all but the last.
    size: usize,
    /// Of the first frame, before PSH is added.
    payload: usize,
    next_sequence: u32,
    next_id: u16,
    grows: bool,
    has_push: bool,
    pieces: Vec<Place>,
}

/// Where the headers of a candidate are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shape {
    ip: usize,
    l4: usize,
    payload: usize,
    end: usize,
    is_ipv6: bool,
    is_udp: bool,
}

/// What can be done with a frame.
enum Class {
    /// It may be merged.
    Candidate(Shape),
    /// It is of a flow whose super-frame must not grow behind it.
    Ends(Shape),
    /// It passes by.
    Alone,
    /// It could be of any flow.
    Unknown,
}

impl Coalescer {
    /// An empty batch.
    #[must_use]
    pub fn new(switches: Switches) -> Self {
        Self {
            switches,
            chains: Vec::new(),
            used: 0,
            flows: Box::new([Slot { generation: 0, chain: 0 }; FLOWS]),
            generation: 1,
            hasher: RandomState::new(),
        }
    }

    /// Adds a frame: `head` and then `body`, which lies at `place`. `head` is empty or the
    /// Ethernet header. Without `open` the checksum is complete.
    pub fn push(
        &mut self,
        network: u64,
        head: &[u8],
        body: &[u8],
        place: Place,
        open: Option<OpenChecksum>,
    ) {
        // the headers in one piece
        let mut header = [0; HEADER_BYTES];
        let elided = head.len().min(ETHERNET_BYTES);
        header[..elided].copy_from_slice(&head[..elided]);
        let copied = body.len().min(HEADER_BYTES - elided);
        header[elided..elided + copied].copy_from_slice(&body[..copied]);
        let length = elided + body.len();
        let frame = Frame { network, header: &header, elided, length, body, place, open };

        if self.used > 0 && self.join_last(&frame) {
            return;
        }
        match classify(&frame, self.switches) {
            Class::Candidate(shape) => self.push_candidate(&frame, shape),
            Class::Ends(shape) => {
                let slot = self.slot(&frame, shape);
                self.flows[slot].generation = 0;
                self.open_chain(&frame, None);
            }
            Class::Alone => {
                self.open_chain(&frame, None);
            }
            Class::Unknown => {
                self.forget_flows();
                self.open_chain(&frame, None);
            }
        }
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// The items, ready to be written, in order.
    pub fn items(&mut self) -> impl Iterator<Item = Item<'_>> {
        self.chains[..self.used].iter_mut().map(Chain::finish)
    }

    /// Item `index`, ready to be written; None behind the last.
    pub fn item(&mut self, index: usize) -> Option<Item<'_>> {
        self.chains[..self.used].get_mut(index).map(Chain::finish)
    }

    /// Forgets all items; memory is kept.
    pub fn clear(&mut self) {
        self.used = 0;
        self.forget_flows();
    }

    fn forget_flows(&mut self) {
        self.generation = self.generation.checked_add(1).unwrap_or_else(|| {
            self.flows.fill(Slot { generation: 0, chain: 0 });
            1
        });
    }

    /// Appends to the item made last: none of its flow can be newer.
    fn join_last(&mut self, frame: &Frame<'_>) -> bool {
        let chain = &mut self.chains[self.used - 1];
        if !chain.grows || frame.length <= chain.shape.payload {
            return false;
        }
        let shape = Shape { end: frame.length, ..chain.shape };
        if !chain.takes(frame, shape) || !is_mergeable(frame, shape) {
            return false;
        }
        chain.append(frame, shape);
        true
    }

    fn push_candidate(&mut self, frame: &Frame<'_>, shape: Shape) {
        let slot = self.slot(frame, shape);
        let known = self.flows[slot];
        if known.generation == self.generation {
            let chain = &mut self.chains[known.chain as usize];
            if chain.grows && chain.takes(frame, shape) {
                chain.append(frame, shape);
                return;
            }
        }
        let chain = self.open_chain(frame, Some(shape));
        self.flows[slot] = Slot { generation: self.generation, chain };
    }

    fn open_chain(&mut self, frame: &Frame<'_>, shape: Option<Shape>) -> u32 {
        if self.used == self.chains.len() {
            self.chains.push(Chain::new());
        }
        self.chains[self.used].start(frame, shape);
        self.used += 1;
        u32::try_from(self.used - 1).unwrap_or(NO_CHAIN)
    }

    /// Where the newest item of a flow is noted.
    fn slot(&self, frame: &Frame<'_>, shape: Shape) -> usize {
        let addresses = if shape.is_ipv6 {
            &frame.header[shape.ip + 8..shape.ip + 40]
        } else {
            &frame.header[shape.ip + 12..shape.ip + 20]
        };
        // Keyed, because a peer chooses all of it: who finds collisions keeps others from merging.
        let ports = &frame.header[shape.l4..shape.l4 + 4];
        let hash = self.hasher.hash_one((frame.network, addresses, ports, shape.is_udp));
        hash as usize % FLOWS
    }
}

/// A frame as it was pushed.
struct Frame<'a> {
    network: u64,
    /// Its first bytes, then zeros.
    header: &'a [u8; HEADER_BYTES],
    /// How many of them are not in `body`.
    elided: usize,
    length: usize,
    body: &'a [u8],
    place: Place,
    open: Option<OpenChecksum>,
}

impl Chain {
    fn new() -> Self {
        Self {
            network: 0,
            header: [0; HEADER_BYTES],
            header_length: 0,
            elided: 0,
            whole: Place { buffer: 0, start: 0, length: 0 },
            open: None,
            shape: Shape::default(),
            size: 0,
            payload: 0,
            next_sequence: 0,
            next_id: 0,
            grows: false,
            has_push: false,
            pieces: Vec::with_capacity(MOST_FRAMES),
        }
    }

    fn start(&mut self, frame: &Frame<'_>, shape: Option<Shape>) {
        self.network = frame.network;
        self.header = *frame.header;
        self.elided = frame.elided;
        self.header_length = frame.elided;
        self.whole = frame.place;
        self.open = frame.open;
        self.pieces.clear();
        self.grows = false;
        self.has_push = false;
        let Some(shape) = shape else {
            self.pieces.push(frame.place);
            return;
        };
        self.shape = shape;
        self.size = shape.end - shape.payload;
        self.payload = 0;
        self.header_length = shape.payload;
        self.grows = true;
        if !shape.is_udp {
            self.next_sequence = sequence(frame.header, shape);
        }
        if !shape.is_ipv6 {
            self.next_id = u16_at(frame.header, shape.ip + 4);
        }
        self.append(frame, shape);
    }

    /// Whether a candidate of this shape goes on where this item ends.
    fn takes(&self, frame: &Frame<'_>, shape: Shape) -> bool {
        let (mine, theirs) = (&self.header, frame.header);
        let Shape { ip, l4, payload, end, .. } = shape;
        let bytes = end - payload;
        if (Shape { end: self.shape.end, ..shape }) != self.shape
            || self.network != frame.network
            || bytes > self.size
            || payload - ip + self.payload + bytes > MOST_BYTES
            || self.pieces.len() >= MOST_FRAMES
            || mine[..ip] != theirs[..ip]
        {
            return false;
        }
        let same_ip = if shape.is_ipv6 {
            mine[ip..ip + 4] == theirs[ip..ip + 4] && mine[ip + 6..l4] == theirs[ip + 6..l4]
        } else {
            mine[ip..ip + 2] == theirs[ip..ip + 2]
                && mine[ip + 6..ip + 10] == theirs[ip + 6..ip + 10]
                && mine[ip + 12..l4] == theirs[ip + 12..l4]
                && (u16_at(mine, ip + 6) & DF != 0 || u16_at(theirs, ip + 4) == self.next_id)
        };
        if !same_ip || mine[l4..l4 + 4] != theirs[l4..l4 + 4] {
            return false;
        }
        shape.is_udp
            || (sequence(theirs, shape) == self.next_sequence
                && mine[l4 + 8..l4 + TCP_FLAGS] == theirs[l4 + 8..l4 + TCP_FLAGS]
                && mine[l4 + TCP_FLAGS] & !PSH == theirs[l4 + TCP_FLAGS] & !PSH
                && mine[l4 + 14..l4 + 16] == theirs[l4 + 14..l4 + 16]
                && mine[l4 + 18..payload] == theirs[l4 + 18..payload])
    }

    fn append(&mut self, frame: &Frame<'_>, shape: Shape) {
        let bytes = shape.end - shape.payload;
        self.pieces.push(Place {
            buffer: frame.place.buffer,
            start: frame.place.start + (shape.payload - frame.elided) as u32,
            length: bytes as u32,
        });
        self.payload += bytes;
        self.next_id = self.next_id.wrapping_add(1);
        if shape.is_udp {
            self.grows = bytes == self.size;
            return;
        }
        self.next_sequence = self.next_sequence.wrapping_add(bytes as u32);
        let push = frame.header[shape.l4 + TCP_FLAGS] & PSH != 0;
        self.has_push |= push;
        self.grows = bytes == self.size && !push;
    }

    fn is_merged(&self) -> bool {
        self.pieces.len() > 1
    }

    fn finish(&mut self) -> Item<'_> {
        if !self.is_merged() {
            self.header_length = self.elided;
            self.pieces[0] = self.whole;
            self.open_anew();
            let meta = FrameMeta { open_checksum: self.open, gso: None };
            return self.item(&meta);
        }
        let Shape { ip, l4, payload, is_ipv6, is_udp, .. } = self.shape;
        let behind = payload - l4 + self.payload;
        let header = &mut self.header[..payload];
        let addresses = if is_ipv6 {
            put_u16(header, ip + 4, (payload - ip - 40 + self.payload) as u16);
            ip + 8..ip + 40
        } else {
            put_u16(header, ip + 2, (payload - ip + self.payload) as u16);
            put_u16(header, ip + 10, 0);
            let value = !checksum::sum(&header[ip..l4]);
            put_u16(header, ip + 10, value);
            ip + 12..ip + 20
        };
        let protocol = if is_udp { UDP } else { TCP };
        let pseudo = checksum::pseudo_sum(&header[addresses], protocol, behind);
        let offset = if is_udp { checksum::UDP_FIELD } else { checksum::TCP_FIELD };
        put_u16(header, l4 + usize::from(offset), pseudo);
        if is_udp {
            put_u16(header, l4 + 4, behind as u16);
        } else if self.has_push {
            header[l4 + TCP_FLAGS] |= PSH;
        }
        let kind = match (is_udp, is_ipv6) {
            (true, _) => GsoKind::Udp,
            (false, true) => GsoKind::Tcp6,
            (false, false) => GsoKind::Tcp4,
        };
        let meta = FrameMeta {
            open_checksum: Some(OpenChecksum { start: l4 as u16, offset }),
            gso: Some(Gso { kind, size: self.size as u16, ecn: false }),
        };
        self.item(&meta)
    }

    /// Whatever the open field of a frame that stays alone holds, it gets the right sum.
    fn open_anew(&mut self) {
        let Some(open) = self.open else { return };
        let (l4, field) = (usize::from(open.start), usize::from(open.start + open.offset));
        let header = &mut self.header;
        let Some((_, ip)) = checksum::ethertype(&header[..]) else { return };
        if field + 2 > HEADER_BYTES {
            return;
        }
        let (addresses, end) = if header[ip] >> 4 == 4 {
            (ip + 12..ip + 20, ip + usize::from(u16_at(header, ip + 2)))
        } else {
            (ip + 8..ip + 40, ip + 40 + usize::from(u16_at(header, ip + 4)))
        };
        let protocol = if open.offset == checksum::UDP_FIELD { UDP } else { TCP };
        let pseudo = checksum::pseudo_sum(&header[addresses], protocol, end.saturating_sub(l4));
        put_u16(header, field, pseudo);
        self.header_length = field + 2;
        let behind = (field + 2 - self.elided) as u32;
        self.pieces[0].start += behind;
        self.pieces[0].length -= behind;
    }

    fn item(&self, meta: &FrameMeta) -> Item<'_> {
        Item {
            network: self.network,
            vnet: virtio::emit(meta, self.header_length as u16),
            header: &self.header[..self.header_length],
            pieces: &self.pieces,
            frames: self.pieces.len(),
            gso: meta.gso,
            open_checksum: meta.open_checksum,
        }
    }
}

fn sequence(header: &[u8; HEADER_BYTES], shape: Shape) -> u32 {
    let at = shape.l4 + 4;
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

fn classify(frame: &Frame<'_>, switches: Switches) -> Class {
    let header = &frame.header[..frame.length.min(HEADER_BYTES)];
    let Some((ethertype, ip)) = checksum::ethertype(header) else {
        return Class::Alone;
    };
    let segment = match ethertype {
        ETHERTYPE_IPV4 => in_ipv4(header, ip, frame.length),
        ETHERTYPE_IPV6 => in_ipv6(header, ip, frame.length),
        _ => return Class::Alone,
    };
    let Some(segment) = segment else {
        return Class::Unknown;
    };
    classify_segment(frame, &segment, switches)
}

/// The segment in an IPv4 packet without options and of the right sum, if all of it is there.
fn in_ipv4(header: &[u8], ip: usize, length: usize) -> Option<Segment> {
    let l4 = ip + 20;
    if header.len() < l4
        || header[ip] != 0x45
        || u16_at(header, ip + 6) & FRAGMENT_MASK != 0
        || checksum::sum(&header[ip..l4]) != 0xffff
    {
        return None;
    }
    let end = ip + usize::from(u16_at(header, ip + 2));
    let protocol = header[ip + 9];
    (end >= l4 && end <= length).then_some(Segment { ip, start: l4, end, protocol, is_ipv6: false })
}

fn in_ipv6(header: &[u8], ip: usize, length: usize) -> Option<Segment> {
    let l4 = ip + 40;
    if header.len() < l4 || header[ip] >> 4 != 6 {
        return None;
    }
    let end = l4 + usize::from(u16_at(header, ip + 4));
    let protocol = header[ip + 6];
    (end <= length).then_some(Segment { ip, start: l4, end, protocol, is_ipv6: true })
}

fn classify_segment(frame: &Frame<'_>, segment: &Segment, switches: Switches) -> Class {
    let Segment { ip, start: l4, end, protocol, is_ipv6 } = *segment;
    let header = frame.header;
    let (payload, is_udp) = match protocol {
        TCP if end >= l4 + 20 => {
            let bytes = usize::from(header[l4 + 12] >> 4) * 4;
            if bytes < 20 || l4 + bytes > end {
                return Class::Unknown;
            }
            (l4 + bytes, false)
        }
        UDP if end >= l4 + 8 => (l4 + 8, true),
        TCP | UDP => return Class::Unknown,
        // An extension header may hide one of the flows; other protocols are none of them.
        0 | 43 | 44 | 51 | 60 if is_ipv6 => return Class::Unknown,
        _ => return Class::Alone,
    };
    let shape = Shape { ip, l4, payload, end, is_ipv6, is_udp };
    if is_udp {
        let is_whole = usize::from(u16_at(header, l4 + 4)) == end - l4;
        if !switches.udp || !is_whole || payload == end {
            return Class::Ends(shape);
        }
    } else {
        let flags = header[l4 + TCP_FLAGS];
        // bits beside the data offset: accurate ECN, reserved
        if flags & !(PSH | ECE) != ACK || header[l4 + 12] & 0x0f != 0 {
            return Class::Ends(shape);
        }
        if payload == end {
            return Class::Alone;
        }
        if !switches.tcp {
            return Class::Ends(shape);
        }
    }
    if is_mergeable(frame, shape) { Class::Candidate(shape) } else { Class::Ends(shape) }
}

/// What even a frame that goes on where another ended has to fulfil: lengths that name its own
/// end, and checksums that merging does not make right.
fn is_mergeable(frame: &Frame<'_>, shape: Shape) -> bool {
    let Shape { ip, l4, end, is_ipv6, is_udp, .. } = shape;
    let header = frame.header;
    let names_end = if is_ipv6 {
        usize::from(u16_at(header, ip + 4)) == end - l4
    } else {
        usize::from(u16_at(header, ip + 2)) == end - ip && checksum::sum(&header[ip..l4]) == 0xffff
    };
    if !names_end || (is_udp && usize::from(u16_at(header, l4 + 4)) != end - l4) {
        return false;
    }
    let protocol = if is_udp { UDP } else { TCP };
    let segment = Segment { ip, start: l4, end, protocol, is_ipv6 };
    let expected = segment.open_checksum();
    let field = u16_at(header, l4 + usize::from(expected.offset));
    if let Some(open) = frame.open {
        // whatever the open field holds: it gets the right sum when the item is written
        return open == expected;
    }
    // the body begins behind what did not travel, and that is Ethernet at most
    let Some(covered) = frame.body.get(l4 - frame.elided..end - frame.elided) else {
        return false;
    };
    let is_absent = is_udp && field == 0;
    !is_absent && add(segment.pseudo(header), checksum::sum(covered)) == 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offload::checksum::complete;
    use crate::offload::packets::{Packet, check};
    use crate::offload::split::Split;
    use proptest::prelude::*;

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
                let parsed =
                    virtio::parse(item.vnet, &bytes).expect("a header that the kernel takes");
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
                let packet =
                    Packet { sequence: i * 9000, payload: vec![0; 9000], ..small(0, 0x10) };
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
}
