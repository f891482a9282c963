"""The controller's node: planets, relays, candidates and members around one core, and no port.

To others it is a node like any; what it lacks are networks of its own to send frames in.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller.book import Book
from controller.issuer import Issuer
from controller.members import Members
from l2mesh.node.core import Settings
from l2mesh.node.face import ReachableFace

__all__ = ["ControllerNode"]


class ControllerNode(ReachableFace):
    """The sans-I/O face of ``l2mesh-controller serve``."""

    def __init__(self, settings: Settings, book: Book) -> None:
        super().__init__(settings)
        self.book = book
        self._prefixes: tuple[int, tuple[str, ...]] = (-1, ())
        self.issuer = Issuer(settings.identity, settings.crypto)
        self.members = Members(self.core, book, self.issuer, offer=self.candidates.offer)
        self.core.add_part(self.members)

    def refresh(self, now: float) -> None:
        """After a change of the book: tell everybody online at once."""
        self.members.refresh(now)

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
