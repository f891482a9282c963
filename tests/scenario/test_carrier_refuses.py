"""For whom a member with the right ``relay`` does not carry, and what ends when things change."""

import pytest

from l2mesh.datapath.interface import Endpoint
from l2mesh.node import carrying
from l2mesh.node.peer import Peer
from l2mesh.wire.datagram import DatagramType
from l2mesh.wire.message import (
    Draining,
    RelayFailed,
    RelayFailure,
    RelayOffer,
    RelayReady,
    RelayRequest,
)
from tests.simulator.internet import Packet
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings, first_answer


def meet(sim: Simulation, network: int, carrier: NodeHost, *others: NodeHost) -> None:
    """Have sessions with the carrier, by direct paths."""
    pings = [first_answer(other, carrier, network) for other in others]
    sim.run(5)
    assert all(ping.has_answer for ping in pings)
    assert all(carrier.is_direct_to(other) and other.is_direct_to(carrier) for other in others)


def carried(sim: Simulation) -> tuple[NodeHost, NodeHost, NodeHost, int]:
    """Two members and one that may carry for them, in a network."""
    sim.add_planet()
    sim.add_controller()
    one, other, carrier = sim.add_node(), sim.add_node(), sim.add_node()
    sim.start()
    network = sim.network_of(sim.nodes)
    sim.controllers[0].set_member(network, carrier, relay="true")
    meet(sim, network, carrier, one, other)
    return one, other, carrier, network


def ask(sim: Simulation, asker: NodeHost, carrier: NodeHost, target: NodeHost) -> str:
    """RELAY_REQUEST, and what came of it."""
    heard: list[str] = []
    core = asker.core.core
    at_carrier = core.peers[carrier.fingerprint]
    ready, failed = asker.core.relays.receive_ready, asker.core.relays.receive_failed

    def hear_ready(peer: Peer, message: RelayReady, now: float) -> None:
        if peer is at_carrier:
            heard.append("ready")
        ready(peer, message, now)

    def hear_failed(peer: Peer, message: RelayFailed, now: float) -> None:
        if peer is at_carrier:
            heard.append(message.reason.value)
        failed(peer, message, now)

    core.handlers |= {RelayReady: hear_ready, RelayFailed: hear_failed}
    request = RelayRequest(peer=target.fingerprint)
    asker.call(lambda node, now: node.core.send(at_carrier, request, now))
    sim.run(1)
    core.handlers |= {RelayReady: ready, RelayFailed: failed}
    return heard[0] if heard else ""


@seeds(1)
def test_members_of_the_network_are_carried(sim: Simulation) -> None:
    one, other, carrier, _ = carried(sim)
    assert ask(sim, one, carrier, other) == "ready"
    assert carrier.core.carrying.relays == 1
    assert {leg.carrier for leg in other.core.relays.legs.values()} >= {carrier.fingerprint}


@seeds(1)
def test_members_of_another_network_are_refused(sim: Simulation) -> None:
    one, _, carrier, _ = carried(sim)
    stranger = sim.add_node()
    sim.start()
    elsewhere = sim.network_of([stranger, one, carrier])
    meet(sim, elsewhere, carrier, stranger)
    assert ask(sim, stranger, carrier, one) == RelayFailure.REFUSED.value
    assert ask(sim, one, carrier, stranger) == RelayFailure.REFUSED.value
    assert carrier.core.carrying.relays == 0


@seeds(1)
def test_strangers_are_not_heard(sim: Simulation) -> None:
    one, _, carrier, _ = carried(sim)
    public, request = sim.add_node().identity.public, RelayRequest(peer=one.fingerprint)
    stranger = carrier.core.core.add_peer(public, sim.now)
    carrier.call(lambda node, now: node.carrying.receive_request(stranger, request, now))
    assert not stranger.waiting
    assert carrier.core.core.refused["not_carried"] == 1
    assert carrier.core.carrying.relays == 0


