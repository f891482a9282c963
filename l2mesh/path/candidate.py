"""Candidates: the endpoints at which a peer might be reached, and which of them we would try.

A candidate is only a guess until a PROBE_REPLY came back from it (section 8.4 of
``docs/protocol.md``). Guesses come from the peer and from whoever can put a source address on a
datagram, so every kind has a cap, and an endpoint that cannot be a peer's is refused outright.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from l2mesh.datapath.interface import Endpoint, Path
from l2mesh.datapath.streams import is_stream
from l2mesh.path.size import SizeSearch

__all__ = [
    "MAX_RELAYS",
    "MAX_TOLD",
    "Candidate",
    "CandidateTable",
    "Kind",
    "Opening",
    "Prefix",
    "acceptable",
    "own_candidates",
]

Prefix: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_TOLD: Final = 8
"""Endpoints that one peer may name to us, and that we name to a peer."""
MAX_RELAYS: Final = 20
"""Relays to one peer: as many as a world has planets, and four at members."""
_RTT_WEIGHT: Final = 8
_LOSS_WEIGHT: Final = 32
_CHANCE: Final = 0.05
"""A loss up to this share may be chance: one PROBE of the last few."""
_SHUN_S: Final = 100.0
_LOSS_S: Final = 1.0
"""Round trip that weighs as much as losing everything: each percent counts as 10 ms."""
_FALSE_ALARM_S: Final = 1.0
_FORGIVEN_S: Final = 600.0
"""After so long without a false alarm those before it count no more."""
_STEADY_S: Final = 2.0
_MAX_PORT: Final = 65535


class Kind(enum.Enum):
    """Where a candidate comes from."""

    LOCAL = "local"  # an address of one of our own interfaces; only ever told to peers
    OBSERVED = "observed"  # our own endpoint as a planet sees it; only ever told to peers
    REMEMBERED = "remembered"  # it worked the last time
    TOLD = "told"  # the peer named it, or the world names it for a planet
    LAN = "lan"  # it has announced itself on a LAN of ours
    SEEN = "seen"  # the source of an authentic datagram
    RELAY = "relay"  # a relay id at a planet, agreed by both ends
    STREAM = "stream"  # datagrams over TLS, where UDP does not get through


_CAPS: Final = {
    Kind.REMEMBERED: 4,
    Kind.TOLD: MAX_TOLD,
    Kind.LAN: 2,
    Kind.SEEN: 4,
    Kind.RELAY: MAX_RELAYS,
    Kind.STREAM: 4,
}


def acceptable(
    endpoint: Endpoint, overlay_prefixes: Iterable[Prefix] = (), *, loopback_ok: bool = False
) -> bool:
    """Whether ``endpoint`` could be a peer's place in the underlay.

    ``overlay_prefixes`` are the pools and routes of our networks: a path through one of them would
    carry the mesh inside itself. ``loopback_ok`` only where our own underlay is loopback (tests).
    """
    if not 0 < endpoint.port <= _MAX_PORT:
        return False
    try:
        address = ipaddress.ip_address(endpoint.host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None or address.ipv4_mapped is not None:
            return False  # one address has one spelling here
        if address.is_loopback:
            return loopback_ok
    elif address.is_loopback:
        return loopback_ok
    if (
        is_stream(endpoint)
        or address.is_unspecified
        or address.is_multicast
        or address.is_link_local
    ):
        return False
    if str(address) == "255.255.255.255" or address.packed[0] == 0:
        return isinstance(address, ipaddress.IPv6Address)
    return not any(
        address.version == prefix.version and address in prefix for prefix in overlay_prefixes
    )


def own_candidates(
    local: Iterable[Endpoint],
    observed: Iterable[Endpoint],
    overlay_prefixes: Iterable[Prefix] = (),
    *,
    loopback_ok: bool = False,
) -> tuple[Endpoint, ...]:
    """What we tell a peer in CANDIDATES: at most 8, each once.

    Observed endpoints first: of many interfaces some may be left out, the way in from outside
    must not be.
    """
    prefixes = tuple(overlay_prefixes)
    wanted = dict.fromkeys([*observed, *local])
    fit = [
        endpoint for endpoint in wanted if acceptable(endpoint, prefixes, loopback_ok=loopback_ok)
    ]
    return tuple(fit[:MAX_TOLD])


class Opening(enum.Enum):
    """How far a round is with the opener to a candidate (`l2mesh.path.opening`)."""

    NONE = 0
    """It needs none, or PROBEs follow already."""
    DUE = 1
    """An opener goes first."""
    DONE = 2
    """It has gone; PROBEs wait for the peer to begin as well."""


@dataclass(slots=True)
class Candidate:
    """One way to a peer and what we know of it; times are monotonic seconds."""

    path: Path
    kind: Kind
    added_at: float
    usable: bool = False
    """Direct: it has answered and has not died since. Relay: it has not died."""
    usable_since: float = 0.0
    """When it became usable: of two direct paths the one that answered first is used."""
    answered_at: float = float("-inf")
    """The last PROBE_REPLY from it."""
    probed_at: float = float("-inf")
    """The last PROBE to it."""
    asked_at: float = float("-inf")
    """The last PROBE from it."""
    asked_since: float = float("-inf")
    """The first of those that came within a second of each other."""
    used_at: float = float("-inf")
    """The last of them that came 2 s later, or more (`is_used`)."""
    left_at: float = float("-inf")
    """When flows were spread over it for the last time (`l2mesh.path.bond`)."""
    probes: int = 0
    """PROBEs sent to it, but for those that try a size."""
    answers: int = 0
    """Those of them that were answered."""
    avoided: bool = False
    """A relay whose planet is about to stop: any other that answers is better."""
    loss: float = 0.0
    """Share (0..1) of PROBEs that were not answered, of about the last 32."""
    rtt_s: float | None = None
    """Smoothed as in RFC 6298, weight 1/8."""
    round_at: float = 0.0
    """When its present round of probes began."""
    size: SizeSearch = field(init=False)
    """How large a datagram it carries."""
    doubted_at: float = float("-inf")
    """When it was left under load because it had not answered for a moment."""
    alarmed_at: float = float("-inf")
    """When it last answered within 1 s after it had been left so: a false alarm."""
    alarms: int = 0
    opening: Opening = Opening.NONE
    """Whether its round begins with an opener."""
    step: int | None = None
    """The next probe of the round, as an index into the schedule; None: no round."""

    def __post_init__(self) -> None:
        self.size = SizeSearch(self.path)

    @property
    def is_direct(self) -> bool:
        """Whether datagrams by it pass neither a relay nor a stream."""
        return self.kind is not Kind.RELAY and self.kind is not Kind.STREAM

    @property
    def uplink(self) -> int:
        """By which uplink of ours it leads; 0: as the host's routes say."""
        return self.path.endpoint.uplink

    @property
    def has_worked(self) -> bool:
        """Whether it has ever answered."""
        return self.rtt_s is not None

    def has_just_answered(self, now: float) -> bool:
        """Whether it is usable and answered within the last second."""
        return self.usable and self.answered_at > now - 1.0

    def is_asked_again(self, now: float) -> bool:
        """A PROBE of the peer's came by it: whether that is the second within a second."""
        before, self.asked_at = self.asked_at, now
        if before <= now - 1.0:
            self.asked_since = now
            return False
        if self.asked_since <= now - _STEADY_S:
            self.used_at = now
        return True

    def is_used(self, now: float, within_s: float = 1.0) -> bool:
        """Whether the peer's PROBEs come by it as by a path that it uses for frames."""
        return self.used_at > now - within_s

    def false_alarms(self, now: float) -> int:
        """How often it was left for nothing, if that happened within the last ten minutes."""
        return self.alarms if now < self.alarmed_at + _FORGIVEN_S else 0

    @property
    def cost_s(self) -> float:
        """What it costs to use it: the round trip, and 10 ms for each percent lost beyond five.

        Infinite while nothing is known of it.
        """
        if self.rtt_s is None:
            return float("inf")
        shun_s = _SHUN_S if self.avoided else 0.0
        return self.rtt_s + max(0.0, self.loss - _CHANCE) * _LOSS_S + shun_s

    def unanswered(self, sent_at: float) -> None:
        """A PROBE was not answered in time.

        One from before a direct path works again tells of the outage then, not of what it loses.
        """
        if self.is_direct and (not self.usable or sent_at < self.usable_since):
            return
        self.loss += (1.0 - self.loss) / _LOSS_WEIGHT

    def answer(self, now: float, rtt_s: float, *, is_size: bool = False) -> None:
        """A PROBE_REPLY came back from it after ``rtt_s`` seconds; its round is over.

        ``is_size``: to one that tried a size, and is not counted.
        """
        if now < self.doubted_at + _FALSE_ALARM_S:
            self.alarms = self.false_alarms(now) + 1
            self.alarmed_at = now
            self.doubted_at = float("-inf")
        self.answered_at = now
        self.answers += not is_size
        self.loss -= self.loss / _LOSS_WEIGHT
        self.step = None
        if self.rtt_s is None:
            self.rtt_s = rtt_s
        else:
            self.rtt_s += (rtt_s - self.rtt_s) / _RTT_WEIGHT
        if not self.usable:
            self.usable = True
            self.usable_since = now
            self.loss = 0.0 if self.is_direct else self.loss


