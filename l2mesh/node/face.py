"""What a program runs: a core with its parts, seen from outside.

`Face` passes on what a runtime asks of any core. `ReachableFace` is the face of those who reach
others by a world: it has planets, relays and candidates, and keeps what they found out. Nodes and
controllers are such; a planet is what they reach by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from l2mesh.credential.world import World
from l2mesh.datapath.interface import Endpoint, Upcall
from l2mesh.errors import L2meshError
from l2mesh.node.calls import Calls
from l2mesh.node.candidates import Candidates
from l2mesh.node.core import Core, Settings
from l2mesh.node.drains import Drains
from l2mesh.node.effects import CoreOutput
from l2mesh.node.files import PEERS_FILE
from l2mesh.node.home import Home
from l2mesh.node.planets import WORLD_FILE, Planets
from l2mesh.node.relays import Relays
from l2mesh.node.scouts import Scouts
from l2mesh.node.spares import Spares
from l2mesh.node.streams import Streams
from l2mesh.node.worlds import Worlds
from l2mesh.path.nat64 import Nat64

__all__ = ["Face", "ReachableFace"]


class Face:
    """A core as the runtime drives it: see `l2mesh.runtime.core.Core`."""

    def __init__(self, settings: Settings) -> None:
        self.core = Core(settings)

    def start(self, now: float) -> None:
        """Arm the engine; call once, before anything else."""
        self.core.start(now)

    def close(self, now: float) -> None:
        """Leave in good order: tell the peers."""
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


class ReachableFace(Face):
    """A core with planets, relays and candidates."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.planets = Planets(self.core)
        self.relays = Relays(self.core, self.planets)
        self.candidates = Candidates(self.core, self.planets, self._overlay_prefixes)
        self.streams = Streams(self.core, self.planets)
        self.scouts = Scouts(self.core, self.planets)
        self.calls = Calls(self.core, self.candidates, self.scouts)
        home, spares = Home(self.planets), Spares(self.core, self.planets, self.relays)
        self.worlds = Worlds(self.core, self.planets)
        drains = Drains(self.core, self.planets, self.relays)
        reaching = (self.planets, home, self.worlds, self.relays, spares, drains, self.candidates)
        for part in (*reaching, self.scouts, self.calls, self.streams):
            self.core.add_part(part)
        self.candidates.on_told = self.calls.told
        self.scouts.on_done = self.calls.scouted
        self.planets.on_drained += [home.look, spares.drained]
        self.planets.on_adopted += [self.worlds.adopted, drains.world_adopted]
        self.planets.on_observed.append(self.candidates.offer_all)

    def restore(self, files: Mapping[str, bytes], now: float) -> list[str]:
        """Take up the state of an earlier run; answers with complaints about unusable files.

        A damaged file is left as it is and named, so that nothing is lost by starting.
        """
        complaints = []
        first = [name for name in (PEERS_FILE, WORLD_FILE) if name in files]
        for name in [*first, *sorted(files.keys() - set(first))]:
            try:
                self._restore_file(name, files[name], now)
            except L2meshError as error:
                complaints.append(f"state file {name} cannot be used: {error}")
        return complaints

    def adopt_world(self, world: World, now: float) -> None:
        """Use a world, or its update; StateError for a foreign or an older one."""
        self.planets.adopt(world, now)

    def stream_changed(self, planet: bytes, endpoint: Endpoint | None, now: float) -> None:
        """A stream to a planet (fingerprint) is open; None: there is none, or no more."""
        self.streams.stream_changed(planet, endpoint, now)

    def close(self, now: float) -> None:
        """Leave in good order: keep what is worth keeping, tell the peers."""
        self.candidates.save()
        super().close(now)

    def poll_output(self) -> CoreOutput | None:
        """The next engine command or effect."""
        return self.core.poll_output()

    def set_local_endpoints(self, endpoints: tuple[Endpoint, ...], now: float) -> None:
        """The host's own addresses with our port."""
        self.core.set_local_endpoints(endpoints, now)

    def set_uplinks(self, named: tuple[int, ...], now: float, *, lost: bool = False) -> None:
        """The host's uplinks beside its own choice, the best first; see `Core.set_uplinks`."""
        self.core.set_uplinks(named, now, lost=lost)

    def set_families(self, families: frozenset[int], now: float) -> None:
        """By which versions of IP the host has a way out; see `Core.set_families`."""
        self.core.set_families(families, now)

    def set_nat64(self, nat64: Nat64 | None, now: float) -> None:
        """By which gateway IPv4 is reached, where the host has none; see `Core.set_nat64`."""
        self.core.set_nat64(nat64, now)

    def set_mapped_endpoints(self, endpoints: tuple[Endpoint, ...], now: float) -> None:
        """Routers lead these endpoints to our port, or let in what is for them."""
        self.candidates.set_mapped(endpoints, now)

    def _restore_file(self, name: str, data: bytes, now: float) -> None:
        """One file of an earlier run; names that mean nothing here are passed over."""
        if name == PEERS_FILE:
            self.candidates.restore(data)
        elif name == WORLD_FILE:
            self.planets.restore(World.parse(data, self.core.settings.crypto), now)

    def _overlay_prefixes(self) -> Iterable[str]:
        """Prefixes inside networks, where nobody's underlay can be."""
        raise NotImplementedError