@seeds(1)
def test_who_is_not_reached_directly_is_absent_and_loses_relays(sim: Simulation) -> None:
    one, other, carrier, _ = carried(sim)
    assert ask(sim, one, carrier, other) == "ready"
    sim.internet.cut(carrier.name, other.name)
    sim.run_until(lambda: carrier.core.carrying.relays == 0, 40)
    legs = one.core.relays.legs
    sim.run_until(lambda: all(leg.carrier != carrier.fingerprint for leg in legs.values()), 1)
    assert ask(sim, one, carrier, other) == RelayFailure.ABSENT.value


@seeds(1)
def test_relays_of_all_members_are_limited(
    sim: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, carrier, network = carried(sim)
    more = sim.add_node()
    sim.start()
    more.join(network)
    sim.run_until(lambda: sim.knows_all(more, sim.nodes, network), 10)
    meet(sim, network, carrier, more)
    monkeypatch.setattr(carrying, "MAX_RELAYS", 1)
    assert ask(sim, one, carrier, other) == "ready"
    assert ask(sim, one, carrier, more) == RelayFailure.LIMIT.value
    assert ask(sim, other, carrier, one) == "ready"


@seeds(1)
def test_a_carrier_cannot_bring_anybody_else(sim: Simulation) -> None:
    """Without the right, or for somebody who is no member, its offers meet silence."""
    one, other, carrier, network = carried(sim)
    stranger = sim.add_node()
    public = stranger.identity.public.encode()
    at_one = one.core.core.peers[carrier.fingerprint]
    one.call(lambda node, now: node.relays.receive_offer(at_one, RelayOffer(7, public), now))
    sim.controllers[0].set_member(network, carrier, relay="false")
    sim.run(2)
    public = other.identity.public.encode()
    one.call(lambda node, now: node.relays.receive_offer(at_one, RelayOffer(8, public), now))
    assert one.core.core.refused["no_carrier"] == 2
    assert not {7, 8} & one.core.relays.legs.keys()


@seeds(1)
def test_who_carries_nothing_drains_nothing(sim: Simulation) -> None:
    """DRAINING speaks for relays of the speaker alone: the planets' are used as before."""
    one, other, carrier, _ = carried(sim)
    at_one = carrier.core.core.peers[one.fingerprint]
    drain = Draining(draining=True)
    carrier.call(lambda node, now: node.core.send(at_one, drain, now))
    sim.run(1)
    assert one.core.core.refused["no_planet"] == 1
    assert not one.core.planets.draining
    assert ask(sim, one, carrier, other) == "ready"
    carrier.call(lambda node, now: node.withdraw(now))
    sim.run(1)
    assert one.core.planets.draining == {carrier.fingerprint}
    states = {view.state for view in one.core.planet_views()}
    assert states == {"up"}


@seeds(1)
def test_a_carrier_forwards_to_no_endpoint_that_has_not_answered(sim: Simulation) -> None:
    """Somebody on the way sends what a client says to the carrier on from a bystander's address,
    and is first each time: what comes for the client does not go there."""
    one, other, carrier, network = carried(sim)
    spoofed, got, passed = Endpoint(sim.public_address(), 9993), [], []
    sim.internet.cut(one.name, other.name)
    assert ask(sim, one, carrier, other) == "ready"
    for planet in sim.planets:
        planet.crash()
    pings = Pings(other, one, network, 0.5).start()
    sim.run_until(lambda: pings.has_answer, 10)
    before = carrier.engine.counters()["relayed_packets"]

    def pass_on(packet: Packet) -> None:
        if packet.destination == spoofed:
            got.append(packet.data)
        elif packet.sender == one.name and packet.destination.host == carrier.endpoints[0].host:
            passed.append(packet.data)
            sim.schedule.after(0.0, lambda: carrier.receive(packet.data, spoofed))

    sim.internet.taps.append(pass_on)
    sim.run(60)
    assert carrier.engine.counters()["relayed_packets"] > before
    assert got, "nobody was asked"
    assert not any(data[0] == DatagramType.RELAY for data in got)
    said = [data for data in passed if data[0] != DatagramType.RELAY]
    assert len(got) <= len(said) + 60  # an answer to each PROBE at most, and eight PROBEs in 10 s
