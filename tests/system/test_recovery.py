"""What changes under a running tunnel, between real kernels: mappings, paths, weather."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise

import pytest

from tests.system.mesh import PATIENCE_S, Mesh, udp_socket
from tools.lab import Host, Lab, Process, Weather, wait_until

pytestmark = pytest.mark.root

AGAIN_S = 1.0
DIRECT_S = 5.0
NOTICED_S = 5.0
UP_S = 10.0
ROUGH = Weather(delay_s=0.2, loss=0.3, seed=7)
"""In each direction."""
PACKETS = 10_000
PACE_S = 0.001
PORT = 40_001
_REPLY = re.compile(r"^\[([\d.]+)\] .*time=", re.MULTILINE)


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    """alice and bob behind NAT boxes of their own, one network; nothing has befallen them."""
    with Lab() as lab:
        mesh = Mesh(lab)
        mesh.add_behind_nat("alice")
        mesh.add_behind_nat("bob")
        mesh.start()
        mesh.join(mesh.network(), "alice", "bob")
        yield mesh


class Load:
    """Pings in both directions, 20 a second each."""

    def __init__(self, mesh: Mesh) -> None:
        self._pings: list[Process] = []
        for name, target in (("alice", "10.9.0.2"), ("bob", "10.9.0.1")):
            words = ["ping", "-D", "-n", "-O", "-W", "2", "-i", "0.05", target]
            self._pings.append(mesh.nodes[name].host.start(words, name="ping"))
        for name, other in (("alice", "bob"), ("bob", "alice")):
            mesh.wait_path(name, other)

    def __enter__(self) -> "Load":
        time.sleep(2.0)  # so that both ends know what is usual
        return self

    def __exit__(self, *_: object) -> None:
        for ping in self._pings:
            ping.stop()

    def silence_s(self, since: float) -> float:
        """The longest time without an answer after a moment of the wall clock, of both ends."""
        return max(_longest_gap(ping, since) for ping in self._pings)


class Stream:
    """Numbered datagrams from one node's host to another's, one each millisecond: 10,000 of them
    at least, and on until told to stop."""

    def __init__(self, mesh: Mesh, stack: ExitStack, name: str, other: str, target: str) -> None:
        self._target = (target, PORT)
        self._out = stack.enter_context(udp_socket(mesh.nodes[name].host))
        self._in = stack.enter_context(udp_socket(mesh.nodes[other].host, target, PORT))
        self._in.settimeout(PATIENCE_S / 10)
        self._threads = [threading.Thread(target=each) for each in (self._send, self._receive)]
        self._is_enough = threading.Event()
        self.sent = 0
        self.numbers: list[int] = []
        """As they arrived."""

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more than is wanted at least, and wait until nothing arrives any more."""
        self._is_enough.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        begun = time.monotonic()
        while self.sent < PACKETS or not self._is_enough.is_set():
            self._out.sendto(self.sent.to_bytes(4), self._target)
            self.sent += 1
            time.sleep(max(0.0, begun + self.sent * PACE_S - time.monotonic()))

    def _receive(self) -> None:
        while True:
            try:
                self.numbers.append(int.from_bytes(self._in.recv(64)))
            except TimeoutError:
                return


def _longest_gap(ping: Process, since: float) -> float:
    times = [float(at) for at in _REPLY.findall(ping.log())]
    moments = [since, *(at for at in times if at > since), time.time()]
    return max(later - at for at, later in pairwise(moments))


def both_are(mesh: Mesh, path: str) -> bool:
    return mesh.path("alice", "bob") == mesh.path("bob", "alice") == path


def renumber(box: Host, interface: str, old: str, new: str) -> None:
    """Another public address; the kernel forgets every mapping that stood for the old one."""
    box.addresses[box.addresses.index(old)] = new
    box.ip("addr", "del", f"{old}/24", "dev", interface)
    box.ip("addr", "add", f"{new}/24", "dev", interface)


def test_traffic_flows_again_soon_after_the_nat_got_another_address(mesh: Mesh) -> None:
    nat = mesh.nats["alice"]
    with Load(mesh) as load:
        changed = time.time()
        renumber(nat.host, nat.wan.interface, "192.0.2.10", "192.0.2.110")
        shown = "192.0.2.110:"

        def is_direct_again() -> bool:
            peer = mesh.peer("bob", "alice")
            return peer is not None and str(peer["endpoint"]).startswith(shown)

        wait_until(lambda: is_direct_again() and both_are(mesh, "direct"), DIRECT_S)
        time.sleep(1.0)
        assert load.silence_s(changed) < AGAIN_S


def test_silent_death_of_the_path_in_use_is_noticed(mesh: Mesh) -> None:
    boxes = [mesh.nats[name].host for name in ("alice", "bob")]
    with Load(mesh) as load:
        died = time.time()
        mesh.lab.partition(*boxes)
        wait_until(lambda: both_are(mesh, "relay"), NOTICED_S, what="both ends on the relay")
        time.sleep(1.0)
        assert load.silence_s(died) < AGAIN_S
        mesh.lab.heal(*boxes)


def test_nothing_is_lost_from_a_direct_path_to_the_relay_and_back(mesh: Mesh) -> None:
    """10,000 packets each way, a millisecond apart; each arrives, and only once."""
    with ExitStack() as stack:
        streams = [
            Stream(mesh, stack, "alice", "bob", "10.9.0.2"),
            Stream(mesh, stack, "bob", "alice", "10.9.0.1"),
        ]
        mesh.wait_ping("alice", "10.9.0.2")
        wait_until(lambda: both_are(mesh, "direct"), PATIENCE_S)
        for stream in streams:
            stream.start()
        for number, path in enumerate(("relay", "direct", "relay", "direct")):
            wait_until(lambda n=number: streams[0].sent > n * PACKETS // 5, PATIENCE_S)  # type: ignore[misc]
            mesh.ask("alice", "relay_only", on=path == "relay")
            wait_until(lambda p=path: both_are(mesh, p), PATIENCE_S, what=f"both ends on {path}")  # type: ignore[misc]
        for stream in streams:
            stream.stop()
    for stream in streams:
        assert sorted(stream.numbers) == list(range(stream.sent))


def test_tunnel_is_up_soon_over_a_slow_and_lossy_line() -> None:
    with Lab() as lab:
        mesh = Mesh(lab)
        near = mesh.on_wan("near", 10)
        mesh.node_on(near)
        far = lab.host("far")
        lab.connect_by(ROUGH, far, mesh.wan, "192.0.2.20/24")
        mesh.node_on(far)
        mesh.start()
        mesh.join(mesh.network(), "near", "far")
        begun = time.monotonic()
        mesh.wait_ping("near", "10.9.0.2", PATIENCE_S)
        assert time.monotonic() - begun < UP_S
