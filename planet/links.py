"""Relays whose two clients are at two planets: one hop in between (section 7.6).

A *link* is this planet's half of such a relay: one client here, the other at a sister planet. The
relay has one id, and datagrams pass client, planet, sister, client untouched.

| state   | event                                     | next    | sent                             |
|---------|-------------------------------------------|---------|----------------------------------|
| -       | request for a peer who is not here        | ASKED   | LINK_REQUEST to the first sister |
| ASKED   | answer no, or 1 s                         | ASKED   | LINK_REQUEST to the next sister  |
| ASKED   | no sister is left                         | -       | RELAY_FAILED absent              |
| ASKED   | answer yes                                | READY   | RELAY_READY                      |
| -       | LINK_REQUEST, the peer is here            | OFFERED | RELAY_OFFER                      |
| -       | LINK_REQUEST, not here, or a quota        | -       | LINK_ANSWER no                   |
| OFFERED | answer yes, or the client asks itself     | READY   | LINK_ANSWER yes, RELAY_READY     |
| OFFERED | answer no, or 5 s                         | -       | LINK_ANSWER no                   |
| READY   | request (a client was started anew)       | READY   | RELAY_READY, LINK_REQUEST        |
| READY   | LINK_REQUEST of the same relay            | READY   | LINK_ANSWER yes, RELAY_READY     |
| READY   | answer no                                 | -       | RELAY_GONE                       |
| READY   | 90 s without RELAY_RENEW, a side has gone | -       | LINK_GONE, RELAY_GONE            |

If both clients ask at once, the request of the smaller fingerprint counts. A LINK_REQUEST is never
passed on, so there is one hop and no loop. Like the rendezvous the machine calls nobody.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from l2mesh.crypto import Random
from l2mesh.datapath.interface import Endpoint, RemoveRelay, SetRelay
from l2mesh.identity import PublicIdentity
from l2mesh.relay.rendezvous import SWEEP_S, TELL_AGAIN_S, Outcome
from l2mesh.relay.table import LIFE_S, MAX_OFFERS, MAX_RELAYS, OFFER_S
from l2mesh.wire.message import (
    LinkAnswer,
    LinkGone,
    LinkRequest,
    RelayFailed,
    RelayFailure,
    RelayGone,
    RelayOffer,
    RelayReady,
)

__all__ = ["Links"]

ASK_S: Final = 1.0
"""How long one sister has to answer, unless she has a client to ask: then `OFFER_S`."""
MAX_LINKS: Final = 16_384
"""Over all sisters."""
_ID_BYTES: Final = 7

Where = Callable[[bytes], Endpoint | None]
"""The proven endpoint of a client or of a sister (fingerprint)."""


class _State(enum.Enum):
    ASKED = "asked"
    OFFERED = "offered"
    READY = "ready"


@dataclass(slots=True)
class _Link:
    relay: int
    client: bytes
    """Ours."""
    other: bytes
    """The one at the sister."""
    sister: bytes
    state: _State
    expires: float
    told_at: float = 0.0
    """When the sister was last reminded of it."""
    untried: deque[bytes] = field(default_factory=deque)
    """Sisters that have not been asked yet."""


class Links:
    """All links. A client has at most 1,024, four of them undecided; 16,384 in all."""

    def __init__(
        self,
        random: Random,
        *,
        where: Where,
        publics: Callable[[bytes], bytes | None],
        is_taken: Callable[[int], bool],
    ) -> None:
        """``publics`` gives the public identity (128 bytes) of a client, None if it is not here;
        ``is_taken`` says whether a relay id belongs to a relay of two clients here."""
        self._random = random
        self._where = where
        self._publics = publics
        self._is_taken = is_taken
        self._offered: set[int] = set()
        self._links: dict[int, _Link] = {}
        self._by_pair: dict[tuple[bytes, bytes], _Link] = {}
        self._by_client: dict[bytes, set[int]] = {}
        self._sweep_at: float | None = None

    @property
    def ready(self) -> int:
        """How many forward now."""
        return sum(link.state is _State.READY for link in self._links.values())

    def has(self, relay: int) -> bool:
        """Whether a relay id is one of ours."""
        return relay in self._links

    # --- clients ----------------------------------------------------------------------------------

    def request(self, client: bytes, peer: bytes, sisters: Iterable[bytes], now: float) -> Outcome:
        """RELAY_REQUEST of ``client`` for somebody who is not here; ``sisters``: nearest first."""
        outcome = Outcome()
        link = self._by_pair.get((client, peer))
        if link is None:
            if not self._has_room(client):
                outcome.tell(client, RelayFailed(peer=peer, reason=RelayFailure.LIMIT))
                return outcome
            link = self._add(self._new_id(), client, peer, _State.ASKED, now)
            link.untried.extend(sisters)
            self._ask_next(link, outcome, now)
        elif link.state is _State.OFFERED:
            self._agree(link, outcome, now)  # who asks for it consents to it
        elif link.state is _State.READY:
            outcome.tell(client, RelayReady(relay=link.relay, peer=peer))
            self._remind(link, outcome, now)
        return outcome

    def answer(self, client: bytes, relay: int, now: float, *, accept: bool) -> Outcome:
        """RELAY_ANSWER of ``client`` to an offer that came from a sister."""
        outcome = Outcome()
        link = self._links.get(relay)
        if link is None or link.client != client or link.state is not _State.OFFERED:
            return outcome
        if accept:
            self._agree(link, outcome, now)
        else:
            self._refuse(link, outcome)
        return outcome

    def renew(self, client: bytes, relays: Iterable[int], now: float) -> None:
        """RELAY_RENEW of ``client``: those that are links of it live on."""
        for relay in relays:
            link = self._links.get(relay)
            if link is not None and link.client == client and link.state is _State.READY:
                link.expires = now + LIFE_S

    def moved(self, who: bytes) -> Outcome:
        """A client or a sister has another proven endpoint: legs move there."""
        outcome = Outcome()
        relays = self._by_client.get(who)
        own = None if relays is None else [self._links[relay] for relay in relays]
        for link in own if own is not None else self._links.values():
            if link.state is _State.READY and who in {link.client, link.sister}:
                self._forward(link, outcome)
        return outcome

    def client_gone(self, client: bytes) -> Outcome:
        """A client's last session has gone."""
        outcome = Outcome()
        for relay in list(self._by_client.get(client, ())):
            self._part(self._links[relay], outcome, tell_client=False)
        return outcome

    # --- sisters ----------------------------------------------------------------------------------

    def receive_request(self, sister: bytes, request: LinkRequest, now: float) -> Outcome:
        """A sister's client asks for one who may be ours."""
        outcome = Outcome()
        asker = _fingerprint(request.asker)
        if self._is_reminder(sister, asker, request):
            self._answer_again(self._links[request.relay], outcome)
            return outcome
        crossing = self._by_pair.get((request.peer, asker))
        is_fit = (
            self._publics(request.peer) is not None
            and self._publics(asker) is None
            and not self.has(request.relay)
            and not self._is_taken(request.relay)
            and self._offers_for(asker) < MAX_OFFERS
            and len(self._by_client.get(request.peer, ())) < MAX_RELAYS
            and len(self._links) < MAX_LINKS
        )
        if crossing is not None:
            is_asking = crossing.state is _State.ASKED
            is_fit = is_fit and (not is_asking or asker < request.peer)
        if not is_fit:
            outcome.tell(sister, LinkAnswer(relay=request.relay, accept=False))
            return outcome
        if crossing is not None:
            self._part(crossing, outcome, tell_client=crossing.state is _State.READY)
        link = self._add(request.relay, request.peer, asker, _State.OFFERED, now, sister)
        if crossing is not None and crossing.state is _State.ASKED:
            self._agree(link, outcome, now)
        else:
            outcome.tell(link.client, RelayOffer(relay=link.relay, peer=request.asker))
        return outcome

    def receive_answer(self, sister: bytes, answer: LinkAnswer, now: float) -> Outcome:
        """A sister has asked her client, or has no such client."""
        outcome = Outcome()
        link = self._links.get(answer.relay)
        if link is None or link.sister != sister or link.state is _State.OFFERED:
            if answer.accept:
                outcome.tell(sister, LinkGone(relays=(answer.relay,)))
        elif link.state is _State.READY:
            if not answer.accept:
                self._part(link, outcome, tell_sister=False)
        elif not answer.accept or not self._make_ready(link, outcome, now):
            self._ask_next(link, outcome, now)
        return outcome

    def receive_gone(self, sister: bytes, gone: LinkGone) -> Outcome:
        """A sister has let go of relays between us."""
        outcome = Outcome()
        for relay in gone.relays:
            link = self._links.get(relay)
            if link is not None and link.sister == sister:
                self._part(link, outcome, tell_sister=False)
        return outcome

    def sister_gone(self, sister: bytes) -> Outcome:
        """There is no session with a sister any more."""
        outcome = Outcome()
        for link in [each for each in self._links.values() if each.sister == sister]:
            self._part(link, outcome, tell_sister=False)
        return outcome

    # --- time -------------------------------------------------------------------------------------

    def handle_timeout(self, now: float) -> Outcome:
        """Ask on, and let go of what has expired."""
        outcome = Outcome()
        if self._sweep_at is None or now < self._sweep_at:
            return outcome
        for link in [each for each in self._links.values() if now >= each.expires]:
            if link.state is _State.ASKED:
                outcome.tell(link.sister, LinkGone(relays=(link.relay,)))
                self._ask_next(link, outcome, now)
            elif link.state is _State.OFFERED:
                self._refuse(link, outcome)
            else:
                self._part(link, outcome)
        self._sweep_at = now + SWEEP_S if self._links else None
        return outcome

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is needed."""
        return self._sweep_at

    # --- inside -----------------------------------------------------------------------------------

    def _ask_next(self, link: _Link, outcome: Outcome, now: float) -> None:
        public = self._publics(link.client)
        while link.untried and public is not None:
            link.sister = link.untried.popleft()
            if self._where(link.sister) is None:
                continue
            link.expires = now + (OFFER_S if not link.untried else ASK_S)
            request = LinkRequest(relay=link.relay, asker=public, peer=link.other)
            outcome.tell(link.sister, request)
            return
        self._remove(link, outcome)
        failed = RelayFailed(peer=link.other, reason=RelayFailure.ABSENT)
        outcome.tell(link.client, failed)

    def _remind(self, link: _Link, outcome: Outcome, now: float) -> None:
        """Our client asks again: the sister, or her client, may have been started anew."""
        public = self._publics(link.client)
        if public is not None and now >= link.told_at + TELL_AGAIN_S:
            link.told_at = now
            request = LinkRequest(relay=link.relay, asker=public, peer=link.other)
            outcome.tell(link.sister, request)

    def _is_reminder(self, sister: bytes, asker: bytes, request: LinkRequest) -> bool:
        link = self._links.get(request.relay)
        pair = (sister, request.peer, asker)
        return link is not None and (link.sister, link.client, link.other) == pair

    @staticmethod
    def _answer_again(link: _Link, outcome: Outcome) -> None:
        if link.state is _State.READY:
            outcome.tell(link.sister, LinkAnswer(relay=link.relay, accept=True))
            outcome.tell(link.client, RelayReady(relay=link.relay, peer=link.other))

    def _agree(self, link: _Link, outcome: Outcome, now: float) -> None:
        if self._make_ready(link, outcome, now):
            outcome.tell(link.sister, LinkAnswer(relay=link.relay, accept=True))
        else:
            self._refuse(link, outcome)

    def _refuse(self, link: _Link, outcome: Outcome) -> None:
        self._remove(link, outcome)
        outcome.tell(link.sister, LinkAnswer(relay=link.relay, accept=False))

    def _make_ready(self, link: _Link, outcome: Outcome, now: float) -> bool:
        if not self._forward(link, outcome):
            return False
        link.state, link.expires = _State.READY, now + LIFE_S
        self._offered.discard(link.relay)
        link.untried.clear()
        outcome.tell(link.client, RelayReady(relay=link.relay, peer=link.other))
        return True

    def _forward(self, link: _Link, outcome: Outcome) -> bool:
        """Each planet limits both clients, whichever leg they come by."""
        here, there = self._where(link.client), self._where(link.sister)
        if here is None or there is None:
            return False
        outcome.commands.append(SetRelay(link.relay, here, there, link.client, link.other))
        return True

    def _part(
        self,
        link: _Link,
        outcome: Outcome,
        *,
        tell_client: bool = True,
        tell_sister: bool = True,
    ) -> None:
        """End a link whatever its state is, and tell those who count on it."""
        self._remove(link, outcome)
        if tell_sister:
            is_offered = link.state is _State.OFFERED
            gone = LinkGone(relays=(link.relay,))
            refusal = LinkAnswer(relay=link.relay, accept=False)
            outcome.tell(link.sister, refusal if is_offered else gone)
        if not tell_client:
            return
        if link.state is _State.READY:
            outcome.tell(link.client, RelayGone(relays=(link.relay,)))
        elif link.state is _State.ASKED:
            failed = RelayFailed(peer=link.other, reason=RelayFailure.ABSENT)
            outcome.tell(link.client, failed)

    def _add(
        self,
        relay: int,
        client: bytes,
        other: bytes,
        state: _State,
        now: float,
        sister: bytes = b"",
    ) -> _Link:
        link = _Link(relay, client, other, sister, state, now + OFFER_S)
        self._links[relay] = link
        self._by_pair[client, other] = link
        self._by_client.setdefault(client, set()).add(relay)
        if state is _State.OFFERED:
            self._offered.add(relay)
        if self._sweep_at is None:
            self._sweep_at = now + SWEEP_S
        return link

    def _remove(self, link: _Link, outcome: Outcome) -> None:
        del self._links[link.relay]
        self._offered.discard(link.relay)
        del self._by_pair[link.client, link.other]
        relays = self._by_client[link.client]
        relays.discard(link.relay)
        if not relays:
            del self._by_client[link.client]
        if link.state is _State.READY:
            outcome.commands.append(RemoveRelay(link.relay))

    def _has_room(self, client: bytes) -> bool:
        relays = self._by_client.get(client, set())
        asked = sum(self._links[relay].state is _State.ASKED for relay in relays)
        return asked < MAX_OFFERS and len(relays) < MAX_RELAYS and len(self._links) < MAX_LINKS

    def _offers_for(self, asker: bytes) -> int:
        return sum(self._links[relay].other == asker for relay in self._offered)

    def _new_id(self) -> int:
        number = 0
        while number == 0 or number in self._links or self._is_taken(number):
            number = int.from_bytes(self._random(_ID_BYTES), "big")
        return number


def _fingerprint(public: bytes) -> bytes:
    """Of a public identity whose binding its receiver, the client, verifies."""
    return PublicIdentity(public[:32], public[32:64], public[64:]).fingerprint
