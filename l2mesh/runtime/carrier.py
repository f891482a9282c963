"""Which engine carries the frames, and the driver that goes with it. Every daemon has one."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from l2mesh.crypto import Crypto
from l2mesh.datapath.interface import Engine
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.datapath.reference.engine import ReferenceEngine
from l2mesh.errors import ConfigError
from l2mesh.runtime import keylog
from l2mesh.runtime.clock import Clock
from l2mesh.runtime.core import Core
from l2mesh.runtime.driver import Driver
from l2mesh.runtime.underlay import Underlay

if TYPE_CHECKING:
    from l2mesh.datapath.native import NativeEngine

__all__ = ["SLOW_ENGINE", "Carrier"]

logger = logging.getLogger(__name__)

EffectT = TypeVar("EffectT")

SLOW_ENGINE: Final = (
    "the reference engine (pure Python) carries the frames: everything works, but slowly"
)


class Carrier:
    """An engine by the operator's choice."""

    def __init__(
        self,
        choice: str,
        crypto: Crypto,
        *,
        workers: int = 1,
        worker_nice: int = 0,
        busy_poll_us: int = 0,
        bounds: Bounds | None = None,
        key_log: Path | None = None,
    ) -> None:
        """`choice` is ``native``, ``reference`` or ``auto``: native where it has been built.

        The native engine has `workers` threads, with `worker_nice` added to their niceness, which
        stay awake without work for at most `busy_poll_us` microseconds at a time; the reference
        engine has one, the daemon's own.
        ConfigError when the native engine is demanded and cannot be had. With `key_log` every key
        is written there: only for a mesh under test.
        """
        bounds = bounds if bounds is not None else Bounds()
        self._native = _native_engine(choice, bounds)
        self.workers = workers if self._native is not None else 1
        """Each has sockets and queues of its own."""
        self._nice = worker_nice
        self._busy_poll_us = busy_poll_us
        self._key_log = key_log
        self.engine: Engine = self._native or ReferenceEngine(crypto, os.urandom, bounds)
        if key_log is not None:
            logger.warning("%s", keylog.WARNING)
            self.engine = keylog.KeyLoggingEngine(self.engine, key_log)
        if self._native is None:
            logger.warning("engine=reference: %s", SLOW_ENGINE)

    def drive(
        self,
        core: Core[EffectT],
        underlay: Underlay,
        clock: Clock,
        on_effect: Callable[[EffectT], None],
    ) -> Driver[EffectT]:
        """The driver of engine and core; call it once."""
        if self._native is None:
            return Driver(self.engine, core, underlay, clock, on_effect)
        from l2mesh.runtime.native_driver import NativeDriver  # noqa: PLC0415 - needs the binding

        return NativeDriver(
            self.engine,
            core,
            underlay,
            clock,
            on_effect,
            self._native,
            nice=self._nice,
            busy_poll_us=self._busy_poll_us,
        )

    def health(self) -> list[str]:
        """What an operator should know of the choice, one sentence each."""
        slow = [SLOW_ENGINE] if self._native is None else []
        return slow + ([keylog.WARNING] if self._key_log is not None else [])


def _native_engine(choice: str, bounds: Bounds) -> NativeEngine | None:
    """The native engine if it is wanted and there is one; ConfigError if it is demanded."""
    if choice == "reference":
        return None
    try:
        from l2mesh.datapath.native import NativeEngine  # noqa: PLC0415 - may not have been built
    except ImportError as error:
        if choice == "native":
            raise ConfigError(
                f"the native engine cannot be used: {error}",
                hint="build it with `tools/setup`, or use --engine auto or reference",
            ) from error
        return None
    return NativeEngine(bounds=bounds)
