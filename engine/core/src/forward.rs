//! The decision for one frame: to which members, into the port, or why not (section 10).
//!
//! Split horizon: what came from the port goes into the mesh or nowhere, what came from the mesh
//! goes into the port or nowhere. Broadcast goes to every member, an IP group to those who want it
//! (see `groups`), unknown unicast only to those that bridge, because all others have told by their
//! signed MAC which station they are. Who asks for a signed address by ARP or ND is heard by its
//! owner alone.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use crate::addresses::Addresses;
use crate::claims::Claims;
use crate::drops::DropReason;
use crate::ethernet::{Class, Frame, HEADER_BYTES, Mac, classify, is_mac_control};
use crate::fdb::{Fdb, Owner, Place};
use crate::groups::{Groups, Segment, group_of, is_for_all};
use crate::inside::{Inside, Kind};
use crate::limits::{Bpdu, GuardMode, Limits, StormLimits};
use crate::offences::Offences;
use crate::peers::PeerId;
use crate::resolution::Resolutions;
use crate::rights::{Judge, Member};

/// Verdicts on source addresses that are remembered.
const VETTED: usize = 16;

/// Who gets a frame from the port.
#[derive(Clone, Copy, Debug)]
pub enum Receivers<'a> {
    /// One member.
    One(PeerId),
    /// Each of these exactly once.
    All(&'a [PeerId]),
}

/// A frame and what is inside.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Its header and payload.
    pub frame: Frame<'a>,
    /// What the payload says.
    pub inside: Inside,
    /// As limits and flooding see it.
    pub class: Class,
    /// The IP group that it is for.
    pub group: Option<IpAddr>,
}

impl<'a> Parts<'a> {
    /// Those of a frame whose header has been read.
    #[must_use]
    pub fn read(frame: Frame<'a>) -> Self {
        let inside = Inside::look(frame.ethertype, frame.payload);
        let class = match classify(frame.destination, frame.ethertype) {
            Class::Multicast if inside.kind.is_nd() => Class::Nd,
            class => class,
        };
        let group = match class {
            Class::Multicast | Class::Discovery => group_of(&frame),
            _ => None,
        };
        Self { frame, inside, class, group }
    }
}

/// One network's switch as this node has it.
#[derive(Debug)]
pub struct Switch {
    own: Member,
    /// Where stations are.
    pub fdb: Fdb,
    /// What may be flooded.
    pub storm: StormLimits,
    /// VLANs in which another bridge forwards for our LAN.
    pub blocked: HashSet<u16>,
    /// Who makes guards and limits work.
    pub offences: Offences,
    /// Who wants which IP group.
    pub groups: Groups,
    /// Who says which IP address is his.
    pub claims: Claims,
    addresses: Addresses,
    resolutions: Resolutions,
    /// Asked for each frame: among few a comparison or two.
    members: BTreeMap<PeerId, Member>,
    everyone: Vec<PeerId>,
    bridges: Vec<PeerId>,
    /// Who last passed the guard with which source address.
    vetted: [Option<(Owner, IpAddr)>; VETTED],
}

impl Switch {
    /// With our signed MAC.
    #[must_use]
    pub fn new(mac: Mac, mut fdb: Fdb) -> Self {
        fdb.sign(mac, None);
        Self {
            own: Member { mac, ..Member::default() },
            fdb,
            storm: StormLimits::default(),
            blocked: HashSet::new(),
            offences: Offences::default(),
            groups: Groups::default(),
            claims: Claims::default(),
            addresses: Addresses::default(),
            resolutions: Resolutions::default(),
            members: BTreeMap::new(),
            everyone: Vec::new(),
            bridges: Vec::new(),
            vetted: [None; VETTED],
        }
    }

    /// Replace what is signed to this node.
    pub fn set_own(&mut self, own: Member) {
        self.vetted = [None; VETTED];
        self.addresses.replace(None, &self.own.addresses, &own.addresses);
        if own.mac != self.own.mac {
            self.fdb.unsign(self.own.mac);
            // a member may have been refused this MAC while it was ours
            for peer in &self.everyone {
                self.fdb.sign_if_free(self.members[peer].mac, Some(*peer));
            }
            self.fdb.sign(own.mac, None);
        }
        self.own = own;
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
        self.vetted = [None; VETTED];
        let (mac, bridge) = (member.mac, member.bridge);
        let before = self.members.get(&peer).map_or(&[][..], |one| &one.addresses);
        self.addresses.replace(Some(peer), before, &member.addresses);
        self.groups.members_changed();
        match self.members.insert(peer, member) {
            None => self.everyone.push(peer),
            Some(before) if before.mac != mac => self.unsign(peer, before.mac),
            Some(_) => {}
        }
        if mac != self.own.mac {
            self.fdb.sign(mac, Some(peer));
        }
        if !bridge {
            self.fdb.flush(Some(peer));
        }
        self.list_bridges();
    }

