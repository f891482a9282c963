"""A malicious build of a member brings a third party a few probes, and moves nobody's paths.

It is a member of the network and has sessions with everybody, so all it says is authentic. Bounds
are those of section 8.4.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from random import Random

import pytest

from l2mesh.datapath.interface import Endpoint
from l2mesh.path import answers, probe
from l2mesh.path.quota import PER_MINUTE
from l2mesh.path.size import IPV4_PAYLOAD
from l2mesh.wire.control import Probe, ProbeReply
from l2mesh.wire.message import Call
from tests.scenario.test_lies import bystander
from tests.simulator.impostor import Impostor
from tests.simulator.internet import Packet
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.simulator.traffic import Pings

SECONDS = 40


class Town:
    """A member that lies, one that is lied to, an honest third, and traffic between them."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        sim.add_planet()
        sim.add_planet()
        sim.add_controller()
        liar, self.victim, self.third = (sim.add_node() for _ in range(3))
        sim.start()
        self.network = sim.network_of(sim.nodes)
        self.pings = Pings(self.victim, self.third, self.network, 0.2).start()
        self.lured = Pings(self.victim, liar, self.network, 0.5).start()
        sim.run(5)
        assert self.victim.is_direct_to(self.third)
        self.liar = Impostor(liar)
        self.began = sim.now
        self.places: Counter[str] = Counter()
        """What the victim sent, by host."""
        sim.internet.taps.append(self._note)

    def silence_liar(self) -> None:
        """From now on the liar is reached by a relay alone: whoever is asked for it, is asked."""
        self.sim.internet.cut(self.liar.node.name, self.victim.name)

    def check_the_honest(self) -> None:
        """The honest pair has not noticed anything; and a newcomer finds its way."""
        assert self.victim.is_direct_to(self.third)
        assert self.pings.silence_s(self.began) < 1
        newcomer = self.sim.add_node()
        newcomer.start()
        newcomer.join(self.network)
        self.sim.run_until(lambda: newcomer.is_member(self.network), 5)
        more = Pings(newcomer, self.victim, self.network).start()
        self.sim.run_until(lambda: self.victim.is_direct_to(newcomer), 5)
        self.sim.run_until(lambda: newcomer.is_direct_to(self.victim), 5)
        for each in (more, self.pings, self.lured):
            each.stop()

    def _note(self, packet: Packet) -> None:
        if packet.sender == self.victim.name:
            self.places[packet.destination.host] += 1


def allowed(burst: float, rate: float, seconds: float = SECONDS) -> float:
    """What a bucket lets pass in a time."""
    return burst + rate * seconds


@seeds(1)
def test_a_thousand_ports_of_a_bystander_get_what_one_host_may_get(sim: Simulation) -> None:
    """Eight others each second: no candidate is ever given the time to fail."""
    town = Town(sim)
    address, hit = bystander(sim)
    town.silence_liar()
    ports = count(2000)
    for _ in range(SECONDS):
        town.liar.name(town.victim, [Endpoint(address, next(ports)) for _ in range(8)])
        sim.run(1)
    assert hit, "the lie was not even tried"
    assert len(hit) <= allowed(probe.HOST_BURST, probe.HOST_RATE)
    town.check_the_honest()


def hosts(kind: str) -> Iterator[str]:
    """Others' places: a street of the internet, or machines of the victim's LAN."""
    for number in count(1):
        pair = f"{number >> 8 & 255}.{number & 255}"
        yield f"203.0.{pair}" if kind == "internet" else f"192.168.{pair}"


@seeds(1)
@pytest.mark.parametrize("kind", ["internet", "LAN"])
def test_hundreds_of_hosts_get_together_what_one_peer_may_cause(sim: Simulation, kind: str) -> None:
    town = Town(sim)
    town.silence_liar()
    named = hosts(kind)
    for _ in range(SECONDS):
        town.liar.name(town.victim, [Endpoint(next(named), 53) for _ in range(8)])
        sim.run(1)
    probed = {host: hits for host, hits in town.places.items() if host.startswith(("203.", "192."))}
    assert len(probed) > 100, "the lie was not even tried"
    assert sum(probed.values()) <= allowed(probe.PEER_BURST, probe.PEER_RATE)
    assert max(probed.values()) <= 8 * 4
    town.check_the_honest()


@seeds(1)
def test_what_is_nobodys_place_is_not_tried(sim: Simulation) -> None:
    town = Town(sim)
    town.silence_liar()
    inside = town.third.address_in(town.network)
    for group in (
        ("224.0.0.251", "239.108.50.109", "255.255.255.255", "0.0.0.0", "127.0.0.1"),
        ("127.8.8.8", "169.254.7.7", "0.1.2.3", inside, "10.77.0.1"),
        ("ff02::1", "::", "::1", "fe80::1", "::ffff:192.0.2.1", "fd6c:326d:6573:1::1"),
    ):
        town.liar.name(town.victim, [Endpoint(host, 9993) for host in group])
        sim.run(10)
        assert not set(group) & town.places.keys()
    town.check_the_honest()


@seeds(1)
def test_probes_in_a_bystanders_name_are_answered_a_few_times(sim: Simulation) -> None:
    """A hundred PROBEs in each datagram, twenty datagrams a second, from one port after another."""
    town = Town(sim)
    address, hit = bystander(sim)
    nonces = count(1)
    for number in range(20 * SECONDS):
        records = [Probe(next(nonces)) for _ in range(100)]
        town.liar.spoof(town.victim, Endpoint(address, 1024 + number % 2048), records)
        sim.run(0.05)
    answered = allowed(answers.PEER_BURST, answers.PEER_RATE)
    assert len(hit) <= answered + allowed(probe.HOST_BURST, probe.HOST_RATE)
    refused = town.victim.core.core.refused
    assert refused["probe_repeated"] == 99 * 20 * SECONDS
    assert refused["probe_not_answered"] > 10 * SECONDS
    town.check_the_honest()


