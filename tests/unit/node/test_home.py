"""Home among planets whose costs the test names."""

from dataclasses import dataclass, field
from typing import cast

from l2mesh.node.home import CLEAR, LASTING_S, LOOK_S, Home
from l2mesh.node.planets import Planets


@dataclass
class FakePaths:
    cost_s: float


@dataclass
class FakePlanet:
    fingerprint: bytes
    paths: FakePaths


@dataclass
class FakePlanets:
    costs: dict[bytes, float]
    home: bytes | None = None
    known: list[FakePlanet] = field(default_factory=list)

    def live(self) -> list[FakePlanet]:
        return [FakePlanet(name, FakePaths(cost)) for name, cost in self.costs.items()]

    def text(self, planet: FakePlanet) -> str:
        return planet.fingerprint.hex()


def looked_at(costs: dict[bytes, float]) -> tuple[Home, FakePlanets]:
    planets = FakePlanets(costs)
    home = Home(cast(Planets, planets))
    home.look(0.0)
    return home, planets


def look_for(home: Home, since: float, seconds: float) -> float:
    now = since
    while now < since + seconds:
        now += LOOK_S
        home.look(now)
    return now


def test_the_nearest_is_home() -> None:
    _, planets = looked_at({b"far": 0.2, b"near": 0.1})
    assert planets.home == b"near"


def test_home_that_cannot_be_asked_moves_at_once() -> None:
    home, planets = looked_at({b"far": 0.2, b"near": 0.1})
    del planets.costs[b"near"]
    home.look(1.0)
    assert planets.home == b"far"


def test_a_gain_that_is_not_clear_moves_nothing() -> None:
    home, planets = looked_at({b"one": 0.1, b"other": 0.11})
    planets.costs[b"other"] = 0.1 * CLEAR + 0.001
    look_for(home, 0.0, 10 * LASTING_S)
    planets.costs.update({b"one": 0.012, b"other": 0.004})
    look_for(home, 1000.0, 10 * LASTING_S)
    assert planets.home == b"one"


def test_a_gain_must_last() -> None:
    home, planets = looked_at({b"one": 0.1, b"other": 0.2})
    planets.costs[b"other"] = 0.02
    now = look_for(home, 0.0, LASTING_S - LOOK_S)
    assert planets.home == b"one"
    planets.costs[b"other"] = 0.2
    home.look(now + 1)
    planets.costs[b"other"] = 0.02
    now = look_for(home, now + 1, LASTING_S)
    assert planets.home == b"one"
    look_for(home, now, LOOK_S)
    assert planets.home == b"other"


def test_nobody_to_ask_is_no_home_and_no_timer() -> None:
    home, planets = looked_at({})
    assert planets.home is None and home.next_timeout() is None
