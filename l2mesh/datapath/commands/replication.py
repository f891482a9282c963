"""Broadcasts that members replicate for each other (section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "RemoveSource",
    "SetAssignment",
    "SetReplication",
    "SetSource",
    "StopReplication",
]


@dataclass(frozen=True, slots=True)
class SetReplication:
    """Frames for every member leave as GROUP from now on (section 4.1), signed with ``secret``.

    ``secret`` is an Ed25519 one (64 bytes: seed | public key), ``source`` our fingerprint. A new
    ``generation`` begins to count anew. ``targets`` are those to whom we send ourselves, with the
    assignment under which they carry it on (0: not at all). None: frames wait for them, and
    `NeedReplicators` tells. Who is new in ``targets`` also gets the frames of the last 4 s, at most
    256 and 256 KiB; receivers take each once.
    """

    network: int
    source: bytes
    secret: bytes = field(repr=False)
    generation: int
    targets: tuple[tuple[bytes, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class StopReplication:
    """Frames for every member leave for each of them again."""

    network: int


@dataclass(frozen=True, slots=True)
class SetAssignment:
    """Carry broadcasts of ``source`` that name assignment ``number`` on to ``members``.

    The assignment before it goes on; older ones end. No members: both end.
    """

    network: int
    source: bytes
    number: int
    members: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SetSource:
    """Believe broadcasts that this member signed with its Ed25519 key ``signing`` (32 bytes).

    ``relay``: it may bring those of others. ``generation`` is what it told us itself, 0: nothing.
    """

    network: int
    peer: bytes
    signing: bytes
    relay: bool = False
    generation: int = 0


@dataclass(frozen=True, slots=True)
class RemoveSource:
    """Believe its broadcasts no more, nor those that it brings."""

    network: int
    peer: bytes
