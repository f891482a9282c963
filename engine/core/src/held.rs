//! Frames that wait for a session or a path, so that the first ping is not lost (sections 10, 11).
//!
//! For each peer at most 32 frames and 64 KiB, for 3 s; beyond that the oldest goes. Whenever a
//! frame begins to wait, the control plane hears of it, at most once a second for a peer and network.

use std::collections::VecDeque;

use crate::drops::DropReason;
use crate::journal::Journal;
use crate::peers::{PeerId, Peers};
use crate::sink::FrameMeta;
use crate::upcall::Upcall;

/// A frame that waits for a key or a path.
#[derive(Debug)]
pub struct Held {
    /// Of which port.
    pub network: u64,
    /// As it was read.
    pub frame: Vec<u8>,
    /// What was said of it.
    pub meta: FrameMeta,
    /// It is the text of GROUP.
    pub is_group: bool,
    until: f64,
}

/// Looks after the held frames of all peers; each peer carries its own.
#[derive(Debug, Default)]
pub struct HeldFrames {
    waiting: Vec<PeerId>,
    /// When something may have waited too long. It may come too early, never too late.
    pub due: Option<f64>,
}

impl HeldFrames {
    /// Keep a frame for a peer, and ask for a session.
    #[allow(clippy::too_many_arguments, reason = "the frame is three of them")]
    pub fn hold(
        &mut self,
        peers: &mut Peers,
        id: PeerId,
        network: u64,
        frame: &[u8],
        meta: FrameMeta,
        now: f64,
        journal: &mut Journal,
    ) {
        let held = Held { network, frame: frame.to_vec(), meta, is_group: false, until: 0.0 };
        self.keep(peers, id, held, now, journal);
    }

    /// The same for a broadcast that others carry on.
    pub fn hold_group(
        &mut self,
        peers: &mut Peers,
        id: PeerId,
        network: u64,
        text: Vec<u8>,
        now: f64,
        journal: &mut Journal,
    ) {
        let meta = FrameMeta::default();
        let held = Held { network, frame: text, meta, is_group: true, until: 0.0 };
        self.keep(peers, id, held, now, journal);
    }

    fn keep(&mut self, peers: &mut Peers, id: PeerId, held: Held, now: f64, journal: &mut Journal) {
        let until = now + journal.bounds.held_s;
        let network = held.network;
        let peer = &mut peers[id];
        peer.held_bytes += held.frame.len();
        peer.held.push_back(Held { until, ..held });
        journal.counters.frames_held += 1;
        if !peer.is_holding {
            peer.is_holding = true;
            self.waiting.push(id);
        }
        self.due.get_or_insert(until);
        while peer.held.len() > journal.bounds.held_frames
            || peer.held_bytes > journal.bounds.held_bytes
        {
            let Some(oldest) = peer.held.pop_front() else { break };
            peer.held_bytes -= oldest.frame.len();
            journal.drop(DropReason::HeldOverflow);
        }
        let interval = journal.bounds.need_session_interval_s;
        match peer.asked.iter_mut().find(|(one, _)| *one == network) {
            Some((_, asked)) if now - *asked < interval => return,
            Some((_, asked)) => *asked = now,
            None => peer.asked.push((network, now)),
        }
        let name = peer.fingerprint;
        journal.tell(Some(name), Upcall::NeedSession { peer: name, network });
    }

    /// The frames for a peer in a network that have not waited too long, in order; held no more.
    pub fn take(
        peers: &mut Peers,
        id: PeerId,
        network: u64,
        now: f64,
        journal: &mut Journal,
    ) -> VecDeque<Held> {
        expire(peers, id, now, journal);
        let peer = &mut peers[id];
        if !peer.held.iter().any(|held| held.network == network) {
            return VecDeque::new();
        }
        let (taken, kept): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut peer.held).into_iter().partition(|held| held.network == network);
        peer.held = kept;
        peer.held_bytes = peer.held.iter().map(|held| held.frame.len()).sum();
        taken
    }

    /// Give up the frames for a peer in a network.
    pub fn drop(
        peers: &mut Peers,
        id: PeerId,
        network: u64,
        reason: DropReason,
        now: f64,
        journal: &mut Journal,
    ) {
        let taken = Self::take(peers, id, network, now, journal);
        journal.counters.drop_many(reason, taken.len() as u64);
        peers[id].asked.retain(|(one, _)| *one != network);
    }

    /// Give up what has waited 3 s.
    pub fn sweep(&mut self, peers: &mut Peers, now: f64, journal: &mut Journal) {
        self.due = None;
        let mut due: Option<f64> = None;
        self.waiting.retain(|&id| {
            expire(peers, id, now, journal);
            if let Some(first) = peers[id].held.front() {
                due = Some(due.map_or(first.until, |due| due.min(first.until)));
                return true;
            }
            peers[id].is_holding = false;
            peers.reclaim(id);
            false
        });
        self.due = due;
    }
}

fn expire(peers: &mut Peers, id: PeerId, now: f64, journal: &mut Journal) {
    let peer = &mut peers[id];
    while peer.held.front().is_some_and(|held| now >= held.until) {
        peer.held_bytes -= peer.held.pop_front().map_or(0, |held| held.frame.len());
        journal.drop(DropReason::HeldTooLong);
    }
}
