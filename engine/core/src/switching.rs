//! What happens to one frame, in the order of section 10: from the port, and from the mesh.

use crate::beacon::{is_ours, parse_beacon};
use crate::broadcaster;
use crate::capture::{Captures, Side, Sight};
use crate::command::PortOffloads;
use crate::drops::DropReason;
use crate::ethernet::{Class, Frame};
use crate::forward::{Parts, Receivers};
use crate::journal::Journal;
use crate::offload::checksum::{complete, complete_at, find_in_packet, find_segment};
use crate::offload::split::Split;
use crate::own::OwnDatagrams;
use crate::peers::{PeerId, Peers};
use crate::ports::{Port, Ports};
use crate::recent::Recent;
use crate::register::Register;
use crate::send::Sender;
use crate::sink::{Delivery, FrameMeta, OpenChecksum, Sink};
use crate::upcall::Upcall;

/// Frames of all networks.
#[derive(Debug, Default)]
pub struct Switching {
    /// Open ports.
    pub ports: Ports,
    /// Our own underlay.
    pub own: OwnDatagrams,
    /// What somebody looks at.
    pub captures: Captures,
    /// What was decided last; forgotten with every command and time-out.
    pub recent: Recent,
    /// A frame whose checksum had to be completed.
    completed: Vec<u8>,
}

/// A frame as it came from the mesh: its bytes are `head`, then `body`.
#[derive(Clone, Debug)]
pub struct Arrived<'a> {
    /// From whom.
    pub peer: PeerId,
    /// For which port.
    pub network: u64,
    /// What did not travel.
    pub head: &'a [u8],
    /// What did.
    pub body: &'a [u8],
    /// Its L4 checksum is open (CSUM).
    pub is_open: bool,
}

/// How a frame from the mesh is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    /// Where its checksum is open.
    pub open_checksum: Option<OpenChecksum>,
    /// What the port's reader understands.
    pub offloads: PortOffloads,
}

impl Switching {
    /// One frame or super-frame read from a port; `meta` is `None` when what the kernel said of it
    /// cannot be.
    pub fn from_port(
        &mut self,
        network: u64,
        frame: &[u8],
        meta: Option<FrameMeta>,
        now: f64,
        sender: &mut Sender,
        sink: &mut impl Sink,
    ) {
        let counters = &mut sender.journal.counters;
        counters.frames_in += 1;
        counters.frame_bytes_in += frame.len() as u64;
        if self.captures.is_on() {
            let sight = Sight { side: Side::Port, is_inward: true, peer: None, reason: None };
            self.captures.see(network, sight, [&[], frame], now, &sender.journal.bounds);
        }
        if let Err(reason) = self.forward(network, frame, meta, now, sender, sink) {
            sender.journal.drop(reason);
            if self.captures.is_on() {
                let reason = Some(reason);
                let sight = Sight { side: Side::Drops, is_inward: true, peer: None, reason };
                self.captures.see(network, sight, [&[], frame], now, &sender.journal.bounds);
            }
        }
    }

