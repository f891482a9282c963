//! The local ports: one switch for each open network.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::broadcaster::Outgoing;
use crate::command::PortOffloads;
use crate::drops::DropReason;
use crate::ethernet::Mac;
use crate::fdb::{Fdb, Owner, StaticEntry};
use crate::forward::Switch;
use crate::groups::Wanted;
use crate::held::HeldFrames;
use crate::journal::Journal;
use crate::limits::{Limits, TokenBucket};
use crate::peers::{Fingerprint, PeerId, Peers};
use crate::replication::Source;
use crate::rights::Member;

/// Beacons told of one port; more are somebody's nonsense.
const BEACONS_PER_SECOND: f64 = 64.0;
const BEACON_BURST: f64 = 128.0;
/// IGMP and MLD messages told of one port; more are dropped.
const GROUP_TALK_PER_SECOND: f64 = 256.0;
const GROUP_TALK_BURST: f64 = 512.0;
/// Queries of members told; more pass untold.
const QUERIES_PER_SECOND: f64 = 16.0;
const QUERY_BURST: f64 = 32.0;
/// Notices written for one command.
const MOST_NOTICES: usize = 1024;

/// The port of one network.
#[derive(Debug)]
pub struct Port {
    /// Who gets what.
    pub switch: Switch,
    /// Bytes above Ethernet.
    pub mtu: usize,
    /// What its reader understands.
    pub offloads: PortOffloads,
    /// How many beacons from it are told.
    pub beacons: TokenBucket,
    /// How many IGMP and MLD messages from it are told.
    pub group_talk: TokenBucket,
    /// How many queries of members are told.
    pub queries: TokenBucket,
    /// Our own broadcasts, where others replicate them.
    pub outgoing: Option<Outgoing>,
    /// Members whose replicated broadcasts are believed.
    pub sources: HashMap<Fingerprint, Source>,
}

/// One entry of a forwarding database; `peer` `None` is this node.
#[derive(Clone, Debug, PartialEq)]
pub struct FdbEntry {
    /// VID.
    pub vlan: u16,
    /// Of the station.
    pub mac: Mac,
    /// Where it is.
    pub peer: Option<Fingerprint>,
    /// Seconds since it was heard.
    pub age: f64,
    /// Signed, or said by the operator.
    pub is_static: bool,
    /// Signed.
    pub is_signed: bool,
}

/// All open ports, and the commands about them.
#[derive(Debug, Default)]
pub struct Ports {
    /// Few, so that a look-up is a comparison or two.
    table: BTreeMap<u64, Port>,
}

impl Ports {
    /// The port of a network.
    pub fn get(&mut self, network: u64) -> Option<&mut Port> {
        self.table.get_mut(&network)
    }

    /// Open a port, or change MAC, MTU and right of an open one.
    pub fn open(&mut self, network: u64, own: Member, mtu: usize, now: f64, journal: &Journal) {
        let port = self.table.entry(network).or_insert_with(|| {
            let bounds = &journal.bounds;
            let fdb = Fdb::new(bounds.fdb_per_peer, bounds.fdb_per_network, bounds.fdb_own);
            let switch = Switch::new(own.mac, fdb);
            let beacons = TokenBucket::new(BEACONS_PER_SECOND, BEACON_BURST, now);
            let group_talk = TokenBucket::new(GROUP_TALK_PER_SECOND, GROUP_TALK_BURST, now);
            let queries = TokenBucket::new(QUERIES_PER_SECOND, QUERY_BURST, now);
            Port {
                switch,
                mtu,
                offloads: PortOffloads::default(),
                beacons,
                group_talk,
                queries,
                outgoing: None,
                sources: HashMap::new(),
            }
        });
        port.switch.set_own(own);
        port.mtu = mtu;
    }

    /// Close a port and forget its members.
    pub fn close(&mut self, network: u64, peers: &mut Peers, now: f64, journal: &mut Journal) {
        if let Some(port) = self.table.remove(&network) {
            for &id in port.switch.members() {
                part(peers, id, network, DropReason::NoPort, now, journal);
            }
        }
    }

    /// What the reader of a port understands.
    pub fn set_offloads(&mut self, network: u64, offloads: PortOffloads) {
        if let Some(port) = self.table.get_mut(&network) {
            port.offloads = offloads;
        }
    }

    /// Add or change a member.
    pub fn set_member(
        &mut self,
        network: u64,
        fingerprint: Fingerprint,
        member: Member,
        peers: &mut Peers,
    ) {
        let Some(port) = self.table.get_mut(&network) else { return };
        let id = peers.obtain(fingerprint);
        if !port.switch.is_member(id) {
            peers[id].memberships += 1;
        }
        port.switch.set_member(id, member);
        port.switch.fdb.set_presence(&fingerprint, Some(id));
    }

    /// Forget a member; frames that wait for it are dropped.
    pub fn remove_member(
        &mut self,
        network: u64,
        fingerprint: &Fingerprint,
        peers: &mut Peers,
        now: f64,
        journal: &mut Journal,
    ) {
        let (Some(port), Some(id)) = (self.table.get_mut(&network), peers.find(fingerprint)) else {
            return;
        };
        if port.switch.is_member(id) {
            port.switch.remove_member(id);
            port.switch.fdb.set_presence(fingerprint, None);
            port.sources.remove(fingerprint);
            part(peers, id, network, DropReason::NotAMember, now, journal);
        }
    }

