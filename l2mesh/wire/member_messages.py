"""Messages between two members: meeting (section 8.3), and candidates (section 8.4)."""

from typing import Annotated, ClassVar, Final, NamedTuple, Self

from msgspec import Meta, Struct

from l2mesh.errors import ConfigError, MalformedPacket
from l2mesh.wire.endpoint import Endpoint, format_endpoint, parse_endpoint
from l2mesh.wire.fields import (
    U32,
    EndpointText,
    IndexNumber,
    Lane,
    Name,
    Network,
    SignedObject,
    Uint,
)

__all__ = [
    "MAX_CANDIDATES",
    "MAX_LANES",
    "MAX_SEEN",
    "Call",
    "Candidates",
    "Indices",
    "LaneIndex",
    "Meet",
    "Refuse",
    "Want",
]

MAX_LANES: Final = 256
MAX_CANDIDATES: Final = 8
MAX_SEEN: Final = 4


class Meet(Struct, frozen=True):
    """Here is my signed credential, and the revision of the revocations that I hold.

    `generation` is that of the broadcasts which I sign (section 4.1); 0: I know nothing of such.
    """

    VERB: ClassVar[int] = 0x30
    network: Network
    revocations: U32
    credential: SignedObject
    generation: Uint = 0


class LaneIndex(NamedTuple):
    """The receive index (u24) of one lane."""

    lane: Lane
    number: IndexNumber


class Indices(Struct, frozen=True):
    """Frames of this network may be sent to these indices of mine; none: no more."""

    VERB: ClassVar[int] = 0x31
    network: Network
    indices: Annotated[tuple[LaneIndex, ...], Meta(max_length=MAX_LANES)]

    def __post_init__(self) -> None:
        if len({entry.lane for entry in self.indices}) != len(self.indices):
            raise MalformedPacket("a lane occurs twice")


class Want(Struct, frozen=True):
    """I hold this revision of the revocations: send yours if it is newer."""

    VERB: ClassVar[int] = 0x32
    network: Network
    revocations: U32


class Refuse(Struct, frozen=True):
    """The one refusal, whatever its reason."""

    VERB: ClassVar[int] = 0x33
    network: Network


class Candidates(Struct, frozen=True):
    """Where I might be reached directly: endpoints as text, at most 8."""

    VERB: ClassVar[int] = 0x34
    endpoints: Annotated[tuple[EndpointText, ...], Meta(max_length=MAX_CANDIDATES)]

    @classmethod
    def of(cls, endpoints: tuple[Endpoint, ...]) -> Self:
        """The message that names these endpoints."""
        return cls(tuple(format_endpoint(endpoint) for endpoint in endpoints))

    def parsed(self) -> tuple[Endpoint, ...]:
        """Those endpoints that can be read, each once; a later version may write other kinds."""
        return _readable(self.endpoints)


class Call(Struct, frozen=True):
    """I look for a direct path to you now, and this is how my NAT chooses ports for IPv4."""

    VERB: ClassVar[int] = 0x35
    mapping: Name
    """`unknown`, `open`, `independent`, `sequential`, `random`; of a later version another word."""
    endpoints: Annotated[tuple[EndpointText, ...], Meta(max_length=MAX_SEEN)]
    """As what planets see me, at most 4, the mapping made last first."""
    step: Uint = 0
    """Ports from one mapping to the next, of a sequential NAT."""

    @classmethod
    def of(cls, mapping: str, seen: tuple[Endpoint, ...], step: int) -> Self:
        """The message that tells this."""
        return cls(mapping, tuple(format_endpoint(endpoint) for endpoint in seen), step)

    def parsed(self) -> tuple[Endpoint, ...]:
        """Those endpoints that can be read, each once."""
        return _readable(self.endpoints)


def _readable(texts: tuple[str, ...]) -> tuple[Endpoint, ...]:
    found: dict[Endpoint, None] = {}
    for text in texts:
        try:
            found[parse_endpoint(text)] = None
        except ConfigError:
            continue
    return tuple(found)
