"""The relays that somebody carries: which there are, whose they are, and until when.

Three indices over the same records: by id, by pair of clients, by client. Section 7.3 of
``docs/protocol.md`` has the numbers.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from l2mesh.crypto import Random

__all__ = ["LIFE_S", "MAX_OFFERS", "MAX_RELAYS", "OFFER_S", "Relay", "RelayState", "RelayTable"]

LIFE_S: Final = 90.0
"""After the last RELAY_RENEW of either client: each has to want it."""
OFFER_S: Final = 5.0
"""How long an offer waits for its answer."""
MAX_RELAYS: Final = 1024
"""Relays of one client, offers included."""
MAX_OFFERS: Final = 4
"""Unanswered offers that one client may cause."""
_ID_BYTES: Final = 7


class RelayState(enum.Enum):
    """OFFERED waits for the peer's answer, AGREED for a proven path of both, READY forwards."""

    OFFERED = "offered"
    AGREED = "agreed"
    READY = "ready"


@dataclass(slots=True)
class Relay:
    """One relay; ``left`` asked for it and ``right`` was asked (fingerprints)."""

    relay: int
    left: bytes
    right: bytes
    state: RelayState
    until: dict[bytes, float]
    """Client -> until when it wants the relay."""
    told_at: float = 0.0
    """When both clients heard RELAY_READY."""

    @property
    def expires(self) -> float:
        """When the first of both wants it no longer."""
        return min(self.until.values())

    def keep(self, until: float) -> None:
        """Both want it until then."""
        self.until = dict.fromkeys((self.left, self.right), until)

    def other(self, client: bytes) -> bytes:
        """The client at the other end."""
        return self.right if client == self.left else self.left


class RelayTable:
    """All relays. Bounded by 1,024 for each client that has a session."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._by_id: dict[int, Relay] = {}
        self._by_pair: dict[frozenset[bytes], Relay] = {}
        self._by_client: dict[bytes, dict[int, Relay]] = {}

    def __iter__(self) -> Iterator[Relay]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def ready(self) -> int:
        """How many forward now."""
        return sum(relay.state is RelayState.READY for relay in self)

    def get(self, relay: int) -> Relay | None:
        """The relay with this id."""
        return self._by_id.get(relay)

    def between(self, one: bytes, other: bytes) -> Relay | None:
        """The relay of a pair, whoever asked for it."""
        return self._by_pair.get(frozenset((one, other)))

    def of(self, client: bytes) -> list[Relay]:
        """The relays of one client."""
        return list(self._by_client.get(client, {}).values())

    def is_full(self, client: bytes) -> bool:
        """Whether the client has as many as it may have."""
        return len(self._by_client.get(client, {})) >= MAX_RELAYS

    def offers_of(self, client: bytes) -> int:
        """How many offers that it caused are unanswered."""
        relays = self._by_client.get(client, {}).values()
        return sum(relay.state is RelayState.OFFERED and relay.left == client for relay in relays)

    def add(self, left: bytes, right: bytes, now: float) -> Relay:
        """A new offer with a random id that is not in use."""
        number = 0
        while number == 0 or number in self._by_id:
            number = int.from_bytes(self._random(_ID_BYTES), "big")
        until = dict.fromkeys((left, right), now + OFFER_S)
        relay = Relay(number, left, right, RelayState.OFFERED, until)
        self._by_id[number] = relay
        self._by_pair[frozenset((left, right))] = relay
        for client in (left, right):
            self._by_client.setdefault(client, {})[number] = relay
        return relay

    def remove(self, relay: Relay) -> None:
        """Take a relay out of every index."""
        self._by_id.pop(relay.relay, None)
        self._by_pair.pop(frozenset((relay.left, relay.right)), None)
        for client in (relay.left, relay.right):
            relays = self._by_client.get(client, {})
            relays.pop(relay.relay, None)
            if not relays:
                self._by_client.pop(client, None)

    def expired(self, now: float) -> list[Relay]:
        """Offers without an answer and relays that one client has not renewed."""
        return [relay for relay in self if now >= relay.expires]
