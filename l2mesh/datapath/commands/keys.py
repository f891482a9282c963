"""Which keys seal and open, and whose handshakes are let up."""

from __future__ import annotations

from dataclasses import dataclass

from l2mesh.crypto import Cipher

__all__ = [
    "InstallReceive",
    "InstallSend",
    "RemoveReceive",
    "RemoveSend",
    "RemoveSession",
    "SetGuard",
]


@dataclass(frozen=True, slots=True)
class InstallReceive:
    """Accept DATA on ``index`` (u24) from ``peer``.

    ``network`` 0 is control. ``elided`` = destination MAC | source MAC (12 bytes) for ELIDED
    frames, None when there are none to assume (section 4).
    """

    peer: bytes
    session: int
    network: int
    index: int
    cipher: Cipher
    key: bytes
    salt: bytes
    elided: bytes | None = None


@dataclass(frozen=True, slots=True)
class InstallSend:
    """From now on frames for (peer, network) leave with this index and key.

    For network 0 the key is kept for each session apart, because control names its session.
    Frames held for (peer, network) leave at once if there is a path. ``elided`` = destination MAC |
    source MAC (12 bytes) of the frames that may leave ELIDED on this index, None when none may.

    ``lane`` is the number of the thread that sends with it, so that none waits for another's
    counter. Lane 0 is for every thread that has none of its own, and takes the place of all lanes
    before; another lane counts only beside it. An engine of one thread needs lane 0 alone.
    """

    peer: bytes
    session: int
    network: int
    index: int
    cipher: Cipher
    key: bytes
    salt: bytes
    elided: bytes | None = None
    lane: int = 0


@dataclass(frozen=True, slots=True)
class RemoveReceive:
    """Forget a receive index; DATA on it meets silence."""

    index: int


@dataclass(frozen=True, slots=True)
class RemoveSend:
    """Send no frames to (peer, network) any more; held ones are dropped."""

    peer: bytes
    network: int


@dataclass(frozen=True, slots=True)
class RemoveSession:
    """Erase every key of a session, both directions, all networks."""

    peer: bytes
    session: int


@dataclass(frozen=True, slots=True)
class SetGuard:
    """Whose handshakes to let up (section 3.5): our X25519 public key, and a secret for cookies.

    ``secret`` (32 bytes) is the seed from which the engine derives a new cookie secret each 120 s.
    """

    public: bytes
    secret: bytes
    inits_per_second: int = 20
