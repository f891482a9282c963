"""What happened in a simulated world, for whoever looks at a failure.

Entries are kept as they come and written as text only when asked. The newest 50,000 stay.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, Final

__all__ = ["Journal"]

MAX_ENTRIES: Final = 50_000
_SHOWN_CHARACTERS: Final = 300


class Journal:
    """A bounded log of (time, who, what, details)."""

    def __init__(self) -> None:
        self.is_on = True
        self._entries: deque[tuple[float, str, str, Any]] = deque(maxlen=MAX_ENTRIES)

    def note(self, now: float, who: str, what: str, details: Any = "") -> None:
        """Remember something; details are turned into text only by :meth:`write`."""
        if self.is_on:
            self._entries.append((now, who, what, details))

    def lines(self) -> list[str]:
        """All that is kept, oldest first."""
        return [
            f"{now:12.6f} {who:12} {what:10} {_show(details)}"
            for now, who, what, details in self._entries
        ]

    def write(self, path: Path) -> None:
        """One line an entry."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(self.lines()) + "\n")


def _show(details: Any) -> str:
    text = str(details)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
