"""The driver of a native engine: frames and datagrams do not pass here, only what is told of them.

The engine's own threads read and write sockets and ports. What is left for the event loop is the
conversation of core and engine, and time of the core; all that is the `Driver`'s.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from l2mesh.datapath.interface import Engine, PortOffloads, SetPortOffloads
from l2mesh.datapath.native import LOST, STOPPED, NativeEngine, Trouble
from l2mesh.runtime.clock import Clock
from l2mesh.runtime.core import Core
from l2mesh.runtime.driver import Driver
from l2mesh.runtime.streams.door import SideDoor
from l2mesh.runtime.underlay import Underlay

__all__ = ["NativeDriver"]

logger = logging.getLogger(__name__)

EffectT = TypeVar("EffectT")


class NativeDriver(Driver[EffectT]):
    """A driver whose engine runs: it is on its threads from the start, upcalls wait for `start`.

    `engine` takes the commands; it is `native`, or something around it.
    """

    def __init__(
        self,
        engine: Engine,
        core: Core[EffectT],
        underlay: Underlay,
        clock: Clock,
        on_effect: Callable[[EffectT], None],
        native: NativeEngine,
        *,
        nice: int = 0,
        busy_poll_us: int = 0,
    ) -> None:
        super().__init__(engine, core, underlay, clock, on_effect)
        self._native = native
        self._attached: set[int] = set()
        self._door = SideDoor(underlay.streams)
        offloads = underlay.offloads
        native.run(
            [
                [*(sock.fileno() for sock in group), self._door.engine_fd]
                for group in underlay.groups
            ],
            tap_tso=offloads.tap_tso,
            tap_uso=offloads.tap_uso,
            udp_gso=offloads.udp_gso,
            udp_gro=offloads.udp_gro,
            nice=nice,
            busy_poll_us=busy_poll_us,
        )

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_reader(self._native.report_fd(), self._on_reports)
        loop.add_reader(self._door.fileno(), self._door.receive)

    def close(self) -> None:
        """Ends the engine's threads. Sockets and ports stay open: they are their owners'."""
        if self._loop is not None:
            self._loop.remove_reader(self._native.report_fd())
            self._loop.remove_reader(self._door.fileno())
        super().close()
        self._native.stop()
        self._door.close()

    def attach_port(
        self,
        network: int,
        fd: int,
        offloads: PortOffloads | None = None,
        queues: Sequence[int] = (),
    ) -> None:
        """Lets the engine read frames of `network`, one worker from each queue, and write them."""
        self.detach_port(network)
        self._attached.add(network)
        if offloads is not None:
            self.engine.execute(SetPortOffloads(network, offloads), self.clock())
        self._native.attach_port(network, queues or (fd,), fd, offloads)

    def detach_port(self, network: int) -> None:
        """Lets go of a network's descriptor; nothing happens when there is none."""
        if network not in self._attached:
            return
        self._attached.remove(network)
        self._native.detach_port(network)
        self.engine.execute(SetPortOffloads(network, PortOffloads()), self.clock())

    def name_uplinks(self, uplinks: tuple[int, ...]) -> None:
        """Datagrams that come by these interfaces have them as their uplink from now on."""
        self._native.set_uplinks(uplinks)
        super().name_uplinks(uplinks)

    def counters(self) -> dict[str, int]:
        """What the driver, its sockets and the engine's threads counted."""
        return dict(Counter(super().counters()) + Counter(self._native.io_counters()))

    def _on_reports(self) -> None:
        self.pump()
        while (trouble := self._native.poll_trouble()) is not None:
            self._on_trouble(trouble)

    def _on_trouble(self, trouble: Trouble) -> None:
        if trouble.kind == LOST:
            self._lose_port(trouble.network, os.strerror(trouble.code))
            return
        self._counters["internal_errors"] += 1
        logger.error("a thread of the engine has %s: %s", trouble.kind, trouble.reason)
        if trouble.kind == STOPPED and self.on_broken is not None:
            self.on_broken(f"a thread of the engine has ended: {trouble.reason}")
