"""Members that are ports of the test's own process, for tests of what a switch does with frames."""

import select
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

import l2mesh
from tests.system.mesh import PATIENCE_S, Mesh, inside
from tools.lab import Host

T = TypeVar("T")

KIND = b"\x88\xb5"
"""IEEE 802, local experimental ethertype 1."""
BROADCAST = b"\xff" * 6


def station(number: int) -> bytes:
    """A locally administered MAC that is signed to nobody."""
    return b"\x02\x77" + number.to_bytes(4, "big")


def frame(target: bytes, source: bytes, text: bytes, *, vlan: int | None = None) -> bytes:
    """A frame of the experimental ethertype, tagged (802.1Q) if there is a VLAN."""
    tag = b"" if vlan is None else b"\x81\x00" + vlan.to_bytes(2, "big")
    return target + source + tag + KIND + text


class Crowd(AbstractContextManager["Crowd"]):
    """Ports of one network, opened in a host's namespace."""

    def __init__(self, mesh: Mesh, host: Host, network: str, engine: str) -> None:
        self.mesh, self.host, self.network, self.engine = mesh, host, network, engine
        self._open = ExitStack()

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def join(self, count: int, **options: Any) -> list[l2mesh.Port]:
        """So many new members, in no order."""
        joinstring = self.mesh.token(self.network, uses=count)

        def one(_: int) -> l2mesh.Port:
            options.setdefault("engine", self.engine)
            return l2mesh.open_port(joinstring, wait=60, **options)

        def all_of_them() -> list[l2mesh.Port]:
            with ThreadPoolExecutor(max_workers=8) as pool:
                return list(pool.map(one, range(count)))

        ports = inside(self.host, all_of_them)
        for port in ports:
            self._open.callback(port.close)
        return ports

    def acquaint(self, ports: Iterable[l2mesh.Port]) -> None:
        """Until a broadcast of each reaches all the others, so that no session is missing."""
        everybody = list(ports)
        for port in everybody:
            text = b"here is " + port.mac
            others = [other for other in everybody if other is not port]
            missing = others
            deadline = time.monotonic() + PATIENCE_S
            while missing:
                assert time.monotonic() < deadline, f"{len(missing)} do not hear {port}"
                port.send(frame(BROADCAST, port.mac, text))
                heard = collect(missing, text, for_s=0.3)
                missing = [other for other in missing if not heard[other]]
        collect(everybody, b"", for_s=0.3)


def at_node(port: l2mesh.Port, change: Callable[..., T]) -> T:
    """The result of `change(node, now=...)`, called where the port's node lives.

    The engine has carried out what followed from it when this returns.
    """
    result: T = port._thread.call(lambda: port._node.call(change, port._node.node))
    port.counters()  # commands and questions have one queue
    return result


def collect(
    ports: Iterable[l2mesh.Port], part: bytes, *, for_s: float, until: int | None = None
) -> dict[l2mesh.Port, list[bytes]]:
    """What each port gets of frames with these bytes, until nothing comes for `for_s` seconds.

    With `until` it ends as soon as each port has so many.
    """
    poll, by_number = select.poll(), {}
    found: dict[l2mesh.Port, list[bytes]] = {}
    for port in ports:
        poll.register(port, select.POLLIN)
        by_number[port.fileno()] = port
        found[port] = []
    deadline = time.monotonic() + for_s
    while (left := deadline - time.monotonic()) > 0:
        for number, _ in poll.poll(left * 1000):
            port = by_number[number]
            data = port.receive(0)
            if part in data:
                found[port].append(data)
                deadline = time.monotonic() + for_s
        if until is not None and all(len(frames) >= until for frames in found.values()):
            break
    return found
