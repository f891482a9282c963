"""The daemon: a running node with a TAP device for each network, and the local API.

`start` brings up in this order, so that whatever cannot work is said before anything is changed:
state (locked), identity, sockets, local API, then the node with what it remembers.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

from l2mesh.node.effects import ConfigureDevice, RemoveDevice
from l2mesh.service.api import ApiServer
from l2mesh.service.defaultroute import remove_rules
from l2mesh.service.devices import Devices
from l2mesh.service.masters import MASTERS_FILE, Masters
from l2mesh.service.methods import method_table
from l2mesh.service.netlink import NetlinkFailure
from l2mesh.service.running import NodeOptions, RunningNode

__all__ = ["Daemon", "Options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(NodeOptions):
    """What the operator chose."""

    socket: Path


class Daemon(RunningNode):
    """What ``l2meshd`` runs."""

    def __init__(self, options: Options) -> None:
        """Takes state, identity and sockets; ConfigError when one of them cannot be had."""
        super().__init__(options, reserved=frozenset({MASTERS_FILE}), has_hosts=True)
        self.devices = Devices(
            self.netlink,
            self.driver,
            Masters(self.state, self.base.writer),
            self._device_changed,
            offloads=self.base.offloads,
            queues=self.base.carrier.workers,
        )
        with contextlib.ExitStack() as undo:
            undo.callback(self.release)
            self.api = ApiServer(
                options.socket, method_table(self), settled=self.base.writer.settled
            )
            undo.pop_all()

    async def start(self) -> None:
        """Begins to carry frames and to answer; ConfigError when the world does not fit."""
        self._tasks.append(asyncio.create_task(self.devices.run(), name="devices"))
        self.driver.on_port_lost = self.devices.lost
        await super().start()
        await self.api.start()

    async def stop(self) -> None:
        """Answers no more, tells the peers, takes devices away, lets go of all."""
        self._is_stopping = True
        await self.api.close()
        await super().stop()

    def health(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = [*self.base.health(), *self._complaints, *self.node.health(self.clock())]
        found += [
            f"network {view.id:016x}: {problem}"
            for view in self.node.networks()
            if (problem := self.devices.problem(view.id))
        ]
        return found

    # --- devices --------------------------------------------------------------------------------

    def _change_port(self, effect: ConfigureDevice | RemoveDevice) -> None:
        self.devices.request(effect)

    async def _take_down(self) -> None:
        await self.devices.close()
        if self.devices.had_default_route:
            with contextlib.suppress(NetlinkFailure):
                await self.netlink.run(remove_rules)

    def _device_changed(self, network: int) -> None:
        name = self.devices.name(network)
        if name is not None:
            self.call(self.node.device_ready, network, name)
        self._wake()

    def _links_changed(self) -> None:
        self.devices.look()
        super()._links_changed()
