"""What every daemon stands on: its state directory, its identity, its sockets and its engine.

A daemon puts its own core on top. Whatever cannot be had is said before anything is served, and
what was taken is let go in the reverse order, the state's lock last.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from l2mesh.credential.world import World
from l2mesh.crypto import Crypto, SodiumCrypto
from l2mesh.datapath.reference.bounds import Bounds
from l2mesh.errors import ConfigError, L2meshError
from l2mesh.node.core import Settings
from l2mesh.runtime.carrier import Carrier
from l2mesh.runtime.clock import boot_clock
from l2mesh.runtime.core import Core
from l2mesh.runtime.driver import Driver
from l2mesh.runtime.offloads import Offloads
from l2mesh.runtime.underlay import Listen, Underlay
from l2mesh.service.state import StateDirectory
from l2mesh.service.statewriter import StateWriter

__all__ = ["DaemonOptions", "Foundation"]

EffectT = TypeVar("EffectT")

MAX_WORLD_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonOptions:
    """What the operator of any daemon chooses."""

    state: Path
    listen: Listen
    engine: str = "auto"
    """``native``, ``reference``, or ``auto``: native where it has been built."""
    workers: int = 1
    """Threads of the native engine."""
    worker_nice: int = 0
    """Added to the niceness of each."""
    busy_poll: int = 0
    """Microseconds for which each stays awake without work, where more is likely to come."""
    without: tuple[str, ...] = ()
    """Names of offloads not to use."""
    key_log: Path | None = None
    """Where to write every key; only for a mesh under test."""


def relay_bounds(rate: int | None) -> Bounds:
    """The engine's bounds where it relays so many datagrams a second for one node; None: as many as
    by default. Half a second's worth may come at once."""
    if rate is None:
        return Bounds()
    return Bounds(relay_rate=rate, relay_burst=max(1, rate // 2))


class Foundation:
    """State (locked), identity, sockets and engine of one daemon."""

    def __init__(
        self,
        options: DaemonOptions,
        *,
        reserved: frozenset[str] = frozenset(),
        bounds: Bounds | None = None,
    ) -> None:
        """Takes them all; ConfigError when one of them cannot be had.

        `reserved` are names in the state directory that are no core's; `bounds` are the engine's.
        """
        self.clock = boot_clock
        self.crypto: Crypto = SodiumCrypto()
        with contextlib.ExitStack() as undo:
            self.state = StateDirectory(options.state, reserved=reserved)
            self.state.lock()
            undo.callback(self.state.close)
            self.writer = StateWriter(self.state)
            undo.callback(self.writer.close)
            self.identity = self.state.identity(self.crypto, os.urandom)
            self.offloads = Offloads.without(options.without)
            self.carrier = Carrier(
                options.engine,
                self.crypto,
                workers=options.workers,
                worker_nice=options.worker_nice,
                busy_poll_us=options.busy_poll,
                bounds=bounds,
                key_log=options.key_log,
            )
            self.underlay = Underlay(options.listen, self.offloads, workers=self.carrier.workers)
            undo.callback(self.underlay.close)
            self._undo = undo.pop_all()
        self.engine = self.carrier.engine
        self._driver: Driver[Any] | None = None
        self._broken = asyncio.Event()
        self._why = ""

    def settings(self, **choices: Any) -> Settings:
        """What this daemon's core is given; `choices` are further fields of `Settings`."""
        return Settings(
            identity=self.identity,
            crypto=self.crypto,
            random=os.urandom,
            unix_now=time.time,
            activity=self.engine.activity,
            lanes=self.carrier.workers,
            **choices,
        )

    def drive(self, core: Core[EffectT], on_effect: Callable[[EffectT], None]) -> Driver[EffectT]:
        """The driver of engine and core; call it once. It is closed with the rest."""
        driver = self.carrier.drive(core, self.underlay, self.clock, on_effect)
        self._driver = driver
        driver.on_broken = self._break
        self._undo.callback(driver.close)
        return driver

    def adopt_file(self, path: Path, held: World | None, adopt: Callable[[World], None]) -> None:
        """Has `adopt` take the world in a file, unless `held` is as new; ConfigError names it."""
        try:
            with path.open("rb") as file:
                data = file.read(MAX_WORLD_BYTES)
        except OSError as error:
            raise ConfigError(
                f"cannot read the world file {path}: {error.strerror}",
                hint="copy the file `world` from a planet's state directory",
            ) from error
        try:
            world = World.from_text(data.decode("ascii", "replace"), self.crypto)
            if world.is_news_to(held):
                adopt(world)
        except L2meshError as error:
            raise ConfigError(
                f"the world file {path} cannot be used: {error}", hint=error.hint
            ) from error

    def health(self) -> list[str]:
        """What is wrong, one sentence each."""
        counters = self._driver.counters() if self._driver is not None else {}
        found = [*self.carrier.health(), *Offloads.problems(counters)]
        if problem := self.writer.problem():
            found.append(problem)
        if errors := counters.get("internal_errors"):
            found.append(f"{errors} internal errors, see the log")
        return found

    async def broken(self) -> str:
        """Waits until nothing can be carried any more; says why."""
        await self._broken.wait()
        return self._why

    def _break(self, why: str) -> None:
        self._why = why
        self._broken.set()

    def close(self) -> None:
        """Stops the driver and lets go of everything; may be called twice."""
        self._undo.close()
