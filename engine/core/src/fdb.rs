//! The forwarding database of one network: (VLAN, MAC) to where that station was last heard.
//!
//! Signed MACs hold in every VLAN, never age and win over anything else (section 10). Static entries
//! (IEEE 802.1Q-2022 clause 8.8.1), in which the operator says where a station is, win over anything
//! learned: they stay until they are taken back. Learned entries are linked in the order in which
//! they were last heard, so that ageing looks at the oldest only; look-ups and learning take
//! constant time.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use crate::ethernet::{Mac, is_learnable};
use crate::peers::{Fingerprint, PeerId};

/// IEEE 802.1Q-2022 table 8-6 recommends it.
pub const AGEING_S: f64 = 300.0;
/// So often within `DAMPING_S` of its first move a station may move at once; then it has to stay.
const MOVES: u32 = 5;
const DAMPING_S: f64 = 10.0;
/// Static entries of one network; those behind them are ignored.
const MAX_STATIC: usize = 1024;

/// A peer, or this node's own port.
pub type Owner = Option<PeerId>;

/// What is known of a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is there.
    Behind(Owner),
    /// Its static entry names a peer who is no member at present.
    Absent,
    /// Nothing, or it was heard too long ago.
    Unknown,
}

/// What the operator says of a station: VLAN, MAC, and behind which peer, or our own port, it is.
pub type StaticEntry = (u16, Mac, Option<Fingerprint>);

/// A static entry; `owner` is `None` while its peer is no member.
#[derive(Clone, Copy, Debug)]
struct Said {
    peer: Option<Fingerprint>,
    owner: Option<Owner>,
}

/// What `Fdb::learn` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// It was known.
    Refreshed,
    /// It was not.
    New,
    /// It was behind somebody else.
    Moved,
    /// A cap was reached; nothing changed.
    Full,
    /// It moves to and fro too often and stays, for now, where it is.
    Damped,
    /// It is signed or has a static entry, or the address names no single station.
    Ignored,
}

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Station {
    vlan: u16,
    mac: Mac,
    owner: Owner,
    seen: f64,
    /// Since `moving`.
    moves: u32,
    moving: f64,
    older: u32,
    newer: u32,
}

/// Stations of one network.
#[derive(Debug)]
pub struct Fdb {
    signed: HashMap<Mac, Owner>,
    /// Signed MACs in the order in which they were signed first.
    order: Vec<Mac>,
    /// Static entries.
    said: BTreeMap<(u16, Mac), Said>,
    places: HashMap<(u16, Mac), u32>,
    stations: Vec<Station>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    counts: HashMap<Owner, usize>,
    per_peer: usize,
    per_network: usize,
    own: usize,
}

impl Fdb {
    /// Empty, with these caps on learned entries; `own` of them behind this node's port.
    #[must_use]
    pub fn new(per_peer: usize, per_network: usize, own: usize) -> Self {
        Self {
            signed: HashMap::new(),
            order: Vec::new(),
            said: BTreeMap::new(),
            places: HashMap::new(),
            stations: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            counts: HashMap::new(),
            per_peer,
            per_network,
            own,
        }
    }

    /// To whom a MAC is signed, `None` if to nobody.
    #[must_use]
    pub fn signed_to(&self, mac: Mac) -> Option<Owner> {
        self.signed.get(&mac).copied()
    }

    /// Where `mac` is in `vlan`.
    #[must_use]
    pub fn lookup(&self, vlan: u16, mac: Mac, now: f64) -> Place {
        if let Some(owner) = self.signed_to(mac) {
            return Place::Behind(owner);
        }
        if let Some(said) = self.said.get(&(vlan, mac)) {
            return said.owner.map_or(Place::Absent, Place::Behind);
        }
        let station = self.places.get(&(vlan, mac)).map(|&place| &self.stations[place as usize]);
        match station {
            Some(station) if now - station.seen < AGEING_S => Place::Behind(station.owner),
            _ => Place::Unknown,
        }
    }

    /// Note that a frame from `mac` came from `owner`.
    pub fn learn(&mut self, vlan: u16, mac: Mac, owner: Owner, now: f64) -> Learned {
        let is_said = self.signed.contains_key(&mac) || self.said.contains_key(&(vlan, mac));
        if is_said || !is_learnable(mac) {
            return Learned::Ignored;
        }
        if let Some(&place) = self.places.get(&(vlan, mac)) {
            let station = &mut self.stations[place as usize];
            if station.owner == owner && now - station.seen < AGEING_S {
                station.seen = now;
                if place != self.newest {
                    self.unlink(place);
                    self.append(place);
                }
                return Learned::Refreshed;
            }
        }
        self.expire(now);
        self.enter(vlan, mac, owner, now)
    }

