"""Which of several sessions with one peer is used (protocol section 3.7).

Two handshakes may cross, and a peer may die between its answer and its first packet. Both ends come
to the same choice without a word about it.
"""

from collections.abc import Iterable
from math import inf
from typing import Final

from l2mesh.session.session import Session

CROSSING_S: Final = 5.0
UNHEARD_S: Final = 3.0
"""A session on which nothing came for so long gives way to one that was heard."""


def is_preferred(newer: Session, older: Session, *, ours_is_smaller: bool) -> bool:
    """The crossing rule: a tie is broken by fingerprints, and only a tie.

    Who asks again although the older session works does so on purpose or has been started anew.
    """
    if newer.is_initiator == older.is_initiator:
        return True
    if newer.asked_at >= older.heard_at or newer.live_since > older.live_since + CROSSING_S:
        return True
    return newer.is_initiator == ours_is_smaller


def heard_instead(current: Session | None, sessions: Iterable[Session]) -> Session | None:
    """The newest session that was heard, while the one in use never was."""
    if current is None or current.heard_at < inf:
        return None
    heard = [each for each in sessions if each.can_send and each.heard_at < inf]
    return max(heard, key=lambda each: each.live_since, default=None)


def ranked(current: Session | None, sessions: Iterable[Session]) -> list[Session]:
    """The sessions that can send: the current one, then the youngest."""
    usable = [each for each in sessions if each.can_send]
    return sorted(usable, key=lambda each: (each is not current, -each.live_since))