    /// Forget a member, what was learned behind it and what it has flooded.
    pub fn remove_member(&mut self, peer: PeerId) {
        if let Some(member) = self.members.remove(&peer) {
            self.vetted = [None; VETTED];
            self.everyone.retain(|one| *one != peer);
            self.unsign(peer, member.mac);
            self.fdb.flush(Some(peer));
            self.storm.forget(Some(peer));
            self.offences.forget(Some(peer));
            self.groups.forget(Some(peer));
            self.addresses.replace(Some(peer), &member.addresses, &[]);
            self.list_bridges();
        }
    }

    /// Replace the limits; all buckets are full again.
    pub fn set_limits(&mut self, limits: Limits) {
        self.vetted = [None; VETTED];
        self.storm = StormLimits::new(limits);
        self.groups.members_changed();
    }

    /// The guard: whether `source` may send this. That it may send from this MAC is settled if the
    /// frame `goes_on` with a run.
    ///
    /// # Errors
    ///
    /// The reason why it may not.
    pub fn judge(
        &mut self,
        parts: &Parts<'_>,
        source: Owner,
        goes_on: bool,
    ) -> Result<(), DropReason> {
        let &Parts { frame, inside, .. } = parts;
        let slot = match inside {
            Inside { kind: Kind::Ip, sender: Some(address), .. } => {
                Some((slot_of(source, address), Some((source, address))))
            }
            _ => None,
        };
        let is_vetted = slot.is_some_and(|(slot, who)| self.vetted[slot] == who);
        if is_vetted && (goes_on || self.fdb.signed_to(frame.source) == Some(source)) {
            return Ok(());
        }
        let member = match source {
            None => &self.own,
            Some(peer) => self.members.get(&peer).ok_or(DropReason::NotAMember)?,
        };
        let Self { fdb, addresses, storm, .. } = self;
        let judge = Judge { source, member, fdb, addresses, mode: storm.limits.guard };
        if !judge.is_mac_allowed(frame.source) {
            return Err(DropReason::SourceMac);
        }
        if fdb.is_elsewhere(frame.vlan, frame.source, source) {
            return Err(DropReason::StaticEntry);
        }
        judge.judge(&inside)?;
        if let Some((slot, who)) = slot {
            self.vetted[slot] = who;
        }
        Ok(())
    }

    /// Whether the loop guard keeps a frame out of the mesh. What we send to another signed MAC
    /// never reaches a LAN, so it cannot come back.
    #[must_use]
    pub fn is_blocked_from_port(&self, frame: &Frame<'_>) -> bool {
        self.blocked.contains(&frame.vlan)
            && (frame.source != self.own.mac
                || !matches!(self.fdb.signed_to(frame.destination), Some(Some(_))))
    }

    /// Whether the loop guard keeps a frame off our LAN.
    #[must_use]
    pub fn is_blocked_from_mesh(&self, frame: &Frame<'_>) -> bool {
        self.blocked.contains(&frame.vlan) && frame.destination != self.own.mac
    }

