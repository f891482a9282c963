"""Devices: brings each network's TAP to the state that the core asks for, and keeps it there.

Requests are carried out one after the other by one task, so that no two changes of a device
overlap. What a device needs, in order: the TAP, MAC, MTU, up, its bridge, its port in the driver,
and then addresses and routes, which are set only while it has no master: a bridge port has none,
its bridge may have some.

An attachment made by hand is noticed, remembered and made again after a restart. Taking it off
by hand forgets it; if the bridge itself goes away, the device returns to it when it comes back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from l2mesh.datapath.interface import PortOffloads
from l2mesh.errors import L2meshError
from l2mesh.node.effects import ConfigureDevice, RemoveDevice
from l2mesh.runtime.offloads import Offloads
from l2mesh.service import links, resolver
from l2mesh.service.defaultroute import is_default
from l2mesh.service.masters import Masters
from l2mesh.service.netlink import Netlink
from l2mesh.service.tap import Tap, open_tap

__all__ = ["Devices", "Ports"]

logger = logging.getLogger(__name__)

RECREATE_AFTER_S: Final = 1.0
"""A device that somebody deleted comes back after this time."""
_BROADCAST_ROUTES: Final = (("255.255.255.255/32", None), ("224.0.0.0/4", None))

_Work: TypeAlias = Coroutine[None, None, list[str]]
"""A piece of work on a device; it results in what is wrong now, in words."""


class Ports(Protocol):
    """What a device needs of the driver."""

    def attach_port(
        self,
        network: int,
        fd: int,
        offloads: PortOffloads | None = None,
        queues: Sequence[int] = (),
    ) -> None:
        """Read and write frames of a network by this descriptor, behind virtio headers.

        With `queues` frames are read there, one worker from each.
        """

    def detach_port(self, network: int) -> None:
        """Let go of it."""


class Changed(Protocol):
    """Hears that a network's device was made, changed or failed."""

    def __call__(self, network: int) -> None: ...


@dataclass(slots=True)
class Device:
    """A TAP that exists, what is wanted of it, and what is set on it."""

    tap: Tap
    wanted: ConfigureDevice
    master: str | None = None
    awaits_bridge: bool = False
    """Its bridge does not exist at present."""
    fits_trains: bool = False
    """Super-frames of this host are as long as a train holds."""
    addresses: frozenset[str] = frozenset()
    routes: frozenset[tuple[str, str | None]] = frozenset()
    refused: list[str] = field(default_factory=list)
    """Addresses and routes that the kernel did not take at the last change."""
    servers: tuple[str, ...] = ()
    """Name servers that were given to the host's resolver."""
    unresolved: list[str] = field(default_factory=list)
    """Why they are not in use."""


@dataclass(frozen=True, slots=True)
class _Look:
    """Something changed in the kernel: compare."""


@dataclass(frozen=True, slots=True)
class _Lost:
    """A TAP was deleted under us."""

    network: int


