//! Peers as the engine knows them: keys of both directions, the path in use, traffic.
//!
//! A peer is here while any command about it stands. Peers, keys and ports are found through small
//! numbers, so that one datagram costs two array look-ups: the slot of its index, and its peer.

use std::collections::{HashMap, VecDeque};

use crate::aead::{self, KeyMaterial, Transport};
use crate::command::Elided;
use crate::endpoint::{Endpoint, Path};
use crate::flow;
use crate::fragments::Assembly;
use crate::header::{OVERHEAD, PIECE_HEAD_BYTES, RELAY_HEADER_BYTES};
use crate::held::Held;
use crate::replay::ReplayWindow;
use crate::twice::Twin;

/// What names a node everywhere.
pub type Fingerprint = [u8; 32];

/// The number of a peer in `Peers`; it stays while the peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub(crate) u32);

/// Traffic with one peer; times are the engine's `now`, 0.0 = never.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Activity {
    /// When a frame or control was last sent.
    pub sent: f64,
    /// When anything authentic last came.
    pub received: f64,
    /// When a frame last passed, either way.
    pub frame: f64,
    /// Of datagrams with frames or control, with any RELAY header.
    pub tx_bytes: u64,
    /// Of authentic datagrams, without RELAY header.
    pub rx_bytes: u64,
    /// Datagrams.
    pub tx_packets: u64,
    /// Datagrams.
    pub rx_packets: u64,
}

/// What seals one direction of a session for one network.
#[derive(Debug)]
pub struct SendKey {
    /// Of which session.
    pub session: u64,
    /// The receiver's number for it.
    pub index: u32,
    /// The AEAD.
    pub transport: Transport,
    /// Addresses of frames that may leave without their header.
    pub elided: Option<Elided>,
    /// From this counter on somebody must look before sending.
    pub alert: u64,
    /// The next one to use.
    pub counter: u64,
}

/// What opens DATA on one receive index.
#[derive(Debug)]
pub struct ReceiveKey {
    /// Whose it is.
    pub peer: PeerId,
    /// Of which session.
    pub session: u64,
    /// 0 is control.
    pub network: u64,
    /// The whole number.
    pub index: u32,
    /// The AEAD.
    pub transport: Transport,
    /// Addresses of frames that come without their header.
    pub elided: Option<Elided>,
    /// Which counters have come.
    pub window: ReplayWindow,
    /// Another index with the same low 16 bits.
    next: u32,
}

/// Everything about one peer.
#[derive(Debug, Default)]
pub struct Peer {
    /// Its name.
    pub fingerprint: Fingerprint,
    /// Where datagrams go; `None`: nowhere, frames are held.
    pub path: Option<Path>,
    /// Where frames go instead, each flow to one of them; empty: all by the path.
    spread: Box<[Endpoint]>,
    /// Length of the largest frame that fits one datagram of the path.
    pub whole: usize,
    /// Bytes of a frame that a FRAG datagram carries.
    pub piece: usize,
    /// What `whole` is without a twin.
    room: usize,
    /// The path by which datagrams leave as well.
    pub twin: Option<Box<Twin>>,
    /// Traffic.
    pub activity: Activity,
    /// Networks and what seals frames to there, in the order in which they came.
    pub send: Vec<(u64, SendKey)>,
    /// The same for lanes other than 0, beside those.
    pub lanes: Vec<(u64, u8, SendKey)>,
    /// Those of network 0, by session.
    pub control: Vec<(u64, SendKey)>,
    /// Its receive indices.
    receive: Vec<u32>,
    /// Sessions, and whether something authentic has come on them.
    pub sessions: Vec<(u64, bool)>,
    /// Number of open ports whose member it is.
    pub memberships: usize,
    /// Frames that wait for a key or the path.
    pub held: VecDeque<Held>,
    /// Bytes of those.
    pub held_bytes: usize,
    /// Whether `HeldFrames` looks after it.
    pub is_holding: bool,
    /// Network, and when a session for it was last asked for.
    pub asked: Vec<(u64, f64)>,
    /// Path, and when it was last reported as a new source.
    pub seen: Vec<(Path, f64)>,
    /// Unfinished frames by index and frame id, the oldest first.
    pub assemblies: Vec<(u64, Assembly)>,
    /// Bytes of those.
    pub assembly_bytes: usize,
    /// Whether `Fragments` looks after it.
    pub is_assembling: bool,
}