    /// The members that get a frame from the local port. A super-frame counts as the `frames` that
    /// the kernel would make of it.
    ///
    /// # Errors
    ///
    /// The reason why nobody gets it.
    pub fn from_port(
        &mut self,
        parts: &Parts<'_>,
        now: f64,
        frames: usize,
    ) -> Result<Receivers<'_>, DropReason> {
        let &Parts { frame, class, .. } = parts;
        if class == Class::Unicast {
            match self.fdb.lookup(frame.vlan, frame.destination, now) {
                Place::Behind(None) => return Err(DropReason::SamePort),
                Place::Behind(Some(peer)) => return Ok(Receivers::One(peer)),
                Place::Absent => return Err(DropReason::UnknownUnicast),
                Place::Unknown if self.bridges.is_empty() => {
                    return Err(DropReason::UnknownUnicast);
                }
                Place::Unknown => {}
            }
        }
        self.keep_link_local(parts, None)?;
        self.storm.judge(class, None, now, frames)?;
        let is_tunnelled = class == Class::LinkLocal && self.storm.limits.bpdu == Bpdu::Tunnel;
        if class == Class::Unicast || is_tunnelled {
            return Ok(Receivers::All(&self.bridges));
        }
        match self.find_owner(parts, now) {
            Some(None) => Err(DropReason::SamePort),
            Some(Some(owner)) => Ok(Receivers::One(owner)),
            None => self.find_wanting(parts).map(Receivers::All),
        }
    }

    /// Lets a frame from `source` into the local port, and tells whether its station is known to be
    /// there, so that no limit counts it.
    ///
    /// # Errors
    ///
    /// The reason why it does not.
    pub fn from_mesh(
        &mut self,
        parts: &Parts<'_>,
        source: PeerId,
        now: f64,
    ) -> Result<bool, DropReason> {
        let &Parts { frame, class, .. } = parts;
        if class == Class::Unicast {
            self.note_answer(parts);
            match self.fdb.lookup(frame.vlan, frame.destination, now) {
                Place::Behind(None) => return Ok(true),
                Place::Behind(Some(_)) => return Err(DropReason::SamePort),
                Place::Absent => return Err(DropReason::UnknownUnicast),
                Place::Unknown if !self.own.bridge => return Err(DropReason::UnknownUnicast),
                Place::Unknown => {}
            }
        }
        self.keep_link_local(parts, Some(source))?;
        self.storm.judge(class, Some(source), now, 1)?;
        if self.is_group_wanted(parts) { Ok(false) } else { Err(DropReason::GroupUnwanted) }
    }

    /// The members that want a frame, of everyone.
    fn find_wanting(&mut self, parts: &Parts<'_>) -> Result<&[PeerId], DropReason> {
        let Self { groups, everyone, storm, .. } = self;
        let Some(group) = parts.group.filter(|_| !everyone.is_empty()) else { return Ok(everyone) };
        let vlan = parts.frame.vlan;
        let found = match parts.inside.kind {
            Kind::GroupReport => groups.of_report(Segment::of(vlan, group), everyone),
            Kind::GroupQuery => everyone,
            _ if is_for_all(group) => everyone,
            _ => groups.of_group(vlan, group, everyone, storm.limits.floods_groups),
        };
        if found.is_empty() { Err(DropReason::GroupUnwanted) } else { Ok(found) }
    }

    /// Whether our own port wants a frame.
    fn is_group_wanted(&self, parts: &Parts<'_>) -> bool {
        let Some(group) = parts.group else { return true };
        let (vlan, groups) = (parts.frame.vlan, &self.groups);
        match parts.inside.kind {
            Kind::GroupReport => groups.hears_reports(Segment::of(vlan, group)),
            Kind::GroupQuery => true,
            _ if is_for_all(group) => true,
            _ => groups.is_wanted(vlan, group, self.storm.limits.floods_groups),
        }
    }

    fn keep_link_local(&self, parts: &Parts<'_>, source: Owner) -> Result<(), DropReason> {
        let is_carried = match (parts.class, self.storm.limits.bpdu) {
            (Class::LinkLocal, _) if is_mac_control(parts.frame.destination) => false,
            (Class::LinkLocal, Bpdu::Block) => false,
            (Class::LinkLocal, Bpdu::Tunnel) => {
                self.own.bridge
                    && source.map_or(!self.bridges.is_empty(), |peer| self.members[&peer].bridge)
            }
            _ => true,
        };
        if is_carried { Ok(()) } else { Err(DropReason::LinkLocalGroup) }
    }

    /// The one that a request is for and that is to be asked alone.
    fn find_owner(&mut self, parts: &Parts<'_>, now: f64) -> Option<Owner> {
        let &Parts { frame, inside: Inside { kind, sender, target, .. }, class, .. } = parts;
        let is_request = match class {
            Class::Arp => kind == Kind::ArpRequest && sender != target,
            Class::Nd => kind == Kind::Solicitation,
            _ => false,
        };
        let is_probe = sender.is_none_or(|one| one.is_unspecified());
        if !is_request || is_probe || frame.header != HEADER_BYTES {
            return None;
        }
        let target = target?;
        let &[owner] = self.addresses.owners(target) else { return None };
        if self.storm.limits.guard == GuardMode::Off {
            return None;
        }
        self.resolutions.is_first(frame.source, target, now).then_some(owner)
    }

    /// A request is answered by a reply or an advertisement to who asked.
    pub fn note_answer(&mut self, parts: &Parts<'_>) {
        let Inside { kind, sender, target, .. } = parts.inside;
        let about = match kind {
            Kind::ArpOther => sender,
            Kind::Advertisement => target,
            _ => None,
        };
        if let Some(about) = about {
            self.resolutions.answered(parts.frame.destination, about);
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

/// Where the verdict on a source address is remembered.
fn slot_of(source: Owner, address: IpAddr) -> usize {
    let last = match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    let number = source.map_or(0, |peer| peer.0 as usize + 1);
    (number ^ usize::from(last)) % VETTED
}
