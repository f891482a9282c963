"""Whom to ask for a signed address: its owner alone, and everyone if that brought no answer.

A request is remembered by who asks and what for, until its answer has come by or 5 s are over. One
that is repeated within that time goes to everyone, as does any while 1,024 are remembered.
"""

from typing import Final

WAIT_S: Final = 5.0
MAX_PENDING: Final = 1024


class Resolutions:
    """Requests of one network that went to the owner alone and wait for their answer."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: dict[tuple[bytes, bytes], float] = {}

    def is_first(self, asker: bytes, target: bytes, now: float) -> bool:
        """Whether the station `asker` has not asked for `target` in vain already."""
        asked = self._pending.get((asker, target))
        if asked is not None and now - asked < WAIT_S:
            return False
        if asked is None and len(self._pending) >= MAX_PENDING:
            self._pending = {key: at for key, at in self._pending.items() if now - at < WAIT_S}
            if len(self._pending) >= MAX_PENDING:
                return False
        self._pending[asker, target] = now
        return True

    def answered(self, asker: bytes, target: bytes) -> None:
        """Somebody told `asker` about `target`."""
        self._pending.pop((asker, target), None)
