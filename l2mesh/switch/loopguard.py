"""The loop guard of one network: bridges on one LAN find each other and elect who forwards.

Each bridge sends beacons into its port, one in each VLAN that it has seen there. A bridge that
hears one asks, inside the mesh, whose it was (``sighting.py``). Two who have confirmed that are
*neighbours* in that VLAN for 2 s, and the best ranked of a neighbourhood forwards for it; all
others block. There is one state machine for each VLAN:

=========== ============================ ========================================================
state       event                        what follows
=========== ============================ ========================================================
forwarding  a better neighbour           blocked; forget local stations; members forget ours
blocked     the better ones are gone     forwarding; members forget theirs; the LAN is told by
                                         notices that the mesh's stations are reached by us
forwarding  a neighbour has yielded      the LAN is told by notices again
=========== ============================ ========================================================

A member without the right ``bridge`` sends no beacons and is never elected, but if its port lies on
the LAN of a bridge it hears that one's, and blocks: else it would put onto the LAN what the bridge
has just taken from there.

A bridge alone forwards from the first moment: a loop lasts until the first sighting is confirmed,
and until then the flood limits bound it. Rank is the highest random weight of RFC 8584 section 3,
which spreads VLANs over the bridges of a LAN and moves no more of them than it must.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Final, TypeAlias

from l2mesh.bucket import TokenBucket
from l2mesh.datapath.interface import AnnounceStations, FlushPeer, SetBlocked, WriteFrame
from l2mesh.switch.beacon import NONCE_BYTES, emit_beacon
from l2mesh.switch.loops import LoopWatch
from l2mesh.switch.sighting import Nonces, asked_tag, confirmed_tag
from l2mesh.wire.message import Message, Relearn, Sighted, SightingConfirmed

__all__ = ["GuardOutput", "LoopGuard", "Role", "Segment", "Tell", "TellBridges", "TellEveryone"]

BEACON_S: Final = 0.5
"""Between two beacons in one VLAN, +0..10 %."""
HOLD_S: Final = 2.0
"""A neighbour is one for so long after each confirmed sighting."""
ASK_ALL_PER_SECOND: Final = 4
ASK_ALL_BURST: Final = 8
"""Questions to all bridges of the network; those to neighbours need no limit of their own."""
MAX_ASKED: Final = 2
"""Beacons asked about again in one VLAN, with the next beacon of ours."""
MAX_VLANS: Final = 128
"""Guarded in one network; further ones are left to the flood limits."""
MAX_NEIGHBOURS: Final = 32
VLAN_S: Final = 300.0
"""A VLAN in which nothing new is seen and nobody is heard is guarded no longer."""
MAX_RELEARNED: Final = 16


class Role(StrEnum):
    """What this bridge does in a VLAN."""

    FORWARDING = "forwarding"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a message to one member."""

    peer: bytes
    message: Message


@dataclass(frozen=True, slots=True)
class TellBridges:
    """Send a message to every member with the right ``bridge``, met or not."""

    message: Message


@dataclass(frozen=True, slots=True)
class TellEveryone:
    """Send a message to every accepted member."""

    message: Message


GuardOutput: TypeAlias = (
    SetBlocked | WriteFrame | AnnounceStations | FlushPeer | Tell | TellBridges | TellEveryone
)


@dataclass(slots=True)
class Segment:
    """Our LAN in one VLAN."""

    forwarder: bytes
    """Fingerprint of who forwards."""
    since: float
    """For how long it does."""
    seen: float
    """When the VLAN was last seen to be in use."""
    own: Nonces = field(default_factory=Nonces)
    heard: Nonces = field(default_factory=Nonces)
    """Nobody has confirmed these yet."""
    neighbours: dict[bytes, float] = field(default_factory=dict)
    """Other bridges on the LAN -> until when."""


