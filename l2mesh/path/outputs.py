"""What a peer's paths ask of their owner: a PROBE, a change of path, or a new session."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from l2mesh.datapath.interface import Endpoint, Path

__all__ = [
    "PathChanged",
    "PathOutput",
    "PeerSilent",
    "SendCopies",
    "SendOpener",
    "SendProbe",
    "SendingChanged",
    "TellAgain",
]


class SendProbe(NamedTuple):
    """Send a PROBE with this nonce (u64) by this path.

    ``size`` is the length in bytes to which the datagram is padded, without a RELAY header; 0: not.
    """

    nonce: int
    path: Path
    size: int = 0


class SendOpener(NamedTuple):
    """Open our own NAT towards this endpoint by a datagram that does not get as far."""

    endpoint: Endpoint


class TellAgain(NamedTuple):
    """Tell the peer our endpoints once more, behind the openers: it then tries them, too."""


class PathChanged(NamedTuple):
    """Reach the peer by ``path`` from now on (None: not at all).

    ``size`` is the largest datagram in bytes, without a RELAY header; 0 where there is no path.
    ``spread``: as in `SetPath`.
    """

    path: Path | None
    size: int
    spread: tuple[Endpoint, ...] = ()


class SendingChanged(NamedTuple):
    """The path in use is the same, but ``size`` bytes are now the largest datagram, or frames are
    spread otherwise."""

    path: Path
    size: int
    spread: tuple[Endpoint, ...] = ()


class SendCopies(NamedTuple):
    """For a moment what goes to the peer goes by ``path`` as well.

    ``size`` is the largest datagram there in bytes, without a RELAY header.
    """

    path: Path
    size: int


class PeerSilent(NamedTuple):
    """No path answers: the peer is gone, or it has lost the session. Begin a new one."""


PathOutput: TypeAlias = (
    SendProbe | SendOpener | TellAgain | PathChanged | SendingChanged | SendCopies | PeerSilent
)
