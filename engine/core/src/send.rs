//! Sending: frames are cut where the path demands it, sealed and put out (section 4).
//!
//! A key's counters are taken before anything else happens with it, so none is ever used twice. The
//! id of a cut frame is the counter of its first piece, which is unique on the index.

use crate::aead::Aead;
use crate::command::Elided;
use crate::drops::DropReason;
use crate::endpoint::{Endpoint, Path};
use crate::ethernet::HEADER_BYTES as ETHERNET_BYTES;
use crate::group::ASSIGNMENT_BYTES;
use crate::header::{
    HEADER_BYTES, OVERHEAD, PIECE_HEAD_BYTES, RELAY_HEADER_BYTES, TAG_BYTES, be_u32, data_word,
    flag, piece_head, relay_head,
};
use crate::held::{Held, HeldFrames};
use crate::journal::Journal;
use crate::offload::checksum::{TCP, complete, find_segment};
use crate::offload::split::Split;
use crate::peers::{Fingerprint, Peer, PeerId, Peers, SendKey};
use crate::sink::{FrameMeta, Gso, GsoKind, MAX_TRAIN, MAX_TRAIN_BYTES, OpenChecksum, Sink};
use crate::twice::Kept;
use crate::upcall::Upcall;

/// Everything that leaves by the UDP socket, except what is relayed for others.
#[derive(Debug)]
pub struct Sender {
    /// Keys and paths.
    pub peers: Peers,
    /// Frames that cannot leave yet.
    pub held: HeldFrames,
    /// What happened.
    pub journal: Journal,
    /// A frame whose checksum had to be completed before it was cut.
    scratch: Vec<u8>,
    /// A segment of a super-frame that goes its own way.
    segment: Vec<u8>,
    /// Datagrams of which there will be copies.
    pub(crate) kept: Kept,
}