class LoopGuard:
    """One network's loop guard, for as long as the port is open.

    `me` is our fingerprint; `bridge` our right to forward. Memory: 128 VLANs with 16 nonces and 32
    neighbours each.
    """

    def __init__(
        self,
        network: int,
        me: bytes,
        *,
        mac: bytes,
        bridge: bool,
        random: Callable[[int], bytes],
        now: float,
    ) -> None:
        self.network = network
        self.mac = mac
        """Our signed MAC, from which beacons come."""
        self.bridge = bridge
        self.segments: dict[int, Segment] = {}
        self.loops = LoopWatch()
        self._me = me
        self._random = random
        self._outputs: deque[GuardOutput] = deque()
        self._relearn: dict[bytes, None] = {}
        self._ask_all = TokenBucket(ASK_ALL_PER_SECOND, ASK_ALL_BURST, now)
        self._tick_at = now
        self._add(0, now)

    def close(self) -> None:
        """The port is closed, or another guard takes over: nothing is blocked any more."""
        self.segments.clear()
        self._relearn.clear()
        self._outputs.clear()
        self._outputs.append(SetBlocked(self.network, frozenset()))

    def role(self, vlan: int) -> Role:
        """What we do in a VLAN."""
        segment = self.segments.get(vlan)
        blocked = segment is not None and segment.forwarder != self._me
        return Role.BLOCKED if blocked else Role.FORWARDING

    # --- what happens ---------------------------------------------------------------------------

    def receive_beacon(self, vlan: int, nonce: bytes, now: float) -> None:
        """A beacon came in from the port."""
        segment = self._add(vlan, now)
        if segment is None:
            return
        if nonce in segment.own.live(now):
            self.loops.beacon_returned(vlan, now)
            return
        segment.heard.add(nonce, now)
        neighbours = {peer for one in self.segments.values() for peer in one.neighbours}
        if not neighbours:
            self._ask_bridges(vlan, nonce, now)
        for peer in sorted(neighbours):
            self._say(Tell(peer, self._question(vlan, nonce)))

    def receive_sighted(
        self, peer: bytes, vlan: int, tag: bytes, now: float, *, bridge: bool
    ) -> None:
        """A member asks whether a beacon that it heard was ours; `bridge`: it might forward."""
        segment = self.segments.get(vlan)
        if segment is None:
            return
        for nonce in segment.own.live(now):
            if asked_tag(nonce, self.network, vlan, peer) == tag:
                proof = confirmed_tag(nonce, self.network, vlan, peer, self._me)
                self._say(Tell(peer, SightingConfirmed(self.network, vlan, proof)))
                if bridge:
                    self._meet(vlan, segment, peer, now)
                return

    def receive_confirmed(self, peer: bytes, vlan: int, tag: bytes, now: float) -> None:
        """A bridge says that a beacon that we heard was its own."""
        segment = self.segments.get(vlan)
        if segment is None:
            return
        for nonce in segment.heard.live(now):
            if confirmed_tag(nonce, self.network, vlan, self._me, peer) == tag:
                segment.heard.remove(nonce)
                self._meet(vlan, segment, peer, now)
                return

    def peer_relearned(self, peer: bytes) -> None:
        """A member has told all to learn anew: if it yielded to us, its LAN must, too."""
        for vlan, segment in self.segments.items():
            if segment.forwarder == self._me and peer in segment.neighbours:
                self._announce(vlan, segment)

    def peer_lost(self, peer: bytes, now: float) -> None:
        """There is no session with a member any more."""
        for vlan, segment in self.segments.items():
            if segment.neighbours.pop(peer, None) is not None:
                self._elect(vlan, segment, now)

    def station_learned(
        self, vlan: int, mac: bytes, peer: bytes | None, now: float, *, moved: bool
    ) -> None:
        """The engine has learned a station behind a peer (None: behind our port)."""
        if peer is None and (segment := self._add(vlan, now)) is not None:
            segment.seen = now
        if moved:
            self.loops.station_moved(vlan, mac, now)

    # --- time -----------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is next needed; None: nobody bridges, nothing loops."""
        ends = [end for one in self.segments.values() for end in one.neighbours.values()]
        is_busy = self.bridge or ends or self.loops.active
        return min([self._tick_at, *ends]) if is_busy else None

    def handle_timeout(self, now: float) -> None:
        """Forget neighbours that are silent; send beacons when it is time."""
        for vlan, segment in self.segments.items():
            gone = [peer for peer, until in segment.neighbours.items() if until <= now]
            for peer in gone:
                del segment.neighbours[peer]
            if gone:
                self._elect(vlan, segment, now)
        if now < self._tick_at:
            return
        self._tick_at = now + BEACON_S * (1 + self._random(1)[0] / 2560)
        self._forget_vlans(now)
        self.loops.expire(now)
        if blocked := self._blocked():
            self._say(SetBlocked(self.network, blocked))  # the port may have been opened anew
        for vlan, segment in self.segments.items():
            self._send_beacon(vlan, segment, now)
            for nonce in segment.heard.live(now)[:MAX_ASKED]:
                self._ask_bridges(vlan, nonce, now)

    def poll_output(self) -> GuardOutput | None:
        """The next command or message."""
        if self._outputs:
            return self._outputs.popleft()
        if not self._relearn:
            return None
        members = tuple(self._relearn)[:MAX_RELEARNED]
        for member in members:
            del self._relearn[member]
        return TellEveryone(Relearn(self.network, members))

    # --- inside ---------------------------------------------------------------------------------

    def _add(self, vlan: int, now: float) -> Segment | None:
        """The segment of a VLAN; a new one is told of at once. None: there are too many."""
        segment = self.segments.get(vlan)
        if segment is None and len(self.segments) < MAX_VLANS:
            segment = self.segments[vlan] = Segment(self._me, now, now)
            self._send_beacon(vlan, segment, now)
        return segment

    def _forget_vlans(self, now: float) -> None:
        for vlan, segment in list(self.segments.items()):
            if vlan and not segment.neighbours and now - segment.seen >= VLAN_S:
                del self.segments[vlan]

    def _send_beacon(self, vlan: int, segment: Segment, now: float) -> None:
        if not self.bridge:
            return
        nonce = self._random(NONCE_BYTES)
        segment.own.add(nonce, now)
        self._say(WriteFrame(self.network, emit_beacon(self.mac, vlan, nonce)))

    def _ask_bridges(self, vlan: int, nonce: bytes, now: float) -> None:
        if self._ask_all.take(now):
            self._say(TellBridges(self._question(vlan, nonce)))

    def _question(self, vlan: int, nonce: bytes) -> Sighted:
        return Sighted(self.network, vlan, asked_tag(nonce, self.network, vlan, self._me))

    def _meet(self, vlan: int, segment: Segment, peer: bytes, now: float) -> None:
        if peer in segment.neighbours or len(segment.neighbours) < MAX_NEIGHBOURS:
            segment.neighbours[peer] = now + HOLD_S
            self._elect(vlan, segment, now)

    def _elect(self, vlan: int, segment: Segment, now: float) -> None:
        before = segment.forwarder
        able = [self._me, *segment.neighbours] if self.bridge else list(segment.neighbours)
        best = max(able, key=lambda one: self._weight(vlan, one), default=self._me)
        if best == before:
            return
        segment.forwarder, segment.since = best, now
        if best == self._me:
            self._say(SetBlocked(self.network, self._blocked()))
            self._say(FlushPeer(self.network, before))
            self._relearn[before] = None
            self._announce(vlan, segment)
        elif before == self._me:
            self._say(SetBlocked(self.network, self._blocked()))
            self._say(FlushPeer(self.network, None))
            self._relearn[self._me] = None

    def _weight(self, vlan: int, fingerprint: bytes) -> bytes:
        text = self.network.to_bytes(8, "big") + vlan.to_bytes(2, "big") + fingerprint
        return blake2b(text, digest_size=8).digest() + fingerprint

    def _blocked(self) -> frozenset[int]:
        return frozenset(
            vlan for vlan, segment in self.segments.items() if segment.forwarder != self._me
        )

    def _announce(self, vlan: int, segment: Segment) -> None:
        neighbours = frozenset(segment.neighbours)
        self._say(AnnounceStations(self.network, vlan, neighbours))

    def _say(self, output: GuardOutput) -> None:
        self._outputs.append(output)
