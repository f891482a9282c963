//! Sending twice: for a moment each datagram with frames leaves by a second path as well.
//!
//! The copies are the same bytes behind the other path's RELAY header, so the receiver's replay
//! window lets the first of the two in and drops the other: no port ever sees a frame twice. They
//! leave singly, behind all datagrams of their frame, until the time or the bytes are used up.

use crate::endpoint::{Endpoint, Path};
use crate::header::relay_head;
use crate::peers::{Fingerprint, PeerId, whole_size};
use crate::send::{Sender, relay_bytes};
use crate::sink::{Delivery, FrameMeta, Merged, Sink};

/// The second path of a peer.
#[derive(Clone, Copy, Debug)]
pub struct Twin {
    /// By which copies leave.
    pub path: Path,
    /// Length of the largest frame that fits one datagram of the path.
    pub whole: usize,
    until: f64,
    /// Bytes that may still leave.
    budget: usize,
}

/// Datagrams that wait until all of their frame are made.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    memory: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    endpoint: Endpoint,
    length: usize,
    /// Length of each datagram but the last.
    stride: usize,
}

impl Kept {
    fn room(&mut self, endpoint: Endpoint, length: usize, stride: usize) -> &mut [u8] {
        let start = self.memory.len();
        self.memory.resize(start + length, 0);
        self.entries.push(Entry { endpoint, length, stride });
        &mut self.memory[start..]
    }

    fn runs(&self) -> impl Iterator<Item = (Entry, &[u8])> {
        let mut rest = self.memory.as_slice();
        self.entries.iter().map(move |entry| {
            let (run, behind) = rest.split_at(entry.length);
            rest = behind;
            (*entry, run)
        })
    }

    fn pass_on(&self, sink: &mut impl Sink) {
        for (entry, run) in self.runs() {
            let room = if entry.length > entry.stride {
                sink.train(entry.endpoint, entry.length, entry.stride)
            } else {
                sink.datagram(entry.endpoint, entry.length)
            };
            room.copy_from_slice(run);
        }
    }

    fn clear(&mut self) {
        self.memory.clear();
        self.entries.clear();
    }
}

impl Sink for Kept {
    fn datagram(&mut self, endpoint: Endpoint, length: usize) -> &mut [u8] {
        self.room(endpoint, length, length)
    }

    fn train(&mut self, endpoint: Endpoint, length: usize, stride: usize) -> &mut [u8] {
        self.room(endpoint, length, stride)
    }

    /// Nothing is delivered where something is sent.
    fn deliver(&mut self, _: u64, _: &Delivery<'_>) {}

    fn end_batch(&mut self) -> Merged {
        Merged::default()
    }
}

impl Sender {
    /// A second path to a peer for a while, or none any more.
    pub fn set_twin(
        &mut self,
        peer: &Fingerprint,
        path: Option<Path>,
        size: i64,
        seconds: f64,
        budget: i64,
        now: f64,
    ) {
        let Some(id) = self.peers.find(peer) else { return };
        let peer = &mut self.peers[id];
        let twin = path.map(|path| Twin {
            path,
            whole: whole_size(Some(&path), size),
            until: now + seconds,
            budget: usize::try_from(budget).unwrap_or(0),
        });
        peer.set_twin(twin);
    }

    /// Send a frame to a peer with a twin as if there was none, then copies of its datagrams.
    #[cold]
    pub(crate) fn send_with_copies(
        &mut self,
        id: PeerId,
        network: u64,
        frame: &[u8],
        meta: FrameMeta,
        now: f64,
        sink: &mut impl Sink,
    ) {
        let peer = &mut self.peers[id];
        let Some(mut twin) = peer.twin.take() else { return };
        if now >= twin.until || twin.budget == 0 {
            peer.set_twin(None);
            self.send_frame(id, network, frame, meta, now, sink);
            return;
        }
        if peer.way(frame) == Some(twin.path) {
            self.send_frame(id, network, frame, meta, now, sink);
            self.peers[id].twin = Some(twin);
            return;
        }
        let mut kept = std::mem::take(&mut self.kept);
        self.send_frame(id, network, frame, meta, now, &mut kept);
        kept.pass_on(sink);
        self.push_copies(id, &kept, &mut twin, now, sink);
        kept.clear();
        self.kept = kept;
        self.peers[id].set_twin((twin.budget > 0).then_some(*twin));
    }

    fn push_copies(
        &mut self,
        id: PeerId,
        kept: &Kept,
        twin: &mut Twin,
        now: f64,
        sink: &mut impl Sink,
    ) {
        let peer = &mut self.peers[id];
        let (skip, head) = (peer.relay_bytes(), relay_bytes(&twin.path));
        let (mut copies, mut bytes) = (0, 0);
        for datagram in kept.runs().flat_map(|(entry, run)| run.chunks(entry.stride.max(1))) {
            let length = head + datagram.len() - skip;
            if length > twin.budget {
                twin.budget = 0;
                break;
            }
            twin.budget -= length;
            let room = sink.datagram(twin.path.endpoint, length);
            room[..head].copy_from_slice(&relay_head(twin.path.relay)[..head]);
            room[head..].copy_from_slice(&datagram[skip..]);
            copies += 1;
            bytes += length;
        }
        if copies > 0 {
            self.journal.counters.copies_out += copies as u64;
            crate::send::note_sent(peer, &mut self.journal, copies, bytes, now);
        }
    }
}
