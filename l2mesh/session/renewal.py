"""When a session is renewed: before its keys are worn out, and while there is use for it.

Protocol section 3.7. A renewal that was given up is tried again after a while, if frames pass.
"""

from math import inf
from typing import Final

from l2mesh.session.session import Session

REKEY_INITIATOR_S: Final = 120.0
REKEY_RESPONDER_S: Final = 150.0
"""Later than the initiator, so that both rarely begin at once."""
UNUSED_S: Final = 540.0
"""A session that has carried no frame yet is not renewed before that."""
IDLE_S: Final = 600.0
"""A session is not renewed when no frame passed for so long before its rekey was due."""
RESTART_S: Final = 5.0
"""A restart begins no more often, nor does a renewal that was given up."""


class Renewal:
    """What decides about the next handshake with one peer."""

    __slots__ = ("begun_at", "frame_at", "gave_up_at", "restart_at")

    def __init__(self) -> None:
        self.frame_at = -inf
        """The last frame, in either direction."""
        self.begun_at = -inf
        """When we last began a handshake."""
        self.gave_up_at = -inf
        """When one was given up last."""
        self.restart_at: float | None = None
        """When another session is begun because the peer went silent; None: it has not."""

    def note_frame(self, at: float) -> None:
        """A frame passed at `at`; 0.0 and earlier mean never."""
        if at > 0.0:
            self.frame_at = max(self.frame_at, at)

    def ask_restart(self, now: float) -> None:
        """The peer has gone silent: begin anew, each 5 s at most."""
        self.restart_at = max(now, self.begun_at + RESTART_S)

    @staticmethod
    def worn_at(session: Session, *, always: bool) -> float:
        """When the keys of a session have served long enough for its initiator to renew them.

        With the first frame, where that comes so late: until then there was nothing to protect.
        """
        begins = session.born if always else min(session.used_at, session.born + UNUSED_S)
        return max(session.born + REKEY_INITIATOR_S, begins)

    def due(self, current: Session | None, *, always: bool) -> float | None:
        """When the current session is to be renewed, None: not at all.

        ``always``: although no frames pass.
        """
        if self.restart_at is not None:
            return self.restart_at
        if current is None:
            return None
        due = self.worn_at(current, always=always)
        if not current.is_initiator:
            due += REKEY_RESPONDER_S - REKEY_INITIATOR_S
        if current.is_spent:
            due = current.born
        elif not always and due > self.frame_at + IDLE_S:
            return None
        if self.gave_up_at <= current.live_since:
            return due
        if not always and self.frame_at <= self.gave_up_at:
            return None
        return max(due, self.gave_up_at + RESTART_S)
