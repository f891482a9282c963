"""Messages of the reliable channel: `verb u8 | body` (section 6).

Each verb is one frozen Struct, and its fields say what they may hold; they stand by family in
`planet_messages`, `controller_messages`, `member_messages`, `switch_messages` and
`replication_messages`. A signed object
travels as bytes, named `object` or `credential`; what is inside is in `l2mesh.credential`.
"""

from typing import Final, TypeAlias

from l2mesh.errors import MalformedPacket
from l2mesh.wire.body import pack, unpack
from l2mesh.wire.controller_messages import (
    Config,
    Credential,
    Join,
    JoinReply,
    JoinStatus,
    Leave,
    Revocations,
    Roster,
    RosterMember,
)
from l2mesh.wire.link_messages import LinkAnswer, LinkGone, LinkRequest
from l2mesh.wire.member_messages import Call, Candidates, Indices, LaneIndex, Meet, Refuse, Want
from l2mesh.wire.planet_messages import (
    Draining,
    RelayAnswer,
    RelayFailed,
    RelayFailure,
    RelayGone,
    RelayOffer,
    RelayReady,
    RelayRenew,
    RelayRequest,
    Whois,
    WhoisReply,
)
from l2mesh.wire.replication_messages import Replicate, Replicating
from l2mesh.wire.switch_messages import (
    Listed,
    Relearn,
    Sighted,
    SightingConfirmed,
    WantedGroup,
    WantedGroups,
)
from l2mesh.wire.world_messages import HaveWorld, WorldUpdate

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MESSAGES",
    "PRIORITIES",
    "PRIORITY",
    "Call",
    "Candidates",
    "Config",
    "Credential",
    "Draining",
    "HaveWorld",
    "Indices",
    "Join",
    "JoinReply",
    "JoinStatus",
    "LaneIndex",
    "Leave",
    "LinkAnswer",
    "LinkGone",
    "LinkRequest",
    "Listed",
    "Meet",
    "Message",
    "Refuse",
    "RelayAnswer",
    "RelayFailed",
    "RelayFailure",
    "RelayGone",
    "RelayOffer",
    "RelayReady",
    "RelayRenew",
    "RelayRequest",
    "Relearn",
    "Replicate",
    "Replicating",
    "Revocations",
    "Roster",
    "RosterMember",
    "Sighted",
    "SightingConfirmed",
    "UnknownVerb",
    "Want",
    "WantedGroup",
    "WantedGroups",
    "Whois",
    "WhoisReply",
    "WorldUpdate",
    "decode_message",
    "encode_message",
]

MAX_MESSAGE_BYTES: Final = 1024 * 1024
"""Of verb and body together."""

Message: TypeAlias = (
    Whois
    | WhoisReply
    | RelayRequest
    | RelayOffer
    | RelayAnswer
    | RelayReady
    | RelayFailed
    | RelayRenew
    | RelayGone
    | Draining
    | LinkRequest
    | LinkAnswer
    | LinkGone
    | Join
    | JoinReply
    | Config
    | Credential
    | Roster
    | Revocations
    | Leave
    | HaveWorld
    | WorldUpdate
    | Meet
    | Indices
    | Want
    | Refuse
    | Candidates
    | Call
    | Sighted
    | SightingConfirmed
    | Relearn
    | WantedGroups
    | Replicate
    | Replicating
)

MESSAGES: Final[tuple[type[Message], ...]] = Message.__args__
"""Every verb's Struct, in the order of the verbs."""

_BY_VERB: Final = {kind.VERB: kind for kind in MESSAGES}

_MEMBERSHIP: Final = (
    Join,
    JoinReply,
    Config,
    Credential,
    Roster,
    Leave,
    Meet,
    Indices,
    Want,
    Refuse,
)
PRIORITIES: Final = 3
PRIORITY: Final[dict[type[Message], int]] = (
    dict.fromkeys(MESSAGES, 2) | dict.fromkeys(_MEMBERSHIP, 1) | {Revocations: 0}
)
"""Which of the waiting messages leave first: revocations 0, membership 1, the rest 2."""


class UnknownVerb(MalformedPacket):
    """A message that only a later version understands: `verb` is its number. It is skipped."""

    def __init__(self, verb: int) -> None:
        super().__init__(f"verb {verb:#04x} is unknown")
        self.verb = verb


def encode_message(message: Message) -> bytes:
    """The bytes of a message; MalformedPacket when a field holds what no peer would take."""
    data = bytes([message.VERB]) + pack(message)
    if len(data) > MAX_MESSAGE_BYTES:
        raise MalformedPacket(f"a message of {len(data)} bytes is too long")
    return data


def decode_message(data: bytes) -> Message:
    """The message in `data`. Raises UnknownVerb, and MalformedPacket for anything else amiss."""
    if not data or len(data) > MAX_MESSAGE_BYTES:
        raise MalformedPacket(f"a message of {len(data)} bytes")
    kind = _BY_VERB.get(data[0])
    if kind is None:
        raise UnknownVerb(data[0])
    return unpack(data[1:], kind)
