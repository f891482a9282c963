"""Three planets as real programs: one is killed under load, one drains, the world changes."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.mesh import LONG_S, Mesh
from tools.lab import Lab, Planet, wait_until

pytestmark = pytest.mark.root

AGAIN_S = 3.0
"""Relayed traffic flows again within this time after its planet was killed."""


class Cluster(Mesh):
    """A mesh with three planets at 192.0.2.1, .3 and .4; each node relays only."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.planets = [self.planet]
        for number in (3, 4):
            self.planets.append(Planet(self.on_wan(f"planet{number}", number)))
        self.addresses = [planet.identity()["address"] for planet in self.planets]
        world = self.sign(self.planets)
        for planet in self.planets:
            shutil.copy(world, planet.world)

    def sign(self, planets: list[Planet]) -> Path:
        """A world of these planets, signed by the first one's key."""
        file = self.planet.state / "signed"
        named = [f"{planet.identity()['public']}@{planet.endpoints[0]}" for planet in planets]
        self.planet.cli("world", "create", "--out", file, *named)
        return file

    def start(self) -> "Cluster":
        for planet in self.planets[1:]:
            planet.start()
        super().start()
        for name in self.nodes:
            self.wait_planets(name, 3)
        return self

    def wait_planets(self, name: str, count: int) -> None:
        """Until a node reaches so many planets."""

        def reached() -> bool:
            planets = self.ask(name, "status")["planets"]
            return len([planet for planet in planets if planet["state"] == "up"]) == count

        wait_until(reached, LONG_S, what=f"{name} with {count} planets")

    def between(self, name: str, other: str) -> Planet:
        """The planet that relays."""

        def via() -> str | None:
            peer = self.peer(name, other)
            return None if peer is None else peer["via"]

        wait_until(lambda: via() is not None, LONG_S, what="a relay")
        return self.planets[self.addresses.index(via())]

    def wait_second_relay(self, name: str, other: str) -> None:
        """Until a node has another relay to a peer in reserve."""
        peer = self.node_address(other)

        def has_reserve() -> bool:
            ways = self.ask(name, "path", who=peer)["candidates"]
            return any(way["state"] == "reserve" and way["via"] for way in ways)

        wait_until(has_reserve, LONG_S, 0.2, what=f"a second relay from {name} to {other}")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Lab() as lab:
        cluster = Cluster(lab)
        cluster.add("alice", relay_only=True)
        cluster.add("bob", relay_only=True)
        cluster.add("carol", relay_only=True)
        yield cluster.start()


@pytest.fixture(scope="module")
def network(cluster: Cluster) -> str:
    network = cluster.network("--name", "lan")
    cluster.join(network, "alice", "bob")
    cluster.wait_ping("alice", "10.9.0.2")
    return network


def test_a_planet_drains_and_nothing_is_lost(cluster: Cluster, network: str) -> None:
    with cluster.pinging("alice", "10.9.0.2", interval="0.05") as pinging:
        planet = cluster.between("alice", "bob")
        assert planet.cli("drain")["draining"]
        for one, other in (("alice", "bob"), ("bob", "alice")):
            wait_until(
                lambda one=one, other=other: cluster.between(one, other) is not planet,  # type: ignore[misc]
                LONG_S,
                what="another planet",
            )
        pinging.more(20)
    assert pinging.lost() == []
    assert not planet.cli("drain", "--off")["draining"]


def test_the_world_changes_while_all_run(cluster: Cluster, network: str) -> None:
    newcomer = Planet(cluster.on_wan("planet5", 5))
    world = cluster.sign([*cluster.planets, newcomer])
    shutil.copy(world, newcomer.world)
    newcomer.start()
    with cluster.pinging("alice", "10.9.0.2") as pinging:
        assert cluster.planets[1].cli("world", "install", world)["revision"] == 2
        for name in cluster.nodes:
            cluster.wait_planets(name, 4)
        pinging.more()
    assert pinging.lost() == []
    for planet in cluster.planets:
        assert planet.cli("status")["world_revision"] == 2
        assert planet.world.read_bytes() == world.read_bytes()
    newcomer.stop()


def test_planets_are_killed_under_load_until_one_is_left(cluster: Cluster, network: str) -> None:
    with cluster.pinging("alice", "10.9.0.2") as pinging:
        for _ in range(2):
            for one, other in (("alice", "bob"), ("bob", "alice")):
                cluster.wait_second_relay(one, other)
            planet = cluster.between("alice", "bob")
            before = pinging.last
            planet.kill()
            killed_at = time.monotonic()
            wait_until(lambda before=before: pinging.last > before + 2, LONG_S, what="an answer")  # type: ignore[misc]
            took = time.monotonic() - killed_at
            print(f"an answer again after {took:.2f} s")  # noqa: T201
            wait_until(lambda planet=planet: cluster.between("alice", "bob") is not planet, LONG_S)  # type: ignore[misc]
            pinging.more(10)
            lost = [number for number in pinging.lost() if number > before]
            print(f"{len(lost)} of ten a second lost")  # noqa: T201
            assert len(lost) < AGAIN_S * 10
    cluster.join(network, "carol")
    cluster.wait_ping("carol", "10.9.0.1")
