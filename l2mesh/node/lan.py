"""Members on one LAN find each other by themselves, without any planet (section 8.6).

Each of our addresses on a LAN says now and then that we are there, in a way that only those
understand who know our fingerprint. Whom we recognise becomes a candidate, which must answer a
challenge inside a session like any other; a beacon alone moves nothing. At start, after a change of
addresses, and when a peer cannot be reached, a beacon asks members to announce themselves at once.

Hostile beacons cost a bounded number of hashes a second, and bring probes to addresses on the
receiver's own LAN alone, within the limit that holds for all probes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, ip_address
from itertools import islice
from typing import Final

from l2mesh.bucket import TokenBucket
from l2mesh.datapath.interface import Endpoint
from l2mesh.errors import MalformedPacket
from l2mesh.node.candidates import Candidates
from l2mesh.node.core import Core
from l2mesh.node.effects import SendBeacon
from l2mesh.node.part import Part
from l2mesh.node.peer import Peer
from l2mesh.path.candidate import Kind
from l2mesh.wire.lan import NONCE_BYTES, LanBeacon, seal_beacon

__all__ = ["Lan"]

EVERY_S: Final = 30.0
"""Between beacons, and up to a tenth more."""
ASK_S: Final = (0.0, 1.0, 3.0)
"""When beacons ask, after the start and after each change of our addresses."""
ASK_AGAIN_S: Final = 5.0
"""For a peer that cannot be reached we ask so often at most."""
ANSWER_S: Final = 0.3
"""Who is asked answers within this time, at a random moment, and once a second at most."""
SEARCHES_PER_S: Final = 20.0
SEARCH_BURST: Final = 40.0
"""Beacons whose sender is looked for among all members; further ones are passed over."""
MAX_MEMBERS: Final = 4096
"""Among whom a sender is looked for."""
MAX_HEARD: Final = 1024
"""Members whose place is remembered; the one heard longest ago goes first."""
STALE_S: Final = 100.0
"""A place from which nothing was heard for so long is not tried any more."""
MAX_PLACES: Final = 8
"""Addresses of our own that beacons leave from."""


@dataclass(slots=True)
class _Heard:
    endpoint: Endpoint
    at: float


@dataclass(slots=True, eq=False)
class Lan(Part):
    """What we say on our LANs, and whom we hear there."""

    core: Core
    candidates: Candidates
    members: Callable[[], Iterable[bytes]]
    """Fingerprints of those whom we would like to find."""
    _places: tuple[IPv4Interface, ...] = ()
    _port: int = 0
    _heard: dict[bytes, _Heard] = field(default_factory=dict)
    _by_endpoint: dict[Endpoint, bytes] = field(default_factory=dict)
    _asks_at: list[float] = field(default_factory=list)
    _says_at: float | None = None
    _asked_at: float = float("-inf")
    _said_at: float = float("-inf")
    _searches: TokenBucket = field(
        default_factory=lambda: TokenBucket(SEARCHES_PER_S, SEARCH_BURST, 0.0)
    )

    # --- from outside ---------------------------------------------------------------------------

    def set_places(self, places: Iterable[IPv4Interface], port: int, now: float) -> None:
        """Our addresses on LANs, with their prefixes, and the UDP port that we are reached at."""
        found = tuple(islice(places, MAX_PLACES)) if self.core.settings.direct else ()
        if (found, port) == (self._places, self._port):
            return
        self._places, self._port = found, port
        self._asks_at = [now + after for after in ASK_S] if found else []
        self._says_at = now + EVERY_S if found else None

    def hear(self, datagram: bytes, source: Endpoint, now: float) -> None:
        """A beacon has come from somewhere on a LAN."""
        if not self._is_near(source) or not self.candidates.is_acceptable(source):
            self.core.refuse("lan_beacon_refused")
            return
        try:
            beacon = LanBeacon.decode(datagram)
        except MalformedPacket:
            self.core.refuse("lan_beacon_malformed")
            return
        fingerprint = self._sender_of(beacon, source, now)
        if fingerprint is None:
            return
        self._remember(fingerprint, source, now)
        if beacon.asks:
            self._answer(now)
        if peer := self.core.peers.get(fingerprint):
            self._try(peer, source, now)

    def heard(self, now: float) -> dict[bytes, Endpoint]:
        """Members heard lately, by fingerprint, and where they are."""
        return {f: h.endpoint for f, h in self._heard.items() if now - h.at < STALE_S}

    # --- hooks ----------------------------------------------------------------------------------

    def peer_added(self, peer: Peer, now: float) -> None:
        heard = self._heard.get(peer.fingerprint)
        if heard is not None and now - heard.at < STALE_S:
            peer.paths.add_candidates([heard.endpoint], Kind.LAN, now)
        elif not self.candidates.planets.is_planet(peer.fingerprint):
            self._ask_again(now)

    def connect_failed(self, peer: Peer, now: float) -> None:
        self._ask_again(now)

    def next_timeout(self) -> float | None:
        due = [*self._asks_at[:1], *([] if self._says_at is None else [self._says_at])]
        return min(due, default=None)

    def handle_timeout(self, now: float) -> None:
        if self._asks_at and self._asks_at[0] <= now:
            self._asks_at.pop(0)
            self._say(now, asks=True)
        elif self._says_at is not None and self._says_at <= now:
            self._say(now, asks=False)

    def _ask_again(self, now: float) -> None:
        if self._places and now >= self._asked_at + ASK_AGAIN_S:
            self._say(now, asks=True)

    # --- saying ---------------------------------------------------------------------------------

    def _say(self, now: float, *, asks: bool) -> None:
        """One beacon from each place; nothing where there is nobody to find."""
        self._said_at = now
        self._says_at = now + EVERY_S * (1 + self._fraction() / 10)
        if asks:
            self._asked_at = now
        if next(iter(self.members()), None) is None:
            return
        settings = self.core.settings
        ours = settings.identity.public.fingerprint
        for place in self._places:
            source = Endpoint(str(place.ip), self._port)
            beacon = seal_beacon(ours, settings.random(NONCE_BYTES), source, asks=asks)
            self.core.emit(SendBeacon(source.host, beacon))

    def _answer(self, now: float) -> None:
        """Say so soon, but no more than once a second."""
        at = max(now + ANSWER_S * self._fraction(), self._said_at + 1.0)
        self._says_at = at if self._says_at is None else min(self._says_at, at)

    def _fraction(self) -> float:
        """0 to 1, at random."""
        return self.core.settings.random(1)[0] / 255

    # --- hearing --------------------------------------------------------------------------------

    def _is_near(self, source: Endpoint) -> bool:
        """Whether it came from a LAN of ours, and not from ourselves."""
        try:
            address = ip_address(source.host)
        except ValueError:
            return False
        ours = any(address == place.ip and source.port == self._port for place in self._places)
        return not ours and any(address in place.network for place in self._places)

    def _sender_of(self, beacon: LanBeacon, source: Endpoint, now: float) -> bytes | None:
        """The member that sent it: who was there the last time, or any."""
        known = self._by_endpoint.get(source)
        if known is not None and beacon.is_of(known, source):
            return known
        if not self._searches.take(now):
            self.core.refuse("lan_beacon_limit")
            return None
        members = islice(self.members(), MAX_MEMBERS)
        return next((each for each in members if beacon.is_of(each, source)), None)

    def _remember(self, fingerprint: bytes, source: Endpoint, now: float) -> None:
        old = self._heard.pop(fingerprint, None)
        if old is not None:
            self._by_endpoint.pop(old.endpoint, None)
        elif len(self._heard) >= MAX_HEARD:
            oldest = next(iter(self._heard))
            self._by_endpoint.pop(self._heard.pop(oldest).endpoint, None)
        self._heard[fingerprint] = _Heard(source, now)
        self._by_endpoint[source] = fingerprint

    def _try(self, peer: Peer, source: Endpoint, now: float) -> None:
        """Probe the place; where there is no session, begin one there if somebody wants it."""
        peer.paths.add_candidates([source], Kind.LAN, now)
        if peer.is_wanted and not peer.is_live:
            self.core.connect(peer, now)
        self.core.touch(peer, now)
