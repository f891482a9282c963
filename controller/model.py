"""What a controller keeps: networks with their settings and numbers, members, revocations.

These are values; the store reads them from rows and the issuer turns them into signed objects. A
signed object is a pure function of such values and the signing identity: the same row always
gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from l2mesh.errors import L2meshError

__all__ = [
    "RIGHTS",
    "Limit",
    "Member",
    "Network",
    "NotFound",
    "Numbers",
    "Reported",
    "Request",
    "Revoked",
    "Route",
    "Settings",
    "Standing",
]

RIGHTS: Final = ("bridge", "router", "dhcp", "ra", "relay")
"""What a member may be allowed beyond sending from its own MAC (section 9.2)."""


class NotFound(L2meshError):
    """There is no such network or member here."""


Limit: TypeAlias = str | int
"""``pass``, ``drop`` or frames a second."""


@dataclass(frozen=True, slots=True)
class Route:
    """A prefix that members may reach through the network; ``via`` is an address in it, or None."""

    destination: str
    via: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``network create`` and ``network set`` choose; all but ``pools`` have a default."""

    name: str = ""
    public: bool = False
    """Everybody who asks is a member."""
    mtu: int = 1500
    pools: tuple[str, ...] = ()
    """Prefixes from which members get addresses, one address of each."""
    routes: tuple[Route, ...] = ()
    dns: tuple[str, ...] = ()
    guard: str = "default"
    broadcast: Limit = 500
    multicast: Limit = 500
    unknown_unicast: Limit = 500
    arp: Limit = 500
    nd: Limit = 500
    discovery: Limit = 500
    bpdu: str = "block"
    snooping: bool = True
    """IP groups go to members that want them."""
    querier: bool = True
    """Members ask their hosts for that, where nobody else does."""
    unknown_groups: str = "flood"
    replicate_above: int = 250
    """With more members broadcasts are replicated by those with the right ``relay``; 0: never."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What only ever rises in a network: members refuse anything older than what they hold."""

    config: int = 1
    """Revision of the config."""
    roster: int = 0
    """Revision of the roster; every change of one member takes a number of its own."""
    roster_floor: int = 0
    """A roster older than this gets no delta but the whole (a backup was restored)."""
    serial: int = 0
    """The highest serial of any credential."""
    epoch: int = 1
    revocations: int = 0
    minimum_epoch: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """A network; a deleted one is kept for its numbers, which must not begin anew."""

    id: int
    settings: Settings
    numbers: Numbers
    is_deleted: bool = False


class Standing(StrEnum):
    """Whether somebody may take part."""

    PENDING = "pending"
    AUTHORIZED = "authorized"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who asked to join, or was authorised before asking."""

    network: int
    fingerprint: bytes
    address: bytes
    """5 bytes, checked against the fingerprint when the row was made."""
    public: bytes | None
    """The 128 bytes of its identity; None until it has asked."""
    name: str
    standing: Standing
    mac: bytes
    rights: frozenset[str] = frozenset()
    groups: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    """``ip/prefixlen``, in the order of the pools, or as set by hand."""
    has_manual_addresses: bool = False
    serial: int = 0
    """Of its newest credential; 0 if it never had one."""
    changed: int = 0
    """The roster revision of its newest credential."""


@dataclass(frozen=True, slots=True)
class Request:
    """A JOIN whose sender the session has proved."""

    fingerprint: bytes
    address: bytes
    public: bytes
    name: str
    token: bytes | None


@dataclass(frozen=True, slots=True)
class Reported:
    """What a member says it holds; 0 is nothing. Higher than ours: our state is an old backup."""

    config: int = 0
    roster: int = 0
    serial: int = 0
    epoch: int = 0
    revocations: int = 0


@dataclass(frozen=True, slots=True)
class Revoked:
    """Credentials of this fingerprint up to ``serial`` count no more, since roster ``changed``."""

    fingerprint: bytes
    serial: int
    changed: int
