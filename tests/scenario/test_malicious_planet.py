"""A malicious build of the planet gains metadata and denial, and nothing else.

It lies about endpoints, identities and relays; says again what was true once; opens relays for
strangers. Beside it the world has an honest planet. What a bystander gets is counted.
"""

import pytest

from l2mesh.datapath.interface import Endpoint
from l2mesh.identity import Identity
from l2mesh.node.relays import MAX_STRANGERS
from l2mesh.wire.datagram import DatagramType
from l2mesh.wire.message import (
    Draining,
    LinkRequest,
    Message,
    RelayGone,
    RelayOffer,
    RelayReady,
    WhoisReply,
)
from tests.scenario.test_lies import bystander, check_few
from tests.simulator.internet import Packet
from tests.simulator.liar import Lies, make_liar
from tests.simulator.nat import NatKind
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings, first_answer


def beside_an_honest_one(sim: Simulation, *, direct: bool = True) -> Lies:
    """Two nodes and a controller in a world whose first planet lies."""
    lies = make_liar(sim.add_planet())
    sim.add_planet()
    sim.add_controller()
    kind = NatKind.PRESERVING if direct else NatKind.SYMMETRIC
    sim.add_node(kind, direct=direct)
    sim.add_node(kind, direct=direct)
    return lies


@seeds(2)
def test_false_endpoints_bring_a_bystander_a_few_probes(sim: Simulation) -> None:
    """The planet shows everybody to themselves as the bystander, for minutes."""
    address, hit = bystander(sim)
    lies = beside_an_honest_one(sim)
    lies.observed = Endpoint(address, 9993)
    sim.start()
    network = sim.network_of(sim.nodes)
    pings = Pings(sim.nodes[0], sim.nodes[1], network).start()
    sim.run(120)
    pings.stop()
    assert sim.nodes[0].is_direct_to(sim.nodes[1])
    check_few(hit)
    assert len(hit) < 100


@seeds(3)
def test_a_directory_that_lies_names_nobody_else_as_the_controller(sim: Simulation) -> None:
    lies = beside_an_honest_one(sim)
    stranger = Identity.generate(sim.crypto, sim.random("stranger").randbytes).public

    def lie(message: Message) -> Message:
        if isinstance(message, WhoisReply):
            return WhoisReply(message.address, (stranger.encode(),))
        return message

    lies.message = lie
    sim.start()
    network = sim.network_of(sim.nodes)
    for node in sim.nodes:
        assert node.core.networks_part.joined[network].controller == (
            sim.controllers[0].identity.fingerprint
        )
    ping = first_answer(sim.nodes[0], sim.nodes[1], network)
    sim.run_until(lambda: ping.has_answer, 5)


@seeds(1)
def test_relays_for_strangers_are_few_and_go_nowhere_else(sim: Simulation) -> None:
    address, hit = bystander(sim)
    lies = beside_an_honest_one(sim)
    sim.start()
    sim.run(5)
    node = sim.nodes[0]
    random = sim.random("strangers").randbytes
    for number in range(1, 4 * MAX_STRANGERS):
        public = Identity.generate(sim.crypto, random).public
        lies.say(node, RelayOffer(number, public.encode()))
        lies.say(node, RelayReady(number, public.fingerprint))
        sim.run(0.01)
    before = sim.internet.sent[node.name]
    sim.run(20)
    assert len(node.core.relays.offered) <= MAX_STRANGERS
    assert len(node.core.core.peers) < 8  # nobody was made a peer who did not prove himself
    assert sim.internet.sent[node.name] - before < 100
    assert not hit and address


