"""A host with ``l2mesh-controller`` on it: the real core over the real store, in a file of its own.

A simulated crash cannot lose what SQLite has written, so the store does without waiting for the
disk; everything else about it is as in the daemon.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import event

from controller.model import Settings
from controller.node import ControllerNode
from controller.settings import change_settings
from controller.store.store import Store
from l2mesh.address import network_id
from l2mesh.datapath.interface import Engine
from l2mesh.datapath.reference.engine import ReferenceEngine
from l2mesh.identity import Identity, address_of
from tests.simulator.host import Host
from tests.simulator.internet import Internet
from tests.simulator.journal import Journal
from tests.simulator.node import Given, NodeHost, settings_of
from tests.simulator.schedule import Schedule

__all__ = ["ControllerHost"]


class ControllerHost(Host[ControllerNode]):
    """A controller, and the operator's commands."""

    def __init__(
        self,
        name: str,
        internet: Internet,
        schedule: Schedule,
        journal: Journal,
        given: Given,
        folder: Path,
    ) -> None:
        super().__init__(name, internet, schedule, journal)
        self.given = given
        self.folder = folder
        self.identity = Identity.generate(given.crypto, given.random(f"{name}/identity").randbytes)
        self.boot = self._boot
        self.store: Store | None = None
        self._numbers = count(1)
        self._tokens = given.random(f"{name}/tokens")

    @property
    def fingerprint(self) -> bytes:
        """Who the controller is."""
        return self.identity.fingerprint

    @property
    def address(self) -> bytes:
        """Its 40-bit address."""
        address = address_of(self.fingerprint, self.given.crypto)
        assert address is not None
        return address

    @property
    def book(self) -> Store:
        """The open store."""
        assert self.store is not None, f"{self.name} is down"
        return self.store

    def _boot(self, files: Mapping[str, bytes], now: float) -> tuple[Engine, ControllerNode]:
        self.close()
        self.folder.mkdir(exist_ok=True)
        self.store = Store.open(self.folder / "controller.db", self.fingerprint)
        event.listen(self.store._engine, "connect", _be_quick)
        self.store._engine.dispose()  # connections from now on are quick
        random = self.given.random(f"{self.name}/{self.boots}")
        engine = ReferenceEngine(self.given.crypto, random.randbytes)
        core = ControllerNode(settings_of(self.given, self.identity, engine, random), self.store)
        core.start(now)
        complaints = core.restore(files, now)
        assert not complaints, f"{self.name}: {complaints}"
        if core.planets.world is None:
            core.adopt_world(self.given.world(), now)
        return engine, core

    def close(self) -> None:
        """Let go of the store."""
        if self.store is not None:
            self.store.close()
            self.store = None

    def crash(self) -> None:
        super().crash()
        self.close()

    # --- the operator's commands ----------------------------------------------------------------

    def create_network(self, *pools: str, public: bool = False) -> int:
        """``network create``; its ID."""
        network = network_id(self.address, next(self._numbers))
        self.book.create_network(network, Settings(pools=pools, public=public))
        self._refresh()
        return network

    def set_network(self, network: int, **values: str) -> None:
        """``network set``."""
        self.book.set_network(network, lambda settings: change_settings(settings, values))
        self._refresh()

    def authorize(self, network: int, node: NodeHost) -> None:
        """``member authorize``."""
        address = address_of(node.fingerprint, self.given.crypto)
        assert address is not None
        self.book.authorize(network, node.fingerprint, address)
        self._refresh()

    def deauthorize(self, network: int, node: NodeHost) -> None:
        """``member deauthorize``."""
        self.book.deauthorize(network, node.fingerprint)
        self._refresh()

    def set_member(self, network: int, node: NodeHost, **values: str) -> None:
        """``member set``."""
        self.book.set_member(network, node.fingerprint, values)
        self._refresh()

    def add_token(self, network: int, *, uses: int = 1, lives_s: int = 3600) -> bytes:
        """``token create``."""
        token, unix_now = self._tokens.randbytes(32), self.given.unix_now()
        self.book.add_token(
            network, token, uses=uses, expires=int(unix_now) + lives_s, unix_now=unix_now
        )
        return token

    def _refresh(self) -> None:
        self.call(lambda core, now: core.refresh(now))


def _be_quick(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous=OFF").fetchall()
