//! Putting frames together from FRAG pieces (section 4).
//!
//! A frame is named by the index on which its pieces came and by its id. Memory: for each peer at
//! most 16 unfinished frames and 256 KiB of pieces, for one second; at most 64 pieces a frame. A
//! bad piece is dropped alone: it is authentic, so only its sender can hurt itself.

use crate::drops::DropReason;
use crate::header::{MIN_FRAGMENTED, parse_piece};
use crate::journal::Journal;
use crate::peers::{Peer, PeerId, Peers};

/// One unfinished frame: its pieces in the order of their offsets, which never overlap.
#[derive(Debug)]
pub struct Assembly {
    total: usize,
    until: f64,
    pieces: Vec<(usize, Box<[u8]>)>,
    received: usize,
}

impl Assembly {
    /// Put a piece in its place; false, changing nothing, if it overlaps another.
    fn add(&mut self, offset: usize, bytes: &[u8]) -> bool {
        let place = self.pieces.partition_point(|(start, _)| *start <= offset);
        let end_before =
            place.checked_sub(1).map_or(0, |n| self.pieces[n].0 + self.pieces[n].1.len());
        let start_after = self.pieces.get(place).map_or(self.total, |(start, _)| *start);
        if offset < end_before || offset + bytes.len() > start_after {
            return false;
        }
        self.pieces.insert(place, (offset, bytes.into()));
        self.received += bytes.len();
        true
    }
}

/// Looks after the unfinished frames of all peers; each peer carries its own.
#[derive(Debug, Default)]
pub struct Fragments {
    waiting: Vec<PeerId>,
    /// When something may be too old. It may come too early, never too late.
    pub due: Option<f64>,
    /// The frame put together last.
    whole: Vec<u8>,
}

impl Fragments {
    /// Take the text of one FRAG datagram; the frame if this piece completes it.
    pub fn add(
        &mut self,
        peer: &mut Peer,
        id: PeerId,
        index: u32,
        text: &[u8],
        now: f64,
        journal: &mut Journal,
    ) -> Option<&[u8]> {
        let Some((number, offset, total, bytes)) = parse_piece(text) else {
            journal.drop(DropReason::BadFragment);
            return None;
        };
        let (offset, total) = (usize::from(offset), usize::from(total));
        if total < MIN_FRAGMENTED || offset + bytes.len() > total {
            journal.drop(DropReason::BadFragment);
            return None;
        }
        let name = u64::from(index) << 32 | u64::from(number);
        if let Some(place) = peer.assemblies.iter().position(|(one, _)| *one == name) {
            if now < peer.assemblies[place].1.until {
                return self.go_on(peer, place, offset, total, bytes, journal);
            }
            lose(peer, place, journal);
        }
        if bytes.len() == total {
            journal.counters.frames_reassembled += 1;
            self.whole.clear();
            self.whole.extend_from_slice(bytes);
            return Some(&self.whole);
        }
        let until = now + journal.bounds.fragment_s;
        let pieces = vec![(offset, bytes.into())];
        peer.assemblies.push((name, Assembly { total, until, pieces, received: bytes.len() }));
        peer.assembly_bytes += bytes.len();
        self.due.get_or_insert(until);
        if !peer.is_assembling {
            peer.is_assembling = true;
            self.waiting.push(id);
        }
        if peer.assemblies.len() > 1 {
            displace(peer, journal);
        }
        None
    }

    /// Another piece of a frame that is not finished.
    fn go_on(
        &mut self,
        peer: &mut Peer,
        place: usize,
        offset: usize,
        total: usize,
        bytes: &[u8],
        journal: &mut Journal,
    ) -> Option<&[u8]> {
        let assembly = &mut peer.assemblies[place].1;
        if total != assembly.total
            || assembly.pieces.len() >= journal.bounds.pieces
            || !assembly.add(offset, bytes)
        {
            journal.drop(DropReason::BadFragment);
            return None;
        }
        peer.assembly_bytes += bytes.len();
        if assembly.received < total {
            displace(peer, journal);
            return None;
        }
        let (_, assembly) = peer.assemblies.remove(place);
        peer.assembly_bytes -= total;
        journal.counters.frames_reassembled += 1;
        self.whole.clear();
        assembly.pieces.iter().for_each(|(_, bytes)| self.whole.extend_from_slice(bytes));
        Some(&self.whole)
    }

