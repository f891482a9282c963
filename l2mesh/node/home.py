"""Which planet is home: the one asked first for relays (section 7.3 of ``docs/protocol.md``).

Home is the planet that costs least: its round trip, and 10 ms for each percent lost beyond five.
It moves at once when it cannot be asked any more, and else only for a clear gain: when another has
cost less than two thirds, and at least 10 ms less, at every look for 30 s.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Final

from l2mesh.node.part import Part
from l2mesh.node.peer import Peer
from l2mesh.node.planets import Planets

__all__ = ["Home"]

log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
CLEAR: Final = 2 / 3
CLEAR_S: Final = 0.010
LASTING_S: Final = 30.0


@dataclass(slots=True, eq=False)
class Home(Part):
    """Keeps `Planets.home`."""

    planets: Planets
    _better: bytes | None = None
    """A planet that has been clearly better since `_better_since`."""
    _better_since: float = 0.0
    _look_at: float | None = field(default=None)

    def session_live(self, peer: Peer, session: int, now: float, *, initiator: bool) -> None:
        if self.planets.is_planet(peer.fingerprint):
            self._look_at = now if self.planets.home is None else self._look_at or now + LOOK_S

    def session_lost(self, peer: Peer, now: float) -> None:
        if peer.fingerprint == self.planets.home:
            self.look(now)

    def path_changed(self, peer: Peer, now: float) -> None:
        if self.planets.home in {None, peer.fingerprint}:
            self.look(now)

    def next_timeout(self) -> float | None:
        return self._look_at

    def handle_timeout(self, now: float) -> None:
        self.look(now)

    def look(self, now: float) -> None:
        """See whether home is where it should be."""
        self._look_at = now + LOOK_S
        ready = self.planets.live()
        if not ready:
            self._look_at = None
            return
        home = next((each for each in ready if each.fingerprint == self.planets.home), None)
        best = min(ready, key=lambda planet: planet.paths.cost_s)
        if home is None:
            self._move(best, "it is the nearest")
        elif best.paths.cost_s >= min(home.paths.cost_s * CLEAR, home.paths.cost_s - CLEAR_S):
            self._better = None
        elif best.fingerprint != self._better:
            self._better, self._better_since = best.fingerprint, now
        elif now >= self._better_since + LASTING_S:
            self._move(best, "it has been clearly better for a while")

    def _move(self, planet: Peer, why: str) -> None:
        self._better = None
        self.planets.home = planet.fingerprint
        log.info("home planet: planet=%s, %s", self.planets.text(planet), why)
