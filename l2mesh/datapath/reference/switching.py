"""What happens to one frame, in the order of section 10: from the port, and from the mesh.

Frames between two signed MACs that need no other look (untagged IPv4 or IPv6 of right length, not
one of our own outer datagrams) take the express way; the result is that of the long one.
"""

from collections import deque
from typing import Final

from l2mesh.datapath.interface import Deliver, DropReason, MacLearned, Output, SetUnderlay
from l2mesh.datapath.reference.counters import Counters
from l2mesh.datapath.reference.peers import Peer
from l2mesh.datapath.reference.ports import Port, Ports
from l2mesh.datapath.reference.send import Sender
from l2mesh.datapath.reference.upcalls import Upcalls
from l2mesh.switch.checksum import complete_checksum
from l2mesh.switch.ethernet import Header, parse_header
from l2mesh.switch.fdb import Learned
from l2mesh.switch.own import OwnDatagrams

_new = tuple.__new__  # a NamedTuple made without its own __new__ takes half the time
_PROTOCOL_AT: Final = {b"\x08\x00": 23, b"\x86\xdd": 20}
"""Ethertype of an untagged frame -> where its IP header names the next protocol."""
_UDP: Final = 17


class Switching:
    """Frames of all networks."""

    __slots__ = ("_counters", "_outputs", "_own", "_ports", "_sender", "_upcalls")

    def __init__(
        self,
        *,
        ports: Ports,
        sender: Sender,
        outputs: deque[Output],
        upcalls: Upcalls,
        counters: Counters,
    ) -> None:
        self._ports = ports
        self._sender = sender
        self._outputs = outputs
        self._upcalls = upcalls
        self._counters = counters
        self._own = OwnDatagrams()

    def set_underlay(self, command: SetUnderlay, now: float) -> None:
        """Our own UDP addresses."""
        self._own = OwnDatagrams(command.port, command.addresses)

    # --- from the port --------------------------------------------------------------------------

    def from_port(self, network: int, frame: bytes, now: float) -> None:
        """One frame read from a port."""
        counters = self._counters
        length = len(frame)
        counters.frames_in += 1
        counters.frame_bytes_in += length
        port = self._ports.table.get(network)
        if port is None:
            counters.drop(DropReason.NO_PORT)
            return
        peer = port.outward.get(frame[:12])
        if peer is not None and length <= port.untagged_max:
            at = _PROTOCOL_AT.get(frame[12:14])
            if (
                at is not None
                and length > at
                and (frame[at] != _UDP or not self._own.is_own(frame))
            ):
                self._sender.send_frame(peer, network, frame, now)
                return
        reason = self._from_port(port, frame, now)
        if reason is not None:
            counters.drop(reason)

    def _from_port(self, port: Port, frame: bytes, now: float) -> DropReason | None:
        header = _judge(port, frame)
        if header is None:
            return DropReason.BAD_FRAME
        if self._own.is_own(frame):
            return DropReason.OWN_DATAGRAM
        if not self._admit(port, header.vlan, frame[6:12], None, now):
            return DropReason.SOURCE_MAC
        receivers = port.switch.from_port(header.vlan, frame[:6], now)
        if isinstance(receivers, DropReason):
            return receivers
        if len(receivers) > 1:
            self._counters.frames_flooded += 1
        for fingerprint in receivers:
            self._sender.send_frame(port.peers[fingerprint], port.network, frame, now)
        return None

    # --- from the mesh --------------------------------------------------------------------------

    def from_mesh(
        self, peer: Peer, network: int, frame: bytes, now: float, *, is_open: bool
    ) -> None:
        """One authentic frame from `peer`; `is_open`: its L4 checksum is to be completed."""
        port = self._ports.table.get(network)
        if port is None:
            self._counters.drop(DropReason.NO_PORT)
            return
        length = len(frame)
        if (
            not is_open
            and port.inward.get(frame[:12]) is peer
            and length <= port.untagged_max
            and (at := _PROTOCOL_AT.get(frame[12:14])) is not None
            and length > at
            and (frame[at] != _UDP or not self._own.is_own(frame))
        ):
            self._deliver(network, frame)
            return
        outcome = self._from_mesh(port, peer.fingerprint, frame, now, is_open=is_open)
        if isinstance(outcome, DropReason):
            self._counters.drop(outcome)
        else:
            self._deliver(network, outcome)

    def _from_mesh(
        self, port: Port, source: bytes, frame: bytes, now: float, *, is_open: bool
    ) -> bytes | DropReason:
        if source not in port.peers:
            return DropReason.NOT_A_MEMBER
        header = _judge(port, frame)
        if header is None:
            return DropReason.BAD_FRAME
        whole = complete_checksum(frame) if is_open else frame
        if whole is None:
            return DropReason.BAD_OFFLOAD
        if self._own.is_own(frame):
            return DropReason.OWN_DATAGRAM
        if not self._admit(port, header.vlan, frame[6:12], source, now):
            return DropReason.SOURCE_MAC
        return port.switch.from_mesh(header.vlan, frame[:6], source, now) or whole

    def _deliver(self, network: int, frame: bytes) -> None:
        self._outputs.append(_new(Deliver, (network, frame)))
        self._counters.frames_out += 1
        self._counters.frame_bytes_out += len(frame)

    # --- both -----------------------------------------------------------------------------------

    def _admit(self, port: Port, vlan: int, mac: bytes, source: bytes | None, now: float) -> bool:
        """Guard a source MAC and learn it."""
        if not port.switch.is_source_allowed(mac, source):
            return False
        learned = port.switch.fdb.learn(vlan, mac, source, now)
        if learned is Learned.FULL:
            self._counters.drop(DropReason.FDB_FULL)
        elif learned is Learned.NEW or learned is Learned.MOVED:
            moved = learned is Learned.MOVED
            self._upcalls.push_event(MacLearned(port.network, vlan, mac, source, moved))
        return True


def _judge(port: Port, frame: bytes) -> Header | None:
    """The header of a frame that is neither a runt nor a giant."""
    header = parse_header(frame)
    if header is None or len(frame) - header.payload > port.mtu:
        return None
    return header
