"""The planet's core: a `Core` of the node with one part that introduces and relays.

A node is admitted when its address belongs to its fingerprint (section 1 of ``docs/protocol.md``).
That check costs milliseconds and 2 MiB, so its answers are remembered and new ones are rationed:
whoever floods us with fresh identities delays newcomers, never those who are known.

Every session keeps its planet part short: WHOIS is answered from the directory, relays are the
`Rendezvous`'s, and a relay's leg follows the client's proven path and nothing else.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from l2mesh.address import format_address
from l2mesh.bucket import TokenBucket
from l2mesh.credential.world import World
from l2mesh.datapath.interface import Command, Endpoint
from l2mesh.identity import PublicIdentity, address_of
from l2mesh.node.carrying import carry_out
from l2mesh.node.core import Core, Settings
from l2mesh.node.effects import Effect
from l2mesh.node.face import Face
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.node.planets import Planets
from l2mesh.node.worlds import Worlds
from l2mesh.relay.rendezvous import Outcome, Rendezvous
from l2mesh.wire.message import Draining, RelayAnswer, RelayRenew, RelayRequest, Whois, WhoisReply
from planet.cluster import Cluster
from planet.directory import Directory, FirstClaim

__all__ = ["Admissions", "PlanetCore", "PlanetEffect", "RememberClaims"]

log = logging.getLogger(__name__)

MAX_CLIENTS: Final = 16_384
"""Each takes an index of 65,536 a session, and has up to three sessions while one is replaced."""
MAX_STRANGERS: Final = 256
"""Peers whose session is not confirmed yet."""
CHECKS_A_SECOND: Final = 50.0
CHECKS_BURST: Final = 200.0
"""Address checks: 50 a second are about a tenth of a core."""
REMEMBERED_CHECKS: Final = 65_536


@dataclass(frozen=True, slots=True)
class RememberClaims:
    """Append these rows to what outlives a restart."""

    rows: tuple[FirstClaim, ...]


PlanetEffect: TypeAlias = Effect | RememberClaims


class Admissions:
    """Which address an identity has, remembered by fingerprint, and checked at a bounded rate."""

    def __init__(self, settings: Settings) -> None:
        self._crypto = settings.crypto
        self._known: OrderedDict[bytes, bytes | None] = OrderedDict()
        self._checks = TokenBucket(CHECKS_A_SECOND, CHECKS_BURST, 0.0)

    def remember(self, fingerprint: bytes, address: bytes | None) -> None:
        """Known from before; the one asked for longest ago is forgotten beyond 65,536."""
        self._known[fingerprint] = address
        self._known.move_to_end(fingerprint)
        if len(self._known) > REMEMBERED_CHECKS:
            self._known.popitem(last=False)

    def known(self, fingerprint: bytes) -> bytes | None:
        """The address of somebody who was admitted."""
        return self._known.get(fingerprint)

    def check(self, fingerprint: bytes, now: float) -> bytes | None:
        """The address; None if there is none, or if too many were checked just now."""
        if fingerprint in self._known:
            self._known.move_to_end(fingerprint)
            return self._known[fingerprint]
        if not self._checks.take(now):
            return None
        self.remember(fingerprint, address_of(fingerprint, self._crypto))
        return self._known[fingerprint]


class _Introductions(Part):
    """The planet's verbs, and its clients: peers with a confirmed session."""

    def __init__(self, core: Core, sisters: Planets) -> None:
        self.core = core
        self.sisters = sisters
        self.admissions = Admissions(core.settings)
        self.directory = Directory()
        self.rendezvous = Rendezvous(core.settings.random)
        self.cluster = Cluster(core, sisters, self.rendezvous, self._carry_out)
        self.is_draining = False
        self.clients: dict[bytes, bytes] = {}
        """Fingerprint -> address of every peer with a confirmed session."""
        core.admit = self.admit

    def admit(self, public: PublicIdentity, now: float) -> bool:
        """Whether an INIT of somebody who is no peer yet makes a session."""
        strangers = len(self.core.peers) - len(self.clients) - len(self.sisters.members())
        if strangers >= MAX_STRANGERS or len(self.clients) >= MAX_CLIENTS:
            return False
        return self.admissions.check(public.fingerprint, now) is not None

    # --- verbs ----------------------------------------------------------------------------------

    def handlers(self) -> dict[type, Handler]:
        return {
            Whois: self.receive_whois,
            RelayRequest: self.receive_request,
            RelayAnswer: self.receive_answer,
            RelayRenew: self.receive_renew,
        }

    def receive_whois(self, peer: Peer, whois: Whois, now: float) -> None:
        """All claims for an address, oldest first; none is an answer as well."""
        claims = self.directory.claims(whois.address)
        self.core.send(peer, WhoisReply(address=whois.address, claims=claims), now)
        if not claims:
            self.cluster.look_up(peer, whois.address, now)

    def receive_request(self, peer: Peer, request: RelayRequest, now: float) -> None:
        """A client wants to be relayed to another, here or at a sister planet."""
        if peer.fingerprint not in self.clients:
            return
        self._follow(peer, now)
        if self.rendezvous.is_client(request.peer) or not self.sisters.live():
            outcome = self.rendezvous.request(peer.fingerprint, request.peer, now)
        else:
            outcome = self.cluster.request(peer, request.peer, now)
        self._carry_out(outcome, now)

    def receive_answer(self, peer: Peer, answer: RelayAnswer, now: float) -> None:
        """A client takes an offer, or does not."""
        self._follow(peer, now)
        is_link = self.cluster.links.has(answer.relay)
        machine = self.cluster.links if is_link else self.rendezvous
        outcome = machine.answer(peer.fingerprint, answer.relay, now, accept=answer.accept)
        self._carry_out(outcome, now)

    def receive_renew(self, peer: Peer, renew: RelayRenew, now: float) -> None:
        """A client still uses these relays."""
        self._follow(peer, now)
        links = self.cluster.links
        links.renew(peer.fingerprint, renew.relays, now)
        relays = tuple(relay for relay in renew.relays if not links.has(relay))
        self._carry_out(self.rendezvous.renew(peer.fingerprint, relays, now), now)

    # --- hooks ----------------------------------------------------------------------------------

    def knows(self, peer: Peer) -> bool:
        return peer.fingerprint in self.clients

    def session_live(self, peer: Peer, session: int, now: float, *, initiator: bool) -> None:
        del session, initiator
        if self.sisters.is_planet(peer.fingerprint):
            return
        address = self.admissions.check(peer.fingerprint, now)
        if address is None or peer.fingerprint in self.clients:
            return
        self.clients[peer.fingerprint] = address
        self.rendezvous.client_here(peer.fingerprint, peer.public.encode())
        self.directory.admit(peer.public, address)
        log.debug("client here: peer=%s", format_address(address))
        if self.is_draining:
            self.core.send(peer, Draining(draining=True), now)
        self.path_changed(peer, now)

    def drain(self, now: float, *, draining: bool) -> None:
        """Have the clients go elsewhere while all goes on, or serve again."""
        self.is_draining = draining
        for fingerprint in self.clients:
            if (peer := self.core.peers.get(fingerprint)) is not None:
                self.core.send(peer, Draining(draining=draining), now)

    def session_lost(self, peer: Peer, now: float) -> None:
        address = self.clients.pop(peer.fingerprint, None)
        if address is None:
            return
        self.directory.gone(peer.fingerprint, address)
        self._carry_out(self.rendezvous.client_gone(peer.fingerprint, now), now)
        self._carry_out(self.cluster.links.client_gone(peer.fingerprint), now)
        log.debug("client gone: peer=%s", format_address(address))

    def connect_failed(self, peer: Peer, now: float) -> None:
        if not self.sisters.is_planet(peer.fingerprint):
            self.core.remove_peer(peer, now)  # it calls us when it is back

    def peer_removed(self, peer: Peer, now: float) -> None:
        self.session_lost(peer, now)

    def path_changed(self, peer: Peer, now: float) -> None:
        path = peer.paths.active
        endpoint = path.endpoint if path is not None else None
        outcome = self.rendezvous.client_path_changed(peer.fingerprint, endpoint, now)
        self._carry_out(outcome, now)
        if peer.fingerprint in self.clients:
            self._carry_out(self.cluster.links.moved(peer.fingerprint), now)

    def handle_timeout(self, now: float) -> None:
        self._carry_out(self.rendezvous.handle_timeout(now), now)

    def next_timeout(self) -> float | None:
        return self.rendezvous.next_timeout()

    def _follow(self, client: Peer, now: float) -> None:
        """Its legs belong where it speaks from, of several endpoints that all answer: it hears
        what is relayed from there alone."""
        client.paths.follow(client.last_path, now)
        self.core.touch(client, now)

    def _carry_out(self, outcome: Outcome, now: float) -> None:
        carry_out(self.core, outcome, now)


