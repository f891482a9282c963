//! The engine as its callers see it: it composes the parts and hands each input to one of them.

use crate::aead;
use crate::beacon::emit_notice;
use crate::bounds::Bounds;
use crate::broadcaster;
use crate::capture::Captured;
use crate::command::Command;
use crate::counters::Counters;
use crate::drops::DropReason;
use crate::endpoint::Endpoint;
use crate::guard::{Guard, is_handshake};
use crate::header::{DATA_BIT, RELAY, RELAY_HEADER_BYTES};
use crate::journal::Journal;
use crate::offload::virtio::{self, VNET_HEADER_BYTES};
use crate::own::OwnDatagrams;
use crate::peers::{Activity, Fingerprint};
use crate::ports::FdbEntry;
use crate::random::Random;
use crate::receive::{Datagram, Receiver};
use crate::relay::Relays;
use crate::replication;
use crate::send::Sender;
use crate::sink::{FrameMeta, Run, Sink};
use crate::switching::{self, Switching};
use crate::upcall::Upcall;

/// The data path of one node. `now` is monotonic seconds; it never goes back.
pub struct Engine {
    sender: Sender,
    switching: Switching,
    receiver: Receiver,
    relays: Relays,
    guard: Guard,
    random: Box<dyn Random>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("<Engine>")
    }
}

impl Engine {
    /// Knows nobody. Bounds other than the protocol's are for tests.
    #[must_use]
    pub fn new(bounds: Bounds, random: Box<dyn Random>) -> Self {
        Self {
            sender: Sender::new(Journal::new(bounds)),
            switching: Switching::default(),
            receiver: Receiver::default(),
            relays: Relays::default(),
            guard: Guard::default(),
            random,
        }
    }

    // --- in -------------------------------------------------------------------------------------

    /// One frame read from a TAP with the header that the kernel put before it.
    pub fn frame_with_header(
        &mut self,
        network: u64,
        header: [u8; VNET_HEADER_BYTES],
        frame: &[u8],
        now: f64,
        sink: &mut impl Sink,
    ) {
        let meta = virtio::parse(header, frame).ok();
        self.switching.from_port(network, frame, meta, now, &mut self.sender, sink);
    }

    /// One frame read from the port of `network`; a super-frame if `meta` says so.
    pub fn frame(
        &mut self,
        network: u64,
        frame: &[u8],
        meta: FrameMeta,
        now: f64,
        sink: &mut impl Sink,
    ) {
        self.switching.from_port(network, frame, Some(meta), now, &mut self.sender, sink);
    }

    /// One datagram received by the UDP socket. Its bytes are overwritten by what it carries.
    pub fn datagram(
        &mut self,
        datagram: &mut [u8],
        source: Endpoint,
        now: f64,
        sink: &mut impl Sink,
    ) {
        let stride = datagram.len();
        self.datagrams(datagram, stride, source, now, sink);
    }

    /// A run of datagrams from one source, as `UDP_GRO` hands it out: each `stride` bytes long
    /// (0: there is one), the last one perhaps shorter. Several calls make a batch, which ends with
    /// `end_batch`; frames merge within it, never beyond.
    pub fn datagrams(
        &mut self,
        train: &mut [u8],
        stride: usize,
        source: Endpoint,
        now: f64,
        sink: &mut impl Sink,
    ) {
        let stride = if stride == 0 { train.len().max(1) } else { stride };
        let counters = &mut self.sender.journal.counters;
        let count = train.len().div_ceil(stride).max(1);
        counters.datagrams_in += count as u64;
        counters.datagram_bytes_in += train.len() as u64;
        if source.port == 0 {
            // Nobody can be answered at port 0.
            (0..count).for_each(|_| counters.drop(DropReason::Malformed));
            return;
        }
        if train.is_empty() {
            counters.drop(DropReason::Malformed);
        }
        if is_relay_run(train, stride) {
            self.relayed(train, 0, stride, source, now, sink);
            return;
        }
        for (n, datagram) in train.chunks_mut(stride).enumerate() {
            if datagram[0] == RELAY {
                self.relayed(datagram, n * stride, stride, source, now, sink);
            } else {
                self.inside(datagram, n * stride, source, 0, now, sink);
            }
        }
    }

    /// What one wake received has been handed over.
    pub fn end_batch(&mut self, sink: &mut impl Sink) {
        let merged = sink.end_batch();
        let counters = &mut self.sender.journal.counters;
        counters.frames_out += merged.frames;
        counters.frame_bytes_out += merged.bytes;
        counters.superframes_out += merged.superframes;
    }