    fn forward(
        &mut self,
        network: u64,
        bytes: &[u8],
        meta: Option<FrameMeta>,
        now: f64,
        sender: &mut Sender,
        sink: &mut impl Sink,
    ) -> Result<(), DropReason> {
        let Self { ports, own, captures, recent, completed } = self;
        let port = ports.get(network).ok_or(DropReason::NoPort)?;
        let mut meta = meta.ok_or(DropReason::BadOffload)?;
        let (mut bytes, mut longest, mut frames) = (bytes, bytes.len(), 1);
        match meta {
            FrameMeta { open_checksum: Some(open), gso: Some(gso) } => {
                let split = Split::plan(bytes, gso, open, usize::MAX);
                let split = split.map_err(|_| DropReason::BadOffload)?;
                sender.journal.counters.superframes_in += 1;
                (longest, frames) = (split.stride(), split.count());
            }
            FrameMeta { open_checksum: Some(open), gso: None } => {
                if find_segment(bytes).is_none_or(|segment| segment.open_checksum() != open) {
                    completed.clear();
                    completed.extend_from_slice(bytes);
                    if !complete_at(completed, open) {
                        return Err(DropReason::BadOffload);
                    }
                    (bytes, meta.open_checksum) = (completed, None);
                }
            }
            FrameMeta { open_checksum: None, gso: Some(_) } => return Err(DropReason::BadOffload),
            FrameMeta { open_checksum: None, gso: None } => {}
        }
        let parts = judge(port, &[], bytes, longest)?;
        if own.is_own(&parts.frame) {
            return Err(DropReason::OwnDatagram);
        }
        if is_ours(&parts.frame) {
            return receive_beacon(port, network, &parts.frame, now, &mut sender.journal);
        }
        let register = Register { network, source: None, parts: &parts, now };
        let Sender { peers, journal, .. } = sender;
        let member_count = port.switch.members().len();
        let receivers = if let Some(Some(peer)) = recent.receiver(&register.run()) {
            register.guard(port, true, peers, journal)?;
            register.note_claim(port, peers, journal);
            Receivers::One(peer)
        } else {
            if port.switch.is_blocked_from_port(&parts.frame) {
                return Err(DropReason::LoopBlocked);
            }
            let is_settled = register.admit(port, peers, journal)?;
            register.note_claim(port, peers, journal);
            register.hear_group_talk(port, journal).inspect_err(|&reason| {
                register.note(reason, port, peers, journal);
            })?;
            let receivers = match port.switch.from_port(&parts, now, frames) {
                Ok(receivers) => receivers,
                Err(reason) => {
                    register.note(reason, port, peers, journal);
                    return Err(reason);
                }
            };
            if let Receivers::One(peer) = receivers
                && parts.class == Class::Unicast
                && is_settled
            {
                recent.note(register.run(), Some(peer));
            }
            receivers
        };
        if captures.is_on() {
            let all = match &receivers {
                Receivers::One(peer) => std::slice::from_ref(peer),
                Receivers::All(all) => all,
            };
            see_sent(captures, network, bytes, all, now, sender);
        }
        let is_to_be_replicated = matches!(&receivers, Receivers::All(all)
            if is_for_most(&parts, all.len(), member_count));
        if is_to_be_replicated && port.outgoing.is_some() {
            sender.journal.counters.frames_flooded += 1;
            flood(port, network, bytes, meta, now, sender, sink);
            return Ok(());
        }
        match receivers {
            Receivers::One(peer) => sender.send_frame(peer, network, bytes, meta, now, sink),
            Receivers::All(all) => {
                if all.len() > 1 {
                    sender.journal.counters.frames_flooded += 1;
                }
                for &peer in all {
                    sender.send_frame(peer, network, bytes, meta, now, sink);
                }
            }
        }
        Ok(())
    }

    /// One authentic frame: how to write it, if it goes into the port.
    ///
    /// # Errors
    ///
    /// The reason why it does not.
    pub fn from_mesh(
        &mut self,
        arrived: &Arrived<'_>,
        now: f64,
        peers: &Peers,
        journal: &mut Journal,
    ) -> Result<Accepted, DropReason> {
        let accepted = self.accept(arrived, now, peers, journal);
        if self.captures.is_on() {
            self.see_arrived(arrived, accepted.as_ref().err().copied(), now, peers, journal);
        }
        accepted
    }

    #[cold]
    fn see_arrived(
        &mut self,
        arrived: &Arrived<'_>,
        reason: Option<DropReason>,
        now: f64,
        peers: &Peers,
        journal: &Journal,
    ) {
        let &Arrived { peer, network, head, body, .. } = arrived;
        let peer = Some(peers[peer].fingerprint);
        let came = Sight { side: Side::Mesh, is_inward: true, peer, reason: None };
        let ended = match reason {
            Some(_) => Sight { side: Side::Drops, is_inward: true, peer, reason },
            None => Sight { side: Side::Port, is_inward: false, peer: None, reason },
        };
        for sight in [came, ended] {
            self.captures.see(network, sight, [head, body], now, &journal.bounds);
        }
    }

    fn accept(
        &mut self,
        arrived: &Arrived<'_>,
        now: f64,
        peers: &Peers,
        journal: &mut Journal,
    ) -> Result<Accepted, DropReason> {
        let &Arrived { peer, network, head, body, is_open } = arrived;
        let Self { ports, own, recent, .. } = self;
        if let Some(accepted) = recent.accepted(arrived, now) {
            return Ok(accepted);
        }
        let port = ports.get(network).ok_or(DropReason::NoPort)?;
        if !port.switch.is_member(peer) {
            return Err(DropReason::NotAMember);
        }
        let parts = judge(port, head, body, head.len() + body.len())?;
        let frame = &parts.frame;
        let mut open = None;
        if is_open {
            let segment = find_in_packet(frame.ethertype, frame.payload);
            let mut found = segment.ok_or(DropReason::BadOffload)?.open_checksum();
            found.start += frame.header as u16;
            open = Some(found);
        }
        if own.is_own(frame) || is_ours(frame) {
            return Err(DropReason::OwnDatagram);
        }
        let register = Register { network, source: Some(peer), parts: &parts, now };
        let accepted = Accepted { open_checksum: open, offloads: port.offloads };
        if recent.receiver(&register.run()).is_some() {
            register.guard(port, true, peers, journal)?;
            register.note_claim(port, peers, journal);
            port.switch.note_answer(&parts);
            recent.note_accepted(arrived, now, accepted);
            return Ok(accepted);
        }
        let is_settled = register.admit(port, peers, journal)?;
        register.note_claim(port, peers, journal);
        if port.switch.is_blocked_from_mesh(frame) {
            return Err(DropReason::LoopBlocked);
        }
        match port.switch.from_mesh(&parts, peer, now) {
            Ok(is_known) if is_settled && is_known => recent.note(register.run(), None),
            Ok(_) => register.hear_query(port, peers, journal),
            Err(reason) => {
                register.note(reason, port, peers, journal);
                return Err(reason);
            }
        }
        Ok(accepted)
    }
}