impl Sender {
    /// Knows nobody.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        let (peers, held) = (Peers::default(), HeldFrames::default());
        Self {
            peers,
            held,
            journal,
            scratch: Vec::new(),
            segment: Vec::new(),
            kept: Kept::default(),
        }
    }

    // --- frames ---------------------------------------------------------------------------------

    /// Send a frame to a peer, or hold it while that cannot be. What `meta` says has been found
    /// true: an open checksum may travel so, a super-frame can be cut.
    pub fn send_frame(
        &mut self,
        id: PeerId,
        network: u64,
        frame: &[u8],
        meta: FrameMeta,
        now: f64,
        sink: &mut impl Sink,
    ) {
        if self.peers[id].twin.is_some() {
            self.send_with_copies(id, network, frame, meta, now, sink);
            return;
        }
        if let FrameMeta { open_checksum: Some(open), gso: Some(gso) } = meta {
            self.send_superframe(id, network, frame, gso, open, now, sink);
            return;
        }
        if let Some(gso) = self.as_superframe(id, network, frame, meta.open_checksum)
            && let Some(open) = meta.open_checksum
        {
            self.send_superframe(id, network, frame, gso, open, now, sink);
            return;
        }
        let Self { peers, held, journal, scratch, .. } = self;
        let peer = &mut peers[id];
        let (whole, piece, path, name) =
            (peer.whole, peer.piece, peer.way(frame), peer.fingerprint);
        let (Some(path), Some(key)) = (path, peer.send_key(network, sink.lane())) else {
            held.hold(peers, id, network, frame, meta, now, journal);
            return;
        };
        let skip = elidable_bytes(frame, key);
        let (count, bytes) = if frame.len() - skip <= whole {
            if key.counter >= key.alert && !may_use(key, name, 1, journal) {
                return;
            }
            let flags = if meta.open_checksum.is_some() { flag::CSUM } else { 0 };
            let flags = if skip > 0 { flags | flag::ELIDED } else { flags };
            (1, seal(key, flags, &[], &frame[skip..], &path, sink))
        } else {
            let count = frame.len().div_ceil(piece);
            if count > journal.bounds.pieces {
                journal.drop(DropReason::BadFrame);
                return;
            }
            if key.counter >= key.alert && !may_use(key, name, count as u64, journal) {
                return;
            }
            journal.counters.frames_fragmented += 1;
            let frame = if meta.open_checksum.is_some() {
                scratch.clear();
                scratch.extend_from_slice(frame);
                let _ = complete(scratch);
                &scratch[..]
            } else {
                frame
            };
            (count, seal_pieces(key, flag::FRAG, frame, piece, &path, sink))
        };
        note_sent(peer, journal, count, bytes, now);
    }

    /// Send a broadcast that others carry on, under another assignment than its text says, or hold
    /// it while that cannot be.
    pub fn send_group(
        &mut self,
        id: PeerId,
        network: u64,
        assignment: u32,
        text: &[u8],
        now: f64,
        sink: &mut impl Sink,
    ) {
        let (head, rest) = (assignment.to_be_bytes(), &text[ASSIGNMENT_BYTES..]);
        let Self { peers, held, journal, scratch, .. } = self;
        let peer = &mut peers[id];
        let (whole, piece, path, name) = (peer.whole, peer.piece, peer.path, peer.fingerprint);
        let (Some(path), Some(key)) = (path, peer.send_key(network, sink.lane())) else {
            held.hold_group(peers, id, network, [&head, rest].concat(), now, journal);
            return;
        };
        let count = if text.len() <= whole { 1 } else { text.len().div_ceil(piece) };
        if count > journal.bounds.pieces {
            journal.drop(DropReason::BadFrame);
            return;
        }
        if key.counter >= key.alert && !may_use(key, name, count as u64, journal) {
            return;
        }
        let bytes = if text.len() <= whole {
            seal(key, flag::GROUP, &head, rest, &path, sink)
        } else {
            journal.counters.frames_fragmented += 1;
            scratch.clear();
            scratch.extend_from_slice(&head);
            scratch.extend_from_slice(rest);
            seal_pieces(key, flag::FRAG | flag::GROUP, scratch, piece, &path, sink)
        };
        note_sent(peer, journal, count, bytes, now);
    }

    /// How to cut a TCP segment that does not fit, if that would not show. One whose checksum is
    /// complete may not be cut: that would make a wrong sum right.
    fn as_superframe(
        &mut self,
        id: PeerId,
        network: u64,
        frame: &[u8],
        open: Option<OpenChecksum>,
    ) -> Option<Gso> {
        let open = open?;
        let peer = &mut self.peers[id];
        let whole = peer.whole;
        if frame.len() <= whole || peer.path.is_none() {
            return None;
        }
        if frame.len() - elidable_bytes(frame, peer.send_key(network, 0)?) <= whole {
            return None;
        }
        let segment = find_segment(frame)?;
        if segment.protocol != TCP || segment.end != frame.len() {
            return None;
        }
        let payload = segment.start + usize::from(*frame.get(segment.start + 12)? >> 4) * 4;
        let size = u16::try_from(frame.len().checked_sub(payload)?).ok()?;
        let kind = if segment.is_ipv6 { GsoKind::Tcp6 } else { GsoKind::Tcp4 };
        let gso = Gso { kind, size, ecn: false };
        let split = Split::plan(frame, gso, open, whole).ok()?;
        (split.stride() <= whole).then_some(gso)
    }

    /// Cut a super-frame at what fits the path and send it as trains, or hold it. Where nothing
    /// that is allowed fits, each of the kernel's segments goes its own way.
    #[allow(clippy::too_many_arguments, reason = "the frame is four of them")]
    fn send_superframe(
        &mut self,
        id: PeerId,
        network: u64,
        frame: &[u8],
        gso: Gso,
        open: OpenChecksum,
        now: f64,
        sink: &mut impl Sink,
    ) {
        let Self { peers, held, journal, .. } = self;
        let peer = &mut peers[id];
        let (whole, path, name) = (peer.whole, peer.way(frame), peer.fingerprint);
        let (Some(path), Some(key)) = (path, peer.send_key(network, sink.lane())) else {
            let meta = FrameMeta { open_checksum: Some(open), gso: Some(gso) };
            held.hold(peers, id, network, frame, meta, now, journal);
            return;
        };
        let skip = elidable_bytes(frame, key);
        let Ok(split) = Split::plan(frame, gso, open, whole + skip) else { return };
        if split.stride() > whole + skip {
            self.send_segments(id, network, &split, now, sink);
            return;
        }
        let count = split.count();
        if key.counter + count as u64 > key.alert && !may_use(key, name, count as u64, journal) {
            return;
        }
        let mut flags = if split.open_checksum().is_some() { flag::CSUM } else { 0 };
        if skip > 0 {
            flags |= flag::ELIDED;
        }
        let head = relay_bytes(&path);
        let stride = head + OVERHEAD + split.stride() - skip;
        let most = MAX_TRAIN.min(MAX_TRAIN_BYTES / stride).max(1);
        let (mut index, mut bytes) = (0, 0);
        while index < count {
            let end = count.min(index + most);
            let last = head + OVERHEAD + split.length(end - 1) - skip;
            let length = (end - index - 1) * stride + last;
            let room = match end - index {
                1 => sink.datagram(path.endpoint, length),
                _ => sink.train(path.endpoint, length, stride),
            };
            for room in room.chunks_mut(stride) {
                let (relay, room) = room.split_at_mut(head);
                relay.copy_from_slice(&relay_head(path.relay)[..head]);
                let end = room.len() - TAG_BYTES;
                split.write_behind(index, skip, &mut room[HEADER_BYTES..end]);
                seal_written(key, flags, room);
                flags |= flag::CONT;
                index += 1;
            }
            bytes += length;
        }
        note_sent(peer, journal, count, bytes, now);
    }

    /// The segments of a super-frame as frames of their own, with complete checksums.
    fn send_segments(
        &mut self,
        id: PeerId,
        network: u64,
        split: &Split<'_>,
        now: f64,
        sink: &mut impl Sink,
    ) {
        let mut segment = std::mem::take(&mut self.segment);
        for index in 0..split.count() {
            segment.resize(split.length(index), 0);
            split.write(index, &mut segment);
            if split.open_checksum().is_some() {
                let _ = complete(&mut segment);
            }
            self.send_frame(id, network, &segment, FrameMeta::default(), now, sink);
        }
        self.segment = segment;
    }

    // --- commands -------------------------------------------------------------------------------

    /// Frames for a peer in a network leave with this key from now on; held ones at once.
    #[allow(clippy::too_many_arguments, reason = "the fields of the command")]
    pub fn install(
        &mut self,
        peer: Fingerprint,
        session: u64,
        network: u64,
        lane: u8,
        index: u32,
        transport: crate::aead::Transport,
        elided: Option<Elided>,
        now: f64,
        sink: &mut impl Sink,
    ) {
        let alert = self.journal.bounds.rekey_counter;
        let key = SendKey { session, index, transport, elided, alert, counter: 0 };
        let id = self.peers.install_send(peer, network, lane, key);
        self.flush(id, network, now, sink);
        self.peers.release(id);
    }

    /// No more frames to a peer in a network.
    pub fn remove(&mut self, peer: &Fingerprint, network: u64, now: f64) {
        let Some(id) = self.peers.find(peer) else { return };
        self.peers[id].send.retain(|(one, _)| *one != network);
        self.peers[id].lanes.retain(|(one, ..)| *one != network);
        let reason = DropReason::HeldTooLong;
        HeldFrames::drop(&mut self.peers, id, network, reason, now, &mut self.journal);
        self.peers.release(id);
    }

    /// Another way to a peer; what waited for one leaves.
    pub fn set_path(
        &mut self,
        peer: Fingerprint,
        path: Option<Path>,
        size: i64,
        spread: Vec<Endpoint>,
        now: f64,
        sink: &mut impl Sink,
    ) {
        let id = self.peers.set_path(peer, path, size, spread);
        let networks: Vec<u64> = self.peers[id].send.iter().map(|(network, _)| *network).collect();
        for network in networks {
            self.flush(id, network, now, sink);
        }
        self.peers.release(id);
    }

    /// Seal control records for one session.
    pub fn send_control(
        &mut self,
        name: &Fingerprint,
        session: u64,
        payload: &[u8],
        path: &Path,
        now: f64,
        sink: &mut impl Sink,
    ) {
        let Some(id) = self.peers.find(name) else { return };
        let Peer { control, activity, .. } = &mut self.peers[id];
        let Some((_, key)) = control.iter_mut().find(|(number, _)| *number == session) else {
            return;
        };
        if key.counter >= key.alert && !may_use(key, *name, 1, &mut self.journal) {
            return;
        }
        let bytes = seal(key, flag::CONTROL, &[], payload, path, sink);
        activity.sent = now;
        activity.tx_packets += 1;
        activity.tx_bytes += bytes as u64;
        self.journal.counters.sent(1, bytes);
    }

    /// Send a handshake message as it is.
    pub fn send_datagram(&mut self, datagram: &[u8], path: &Path, sink: &mut impl Sink) {
        let head = relay_bytes(path);
        let room = sink.datagram(path.endpoint, head + datagram.len());
        room[..head].copy_from_slice(&relay_head(path.relay)[..head]);
        room[head..].copy_from_slice(datagram);
        self.journal.counters.sent(1, head + datagram.len());
    }

    fn flush(&mut self, id: PeerId, network: u64, now: f64, sink: &mut impl Sink) {
        let peer = &mut self.peers[id];
        if peer.held.is_empty() || peer.path.is_none() || peer.send_key(network, 0).is_none() {
            return;
        }
        let taken = HeldFrames::take(&mut self.peers, id, network, now, &mut self.journal);
        for Held { frame, meta, is_group, .. } in taken {
            match be_u32(&frame) {
                Some(assignment) if is_group => {
                    self.send_group(id, network, assignment, &frame, now, sink);
                }
                _ => self.send_frame(id, network, &frame, meta, now, sink),
            }
        }
    }
}