    /// A run of RELAY datagrams with one id.
    fn relayed(
        &mut self,
        run: &mut [u8],
        place: usize,
        stride: usize,
        source: Endpoint,
        now: f64,
        sink: &mut impl Sink,
    ) {
        let journal = &mut self.sender.journal;
        let whole = Run { bytes: run, stride, place };
        let Some(relay) = self.relays.receive(&whole, source, now, journal, sink) else { return };
        for (n, datagram) in run.chunks_mut(stride).enumerate() {
            let place = place + n * stride + RELAY_HEADER_BYTES;
            self.inside(&mut datagram[RELAY_HEADER_BYTES..], place, source, relay, now, sink);
        }
    }

    /// Anything but RELAY.
    fn inside(
        &mut self,
        bytes: &mut [u8],
        place: usize,
        source: Endpoint,
        relay: u64,
        now: f64,
        sink: &mut impl Sink,
    ) {
        let Self { sender, switching, receiver, guard, random, .. } = self;
        match bytes.first() {
            Some(DATA_BIT..) => {
                let mut datagram = Datagram { bytes, place, source, relay };
                receiver.receive(&mut datagram, now, switching, sender, sink);
            }
            Some(&first) if is_handshake(first) => {
                let journal = &mut sender.journal;
                guard.receive(bytes, source, relay, now, &mut **random, journal, sink);
            }
            Some(_) => sender.journal.drop(DropReason::UnknownType),
            None => sender.journal.drop(DropReason::Malformed),
        }
    }

    /// Carry out one command. A command about something unknown is ignored.
    pub fn execute(&mut self, command: Command, now: f64, sink: &mut impl Sink) {
        let Self { sender, switching, relays, guard, .. } = self;
        switching.recent.forget();
        match command {
            Command::InstallReceive { peer, session, network, index, material, elided } => {
                sender.peers.install_receive(peer, session, network, index, &material, elided);
            }
            Command::InstallSend { peer, session, network, lane, index, material, elided } => {
                let transport = aead::transport(network, &material);
                sender.install(peer, session, network, lane, index, transport, elided, now, sink);
            }
            Command::RemoveReceive { index } => sender.peers.remove_receive(index),
            Command::RemoveSend { peer, network } => sender.remove(&peer, network, now),
            Command::RemoveSession { peer, session } => sender.peers.remove_session(&peer, session),
            Command::SetPath { peer, path, size, spread } => {
                sender.set_path(peer, path, size, spread, now, sink);
            }
            Command::SendTwice { peer, path, size, seconds, budget } => {
                sender.set_twin(&peer, path, size, seconds, budget, now);
            }
            Command::AddRelayLeg { relay, endpoint } => relays.add_leg(relay, endpoint),
            Command::RemoveRelayLeg { relay } => relays.remove_leg(relay),
            Command::SetRelay { relay, left, right, left_client, right_client } => {
                let ends = [(left, left_client), (right, right_client)];
                relays.set(relay, ends, now, &sender.journal);
            }
            Command::RemoveRelay { relay } => relays.remove(relay),
            Command::StartCapture { network, sides, snap } => {
                switching.captures.start(network, sides, snap);
            }
            Command::StopCapture { network } => switching.captures.stop(network),
            Command::SetGuard { public, secret, inits_per_second } => {
                guard.set(&public, secret, inits_per_second);
            }
            Command::SetUnderlay { port, addresses } => {
                switching.own = OwnDatagrams::new(port, &addresses);
            }
            Command::SendControl { peer, session, payload, path } => {
                sender.send_control(&peer, session, &payload, &path, now, sink);
            }
            Command::SendDatagram { datagram, path } => {
                sender.send_datagram(&datagram, &path, sink);
            }
            Command::WriteFrame { network, frame } => self.write(network, &[frame], sink),
            Command::AnnounceStations { network, vlan, neighbours } => {
                let ports = &switching.ports;
                let peers = &sender.peers;
                let stations = ports.distant_stations(network, vlan, &neighbours, peers, now);
                let notices: Vec<_> =
                    stations.into_iter().map(|mac| emit_notice(mac, vlan)).collect();
                self.write(network, &notices, sink);
            }
            Command::SetReplication { network, source, signer, generation, targets } => {
                if let Some(port) = switching.ports.get(network) {
                    let (to, out) = (targets, sink);
                    broadcaster::set(
                        port, network, source, signer, generation, to, now, sender, out,
                    );
                }
            }
            Command::StopReplication { network } => {
                if let Some(port) = switching.ports.get(network) {
                    broadcaster::stop(port, network, now, sender, sink);
                }
            }
            about_ports => Self::execute_on_ports(about_ports, now, sender, switching),
        }
    }