impl Peer {
    /// The key for frames of a network that leave by `lane`: its own, or that of lane 0.
    #[must_use]
    pub fn send_key(&mut self, network: u64, lane: u8) -> Option<&mut SendKey> {
        if lane > 0 {
            let own =
                |(one, number, _): &&mut (u64, u8, SendKey)| (*one, *number) == (network, lane);
            if let Some((_, _, key)) = self.lanes.iter_mut().find(own) {
                return Some(key);
            }
        }
        self.send.iter_mut().find(|(one, _)| *one == network).map(|(_, key)| key)
    }

    /// Bytes of RELAY header before each datagram of the path.
    #[must_use]
    pub fn relay_bytes(&self) -> usize {
        match self.path {
            Some(Path { relay: 1.., .. }) => RELAY_HEADER_BYTES,
            _ => 0,
        }
    }

    /// By which path a frame leaves.
    #[must_use]
    pub fn way(&self, frame: &[u8]) -> Option<Path> {
        if self.spread.is_empty() {
            return self.path;
        }
        let endpoint = self.spread[flow::way_of(frame, self.spread.len())];
        Some(Path { endpoint, relay: 0 })
    }

    /// Another twin or none: frames are cut to what both paths carry. One by which all frames leave
    /// already is none.
    pub fn set_twin(&mut self, twin: Option<Twin>) {
        let twin = twin.filter(|twin| !self.spread.is_empty() || Some(twin.path) != self.path);
        self.whole = twin.map_or(self.room, |twin| self.room.min(twin.whole));
        self.piece = self.whole.saturating_sub(PIECE_HEAD_BYTES).max(1);
        self.twin = twin.map(Box::new);
    }

    /// Whether a command about it stands.
    fn is_needed(&self) -> bool {
        self.path.is_some()
            || !self.send.is_empty()
            || !self.control.is_empty()
            || !self.receive.is_empty()
            || self.memberships > 0
    }
}

/// Length of the largest frame in one datagram of `size` bytes with any RELAY header.
pub(crate) fn whole_size(path: Option<&Path>, size: i64) -> usize {
    let header = path.map_or(0, |path| if path.relay == 0 { 0 } else { RELAY_HEADER_BYTES });
    usize::try_from(size).unwrap_or(0).saturating_sub(header + OVERHEAD)
}

/// Endpoints of `SetPath.spread` that count.
const MOST_SPREAD: usize = 16;
const NONE: u32 = u32::MAX;
const SLOTS: usize = 1 << 16;

/// All peers, and the table of receive indices.
#[derive(Debug)]
pub struct Peers {
    by_name: HashMap<Fingerprint, PeerId>,
    table: Vec<Peer>,
    vacant: Vec<u32>,
    /// By the low 16 bits of a receive index: the first key there.
    slots: Box<[u32]>,
    keys: Vec<Option<ReceiveKey>>,
    vacant_keys: Vec<u32>,
}

impl Default for Peers {
    fn default() -> Self {
        Self {
            by_name: HashMap::new(),
            table: Vec::new(),
            vacant: Vec::new(),
            slots: vec![NONE; SLOTS].into_boxed_slice(),
            keys: Vec::new(),
            vacant_keys: Vec::new(),
        }
    }
}

impl std::ops::Index<PeerId> for Peers {
    type Output = Peer;

    fn index(&self, id: PeerId) -> &Peer {
        &self.table[id.0 as usize]
    }
}

impl std::ops::IndexMut<PeerId> for Peers {
    fn index_mut(&mut self, id: PeerId) -> &mut Peer {
        &mut self.table[id.0 as usize]
    }
}

impl Peers {
    /// The peer of that name.
    #[must_use]
    pub fn find(&self, fingerprint: &Fingerprint) -> Option<PeerId> {
        self.by_name.get(fingerprint).copied()
    }

