"""A host with ``l2mesh-planet`` on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from l2mesh.credential.world import World
from l2mesh.datapath.interface import Engine
from l2mesh.datapath.reference.engine import ReferenceEngine
from l2mesh.identity import Identity, address_of
from l2mesh.node.planets import WORLD_FILE
from l2mesh.session.handshake import Role
from planet.core import PlanetCore, RememberClaims
from planet.directory import FirstClaim
from tests.simulator.host import Host
from tests.simulator.internet import Internet
from tests.simulator.journal import Journal
from tests.simulator.node import Given, settings_of
from tests.simulator.schedule import Schedule

__all__ = ["PlanetHost"]


class PlanetHost(Host[PlanetCore]):
    """A planet. The claims that it remembers are on its disk."""

    def __init__(
        self, name: str, internet: Internet, schedule: Schedule, journal: Journal, given: Given
    ) -> None:
        super().__init__(name, internet, schedule, journal)
        self.given = given
        self.identity = Identity.generate(given.crypto, given.random(f"{name}/identity").randbytes)
        self.claims: list[FirstClaim] = []
        self.boot = self._boot

    @property
    def address(self) -> bytes:
        """Its 40-bit address."""
        address = address_of(self.identity.fingerprint, self.given.crypto)
        assert address is not None
        return address

    def carry_out(self, effect: Any) -> None:
        if isinstance(effect, RememberClaims):
            self.claims += effect.rows
        else:
            super().carry_out(effect)

    def _boot(self, files: Mapping[str, bytes], now: float) -> tuple[Engine, PlanetCore]:
        random = self.given.random(f"{self.name}/{self.boots}")
        engine = ReferenceEngine(self.given.crypto, random.randbytes)
        settings = settings_of(self.given, self.identity, engine, random)
        core = PlanetCore(
            replace(settings, role=Role.PLANET, direct=True, watch=False), self.claims
        )
        core.start(now)
        held = files.get(WORLD_FILE)
        core.serve_world(World.parse(held, self.given.crypto) if held else self.given.world(), now)
        return engine, core
