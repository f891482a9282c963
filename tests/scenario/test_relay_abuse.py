"""A planet relays for those who agreed, between endpoints that answered it, and for nobody else."""

from l2mesh.datapath.interface import Endpoint
from l2mesh.wire.datagram import DatagramType
from l2mesh.wire.message import RelayAnswer, RelayGone, RelayRenew
from l2mesh.wire.relay import frame_relay
from tests.scenario.test_lies import bystander
from tests.simulator.internet import Packet
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings


def relayed_pair(sim: Simulation, *, others: int = 0) -> tuple[Pings, list[NodeHost]]:
    """Two members who talk over the one planet, and further clients of it."""
    sim.add_planet()
    sim.add_controller()
    one, other, *more = (sim.add_node(direct=False) for _ in range(2 + others))
    sim.start()
    network = sim.network_of((one, other))
    pings = Pings(one, other, network).start()
    sim.run(5)
    assert one.path_to(other) == "relay"
    return pings, more


@seeds(1)
def test_a_relay_of_others_is_of_no_use(sim: Simulation) -> None:
    """A client that knows the id of another pair's relay, and a stranger that does."""
    pings, [thief] = relayed_pair(sim, others=1)
    one, other, _ = sim.nodes
    [planet] = sim.planets
    [relay] = [
        relay
        for relay, leg in one.core.relays.legs.items()
        if leg.peer == other.fingerprint and relay in other.core.relays.legs
    ]
    address, _ = bystander(sim)
    came: list[bytes] = []
    junk = frame_relay(relay, b"\x80" + b"thief" * 10)

    def watch(packet: Packet) -> None:
        if packet.sender == planet.name and b"thief" in packet.data:
            came.append(packet.data)

    sim.internet.taps.append(watch)
    for _ in range(100):
        thief.transmit(junk, planet.endpoints[0])
        planet.receive(junk, Endpoint(address, 9993))
        sim.run(0.01)
    gone: list[RelayGone] = []
    handlers = thief.core.core.handlers
    handlers[RelayGone] = lambda _peer, message, _now: gone.append(message)

    def claim(node: object, now: float) -> None:
        core = thief.core.core
        at_planet = core.peers[planet.identity.fingerprint]
        core.send(at_planet, RelayRenew((relay,)), now)
        core.send(at_planet, RelayAnswer(relay, accept=False), now)

    thief.call(claim)
    sim.run(5)
    assert not came
    assert [message.relays for message in gone] == [(relay,)]
    assert pings.silence_s(sim.now - 6) < 1
    pings.stop()


@seeds(1)
def test_an_init_alone_makes_no_client(sim: Simulation) -> None:
    """INITs that were seen on the way, said again in a bystander's name: he gets an answer at most
    to each, none larger than what it answers, and the planet has no new client."""
    address, _ = bystander(sim)
    pings, _ = relayed_pair(sim)
    [planet] = sim.planets
    inits: list[bytes] = []
    answers: list[int] = []

    def note(packet: Packet) -> None:
        if packet.destination in planet.endpoints and packet.data[0] == DatagramType.INIT:
            inits.append(packet.data)
        if packet.destination.host == address:
            answers.append(len(packet.data))

    sim.internet.taps.append(note)
    newcomer = sim.add_node(direct=False)
    sim.internet.cut(newcomer.name, planet.name)  # what it says is heard on the way, and held
    newcomer.start()
    sim.run(3)
    newcomer.crash()
    assert inits
    before = planet.core.sessions, planet.core.relays
    for _ in range(50):
        for init in inits:
            planet.receive(init, Endpoint(address, 9993))
        sim.run(0.2)
    assert (planet.core.sessions, planet.core.relays) == before
    assert 0 < len(answers) <= 50 * len(inits)
    assert max(answers) <= min(len(init) for init in inits)
    pings.stop()