    /// Give up frames whose second is over.
    pub fn sweep(&mut self, peers: &mut Peers, now: f64, journal: &mut Journal) {
        let mut due: Option<f64> = None;
        self.waiting.retain(|&id| {
            let peer = &mut peers[id];
            while let Some(old) = peer.assemblies.iter().position(|(_, one)| now >= one.until) {
                lose(peer, old, journal);
            }
            let untils = peer.assemblies.iter().map(|(_, one)| one.until);
            if let Some(first) = untils.reduce(f64::min) {
                due = Some(due.map_or(first, |due| due.min(first)));
                return true;
            }
            peer.is_assembling = false;
            peers.reclaim(id);
            false
        });
        self.due = due;
    }
}

/// Give up the oldest frames until the peer is within its bounds.
fn displace(peer: &mut Peer, journal: &mut Journal) {
    while peer.assemblies.len() > journal.bounds.fragment_frames
        || peer.assembly_bytes > journal.bounds.fragment_bytes
    {
        lose(peer, 0, journal);
    }
}

fn lose(peer: &mut Peer, place: usize, journal: &mut Journal) {
    peer.assembly_bytes -= peer.assemblies.remove(place).1.received;
    journal.drop(DropReason::FragmentLost);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bounds::Bounds;
    use crate::header::piece_head;

    fn piece(number: u32, offset: usize, total: usize, bytes: &[u8]) -> Vec<u8> {
        [&piece_head(number, offset as u16, total as u16)[..], bytes].concat()
    }

    fn peers() -> (Peers, PeerId, Fragments, Journal) {
        let mut peers = Peers::default();
        let id = peers.obtain([1; 32]);
        (peers, id, Fragments::default(), Journal::new(Bounds::default()))
    }

    #[test]
    fn pieces_that_break_a_rule_are_dropped_alone() {
        let (mut peers, id, mut fragments, mut journal) = peers();
        let mut add = |text: &[u8]| {
            fragments.add(&mut peers[id], id, 1, text, 0.0, &mut journal).map(<[u8]>::to_vec)
        };
        assert_eq!(add(&piece(1, 0, 20, &[1; 12])), None);
        for bad in [
            piece(1, 0, 20, &[]),
            piece(1, 11, 20, &[1; 9]),
            piece(1, 12, 20, &[1; 9]),
            piece(1, 12, 21, &[1; 8]),
            piece(1, 0, 14, &[1; 14]),
        ] {
            assert_eq!(add(&bad), None);
        }
        assert_eq!(add(&piece(1, 12, 20, &[2; 8])), Some([[1; 12].as_slice(), &[2; 8]].concat()));
        let drops: Vec<_> = journal.counters.drops().collect();
        assert_eq!(drops, [(DropReason::BadFragment, 5)]);
        assert_eq!(peers[id].assembly_bytes, 0);
    }

    #[test]
    fn the_oldest_of_too_many_is_given_up() {
        let (mut peers, id, mut fragments, mut journal) = peers();
        for number in 0..18 {
            fragments.add(&mut peers[id], id, 1, &piece(number, 0, 20, &[1]), 0.0, &mut journal);
        }
        assert_eq!(peers[id].assemblies.len(), 16);
        fragments.sweep(&mut peers, 1.0, &mut journal);
        let drops: Vec<_> = journal.counters.drops().collect();
        assert_eq!(drops, [(DropReason::FragmentLost, 18)]);
        assert_eq!((fragments.due, peers[id].assembly_bytes), (None, 0));
    }

    proptest! {
        #[test]
        fn any_order_of_pieces_gives_the_frame(
            frame in prop::collection::vec(any::<u8>(), 15..300), size in 8usize..40, seed: u64,
        ) {
            let (mut peers, id, mut fragments, mut journal) = peers();
            let mut pieces: Vec<_> = frame
                .chunks(size)
                .enumerate()
                .map(|(n, bytes)| piece(7, n * size, frame.len(), bytes))
                .collect();
            pieces.sort_by_key(|one| seed.wrapping_mul(u64::from(one[5]) + 1) >> 7);
            let mut done = None;
            for text in &pieces {
                prop_assert_eq!(&done, &None);
                done = fragments.add(&mut peers[id], id, 9, text, 0.0, &mut journal).map(<[u8]>::to_vec);
            }
            prop_assert_eq!(done, Some(frame));
            prop_assert_eq!(peers[id].assembly_bytes, 0);
        }
    }
}
