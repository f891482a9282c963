"""Messages between a member and its controller: joining, and what is pushed later (section 8.1).

Signed objects travel as bytes and are opened by `l2mesh.credential`. REVOCATIONS stands here
because it comes from the controller first; anyone who holds it may pass it on.
"""

from enum import StrEnum
from typing import Annotated, ClassVar, Final, NamedTuple

from msgspec import Meta, Struct

from l2mesh.wire.fields import (
    U32,
    Fingerprint,
    Name,
    Network,
    PublicBytes,
    Reason,
    Revision,
    SignedObject,
    Token,
    Uint,
)

__all__ = [
    "MAX_ROSTER_ENTRIES",
    "Config",
    "Credential",
    "Join",
    "JoinReply",
    "JoinStatus",
    "Leave",
    "Revocations",
    "Roster",
    "RosterMember",
]

MAX_ROSTER_ENTRIES: Final = 4096
"""Members in one ROSTER, and as many removed ones."""


class Join(Struct, frozen=True, kw_only=True):
    """Node to controller: let me in, and send what is newer than I hold (0 = nothing is held).

    `config`, `roster` and `revocations` are revisions, `serial` that of our credential, `epoch` the
    highest minimum epoch that we know.
    """

    VERB: ClassVar[int] = 0x20
    network: Network
    name: Name = ""
    token: Token | None = None
    config: Revision = 0
    roster: Revision = 0
    serial: Uint = 0
    epoch: Uint = 0
    revocations: U32 = 0

    def __repr__(self) -> str:
        # the token is a secret, and messages end up in logs
        return f"Join(network={self.network:016x}, name={self.name!r})"


class JoinStatus(StrEnum):
    """What the controller makes of a JOIN."""

    OK = "ok"
    PENDING = "pending"
    DENIED = "denied"
    NOT_FOUND = "not_found"
    ERROR = "error"


class JoinReply(Struct, frozen=True):
    """Controller to node: the state of a membership; pushed again when it changes."""

    VERB: ClassVar[int] = 0x21
    network: Network
    status: JoinStatus
    reason: Reason = ""


class Config(Struct, frozen=True):
    """Controller to member: the signed network config (section 9.3)."""

    VERB: ClassVar[int] = 0x22
    network: Network
    object: SignedObject


class Credential(Struct, frozen=True):
    """Controller to member: its own signed credential (section 9.2)."""

    VERB: ClassVar[int] = 0x23
    network: Network
    object: SignedObject


class RosterMember(NamedTuple):
    """A member's signed credential and the public identity that it is for."""

    credential: SignedObject
    public: PublicBytes


class Roster(Struct, frozen=True):
    """Controller to member: what takes a roster from revision `base` to `revision`.

    `base` 0 replaces the whole roster. `removed` lists fingerprints.
    """

    VERB: ClassVar[int] = 0x24
    network: Network
    base: Revision
    revision: Revision
    members: Annotated[tuple[RosterMember, ...], Meta(max_length=MAX_ROSTER_ENTRIES)] = ()
    removed: Annotated[tuple[Fingerprint, ...], Meta(max_length=MAX_ROSTER_ENTRIES)] = ()


class Revocations(Struct, frozen=True):
    """From anyone who holds it: the signed revocations (section 9.4)."""

    VERB: ClassVar[int] = 0x25
    network: Network
    object: SignedObject


class Leave(Struct, frozen=True):
    """Member to controller: I leave."""

    VERB: ClassVar[int] = 0x26
    network: Network
