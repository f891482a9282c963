"""What a set of sessions gives out: commands for the engine, and events for the node."""

from dataclasses import dataclass
from typing import TypeAlias

from l2mesh.datapath.interface import (
    InstallReceive,
    InstallSend,
    Path,
    RemoveReceive,
    RemoveSend,
    RemoveSession,
)


@dataclass(frozen=True, slots=True)
class SendHandshake:
    """Send INIT (`path` None: by every path known) or RESPONSE (by `path`).

    `handshake` is the number under which an answer to an INIT will come, None for a RESPONSE.
    """

    datagram: bytes
    handshake: int | None
    path: Path | None
    is_renewal: bool = False
    """A first INIT while there is a session: by the path in use alone, if that answers."""


@dataclass(frozen=True, slots=True)
class SessionLive:
    """A session can be used; `initiator` says whether we began it, and so owe the first PROBE."""

    session: int
    initiator: bool


@dataclass(frozen=True, slots=True)
class SessionCurrent:
    """This is the session to send on from now on."""

    session: int


@dataclass(frozen=True, slots=True)
class SessionDead:
    """A session that was live is no more; its keys are erased."""

    session: int


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """Nobody answered for 30 s, or we have no index left."""


SessionOutput: TypeAlias = (
    InstallReceive
    | InstallSend
    | RemoveReceive
    | RemoveSend
    | RemoveSession
    | SendHandshake
    | SessionLive
    | SessionCurrent
    | SessionDead
    | ConnectFailed
)