pub(crate) fn relay_bytes(path: &Path) -> usize {
    if path.relay == 0 { 0 } else { RELAY_HEADER_BYTES }
}

/// How much of a frame need not travel, because the receiver knows it: 0 or its Ethernet header.
fn elidable_bytes(frame: &[u8], key: &SendKey) -> usize {
    let Some(elided) = &key.elided else { return 0 };
    let version = match frame.get(12..14) {
        Some([0x08, 0x00]) => 4,
        Some([0x86, 0xdd]) => 6,
        _ => return 0,
    };
    let is_known = frame.starts_with(elided) && frame.get(14).is_some_and(|v| v >> 4 == version);
    if is_known { ETHERNET_BYTES } else { 0 }
}

pub(crate) fn note_sent(
    peer: &mut Peer,
    journal: &mut Journal,
    count: usize,
    bytes: usize,
    now: f64,
) {
    let activity = &mut peer.activity;
    (activity.sent, activity.frame) = (now, now);
    activity.tx_packets += count as u64;
    activity.tx_bytes += bytes as u64;
    journal.counters.sent(count as u64, bytes);
}

/// Whether `count` more numbers may be used of a key that is old; its age is told once.
fn may_use(key: &mut SendKey, peer: Fingerprint, count: u64, journal: &mut Journal) -> bool {
    let refuse = journal.bounds.refuse_counter;
    if key.counter >= key.alert && key.alert == journal.bounds.rekey_counter {
        let upcall = Upcall::KeySpent { peer, session: key.session };
        if journal.tell(Some(peer), upcall) {
            let pieces = journal.bounds.pieces as u64;
            key.alert = (key.alert + 1).max(refuse.saturating_sub(pieces));
        }
    }
    if key.counter + count <= refuse {
        return true;
    }
    journal.drop(DropReason::CounterSpent);
    false
}