    /// The peer of that name, a new one if need be.
    pub fn obtain(&mut self, fingerprint: Fingerprint) -> PeerId {
        if let Some(id) = self.find(&fingerprint) {
            return id;
        }
        let peer = Peer { fingerprint, piece: 1, ..Peer::default() };
        let place = if let Some(place) = self.vacant.pop() {
            self.table[place as usize] = peer;
            place
        } else {
            self.table.push(peer);
            self.table.len() as u32 - 1
        };
        self.by_name.insert(fingerprint, PeerId(place));
        PeerId(place)
    }

    /// Forget a peer if nothing stands about it any more. What still ages with it (pieces of
    /// frames) goes on until `reclaim`.
    pub fn release(&mut self, id: PeerId) {
        if self[id].is_needed() {
            return;
        }
        let name = self[id].fingerprint;
        if self.find(&name) == Some(id) {
            self.by_name.remove(&name);
        }
        self.reclaim(id);
    }

    /// Give the place of a forgotten peer to others, once nothing ages there any more.
    pub fn reclaim(&mut self, id: PeerId) {
        let peer = &self[id];
        let is_known = self.find(&peer.fingerprint) == Some(id);
        if !is_known && !peer.is_holding && !peer.is_assembling && !self.vacant.contains(&id.0) {
            self[id] = Peer::default();
            self.vacant.push(id.0);
        }
    }

    // --- keys -----------------------------------------------------------------------------------

    /// The place of a receive index.
    #[must_use]
    pub fn find_key(&self, index: u32) -> Option<usize> {
        let mut place = self.slots[index as usize % SLOTS];
        while let Some(Some(key)) = self.keys.get(place as usize) {
            if key.index == index {
                return Some(place as usize);
            }
            place = key.next;
        }
        None
    }

    /// The key at a place that `find_key` gave, and its peer.
    pub fn key_and_peer(&mut self, place: usize) -> Option<(&mut ReceiveKey, &mut Peer)> {
        let key = self.keys.get_mut(place)?.as_mut()?;
        let peer = &mut self.table[key.peer.0 as usize];
        Some((key, peer))
    }

    /// A receive index; one that is in use is replaced.
    pub fn install_receive(
        &mut self,
        fingerprint: Fingerprint,
        session: u64,
        network: u64,
        index: u32,
        material: &KeyMaterial,
        elided: Option<Elided>,
    ) {
        let id = self.obtain(fingerprint);
        self.forget_index(index);
        let peer = &mut self[id];
        peer.receive.push(index);
        if !peer.sessions.iter().any(|(number, _)| *number == session) {
            peer.sessions.push((session, false));
        }
        let slot = index as usize % SLOTS;
        let key = ReceiveKey {
            peer: id,
            session,
            network,
            index,
            transport: aead::transport(network, material),
            elided,
            window: ReplayWindow::default(),
            next: self.slots[slot],
        };
        self.slots[slot] = if let Some(place) = self.vacant_keys.pop() {
            self.keys[place as usize] = Some(key);
            place
        } else {
            self.keys.push(Some(key));
            self.keys.len() as u32 - 1
        };
    }

    /// A send key in place of the one before; for network 0 one for each session. One for a lane
    /// other than 0 joins that of lane 0, with which it goes.
    pub fn install_send(
        &mut self,
        fingerprint: Fingerprint,
        network: u64,
        lane: u8,
        key: SendKey,
    ) -> PeerId {
        let id = self.obtain(fingerprint);
        let peer = &mut self[id];
        if lane > 0 {
            if peer.send.iter().any(|(one, _)| *one == network) {
                peer.lanes.retain(|(one, number, _)| (*one, *number) != (network, lane));
                peer.lanes.push((network, lane, key));
            }
            return id;
        }
        peer.lanes.retain(|(one, ..)| *one != network);
        let (keys, name) = match network {
            0 => (&mut peer.control, key.session),
            _ => (&mut peer.send, network),
        };
        match keys.iter_mut().find(|(one, _)| *one == name) {
            Some((_, before)) => *before = key,
            None => keys.push((name, key)),
        }
        id
    }

    /// DATA on it meets silence.
    pub fn remove_receive(&mut self, index: u32) {
        if let Some(id) = self.forget_index(index) {
            self.release(id);
        }
    }

