"""The ways between two hosts that are compared, all of them over one veth pair.

    planet ------ 10.0.1.0/24 ------ a ====== 10.0.0.0/24 ====== b ------ 10.0.2.0/24 ------ planet
                                            the wire

Everything stands at once and takes turns; what idles costs next to nothing. The planet has links of
its own, so that relayed traffic crosses a third host, and direct traffic only the wire.
"""

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from tools.benchmark.builds import NULL_CIPHER_LIBRARY
from tools.lab import Host, Lab, Node, Process, lab_controller, lab_planet, wait_until
from tools.lab.command import Argument

__all__ = ["LONG", "WAYS", "Arena", "Contender", "WrongPathError", "build"]

TINC_PORT: Final = 6550
TINC_KEY_BITS: Final = 2048
VXLAN_PORT: Final = 4789
FIRST_NODE_PORT: Final = 9993
NETWORK_UP_S: Final = 30.0


@dataclass(frozen=True)
class Contender:
    """One way from host `a` to host `b`."""

    name: str
    """What the table calls it."""
    target: str
    """The address of `b` on it."""
    device: str
    """The interface of `a` on it."""
    processes: tuple[Process, ...] = ()
    """The user-space programs at both ends, for their CPU time."""
    check: Callable[[], None] = lambda: None
    """Raises WrongPathError if the traffic would not take the way that the name says."""


class WrongPathError(Exception):
    """What was measured is not what its name says."""


class Mesh(NamedTuple):
    """What the two nodes of a mesh are told."""

    engine: str
    """``auto`` is the native engine where it has been built."""
    is_relayed: bool = False
    has_cipher: bool = True
    workers: int = 1


class NodeWithoutCipher(Node):
    """`l2meshd` whose frames leave in the clear."""

    def command(self) -> list[Argument]:
        module: list[Argument] = [
            sys.executable,
            "-m",
            "tools.benchmark.null_cipher",
            NULL_CIPHER_LIBRARY,
        ]
        return [*module, *self.daemon_arguments()]


