"""Telling accepted peers where we can be reached, and trying where they can (section 8.4).

Only peers that we accepted hear our endpoints, over the session. Endpoints that worked are
remembered across restarts, so that a node finds its peers again while every planet is down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final

from l2mesh.datapath.interface import Endpoint
from l2mesh.errors import ConfigError, MalformedPacket
from l2mesh.node.core import Core
from l2mesh.node.effects import Persist
from l2mesh.node.files import PEERS_FILE, PeersFile, save_at
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.node.planets import Planets
from l2mesh.path.candidate import Kind, acceptable
from l2mesh.wire.body import pack, unpack
from l2mesh.wire.endpoint import format_endpoint, parse_endpoint
from l2mesh.wire.message import Candidates as CandidatesMessage

__all__ = ["Candidates"]

MAX_TOLD: Final = 8
MAX_REMEMBERED: Final = 1024
REMIND_S: Final = 60.0
"""While a peer is reached over another uplink than the host's own choice it is told our endpoints
again each so often: it then tries those that it has given up, which opens its NAT to them."""
SAVE_S: Final = 0.1
"""A new endpoint that worked is on disk within this time where many are known."""

Prefixes = Callable[[], Iterable[str]]


@dataclass(slots=True, eq=False)
class Candidates(Part):
    """Our endpoints, and those of peers."""

    core: Core
    planets: Planets
    overlay: Prefixes
    """The prefixes inside our networks: never an underlay."""
    told: dict[bytes, tuple[Endpoint, ...]] = field(default_factory=dict)
    """peer -> what it heard last"""
    remembered: dict[bytes, Endpoint] = field(default_factory=dict)
    mapped: tuple[Endpoint, ...] = ()
    """What routers lead to our port, asked for by port mapping."""
    on_told: Callable[[Peer, float], None] | None = None
    """Hears that a peer has said where it can be reached."""
    _save_at: float | None = None
    _remind_at: float | None = None

    def handlers(self) -> dict[type, Handler]:
        return {CandidatesMessage: self.receive}

    def ours(self) -> tuple[Endpoint, ...]:
        """At most 8 endpoints of our own: a router's port that leads to us first, then what planets
        observed, then the host's addresses."""
        observed = self.planets.mappings.endpoints()
        endpoints = dict.fromkeys((*self.mapped, *observed, *self.core.local_endpoints))
        return tuple(each for each in endpoints if self.is_acceptable(each))[:MAX_TOLD]

    def set_mapped(self, endpoints: tuple[Endpoint, ...], now: float) -> None:
        """A router has granted a port, another one, or none any more: peers hear of it."""
        self.mapped = endpoints
        self.offer_all(now)

    def offer(self, peer: Peer, now: float) -> None:
        """Tell an accepted peer our endpoints, once for each change of them."""
        ours = self.ours()
        if not self.core.direct or not ours or not peer.is_live:
            return
        if self.planets.is_planet(peer.fingerprint) or self.told.get(peer.fingerprint) == ours:
            return
        self.told[peer.fingerprint] = ours
        self.core.send(peer, CandidatesMessage.of(ours), now)

    def receive(self, peer: Peer, message: CandidatesMessage, now: float) -> None:
        """A peer says where it can be reached. Strangers are not listened to."""
        if not self.core.direct or not self.core.knows(peer):
            return
        endpoints = [each for each in message.parsed() if self.is_acceptable(each)]
        knows_ours = peer.is_heard and self.told.get(peer.fingerprint) == self.ours()
        peer.paths.add_candidates(endpoints, Kind.TOLD, now, opens=not knows_ours)
        self.offer(peer, now)  # behind the opener, since the peer takes it for a sign of that
        if self.on_told is not None:
            self.on_told(peer, now)
        self.core.touch(peer, now)

    def restore(self, data: bytes) -> None:
        """The endpoints that worked before a restart."""
        file = unpack(data, PeersFile)
        for fingerprint, text in file.endpoints[:MAX_REMEMBERED]:
            try:
                self.remembered[fingerprint] = parse_endpoint(text)
            except ConfigError:
                raise MalformedPacket(f"{text!r} is no endpoint") from None

    # --- hooks ----------------------------------------------------------------------------------

    def peer_added(self, peer: Peer, now: float) -> None:
        endpoint = self.remembered.get(peer.fingerprint)
        if endpoint is not None and self.core.direct and self.is_acceptable(endpoint):
            peer.paths.add_candidates([endpoint], Kind.REMEMBERED, now)

    def session_lost(self, peer: Peer, now: float) -> None:
        self.told.pop(peer.fingerprint, None)

    def peer_removed(self, peer: Peer, now: float) -> None:
        self.told.pop(peer.fingerprint, None)

    def path_changed(self, peer: Peer, now: float) -> None:
        path = peer.paths.active
        if path is None or path.relay or self.planets.is_planet(peer.fingerprint):
            return
        if path.endpoint.uplink and self._remind_at is None:
            self._remind_at = now + REMIND_S
        endpoint = path.endpoint._replace(uplink=0)
        if self.remembered.get(peer.fingerprint) == endpoint:
            return
        self.remembered.pop(peer.fingerprint, None)
        self.remembered[peer.fingerprint] = endpoint
        while len(self.remembered) > MAX_REMEMBERED:
            del self.remembered[next(iter(self.remembered))]
        entries = len(self.remembered)
        self._save_at = save_at(entries, now, due=self._save_at, within_s=SAVE_S)
        if self._save_at <= now:
            self.save()

    def endpoints_wanted(self, peer: Peer, now: float) -> None:
        if self.told.pop(peer.fingerprint, None) is not None:
            self.offer(peer, now)

    def local_endpoints_changed(self, now: float) -> None:
        """We may have moved: ask everybody along the present paths, which shows our new place."""
        for peer in list(self.core.peers.values()):
            peer.paths.add_candidates([], Kind.TOLD, now, again=True)
            self.core.touch(peer, now)
        self.offer_all(now)

    def families_changed(self, now: float) -> None:
        """What was out of reach may answer now."""
        self.local_endpoints_changed(now)

    def nat64_changed(self, now: float) -> None:
        """What was out of reach may answer now, and the other way round."""
        self.local_endpoints_changed(now)

    def direct_changed(self, now: float) -> None:
        """Endpoints are offered anew when they are of use again."""
        self.told.clear()
        for peer in list(self.core.peers.values()):
            if self.core.knows(peer):
                self.offer(peer, now)

    def next_timeout(self) -> float | None:
        return min((at for at in (self._save_at, self._remind_at) if at is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        if self._save_at is not None and now >= self._save_at:
            self.save()
        if self._remind_at is not None and now >= self._remind_at:
            self._remind(now)

    def _remind(self, now: float) -> None:
        peers = (self.core.peers.get(fingerprint) for fingerprint in self.told)
        away = [each for each in peers if each is not None and _is_away(each)]
        self._remind_at = now + REMIND_S if away else None
        for peer in away:
            self.endpoints_wanted(peer, now)

    def offer_all(self, now: float) -> None:
        """Tell everybody who heard something else before."""
        for fingerprint in list(self.told):
            if peer := self.core.peers.get(fingerprint):
                self.offer(peer, now)

    def save(self) -> None:
        """Write the endpoints that worked, if there is anything new."""
        if self._save_at is None:
            return
        self._save_at = None
        endpoints = [(f, format_endpoint(e)) for f, e in self.remembered.items()]
        self.core.emit(Persist(PEERS_FILE, pack(PeersFile(schema=1, endpoints=endpoints))))

    def is_acceptable(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint could be somebody's place in the underlay."""
        local = (e.host for e in self.core.local_endpoints)
        loopback_ok = any(ip_address(host).is_loopback for host in local)
        prefixes = tuple(ip_network(prefix, strict=False) for prefix in self.overlay())
        nat64 = self.core.nat64
        places = [endpoint] if nat64 is None else [endpoint, nat64.synthesise(endpoint)]
        return all(acceptable(each, prefixes, loopback_ok=loopback_ok) for each in places)


def _is_away(peer: Peer) -> bool:
    """Whether a peer is reached over another uplink than the host's own choice."""
    path = peer.paths.active
    return path is not None and path.endpoint.uplink != 0