class CandidateTable:
    """The candidates of one peer: at most 8 told, 4 seen, 4 remembered over each of at most 4
    uplinks, and 20 relays.

    A full kind gives up its oldest candidate that has not answered, else its oldest that is not
    usable; where all are usable the newcomer is refused. Relays are never given up for another.
    """

    def __init__(self) -> None:
        self._by_path: dict[Path, Candidate] = {}

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self._by_path.values())

    def get(self, path: Path) -> Candidate | None:
        """What is known of ``path``."""
        return self._by_path.get(path)

    def get_or_see(self, path: Path, now: float, *, direct: bool) -> Candidate | None:
        """The candidate of a path by which something authentic came; None if it is not for us."""
        candidate = self.get(path)
        if candidate is not None and candidate.is_direct and not direct:
            return None
        if candidate is None and not path.relay and direct:
            kind = Kind.STREAM if is_stream(path.endpoint) else Kind.SEEN
            candidate = self.add(path, kind, now)
        return candidate

    def direct(self, uplink: int | None = None) -> list[Candidate]:
        """Endpoints of the peer itself, oldest first; over one uplink, or over all."""
        return [each for each in self if each.is_direct and uplink in {None, each.uplink}]

    def by_latest_answer(self) -> list[Candidate]:
        """Endpoints that have ever answered, the latest first."""
        answered = [candidate for candidate in self.direct() if candidate.has_worked]
        return sorted(answered, key=lambda candidate: -candidate.answered_at)

    def relays(self) -> list[Candidate]:
        """Relays and streams, in the order in which they were added."""
        return [candidate for candidate in self if not candidate.is_direct]

    def add(self, path: Path, kind: Kind, now: float) -> Candidate | None:
        """The new candidate; None if it is known already or there is no room for it.

        A known one that was only seen counts as told once the peer names it.
        """
        known = self._by_path.get(path)
        if known is not None:
            if known.kind is Kind.SEEN and kind is Kind.TOLD and self._make_room(Kind.TOLD, path):
                known.kind = kind
            return None
        if not self._make_room(kind, path):
            return None
        candidate = Candidate(path, kind, now, usable=kind is Kind.RELAY, usable_since=now)
        self._by_path[path] = candidate
        return candidate

    def silent(self, path: Path, kind: Kind) -> Candidate | None:
        """What is known of ``path`` if the peer names it again and it does not work now."""
        known = self._by_path.get(path) if kind is Kind.TOLD else None
        return known if known is not None and known.is_direct and not known.usable else None

    def drop_direct(self) -> None:
        """No endpoint is usable until it answers again."""
        for candidate in self.direct():
            candidate.usable = False

    def remove(self, path: Path) -> None:
        """Forget ``path``, if it is known."""
        self._by_path.pop(path, None)

    def _make_room(self, kind: Kind, path: Path) -> bool:
        same = [each for each in self if each.kind is kind]
        if kind is not Kind.RELAY:
            same = [each for each in same if each.uplink == path.endpoint.uplink]
        if len(same) < _CAPS[kind]:
            return True
        if kind is Kind.RELAY:
            return False
        spare = [candidate for candidate in same if not candidate.usable]
        if not spare:
            return False
        oldest = min(spare, key=lambda candidate: (candidate.has_worked, candidate.added_at))
        self.remove(oldest.path)
        return True
