"""Where a node may stand, and what is possible between two such places."""

import enum
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final, TypeAlias

__all__ = [
    "AIM_S",
    "Aim",
    "Neighbours",
    "Outcome",
    "Pair",
    "Place",
    "aim_of",
    "is_searched",
    "limit_s",
    "pairs",
]


class Place(enum.Enum):
    """One end; the words of the NATs are those of `tests/simulator/nat.py`."""

    OPEN = "open"  # a public IPv4 address
    FULL_CONE = "full cone"
    ADDRESS = "address"  # address-restricted
    PORT = "port"  # port-restricted, as most homes are
    DOUBLE = "double"  # port-restricted behind port-restricted
    RANDOM = "random"  # symmetric, a random port for each destination
    BLOCK = "block"  # symmetric, a random port of the 512 that a carrier's customer has
    SEQUENTIAL = "sequential"  # symmetric, the next port for each destination
    BLOCKED = "blocked"  # UDP goes nowhere; what it has reaches planets only
    IPV6 = "IPv6 only"  # behind a firewall that lets in whom it was sent to
    DUAL = "dual"  # port-restricted IPv4, and IPv6 behind a firewall
    NAT64 = "NAT64"  # IPv6 behind a firewall, which leads to IPv4, port-restricted


class Neighbours(enum.Enum):
    """Two ends that are close to each other."""

    SAME_LAN = "same LAN"  # behind one symmetric NAT
    HAIRPIN = "hairpin"  # in two homes below one NAT that hairpins
    NO_HAIRPIN = "no hairpin"  # the same below one that does not


Pair: TypeAlias = tuple[Place, Place] | Neighbours


class Aim(enum.Enum):
    """What must come of a pair."""

    DIRECT = "direct"
    """A direct path, always."""
    GUESSED = "guessed"
    """A direct path in most runs: a port has to be foretold."""
    RELAY = "relay"
    """The relay, at once; a direct path is impossible, or luck."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one pair in one run."""

    seed: int
    direct_s: float | None
    """Seconds from the first frame until both ends send directly; None: not within the run."""
    answered_s: float | None
    """Seconds from the first frame to the first answer, by any path."""
    lost: int
    """Pings without an answer, of all that were sent during the run."""
    probes: int
    """Datagrams of both ends in the busiest minute that went neither to a planet nor by the path in
    use."""


_DRAWS: Final = frozenset({Place.RANDOM, Place.BLOCK})
_SYMMETRIC: Final = _DRAWS | {Place.SEQUENTIAL}
_LETS_IN_ANY_PORT: Final = frozenset({Place.OPEN, Place.FULL_CONE, Place.ADDRESS})
_WITH_IPV6: Final = frozenset({Place.IPV6, Place.NAT64, Place.DUAL})

AIM_S: Final = {Aim.DIRECT: 3.0, Aim.GUESSED: 10.0}
"""How soon, in seconds; with a symmetric end 5 s are allowed."""
SYMMETRIC_S: Final = 5.0


def aim_of(pair: Pair) -> Aim:
    """What must come of two places."""
    if isinstance(pair, Neighbours):
        return Aim.RELAY if pair is Neighbours.NO_HAIRPIN else Aim.DIRECT
    ends = set(pair)
    if Place.BLOCKED in ends:
        return Aim.RELAY
    if ends <= _WITH_IPV6:
        return Aim.DIRECT
    if Place.IPV6 in ends:
        return Aim.RELAY
    if not ends & _SYMMETRIC or (ends & _LETS_IN_ANY_PORT):
        return Aim.DIRECT
    return Aim.RELAY if ends & _DRAWS else Aim.GUESSED


def limit_s(pair: Pair) -> float:
    """How soon it must be direct, in seconds; infinite where it need not be."""
    aim = aim_of(pair)
    if aim is Aim.DIRECT and not isinstance(pair, Neighbours) and set(pair) & _SYMMETRIC:
        return SYMMETRIC_S
    return AIM_S.get(aim, float("inf"))


def is_searched(pair: Pair) -> bool:
    """Whether ports are or might be foretold: each such pair is watched for a whole minute."""
    if isinstance(pair, Neighbours) or not set(pair) & _SYMMETRIC:
        return False
    return aim_of(pair) is not Aim.DIRECT and not set(pair) & {Place.BLOCKED, Place.IPV6}


def pairs() -> list[Pair]:
    """All pairs, each once, a place with its like included, and those near each other."""
    return [*combinations_with_replacement(Place, 2), *Neighbours]
