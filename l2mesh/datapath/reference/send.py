"""Sending: frames are cut where the path demands it, sealed and queued (section 4).

A key's counter is taken before anything else happens with it, so no counter is ever used twice. The
id of a cut frame is the counter of its first piece, which is unique on the index.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

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
    SendTwice,
    SetPath,
    Transmit,
)
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.counters import Counters
from l2mesh.datapath.reference.held import HeldFrames
from l2mesh.datapath.reference.peers import Held, Peer, Peers, SendKey
from l2mesh.datapath.reference.superframe.split import SuperFrame, parse_segment, split
from l2mesh.datapath.reference.trains import push_trains
from l2mesh.datapath.reference.twice import Twin, make_copies, make_twin
from l2mesh.datapath.reference.upcalls import Upcalls
from l2mesh.switch.checksum import complete_checksum
from l2mesh.switch.ethernet import HEADER_BYTES as ETHERNET_BYTES
from l2mesh.wire.data import HEADER, PIECE_HEAD, TAG, Flag
from l2mesh.wire.relay import frame_relay

_new = tuple.__new__  # a NamedTuple made without its own __new__ takes half the time
_pack_header = HEADER.pack
_pack_piece = PIECE_HEAD.pack
_FRAG = int(Flag.FRAG) << 24
_CONTROL = int(Flag.CONTROL) << 24
_CONT = int(Flag.CONT) << 24
_CSUM = int(Flag.CSUM) << 24
_ELIDED = int(Flag.ELIDED) << 24
_GROUP = int(Flag.GROUP) << 24
_TAG_ROOM: Final = bytes(TAG)
_VERSIONS: Final = {b"\x08\x00": 4, b"\x86\xdd": 6}
"""Ethertype -> IP version."""


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

    def send_frame(
        self,
        peer: Peer,
        network: int,
        frame: bytes,
        now: float,
        *,
        is_open: bool = False,
        is_group: bool = False,
    ) -> None:
        """Send a frame to `peer`, or hold it while that cannot be.

        `is_open`: its L4 checksum is open, and has been found to be one that may travel so.
        `is_group`: it is the plaintext of GROUP, which is never open.
        """
        if peer.twin is not None and not is_group:
            again = partial(self.send_frame, peer, network, frame, now, is_open=is_open)
            self._with_copies(peer, peer.twin, frame, again, now)
            return
        key = peer.send.get(network)
        endpoint = peer.endpoint if is_group else peer.endpoint_of(frame)
        if key is None or endpoint is None:
            until = now + self._bounds.held_s
            held = Held(network, frame, is_open, None, until, is_group)
            self._held.hold(peer, held, now)
            return
        word, text = key.word, frame
        if is_group:
            word |= _GROUP
            if len(text) > peer.whole:
                self._send_pieces(peer, key, endpoint, frame, now, _FRAG | _GROUP)
                return
        elif frame[:12] == key.elided and _is_elidable(frame):
            word, text = word | _ELIDED, frame[ETHERNET_BYTES:]
        if len(text) > peer.whole:
            self._send_large(peer, network, endpoint, frame, now, is_open=is_open)
            return
        counter = key.counter
        if counter >= key.alert and not self._may_use(peer, key, 1):
            return
        key.counter = counter + 1
        if is_open:
            word |= _CSUM
        header = _pack_header(word, counter)
        datagram = header + key.seal(counter, header, text)
        if peer.relay:
            datagram = peer.relay_head + datagram
        self._outputs.append(_new(Transmit, (datagram, endpoint)))
        self._count(peer, 1, len(datagram), now)

    def _send_large(
        self,
        peer: Peer,
        network: int,
        endpoint: Endpoint,
        frame: bytes,
        now: float,
        *,
        is_open: bool,
    ) -> None:
        """Send a frame that does not fit: TCP cut in two, if that would not show, else pieces."""
        key = peer.send[network]
        alone = parse_segment(frame) if is_open else None
        if alone is not None and alone.size_for(peer.whole) is not None:
            self.send_superframe(peer, network, alone, now)
            return
        complete = (complete_checksum(frame) if is_open else None) or frame
        self._send_pieces(peer, key, endpoint, complete, now)

    def send_superframe(self, peer: Peer, network: int, whole: SuperFrame, now: float) -> None:
        """Cut a super-frame at what fits the path and send it as trains, or hold it.

        Where nothing that is allowed fits, each of the kernel's segments goes its own way.
        """
        if peer.twin is not None:
            again = partial(self.send_superframe, peer, network, whole, now)
            self._with_copies(peer, peer.twin, whole.frame, again, now)
            return
        frame = whole.frame
        key = peer.send.get(network)
        endpoint = peer.endpoint_of(frame)
        if key is None or endpoint is None:
            held = Held(network, frame, False, whole, now + self._bounds.held_s)
            self._held.hold(peer, held, now)
            return
        skip = ETHERNET_BYTES if frame[:12] == key.elided and _is_elidable(frame) else 0
        size = whole.size_for(peer.whole + skip)
        if size is None:
            for segment in split(whole, whole.gso_size, is_open=False):
                self.send_frame(peer, network, segment, now)
            return
        first, count = key.counter, whole.count(size)
        if first + count > key.alert and not self._may_use(peer, key, count):
            return
        key.counter = first + count
        is_open = whole.may_stay_open()
        word = key.word | (_ELIDED if skip else 0) | (_CSUM if is_open else 0)
        run: list[bytes] = []
        head = peer.relay_head
        for counter, text in enumerate(split(whole, size, skip, is_open=is_open), first):
            run += (head, _pack_header(word, counter), text, _TAG_ROOM)
            word |= _CONT
        stride = sum(map(len, run[:4]))
        datagrams = key.seal_run(first, b"".join(run), stride, len(head))
        push_trains(self._outputs, datagrams, stride, endpoint)
        self._count(peer, count, len(datagrams), now)

    def _send_pieces(
        self,
        peer: Peer,
        key: SendKey,
        endpoint: Endpoint,
        frame: bytes,
        now: float,
        flags: int = _FRAG,
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
        word, seal, head, push = key.word | flags, key.seal, peer.relay_head, self._outputs.append
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

    def _with_copies(
        self, peer: Peer, twin: Twin, frame: bytes, send: Callable[[], None], now: float
    ) -> None:
        """Send something as if there was no twin, then copies of it, unless it went by the twin."""
        if now >= twin.until or not twin.budget:
            peer.set_twin(None)
            send()
            return
        peer.twin, since = None, len(self._outputs)
        send()
        if peer.spread and peer.endpoint_of(frame) == twin.path.endpoint and not twin.path.relay:
            peer.twin = twin
            return
        copies = make_copies(self._outputs, since, len(peer.relay_head), twin)
        self._outputs.extend(copies)
        self._counters.copies_out += len(copies)
        if copies:
            self._count(peer, len(copies), sum(len(each.datagram) for each in copies), now)
        peer.set_twin(twin if twin.budget else None)

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
        if command.lane:
            return  # there is one thread
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

    def send_twice(self, command: SendTwice, now: float) -> None:
        """A second path to a peer for a while, or none any more."""
        peer = self._peers.table.get(command.peer)
        if peer is not None:
            peer.set_twin(make_twin(command, now))

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
            for held in self._held.take(peer, network, now):
                if held.whole is not None:
                    self.send_superframe(peer, network, held.whole, now)
                else:
                    self.send_frame(
                        peer,
                        network,
                        held.frame,
                        now,
                        is_open=held.is_open,
                        is_group=held.is_group,
                    )


def _is_elidable(frame: bytes) -> bool:
    """Whether the receiver will find the ethertype again, which is left out with the addresses."""
    version = _VERSIONS.get(frame[12:14])
    return version is not None and len(frame) > ETHERNET_BYTES and frame[14] >> 4 == version