    /// Write frames of ours to a port, if it is open.
    fn write(&mut self, network: u64, frames: &[Vec<u8>], sink: &mut impl Sink) {
        let Some(offloads) = self.switching.ports.get(network).map(|port| port.offloads) else {
            return;
        };
        for frame in frames {
            switching::write(network, frame, offloads, &mut self.sender.journal, sink);
            self.end_batch(sink);
        }
    }

    fn execute_on_ports(
        command: Command,
        now: f64,
        sender: &mut Sender,
        switching: &mut Switching,
    ) {
        let Sender { peers, journal, .. } = sender;
        let ports = &mut switching.ports;
        match command {
            Command::OpenPort { network, own, mtu } => ports.open(network, own, mtu, now, journal),
            Command::ClosePort { network } => ports.close(network, peers, now, journal),
            Command::SetPortOffloads { network, offloads } => ports.set_offloads(network, offloads),
            Command::SetMember { network, peer, member } => {
                ports.set_member(network, peer, member, peers);
            }
            Command::RemoveMember { network, peer } => {
                ports.remove_member(network, &peer, peers, now, journal);
            }
            Command::FlushPeer { network, peer } => ports.flush_peer(network, peer, peers),
            Command::SetStaticEntries { network, entries } => {
                ports.set_static_entries(network, &entries, peers);
            }
            Command::SetBlocked { network, vlans } => ports.set_blocked(network, vlans),
            Command::SetGroups { network, peer, wanted } => {
                ports.set_groups(network, peer, wanted, peers);
            }
            Command::SetAssignment { network, source, number, members } => {
                if let Some(port) = ports.get(network) {
                    replication::assign(port, &source, number, members);
                }
            }
            Command::SetSource { network, peer, signing, relay, generation } => {
                let id = peers.find(&peer);
                if let Some(port) = ports.get(network)
                    && id.is_some_and(|id| port.switch.is_member(id))
                {
                    replication::set_source(port, peer, signing, relay, generation, now, journal);
                }
            }
            Command::RemoveSource { network, peer } => {
                if let Some(port) = ports.get(network) {
                    port.sources.remove(&peer);
                }
            }
            Command::SetLimits { network, limits } => ports.set_limits(network, limits),
            _ => {}
        }
    }

    // --- time -----------------------------------------------------------------------------------

    /// Age tables; call when `next_timeout` has come.
    pub fn timeout(&mut self, now: f64) {
        self.switching.recent.forget();
        let Sender { peers, held, journal, .. } = &mut self.sender;
        held.sweep(peers, now, journal);
        self.receiver.fragments.sweep(peers, now, journal);
        self.switching.ports.expire(now);
    }

    /// When `timeout` is next needed.
    #[must_use]
    pub fn next_timeout(&self) -> Option<f64> {
        let due =
            [self.switching.ports.next_expiry(), self.sender.held.due, self.receiver.fragments.due];
        due.into_iter().flatten().reduce(f64::min)
    }

    // --- out ------------------------------------------------------------------------------------

    /// The next upcall: control first, then events, then handshakes of strangers.
    pub fn poll_upcall(&mut self) -> Option<Upcall> {
        self.sender.journal.poll()
    }

    /// Whether an upcall waits.
    #[must_use]
    pub fn has_upcall(&self) -> bool {
        self.sender.journal.has_upcall()
    }

    /// The forwarding database of a network, static entries first.
    #[must_use]
    pub fn fdb(&self, network: u64, now: f64) -> Vec<FdbEntry> {
        self.switching.ports.fdb(network, &self.sender.peers, now)
    }

    /// The oldest frames that a capture keeps, taken out: at most 256, and 1 MiB or one.
    pub fn captured(&mut self, network: u64) -> Vec<Captured> {
        self.switching.captures.take(network)
    }

    /// Traffic with a peer; nothing for an unknown one.
    #[must_use]
    pub fn activity(&self, peer: &Fingerprint) -> Activity {
        let peers = &self.sender.peers;
        peers.find(peer).map_or_else(Activity::default, |id| peers[id].activity)
    }

    /// Totals and drops.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.sender.journal.counters
    }
}

/// Whether `train` is a run of RELAY datagrams with one id, all of which have something inside.
fn is_relay_run(train: &[u8], stride: usize) -> bool {
    let Some(head) = train.first_chunk::<RELAY_HEADER_BYTES>() else { return false };
    head[0] == RELAY
        && train.chunks(stride).all(|one| one.len() > head.len() && one.starts_with(head))
}
