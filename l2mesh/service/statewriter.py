"""Writes the files of a core beside the event loop: a sync of a slow disk takes seconds.

One thread writes one file after the other, in the order in which they were first put; of a file
that waits only the latest bytes are written. Each write is whole or not at all, see
`StateDirectory.write`. What has to be on disk before somebody is told of it waits for `settled`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock

from l2mesh.errors import ConfigError
from l2mesh.node.effects import Persist
from l2mesh.service.state import StateDirectory

__all__ = ["StateWriter"]

logger = logging.getLogger(__name__)


class StateWriter:
    """The one thread that writes. Bounded by the latest bytes of each file."""

    def __init__(self, state: StateDirectory) -> None:
        self._state = state
        self._lock = Lock()
        self._waiting: dict[str, bytes | None] = {}
        """Guarded by the lock, which is held for no longer than it takes to look."""
        self._problem = ""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="state")

    def put(self, effect: Persist) -> None:
        """Has a file written or deleted soon; never waits. Nothing may be put after `close`."""
        with self._lock:
            is_new = effect.name not in self._waiting
            self._waiting[effect.name] = effect.data
        if is_new:
            self.submit(partial(self._write, effect.name))

    def submit(self, write: Callable[[], None]) -> None:
        """Has something else written in its turn, on the thread; never waits. ``write`` raises
        ConfigError or OSError where it fails. Its caller bounds how much may wait."""
        self._thread.submit(self._try, write)

    async def settled(self) -> None:
        """Waits until all that was put so far has been written, or has failed."""
        await asyncio.get_running_loop().run_in_executor(self._thread, lambda: None)

    def problem(self) -> str:
        """Why the last write failed; empty where it did not."""
        return self._problem

    def close(self) -> None:
        """Writes what waits, and returns when it is written; may be called twice."""
        self._thread.shutdown(wait=True)

    def _write(self, name: str) -> None:
        with self._lock:
            data = self._waiting.pop(name)
        if data is None:
            self._state.delete(name)
        else:
            self._state.write(name, data)

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except (ConfigError, OSError) as error:
            self._problem = f"the state is not kept: {error}"
            logger.warning("%s", self._problem)
        else:
            self._problem = ""
