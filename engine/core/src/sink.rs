//! Where an engine puts what it gives out.
//!
//! Nothing is allocated or queued between a frame and its datagram: the sink lends memory, and the
//! engine writes header and text there and seals them in place. On receipt it is the datagram's
//! own memory in which a frame is opened and from which it is delivered.

use std::ops::Range;

use crate::command::PortOffloads;
use crate::endpoint::Endpoint;

/// What the kernel, or a peer, says of a frame besides its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameMeta {
    /// The L4 checksum field holds only the sum of the pseudo header.
    pub open_checksum: Option<OpenChecksum>,
    /// The frame is a super-frame: to be split, or split by whoever takes it.
    pub gso: Option<Gso>,
}

/// Where a checksum is to be completed, as virtio says it: from the start of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenChecksum {
    /// First byte that the sum covers: that of the TCP or UDP header.
    pub start: u16,
    /// Of the field, from `start`: 16 in TCP, 6 in UDP.
    pub offset: u16,
}

/// How a super-frame is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gso {
    /// Which headers are repeated.
    pub kind: GsoKind,
    /// L4 payload of each segment but the last, in bytes.
    pub size: u16,
    /// A TCP super-frame whose CWR belongs on the first segment only.
    pub ecn: bool,
}

/// Kinds of super-frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GsoKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over IPv4 or IPv6.
    Udp,
}

/// One frame for a port. Its bytes are `head`, then `body`.
#[derive(Clone, Debug)]
pub struct Delivery<'a> {
    /// The Ethernet header when it did not travel (ELIDED), else nothing.
    pub head: &'a [u8],
    /// The frame, or what is behind `head`.
    pub body: &'a [u8],
    /// Where `body` lies in the memory handed to `Engine::datagrams`, if it does. It stays there
    /// untouched after that call has returned, so a sink may note the place instead of copying.
    pub place: Option<Range<usize>>,
    /// Where the checksum is to be completed; `None`: it is complete.
    pub open_checksum: Option<OpenChecksum>,
    /// What the port's reader understands. With `checksum` the frame is to be merged with others of
    /// this batch and written at its end; without, it is written at once, its checksum completed.
    pub offloads: PortOffloads,
}

/// What the end of a batch wrote to ports, for the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Frames, a super-frame being one.
    pub frames: u64,
    /// Bytes of those, with all headers.
    pub bytes: u64,
    /// How many of them were super-frames.
    pub superframes: u64,
}

/// Datagrams of one source as they came, each `stride` bytes long, the last perhaps shorter.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// All of them, one behind the other.
    pub bytes: &'a [u8],
    /// Length of each but the last.
    pub stride: usize,
    /// Where `bytes` begin in the memory handed to `Engine::datagrams`.
    pub place: usize,
}

impl<'a> Run<'a> {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.bytes.len().div_ceil(self.stride.max(1))
    }

    /// The first `count` of them.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        Self { bytes: &self.bytes[..self.bytes.len().min(count * self.stride)], ..*self }
    }

    /// The fewest trains that they may leave as; one of a single datagram is none.
    pub fn trains(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let stride = self.stride.max(1);
        self.bytes.chunks(stride * MAX_TRAIN.min(MAX_TRAIN_BYTES / stride).max(1))
    }
}

/// Takes what an engine gives out, in order.
pub trait Sink {
    /// Memory for one datagram to `endpoint`, exactly `length` bytes. All of it is overwritten
    /// before the sink is called again.
    fn datagram(&mut self, endpoint: Endpoint, length: usize) -> &mut [u8];

    /// Memory for a train: datagrams of `stride` bytes one behind the other, the last of which may
    /// be shorter, `length` bytes together, in one piece. There are at most `MAX_TRAIN` of them
    /// and at most `MAX_TRAIN_BYTES` bytes.
    fn train(&mut self, endpoint: Endpoint, length: usize, stride: usize) -> &mut [u8];

    /// Write a frame to the port of `network`.
    fn deliver(&mut self, network: u64, frame: &Delivery<'_>);

    /// By which lane it sends: what a thread seals is counted by itself.
    fn lane(&self) -> u8 {
        0
    }

    /// The batch is over: write what has been merged. What was written is said.
    fn end_batch(&mut self) -> Merged;

    /// Send datagrams as they came. They stay untouched at their place until `Engine::datagrams`
    /// returns, so a sink may send them from there instead of copying.
    fn forward(&mut self, endpoint: Endpoint, run: &Run<'_>) {
        for train in run.trains() {
            if train.len() <= run.stride {
                self.transmit(endpoint, train);
            } else {
                self.train(endpoint, train.len(), run.stride).copy_from_slice(train);
            }
        }
    }

    /// Send bytes that exist already.
    fn transmit(&mut self, endpoint: Endpoint, datagram: &[u8]) {
        self.datagram(endpoint, datagram.len()).copy_from_slice(datagram);
    }
}

/// Datagrams in one train: what every kernel with `UDP_SEGMENT` sends at once, less one.
pub const MAX_TRAIN: usize = 63;
/// Bytes in one train: the largest UDP payload over IPv4, less an 8-byte header that it counts.
pub const MAX_TRAIN_BYTES: usize = 65_000;