@seeds(1)
def test_probes_in_the_name_of_many_are_answered_a_few_times(sim: Simulation) -> None:
    town = Town(sim)
    random = Random(7)
    for _ in range(20 * SECONDS):
        host = f"203.0.{random.randrange(256)}.{random.randrange(1, 255)}"
        town.liar.spoof(town.victim, Endpoint(host, 53), [Probe(random.getrandbits(64))])
        sim.run(0.05)
    hits = sum(each for host, each in town.places.items() if host.startswith("203."))
    assert hits, "the lie was not even tried"
    assert hits <= (
        allowed(answers.PEER_BURST, answers.PEER_RATE) + allowed(probe.PEER_BURST, probe.PEER_RATE)
    )
    town.check_the_honest()


@seeds(1)
def test_old_packets_from_elsewhere_move_nothing(sim: Simulation) -> None:
    """Somebody on the way repeats each datagram of an honest member from a bystander's address, at
    once and later; and holds some back, which come when newer ones have been."""
    town = Town(sim)
    address, hit = bystander(sim)
    elsewhere = Endpoint(address, 9993)
    victim, third = town.victim, town.third
    passed = 0

    def repeat(packet: Packet) -> None:
        nonlocal passed
        if packet.sender == third.name and packet.destination in victim.endpoints:
            passed += 1
            for late in (0.2, 3.0):
                sim.schedule.after(late, lambda: victim.receive(packet.data, elsewhere))

    sim.internet.taps.append(repeat)
    sim.run(20)
    assert passed > 100
    assert not hit, "a replayed packet was answered"
    sim.internet.taps.remove(repeat)
    held: list[bytes] = []
    honest = third.transmit

    def hold(datagram: bytes, endpoint: Endpoint) -> None:
        if endpoint in victim.endpoints and len(held) < 100 and sim.random("hold").random() < 0.5:
            held.append(datagram)
        else:
            honest(datagram, endpoint)

    third.transmit = hold  # type: ignore[method-assign]
    sim.run(0.1)
    third.transmit = honest  # type: ignore[method-assign]
    sim.run(1.0)
    for datagram in held:
        victim.receive(datagram, elsewhere)
    sim.run(5)
    assert not hit, "an old packet was answered"
    peer = victim.core.core.peers[third.fingerprint]
    assert peer.paths.active is not None
    assert peer.paths.active.endpoint in third.endpoints
    town.check_the_honest()


@seeds(1)
def test_the_newest_packet_from_elsewhere_moves_nothing_either(sim: Simulation) -> None:
    """Somebody on the way is always first: the bystander is asked whether it is the member."""
    town = Town(sim)
    address, hit = bystander(sim)
    elsewhere = Endpoint(address, 9993)
    victim, third = town.victim, town.third

    def overtake(packet: Packet) -> None:
        if packet.sender == third.name and packet.destination in victim.endpoints:
            victim.receive(packet.data, elsewhere)

    sim.internet.taps.append(overtake)
    sim.run(SECONDS)
    sim.internet.taps.remove(overtake)
    assert hit, "nothing was passed on"
    assert len(hit) <= allowed(probe.HOST_BURST, probe.HOST_RATE) + allowed(
        answers.PEER_BURST, answers.PEER_RATE
    )
    peer = victim.core.core.peers[third.fingerprint]
    assert all(each.path.endpoint != elsewhere or not each.usable for each in peer.paths.candidates)
    sim.run_until(lambda: victim.is_direct_to(third), 70)  # they went over the relay meanwhile
    town.check_the_honest()


@seeds(1)
def test_calls_that_name_another_host_each_time(sim: Simulation) -> None:
    """Five CALLs a second: one in 20 s is heeded."""
    town = Town(sim)
    town.silence_liar()
    named = hosts("internet")
    for _ in range(5 * SECONDS):
        lie = Call.of("sequential", tuple(Endpoint(next(named), 40_000) for _ in range(4)), 1)
        town.liar.say(town.victim, lie)
        sim.run(0.2)
    hits = sum(each for host, each in town.places.items() if host.startswith("203."))
    assert hits, "the lie was not even tried"
    assert hits <= PER_MINUTE * (SECONDS / 20 + 1)
    assert max(town.places[host] for host in town.places if host.startswith("203.")) <= PER_MINUTE
    town.check_the_honest()


@seeds(1)
def test_replies_that_nobody_asked_for_change_nothing(sim: Simulation) -> None:
    """From elsewhere, with numbers that are guessed, or with one's own PROBEs: neither the path
    nor the size of datagrams follows."""
    town = Town(sim)
    address, hit = bystander(sim)
    elsewhere, random = Endpoint(address, 9993), Random(3)
    peer = town.victim.core.core.peers[town.liar.node.fingerprint]
    for _ in range(2 * SECONDS):
        records = [ProbeReply(random.getrandbits(64), elsewhere) for _ in range(20)]
        town.liar.spoof(town.victim, elsewhere, records)
        sim.run(0.5)
    assert len(hit) <= allowed(probe.HOST_BURST, probe.HOST_RATE)
    for each in peer.paths.candidates:
        assert each.path.endpoint != elsewhere or not each.usable
        assert each.size.size <= IPV4_PAYLOAD
    town.check_the_honest()
