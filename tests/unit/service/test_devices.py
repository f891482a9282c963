"""Devices that go: the event loop goes on while the host's resolver takes its time."""

import asyncio
import threading
from typing import cast

import pytest

from l2mesh.node.effects import ConfigureDevice
from l2mesh.service import resolver
from l2mesh.service.devices import Device, Devices
from l2mesh.service.masters import Masters
from l2mesh.service.netlink import Netlink
from l2mesh.service.tap import Tap


class Ports:
    def detach_port(self, network: int) -> None:
        pass


class FakeTap:
    def __init__(self, name: str) -> None:
        self.name = name
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_name_servers_of_all_devices_are_taken_back_at_once_and_beside_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    together = threading.Barrier(3)  # two devices, and the loop itself
    given_back: list[str] = []

    def set_servers(device: str, servers: tuple[str, ...]) -> list[str]:
        together.wait(10)
        given_back.append(device)
        return []

    async def main() -> None:
        for number, tap in enumerate(taps):
            wanted = cast("ConfigureDevice", None)
            device = Device(cast("Tap", tap), wanted, servers=("192.0.2.53",))
            devices._devices[number] = device
        closing = asyncio.create_task(devices.close())
        await asyncio.to_thread(together.wait, 10)
        await closing

    monkeypatch.setattr(resolver, "set_servers", set_servers)
    taps = [FakeTap("l2m0"), FakeTap("l2m1")]
    netlink, masters = cast("Netlink", None), cast("Masters", None)
    devices = Devices(netlink, Ports(), masters, lambda network: None)  # type: ignore[arg-type]
    asyncio.run(main())
    assert sorted(given_back) == ["l2m0", "l2m1"]
    assert all(tap.is_closed for tap in taps)