class Arena:
    """Two hosts, the wire between them, and whoever else is needed."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.a, self.b, self.planet = lab.host("a"), lab.host("b"), lab.host("planet")
        self.wire = lab.link(self.a, self.b, "10.0.0.1/24", "10.0.0.2/24")
        lab.link(self.planet, self.a, "10.0.1.1/24", "10.0.1.2/24")
        lab.link(self.planet, self.b, "10.0.2.1/24", "10.0.2.2/24")


def build(arena: Arena, names: Sequence[str]) -> list[Contender]:
    """Set up these contenders, in their order."""
    contenders = [_BUILDERS[name](arena) for name in names if name not in _MESHES]
    meshes = [name for name in names if name in _MESHES]
    if meshes:
        contenders += _meshes(arena, meshes)
    return contenders


def _veth(arena: Arena) -> Contender:
    return Contender("veth", "10.0.0.2", arena.wire.near.interface)


def _vxlan(arena: Arena) -> Contender:
    for end, own, other, number in (
        (arena.wire.near, "10.0.0.1", "10.0.0.2", 1),
        (arena.wire.far, "10.0.0.2", "10.0.0.1", 2),
    ):
        words = ["vxlan", "id", "42", "dstport", str(VXLAN_PORT), "local", own, "remote", other]
        end.host.ip("link", "add", "vxlan0", "type", *words, "dev", end.interface)
        end.host.ip("addr", "add", f"10.0.3.{number}/24", "dev", "vxlan0")
        end.host.ip("link", "set", "vxlan0", "up")
    return Contender("vxlan", "10.0.3.2", "vxlan0")


def _tinc(arena: Arena) -> Contender:
    """tinc 1.0 in switch mode, in the foreground, with its defaults otherwise."""
    hosts = {"a": arena.a, "b": arena.b}
    folders = {name: arena.lab.directory / f"tinc.{name}" for name in hosts}
    for name, folder in folders.items():
        (folder / "hosts").mkdir(parents=True)
        other = "" if name == "a" else "ConnectTo = a\n"
        (folder / "tinc.conf").write_text(
            f"Name = {name}\nMode = switch\nAddressFamily = ipv4\nInterface = tinc0\n{other}"
        )
        number = 1 if name == "a" else 2
        hosts[name].run(["tincd", "-c", folder, f"-K{TINC_KEY_BITS}"], timeout=60)
        key = (folder / "hosts" / name).read_text()
        (folder / "hosts" / name).write_text(
            f"Address = 10.0.0.{number}\nPort = {TINC_PORT}\n{key}"
        )
        _script(folder / "tinc-up", f"ip addr add 10.0.4.{number}/24 dev $INTERFACE")
    for name, folder in folders.items():
        for other, text in ((n, f / "hosts" / n) for n, f in folders.items() if n != name):
            (folder / "hosts" / other).write_text(text.read_text())
    processes = tuple(
        hosts[name].start(["tincd", "-c", folder, "-D", f"--pidfile={folder}/pid"])
        for name, folder in folders.items()
    )
    _wait_for_answer(arena.a, "10.0.4.2")
    return Contender("tinc", "10.0.4.2", "tinc0", processes)


def _script(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\nip link set $INTERFACE up\n{command}\n")
    path.chmod(0o700)


def _meshes(arena: Arena, names: Sequence[str]) -> list[Contender]:
    planet = lab_planet(arena.planet)
    controller = lab_controller(arena.planet, world=planet.world)
    contenders = []
    for number, name in enumerate(names, start=5):
        pool, kind = f"10.0.{number}.0/24", _MESHES[name]
        network = controller.cli("network", "create", "--name", name, "--pool", pool)["id"]
        token = controller.cli("token", "create", network, "--uses", "2")["join"]
        made = Node if kind.has_cipher else NodeWithoutCipher
        nodes = [
            made(
                host,
                world=planet.world,
                name=name,
                listen=f"[::]:{FIRST_NODE_PORT + number}",
                engine=kind.engine,
                relay_only=kind.is_relayed,
                workers=kind.workers,
            ).start()
            for host in (arena.a, arena.b)
        ]
        for node in nodes:
            node.cli("join", token, "--wait", str(NETWORK_UP_S))
        contenders.append(_mesh(arena, name, nodes, path="relay" if kind.is_relayed else "direct"))
    return contenders


def _mesh(arena: Arena, name: str, nodes: Sequence[Node], *, path: str) -> Contender:
    near, far = (node.cli("networks")["networks"][0] for node in nodes)
    target = str(far["addresses"][0]).partition("/")[0]
    address = nodes[1].cli("status")["address"]

    def check() -> None:
        peers = nodes[0].cli("peers")["peers"]
        seen = next((peer for peer in peers if peer["address"] == address), None)
        if seen is None or seen["path"] != path:
            raise WrongPathError(f"the path is {seen and seen['path']}, not {path}")

    def is_there() -> bool:
        peers = nodes[0].cli("peers")["peers"]
        return any(peer["address"] == address and peer["path"] == path for peer in peers)

    _wait_for_answer(arena.a, target)
    wait_until(is_there, NETWORK_UP_S, 0.5, what=f"{name}: path {path}")
    processes = tuple(node.process for node in nodes if node.process is not None)
    return Contender(name, target, near["device"], processes, check)


def _wait_for_answer(host: Host, target: str) -> None:
    ping = ["ping", "-c", "1", "-W", "1", target]
    wait_until(
        lambda: host.run(ping, check=False).returncode == 0, NETWORK_UP_S, what=shlex.join(ping)
    )


_BUILDERS: Final[dict[str, Callable[[Arena], Contender]]] = {
    "veth": _veth,
    "vxlan": _vxlan,
    "tinc": _tinc,
}
_MESHES: Final = {
    "l2mesh": Mesh("native"),
    "null": Mesh("native", has_cipher=False),
    "l2mesh-relay": Mesh("native", is_relayed=True),
    "l2mesh-workers": Mesh("native", workers=2),
    "reference": Mesh("reference"),
}
WAYS: Final = (*_BUILDERS, *_MESHES)
"""All of them."""
LONG: Final = frozenset({"l2mesh-workers"})
"""Those that no promise is about: not in a quick look."""