    /// A new entry, or one that moves.
    fn enter(&mut self, vlan: u16, mac: Mac, owner: Owner, now: f64) -> Learned {
        let known = self.places.get(&(vlan, mac)).copied();
        let (mut moves, mut moving) = (0, f64::NEG_INFINITY);
        if let Some(place) = known {
            let station = &self.stations[place as usize];
            (moves, moving) = (1, now);
            if now - station.moving < DAMPING_S {
                (moves, moving) = (station.moves + 1, station.moving);
            }
            if moves > MOVES {
                return Learned::Damped;
            }
        }
        let cap = if owner.is_some() { self.per_peer } else { self.own };
        if self.counts.get(&owner).copied().unwrap_or_default() >= cap {
            return Learned::Full;
        }
        if known.is_none() && self.places.len() >= self.per_network {
            return Learned::Full;
        }
        if let Some(place) = known {
            self.forget(place);
        }
        let station =
            Station { vlan, mac, owner, seen: now, moves, moving, older: NONE, newer: NONE };
        let place = self.free.pop().unwrap_or(self.stations.len() as u32);
        if place as usize == self.stations.len() {
            self.stations.push(station);
        } else {
            self.stations[place as usize] = station;
        }
        self.append(place);
        self.places.insert((vlan, mac), place);
        *self.counts.entry(owner).or_default() += 1;
        if known.is_none() { Learned::New } else { Learned::Moved }
    }

    /// Forget stations not heard for 300 s.
    pub fn expire(&mut self, now: f64) {
        while self.oldest != NONE && now - self.stations[self.oldest as usize].seen >= AGEING_S {
            self.forget(self.oldest);
        }
    }

    /// When the oldest station is forgotten.
    #[must_use]
    pub fn next_expiry(&self) -> Option<f64> {
        (self.oldest != NONE).then(|| self.stations[self.oldest as usize].seen + AGEING_S)
    }

    /// Sign `mac` to `owner`; what was learned of it is forgotten.
    pub fn sign(&mut self, mac: Mac, owner: Owner) {
        if self.signed.insert(mac, owner).is_none() {
            self.order.push(mac);
        }
        let places = self.places_where(|station| station.mac == mac);
        for place in places {
            self.forget(place);
        }
    }

    /// Sign `mac` to `owner` if it is signed to nobody; what was learned of it stays, hidden.
    pub fn sign_if_free(&mut self, mac: Mac, owner: Owner) {
        if let Entry::Vacant(place) = self.signed.entry(mac) {
            place.insert(owner);
            self.order.push(mac);
        }
    }

    /// A MAC is signed to nobody any more.
    pub fn unsign(&mut self, mac: Mac) {
        if self.signed.remove(&mac).is_some() {
            self.order.retain(|one| *one != mac);
        }
    }

    /// Have these static entries and no others; the last one about a station counts. `find` names
    /// the members.
    pub fn set_static(
        &mut self,
        entries: &[StaticEntry],
        find: impl Fn(&Fingerprint) -> Option<PeerId>,
    ) {
        self.said.clear();
        for &(vlan, mac, peer) in entries.iter().take(MAX_STATIC) {
            if is_learnable(mac) {
                let owner = peer.map_or(Some(None), |name| find(&name).map(Some));
                self.said.insert((vlan, mac), Said { peer, owner });
                if let Some(&place) = self.places.get(&(vlan, mac)) {
                    self.forget(place);
                }
            }
        }
    }

    /// A peer has become a member, with this number, or is none any more.
    pub fn set_presence(&mut self, peer: &Fingerprint, id: Option<PeerId>) {
        for said in self.said.values_mut().filter(|said| said.peer.as_ref() == Some(peer)) {
            said.owner = id.map(Some);
        }
    }

    /// Whether a static entry names another place than `owner` for a MAC signed to nobody.
    #[must_use]
    pub fn is_elsewhere(&self, vlan: u16, mac: Mac, owner: Owner) -> bool {
        let said = self.said.get(&(vlan, mac));
        said.is_some_and(|said| said.owner != Some(owner)) && !self.signed.contains_key(&mac)
    }

