"""What we carry for other members (section 7.8 of ``docs/protocol.md``).

With the right ``relay`` in a network, and unless the operator declines, this node relays between
members of it as a planet does: by the same machine, inside its sessions with them. A client is an
accepted member that it reaches without a relay; its leg is the endpoint that has answered there.
Whoever is a client no longer, for whatever reason, is sent nothing more. When it is we who end it
(declined, out of the network, stopped), clients are told to go elsewhere and carried on meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from l2mesh.credential.membership import Right
from l2mesh.node.core import Core
from l2mesh.node.joined import Joined
from l2mesh.node.networks import Networks
from l2mesh.node.part import Handler, Part
from l2mesh.node.peer import Peer
from l2mesh.relay.rendezvous import Outcome, Rendezvous
from l2mesh.wire.message import (
    Draining,
    RelayAnswer,
    RelayFailed,
    RelayFailure,
    RelayRenew,
    RelayRequest,
)

__all__ = ["Carrying", "carry_out"]

MAX_RELAYS: Final = 4096
"""Relays of all clients together, offers included."""
DRAIN_S: Final = 10.0
"""So long clients that were told to go elsewhere are carried on."""


def carry_out(core: Core, outcome: Outcome, now: float) -> None:
    """Give the engine its commands and clients their messages."""
    for command in outcome.commands:
        core.emit(command)
    for client, message in outcome.messages:
        peer = core.peers.get(client)
        if peer is not None:
            core.send(peer, message, now)


@dataclass(slots=True, eq=False)
class Carrying(Part):
    """The relays that we are."""

    core: Core
    networks: Networks
    willing: bool = True
    """The operator's word for all networks; `Options.carry` is that for one."""
    rendezvous: Rendezvous = field(init=False)
    _kept: set[bytes] = field(default_factory=set)
    """Members between whom we relay."""
    _drained: dict[tuple[bytes, bytes], float] = field(default_factory=dict)
    """Pairs that were told to go elsewhere, and until when they are carried."""
    _judge_at: float | None = None
    """When to look at once whether all may still be relayed."""

    def __post_init__(self) -> None:
        self.rendezvous = Rendezvous(self.core.settings.random)
        self.networks.on_parted.append(self._parted)

    @property
    def relays(self) -> int:
        """How many forward now."""
        return self.rendezvous.relays

    def withdraw(self, now: float, network: int | None = None) -> bool:
        """We decline or leave a network, or stop altogether: have those go elsewhere whom we may
        carry in no other network. Whether there is anybody."""
        pairs = self.rendezvous.pairs()
        if network is not None:
            pairs = [pair for pair in pairs if not self._may_relay(*pair, but=network)]
        self._drained |= {pair: now + DRAIN_S for pair in pairs if pair not in self._drained}
        for fingerprint in {client for pair in pairs for client in pair}:
            if (peer := self.core.peers.get(fingerprint)) is not None:
                self.core.send(peer, Draining(draining=True), now)
        return bool(pairs)

    # --- verbs ----------------------------------------------------------------------------------

    def handlers(self) -> dict[type, Handler]:
        return {
            RelayRequest: self.receive_request,
            RelayAnswer: self.receive_answer,
            RelayRenew: self.receive_renew,
        }

    def receive_request(self, peer: Peer, request: RelayRequest, now: float) -> None:
        """A member wants to be relayed to another. Only members are answered."""
        if not self._is_member(peer.fingerprint):
            self.core.refuse("not_carried")
            return
        pair = (peer.fingerprint, request.peer)
        if not self._may_relay(*pair):
            self._fail(peer, request.peer, RelayFailure.REFUSED, now)
        elif len(self.rendezvous) >= MAX_RELAYS and not self.rendezvous.is_pair(*pair):
            self._fail(peer, request.peer, RelayFailure.LIMIT, now)
        else:
            self._follow(peer, now)
            for client in pair:
                self._place(client, now)
            self._doubt(pair, now)
            self._carry_out(self.rendezvous.request(*pair, now), now)

    def receive_answer(self, peer: Peer, answer: RelayAnswer, now: float) -> None:
        """A member takes an offer, or does not."""
        if self.rendezvous.is_client(peer.fingerprint):
            self._follow(peer, now)
        outcome = self.rendezvous.answer(peer.fingerprint, answer.relay, now, accept=answer.accept)
        self._carry_out(outcome, now)

    def receive_renew(self, peer: Peer, renew: RelayRenew, now: float) -> None:
        """A member still uses these relays."""
        if self._is_member(peer.fingerprint):
            self._follow(peer, now)
            self._carry_out(self.rendezvous.renew(peer.fingerprint, renew.relays, now), now)

    # --- hooks ----------------------------------------------------------------------------------

    def path_changed(self, peer: Peer, now: float) -> None:
        if self.rendezvous.is_client(peer.fingerprint):
            self._place(peer.fingerprint, now)

    def session_lost(self, peer: Peer, now: float) -> None:
        self._leave(peer.fingerprint, now)

    def peer_removed(self, peer: Peer, now: float) -> None:
        self._leave(peer.fingerprint, now)

    def next_timeout(self) -> float | None:
        due = (self.rendezvous.next_timeout(), self._judge_at)
        return min((at for at in due if at is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        self._judge_at = None
        self._carry_out(self.rendezvous.handle_timeout(now), now)
        self._judge(now)

    # --- inside ---------------------------------------------------------------------------------

    def _carries(self, joined: Joined) -> bool:
        """Whether we may, and are willing to, carry in a network."""
        credential = joined.state.credential
        if joined.port is None or credential is None:
            return False
        return self.willing and joined.options.carry and credential.has_right(Right.RELAY)

    def _is_member(self, fingerprint: bytes) -> bool:
        joined = self.networks.joined.values()
        return any(fingerprint in each.meetings.accepted for each in joined)

    def _may_relay(self, one: bytes, other: bytes, *, but: int | None = None) -> bool:
        """Whether both are accepted in one network in which we carry; leaving one network out."""
        return any(
            one in joined.meetings.accepted and other in joined.meetings.accepted
            for joined in self.networks.joined.values()
            if joined.network != but and self._carries(joined)
        )

    def _follow(self, client: Peer, now: float) -> None:
        """Its legs belong where it speaks from, of several endpoints that all answer (two families,
        say): it hears what is relayed from there alone."""
        if client.last_path is not None and not client.last_path.relay:
            client.paths.follow(client.last_path, now)
            self.core.touch(client, now)

    def _doubt(self, pair: tuple[bytes, bytes], now: float) -> None:
        """A client asks again for the relay that it has: does the other one still answer us? If not
        all hear of it who are relayed there."""
        other = self.core.peers.get(pair[1])
        if other is not None and self.rendezvous.is_pair(*pair):
            other.paths.challenge(now)
            self.core.touch(other, now)

    def _place(self, fingerprint: bytes, now: float) -> None:
        """Have a member's legs where it answers itself; without such a place it is no client."""
        peer = self.core.peers.get(fingerprint)
        path = peer.paths.active if peer is not None and peer.is_live else None
        if peer is None or path is None or not peer.paths.is_direct:
            self._leave(fingerprint, now)
            return
        self.rendezvous.client_here(fingerprint, peer.public.encode())
        outcome = self.rendezvous.client_path_changed(fingerprint, path.endpoint, now)
        self._carry_out(outcome, now)

    def _leave(self, fingerprint: bytes, now: float) -> None:
        if self.rendezvous.is_client(fingerprint):
            self._carry_out(self.rendezvous.client_gone(fingerprint, now), now)

    def _parted(self, joined: Joined, fingerprint: bytes) -> None:
        """Somebody is out of a network: nothing more is carried for it there."""
        self._drained = {p: until for p, until in self._drained.items() if fingerprint not in p}
        if self.rendezvous.is_client(fingerprint):
            self._judge_at = 0.0

    def _judge(self, now: float) -> None:
        """End what is not to be carried any more."""
        self._drained = {pair: until for pair, until in self._drained.items() if now < until}
        for pair in self.rendezvous.pairs():
            if pair not in self._drained and not self._may_relay(*pair):
                self._carry_out(self.rendezvous.part(*pair, now), now)

    def _fail(self, peer: Peer, wanted: bytes, reason: RelayFailure, now: float) -> None:
        self.core.send(peer, RelayFailed(peer=wanted, reason=reason), now)

    def _carry_out(self, outcome: Outcome, now: float) -> None:
        carry_out(self.core, outcome, now)
        self._keep()

    def _keep(self) -> None:
        """Keep the way to those for whom we carry: no frames pass between them and us."""
        clients = {client for pair in self.rendezvous.pairs() for client in pair}
        for fingerprint in clients | self._kept:
            if (peer := self.core.peers.get(fingerprint)) is not None:
                peer.keep("client", wanted=fingerprint in clients)
        self._kept = clients
