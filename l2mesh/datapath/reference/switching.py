"""What happens to one frame, in the order of section 10: from the port, and from the mesh.

Frames between two signed MACs that need no other look (untagged IPv4 or IPv6 of right length, from
an address that has passed the guard, neither DHCP nor one of our own outer datagrams) take the
express way; the result is that of the long one, which all frames of a network take while it is
captured.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from l2mesh.datapath.interface import (
    AnnounceStations,
    BeaconHeard,
    CaptureSide,
    Deliver,
    DropReason,
    GroupTalkHeard,
    MacLearned,
    Offence,
    Offload,
    Output,
    SetUnderlay,
    WriteFrame,
)
from l2mesh.datapath.reference.broadcaster import Broadcaster
from l2mesh.datapath.reference.capture import Capture, Captures
from l2mesh.datapath.reference.counters import Counters
from l2mesh.datapath.reference.peers import Peer
from l2mesh.datapath.reference.ports import MAX_VETTED, Port, Ports
from l2mesh.datapath.reference.send import Sender
from l2mesh.datapath.reference.superframe.coalesce import Coalescer
from l2mesh.datapath.reference.superframe.split import SuperFrame, parse_superframe, split
from l2mesh.datapath.reference.upcalls import Upcalls
from l2mesh.switch.beacon import emit_notice, is_ours, parse_beacon
from l2mesh.switch.checksum import complete_at, complete_checksum, find_segment
from l2mesh.switch.ethernet import Header, parse_header
from l2mesh.switch.fdb import NOBODY, Learned, Owner
from l2mesh.switch.forward import Frame, read_frame
from l2mesh.switch.inside import GROUP_TALK, Kind
from l2mesh.switch.own import OwnDatagrams

_new = tuple.__new__  # a NamedTuple made without its own __new__ takes half the time
MAX_NOTICES: Final = 1024
"""Written for one command."""
_IPV4: Final = b"\x08\x00"
_IPV6: Final = b"\x86\xdd"
_PLAIN_IPV4: Final = 0x45
"""Version 4, and no options."""
_TCP: Final = b"\x06"
_UDP: Final = b"\x11"
_DHCP4: Final = frozenset({b"\x00\x43", b"\x00\x44"})
_DHCP6: Final = frozenset({b"\x02\x22", b"\x02\x23"})
_OFFENCES: Final = frozenset(
    {
        DropReason.SOURCE_MAC,
        DropReason.SOURCE_IP,
        DropReason.STATIC_ENTRY,
        DropReason.ARP_GUARD,
        DropReason.ND_GUARD,
        DropReason.RA_GUARD,
        DropReason.DHCP_GUARD,
        DropReason.STORM,
    }
)
"""Reasons for which the source of a dropped frame is named."""
_UNLEARNED: Final = {
    Learned.FULL: DropReason.FDB_FULL,
    Learned.DAMPED: DropReason.MAC_FLAPPING,
}
"""Those of a frame that went on, but whose source was not learned."""


class Switching:
    """Frames of all networks."""

    __slots__ = (
        "_broadcaster",
        "_captures",
        "_coalescer",
        "_counters",
        "_outputs",
        "_own",
        "_ports",
        "_sender",
        "_upcalls",
        "growing",
        "join",
    )

    def __init__(
        self,
        *,
        ports: Ports,
        captures: Captures,
        sender: Sender,
        broadcaster: Broadcaster,
        outputs: deque[Output],
        upcalls: Upcalls,
        counters: Counters,
    ) -> None:
        self._ports = ports
        self._captures = captures.table
        self._sender = sender
        self._broadcaster = broadcaster
        self._outputs = outputs
        self._upcalls = upcalls
        self._counters = counters
        self._own = OwnDatagrams()
        self._coalescer = Coalescer()
        self.join = self._coalescer.join
        self.growing = self._coalescer.growing

    def set_underlay(self, command: SetUnderlay, now: float) -> None:
        """Our own UDP addresses."""
        self._own = OwnDatagrams(command.port, command.addresses)

    # --- from the port --------------------------------------------------------------------------

    def from_port(
        self, network: int, frame: bytes, now: float, offload: Offload | None = None
    ) -> None:
        """One frame or super-frame read from a port."""
        counters = self._counters
        counters.frames_in += 1
        counters.frame_bytes_in += len(frame)
        port = self._ports.table.get(network)
        if offload is not None and not (offload.needs_csum or offload.gso_type or offload.ecn):
            offload = None
        if self._captures and (capture := self._captures.get(network)) is not None:
            capture.see(CaptureSide.PORT, frame, now)
        elif port is not None:
            peer = port.outward.get(frame[:12])
            if (
                peer is not None
                and self._is_plain(port, frame, None)
                and self._send(port, peer, frame, offload, now)
            ):
                return
        reason = (
            self._forward(port, frame, offload, now) if port is not None else DropReason.NO_PORT
        )
        if reason is not None:
            counters.drop(reason)
            if self._captures and (capture := self._captures.get(network)) is not None:
                capture.see(CaptureSide.DROPS, frame, now, reason=reason)

    def _send(
        self, port: Port, peer: Peer, frame: bytes, offload: Offload | None, now: float
    ) -> bool:
        """The express way to `peer`, unless the length or the offload needs a further look."""
        if offload is not None and offload.gso_type:
            whole = parse_superframe(frame, offload)
            if whole is None or whole.longest() > port.untagged_max:
                return False
            self._counters.superframes_in += 1
            self._sender.send_superframe(peer, port.network, whole, now)
            return True
        if len(frame) > port.untagged_max or (offload and not _is_segment(frame, offload)):
            return False
        self._sender.send_frame(peer, port.network, frame, now, is_open=offload is not None)
        return True

    def _is_plain(self, port: Port, frame: bytes, source: Peer | None) -> bool:
        """Whether a frame from `source` between two signed MACs needs no further look."""
        if frame[12:14] == _IPV4:
            address, protocol = frame[26:30], frame[23:24]
            if protocol == _UDP and (
                frame[14] != _PLAIN_IPV4 or frame[36:38] in _DHCP4 or self._own.is_own(frame)
            ):
                return False
        elif frame[12:14] == _IPV6:
            address, protocol = frame[22:38], frame[20:21]
            if protocol == _UDP:
                if frame[56:58] in _DHCP6 or self._own.is_own(frame):
                    return False
            elif protocol != _TCP:
                return False
        else:
            return False
        return port.vetted.get(address, NOBODY) is source

    def _forward(
        self, port: Port, frame: bytes, offload: Offload | None, now: float
    ) -> DropReason | None:
        """The long way of a frame, perhaps with an open checksum, or of a super-frame."""
        if offload is None:
            return self._from_port(port, frame, now)
        if offload.gso_type or offload.ecn:
            whole = parse_superframe(frame, offload)
            if whole is None:
                return DropReason.BAD_OFFLOAD
            self._counters.superframes_in += 1
            return self._from_port(port, frame, now, whole=whole)
        if _is_segment(frame, offload):
            return self._from_port(port, frame, now, is_open=True)
        completed = complete_at(frame, offload.csum_start, offload.csum_offset)
        if completed is None:
            return DropReason.BAD_OFFLOAD
        return self._from_port(port, completed, now)

    def _from_port(
        self,
        port: Port,
        frame: bytes,
        now: float,
        *,
        is_open: bool = False,
        whole: SuperFrame | None = None,
    ) -> DropReason | None:
        """`whole` is the super-frame that `frame` is, if it is one."""
        receivers = self._find_receivers(port, frame, now, whole)
        if isinstance(receivers, DropReason):
            return receivers
        if len(receivers) > 1:
            self._counters.frames_flooded += 1
        capture = self._captures.get(port.network) if self._captures else None
        if capture is not None:
            for fingerprint in receivers:
                capture.see(CaptureSide.MESH, frame, now, inward=False, peer=fingerprint)
        if port.outgoing is not None and port.switch.is_to_be_replicated(receivers, frame):
            for complete in _complete(frame, whole, is_open=is_open):
                self._broadcaster.flood(port, port.outgoing, complete, now)
            return None
        for fingerprint in receivers:
            peer = port.peers[fingerprint]
            if whole is not None:
                self._sender.send_superframe(peer, port.network, whole, now)
            else:
                self._sender.send_frame(peer, port.network, frame, now, is_open=is_open)
        return None

    def _find_receivers(
        self, port: Port, frame: bytes, now: float, whole: SuperFrame | None
    ) -> tuple[bytes, ...] | DropReason:
        parts = _judge(port, frame, whole.longest() if whole else len(frame))
        if parts is None:
            return DropReason.BAD_FRAME
        if self._own.is_own(frame):
            return DropReason.OWN_DATAGRAM
        if is_ours(parts.destination, parts.header):
            return self._receive_beacon(port, frame, parts.header, now)
        if port.switch.is_blocked_from_port(parts):
            return DropReason.LOOP_BLOCKED
        frames = whole.count(whole.gso_size) if whole else 1
        reason = self._admit(port, parts, None, now)
        if reason is None and parts.group and parts.inside.kind in GROUP_TALK:
            reason = self._hear_group_talk(port, frame, parts, now)
        receivers = reason or port.switch.from_port(parts, now, frames)
        if isinstance(receivers, DropReason):
            self._note_offence(port, parts, None, receivers, now)
        return receivers

    def _hear_group_talk(
        self, port: Port, frame: bytes, parts: Frame, now: float
    ) -> DropReason | None:
        """IGMP or MLD from the port."""
        if not port.group_talk.take(now):
            return DropReason.STORM
        self._tell_group_talk(port, frame, parts, None)
        return None

    def _tell_group_talk(self, port: Port, frame: bytes, parts: Frame, peer: bytes | None) -> None:
        header = parts.header
        packet = frame[header.payload :]
        upcall = GroupTalkHeard(port.network, header.vlan, peer, parts.source, packet)
        self._upcalls.push_event(upcall)

    def _receive_beacon(
        self, port: Port, frame: bytes, header: Header, now: float
    ) -> tuple[bytes, ...] | DropReason:
        """A frame of the loop guard ends here."""
        nonce = parse_beacon(frame, header)
        if nonce is None:
            return ()
        if not port.beacons.take(now):
            return DropReason.STORM
        self._upcalls.push_own(BeaconHeard(port.network, header.vlan, nonce))
        return ()

    # --- from the mesh --------------------------------------------------------------------------

    def from_mesh(
        self, peer: Peer, network: int, frame: bytes, now: float, *, is_open: bool
    ) -> bool:
        """One authentic frame from `peer`; `is_open`: its L4 checksum is to be completed.

        Whether it is a super-frame in the making that frames of equal headers may join unseen.
        """
        port = self._ports.table.get(network)
        capture = self._captures.get(network) if self._captures else None
        length = len(frame)
        if capture is not None:
            capture.see(CaptureSide.MESH, frame, now, peer=peer.fingerprint)
        elif (
            port is not None and port.inward.get(frame[:12]) is peer and length <= port.untagged_max
        ):
            if port.offloads.checksum and self.join(network, frame, is_open=is_open):
                return True
            if self._is_plain(port, frame, peer) and (
                not is_open or find_segment(frame) is not None
            ):
                self._deliver(port, frame, is_open=is_open)
                return True
        self._take(port, peer, frame, now, is_open=is_open, capture=capture)
        return False

    def take(self, peer: Peer, network: int, frame: bytes, now: float) -> DropReason | None:
        """One frame that `peer` has signed, whoever brought it; why it did not go into the port."""
        capture = self._captures.get(network) if self._captures else None
        if capture is not None:
            capture.see(CaptureSide.MESH, frame, now, peer=peer.fingerprint)
        port = self._ports.table.get(network)
        return self._take(port, peer, frame, now, is_open=False, capture=capture)

    def _take(
        self,
        port: Port | None,
        peer: Peer,
        frame: bytes,
        now: float,
        *,
        is_open: bool,
        capture: Capture | None,
    ) -> DropReason | None:
        """The long way of a frame from the mesh."""
        source = peer.fingerprint
        reason = self._from_mesh(port, peer, frame, now, is_open=is_open)
        if port is None or reason is not None:
            reason = reason or DropReason.NO_PORT
            self._counters.drop(reason)
            if capture is not None:
                capture.see(CaptureSide.DROPS, frame, now, peer=source, reason=reason)
            return reason
        if capture is not None:
            capture.see(CaptureSide.PORT, frame, now, inward=False)
        self._deliver(port, frame, is_open=is_open)
        return None

    def _from_mesh(
        self, port: Port | None, peer: Peer, frame: bytes, now: float, *, is_open: bool
    ) -> DropReason | None:
        if port is None:
            return DropReason.NO_PORT
        source = peer.fingerprint
        if source not in port.peers:
            return DropReason.NOT_A_MEMBER
        parts = _judge(port, frame, len(frame))
        if parts is None:
            return DropReason.BAD_FRAME
        if is_open and find_segment(frame) is None:
            return DropReason.BAD_OFFLOAD
        if self._own.is_own(frame) or is_ours(parts.destination, parts.header):
            return DropReason.OWN_DATAGRAM
        reason = self._admit(port, parts, peer, now)
        if reason is None and port.switch.is_blocked_from_mesh(parts):
            return DropReason.LOOP_BLOCKED
        if reason is None:
            reason = port.switch.from_mesh(parts, source, now)
        if reason is not None:
            self._note_offence(port, parts, source, reason, now)
        elif parts.group and parts.inside.kind is Kind.GROUP_QUERY and port.queries.take(now):
            self._tell_group_talk(port, frame, parts, source)
        return reason

    def _deliver(self, port: Port, frame: bytes, *, is_open: bool) -> None:
        """Write to a port, merged with what else is in the batch if its reader understands that."""
        if port.offloads.checksum:
            self._coalescer.add(port.network, port.offloads, frame, is_open=is_open)
            return
        whole = (complete_checksum(frame) if is_open else None) or frame
        self._outputs.append(_new(Deliver, (port.network, whole, None)))
        self._counters.frames_out += 1
        self._counters.frame_bytes_out += len(whole)

    def end_batch(self) -> None:
        """Give out what has been merged."""
        counters = self._counters
        for deliver in self._coalescer.flush():
            counters.frames_out += 1
            counters.frame_bytes_out += len(deliver.frame)
            if deliver.offload is not None and deliver.offload.gso_type:
                counters.superframes_out += 1
            self._outputs.append(deliver)

    # --- our own --------------------------------------------------------------------------------

    def write(self, command: WriteFrame, now: float) -> None:
        """Write a frame of ours to a port."""
        port = self._ports.table.get(command.network)
        if port is not None:
            self._deliver(port, command.frame, is_open=False)
            self.end_batch()

    def announce(self, command: AnnounceStations, now: float) -> None:
        """Teach the LAN behind a port which stations are reached by us."""
        port = self._ports.table.get(command.network)
        if port is None:
            return
        absent = {None, *command.neighbours}
        fdb = port.switch.fdb
        stations = [mac for mac, owner in fdb.signed.items() if owner not in absent]
        stations += [
            mac
            for (vlan, mac), owner in fdb.static.items()
            if vlan == command.vlan and owner in port.peers and owner not in absent
        ]
        stations += [
            mac
            for vlan, mac, station in fdb.learned(now)
            if vlan == command.vlan and station.owner not in absent
        ]
        for mac in stations[:MAX_NOTICES]:
            self._deliver(port, emit_notice(mac, command.vlan), is_open=False)
            self.end_batch()

    # --- both -----------------------------------------------------------------------------------

    def _admit(self, port: Port, frame: Frame, peer: Peer | None, now: float) -> DropReason | None:
        """Guard a frame and learn where its source is; `peer` None: it came from the port."""
        source = peer.fingerprint if peer is not None else None
        reason = port.switch.judge(frame, source)
        if reason is not None:
            return reason
        if frame.inside.kind is Kind.IP:
            if len(port.vetted) >= MAX_VETTED:
                port.vetted.clear()
            port.vetted[frame.inside.sender] = peer
        vlan, mac = frame.header.vlan, frame.source
        learned = port.switch.fdb.learn(vlan, mac, source, now)
        if learned is Learned.NEW or learned is Learned.MOVED:
            moved = learned is Learned.MOVED
            self._upcalls.push_event(MacLearned(port.network, vlan, mac, source, moved))
        elif learned in _UNLEARNED:
            self._counters.drop(_UNLEARNED[learned])
            self._tell_offence(port, frame, source, _UNLEARNED[learned], now)
        claim = frame.inside.claim()
        if claim is not None and port.switch.claims.note(vlan, *claim, now):
            self._counters.drop(DropReason.DUPLICATE_ADDRESS)
            self._tell_offence(port, frame, source, DropReason.DUPLICATE_ADDRESS, now)
        return None

    def _note_offence(
        self, port: Port, frame: Frame, source: Owner, reason: DropReason, now: float
    ) -> None:
        """A frame is dropped; if that is its sender's fault, he gets a name."""
        if reason in _OFFENCES:
            self._tell_offence(port, frame, source, reason, now)

    def _tell_offence(
        self, port: Port, frame: Frame, source: Owner, reason: DropReason, now: float
    ) -> None:
        times = port.switch.offences.note(source, reason, now)
        if times is not None:
            inside = frame.inside
            address = inside.target if inside.kind is Kind.ADVERTISEMENT else inside.sender
            mac, vlan = frame.source, frame.header.vlan
            upcall = Offence(port.network, source, reason, vlan, mac, address, times)
            self._upcalls.push_event(upcall)


def _complete(frame: bytes, whole: SuperFrame | None, *, is_open: bool) -> Iterable[bytes]:
    """The frames that a frame from the port stands for, with complete checksums."""
    if whole is not None:
        return split(whole, whole.gso_size, is_open=False)
    return [(complete_checksum(frame) if is_open else None) or frame]


def _is_segment(frame: bytes, offload: Offload) -> bool:
    """Whether the open checksum is that of a segment, of one frame and where we would find it."""
    segment = find_segment(frame)
    return (
        segment is not None
        and not offload.ecn
        and segment.start == offload.csum_start
        and segment.field == offload.csum_start + offload.csum_offset
    )


def _judge(port: Port, frame: bytes, length: int) -> Frame | None:
    """The parts of a frame that is neither a runt nor a giant; `length` is that of a segment."""
    header = parse_header(frame)
    if header is None or length - header.payload > port.mtu:
        return None
    return read_frame(frame, header)
