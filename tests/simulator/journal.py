"""What happened in a simulated world, for whoever looks at a failure.

Entries are kept as they come and written as text only when asked. The newest 50,000 stay.
"""

from __future__ import annotations

import contextlib
from collections import deque
from pathlib import Path
from typing import Any, Final

from l2mesh.datapath.interface import Endpoint
from l2mesh.datapath.interface import Path as DataPath
from l2mesh.errors import MalformedPacket
from l2mesh.wire.control import decode_records
from l2mesh.wire.endpoint import format_endpoint

__all__ = ["Journal"]

MAX_ENTRIES: Final = 50_000


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
    """Values with their fields, long bytes by their length and their first four."""
    if isinstance(details, bytes):
        return f"{len(details)}:{details[:4].hex()}"
    if isinstance(details, Endpoint):
        return format_endpoint(details)
    if isinstance(details, DataPath):
        return (
            f"{_show(details.endpoint)}%{details.relay:x}" if details.relay else _show(details[0])
        )
    fields = getattr(details, "_fields", None) or getattr(details, "__dataclass_fields__", None)
    if fields is not None:
        parts = (f"{name}={_show_field(name, getattr(details, name))}" for name in fields)
        return f"{type(details).__name__}({', '.join(parts)})"
    if isinstance(details, tuple):
        return " ".join(map(_show, details))
    return str(details)


def _show_field(name: str, value: Any) -> str:
    if name == "payload":
        with contextlib.suppress(MalformedPacket):
            return " ".join(map(_show, decode_records(value)))
    return _show(value)