    /// Static entries of MACs that are signed to nobody, and the members behind whom they are, in
    /// the order of VLAN and MAC.
    pub fn all_static(&self) -> impl Iterator<Item = (StaticEntry, Option<Owner>)> + '_ {
        let unsigned = self.said.iter().filter(|((_, mac), _)| !self.signed.contains_key(mac));
        unsigned.map(|(&(vlan, mac), said)| ((vlan, mac, said.peer), said.owner))
    }

    /// Forget what was learned behind `owner`.
    pub fn flush(&mut self, owner: Owner) {
        if self.counts.contains_key(&owner) {
            let places = self.places_where(|station| station.owner == owner);
            for place in places {
                self.forget(place);
            }
        }
    }

    /// Signed MACs and their owners.
    pub fn all_signed(&self) -> impl Iterator<Item = (Mac, Owner)> + '_ {
        self.order.iter().map(|mac| (*mac, self.signed[mac]))
    }

    /// VLAN, MAC, owner and age of what is known by learning, the longest silent first.
    pub fn learned(&self, now: f64) -> impl Iterator<Item = (u16, Mac, Owner, f64)> + '_ {
        self.in_order()
            .map(|place| self.stations[place as usize])
            .filter(move |station| now - station.seen < AGEING_S)
            .map(move |station| (station.vlan, station.mac, station.owner, now - station.seen))
    }

    fn in_order(&self) -> impl Iterator<Item = u32> + '_ {
        let first = (self.oldest != NONE).then_some(self.oldest);
        std::iter::successors(first, |&place| {
            let newer = self.stations[place as usize].newer;
            (newer != NONE).then_some(newer)
        })
    }

    fn places_where(&self, wanted: impl Fn(&Station) -> bool) -> Vec<u32> {
        self.in_order().filter(|&place| wanted(&self.stations[place as usize])).collect()
    }

    fn forget(&mut self, place: u32) {
        self.unlink(place);
        let Station { vlan, mac, owner, .. } = self.stations[place as usize];
        self.places.remove(&(vlan, mac));
        self.free.push(place);
        if let Some(count) = self.counts.get_mut(&owner) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&owner);
            }
        }
    }

    fn unlink(&mut self, place: u32) {
        let Station { older, newer, .. } = self.stations[place as usize];
        match older {
            NONE => self.oldest = newer,
            _ => self.stations[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            _ => self.stations[newer as usize].older = older,
        }
    }

    fn append(&mut self, place: u32) {
        let station = &mut self.stations[place as usize];
        (station.older, station.newer) = (self.newest, NONE);
        match self.newest {
            NONE => self.oldest = place,
            newest => self.stations[newest as usize].newer = place,
        }
        self.newest = place;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn mac(number: u8) -> Mac {
        [2, 0, 0, 0, 0, number]
    }

    #[test]
    fn signed_addresses_win_in_every_vlan() {
        let mut fdb = Fdb::new(4, 8, 8);
        assert_eq!(fdb.learn(7, mac(1), None, 0.0), Learned::New);
        fdb.sign(mac(1), Some(PeerId(3)));
        assert_eq!(fdb.lookup(9, mac(1), 0.0), Place::Behind(Some(PeerId(3))));
        assert_eq!(fdb.learn(7, mac(1), None, 0.0), Learned::Ignored);
        fdb.unsign(mac(1));
        assert_eq!(fdb.lookup(7, mac(1), 0.0), Place::Unknown);
    }

    #[test]
    fn static_entries_win_over_what_is_learned_and_stay() {
        let mut fdb = Fdb::new(4, 8, 8);
        assert_eq!(fdb.learn(7, mac(1), None, 0.0), Learned::New);
        fdb.set_static(&[(7, mac(1), Some([3; 32])), (7, mac(2), None), (7, [1; 6], None)], |_| {
            Some(PeerId(3))
        });
        assert_eq!(fdb.all_static().count(), 2, "a group is no station");
        assert_eq!(fdb.learned(0.0).count(), 0);
        assert_eq!(fdb.learn(7, mac(1), None, 0.0), Learned::Ignored);
        assert_eq!(fdb.learn(8, mac(1), None, 0.0), Learned::New, "in another VLAN");
        fdb.flush(Some(PeerId(3)));
        assert_eq!(fdb.lookup(7, mac(1), 999.0), Place::Behind(Some(PeerId(3))));
        assert!(fdb.is_elsewhere(7, mac(1), None) && !fdb.is_elsewhere(7, mac(2), None));
        fdb.set_presence(&[3; 32], None);
        assert_eq!(fdb.lookup(7, mac(1), 0.0), Place::Absent);
        assert!(fdb.is_elsewhere(7, mac(1), Some(PeerId(3))));
        fdb.sign(mac(1), None);
        assert!(!fdb.is_elsewhere(7, mac(1), None));
        fdb.set_static(&[], |_| None);
        assert_eq!(fdb.lookup(7, mac(2), 0.0), Place::Unknown);
    }

    #[test]
    fn groups_and_zero_are_not_learned() {
        let mut fdb = Fdb::new(4, 8, 8);
        assert_eq!(fdb.learn(0, [1; 6], None, 0.0), Learned::Ignored);
        assert_eq!(fdb.learn(0, [0; 6], None, 0.0), Learned::Ignored);
    }

    #[test]
    fn caps_hold_for_peers_and_network() {
        let mut own = Fdb::new(2, 3, 1);
        assert_eq!(own.learn(0, mac(1), None, 0.0), Learned::New);
        assert_eq!(own.learn(0, mac(2), None, 0.0), Learned::Full);
        let mut fdb = Fdb::new(2, 3, 3);
        let peer = Some(PeerId(1));
        assert_eq!(fdb.learn(0, mac(1), peer, 0.0), Learned::New);
        assert_eq!(fdb.learn(0, mac(2), peer, 0.0), Learned::New);
        assert_eq!(fdb.learn(0, mac(3), peer, 0.0), Learned::Full);
        assert_eq!(fdb.learn(0, mac(3), None, 0.0), Learned::New);
        assert_eq!(fdb.learn(0, mac(4), None, 0.0), Learned::Full);
        assert_eq!(fdb.learn(0, mac(1), None, 1.0), Learned::Moved);
        assert_eq!(fdb.learn(0, mac(4), None, 300.0), Learned::New);
        fdb.flush(None);
        assert_eq!(fdb.learned(300.0).count(), 0);
    }

    #[test]
    fn flapping_is_damped() {
        let mut fdb = Fdb::new(9, 9, 9);
        let owners = [None, Some(PeerId(1))];
        fdb.learn(0, mac(1), None, 0.0);
        let moves = (1..9).map(|n| fdb.learn(0, mac(1), owners[n % 2], 1.0 + n as f64));
        let damped: Vec<bool> = moves.map(|one| one == Learned::Damped).collect();
        assert_eq!(damped, [false, false, false, false, false, true, false, true]);
        assert_eq!(fdb.learn(0, mac(1), None, 11.9), Learned::Damped);
        assert_eq!(fdb.learn(0, mac(1), None, 12.0), Learned::Moved);
    }

    proptest! {
        /// Against a plain map with the same rules and no caps.
        #[test]
        fn is_a_map_that_ages(steps in prop::collection::vec((0u8..6, 0u32..3, 0.0..90.0f64, 0u8..9), 1..200)) {
            let (mut fdb, mut model, mut now) = (Fdb::new(100, 100, 100), BTreeMap::new(), 0.0);
            for (number, owner, pause, kind) in steps {
                now += pause;
                let owner = (owner > 0).then_some(PeerId(owner));
                model.retain(|_, &mut (_, seen)| now - seen < AGEING_S);
                if kind == 0 {
                    fdb.flush(owner);
                    model.retain(|_, &mut (who, _)| who != owner);
                } else {
                    let before = model.insert(mac(number), (owner, now));
                    let expected = match before {
                        None => Learned::New,
                        Some((who, _)) if who == owner => Learned::Refreshed,
                        Some(_) => Learned::Moved,
                    };
                    prop_assert_eq!(fdb.learn(5, mac(number), owner, now), expected);
                }
                for number in 0..6 {
                    let expected = model.get(&mac(number)).map_or(Place::Unknown, |one| Place::Behind(one.0));
                    prop_assert_eq!(fdb.lookup(5, mac(number), now), expected);
                }
                let ages: Vec<f64> = fdb.learned(now).map(|one| one.3).collect();
                prop_assert_eq!(ages.len(), model.len());
                prop_assert!(ages.is_sorted_by(|a, b| a >= b));
            }
        }
    }
}
