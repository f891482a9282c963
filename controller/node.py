"""The controller's node: planets, relays, candidates and members around one core, and no port.

To others it is a node like any; what it lacks are networks of its own to send frames in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controller.book import Book
from controller.issuer import Issuer
from controller.members import Members
from l2mesh.credential.world import World
from l2mesh.datapath.interface import Endpoint, Upcall
from l2mesh.errors import L2meshError
from l2mesh.node.candidates import Candidates
from l2mesh.node.core import Core, Settings
from l2mesh.node.effects import CoreOutput
from l2mesh.node.files import PEERS_FILE
from l2mesh.node.planets import WORLD_FILE, Planets
from l2mesh.node.relays import Relays

__all__ = ["ControllerNode"]


class ControllerNode:
    """The sans-I/O face of ``l2mesh-controller serve``."""

    def __init__(self, settings: Settings, book: Book) -> None:
        self.book = book
        self._prefixes: tuple[int, tuple[str, ...]] = (-1, ())
        self.core = Core(settings)
        self.planets = Planets(self.core)
        self.relays = Relays(self.core, self.planets)
        self.candidates = Candidates(self.core, self.planets, self._overlay_prefixes)
        self.issuer = Issuer(settings.identity, settings.crypto)
        self.members = Members(self.core, book, self.issuer, offer=self.candidates.offer)
        for part in (self.planets, self.relays, self.candidates, self.members):
            self.core.add_part(part)
        self.planets.on_observed = self.candidates.offer_all

    def start(self, now: float) -> None:
        """Arm the engine; call once, before anything else."""
        self.core.start(now)

    def restore(self, files: Mapping[str, bytes], now: float) -> list[str]:
        """Take up the state of an earlier run; answers with complaints about unusable files."""
        complaints = []
        for name in (PEERS_FILE, WORLD_FILE):
            if name not in files:
                continue
            try:
                if name == PEERS_FILE:
                    self.candidates.restore(files[name])
                else:
                    world = World.parse(files[name], self.core.settings.crypto)
                    self.planets.restore(world, now)
            except L2meshError as error:
                complaints.append(f"state file {name} cannot be used: {error}")
        return complaints

    def adopt_world(self, world: World, now: float) -> None:
        """Use a world, or its update; StateError for a foreign or an older one."""
        self.planets.adopt(world, now)

    def refresh(self, now: float) -> None:
        """After a change of the book: tell everybody online at once."""
        self.members.refresh(now)

    def close(self, now: float) -> None:
        """Leave in good order."""
        self.candidates.save()
        self.core.close(now)

    def handle_upcall(self, upcall: Upcall, now: float) -> None:
        """One upcall of the engine."""
        self.core.handle_upcall(upcall, now)

    def handle_timeout(self, now: float) -> None:
        """What is due."""
        self.core.handle_timeout(now)

    def next_timeout(self) -> float | None:
        """When something is due."""
        return self.core.next_timeout()

    def poll_output(self) -> CoreOutput | None:
        """The next engine command or effect."""
        return self.core.poll_output()

    def set_local_endpoints(self, endpoints: tuple[Endpoint, ...], now: float) -> None:
        """The host's own addresses with our port."""
        self.core.set_local_endpoints(endpoints, now)

    def _overlay_prefixes(self) -> Iterable[str]:
        """Pools and routes of all networks, where nobody's underlay can be; read once a change."""
        generation, prefixes = self._prefixes
        if generation != self.book.generation:
            generation = self.book.generation
            settings = [network.settings for network in self.book.networks()]
            routes = (route.destination for each in settings for route in each.routes)
            pools = (pool for each in settings for pool in each.pools)
            prefixes = (*pools, *(route for route in routes if not route.endswith("/0")))
            self._prefixes = generation, prefixes
        return prefixes
