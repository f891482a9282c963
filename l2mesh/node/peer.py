"""One peer: who it is, its sessions, the channel of each session, and its paths."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from l2mesh.datapath.interface import Path
from l2mesh.errors import StateError
from l2mesh.identity import PublicIdentity
from l2mesh.path.paths import PathSet
from l2mesh.session.channel import Channel
from l2mesh.session.sessions import SessionSet

__all__ = ["Peer"]

MAX_WAITING: Final = 64
"""Messages kept for a peer with which there is no session yet."""


@dataclass(slots=True, eq=False)
class Peer:
    """What a core keeps of one other identity."""

    public: PublicIdentity
    sessions: SessionSet
    paths: PathSet
    since: float
    """When it was added."""
    looked_at: float
    """When traffic with it was looked at last."""
    is_planet: bool = False
    """We address it as a planet."""
    channels: dict[int, Channel] = field(default_factory=dict)
    """One for each session that is live."""
    waiting: deque[tuple[int, bytes]] = field(default_factory=deque)
    """(priority, message) to be sent once a session is live."""
    last_path: Path | None = None
    """Where the last authentic control came from; answers go there until a path is chosen."""
    is_wanted: bool = False
    """Somebody waits for a session with it."""
    kept_by: set[str] = field(default_factory=set)
    """What for its session is renewed and its path kept open though no frames pass."""
    hearing: int = 0
    """The session that carried the message which is being handled."""

    @property
    def fingerprint(self) -> bytes:
        """Who the peer is."""
        return self.public.fingerprint

    @property
    def is_live(self) -> bool:
        """Whether there is a session to send on."""
        return self.sessions.current is not None

    @property
    def is_heard(self) -> bool:
        """Whether the peer has all that we have said in the present session."""
        channel = self.channels.get(self.sessions.current or 0)
        return channel is not None and channel.is_heard

    @property
    def path(self) -> Path | None:
        """Where to send control now."""
        return self.paths.active or self.last_path

    def keep(self, why: str, *, wanted: bool = True) -> None:
        """Keep session and path also without frames, until nobody wants that any more."""
        if wanted:
            self.kept_by.add(why)
        else:
            self.kept_by.discard(why)
        self.sessions.always = bool(self.kept_by)
        self.paths.set_always(bool(self.kept_by))

    def queue(self, priority: int, message: bytes, now: float) -> None:
        """Hand a message to the channel, or keep it until there is one; StateError when full."""
        channel = self.channels.get(self.sessions.current or 0)
        if channel is not None:
            channel.send(message, priority, now)
        elif len(self.waiting) < MAX_WAITING:
            self.waiting.append((priority, message))
        else:
            raise StateError(f"too many messages wait for {self.fingerprint.hex()[:10]}")

    def queue_on(self, session: int, priority: int, message: bytes, now: float) -> None:
        """Hand a message to one session, the only one where it means something; if that is live."""
        if (channel := self.channels.get(session)) is not None:
            channel.send(message, priority, now, is_bound=True)

    def move_channel(self, session: int, now: float) -> None:
        """Send on a newer session from now on: what the older ones owe goes along."""
        channel = self.channels.setdefault(session, Channel())
        for number, older in self.channels.items():
            if number != session:
                for priority, message in older.unacknowledged():
                    channel.send(message, priority, now)
        while self.waiting:
            priority, message = self.waiting.popleft()
            channel.send(message, priority, now)