    /// Every key of a session.
    pub fn remove_session(&mut self, fingerprint: &Fingerprint, session: u64) {
        let Some(id) = self.find(fingerprint) else { return };
        for index in self[id].receive.clone() {
            let key = self.find_key(index).and_then(|place| self.keys[place].as_ref());
            if key.is_some_and(|key| key.session == session) {
                self.forget_index(index);
            }
        }
        let peer = &mut self[id];
        peer.send.retain(|(_, key)| key.session != session);
        peer.lanes.retain(|(_, _, key)| key.session != session);
        peer.control.retain(|(number, _)| *number != session);
        peer.sessions.retain(|(number, _)| *number != session);
        self.release(id);
    }

    /// Where a peer is reached from now on, and how much fits into a datagram there.
    pub fn set_path(
        &mut self,
        fingerprint: Fingerprint,
        path: Option<Path>,
        size: i64,
        mut spread: Vec<Endpoint>,
    ) -> PeerId {
        let id = self.obtain(fingerprint);
        let peer = &mut self[id];
        peer.path = path;
        peer.room = whole_size(path.as_ref(), size);
        spread.truncate(if path.is_some_and(|path| path.relay == 0) { MOST_SPREAD } else { 0 });
        peer.spread = spread.into_boxed_slice();
        let twin = peer.twin.take().map(|twin| *twin);
        peer.set_twin(twin);
        id
    }

    fn forget_index(&mut self, index: u32) -> Option<PeerId> {
        let place = self.find_key(index)?;
        let key = self.keys[place].take()?;
        self.vacant_keys.push(place as u32);
        let slot = &mut self.slots[index as usize % SLOTS];
        if *slot == place as u32 {
            *slot = key.next;
        } else {
            let mut at = *slot;
            while let Some(Some(before)) = self.keys.get_mut(at as usize) {
                if before.next == place as u32 {
                    before.next = key.next;
                    break;
                }
                at = before.next;
            }
        }
        self[key.peer].receive.retain(|one| *one != index);
        Some(key.peer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::*;
    use crate::aead::Cipher;

    fn install(peers: &mut Peers, name: u8, session: u64, index: u32) {
        let material = KeyMaterial {
            cipher: Cipher::ChaCha20Poly1305,
            key: Zeroizing::new([1; 32]),
            salt: [0; 4],
        };
        peers.install_receive([name; 32], session, 7, index, &material, None);
    }

    #[test]
    fn a_peer_is_forgotten_with_its_last_key() {
        let mut peers = Peers::default();
        install(&mut peers, 1, 5, 0x10001);
        install(&mut peers, 1, 6, 0x20001);
        peers.remove_session(&[1; 32], 5);
        assert!(peers.find_key(0x10001).is_none() && peers.find_key(0x20001).is_some());
        peers.remove_receive(0x20001);
        assert_eq!(peers.find(&[1; 32]), None);
        assert_eq!(peers.obtain([2; 32]), PeerId(0));
    }

    #[test]
    fn an_index_that_is_in_use_changes_hands() {
        let mut peers = Peers::default();
        install(&mut peers, 1, 5, 9);
        install(&mut peers, 2, 5, 9);
        let place = peers.find_key(9).expect("installed");
        assert_eq!(peers.key_and_peer(place).expect("there").1.fingerprint, [2; 32]);
        peers.remove_receive(9);
        assert_eq!(peers.find(&[2; 32]), None);
    }

    proptest! {
        /// Indices that share a slot are found like any others.
        #[test]
        fn the_table_is_a_set_of_whole_indices(steps in prop::collection::vec((any::<bool>(), 0u32..4, 0u32..3), 1..80)) {
            let (mut peers, mut model) = (Peers::default(), HashSet::new());
            for (add, high, low) in steps {
                let index = high << 16 | low;
                if add {
                    install(&mut peers, high as u8, 1, index);
                    model.insert(index);
                } else {
                    peers.remove_receive(index);
                    model.remove(&index);
                }
                for index in (0..4).flat_map(|high| (0..3).map(move |low| high << 16 | low)) {
                    prop_assert_eq!(peers.find_key(index).is_some(), model.contains(&index));
                }
            }
        }
    }
}
