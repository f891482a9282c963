"""DRAINING as a node hears it: from planets alone, and only as a preference."""

from l2mesh.node.drains import Drains
from l2mesh.wire.message import Draining
from tests.unit.node.test_relays import Client


def test_only_planets_drain() -> None:
    client = Client()
    planets = client.relays.planets
    drains = Drains(client.core, planets, client.relays)
    liar = client.core.add_peer(client.identity().public, 0.0)
    drains.receive(liar, Draining(draining=True), 0.0)
    assert not planets.draining and client.core.refused == {"no_planet": 1}
    drains.receive(client.planet, Draining(draining=True), 0.0)
    assert planets.draining == {client.planet.fingerprint}
    drains.receive(client.planet, Draining(draining=False), 0.0)
    assert not planets.draining


def test_a_planet_whose_session_is_lost_may_have_been_started_anew() -> None:
    client = Client()
    drains = Drains(client.core, client.relays.planets, client.relays)
    drains.receive(client.planet, Draining(draining=True), 0.0)
    drains.session_lost(client.planet, 1.0)
    assert not client.relays.planets.draining
