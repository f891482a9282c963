"""A disk that is as slow as a test wants."""

from __future__ import annotations

import threading
from pathlib import Path

from l2mesh.errors import ConfigError
from l2mesh.service.state import StateDirectory

__all__ = ["SlowDisk"]


class SlowDisk(StateDirectory):
    """A state directory whose writes wait until a test lets them."""

    def __init__(self, path: Path) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()
        self.done: list[tuple[str, bytes | None]] = []
        self.fails = False
        super().__init__(path)

    def write(self, name: str, data: bytes) -> None:
        self.began.set()
        self.gate.wait()
        if self.fails:
            raise ConfigError(f"cannot write {name}: No space left on device")
        super().write(name, data)
        self.done.append((name, data))

    def delete(self, name: str) -> None:
        self.gate.wait()
        super().delete(name)
        self.done.append((name, None))
