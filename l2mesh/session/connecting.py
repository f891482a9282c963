"""Asking for a session: one INIT after the other until somebody answers (protocol section 3.7).

    begin   0 s      attempt 1
            0.5 s    attempt 2, then at 1, 1.5, 2.5, 3.5, 4.5, 6.5 and 8.5 s (each wait +0..10 %),
                     so that a line on which half of all round trips are lost lets one through
            13.5 s   attempt 10, then one every 5 s
            30 s     given up

Each attempt has its own ephemeral key and handshake number, the last two can be answered. All
attempts announce from one set of receive indices: only one of them ever becomes a session.
"""

from collections import deque
from typing import Final

from l2mesh.crypto import Random
from l2mesh.session.handshake import Initiation
from l2mesh.wire.handshake import Announcement

RETRY_S: Final = (0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 2.0, 2.0, 5.0)
"""Waits after the attempts; the last one repeats."""
RETRY_JITTER: Final = 0.1
"""The largest part of a wait that is added at random."""
GIVE_UP_S: Final = 30.0
ANSWERABLE: Final = 2
"""How many of the last attempts may still be answered."""


class Connecting:
    """What we hold between the first INIT and its answer."""

    __slots__ = ("_attempts", "_gives_up", "_resent", "_tries", "control_index", "receive", "retry")

    def __init__(self, control_index: int, now: float) -> None:
        self.control_index = control_index
        """Our receive index for network 0 in the session to come."""
        self.receive: dict[int, int] = {}
        """Our other receive indices, by network."""
        self.retry = now
        """When the next attempt is due."""
        self._gives_up = now + GIVE_UP_S
        self._attempts: deque[Initiation] = deque(maxlen=ANSWERABLE)
        self._tries = 0
        self._resent = 0

    @property
    def indices(self) -> list[int]:
        """Every receive index that is reserved for the session to come."""
        return [self.control_index, *self.receive.values()]

    @property
    def is_new(self) -> bool:
        """Whether no attempt has been made yet."""
        return not self._tries

    @property
    def next_timeout(self) -> float:
        """When there is something to do: another attempt, or giving up."""
        return min(self.retry, self._gives_up)

    def is_over(self, now: float) -> bool:
        """Whether it is time to give up."""
        return now >= self._gives_up

    def announcements(self, room: int) -> tuple[Announcement, ...]:
        """The first `room` of our receive indices."""
        listed = list(self.receive.items())[:room]
        return tuple(Announcement(network, 0, index) for network, index in listed)

    def add(self, attempt: Initiation, now: float, random: Random) -> None:
        """An attempt has been made; the next one is scheduled."""
        self._attempts.append(attempt)
        wait = RETRY_S[min(self._tries, len(RETRY_S) - 1)]
        share = int.from_bytes(random(2), "big") / 0xFFFF
        self.retry = now + wait * (1 + RETRY_JITTER * share)
        self._tries += 1

    def find(self, handshake: int) -> Initiation | None:
        """The attempt of that number if it can still be answered."""
        return next((each for each in self._attempts if each.handshake == handshake), None)

    def resend(self, attempt: Initiation) -> bool:
        """Whether `attempt` may be repeated with a cookie now: once, and only the latest."""
        if attempt is not self._attempts[-1] or self._resent == self._tries:
            return False
        self._resent = self._tries
        return True
