"""A peer written from the protocol's document alone, with other libraries, among real daemons.

`tests.stranger` shares no line with the daemons and runs as a program of its own. What passes
between both proves that the document is the protocol.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tools.lab import (
    Controller,
    Host,
    Lab,
    Node,
    Planet,
    Process,
    lab_controller,
    lab_node,
    lab_planet,
    wait_until,
)

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
NODE = "10.9.0.1"
# the IPv4 packet, without ping's 28 bytes of headers
PACKETS = (64, 1500)
# a kernel that sends and checks UDP; it prints what came back
UDP_ECHO = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echo:
    echo.settimeout(2)
    for attempt in range(10):
        echo.sendto(b"any kernel", (sys.argv[1], 7))
        try:
            print(echo.recv(2000).decode(), end="")
            break
        except TimeoutError:
            pass
"""


@dataclass
class Stranger:
    """The program, once it has joined: what it told of itself."""

    process: Process
    mac: str = ""
    underlay: str = ""
    address: str = ""

    def events(self, name: str) -> list[Any]:
        """What it has told of one kind."""
        lines = [line for line in self.process.log().splitlines() if line.startswith("{")]
        return [told for line in lines if (told := json.loads(line))["event"] == name]

    def event(self, name: str, **details: object) -> Any:
        """The first event of a kind with these details, waited for; fails if it ends."""

        def found() -> Any:
            told = [each for each in self.events(name) if details.items() <= each.items()]
            assert told or self.process.is_running, self.process.log()
            return told

        return wait_until(found, PATIENCE_S, what=f"{name} {details}")[0]


@dataclass
class Mesh:
    """A planet, a controller with a network, a real node in it, and a host for the stranger."""

    planet: Planet
    controller: Controller
    node: Node
    host: Host
    network: str

    def join_string(self) -> str:
        """With a token for one more member."""
        return str(self.controller.cli("token", "create", self.network)["join"])

    def node_address(self) -> str:
        """Of the real node."""
        return str(self.node.cli("status")["address"])

    @contextmanager
    def stranger(self, *options: str) -> Iterator[Stranger]:
        """The stranger, joined; at the end it leaves with status 0."""
        words = ["-m", "tests.stranger", "--world", str(self.planet.world)]
        process = self.host.start(
            [sys.executable, *words, "--join", self.join_string(), *options],
            name="stranger",
            env=dict(os.environ, PYTHONPATH=str(ROOT)),
        )
        started = Stranger(process)
        try:
            started.underlay = started.event("identity")["address"]
            joined = started.event("joined")
            started.mac, started.address = joined["mac"], joined["addresses"][0].split("/")[0]
            yield started
        finally:
            status = process.stop()
        assert status == 0, process.log()

    def ping(self, stranger: Stranger, size: int, *, count: int = 3) -> bool:
        """Whether the node's kernel gets all its echoes back from the stranger."""
        numbers = ["-c", str(count), "-W", "2", "-s", str(size - 28)]
        done = self.node.host.run(
            ["ping", "-M", "do", *numbers, stranger.address], check=False, timeout=PATIENCE_S
        )
        return f" {count} received" in done.stdout

    def answers(self, stranger: Stranger) -> None:
        """The stranger answers packets of both sizes, sooner or later."""
        for size in PACKETS:
            ping = partial(self.ping, stranger, size)
            wait_until(ping, PATIENCE_S, what=f"echoes of {size} bytes")

    def path(self, stranger: Stranger) -> Any:
        """How the node reaches the stranger."""
        listed = self.node.cli("peers")["peers"]
        found = (peer["path"] for peer in listed if peer["address"] == stranger.underlay)
        return next(found, None)


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with Lab() as lab:
        wan = lab.switch("wan")
        hosts = [lab.host(name) for name in ("planet", "controller", "node", "stranger")]
        for number, host in enumerate(hosts, 1):
            lab.connect(host, wan, f"192.0.2.{number}/24")
        planet = lab_planet(hosts[0])
        controller = lab_controller(hosts[1], world=planet.world)
        network = controller.cli("network", "create", "--pool", "10.9.0.0/24")["id"]
        node = lab_node(hosts[2], world=planet.world)
        made = Mesh(planet, controller, node, hosts[3], network)
        node.cli("join", made.join_string(), "--wait", "60", timeout=90)
        (listed,) = node.cli("networks")["networks"]
        assert listed["addresses"] == [f"{NODE}/24"]
        try:
            yield made
        finally:
            sys.stderr.write(lab.log_tails())


def test_stranger_is_called_and_answers_a_real_kernel(mesh: Mesh) -> None:
    """It is the responder, asks for a cookie first, and goes over to a direct path."""
    with mesh.stranger("--challenge") as stranger:
        members = mesh.controller.cli("member", "list", mesh.network)["members"]
        (member,) = [each for each in members if each["address"] == stranger.underlay]
        assert member["authorized"]
        assert (member["name"], member["mac"]) == ("stranger", stranger.mac)
        mesh.answers(stranger)
        stranger.event("challenged")
        stranger.event("session", initiator=False, peer=mesh.node_address())
        stranger.event("met")
        wait_until(lambda: mesh.path(stranger) == "direct", PATIENCE_S, what="a direct path")
        mesh.answers(stranger)
        assert mesh.node.cli("ping", stranger.underlay, "-c", "2")["replies"]
        udp = [sys.executable, "-c", UDP_ECHO, stranger.address]
        assert mesh.node.host.run(udp, timeout=PATIENCE_S).stdout == "any kernel"
        counted = wait_until(
            lambda: [each for each in stranger.events("counts") if "udp" in each], PATIENCE_S
        )[-1]
        assert counted["arp"] and counted["icmp"] >= 12 and counted["pieces"] >= 12


@pytest.mark.parametrize("cipher", ["aes", "chacha"])
def test_stranger_calls_and_is_answered_by_a_real_kernel(mesh: Mesh, cipher: str) -> None:
    """It is the initiator, meets cookies, stays on the relay, and renews its keys at once."""
    visit = ["--visit", mesh.node_address(), "--rekey", "--ping", NODE]
    with mesh.stranger("--storm", "--relay-only", "--ciphers", cipher, *visit) as stranger:
        stranger.event("cookie")
        stranger.event("session", initiator=True, cipher={"aes": 1, "chacha": 2}[cipher])
        assert stranger.event("ready")["path"] == "relay"
        assert stranger.event("rekeyed")["extension"]
        for size in PACKETS:
            stranger.event("ping", size=size)
        mesh.answers(stranger)
        assert mesh.path(stranger) == "relay"


def test_whom_the_controller_revokes_counts_no_more_on_either_side(mesh: Mesh) -> None:
    node = mesh.node_address()
    with mesh.stranger("--visit", node) as stranger:
        stranger.event("ready", path="direct")
        mesh.answers(stranger)
        mesh.controller.cli("member", "deauthorize", mesh.network, node)
        stranger.event("dropped", peer=node, why="revoked")
        assert not mesh.ping(stranger, 64, count=1)
        mesh.controller.cli("member", "authorize", mesh.network, node)
        mesh.answers(stranger)
        mesh.controller.cli("member", "deauthorize", mesh.network, stranger.underlay)
        stranger.event("status", status="denied")
        wait_until(lambda: not mesh.ping(stranger, 64, count=1), PATIENCE_S, what="silence")
