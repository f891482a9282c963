"""The planet's sisters: looking up and relaying across one hop (section 7.6)."""

from __future__ import annotations

from collections.abc import Callable

from l2mesh.datapath.interface import Endpoint
from l2mesh.identity import PublicIdentity
from l2mesh.node.core import Core
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.node.planets import Planets
from l2mesh.relay.rendezvous import Outcome, Rendezvous
from l2mesh.wire.message import LinkAnswer, LinkGone, LinkRequest, Whois, WhoisReply
from planet.links import Links
from planet.lookups import Lookups

__all__ = ["Cluster"]

CarryOut = Callable[[Outcome, float], None]


class Cluster(Part):
    """What is asked of sisters, and by them; others who ask are not heard."""

    def __init__(
        self, core: Core, sisters: Planets, rendezvous: Rendezvous, carry_out: CarryOut
    ) -> None:
        self.core = core
        self.sisters = sisters
        self.rendezvous = rendezvous
        self.lookups = Lookups()
        self.links = Links(
            core.settings.random,
            where=self._where,
            publics=rendezvous.public_of,
            is_taken=rendezvous.has,
        )
        self._carry_out = carry_out
        self._legs: dict[bytes, Endpoint | None] = {}
        sisters.on_claims = self._receive_claims

    def look_up(self, client: Peer, address: bytes, now: float) -> None:
        """Nobody here is known at an address: ask the sisters on behalf of a client."""
        if self.sisters.is_planet(client.fingerprint):
            return
        if self.sisters.live() and self.lookups.begin(address, client.fingerprint, now):
            for sister in self.sisters.live():
                self.core.send(sister, Whois(address), now)

    def request(self, client: Peer, peer: bytes, now: float) -> Outcome:
        """A client wants to be relayed to somebody who is not here."""
        sisters = [sister.fingerprint for sister in self.sisters.live()]
        return self.links.request(client.fingerprint, peer, sisters, now)

    # --- verbs ----------------------------------------------------------------------------------

    def handlers(self) -> dict[type, Handler]:
        return {
            LinkRequest: self.receive_request,
            LinkAnswer: self.receive_answer,
            LinkGone: self.receive_gone,
        }

    def receive_request(self, sister: Peer, request: LinkRequest, now: float) -> None:
        """A sister's client looks for one of ours."""
        if self._is_sister(sister):
            self._carry_out(self.links.receive_request(sister.fingerprint, request, now), now)

    def receive_answer(self, sister: Peer, answer: LinkAnswer, now: float) -> None:
        """A sister says whether her client takes the offer."""
        if self._is_sister(sister):
            self._carry_out(self.links.receive_answer(sister.fingerprint, answer, now), now)

    def receive_gone(self, sister: Peer, gone: LinkGone, now: float) -> None:
        """A sister has let go of relays."""
        if self._is_sister(sister):
            self._carry_out(self.links.receive_gone(sister.fingerprint, gone), now)

    # --- hooks ----------------------------------------------------------------------------------

    def session_lost(self, peer: Peer, now: float) -> None:
        self._legs.pop(peer.fingerprint, None)
        self._carry_out(self.links.sister_gone(peer.fingerprint), now)

    def observed(self, peer: Peer, by: Endpoint, seen: Endpoint, now: float) -> None:
        self.path_changed(peer, now)

    def path_changed(self, peer: Peer, now: float) -> None:
        if not self.sisters.is_planet(peer.fingerprint):
            return
        leg = self._where(peer.fingerprint)
        if leg is not None and leg != self._legs.get(peer.fingerprint):
            self._legs[peer.fingerprint] = leg
            self._carry_out(self.links.moved(peer.fingerprint), now)

    def next_timeout(self) -> float | None:
        return self.links.next_timeout()

    def handle_timeout(self, now: float) -> None:
        self._carry_out(self.links.handle_timeout(now), now)

    # --- inside ---------------------------------------------------------------------------------

    def _is_sister(self, peer: Peer) -> bool:
        if self.sisters.is_planet(peer.fingerprint):
            return True
        self.core.refuse("no_sister")
        return False

    def _where(self, who: bytes) -> Endpoint | None:
        """The leg of a client, or of a sister: her first endpoint that answers, of IPv4 if there
        is one. Both sisters come to the same family, whichever path either uses for control."""
        if not self.sisters.is_planet(who):
            return self.rendezvous.endpoint_of(who)
        peer = self.core.peers.get(who)
        if peer is None or not peer.is_live:
            return None
        usable = [each for each in peer.paths.candidates if each.is_direct and each.usable]
        named = self.sisters.endpoints(who)
        fit = [each.path.endpoint for each in usable if each.path.endpoint in named]
        return min(fit, key=lambda each: (":" in each.host, named.index(each)), default=None)

    def _receive_claims(self, address: bytes, claims: list[PublicIdentity], now: float) -> None:
        if claims:
            reply = WhoisReply(address, tuple(claim.encode() for claim in claims))
            for fingerprint in self.lookups.waiting(address, now):
                if (client := self.core.peers.get(fingerprint)) is not None:
                    self.core.send(client, reply, now)
