"""What a port knows of broadcasts that are replicated (section 4.1): records without behaviour."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from l2mesh.bucket import TokenBucket
from l2mesh.session.replay import ReplayWindow

_NEVER: Final = float("-inf")


@dataclass(slots=True, eq=False)
class Outgoing:
    """Our own broadcasts in one network."""

    source: bytes
    secret: bytes = field(repr=False)
    generation: int
    targets: dict[bytes, int] | None = None
    """Fingerprint -> assignment under which it carries them on; None: not known yet."""
    counter: int = 0
    """The next one to use."""
    recent: deque[tuple[float, bytes]] = field(default_factory=deque)
    """(when, plaintext of GROUP without assignment), the oldest first."""
    recent_bytes: int = 0
    asked: float = _NEVER
    """When targets were last asked for."""


@dataclass(slots=True, eq=False)
class Source:
    """A member whose broadcasts are believed."""

    signing: bytes
    relay: bool
    checks: TokenBucket
    """How many signatures of frames that it brings are looked at."""
    copies: TokenBucket
    """How many copies are made for it."""
    generation: int = 0
    window: ReplayWindow = field(default_factory=ReplayWindow)
    assignments: deque[tuple[int, tuple[bytes, ...]]] = field(
        default_factory=lambda: deque(maxlen=2)
    )
    """(number, members), the newest last."""
    asked: float = _NEVER
    """When an unknown assignment was last told."""
    stale: float = _NEVER
    """When an old generation was last told."""