    /// Forget what was learned behind a peer, or behind us.
    pub fn flush_peer(&mut self, network: u64, peer: Option<Fingerprint>, peers: &Peers) {
        let owner = peer.map(|name| peers.find(&name));
        // a peer that nobody knows has no stations
        if let (Some(port), Some(owner)) =
            (self.table.get_mut(&network), owner.map_or(Some(None), |found| found.map(Some)))
        {
            port.switch.fdb.flush(owner);
        }
    }

    /// Replace the limits; all buckets are full again.
    pub fn set_limits(&mut self, network: u64, limits: Limits) {
        if let Some(port) = self.table.get_mut(&network) {
            port.switch.set_limits(limits);
        }
    }

    /// Replace what the port of a member, or our own, wants of groups.
    pub fn set_groups(
        &mut self,
        network: u64,
        peer: Option<Fingerprint>,
        wanted: Wanted,
        peers: &Peers,
    ) {
        let Some(port) = self.table.get_mut(&network) else { return };
        match peer.map(|name| peers.find(&name)) {
            None => port.switch.groups.set(None, wanted),
            Some(Some(id)) if port.switch.is_member(id) => {
                port.switch.groups.set(Some(id), wanted);
            }
            Some(_) => {}
        }
    }

    /// Replace the operator's static entries.
    pub fn set_static_entries(&mut self, network: u64, entries: &[StaticEntry], peers: &Peers) {
        if let Some(Port { switch, .. }) = self.table.get_mut(&network) {
            let present: HashMap<_, _> =
                switch.members().iter().map(|&id| (peers[id].fingerprint, id)).collect();
            switch.fdb.set_static(entries, |name| present.get(name).copied());
        }
    }

    /// Replace the set of blocked VLANs.
    pub fn set_blocked(&mut self, network: u64, vlans: HashSet<u16>) {
        if let Some(port) = self.table.get_mut(&network) {
            port.switch.blocked = vlans;
        }
    }

    /// The stations in a VLAN that are behind peers, but for those of `neighbours`; signed ones
    /// first, 1,024 at most.
    #[must_use]
    pub fn distant_stations(
        &self,
        network: u64,
        vlan: u16,
        neighbours: &[Fingerprint],
        peers: &Peers,
        now: f64,
    ) -> Vec<Mac> {
        let Some(port) = self.table.get(&network) else { return Vec::new() };
        let fdb = &port.switch.fdb;
        let is_distant =
            |owner: Owner| owner.is_some_and(|id| !neighbours.contains(&peers[id].fingerprint));
        let signed = fdb.all_signed().filter(|one| is_distant(one.1)).map(|one| one.0);
        let said = fdb
            .all_static()
            .filter(|((of, ..), owner)| *of == vlan && owner.is_some_and(is_distant));
        let learned = fdb.learned(now).filter(|one| one.0 == vlan && is_distant(one.2));
        let behind = said.map(|((_, mac, _), _)| mac).chain(learned.map(|one| one.1));
        signed.chain(behind).take(MOST_NOTICES).collect()
    }

    /// Age the tables.
    pub fn expire(&mut self, now: f64) {
        self.table.values_mut().for_each(|port| port.switch.fdb.expire(now));
    }

    /// When the next learned entry has its age.
    #[must_use]
    pub fn next_expiry(&self) -> Option<f64> {
        self.table.values().filter_map(|port| port.switch.fdb.next_expiry()).reduce(f64::min)
    }

    /// The forwarding database of a network: signed MACs, static entries, and what was learned.
    #[must_use]
    pub fn fdb(&self, network: u64, peers: &Peers, now: f64) -> Vec<FdbEntry> {
        let Some(port) = self.table.get(&network) else { return Vec::new() };
        let name = |owner: Option<PeerId>| owner.map(|id| peers[id].fingerprint);
        let fdb = &port.switch.fdb;
        let signed = fdb.all_signed().map(|(mac, owner)| FdbEntry {
            vlan: 0,
            mac,
            peer: name(owner),
            age: 0.0,
            is_static: true,
            is_signed: true,
        });
        let said = fdb.all_static().map(|((vlan, mac, peer), _)| FdbEntry {
            vlan,
            mac,
            peer,
            age: 0.0,
            is_static: true,
            is_signed: false,
        });
        let learned = fdb.learned(now).map(|(vlan, mac, owner, age)| FdbEntry {
            vlan,
            mac,
            peer: name(owner),
            age,
            is_static: false,
            is_signed: false,
        });
        signed.chain(said).chain(learned).collect()
    }
}

fn part(
    peers: &mut Peers,
    id: PeerId,
    network: u64,
    reason: DropReason,
    now: f64,
    journal: &mut Journal,
) {
    HeldFrames::drop(peers, id, network, reason, now, journal);
    peers[id].memberships -= 1;
    peers.release(id);
}
