"""A whole mesh of real programs for the system tests: planet, controller and nodes on one wire.

Commands of people run as programs (`node.cli`); what is polled asks the daemon's socket directly,
since starting a program costs more than the answer. Sockets for raw frames and datagrams are made
inside a host's namespace and used from the test.
"""

import ctypes
import os
import random
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from l2mesh.cli.client import request
from tools.lab import Controller, Host, Lab, Nat, Node, Planet, Switch, wait_until
from tools.lab.nats import NatKind

T = TypeVar("T")

POOL: Final = "10.9.0.0/24"
PATIENCE_S: Final = 20.0
"""For everything that takes well under a second on an idle machine."""
LONG_S: Final = 60.0
"""For what the protocol itself gives several seconds."""
ETH_P_ALL: Final = 3
CLONE_NEWNET: Final = 0x40000000

_libc: Final = ctypes.CDLL(None, use_errno=True)


class Mesh:
    """192.0.2.1 is the planet, .2 the controller, .10, .20 ... the nodes or their NAT boxes.

    `engine` and `workers` are those of planet and nodes; a node's own options win.
    """

    def __init__(self, lab: Lab, engine: str = "auto", *, workers: int = 1) -> None:
        self.lab = lab
        self.carrier: dict[str, Any] = {"engine": engine, "workers": workers}
        self.wan = lab.switch("wan")
        self.planet = Planet(self.on_wan("planet", 1), **self.carrier)
        self.controller = Controller(self.on_wan("controller", 2), world=self.planet.world)
        self.nodes: dict[str, Node] = {}
        self.nats: dict[str, Nat] = {}

    # --- topology -------------------------------------------------------------------------------

    def on_wan(self, name: str, number: int) -> Host:
        """A host with the address 192.0.2.`number`."""
        host = self.lab.host(name)
        self.lab.connect(host, self.wan, f"192.0.2.{number}/24", interface="eth0")
        return host

    def add(self, name: str, **options: Any) -> Node:
        """A node on the wire; the options are those of `Node`."""
        return self.node_on(self.on_wan(name, self._number()), **options)

    def add_behind_nat(self, name: str, *, kind: NatKind = NatKind.PORT, **options: Any) -> Node:
        """A node behind a NAT box of its own; most keep ports."""
        number = self._number()
        nat = self.lab.nat(
            f"nat-{name}",
            wan=self.wan,
            wan_address=f"192.0.2.{number}/24",
            lan_subnet=f"10.{number}.0.0/24",
            kind=kind,
        )
        self.nats[name] = nat
        host = self.lab.host(name)
        inside = f"10.{number}.0.2/24"
        self.lab.connect(host, nat.lan, inside, gateway=nat.gateway, interface="eth0")
        return self.node_on(host, **options)

    def node_on(self, host: Host, **options: Any) -> Node:
        """A node on a host that is connected already."""
        node = Node(host, **{"world": self.planet.world, **self.carrier, **options})
        self.nodes[host.name] = node
        return node

    def add_printer(self, name: str, address: str) -> Host:
        """A host `printer` on a cable to `br0`, a new bridge of a node."""
        near, printer = self.nodes[name].host, self.lab.host("printer")
        cable = self.lab.link(printer, near)
        printer.ip("link", "set", cable.interface, "name", "lan0")
        printer.ip("addr", "add", f"{address}/24", "dev", "lan0")
        near.add_bridge("br0", ports=[cable.far.interface])
        return printer

    def _number(self) -> int:
        return 10 * (len(self.nodes) + 1)

    def start(self) -> "Mesh":
        """Start everything and wait until all answer and are online."""
        self.planet.start()
        daemons = [self.controller, *self.nodes.values()]
        for daemon in daemons:
            daemon.launch()
        for daemon in daemons:
            daemon.wait_ready()
        for name in self.nodes:
            self.wait_online(name)
        return self

    # --- asking ---------------------------------------------------------------------------------

    def ask(self, name: str, verb: str, **arguments: Any) -> dict[str, Any]:
        """A node's answer, without starting a program."""
        return request(str(self.nodes[name].socket), verb, arguments, timeout_s=PATIENCE_S)

    def admin(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """The controller's answer, without starting a program."""
        path = str(self.controller.state / "controller.sock")
        return request(path, verb, arguments, timeout_s=PATIENCE_S)

    def node_address(self, name: str) -> str:
        """Ten digits."""
        return str(self.ask(name, "status")["address"])

    def joined(self, name: str, network: str) -> dict[str, Any]:
        """What `networks` says about one network; status `absent` if it is not there."""
        networks = self.ask(name, "networks")["networks"]
        return next((each for each in networks if each["id"] == network), {"status": "absent"})

    def device(self, name: str, network: str) -> str:
        """The interface of a network."""
        return str(self.joined(name, network)["device"])

    def ip(self, name: str, network: str) -> str:
        """The first assigned address, without its prefix length."""
        return str(self.joined(name, network)["addresses"][0]).partition("/")[0]

    def member(self, name: str, network: str) -> dict[str, Any]:
        """What the controller knows about a node."""
        fingerprint = self.ask(name, "status")["fingerprint"]
        members = self.admin("member_list", network=network)["members"]
        return next(each for each in members if each["fingerprint"] == fingerprint)

    def peer(self, name: str, other: str) -> dict[str, Any] | None:
        """What `peers` of a node says about another node."""
        address = self.node_address(other)
        peers = self.ask(name, "peers")["peers"]
        return next((peer for peer in peers if peer["address"] == address), None)

    def path(self, name: str, other: str) -> str:
        """`direct`, `relay` or `none`."""
        peer = self.peer(name, other)
        return str(peer["path"]) if peer else "none"

    def drops(self, name: str, reason: str) -> int:
        """How much a node has dropped for a reason."""
        return int(self.ask(name, "counters")["drops"].get(reason, 0))

    def relayed_packets(self) -> int:
        """The planet's count."""
        return int(self.planet.cli("status")["relayed_packets"])

    # --- doing ----------------------------------------------------------------------------------

    def network(self, *options: str, pool: str | None = POOL) -> str:
        """Make a network by the admin command; returns its ID."""
        pools = [] if pool is None else ["--pool", pool]
        return str(self.controller.cli("network", "create", *pools, *options)["id"])

    def token(self, network: str, *, uses: int = 1) -> str:
        """A join string."""
        return str(self.controller.cli("token", "create", network, "--uses", str(uses))["join"])

    def join(self, network: str, *names: str) -> None:
        """Have nodes join with a token, in this order, so that the first one has the first IP."""
        joinstring = self.token(network, uses=len(names))
        for name in names:
            self.ask(name, "join", target=joinstring, wait=PATIENCE_S)

    def set_member(self, network: str, node: str, **settings: str) -> None:
        """`member set`, without starting a program."""
        member = self.node_address(node)
        self.admin("member_set", network=network, member=member, settings=settings)

    def ping(
        self, name: str, target: str, *options: str, count: int = 1, wait_s: int = 5
    ) -> subprocess.CompletedProcess[str]:
        """`ping` on a node's host, whatever comes of it."""
        words = ["ping", "-c", str(count), "-i", "0.1", "-W", str(wait_s), *options, target]
        return self.nodes[name].host.run(words, check=False, timeout=LONG_S)

    def answers(self, name: str, target: str, *options: str, wait_s: int = 1) -> bool:
        """Whether one ping is answered."""
        return self.ping(name, target, *options, wait_s=wait_s).returncode == 0

    def segment_on_the_wire(self, name: str) -> None:
        """Have a host's kernel cut trains of datagrams before the wire, as most hardware does."""
        host = self.nodes[name].host
        for link in host.ip_json("link", "show", "type", "veth"):
            host.run(["ethtool", "-K", link["ifname"], "tx-udp-segmentation", "off"])

    # --- waiting --------------------------------------------------------------------------------

    def wait_online(self, name: str) -> None:
        """Until a node has a planet."""
        wait_until(lambda: self.ask(name, "status")["online"], PATIENCE_S, what=f"{name} online")

    def wait_status(self, name: str, network: str, status: str) -> None:
        """Until `networks` shows this status."""
        wait_until(
            lambda: self.joined(name, network)["status"] == status,
            PATIENCE_S,
            what=f"{name}: {network} {status}",
        )

    def wait_up(self, name: str, network: str) -> None:
        """Until the network is `ok` and has its device."""

        def is_up() -> bool:
            joined = self.joined(name, network)
            return joined["status"] == "ok" and joined["device"] is not None

        wait_until(is_up, PATIENCE_S, what=f"{name}: {network} up")

    def wait_path(self, name: str, other: str, path: str = "direct") -> None:
        """Until a node has such a path to another one."""
        wait_until(lambda: self.path(name, other) == path, LONG_S, what=f"{name} to {other} {path}")

    def wait_ping(self, name: str, target: str, timeout: float = PATIENCE_S) -> None:
        """Until a ping is answered."""
        wait_until(lambda: self.answers(name, target), timeout, what=f"{target} to answer {name}")

    @contextmanager
    def pinging(self, name: str, target: str, *, interval: str = "0.1") -> Iterator["Pinging"]:
        """`ping` running meanwhile."""
        host = self.nodes[name].host
        process = host.start(["ping", "-O", "-i", interval, "-W", "5", target], name="ping")
        try:
            process.wait_for_log("icmp_seq=2 .*time=")
            running = Pinging(process)
            yield running
            running.more(2)
        finally:
            process.stop()


@contextmanager
def mesh_of(*names: str, engine: str = "auto", reference: Collection[str] = ()) -> Iterator[Mesh]:
    """Nodes of these names on one wire, running; gone at the end.

    All have the same engine but those that `reference` names.
    """
    with Lab() as lab:
        mesh = Mesh(lab, engine)
        for name in names:
            mesh.add(name, **({"engine": "reference"} if name in reference else {}))
        yield mesh.start()


class Pinging:
    """A running ping."""

    def __init__(self, process: Any) -> None:
        self.process = process

    @property
    def last(self) -> int:
        """Number of the newest answer."""
        numbers = re.findall(r"icmp_seq=(\d+) .*time=", self.process.log())
        return int(numbers[-1]) if numbers else 0

    def more(self, count: int = 5) -> None:
        """Wait for that many more answers."""
        aim = self.last + count
        wait_until(lambda: self.last >= aim, LONG_S, what=f"answer {aim}")

    def lost(self) -> list[int]:
        """The numbers never answered, up to the newest answer."""
        numbers = {int(n) for n in re.findall(r"icmp_seq=(\d+) .*time=", self.process.log())}
        return [n for n in range(1, self.last + 1) if n not in numbers]


# --- sockets in a host's namespace ----------------------------------------------------------------


def inside(host: Host, make: Callable[[], T]) -> T:
    """The result of `make`, called in a thread that is in the host's network namespace."""
    results: list[T] = []
    failures: list[BaseException] = []

    def call() -> None:
        try:
            with Path("/run/netns", host.namespace).open() as namespace:
                if _libc.setns(namespace.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            results.append(make())
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            failures.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


@contextmanager
def udp_socket(host: Host, address: str = "0.0.0.0", port: int = 0) -> Iterator[socket.socket]:
    """A UDP socket of the host that may broadcast; does not wait when it reads."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def make() -> socket.socket:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024 * 1024)
        sock.bind((address, port))
        sock.setblocking(False)
        return sock

    with inside(host, make) as sock:
        yield sock


def received(sock: socket.socket) -> list[tuple[bytes, Any]]:
    """Every datagram that waits at a socket, and who sent it."""
    found = []
    while True:
        try:
            found.append(sock.recvfrom(65536))
        except BlockingIOError:
            return found


class Wire:
    """Raw frames of an interface: sends any, and keeps what it sees."""

    def __init__(self, host: Host, interface: str) -> None:
        self._sock = inside(host, lambda: self._open(interface))
        self.seen: list[bytes] = []

    @staticmethod
    def _open(interface: str) -> socket.socket:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024 * 1024)
        # The kernel takes the tag out of the frame unless asked to report it (packet(7)).
        sock.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA
        sock.bind((interface, 0))
        sock.setblocking(False)
        return sock

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def send(self, frame: bytes) -> None:
        """One frame, as if the host's kernel sent it."""
        while True:
            try:
                self._sock.send(frame)
            except BlockingIOError:
                time.sleep(0.001)
            else:
                return

    def look(self) -> list[bytes]:
        """All frames so far."""
        while True:
            try:
                data, control, _, _ = self._sock.recvmsg(65536, 256)
            except BlockingIOError:
                return self.seen
            self.seen.append(_with_tag(data, control))

    def has(self, part: bytes) -> bool:
        """Whether a frame so far contains these bytes."""
        return any(part in frame for frame in self.look())

    def wait(self, part: bytes, timeout: float = PATIENCE_S) -> bytes:
        """The first frame with these bytes."""
        wait_until(lambda: self.has(part), timeout, what=f"a frame with {part!r}")
        return next(frame for frame in self.seen if part in frame)


def _with_tag(data: bytes, control: Sequence[tuple[int, int, bytes]]) -> bytes:
    """The frame with the 802.1Q tag that the kernel stripped put back."""
    for level, kind, auxiliary in control:
        if (level, kind) == (263, 8):
            status = int.from_bytes(auxiliary[0:4], "little")
            if status & 0x10:  # TP_STATUS_VLAN_VALID
                tci = int.from_bytes(auxiliary[16:18], "little").to_bytes(2, "big")
                tpid = int.from_bytes(auxiliary[18:20], "little") or 0x8100
                return data[:12] + tpid.to_bytes(2, "big") + tci + data[12:]
    return data


def frame(target: str, source: str, ethertype: int, payload: bytes) -> bytes:
    """An Ethernet frame, padded to the least length."""
    head = bytes.fromhex((target + source).replace(":", "")) + ethertype.to_bytes(2, "big")
    return (head + payload).ljust(60, b"\0")


def marker(label: str = "") -> bytes:
    """Bytes that stand nowhere else."""
    return f"<{label}{os.urandom(8).hex()}>".encode()


def seeded() -> random.Random:
    """Randomness whose seed is printed, so that a failure can be replayed."""
    seed = int(os.environ.get("L2MESH_SEED", "") or int.from_bytes(os.urandom(4)))
    print(f"L2MESH_SEED={seed}")  # noqa: T201 - pytest shows it when the test fails
    return random.Random(seed)


__all__ = [
    "LONG_S",
    "PATIENCE_S",
    "POOL",
    "Mesh",
    "Pinging",
    "Switch",
    "Wire",
    "frame",
    "inside",
    "marker",
    "mesh_of",
    "received",
    "seeded",
    "udp_socket",
]
