"""A whole simulated world: planets, a controller, nodes, and the time that passes for them.

Everything follows from one seed: identities, what daemons draw, what lines lose. Each daemon and
each part of the world has a random source of its own, so that one more node leaves the others as
they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

from l2mesh.credential.world import Planet, SigningKey, World
from l2mesh.identity import address_of
from l2mesh.path.nat64 import Nat64
from tests.simulator.cheap import CheapCrypto
from tests.simulator.controller import ControllerHost
from tests.simulator.internet import Internet, Line, Segment
from tests.simulator.journal import Journal
from tests.simulator.nat import Nat, NatKind
from tests.simulator.nat64 import PREFIX, Nat64Gateway
from tests.simulator.node import Given, NodeHost
from tests.simulator.planet import PlanetHost
from tests.simulator.schedule import START_S, Schedule

__all__ = ["POOL", "UNIX_START", "Simulation"]

UNIX_START: Final = 1_700_000_000.0
"""The wall clock when a simulation begins."""
POOL: Final = "10.77.0.0/16"


class Simulation:
    """One world and its clock. ``folder`` holds the controller's database."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.folder = folder
        self.crypto = CheapCrypto()
        self.schedule = Schedule()
        self.journal = Journal()
        self.internet = Internet(self.schedule, self.random("internet"), self.journal)
        self.planets: list[PlanetHost] = []
        self.nodes: list[NodeHost] = []
        self.controllers: list[ControllerHost] = []
        self.given = Given(self.crypto, lambda: self.world, self._unix_now, self.random)
        self._key = SigningKey.from_seed(self.random("world").randbytes(32), self.crypto)
        self._addresses = count(1)
        self._lans = count(1)
        self._world: World | None = None

    def random(self, name: str) -> Random:
        """A random source that depends on the seed and the name alone."""
        return Random(f"{self.seed}/{name}")

    def _unix_now(self) -> float:
        return UNIX_START + self.schedule.now - START_S

    # --- building -------------------------------------------------------------------------------

    @property
    def world(self) -> World:
        """The signed list of all planets there were when somebody first asked, see `new_world`."""
        if self._world is None:
            planets = [Planet(each.identity.public, each.endpoints) for each in self.planets]
            self._world = World.create(planets, [self._key], self.crypto)
        return self._world

    def new_world(self, planets: Iterable[PlanetHost]) -> World:
        """An update of the world with these planets; whoever starts from now on is given it."""
        named = [Planet(each.identity.public, each.endpoints) for each in planets]
        keys = [self._key]
        self._world = World.create(
            named, keys, self.crypto, previous=self.world, previous_keys=keys
        )
        return self._world

    def hosts(self) -> list[PlanetHost | ControllerHost | NodeHost]:
        """Everybody."""
        return [*self.planets, *self.controllers, *self.nodes]

    def address_of(self, fingerprint: bytes) -> bytes:
        """The 40-bit address of a fingerprint."""
        address = address_of(fingerprint, self.crypto)
        assert address is not None
        return address

    def public_address(self, family: int = 4) -> str:
        """A new address on the public segment; ``family`` is 4 or 6."""
        number = next(self._addresses)
        return f"198.18.{number >> 8}.{number & 255}" if family == 4 else f"2001:db8::{number:x}"

    def line(self, name: str) -> Line:
        """A good line of its own for each host: 5 to 25 ms away, with a little jitter."""
        random = self.random(f"line {name}")
        return Line(latency_s=random.uniform(0.005, 0.025), jitter_s=random.uniform(0.0, 0.005))

    def lan(self, kind: NatKind, *, outside: Segment | None = None) -> Segment:
        """A new network at somebody's home, behind a NAT; perhaps behind another NAT's."""
        number = next(self._lans)
        outside = outside or self.internet.public
        is_public = outside is self.internet.public
        address = self.public_address() if is_public else f"100.64.{number}.1"
        nat = Nat(kind, address, self.random(f"nat {number}"))
        return self.internet.put_behind(nat, outside, f"lan {number}")

    def add_planet(self, line: Line | None = None) -> PlanetHost:
        """A planet at a public address."""
        name = f"planet{len(self.planets) + 1}"
        planet = PlanetHost(name, self.internet, self.schedule, self.journal, self.given)
        planet.attach(self.public_address(), self.internet.public, line or self.line(name))
        self.planets.append(planet)
        return planet

    def add_controller(self, line: Line | None = None) -> ControllerHost:
        """A controller at a public address."""
        name = f"controller{len(self.controllers) + 1}"
        controller = ControllerHost(
            name, self.internet, self.schedule, self.journal, self.given, self.folder / name
        )
        controller.attach(self.public_address(), self.internet.public, line or self.line(name))
        self.controllers.append(controller)
        return controller

    def add_node(
        self,
        behind: NatKind | Segment | None = None,
        *,
        line: Line | None = None,
        direct: bool = True,
    ) -> NodeHost:
        """A node at a public address, behind a NAT of its own, or on a segment that is there."""
        node = self.add_unplugged_node(direct=direct)
        line = line or self.line(node.name)
        if behind is None:
            node.attach(self.public_address(), self.internet.public, line)
        else:
            lan = self.lan(behind) if isinstance(behind, NatKind) else behind
            node.attach(f"192.168.7.{len(lan.hosts) + 2}", lan, line)
        return node

    def add_nat64_node(self) -> NodeHost:
        """A node with IPv6 alone, in a network of its own with a NAT64 gateway."""
        node = self.add_unplugged_node()
        segment = Segment(f"network of {node.name}")
        gateway = Nat64Gateway(self.public_address(), self.random(f"nat64 of {node.name}"))
        self.internet.wall(segment, gateway, self.internet.public)
        node.attach(self.public_address(6), segment, self.line(node.name))
        node.nat64 = Nat64(PREFIX)
        return node

    def add_unplugged_node(self, *, direct: bool = True) -> NodeHost:
        """A node without any address yet."""
        name = f"node{len(self.nodes) + 1}"
        node = NodeHost(name, self.internet, self.schedule, self.journal, self.given, direct=direct)
        self.nodes.append(node)
        return node

    def start(self) -> None:
        """Start every daemon that has never run."""
        for host in self.hosts():
            if not host.boots:
                host.start()

    # --- time -----------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Virtual monotonic seconds."""
        return self.schedule.now

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.schedule.run(seconds)

    def run_until(self, is_true: Callable[[], bool], limit_s: float) -> float:
        """Let time pass until something is true; fails beyond the limit. The seconds it took."""
        took = self.schedule.run_until(is_true, limit_s)
        assert took is not None, f"not true within {limit_s} s (seed {self.seed})"
        return took

    def run_until_slow(self, is_true: Callable[[], bool], limit_s: float) -> float:
        """As ``run_until``, but looks every 0.1 s only: for questions that take long to answer."""
        begun = self.now
        while not is_true():
            assert self.now - begun < limit_s, f"not true within {limit_s} s (seed {self.seed})"
            self.run(0.1)
        return self.now - begun

    # --- what tests begin with ------------------------------------------------------------------

    def network_of(self, members: Iterable[NodeHost], *, limit_s: float = 20.0) -> int:
        """A public network on the first controller with these members, all joined."""
        network = self.controllers[0].create_network(POOL, public=True)
        nodes = list(members)
        for node in nodes:
            node.join(network)
        self.run_until(lambda: all(self.knows_all(node, nodes, network) for node in nodes), limit_s)
        return network

    @staticmethod
    def knows_all(node: NodeHost, nodes: list[NodeHost], network: int) -> bool:
        """Whether a node is a member and has all the others in its roster."""
        if not node.is_member(network):
            return False
        return node.members(network) >= {each.fingerprint for each in nodes}

    def standing(self) -> dict[str, object]:
        """What nodes have come to: status of networks, accepted peers and their paths."""
        return {
            node.name: (
                [(view.id, view.status, view.mac) for view in node.core.networks()],
                sorted(
                    (peer.fingerprint, peer.path, peer.endpoint, peer.networks)
                    for peer in node.core.peers(self.now)
                    if peer.networks
                ),
                sorted((each.fingerprint, each.state) for each in node.core.planet_views()),
            )
            for node in self.nodes
        }

    def summary(self) -> str:
        """Where everybody stands, for whoever reads a failure."""
        lines = [f"seed={self.seed} virtual time={self.now - START_S:.3f} s"]
        lines.append(f"events={self.schedule.events} drops={dict(self.internet.drops)}")
        for host in self.hosts():
            state = "down" if host.machine is None else f"drops={host.engine.drops()}"
            lines.append(f"{host.name}: sent={self.internet.sent[host.name]} {state}")
        return "\n".join(lines)

    def close(self) -> None:
        """Let go of databases."""
        for controller in self.controllers:
            controller.close()
