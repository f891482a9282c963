//! Frames kept for somebody who looks: a bounded queue for each network that is captured.
//!
//! Whoever reads too slowly loses frames, and learns how many; nothing waits for him.

use std::collections::{HashMap, VecDeque};

use crate::bounds::Bounds;
use crate::drops::DropReason;
use crate::peers::Fingerprint;

/// Given out at once.
const TAKEN_FRAMES: usize = 256;
/// Of those, or one frame.
const TAKEN_BYTES: usize = 1024 * 1024;

/// Where frames are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Between the switch and whoever is behind the port.
    Port,
    /// Between the switch and another member, in the clear.
    Mesh,
    /// What the switch did not let pass, with the reason.
    Drops,
}

/// Which of them somebody wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// `Side::Port`
    pub port: bool,
    /// `Side::Mesh`
    pub mesh: bool,
    /// `Side::Drops`
    pub drops: bool,
}

impl Sides {
    fn has(self, side: Side) -> bool {
        match side {
            Side::Port => self.port,
            Side::Mesh => self.mesh,
            Side::Drops => self.drops,
        }
    }
}

/// Where a frame was seen, and what is to be said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Where.
    pub side: Side,
    /// Into the switch: from the port, or from a member. So is every frame that was dropped.
    pub is_inward: bool,
    /// The member it came from or went to; `None`: the port.
    pub peer: Option<Fingerprint>,
    /// Why it was dropped.
    pub reason: Option<DropReason>,
}

/// One frame that was seen, as it was there: checksums open, super-frames whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Captured {
    /// When.
    pub at: f64,
    /// Where.
    pub sight: Sight,
    /// Of the whole frame.
    pub length: usize,
    /// As much of it as was wanted.
    pub frame: Vec<u8>,
    /// Frames seen since the one before it in this capture for which there was no room.
    pub lost: u64,
}

#[derive(Debug)]
struct Capture {
    sides: Sides,
    snap: usize,
    queue: VecDeque<Captured>,
    bytes: usize,
    lost: u64,
}

/// All captures. While there is none, a frame costs one branch.
#[derive(Debug, Default)]
pub struct Captures {
    table: HashMap<u64, Capture>,
}

impl Captures {
    /// Whether anything is captured.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.table.is_empty()
    }

    /// Begin to keep, or begin anew.
    pub fn start(&mut self, network: u64, sides: Sides, snap: usize) {
        let fresh = Capture { sides, snap, queue: VecDeque::new(), bytes: 0, lost: 0 };
        self.table.insert(network, fresh);
    }

    /// Keep nothing more.
    pub fn stop(&mut self, network: u64) {
        self.table.remove(&network);
    }

    /// One frame, whose bytes are `head`, then `body`.
    #[cold]
    pub fn see(
        &mut self,
        network: u64,
        sight: Sight,
        [head, body]: [&[u8]; 2],
        now: f64,
        bounds: &Bounds,
    ) {
        let Some(capture) = self.table.get_mut(&network) else { return };
        if !capture.sides.has(sight.side) {
            return;
        }
        let length = head.len() + body.len();
        let kept = length.min(capture.snap);
        if capture.queue.len() >= bounds.capture_frames
            || capture.bytes + kept > bounds.capture_bytes
        {
            capture.lost += 1;
            return;
        }
        let mut frame = Vec::with_capacity(kept);
        frame.extend_from_slice(&head[..kept.min(head.len())]);
        frame.extend_from_slice(&body[..kept - frame.len()]);
        let lost = std::mem::take(&mut capture.lost);
        capture.queue.push_back(Captured { at: now, sight, length, frame, lost });
        capture.bytes += kept;
    }

    /// The oldest frames of a network, out of the queue.
    pub fn take(&mut self, network: u64) -> Vec<Captured> {
        let mut taken = Vec::new();
        let Some(capture) = self.table.get_mut(&network) else { return taken };
        let mut size = 0;
        while taken.len() < TAKEN_FRAMES {
            let Some(next) = capture.queue.front() else { break };
            size += next.frame.len();
            if !taken.is_empty() && size > TAKEN_BYTES {
                break;
            }
            capture.bytes -= next.frame.len();
            taken.extend(capture.queue.pop_front());
        }
        taken
    }
}
