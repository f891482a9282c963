//! The decision for one frame: to which members, into the port, or why not (section 10).
//!
//! Split horizon: what came from the port goes into the mesh or nowhere, what came from the mesh
//! goes into the port or nowhere. Broadcast and multicast go to every member, unknown unicast only
//! to those that bridge, because all others have told by their signed MAC which station they are.

use std::collections::{HashMap, HashSet};

use crate::drops::DropReason;
use crate::ethernet::{Class, Frame, Mac, classify};
use crate::fdb::{Fdb, Owner};
use crate::limits::{GuardMode, StormLimits};
use crate::peers::PeerId;

/// Another member of the network.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its signed MAC.
    pub mac: Mac,
    /// Whether other stations may be behind it.
    pub bridge: bool,
}

/// Who gets a frame from the port.
#[derive(Clone, Copy, Debug)]
pub enum Receivers<'a> {
    /// One member.
    One(PeerId),
    /// Each of these exactly once.
    All(&'a [PeerId]),
}

/// One network's switch as this node has it.
#[derive(Debug)]
pub struct Switch {
    mac: Mac,
    bridge: bool,
    /// Where stations are.
    pub fdb: Fdb,
    /// What may be flooded.
    pub storm: StormLimits,
    /// VLANs in which another bridge forwards for our LAN.
    pub blocked: HashSet<u16>,
    members: HashMap<PeerId, Member>,
    everyone: Vec<PeerId>,
    bridges: Vec<PeerId>,
}

impl Switch {
    /// With our signed MAC and our right.
    #[must_use]
    pub fn new(mac: Mac, bridge: bool, mut fdb: Fdb) -> Self {
        fdb.sign(mac, None);
        Self {
            mac,
            bridge,
            fdb,
            storm: StormLimits::default(),
            blocked: HashSet::new(),
            members: HashMap::new(),
            everyone: Vec::new(),
            bridges: Vec::new(),
        }
    }

    /// Replace this node's signed MAC and right.
    pub fn set_own(&mut self, mac: Mac, bridge: bool) {
        self.bridge = bridge;
        if mac == self.mac {
            return;
        }
        self.fdb.unsign(self.mac);
        // a member may have been refused this MAC while it was ours
        for peer in &self.everyone {
            self.fdb.sign_if_free(self.members[peer].mac, Some(*peer));
        }
        self.mac = mac;
        self.fdb.sign(mac, None);
    }

    /// Whether it is known here.
    #[must_use]
    pub fn is_member(&self, peer: PeerId) -> bool {
        self.members.contains_key(&peer)
    }

    /// All members, in the order in which they came.
    #[must_use]
    pub fn members(&self) -> &[PeerId] {
        &self.everyone
    }

    /// Add or replace a member. If two claim one MAC, this node wins, else the later one.
    pub fn set_member(&mut self, peer: PeerId, member: Member) {
        match self.members.insert(peer, member) {
            None => self.everyone.push(peer),
            Some(before) if before.mac != member.mac => self.unsign(peer, before.mac),
            Some(_) => {}
        }
        if member.mac != self.mac {
            self.fdb.sign(member.mac, Some(peer));
        }
        if !member.bridge {
            self.fdb.flush(Some(peer));
        }
        self.list_bridges();
    }

    /// Forget a member, what was learned behind it and what it has flooded.
    pub fn remove_member(&mut self, peer: PeerId) {
        if let Some(member) = self.members.remove(&peer) {
            self.everyone.retain(|one| *one != peer);
            self.unsign(peer, member.mac);
            self.fdb.flush(Some(peer));
            self.storm.forget(Some(peer));
            self.list_bridges();
        }
    }

    /// The guard: whether `source` may send a frame from `mac`.
    #[must_use]
    pub fn is_source_allowed(&self, mac: Mac, source: Owner) -> bool {
        if let Some(owner) = self.fdb.signed_to(mac) {
            return owner == source;
        }
        match self.storm.limits.guard {
            GuardMode::Strict => false,
            GuardMode::Off => true,
            GuardMode::Default => match source {
                None => self.bridge,
                Some(peer) => self.members.get(&peer).is_some_and(|member| member.bridge),
            },
        }
    }

    /// Whether the loop guard keeps a frame out of the mesh. What we send to another signed MAC
    /// never reaches a LAN, so it cannot come back.
    #[must_use]
    pub fn is_blocked_from_port(&self, frame: &Frame<'_>) -> bool {
        self.blocked.contains(&frame.vlan)
            && (frame.source != self.mac
                || !matches!(self.fdb.signed_to(frame.destination), Some(Some(_))))
    }

    /// Whether the loop guard keeps a frame off our LAN.
    #[must_use]
    pub fn is_blocked_from_mesh(&self, frame: &Frame<'_>) -> bool {
        self.blocked.contains(&frame.vlan) && frame.destination != self.mac
    }

    /// The members that get a frame from the local port. A super-frame counts as the `frames` that
    /// the kernel would make of it.
    ///
    /// # Errors
    ///
    /// The reason why nobody gets it.
    pub fn from_port(
        &mut self,
        frame: &Frame<'_>,
        now: f64,
        frames: usize,
    ) -> Result<Receivers<'_>, DropReason> {
        let class = classify(frame.destination);
        let receivers = if class == Class::Unicast {
            match self.fdb.lookup(frame.vlan, frame.destination, now) {
                Some(None) => return Err(DropReason::SamePort),
                Some(Some(peer)) => return Ok(Receivers::One(peer)),
                None if self.bridges.is_empty() => return Err(DropReason::UnknownUnicast),
                None => &self.bridges,
            }
        } else {
            self.keep_link_local(class)?;
            &self.everyone
        };
        if self.storm.allows(class, None, now, frames) {
            Ok(Receivers::All(receivers))
        } else {
            Err(DropReason::Storm)
        }
    }

    /// Whether a frame from `source` goes into the local port.
    ///
    /// # Errors
    ///
    /// The reason why it does not.
    pub fn from_mesh(
        &mut self,
        frame: &Frame<'_>,
        source: PeerId,
        now: f64,
    ) -> Result<(), DropReason> {
        let class = classify(frame.destination);
        if class == Class::Unicast {
            match self.fdb.lookup(frame.vlan, frame.destination, now) {
                Some(None) => return Ok(()),
                Some(Some(_)) => return Err(DropReason::SamePort),
                None if !self.bridge => return Err(DropReason::UnknownUnicast),
                None => {}
            }
        } else {
            self.keep_link_local(class)?;
        }
        if self.storm.allows(class, Some(source), now, 1) { Ok(()) } else { Err(DropReason::Storm) }
    }

    fn keep_link_local(&self, class: Class) -> Result<(), DropReason> {
        match class {
            Class::LinkLocal if !self.storm.limits.bpdu => Err(DropReason::LinkLocalGroup),
            _ => Ok(()),
        }
    }

    fn unsign(&mut self, peer: PeerId, mac: Mac) {
        if self.fdb.signed_to(mac) == Some(Some(peer)) {
            self.fdb.unsign(mac);
        }
    }

    fn list_bridges(&mut self) {
        let members = &self.members;
        self.bridges = self.everyone.iter().copied().filter(|one| members[one].bridge).collect();
    }
}
