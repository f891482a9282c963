"""Which bridge each network's device was last a port of, kept across restarts.

A TAP vanishes with its daemon, and with it the attachment that somebody made by hand; so it is
written down whenever it changes. The file is JSON, network ID -> name of the bridge.
"""

from __future__ import annotations

import json
from typing import Final

from l2mesh.errors import ConfigError
from l2mesh.node.effects import Persist
from l2mesh.service.state import StateDirectory
from l2mesh.service.statewriter import StateWriter

__all__ = ["MASTERS_FILE", "Masters"]

MASTERS_FILE: Final = "bridges.json"


class Masters:
    """Network -> name of the bridge. Reads the file once; ConfigError if that is damaged."""

    def __init__(self, state: StateDirectory, writer: StateWriter) -> None:
        self._writer = writer
        data = state.read(MASTERS_FILE)
        self._names = {} if data is None else _parse(data, f"{state.path / MASTERS_FILE}")

    def get(self, network: int) -> str | None:
        """The bridge that a network's device was in, or None."""
        return self._names.get(network)

    def set(self, network: int, master: str | None) -> None:
        """Remembers the bridge; None forgets it. Has only written what changes, and never waits."""
        if self._names.get(network) == master:
            return
        if master is None:
            del self._names[network]
        else:
            self._names[network] = master
        table = {f"{network:016x}": name for network, name in sorted(self._names.items())}
        self._writer.put(Persist(MASTERS_FILE, json.dumps(table, indent=1).encode()))


def _parse(data: bytes, shown: str) -> dict[int, str]:
    try:
        table = json.loads(data)
        return {int(network, 16): str(name) for network, name in table.items()}
    except (ValueError, AttributeError):
        raise ConfigError(
            f"{shown} is damaged", hint="move it away: it only says which bridge a device was in"
        ) from None
