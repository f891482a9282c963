"""Our own broadcasts where others replicate them (section 4.1): signed once, sent to a few."""

from l2mesh.crypto import Crypto
from l2mesh.datapath.interface import (
    DropReason,
    NeedReplicators,
    SetReplication,
    StopReplication,
)
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.broadcasts import Outgoing
from l2mesh.datapath.reference.counters import Counters
from l2mesh.datapath.reference.ports import Port, Ports
from l2mesh.datapath.reference.send import Sender
from l2mesh.datapath.reference.upcalls import Upcalls
from l2mesh.wire.group import (
    MAX_GROUP_FRAME,
    Group,
    decode_group,
    encode_group,
    readdress,
    signed_text,
)


class Broadcaster:
    """All ports'."""

    __slots__ = ("_bounds", "_counters", "_crypto", "_ports", "_sender", "_upcalls")

    def __init__(
        self,
        crypto: Crypto,
        *,
        ports: Ports,
        sender: Sender,
        upcalls: Upcalls,
        counters: Counters,
        bounds: Bounds,
    ) -> None:
        self._crypto = crypto
        self._ports = ports
        self._sender = sender
        self._upcalls = upcalls
        self._counters = counters
        self._bounds = bounds

    def set(self, command: SetReplication, now: float) -> None:
        """Other targets: who is new among them gets the recent frames, too."""
        port = self._ports.table.get(command.network)
        if port is None:
            return
        out = port.outgoing
        if out is None or (out.generation, out.secret) != (command.generation, command.secret):
            out = Outgoing(command.source, command.secret, command.generation)
            port.outgoing = out
        before = out.targets or {}
        out.targets = None if command.targets is None else dict(command.targets)
        self._trim(out, now)
        for fingerprint, number in (out.targets or {}).items():
            if fingerprint not in before:
                for _, text in out.recent:
                    self._send(port, fingerprint, readdress(text, number), now)

    def stop(self, command: StopReplication, now: float) -> None:
        """What waits goes to everybody."""
        port = self._ports.table.get(command.network)
        if port is None or port.outgoing is None:
            return
        out, port.outgoing = port.outgoing, None
        self._trim(out, now)
        if out.targets is None:
            for _, text in out.recent:
                for peer in port.peers.values():
                    self._sender.send_frame(peer, port.network, decode_group(text).frame, now)

    def flood(self, port: Port, out: Outgoing, frame: bytes, now: float) -> None:
        """One complete frame of ours for every member."""
        if out.counter >= self._bounds.refuse_counter:
            self._counters.drop(DropReason.COUNTER_SPENT)
            return
        if len(frame) > MAX_GROUP_FRAME:
            self._counters.drop(DropReason.BAD_FRAME)
            return
        counter, out.counter = out.counter, out.counter + 1
        signed = signed_text(port.network, out.generation, counter, frame)
        signature = self._crypto.sign(out.secret, signed)
        text = encode_group(Group(0, out.source, out.generation, counter, signature, frame))
        self._counters.frames_signed += 1
        out.recent.append((now, text))
        out.recent_bytes += len(text)
        self._trim(out, now)
        if out.targets is None:
            self._ask(port, out, now)
            return
        for fingerprint, number in out.targets.items():
            self._send(port, fingerprint, readdress(text, number) if number else text, now)

    def _ask(self, port: Port, out: Outgoing, now: float) -> None:
        if now - out.asked >= self._bounds.need_session_interval_s:
            out.asked = now
            self._upcalls.push_own(NeedReplicators(port.network))

    def _trim(self, out: Outgoing, now: float) -> None:
        bounds, recent = self._bounds, out.recent
        while recent and (
            now - recent[0][0] >= bounds.recent_s
            or len(recent) > bounds.recent_frames
            or out.recent_bytes > bounds.recent_bytes
        ):
            out.recent_bytes -= len(recent.popleft()[1])

    def _send(self, port: Port, fingerprint: bytes, text: bytes, now: float) -> None:
        peer = port.peers.get(fingerprint)
        if peer is not None:
            self._sender.send_frame(peer, port.network, text, now, is_group=True)
