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

use crate::offload::coalesce::candidate::{Class, Frame, Shape, classify, is_whole_and_right};
use crate::offload::coalesce::chain::Chain;
use crate::offload::virtio::VNET_HEADER_BYTES;
use crate::sink::{Gso, OpenChecksum};

mod candidate;
mod chain;
#[cfg(test)]
mod tests;

/// Frames in one super-frame: what every kernel takes as one UDP super-frame.
pub const MOST_FRAMES: usize = 64;
/// Room for Ethernet with two tags, IPv6 and TCP with all options, in whole words.
pub const HEADER_BYTES: usize = (14 + 8 + 40 + 60usize).next_multiple_of(16);
const ETHERNET_BYTES: usize = 14;
/// Flows looked for at once; one more takes the place of another, which then grows no more.
const FLOWS: usize = 256;
const NO_CHAIN: u32 = u32::MAX;

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
        let mut room = [0; HEADER_BYTES];
        let (header, elided) = headers_of(head, body, &mut room);
        let length = elided + body.len();
        let frame = Frame { network, header, elided, length, body, place, open };

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
        let goes_on = chain.goes_on(frame, shape.end) && chain.is_right_ip_sum(frame, shape);
        if !goes_on || !is_whole_and_right(frame, shape) {
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

/// The first bytes of a frame in one piece, in `room` unless they are so already, and how many of
/// them are those of `head`.
fn headers_of<'a>(
    head: &[u8],
    body: &'a [u8],
    room: &'a mut [u8; HEADER_BYTES],
) -> (&'a [u8; HEADER_BYTES], usize) {
    const REST: usize = HEADER_BYTES - ETHERNET_BYTES;
    if let (true, Some(whole)) = (head.is_empty(), body.first_chunk()) {
        return (whole, 0);
    }
    let elided = head.len().min(ETHERNET_BYTES);
    if let (Some(ethernet), Some(rest)) = (head.first_chunk(), body.first_chunk::<REST>()) {
        room[..ETHERNET_BYTES].copy_from_slice(ethernet as &[u8; ETHERNET_BYTES]);
        room[ETHERNET_BYTES..].copy_from_slice(rest);
        return (room, elided);
    }
    room[..elided].copy_from_slice(&head[..elided]);
    let copied = body.len().min(HEADER_BYTES - elided);
    room[elided..elided + copied].copy_from_slice(&body[..copied]);
    (room, elided)
}