class PlanetCore(Face):
    """What the runtime drives: see `l2mesh.runtime.core.Core`.

    It keeps a session with every other planet of its world, its sisters.
    """

    def __init__(self, settings: Settings, claims: Iterable[FirstClaim] = ()) -> None:
        """``settings`` with the role PLANET; ``claims`` are the rows of earlier runs."""
        super().__init__(settings)
        self.planets = Planets(self.core)
        self.worlds = Worlds(self.core, self.planets)
        self.planets.on_adopted.append(self.worlds.adopted)
        self._part = _Introductions(self.core, self.planets)
        self._part.directory.restore(claims)
        for part in (self.planets, self.worlds, self._part, self._part.cluster):
            self.core.add_part(part)
        self._effects: deque[RememberClaims] = deque()

    def serve_world(self, world: World, now: float) -> None:
        """Begin with the world of an earlier run."""
        self.planets.restore(world, now)

    def adopt_world(self, world: World, now: float) -> bool:
        """Use an update of the world, and tell everybody; see `Planets.adopt`."""
        return self.planets.adopt(world, now)

    def drain(self, now: float, *, draining: bool = True) -> None:
        """Tell the clients to go elsewhere; what is relayed is relayed on."""
        self._part.drain(now, draining=draining)

    @property
    def is_draining(self) -> bool:
        """Whether it is about to stop."""
        return self._part.is_draining

    @property
    def world(self) -> World | None:
        """The world in use."""
        return self.planets.world

    @property
    def sisters(self) -> int:
        """Other planets that can be asked."""
        return len(self.planets.live())

    @property
    def sessions(self) -> int:
        """Clients with a confirmed session."""
        return len(self._part.clients)

    @property
    def relays(self) -> int:
        """Relays that forward now, those to clients of sisters included."""
        return self._part.rendezvous.relays + self.links

    @property
    def links(self) -> int:
        """Relays that forward now to clients of sister planets."""
        return self._part.cluster.links.ready

    @property
    def directory(self) -> Directory:
        """Who claims which address."""
        return self._part.directory

    def poll_output(self) -> Command | PlanetEffect | None:
        """The next engine command or effect."""
        if news := self._part.directory.poll_news():
            self._effects.append(RememberClaims(tuple(news)))
        if self._effects:
            return self._effects.popleft()
        return self.core.poll_output()

    def set_local_endpoints(self, endpoints: tuple[Endpoint, ...], now: float) -> None:
        """Our own addresses mean nothing here: the world names them."""