@seeds(2)
def test_what_was_true_once_moves_nothing(sim: Simulation) -> None:
    """The planet repeats READY of relays that are gone, for pairs that it does not relay."""
    lies = beside_an_honest_one(sim, direct=False)
    sim.start()
    network = sim.network_of(sim.nodes)
    pings = Pings(sim.nodes[0], sim.nodes[1], network, 0.05).start()
    sim.run(10)
    one, other = sim.nodes
    relays = [relay for relay, leg in one.core.relays.legs.items() if leg.peer == other.fingerprint]
    began = sim.now
    for number in range(50):
        for relay in (*relays, 1000 + number % 8):
            lies.say(one, RelayReady(relay, other.fingerprint))
        lies.say(other, RelayGone(tuple(relays)))
        sim.run(0.2)
    sim.run(20)
    assert pings.silence_s(began) < 3  # denial for a moment is what it can do
    peer = one.core.core.peers[other.fingerprint]
    planets = {endpoint for planet in sim.planets for endpoint in planet.endpoints}
    for path in peer.paths.relays:
        assert path.endpoint in planets
    assert len(peer.paths.relays) <= 16


@seeds(1)
def test_who_is_no_planet_opens_no_relay_between_planets(sim: Simulation) -> None:
    """A client that speaks as a sister would is not heard; nor is a sister for one who is here."""
    lies = beside_an_honest_one(sim, direct=False)
    sim.start()
    sim.run(5)
    one, other = sim.nodes
    honest = sim.planets[1]

    def ask(core: object, now: float) -> None:
        node = one.core
        planet = node.core.peers[honest.identity.fingerprint]
        asker = one.identity.public.encode()
        node.core.send(planet, LinkRequest(77, asker, other.fingerprint), now)

    one.call(ask)
    sim.run(1)
    assert honest.core.core.refused["no_sister"] == 1
    asker = one.identity.public.encode()
    request = LinkRequest(78, asker, other.fingerprint)
    lies.planet.call(
        lambda core, now: core.core.send(core.core.peers[honest.identity.fingerprint], request, now)
    )
    sim.run(1)
    assert honest.core.links == honest.core.relays == 0


@seeds(1)
def test_a_planet_that_calls_all_others_drained_is_not_heard_for_them(sim: Simulation) -> None:
    lies = beside_an_honest_one(sim)
    sim.start()
    sim.run(5)
    lies.say(sim.nodes[0], Draining(draining=True))
    sim.run(1)
    states = {view.address: view.state for view in sim.nodes[0].core.planet_views()}
    assert states == {sim.planets[0].address: "draining", sim.planets[1].address: "up"}


@seeds(2)
@pytest.mark.parametrize("held_s", [0.0, 2.0], ids=["at once", "late"])
def test_an_honest_planet_forwards_to_no_endpoint_that_has_not_answered(
    sim: Simulation, held_s: float
) -> None:
    """Somebody on the way takes a client's datagrams to a planet and sends each on from the
    bystander's address: authentic, new, and from elsewhere. The leg stays where it was."""
    address, _ = bystander(sim)
    sim.add_planet()
    sim.add_controller()
    one, other = sim.add_node(direct=False), sim.add_node(direct=False)
    sim.start()
    network = sim.network_of(sim.nodes)
    pings = Pings(other, one, network, 0.1).start()
    sim.run(5)
    (planet,) = sim.planets
    spoofed = Endpoint(address, 9993)
    passed, got = 0, []
    is_on = True

    def pass_on(packet: Packet) -> None:
        nonlocal passed
        if packet.destination == spoofed:
            got.append(packet.data)
        if is_on and packet.sender == one.name and packet.destination in planet.endpoints:
            passed += 1
            sim.schedule.after(held_s, lambda: planet.receive(packet.data, spoofed))

    sim.internet.taps.append(pass_on)
    sim.internet.cut(one.name, planet.name, one_way=True)
    sim.run(10)
    assert passed and got, "nothing was passed on"
    assert not any(data[0] == DatagramType.RELAY for data in got)
    assert len(got) <= passed and len(got) < 60  # answers to PROBEs, and challenges
    is_on = False
    sim.internet.heal()
    sim.run(30)
    assert one.path_to(other) == "relay"
    healed_at = sim.now
    sim.run(3)
    pings.stop()
    sim.run(1)
    assert [at for at in pings.lost if at > healed_at] == []
