//! One item in the making: the frames that were found to go on where it ends.

use crate::header::be_u32;
use crate::offload::checksum::{self, TCP, UDP, add, put_u16, u16_at};
use crate::offload::coalesce::candidate::{Frame, PSH, Shape, TCP_FLAGS};
use crate::offload::coalesce::{HEADER_BYTES, Item, MOST_FRAMES, Place};
use crate::offload::virtio;
use crate::sink::{FrameMeta, Gso, GsoKind, OpenChecksum};

/// Bytes behind the Ethernet header of a super-frame.
const MOST_BYTES: usize = 65_535;
const DF: u16 = 0x4000;
const WORD_BYTES: usize = 8;

/// One item in the making.
#[derive(Debug)]
pub(super) struct Chain {
    network: u64,
    /// Of a candidate all headers, else the bytes that did not travel (ELIDED).
    header: [u8; HEADER_BYTES],
    header_length: usize,
    /// Bits of the headers in which all frames agree.
    agreed: [u8; HEADER_BYTES],
    /// Sum of what they agree in of an IPv4 header.
    ip_sum: u16,
    /// How many of `header` are not in `whole`.
    elided: usize,
    /// The first frame, to be written as it is if no other joins.
    whole: Place,
    open: Option<OpenChecksum>,
    pub(super) shape: Shape,
    /// Payload bytes of the first frame, and of all but the last.
    size: usize,
    /// Of the first frame, before PSH is added.
    payload: usize,
    next_sequence: u32,
    next_id: u16,
    pub(super) grows: bool,
    has_push: bool,
    pieces: Vec<Place>,
}

impl Chain {
    pub(super) fn new() -> Self {
        Self {
            network: 0,
            header: [0; HEADER_BYTES],
            header_length: 0,
            agreed: [0; HEADER_BYTES],
            ip_sum: 0,
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

    pub(super) fn start(&mut self, frame: &Frame<'_>, shape: Option<Shape>) {
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
            let (ip, sum) = (shape.ip, |from, to| checksum::sum(&frame.header[from..to]));
            self.ip_sum = add(add(sum(ip, ip + 2), sum(ip + 6, ip + 10)), sum(ip + 12, ip + 20));
        }
        self.agreed = agreed_bits(shape);
        self.append(frame, shape);
    }

    /// Whether a candidate of this shape goes on where this item ends.
    pub(super) fn takes(&self, frame: &Frame<'_>, shape: Shape) -> bool {
        (Shape { end: self.shape.end, ..shape }) == self.shape && self.goes_on(frame, shape.end)
    }

    /// The same for a frame that ends at `end`, whose headers have this item's shape if they agree.
    pub(super) fn goes_on(&self, frame: &Frame<'_>, end: usize) -> bool {
        let Shape { ip, payload, is_ipv6, is_udp, .. } = self.shape;
        let bytes = end - payload;
        self.network == frame.network
            && bytes <= self.size
            && payload - ip + self.payload + bytes <= MOST_BYTES
            && self.pieces.len() < MOST_FRAMES
            && self.agrees(frame.header)
            && (is_udp || sequence(frame.header, self.shape) == self.next_sequence)
            && (is_ipv6
                || u16_at(&self.header, ip + 6) & DF != 0
                || u16_at(frame.header, ip + 4) == self.next_id)
    }

    fn agrees(&self, header: &[u8; HEADER_BYTES]) -> bool {
        let end = self.shape.payload.next_multiple_of(WORD_BYTES);
        let [mine, theirs, agreed] =
            [&self.header, header, &self.agreed].map(|bytes| bytes[..end].as_chunks().0);
        let differing = mine.iter().zip(theirs).zip(agreed).fold(0, |found, words| {
            let ((mine, theirs), agreed) = words;
            let word = |bytes: &[u8; WORD_BYTES]| u64::from_ne_bytes(*bytes);
            found | ((word(mine) ^ word(theirs)) & word(agreed))
        });
        differing == 0
    }

    /// Whether the IPv4 header of a frame that this item takes has a right sum.
    pub(super) fn is_right_ip_sum(&self, frame: &Frame<'_>, shape: Shape) -> bool {
        let field = |at| u16_at(frame.header, shape.ip + at);
        shape.is_ipv6 || add(add(self.ip_sum, field(2)), add(field(4), field(10))) == 0xffff
    }

    pub(super) fn append(&mut self, frame: &Frame<'_>, shape: Shape) {
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

    pub(super) fn finish(&mut self) -> Item<'_> {
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

/// All bits of the headers but those of lengths, identification, checksums, sequence and PSH.
fn agreed_bits(shape: Shape) -> [u8; HEADER_BYTES] {
    let Shape { ip, l4, payload, is_ipv6, is_udp, .. } = shape;
    let mut bits = [0; HEADER_BYTES];
    bits[..payload].fill(0xff);
    if is_ipv6 {
        bits[ip + 4..ip + 6].fill(0);
    } else {
        bits[ip + 2..ip + 6].fill(0);
        bits[ip + 10..ip + 12].fill(0);
    }
    bits[l4 + 4..l4 + 8].fill(0);
    if !is_udp {
        bits[l4 + TCP_FLAGS] = !PSH;
        bits[l4 + 16..l4 + 18].fill(0);
    }
    bits
}

fn sequence(header: &[u8; HEADER_BYTES], shape: Shape) -> u32 {
    be_u32(&header[shape.l4 + 4..]).unwrap_or(0)
}
