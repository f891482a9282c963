"""Sending: frames are cut where the path demands it, sealed and queued (section 4).

A key's counter is taken before anything else happens with it, so no counter is ever used twice. The
id of a cut frame is the counter of its first piece, which is unique on the index.
"""

from collections import deque

from l2mesh.datapath.interface import (
    DropReason,
    Endpoint,
    InstallSend,
    KeySpent,
    Output,
    Path,
    RemoveSend,
    SendControl,
    SendDatagram,
    SetPath,
    Transmit,
)
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.counters import Counters
from l2mesh.datapath.reference.held import HeldFrames
from l2mesh.datapath.reference.peers import Peer, Peers, SendKey
from l2mesh.datapath.reference.upcalls import Upcalls
from l2mesh.wire.data import HEADER, PIECE_HEAD, Flag
from l2mesh.wire.relay import frame_relay

_new = tuple.__new__  # a NamedTuple made without its own __new__ takes half the time
_pack_header = HEADER.pack
_pack_piece = PIECE_HEAD.pack
_FRAG = int(Flag.FRAG) << 24
_CONTROL = int(Flag.CONTROL) << 24


class Sender:
    """Everything that leaves by the UDP socket, except what is relayed for others."""

    __slots__ = ("_bounds", "_counters", "_held", "_outputs", "_peers", "_upcalls")

    def __init__(
        self,
        *,
        peers: Peers,
        held: HeldFrames,
        outputs: deque[Output],
        upcalls: Upcalls,
        counters: Counters,
        bounds: Bounds,
    ) -> None:
        self._peers = peers
        self._held = held
        self._outputs = outputs
        self._upcalls = upcalls
        self._counters = counters
        self._bounds = bounds

    # --- frames ---------------------------------------------------------------------------------

    def send_frame(self, peer: Peer, network: int, frame: bytes, now: float) -> None:
        """Send a frame to `peer`, or hold it while that cannot be."""
        key = peer.send.get(network)
        endpoint = peer.endpoint
        if key is None or endpoint is None:
            self._held.hold(peer, network, frame, now)
            return
        if len(frame) > peer.whole:
            self._send_pieces(peer, network, key, endpoint, frame, now)
            return
        counter = key.counter
        if counter >= key.alert and not self._may_use(peer, key, 1):
            return
        key.counter = counter + 1
        header = _pack_header(key.word, counter)
        datagram = header + key.seal(counter, header, frame)
        if peer.relay:
            datagram = peer.relay_head + datagram
        self._outputs.append(_new(Transmit, (datagram, endpoint)))
        self._count(peer, 1, len(datagram), now)

    def _send_pieces(
        self,
        peer: Peer,
        network: int,
        key: SendKey,
        endpoint: Endpoint,
        frame: bytes,
        now: float,
    ) -> None:
        """The fewest pieces, the first ones full."""
        total, size = len(frame), peer.piece
        count = -(-total // size)
        number = key.counter
        if count > self._bounds.pieces:
            self._counters.drop(DropReason.BAD_FRAME)
            return
        if number >= key.alert and not self._may_use(peer, key, count):
            return
        counter, octets = number, 0
        word, seal, head, push = key.word | _FRAG, key.seal, peer.relay_head, self._outputs.append
        key.counter = number + count
        for offset in range(0, total, size):
            header = _pack_header(word, counter)
            text = _pack_piece(number, offset, total) + frame[offset : offset + size]
            datagram = header + seal(counter, header, text)
            if head:
                datagram = head + datagram
            push(_new(Transmit, (datagram, endpoint)))
            octets += len(datagram)
            counter += 1
        self._counters.frames_fragmented += 1
        self._count(peer, count, octets, now)

    def _count(self, peer: Peer, datagrams: int, octets: int, now: float) -> None:
        activity, counters = peer.activity, self._counters
        activity.sent = activity.frame = now
        activity.tx_packets += datagrams
        activity.tx_bytes += octets
        counters.datagrams_out += datagrams
        counters.datagram_bytes_out += octets

    def _may_use(self, peer: Peer, key: SendKey, count: int) -> bool:
        """Whether `count` more numbers may be used of a key that is old; its age is told once."""
        refuse = self._bounds.refuse_counter
        if key.counter >= key.alert and key.alert == self._bounds.rekey_counter:
            told = self._upcalls.push_event(KeySpent(peer.fingerprint, key.session))
            if told:
                key.alert = max(key.alert + 1, refuse - self._bounds.pieces)
        if key.counter + count <= refuse:
            return True
        self._counters.drop(DropReason.COUNTER_SPENT)
        return False

    # --- commands -------------------------------------------------------------------------------

    def install(self, command: InstallSend, now: float) -> None:
        """Frames for (peer, network) leave with this key from now on; held ones at once."""
        peer = self._peers.install_send(command)
        self._flush(peer, command.network, now)

    def remove(self, command: RemoveSend, now: float) -> None:
        """No more frames to (peer, network)."""
        peer = self._peers.table.get(command.peer)
        if peer is None:
            return
        peer.send.pop(command.network, None)
        self._held.drop(peer, command.network, DropReason.HELD_TOO_LONG, now)
        self._peers.release(peer)

    def set_path(self, command: SetPath, now: float) -> None:
        """Another way to a peer; what waited for one leaves."""
        peer = self._peers.set_path(command)
        for network in list(peer.send):
            self._flush(peer, network, now)
        self._peers.release(peer)

    def send_control(self, command: SendControl, now: float) -> None:
        """Seal control records for one session."""
        peer = self._peers.table.get(command.peer)
        key = peer.control.get(command.session) if peer else None
        if peer is None or key is None:
            return
        counter = key.counter
        if counter >= key.alert and not self._may_use(peer, key, 1):
            return
        key.counter = counter + 1
        header = _pack_header(key.word | _CONTROL, counter)
        sent = self._transmit(header + key.seal(counter, header, command.payload), command.path)
        activity = peer.activity
        activity.sent = now
        activity.tx_packets += 1
        activity.tx_bytes += sent

    def send_datagram(self, command: SendDatagram, now: float) -> None:
        """Send a handshake message."""
        self._transmit(command.datagram, command.path)

    def _transmit(self, datagram: bytes, path: Path) -> int:
        """Queue a datagram along `path`; its length there."""
        if path.relay:
            datagram = frame_relay(path.relay, datagram)
        self._outputs.append(Transmit(datagram, path.endpoint))
        self._counters.datagrams_out += 1
        self._counters.datagram_bytes_out += len(datagram)
        return len(datagram)

    def _flush(self, peer: Peer, network: int, now: float) -> None:
        if peer.held and peer.endpoint is not None and network in peer.send:
            for frame in self._held.take(peer, network, now):
                self.send_frame(peer, network, frame, now)