/// Whether others should carry a frame for `count` of `most` members on, if there are such: they do
/// so to every member, and whoever does not want an IP group drops it.
fn is_for_most(parts: &Parts<'_>, count: usize, most: usize) -> bool {
    parts.class != Class::Unicast
        && count > 1
        && (count == most || (parts.group.is_some() && 2 * count > most))
}

/// A frame for every member leaves for those who carry it on: complete, and a super-frame as the
/// segments that the kernel would make.
#[cold]
fn flood(
    port: &mut Port,
    network: u64,
    bytes: &[u8],
    meta: FrameMeta,
    now: f64,
    sender: &mut Sender,
    sink: &mut impl Sink,
) {
    let mut frame = bytes.to_vec();
    let FrameMeta { open_checksum: Some(open), gso } = meta else {
        return broadcaster::flood(port, network, bytes, now, sender, sink);
    };
    let Some(gso) = gso else {
        let _ = complete(&mut frame);
        return broadcaster::flood(port, network, &frame, now, sender, sink);
    };
    let Ok(split) = Split::plan(bytes, gso, open, usize::MAX) else { return };
    for index in 0..split.count() {
        frame.resize(split.length(index), 0);
        split.write(index, &mut frame);
        if split.open_checksum().is_some() {
            let _ = complete(&mut frame);
        }
        broadcaster::flood(port, network, &frame, now, sender, sink);
    }
}

/// A frame that leaves for each of `all`.
#[cold]
fn see_sent(
    captures: &mut Captures,
    network: u64,
    bytes: &[u8],
    all: &[PeerId],
    now: f64,
    sender: &Sender,
) {
    for &peer in all {
        let peer = Some(sender.peers[peer].fingerprint);
        let sight = Sight { side: Side::Mesh, is_inward: false, peer, reason: None };
        captures.see(network, sight, [&[], bytes], now, &sender.journal.bounds);
    }
}

/// Write a frame of ours to a port whose reader understands `offloads`.
pub fn write(
    network: u64,
    frame: &[u8],
    offloads: PortOffloads,
    journal: &mut Journal,
    sink: &mut impl Sink,
) {
    let delivery = Delivery { head: &[], body: frame, place: None, open_checksum: None, offloads };
    deliver(network, &delivery, journal, sink);
}

/// Write a frame to its port. What is to be merged is counted when that has been done.
pub fn deliver(network: u64, delivery: &Delivery<'_>, journal: &mut Journal, sink: &mut impl Sink) {
    if !delivery.offloads.checksum {
        journal.counters.frames_out += 1;
        journal.counters.frame_bytes_out += (delivery.head.len() + delivery.body.len()) as u64;
    }
    sink.deliver(network, delivery);
}

/// The parts of a frame that is neither a runt nor a giant; `length` is that of a segment.
fn judge<'a>(
    port: &Port,
    head: &[u8],
    body: &'a [u8],
    length: usize,
) -> Result<Parts<'a>, DropReason> {
    let frame = Frame::parse(head, body).ok_or(DropReason::BadFrame)?;
    if length > port.mtu + frame.header {
        Err(DropReason::BadFrame)
    } else {
        Ok(Parts::read(frame))
    }
}

/// A frame of the loop guard ends here.
fn receive_beacon(
    port: &mut Port,
    network: u64,
    frame: &Frame<'_>,
    now: f64,
    journal: &mut Journal,
) -> Result<(), DropReason> {
    let Some(nonce) = parse_beacon(frame) else { return Ok(()) };
    if !port.beacons.take(now) {
        return Err(DropReason::Storm);
    }
    journal.tell(None, Upcall::BeaconHeard { network, vlan: frame.vlan, nonce });
    Ok(())
}