@dataclass(slots=True)
class Devices:
    """All TAPs of this daemon. `run` is a task; the other methods return at once."""

    netlink: Netlink
    ports: Ports
    masters: Masters
    changed: Changed
    had_default_route: bool = False
    """Whether routing rules were made, to be taken away at the end."""
    offloads: Offloads = field(default_factory=Offloads)
    queues: int = 1
    """Of each device: one for every worker."""
    _devices: dict[int, Device] = field(default_factory=dict)
    _unmade: dict[int, ConfigureDevice] = field(default_factory=dict)
    """What could not be made, to be tried again when links of the host change."""
    _problems: dict[int, str] = field(default_factory=dict)
    _requests: asyncio.Queue[ConfigureDevice | RemoveDevice | _Look | _Lost] = field(
        default_factory=asyncio.Queue
    )

    # --- what is asked --------------------------------------------------------------------------

    def request(self, effect: ConfigureDevice | RemoveDevice) -> None:
        """Carries out an effect of the core, after those before it."""
        self._requests.put_nowait(effect)

    def look(self) -> None:
        """Links of the host have changed."""
        self._requests.put_nowait(_Look())

    def lost(self, network: int) -> None:
        """The driver says that a port's descriptor is dead."""
        asyncio.get_running_loop().call_later(
            RECREATE_AFTER_S, self._requests.put_nowait, _Lost(network)
        )

    async def settled(self) -> None:
        """Waits until what has been asked so far is done."""
        await self._requests.join()

    def forget(self, network: int) -> None:
        """The operator leaves the network: its bridge is not remembered any more."""
        self.masters.set(network, None)

    # --- what is known --------------------------------------------------------------------------

    def name(self, network: int) -> str | None:
        """The device's name; None while there is none."""
        device = self._devices.get(network)
        return device.tap.name if device else None

    def master(self, network: int) -> str | None:
        """The bridge that the device is in."""
        device = self._devices.get(network)
        return device.master if device else None

    def problem(self, network: int) -> str | None:
        """What is wrong with a network's device, in words for `status`."""
        return self._problems.get(network)

    # --- work -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Carries out requests until cancelled."""
        while True:
            request = await self._requests.get()
            match request:
                case ConfigureDevice():
                    await self._guarded(request.network, self._configure(request))
                case RemoveDevice(network):
                    self._unmade.pop(network, None)
                    await self._remove(network)
                    self._problems.pop(network, None)
                    self.changed(network)
                case _Look():
                    await self._look_at_all()
                case _Lost(network):
                    await self._guarded(network, self._recreate(network))
            self._requests.task_done()

    async def _look_at_all(self) -> None:
        for network, device in list(self._devices.items()):
            await self._guarded(network, self._compare(device))
        for network, wanted in list(self._unmade.items()):  # the name may be free now
            await self._guarded(network, self._configure(wanted))

    async def close(self) -> None:
        """Takes every device away, all at the same time; their bridges stay remembered.

        `run` has been cancelled.
        """
        await asyncio.gather(*map(self._remove, list(self._devices)))

    async def _guarded(self, network: int, work: _Work) -> None:
        """Does it; what fails is told in the log and in `status`, and stops nothing else."""
        try:
            problems = await work
        except L2meshError as error:
            problems = [str(error)]
        problem = "; ".join(problems)
        if problem and self._problems.get(network) != problem:
            logger.error("device of network=%016x: %s", network, problem)
        if problem:
            self._problems[network] = problem
        else:
            self._problems.pop(network, None)
        self.changed(network)

    async def _configure(self, wanted: ConfigureDevice) -> list[str]:
        network, device = wanted.network, self._devices.get(wanted.network)
        if device is not None and wanted.name not in {None, device.tap.name}:
            await self._remove(network)
            device = None
        if device is None:
            device = await self._make(wanted)
        else:
            before, device.wanted = device.wanted.bridge, wanted
            await self.netlink.run(links.prepare, device.tap.name, wanted.mac.hex(":"), wanted.mtu)
            if before != wanted.bridge:
                await self._move(device, before)
        return await self._compare(device)

    async def _make(self, wanted: ConfigureDevice) -> Device:
        """A new TAP, up, in its bridge, attached to the driver."""
        self._unmade[wanted.network] = wanted
        tap = open_tap(wanted.network, wanted.name, self.offloads, self.queues)
        device = Device(tap, wanted)
        try:
            await self.netlink.run(links.prepare, tap.name, wanted.mac.hex(":"), wanted.mtu)
            bridge = wanted.bridge or self.masters.get(wanted.network)
            if bridge is not None:
                device.awaits_bridge = not await self.netlink.run(links.attach, tap.name, bridge)
        except L2meshError:
            tap.close()
            raise
        del self._unmade[wanted.network]
        self._devices[wanted.network] = device
        self.ports.attach_port(wanted.network, tap.fileno(), tap.offloads, tap.queues)
        logger.info("device name=%s network=%016x is up", tap.name, wanted.network)
        return device

    async def _move(self, device: Device, before: str | None) -> None:
        """The operator chose another bridge, or none: then it leaves the one chosen before."""
        bridge = device.wanted.bridge
        if bridge is None and device.master != before:
            return
        attached = await self.netlink.run(links.attach, device.tap.name, bridge)
        device.awaits_bridge = not attached
        if bridge is None:
            self.masters.set(device.wanted.network, None)

    async def _compare(self, device: Device) -> list[str]:
        """Somebody may have changed the device's master, or its bridge is back."""
        network, name = device.wanted.network, device.tap.name
        state = await self.netlink.run(links.link_state, name)
        if state is None:
            return [f"{name} is gone"]
        remembered = device.wanted.bridge or self.masters.get(network)
        if state.master is None and remembered is not None:
            exists = await self.netlink.run(links.link_state, remembered) is not None
            if not exists:
                device.awaits_bridge = True
            elif device.awaits_bridge:
                device.awaits_bridge = not await self.netlink.run(links.attach, name, remembered)
                state = await self.netlink.run(links.link_state, name)
                if state is None:
                    return [f"{name} is gone"]
            else:
                self.masters.set(network, None)
        return await self._settle(device, state)

    async def _settle(self, device: Device, state: links.LinkState) -> list[str]:
        """Addresses and routes as the master allows; remembers the master.

        It acts on the state that was compared: what is free has been forgotten before.
        """
        network, name, wanted = device.wanted.network, device.tap.name, device.wanted
        device.master = state.master
        if state.master is not None:
            device.awaits_bridge = False
            self.masters.set(network, state.master)
        is_free = state.master is None
        fits_trains = is_free and not links.is_router()
        if fits_trains != device.fits_trains:
            device.fits_trains = fits_trains
            await self.netlink.run(links.fit_superframes, name, to_trains=fits_trains)
        addresses = frozenset(wanted.addresses if is_free else ())
        extra = _BROADCAST_ROUTES if wanted.broadcast_route else ()
        routes = frozenset((*wanted.routes, *extra) if is_free else ())
        self.had_default_route |= any(is_default(destination) for destination, _ in routes)
        if addresses != device.addresses or routes != device.routes:
            change = self.netlink.run(links.change_addresses, name, device.addresses, addresses)
            device.refused = await change
            # the kernel takes routes along with the addresses that they hang on: set all anew
            device.refused += await self.netlink.run(
                links.change_routes, name, device.routes - routes, routes
            )
            device.addresses, device.routes = addresses, routes
        servers = wanted.dns if is_free else ()
        if servers != device.servers:
            device.servers = servers
            device.unresolved = await asyncio.to_thread(resolver.set_servers, name, servers)
        waits = [f"{name} waits for its bridge to appear"] if device.awaits_bridge else []
        return device.refused + device.unresolved + waits

    async def _recreate(self, network: int) -> list[str]:
        device = self._devices.get(network)
        if device is None:
            return []
        logger.warning("device name=%s was deleted; making it again", device.tap.name)
        await self._remove(network)
        return await self._compare(await self._make(device.wanted))

    async def _remove(self, network: int) -> None:
        """In order: nobody reads or writes it any more, then it goes."""
        device = self._devices.pop(network, None)
        if device is not None:
            self.ports.detach_port(network)
            if device.servers:
                await asyncio.to_thread(resolver.set_servers, device.tap.name, ())
            device.tap.close()
            logger.info("device name=%s network=%016x is removed", device.tap.name, network)
