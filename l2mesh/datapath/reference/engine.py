"""The engine as the program sees it: it composes the parts and hands each input to one of them."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from l2mesh.crypto import Crypto, Random
from l2mesh.datapath import interface
from l2mesh.datapath.interface import (
    Activity,
    Captured,
    Command,
    DropReason,
    Endpoint,
    FdbEntry,
    Offload,
    Output,
    Received,
    Upcall,
)
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.broadcaster import Broadcaster
from l2mesh.datapath.reference.capture import Captures
from l2mesh.datapath.reference.counters import Counters
from l2mesh.datapath.reference.fragments import Fragments
from l2mesh.datapath.reference.guard import HandshakeGuard
from l2mesh.datapath.reference.held import HeldFrames
from l2mesh.datapath.reference.peers import Peers
from l2mesh.datapath.reference.ports import Ports
from l2mesh.datapath.reference.receive import Receiver
from l2mesh.datapath.reference.relay import Relays
from l2mesh.datapath.reference.replication import Replication
from l2mesh.datapath.reference.send import Sender
from l2mesh.datapath.reference.switching import Switching
from l2mesh.datapath.reference.upcalls import Upcalls
from l2mesh.wire.data import DATA_BIT
from l2mesh.wire.datagram import DatagramType
from l2mesh.wire.relay import RELAY_HEADER_BYTES

_HANDSHAKE = frozenset({DatagramType.INIT, DatagramType.RESPONSE, DatagramType.COOKIE})
_RELAY = int(DatagramType.RELAY)


class ReferenceEngine:
    """See `l2mesh.datapath.interface.Engine`. Not thread-safe; what it gives out must be polled."""

    name = "reference"

    def __init__(self, crypto: Crypto, random: Random, bounds: Bounds | None = None) -> None:
        """`bounds` other than the protocol's are for tests."""
        bounds = bounds or Bounds()
        self._outputs: deque[Output] = deque()
        self._counters = counters = Counters()
        self._upcalls = upcalls = Upcalls(bounds, counters)
        self._peers = peers = Peers(crypto, bounds)
        self._held = held = HeldFrames(bounds, counters, upcalls)
        self._ports = Ports(peers, held, bounds)
        self._captures = Captures(bounds)
        self._fragments = Fragments(bounds, counters)
        self._relays = Relays(bounds, counters, self._outputs)
        self._sender = Sender(
            peers=peers,
            held=held,
            outputs=self._outputs,
            upcalls=upcalls,
            counters=counters,
            bounds=bounds,
        )
        self._broadcaster = Broadcaster(
            crypto,
            ports=self._ports,
            sender=self._sender,
            upcalls=upcalls,
            counters=counters,
            bounds=bounds,
        )
        self._switching = Switching(
            ports=self._ports,
            captures=self._captures,
            sender=self._sender,
            broadcaster=self._broadcaster,
            outputs=self._outputs,
            upcalls=upcalls,
            counters=counters,
        )
        self._replication = Replication(
            crypto,
            ports=self._ports,
            sender=self._sender,
            switching=self._switching,
            upcalls=upcalls,
            counters=counters,
            bounds=bounds,
        )
        self._receiver = Receiver(
            peers=peers,
            fragments=self._fragments,
            switching=self._switching,
            replication=self._replication,
            upcalls=upcalls,
            counters=counters,
            bounds=bounds,
        )
        self._guard = HandshakeGuard(
            crypto,
            random,
            outputs=self._outputs,
            upcalls=upcalls,
            counters=counters,
            bounds=bounds,
        )
        self._receive = self._receiver.receive
        self._handlers = self._make_handlers()

    def _make_handlers(self) -> dict[type, Callable[[Any, float], None]]:
        """Which part carries out which command."""
        peers, sender, ports, relays = self._peers, self._sender, self._ports, self._relays
        return {
            interface.InstallReceive: peers.install_receive,
            interface.InstallSend: sender.install,
            interface.RemoveReceive: peers.remove_receive,
            interface.RemoveSend: sender.remove,
            interface.RemoveSession: peers.remove_session,
            interface.SetPath: sender.set_path,
            interface.SendTwice: sender.send_twice,
            interface.AddRelayLeg: relays.add_leg,
            interface.RemoveRelayLeg: relays.remove_leg,
            interface.SetRelay: relays.set,
            interface.RemoveRelay: relays.remove,
            interface.OpenPort: ports.open,
            interface.ClosePort: ports.close,
            interface.SetMember: ports.set_member,
            interface.RemoveMember: ports.remove_member,
            interface.FlushPeer: ports.flush_peer,
            interface.SetLimits: ports.set_limits,
            interface.SetBlocked: ports.set_blocked,
            interface.SetStaticEntries: ports.set_static_entries,
            interface.SetGroups: ports.set_groups,
            interface.WriteFrame: self._switching.write,
            interface.AnnounceStations: self._switching.announce,
            interface.SetReplication: self._broadcaster.set,
            interface.StopReplication: self._broadcaster.stop,
            interface.SetAssignment: self._replication.assign,
            interface.SetSource: self._replication.set_source,
            interface.RemoveSource: self._replication.remove_source,
            interface.SetPortOffloads: ports.set_offloads,
            interface.StartCapture: self._captures.start,
            interface.StopCapture: self._captures.stop,
            interface.SetGuard: self._guard.set,
            interface.SetUnderlay: self._switching.set_underlay,
            interface.SendControl: sender.send_control,
            interface.SendDatagram: sender.send_datagram,
        }

    # --- in -------------------------------------------------------------------------------------

    def execute(self, command: Command, now: float) -> None:
        """Carry out one command."""
        self._handlers[type(command)](command, now)

    def handle_frame(
        self, network: int, frame: bytes, now: float, offload: Offload | None = None
    ) -> None:
        """One frame or super-frame read from a port."""
        self._switching.from_port(network, frame, now, offload)

    def handle_datagram(self, datagram: bytes, source: Endpoint, now: float) -> None:
        """One datagram received by the UDP socket: a batch of one."""
        self._take_one(datagram, source, now)
        self._switching.end_batch()

    def handle_datagrams(self, batch: Sequence[Received], now: float) -> None:
        """What one wake received."""
        for datagrams, stride, source in batch:
            if not stride or len(datagrams) <= stride:
                self._take_one(datagrams, source, now)
            else:
                self._take_run(datagrams, stride, source, now)
        self._switching.end_batch()

    def _take_run(self, run: bytes, stride: int, source: Endpoint, now: float) -> None:
        """Datagrams of one source that the kernel has merged. They need not belong together."""
        skip = relay = 0
        is_answerable = bool(source[1])
        if is_answerable and run[0] == _RELAY and self._relays.is_one(run, stride):
            if self._relays.forward_run(run, stride, source, now):
                self._count(run, stride)
                return
            skip, relay = RELAY_HEADER_BYTES, self._relays.find_leg(run, source)
        if is_answerable and (relay or not skip) and min(run[skip::stride]) >= DATA_BIT:
            self._count(run, stride)
            self._receive(run, stride, skip, source, relay, now)
            return
        for at in range(0, len(run), stride):
            self._take_one(run[at : at + stride], source, now)

    def _count(self, run: bytes, stride: int) -> None:
        self._counters.datagrams_in += -(-len(run) // stride)
        self._counters.datagram_bytes_in += len(run)

    def _take_one(self, datagram: bytes, source: Endpoint, now: float) -> None:
        counters = self._counters
        counters.datagrams_in += 1
        counters.datagram_bytes_in += len(datagram)
        if not source[1]:
            counters.drop(DropReason.MALFORMED)  # nobody can be answered at port 0
        elif datagram and datagram[0] >= DATA_BIT:
            self._receive(datagram, len(datagram), 0, source, 0, now)
        elif datagram and datagram[0] == _RELAY:
            relay = self._relays.receive(datagram, source, now)
            if relay:
                self._receive_inside(datagram[RELAY_HEADER_BYTES:], source, relay, now)
        else:
            self._receive_inside(datagram, source, 0, now)

    def _receive_inside(self, datagram: bytes, source: Endpoint, relay: int, now: float) -> None:
        """Anything but RELAY."""
        if not datagram:
            self._counters.drop(DropReason.MALFORMED)
        elif datagram[0] >= DATA_BIT:
            self._receive(datagram, len(datagram), 0, source, relay, now)
        elif datagram[0] in _HANDSHAKE:
            self._guard.receive(datagram, source, relay, now)
        else:
            self._counters.drop(DropReason.UNKNOWN_TYPE)

    # --- time -----------------------------------------------------------------------------------

    def handle_timeout(self, now: float) -> None:
        """Age tables."""
        self._held.sweep(now)
        self._fragments.sweep(now)
        self._ports.expire(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is next needed."""
        due = self._ports.next_expiry()
        held, fragments = self._held.due, self._fragments.due
        if held is not None and (due is None or held < due):
            due = held
        if fragments is not None and (due is None or fragments < due):
            due = fragments
        return due

    # --- out ------------------------------------------------------------------------------------

    def poll_output(self) -> Output | None:
        """The next datagram or frame to send out."""
        return self._outputs.popleft() if self._outputs else None

    def poll_upcall(self) -> Upcall | None:
        """The next upcall."""
        return self._upcalls.poll()

    def fdb(self, network: int, now: float) -> list[FdbEntry]:
        """The forwarding database of a network."""
        return list(self._ports.fdb(network, now))

    def captured(self, network: int) -> list[Captured]:
        """What a capture keeps."""
        return self._captures.take(network)

    def activity(self, peer: bytes) -> Activity:
        """Traffic with a peer: a live record, to be read only."""
        known = self._peers.table.get(peer)
        return known.activity if known else Activity()

    def counters(self) -> dict[str, int]:
        """Totals by name."""
        return self._counters.totals()

    def drops(self) -> dict[DropReason, int]:
        """Drops by reason."""
        return dict(self._counters.drops)
