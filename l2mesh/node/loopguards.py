"""The loop guards of all networks (section 10.1).

A guard decides (``switch/loopguard.py``); this part tells it what the engine heard and what other
members say, and carries out what it wants. Accepted members may ask about a beacon; to confirm one,
and to have others learn anew, is for those with the right ``bridge``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from l2mesh.bucket import TokenBucket
from l2mesh.credential.membership import Right
from l2mesh.datapath.interface import (
    BeaconHeard,
    FlushPeer,
    MacLearned,
    OpenPort,
    SetLimits,
    Upcall,
)
from l2mesh.node.core import Core
from l2mesh.node.joined import Joined
from l2mesh.node.networks import Networks
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.switch.loopguard import LoopGuard, Tell, TellBridges, TellEveryone
from l2mesh.wire.message import Message, Relearn, Sighted, SightingConfirmed

__all__ = ["LoopGuards"]

log = logging.getLogger(__name__)

RELEARNS_PER_SECOND: Final = 4
RELEARN_BURST: Final = 16
"""RELEARNs of one member that are heeded; each costs a look at a whole table."""
MAX_BUCKETS: Final = 1024
CONTAINED_PER_SECOND: Final = 50
"""Frames that may be flooded, of each class and source, while a loop is seen."""


@dataclass(slots=True, eq=False)
class LoopGuards(Part):
    """Guards by network ID."""

    core: Core
    networks: Networks
    guards: dict[int, LoopGuard] = field(default_factory=dict)
    _relearns: dict[tuple[int, bytes], TokenBucket] = field(default_factory=dict)
    _kept: set[bytes] = field(default_factory=set)
    """Neighbours, whose sessions are renewed though no frames pass."""
    _contained: dict[int, SetLimits] = field(default_factory=dict)
    """Limits in force instead of the network's, while a loop is seen."""

    def handlers(self) -> dict[type, Handler]:
        return {
            Sighted: self._sighted,
            SightingConfirmed: self._confirmed,
            Relearn: self._relearn,
        }

    # --- verbs ----------------------------------------------------------------------------------

    def _sighted(self, peer: Peer, message: Sighted, now: float) -> None:
        """A member heard a beacon, and asks whether it was ours."""
        joined, guard = self.networks.joined.get(message.network), self.guards.get(message.network)
        if joined is None or guard is None or peer.fingerprint not in joined.meetings.accepted:
            return
        bridge = _is_bridge(joined, peer.fingerprint)
        guard.receive_sighted(peer.fingerprint, message.vlan, message.tag, now, bridge=bridge)
        self._drain(guard, now)
        self._keep_neighbours()

    def _confirmed(self, peer: Peer, message: SightingConfirmed, now: float) -> None:
        """A bridge owns to a beacon that we heard."""
        joined, guard = self.networks.joined.get(message.network), self.guards.get(message.network)
        if joined is None or guard is None or not _is_bridge(joined, peer.fingerprint):
            self.core.refuse("not_a_bridge")
            return
        guard.receive_confirmed(peer.fingerprint, message.vlan, message.tag, now)
        self._drain(guard, now)
        self._keep_neighbours()

    def _relearn(self, peer: Peer, message: Relearn, now: float) -> None:
        """Another bridge forwards now: forget what was learned behind those before it."""
        network = message.network
        joined = self.networks.joined.get(network)
        if joined is None or not _is_bridge(joined, peer.fingerprint):
            self.core.refuse("not_a_bridge")
            return
        if not self._may_relearn(network, peer.fingerprint, now):
            self.core.refuse("relearn_rate")
            return
        me = self.core.settings.identity.public.fingerprint
        for member in message.behind:
            if member != me:
                self.core.emit(FlushPeer(network, member))
        if (guard := self.guards.get(network)) is not None and peer.fingerprint in message.behind:
            guard.peer_relearned(peer.fingerprint)
            self._drain(guard, now)

    # --- hooks ----------------------------------------------------------------------------------

    def handle_upcall(self, upcall: Upcall, now: float) -> None:
        if not isinstance(upcall, BeaconHeard | MacLearned):
            return
        guard = self.guards.get(upcall.network)
        if guard is None:
            return
        if isinstance(upcall, BeaconHeard):
            guard.receive_beacon(upcall.vlan, upcall.nonce, now)
        else:
            guard.station_learned(upcall.vlan, upcall.mac, upcall.peer, now, moved=upcall.moved)
        self._drain(guard, now)

    def session_lost(self, peer: Peer, now: float) -> None:
        for guard in self.guards.values():
            guard.peer_lost(peer.fingerprint, now)
            self._drain(guard, now)
        self._keep_neighbours()

    def next_timeout(self) -> float | None:
        if any(True for _ in self._changed()):
            return 0.0
        due = (guard.next_timeout() for guard in self.guards.values())
        return min((at for at in due if at is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        for network in list(self._changed()):
            self._follow(network, now)
        for guard in self.guards.values():
            due = guard.next_timeout()
            if due is not None and due <= now:
                guard.handle_timeout(now)
                self._drain(guard, now)
        self._keep_neighbours()

    # --- inside ---------------------------------------------------------------------------------

    def _port(self, network: int) -> OpenPort | None:
        joined = self.networks.joined.get(network)
        return joined.port if joined is not None else None

    def _changed(self) -> Iterator[int]:
        """Networks whose port has been opened or closed, or has another MAC or right."""
        for network, guard in self.guards.items():
            port = self._port(network)
            if port is None or (port.mac, port.bridge) != (guard.mac, guard.bridge):
                yield network
        for network in self.networks.joined:
            if network not in self.guards and self._port(network) is not None:
                yield network

    def _follow(self, network: int, now: float) -> None:
        """Begin or end a guard; another MAC or right begins it anew."""
        port, guard = self._port(network), self.guards.pop(network, None)
        if guard is not None:
            guard.close()
            self._drain(guard, now)
        if port is not None:
            settings = self.core.settings
            me, random = settings.identity.public.fingerprint, settings.random
            guard = LoopGuard(network, me, mac=port.mac, bridge=port.bridge, random=random, now=now)
            self.guards[network] = guard
            self._drain(guard, now)

    def _may_relearn(self, network: int, peer: bytes, now: float) -> bool:
        bucket = self._relearns.get((network, peer))
        if bucket is None:
            if len(self._relearns) >= MAX_BUCKETS:
                self._relearns.clear()
            bucket = TokenBucket(RELEARNS_PER_SECOND, RELEARN_BURST, now)
            self._relearns[network, peer] = bucket
        return bucket.take(now)

    def _drain(self, guard: LoopGuard, now: float) -> None:
        joined = self.networks.joined.get(guard.network)
        while (output := guard.poll_output()) is not None:
            if not isinstance(output, Tell | TellBridges | TellEveryone):
                self.core.emit(output)
            elif joined is not None:
                self._tell(joined, output, now)
        if joined is not None and joined.limits is not None:
            self._contain(guard, joined.limits)

    def _keep_neighbours(self) -> None:
        """A session that lapses would part neighbours, and both would forward for a while."""
        guards = self.guards.values()
        segments = [segment for guard in guards for segment in guard.segments.values()]
        wanted = {peer for segment in segments for peer in segment.neighbours}
        for fingerprint in wanted ^ self._kept:
            if (peer := self.core.peers.get(fingerprint)) is not None:
                peer.keep("neighbour", wanted=fingerprint in wanted)
        self._kept = wanted

    def _contain(self, guard: LoopGuard, limits: SetLimits) -> None:
        """Let less be flooded while there is a loop that the election cannot break."""
        network = guard.network
        wanted = _contained(limits) if guard.loops.active else None
        if wanted == self._contained.get(network):
            return
        if wanted is not None:
            log.warning("loop: network=%016x seen=%s", network, guard.loops.active[-1])
            self._contained[network] = wanted
            self.core.emit(wanted)
        else:
            del self._contained[network]
            self.core.emit(limits)

    def _tell(self, joined: Joined, output: Tell | TellBridges | TellEveryone, now: float) -> None:
        match output:
            case Tell(fingerprint, message):
                self._send(fingerprint, message, now)
            case TellEveryone(message):
                for fingerprint in list(joined.meetings.accepted):
                    self._send(fingerprint, message, now)
            case TellBridges(message):
                for entry in joined.state.roster:
                    if not entry.credential.has_right(Right.BRIDGE):
                        continue
                    fingerprint = entry.credential.fingerprint
                    if fingerprint in joined.meetings.accepted:
                        self._send(fingerprint, message, now)
                    else:  # a later beacon will be asked about
                        self.networks.connect_member(joined, fingerprint, now)

    def _send(self, fingerprint: bytes, message: Message, now: float) -> None:
        if (peer := self.core.peers.get(fingerprint)) is not None:
            self.core.send(peer, message, now)


def _contained(limits: SetLimits) -> SetLimits:
    """The limits, with at most 50 frames a second of each class."""

    def least(rate: int | None) -> int:
        return CONTAINED_PER_SECOND if rate is None else min(rate, CONTAINED_PER_SECOND)

    own = limits.limits
    reduced = replace(
        own,
        broadcast=least(own.broadcast),
        multicast=least(own.multicast),
        unknown_unicast=least(own.unknown_unicast),
    )
    return replace(limits, limits=reduced)


def _is_bridge(joined: Joined, fingerprint: bytes) -> bool:
    """Whether an accepted member has the right ``bridge``."""
    credential = joined.meetings.accepted.get(fingerprint)
    return credential is not None and credential.has_right(Right.BRIDGE)
