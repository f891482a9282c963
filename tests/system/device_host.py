"""Runs the daemon's devices alone in the namespace it is started in, by commands on stdin.

One JSON list a line: ["configure", {fields of ConfigureDevice}], ["remove", network],
["lost", network], ["state", network], ["write", hex] or ["read"]. Each is answered by one JSON line
when it is done. The state directory is the first argument.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from l2mesh.datapath.interface import Deliver, PortOffloads
from l2mesh.node.effects import ConfigureDevice, RemoveDevice
from l2mesh.runtime.port import Port
from l2mesh.service.devices import Devices
from l2mesh.service.masters import Masters
from l2mesh.service.netlink import LinkWatch, Netlink
from l2mesh.service.state import StateDirectory
from l2mesh.service.statewriter import StateWriter


class Ports:
    """Keeps descriptors instead of driving them."""

    def __init__(self) -> None:
        self.ports: dict[int, Port] = {}

    def attach_port(
        self,
        network: int,
        fd: int,
        offloads: PortOffloads | None = None,
        queues: Sequence[int] = (),
    ) -> None:
        self.ports[network] = Port(fd, offloads)

    def detach_port(self, network: int) -> None:
        self.ports.pop(network, None)


def frame_of(ports: Ports) -> str:
    """The next frame that the kernel sends through any device, or nothing."""
    for port in ports.ports.values():
        try:
            return port.read()[0].hex()
        except BlockingIOError:
            continue
    return ""


async def serve(state: StateDirectory) -> None:
    ports, netlink = Ports(), Netlink()
    devices = Devices(netlink, ports, Masters(state, StateWriter(state)), lambda network: None)
    worker = asyncio.create_task(devices.run())
    watch = LinkWatch(devices.look)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        answer: Any = None
        match json.loads(line):
            case ["configure", fields]:
                fields["mac"] = bytes.fromhex(fields["mac"].replace(":", ""))
                fields["addresses"] = tuple(fields["addresses"])
                fields["routes"] = tuple(tuple(route) for route in fields["routes"])
                wanted = ConfigureDevice(**fields)
                devices.request(wanted)
                await devices.settled()
                answer = [devices.name(wanted.network), devices.problem(wanted.network)]
            case ["remove", network]:
                devices.request(RemoveDevice(network))
                await devices.settled()
            case ["lost", network]:
                devices.lost(network)
            case ["state", network]:
                await devices.settled()
                answer = [devices.name(network), devices.problem(network), devices.master(network)]
            case ["read"]:
                answer = frame_of(ports)
            case ["write", frame]:
                for port in ports.ports.values():
                    port.write(Deliver(0, bytes.fromhex(frame)))
                answer = [len(frame) // 2 for _ in ports.ports]
            case unknown:
                raise ValueError(f"no command: {unknown}")
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    watch.close()
    worker.cancel()
    await devices.close()
    await netlink.close()


if __name__ == "__main__":
    asyncio.run(serve(StateDirectory(Path(sys.argv[1]))))
