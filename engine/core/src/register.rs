//! What is noted of a frame on its way: guards, learning, offences, and talk about groups.

use crate::drops::DropReason;
use crate::ethernet::Frame;
use crate::fdb::{Learned, Owner};
use crate::forward::Parts;
use crate::inside::Kind;
use crate::journal::Journal;
use crate::peers::{Fingerprint, Peers};
use crate::ports::Port;
use crate::recent::Run;
use crate::upcall::Upcall;

/// One frame on its way past the guard and into the FDB.
#[derive(Debug)]
pub struct Register<'a> {
    /// Of which port.
    pub network: u64,
    /// From whom.
    pub source: Owner,
    /// What it is.
    pub parts: &'a Parts<'a>,
    /// When.
    pub now: f64,
}

impl Register<'_> {
    /// The run that it belongs to.
    #[must_use]
    pub fn run(&self) -> Run {
        Run::of(self.network, self.source, &self.parts.frame, self.now)
    }

    /// Guard a frame; one that `goes_on` with a run, by what is inside.
    ///
    /// # Errors
    ///
    /// The reason why it goes no further.
    pub fn guard(
        &self,
        port: &mut Port,
        goes_on: bool,
        peers: &Peers,
        journal: &mut Journal,
    ) -> Result<(), DropReason> {
        let verdict = port.switch.judge(self.parts, self.source, goes_on);
        if let Err(reason) = verdict {
            self.note(reason, port, peers, journal);
        }
        verdict
    }

    /// Guard a frame and learn where its source is; whether that is known now.
    ///
    /// # Errors
    ///
    /// The reason why it goes no further.
    pub fn admit(
        &self,
        port: &mut Port,
        peers: &Peers,
        journal: &mut Journal,
    ) -> Result<bool, DropReason> {
        self.guard(port, false, peers, journal)?;
        let &Self { network, source, parts, now } = self;
        let (vlan, mac) = (parts.frame.vlan, parts.frame.source);
        let reason = match port.switch.fdb.learn(vlan, mac, source, now) {
            learned @ (Learned::New | Learned::Moved) => {
                let peer = source.map(|id| peers[id].fingerprint);
                let moved = learned == Learned::Moved;
                journal.tell(peer, Upcall::MacLearned { network, vlan, mac, peer, moved });
                return Ok(true);
            }
            Learned::Refreshed | Learned::Ignored => return Ok(true),
            Learned::Full => DropReason::FdbFull,
            Learned::Damped => DropReason::MacFlapping,
        };
        self.remark(reason, port, peers, journal);
        Ok(false)
    }

    /// Two stations with one IP address are told of.
    pub fn note_claim(&self, port: &mut Port, peers: &Peers, journal: &mut Journal) {
        let Some((address, mac)) = self.parts.inside.claim() else { return };
        if port.switch.claims.note(self.parts.frame.vlan, address, mac, self.now) {
            self.remark(DropReason::DuplicateAddress, port, peers, journal);
        }
    }

    /// IGMP, MLD or a PIM hello from the port is told.
    ///
    /// # Errors
    ///
    /// There is too much of it.
    pub fn hear_group_talk(
        &self,
        port: &mut Port,
        journal: &mut Journal,
    ) -> Result<(), DropReason> {
        let kind = self.parts.inside.kind;
        let is_talk = matches!(kind, Kind::GroupQuery | Kind::GroupReport | Kind::PimHello);
        if self.parts.group.is_none() || !is_talk {
            return Ok(());
        }
        if !port.group_talk.take(self.now) {
            return Err(DropReason::Storm);
        }
        self.tell_group_talk(None, journal);
        Ok(())
    }

    /// A query of a member is told.
    pub fn hear_query(&self, port: &mut Port, peers: &Peers, journal: &mut Journal) {
        let is_query = self.parts.group.is_some() && self.parts.inside.kind == Kind::GroupQuery;
        if is_query && port.queries.take(self.now) {
            self.tell_group_talk(self.source.map(|id| peers[id].fingerprint), journal);
        }
    }

    #[cold]
    fn tell_group_talk(&self, peer: Option<Fingerprint>, journal: &mut Journal) {
        let Frame { vlan, source: mac, payload, .. } = self.parts.frame;
        let (network, packet) = (self.network, payload.to_vec());
        journal.tell(peer, Upcall::GroupTalkHeard { network, vlan, peer, mac, packet });
    }

    /// The frame goes on, but something about it is not as it should be.
    #[cold]
    fn remark(&self, reason: DropReason, port: &mut Port, peers: &Peers, journal: &mut Journal) {
        journal.drop(reason);
        self.note(reason, port, peers, journal);
    }

    /// If it is the sender's fault, he gets a name.
    #[cold]
    pub fn note(&self, reason: DropReason, port: &mut Port, peers: &Peers, journal: &mut Journal) {
        let &Self { network, source, parts, now } = self;
        if !is_offence(reason) {
            return;
        }
        let Some(times) = port.switch.offences.note(source, reason, now) else { return };
        let inside = &parts.inside;
        let address =
            if inside.kind == Kind::Advertisement { inside.target } else { inside.sender };
        let peer = source.map(|id| peers[id].fingerprint);
        let (vlan, mac) = (parts.frame.vlan, parts.frame.source);
        journal.tell(peer, Upcall::Offence { network, peer, reason, vlan, mac, address, times });
    }
}

/// Reasons for which the source of a frame is named.
fn is_offence(reason: DropReason) -> bool {
    matches!(
        reason,
        DropReason::SourceMac
            | DropReason::SourceIp
            | DropReason::StaticEntry
            | DropReason::ArpGuard
            | DropReason::NdGuard
            | DropReason::RaGuard
            | DropReason::DhcpGuard
            | DropReason::Storm
            | DropReason::FdbFull
            | DropReason::DuplicateAddress
            | DropReason::MacFlapping
    )
}
