"""Broadcasts that somebody else has signed (section 4.1): believed, taken once, and carried on.

Whoever gets one from somebody else than its source believes the
signature and nothing else, takes it once, and judges it as if the source had sent it straight here.
"""

from typing import Final

from l2mesh.bucket import TokenBucket
from l2mesh.crypto import Crypto
from l2mesh.datapath.interface import (
    AssignmentUnknown,
    DropReason,
    RemoveSource,
    SetAssignment,
    SetSource,
    SourceStale,
)
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.broadcasts import Source
from l2mesh.datapath.reference.counters import Counters
from l2mesh.datapath.reference.peers import Peer
from l2mesh.datapath.reference.ports import Port, Ports
from l2mesh.datapath.reference.send import Sender
from l2mesh.datapath.reference.switching import Switching
from l2mesh.datapath.reference.upcalls import Upcalls
from l2mesh.errors import CryptoError, MalformedPacket
from l2mesh.session.replay import ReplayWindow
from l2mesh.wire.group import Group, decode_group, readdress, signed_text

_CARRIED_ON: Final = frozenset({None, DropReason.LOOP_BLOCKED, DropReason.GROUP_UNWANTED})
"""What our own port makes of a frame that others get all the same."""


class Replication:
    """All ports'."""

    __slots__ = (
        "_bounds",
        "_counters",
        "_crypto",
        "_ports",
        "_sender",
        "_switching",
        "_upcalls",
    )

    def __init__(
        self,
        crypto: Crypto,
        *,
        ports: Ports,
        sender: Sender,
        switching: Switching,
        upcalls: Upcalls,
        counters: Counters,
        bounds: Bounds,
    ) -> None:
        self._crypto = crypto
        self._ports = ports
        self._sender = sender
        self._switching = switching
        self._upcalls = upcalls
        self._counters = counters
        self._bounds = bounds

    # --- commands -------------------------------------------------------------------------------

    def assign(self, command: SetAssignment, now: float) -> None:
        """Whom a source's frames are handed to."""
        source = self._source(command.network, command.source)
        if source is None:
            return
        if not command.members:
            source.assignments.clear()
            return
        kept = [one for one in source.assignments if one[0] != command.number]
        source.assignments.clear()
        source.assignments.extend([*kept, (command.number, command.members)])

    def set_source(self, command: SetSource, now: float) -> None:
        """Believe a member's signature; what has come from it stays known."""
        port = self._ports.table.get(command.network)
        if port is None or command.peer not in port.peers:
            return
        source, bounds = port.sources.get(command.peer), self._bounds
        if source is None or source.signing != command.signing:
            checks = TokenBucket(bounds.group_rate, bounds.group_burst, now)
            copies = TokenBucket(bounds.copy_rate, bounds.copy_rate, now)
            source = port.sources[command.peer] = Source(
                command.signing, command.relay, checks, copies
            )
        source.relay = command.relay
        if command.generation not in (0, source.generation):
            source.generation, source.window = command.generation, ReplayWindow()

    def remove_source(self, command: RemoveSource, now: float) -> None:
        """Believe it no more."""
        port = self._ports.table.get(command.network)
        if port is not None:
            port.sources.pop(command.peer, None)

    # --- others' --------------------------------------------------------------------------------

    def receive(self, hop: Peer, network: int, text: bytes, now: float) -> None:
        """The plaintext of GROUP that `hop` has sent."""
        port = self._ports.table.get(network)
        reason: DropReason | None = None
        if port is None:
            reason = DropReason.NO_PORT
        elif hop.fingerprint not in port.peers:
            reason = DropReason.NOT_A_MEMBER
        else:
            reason = self._receive(port, hop, text, now)
        if reason is not None:
            self._counters.drop(reason)

    def _receive(self, port: Port, hop: Peer, text: bytes, now: float) -> DropReason | None:
        try:
            group = decode_group(text)
        except MalformedPacket:
            return DropReason.BAD_GROUP
        source, bringer = port.sources.get(group.source), port.sources.get(hop.fingerprint)
        if source is None or bringer is None:
            return DropReason.NOT_A_MEMBER
        if bringer is not source and (not bringer.relay or group.assignment):
            return DropReason.BAD_GROUP
        reason = self._verify(port, group, source, bringer, now)
        if reason is not None:
            return reason
        peer = port.peers[group.source]
        peer.activity.frame = now
        taken = self._switching.take(peer, port.network, group.frame, now)
        if group.assignment and taken in _CARRIED_ON:
            return self._carry_on(port, group, source, text, now)
        return None

    def _verify(
        self, port: Port, group: Group, source: Source, bringer: Source, now: float
    ) -> DropReason | None:
        """Whether a frame is its source's, and new; then it is noted."""
        generation, counter, window = group.generation, group.counter, source.window
        if generation < source.generation:
            self._tell_stale(port, group.source, source, now)
            return DropReason.REPLAY
        if generation == source.generation and not window.check(counter):
            return DropReason.REPLAY
        if counter >= self._bounds.refuse_counter:
            return DropReason.COUNTER_SPENT
        if not bringer.checks.take(now):
            return DropReason.STORM
        signed = signed_text(port.network, generation, counter, group.frame)
        try:
            self._crypto.verify(source.signing, signed, group.signature)
        except CryptoError:
            return DropReason.FORGED
        if generation > source.generation:
            source.generation, source.window = generation, ReplayWindow()
        source.window.commit(counter)
        return None

    def _carry_on(
        self, port: Port, group: Group, source: Source, text: bytes, now: float
    ) -> DropReason | None:
        known = dict(source.assignments)
        members = known.get(group.assignment)
        if members is None:
            if now - source.asked >= self._bounds.need_session_interval_s:
                source.asked = now
                self._upcalls.push_event(AssignmentUnknown(group.source, port.network))
            return None
        if not source.copies.take(now, len(members)):
            return DropReason.RELAY_RATE
        copy = readdress(text, 0)
        for fingerprint in members:
            if fingerprint != group.source and fingerprint in port.peers:
                self._counters.frames_replicated += 1
                peer = port.peers[fingerprint]
                self._sender.send_frame(peer, port.network, copy, now, is_group=True)
        return None

    def _tell_stale(self, port: Port, peer: bytes, source: Source, now: float) -> None:
        if now - source.stale >= self._bounds.need_session_interval_s:
            source.stale = now
            self._upcalls.push_event(SourceStale(peer, port.network))

    def _source(self, network: int, peer: bytes) -> Source | None:
        port = self._ports.table.get(network)
        return port.sources.get(peer) if port is not None else None