/// Seal one datagram whose text is `head`, then `text`; how long it became.
fn seal(
    key: &mut SendKey,
    flags: u8,
    head: &[u8],
    text: &[u8],
    path: &Path,
    sink: &mut impl Sink,
) -> usize {
    let length = relay_bytes(path) + OVERHEAD + head.len() + text.len();
    let room = sink.datagram(path.endpoint, length);
    let (relay, room) = room.split_at_mut(relay_bytes(path));
    relay.copy_from_slice(&relay_head(path.relay)[..relay.len()]);
    seal_into(key, flags, head, text, room);
    length
}

/// Write a datagram that fills `room`, and seal it.
fn seal_into(key: &mut SendKey, flags: u8, head: &[u8], text: &[u8], room: &mut [u8]) {
    let at = HEADER_BYTES + head.len();
    room[HEADER_BYTES..at].copy_from_slice(head);
    room[at..at + text.len()].copy_from_slice(text);
    seal_written(key, flags, room);
}

/// Seal a datagram whose text is in its place already.
fn seal_written(key: &mut SendKey, flags: u8, room: &mut [u8]) {
    let counter = key.counter as u32;
    key.counter += 1;
    room[..4].copy_from_slice(&data_word(flags, key.index).to_be_bytes());
    room[4..HEADER_BYTES].copy_from_slice(&counter.to_be_bytes());
    key.transport.seal(counter, room);
}

/// The fewest pieces, the first ones full; how long they became together.
fn seal_pieces(
    key: &mut SendKey,
    flags: u8,
    frame: &[u8],
    size: usize,
    path: &Path,
    sink: &mut impl Sink,
) -> usize {
    let number = key.counter as u32;
    let (mut bytes, mut offset) = (0, 0);
    for part in frame.chunks(size) {
        let head: [u8; PIECE_HEAD_BYTES] = piece_head(number, offset, frame.len() as u16);
        bytes += seal(key, flags, &head, part, path, sink);
        offset = offset.saturating_add(part.len() as u16);
    }
    bytes
}
