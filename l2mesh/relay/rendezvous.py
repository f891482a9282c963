"""How two clients of a relaying party come to a relay (section 7.3 of ``docs/protocol.md``).

| state   | event                              | next    | sent                        |
|---------|------------------------------------|---------|-----------------------------|
| -       | request, the peer is here          | OFFERED | RELAY_OFFER to the peer     |
| -       | request, the peer is not here      | -       | RELAY_FAILED absent         |
| -       | request, a quota is reached        | -       | RELAY_FAILED limit          |
| OFFERED | answer yes, or the peer asks too   | AGREED  |                             |
| OFFERED | answer no                          | -       | RELAY_FAILED refused        |
| OFFERED | 5 s, or the peer has gone          | -       | RELAY_FAILED absent         |
| AGREED  | both clients have a proven path    | READY   | RELAY_READY to both         |
| READY   | request                            | READY   | RELAY_READY to both         |
| READY   | a client's path moves              | READY   |                             |
| READY   | a client has gone                  | -       | RELAY_GONE to the other     |
| any     | the two may not any more           | -       | as at no, or RELAY_GONE     |
| AGREED, READY | 90 s without a RENEW of one  | -       | RELAY_GONE to both          |

A client causes at most four unanswered offers; up to 256 further requests wait their turn, because
a node that comes into a large network asks for all of its members at once. The machine calls
nobody: it returns engine commands and messages.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from l2mesh.crypto import Random
from l2mesh.datapath.interface import Command, Endpoint, RemoveRelay, SetRelay
from l2mesh.relay.table import LIFE_S, MAX_OFFERS, Relay, RelayState, RelayTable
from l2mesh.wire.message import (
    Message,
    RelayFailed,
    RelayFailure,
    RelayGone,
    RelayOffer,
    RelayReady,
)

__all__ = ["Outcome", "Rendezvous"]

MAX_WAITING: Final = 256
"""Requests of one client that wait for its offers to be answered."""
TELL_AGAIN_S: Final = 3.0
"""Between two RELAY_READY that the requests of one client cause at the other."""
SWEEP_S: Final = 1.0
"""How often relays are looked through for those that have expired."""


@dataclass(slots=True)
class Outcome:
    """What is to be done: commands for the engine, then messages for clients (fingerprints)."""

    commands: list[Command] = field(default_factory=list)
    messages: list[tuple[bytes, Message]] = field(default_factory=list)

    def tell(self, client: bytes, message: Message) -> None:
        """One more message."""
        self.messages.append((client, message))


@dataclass(slots=True)
class _Client:
    public: bytes
    endpoint: Endpoint | None = None
    """Where it answered last; it stays when a path dies, until another one answers."""
    waiting: deque[bytes] = field(default_factory=deque)


class Rendezvous:
    """The clients of whoever relays, and the relays between them."""

    def __init__(self, random: Random) -> None:
        self._clients: dict[bytes, _Client] = {}
        self._relays = RelayTable(random)
        self._sweep_at: float | None = None

    @property
    def relays(self) -> int:
        """How many relays forward now."""
        return self._relays.ready

    def __len__(self) -> int:
        return len(self._relays)

    def is_pair(self, one: bytes, other: bytes) -> bool:
        """Whether these two have a relay, or an offer of one."""
        return self._relays.between(one, other) is not None

    def pairs(self) -> list[tuple[bytes, bytes]]:
        """Who is relayed to whom, offers included."""
        return [(relay.left, relay.right) for relay in self._relays]

    def has(self, relay: int) -> bool:
        """Whether a relay id is one of ours."""
        return self._relays.get(relay) is not None

    def is_client(self, fingerprint: bytes) -> bool:
        """Whether somebody has a session with us."""
        return fingerprint in self._clients

    def public_of(self, client: bytes) -> bytes | None:
        """A client's public identity (128 bytes); None if it is not here."""
        known = self._clients.get(client)
        return None if known is None else known.public

    def endpoint_of(self, client: bytes) -> Endpoint | None:
        """Where a client answered last; None before it did, or if it is not here."""
        known = self._clients.get(client)
        return None if known is None else known.endpoint

    # --- clients ----------------------------------------------------------------------------------

    def client_here(self, fingerprint: bytes, public: bytes) -> None:
        """A client (its public identity: 128 bytes) has a session; once more changes nothing."""
        self._clients.setdefault(fingerprint, _Client(public))

    def client_gone(self, fingerprint: bytes, now: float) -> Outcome:
        """A client's last session has gone: its relays die with it."""
        outcome = Outcome()
        if self._clients.pop(fingerprint, None) is None:
            return outcome
        for relay in self._relays.of(fingerprint):
            other = relay.other(fingerprint)
            if relay.state is not RelayState.OFFERED:
                outcome.tell(other, RelayGone(relays=(relay.relay,)))
            elif other == relay.left:
                outcome.tell(other, RelayFailed(peer=fingerprint, reason=RelayFailure.ABSENT))
            self._remove(relay, outcome)
            self._continue(other, outcome, now)
        return outcome

    def client_path_changed(
        self, fingerprint: bytes, endpoint: Endpoint | None, now: float
    ) -> Outcome:
        """A client answered a PROBE from a new endpoint: its legs move there."""
        outcome = Outcome()
        client = self._clients.get(fingerprint)
        if client is None or endpoint is None or endpoint == client.endpoint:
            return outcome
        client.endpoint = endpoint
        for relay in self._relays.of(fingerprint):
            if relay.state is RelayState.READY:
                self._forward(relay, outcome)
            elif relay.state is RelayState.AGREED:
                self._make_ready(relay, outcome, now)
        return outcome

    # --- verbs ------------------------------------------------------------------------------------

    def request(self, client: bytes, peer: bytes, now: float) -> Outcome:
        """RELAY_REQUEST of ``client`` for ``peer``."""
        outcome = Outcome()
        asking = self._clients.get(client)
        if asking is None:
            return outcome
        if peer == client or peer not in self._clients:
            outcome.tell(client, RelayFailed(peer=peer, reason=RelayFailure.ABSENT))
        elif (relay := self._relays.between(client, peer)) is not None:
            self._request_again(relay, client, outcome, now)
        elif self._relays.offers_of(client) < MAX_OFFERS:
            self._offer(client, peer, outcome, now)
        elif peer not in asking.waiting:
            if len(asking.waiting) < MAX_WAITING:
                asking.waiting.append(peer)
            else:
                outcome.tell(client, RelayFailed(peer=peer, reason=RelayFailure.LIMIT))
        return outcome

    def answer(self, client: bytes, relay: int, now: float, *, accept: bool) -> Outcome:
        """RELAY_ANSWER of ``client``; only the one to whom the relay was offered is heard."""
        outcome = Outcome()
        offered = self._relays.get(relay)
        if offered is None or offered.right != client or offered.state is not RelayState.OFFERED:
            return outcome
        if accept:
            self._agree(offered, outcome, now)
        else:
            outcome.tell(offered.left, RelayFailed(peer=client, reason=RelayFailure.REFUSED))
            self._remove(offered, outcome)
        self._continue(offered.left, outcome, now)
        return outcome

    def renew(self, client: bytes, relays: tuple[int, ...], now: float) -> Outcome:
        """RELAY_RENEW of ``client``; it hears which ids it has no more."""
        outcome, gone = Outcome(), []
        for number in relays:
            relay = self._relays.get(number)
            if relay is None or client not in (relay.left, relay.right):
                gone.append(number)
            elif relay.state is not RelayState.OFFERED:
                relay.until[client] = now + LIFE_S
        if gone:
            outcome.tell(client, RelayGone(relays=tuple(gone)))
        return outcome

    def part(self, one: bytes, other: bytes, now: float) -> Outcome:
        """These two may not be relayed to each other any more."""
        outcome = Outcome()
        relay = self._relays.between(one, other)
        if relay is None:
            return outcome
        if relay.state is RelayState.OFFERED:
            failed = RelayFailed(peer=relay.right, reason=RelayFailure.REFUSED)
            outcome.tell(relay.left, failed)
        else:
            self._tell_gone(relay, outcome)
        self._remove(relay, outcome)
        self._continue(relay.left, outcome, now)
        return outcome

    # --- time -------------------------------------------------------------------------------------

    def handle_timeout(self, now: float) -> Outcome:
        """Let go of what has expired."""
        outcome = Outcome()
        if self._sweep_at is None or now < self._sweep_at:
            return outcome
        for relay in self._relays.expired(now):
            if relay.state is RelayState.OFFERED:
                failed = RelayFailed(peer=relay.right, reason=RelayFailure.ABSENT)
                outcome.tell(relay.left, failed)
            else:
                self._tell_gone(relay, outcome)
            self._remove(relay, outcome)
            self._continue(relay.left, outcome, now)
        self._sweep_at = now + SWEEP_S if any(True for _ in self._relays) else None
        return outcome

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is needed."""
        return self._sweep_at

    # --- inside -----------------------------------------------------------------------------------

    def _request_again(self, relay: Relay, client: bytes, outcome: Outcome, now: float) -> None:
        if relay.state is RelayState.READY:
            outcome.tell(client, RelayReady(relay=relay.relay, peer=relay.other(client)))
            if now >= relay.told_at + TELL_AGAIN_S:  # the other may have let go of it
                relay.told_at = now
                other = relay.other(client)
                outcome.tell(other, RelayReady(relay=relay.relay, peer=client))
        elif relay.state is RelayState.OFFERED and client == relay.right:
            self._agree(relay, outcome, now)  # who asks for it consents to it
            self._continue(relay.left, outcome, now)

    def _offer(self, client: bytes, peer: bytes, outcome: Outcome, now: float) -> None:
        if self._relays.is_full(client) or self._relays.is_full(peer):
            outcome.tell(client, RelayFailed(peer=peer, reason=RelayFailure.LIMIT))
            return
        relay = self._relays.add(client, peer, now)
        outcome.tell(peer, RelayOffer(relay=relay.relay, peer=self._clients[client].public))
        if self._sweep_at is None:
            self._sweep_at = now + SWEEP_S

    def _continue(self, client: bytes, outcome: Outcome, now: float) -> None:
        """One of its offers is decided: the next request that waits has its turn."""
        waiting = self._clients[client].waiting if client in self._clients else deque()
        while waiting and self._relays.offers_of(client) < MAX_OFFERS:
            more = self.request(client, waiting.popleft(), now)
            outcome.commands += more.commands
            outcome.messages += more.messages

    def _agree(self, relay: Relay, outcome: Outcome, now: float) -> None:
        relay.state = RelayState.AGREED
        relay.keep(now + LIFE_S)
        self._make_ready(relay, outcome, now)

    def _make_ready(self, relay: Relay, outcome: Outcome, now: float) -> None:
        """Forward once both legs are proven; a client may agree before its path is."""
        if not self._forward(relay, outcome):
            return
        relay.state = RelayState.READY
        relay.keep(now + LIFE_S)
        relay.told_at = now
        for client in (relay.left, relay.right):
            outcome.tell(client, RelayReady(relay=relay.relay, peer=relay.other(client)))

    def _forward(self, relay: Relay, outcome: Outcome) -> bool:
        left, right = self._clients[relay.left].endpoint, self._clients[relay.right].endpoint
        if left is None or right is None:
            return False
        outcome.commands.append(SetRelay(relay.relay, left, right, relay.left, relay.right))
        return True

    @staticmethod
    def _tell_gone(relay: Relay, outcome: Outcome) -> None:
        for client in (relay.left, relay.right):
            outcome.tell(client, RelayGone(relays=(relay.relay,)))

    def _remove(self, relay: Relay, outcome: Outcome) -> None:
        self._relays.remove(relay)
        if relay.state is RelayState.READY:
            outcome.commands.append(RemoveRelay(relay.relay))
