"""IP groups go to members whose hosts want them: hosts that speak IGMP are behind the ports."""

from __future__ import annotations

from l2mesh.node.peer import Peer
from l2mesh.switch.ethernet import parse_header
from l2mesh.switch.membership import Query, parse_group_talk
from l2mesh.wire.message import Message, Roster
from tests.scenario.test_join import home
from tests.simulator import frames
from tests.simulator.node import NodeHost
from tests.simulator.seeds import seeds
from tests.simulator.simulation import Simulation
from tests.unit.switch.test_membership import igmp, record, report
from tests.unit.switch.test_pim import ALL_ROUTERS4, HOLD_30, hello4

GROUP = bytes([239, 1, 2, 3])
OTHER = bytes([239, 1, 2, 4])
TO_REPORTS = bytes([224, 0, 0, 22])
ROUTER = bytes([10, 77, 0, 254])


def to_group(group: bytes, source: bytes, packet: bytes) -> bytes:
    target = b"\x01\0\x5e" + bytes([group[1] & 0x7F]) + group[2:]
    return frames.ethernet(target, source, 0x0800, packet)


class Host:
    """What a host's kernel does behind a port: it reports what it wants, and when it is asked."""

    def __init__(self, sim: Simulation, node: NodeHost, network: int) -> None:
        self.sim, self.node, self.network = sim, node, network
        self.mac = node.mac(network)
        self.groups: set[bytes] = set()
        self.queries: list[float] = []
        node.port_of(network).listeners["igmp"] = self._heard

    def _heard(self, frame: bytes) -> None:
        header = parse_header(frame)
        if header is None or header.ethertype != 0x0800 or frame[23] != 2:
            return
        talk = parse_group_talk(frame[header.payload :])
        if isinstance(talk, Query):
            self.queries.append(self.sim.now)
            self.sim.schedule.after(0.2, self._answer)

    def _answer(self) -> None:
        for group in self.groups:
            self._say(2, group)

    def _say(self, kind: int, group: bytes) -> None:
        packet = igmp(report(0x22, record(kind, group)), source=bytes(4), target=TO_REPORTS)
        self.node.port_of(self.network).send(to_group(TO_REPORTS, self.mac, packet))

    def join(self, group: bytes) -> None:
        self.groups.add(group)
        self._say(4, group)

    def leave(self, group: bytes) -> None:
        self.groups.discard(group)
        self._say(3, group)

    def ask(self) -> None:
        """As a multicast router does."""
        packet = igmp(b"\x11\x64\0\0" + bytes(4), source=ROUTER, target=bytes([224, 0, 0, 1]))
        self.node.port_of(self.network).send(to_group(bytes([224, 0, 0, 1]), self.mac, packet))


class Bench:
    """A network whose nodes have met, with a host behind each."""

    def __init__(self, sim: Simulation, nodes: int = 4, **settings: str) -> None:
        home(sim, nodes=nodes)
        self.sim = sim
        for node in sim.nodes:
            node.has_hosts = True
        for node in sim.nodes:
            node.crash()
            node.start()
        self.network = sim.network_of(sim.nodes)
        if settings:
            sim.controllers[0].set_network(self.network, **settings)
        self.hosts = [Host(sim, node, self.network) for node in sim.nodes]
        self.count = 0
        for host in self.hosts:
            self.got(host, TO_REPORTS)
        sim.run(6)

    def got(self, sender: Host, group: bytes) -> list[int]:
        """Which nodes get a frame to a group."""
        self.count += 1
        text = b"to a group %d" % self.count
        udp = b"\x10\0\x10\0" + (8 + len(text)).to_bytes(2, "big") + bytes(2) + text
        source = sender.node.address_in(self.network)
        packet = frames.ipv4(source, ".".join(map(str, group)), 17, udp)
        frame = to_group(group, sender.mac, packet)
        sender.node.port_of(self.network).send(frame)
        self.sim.run(1)
        return [
            number
            for number, host in enumerate(self.hosts)
            if frame in host.node.port_of(self.network).received
        ]


def test_a_group_goes_to_those_who_have_joined(sim: Simulation) -> None:
    bench = Bench(sim)
    sender, one, two, _ = bench.hosts
    assert bench.got(sender, GROUP) == [1, 2, 3]  # nobody has asked for it
    one.join(GROUP)
    sim.run(0.9)
    assert bench.got(sender, GROUP) == [1]
    two.join(GROUP)
    sim.run(0.9)
    assert bench.got(sender, GROUP) == [1, 2]
    assert bench.got(sender, OTHER) == [1, 2, 3]
    one.leave(GROUP)
    sim.run(3)
    assert bench.got(sender, GROUP) == [2]
    assert bench.got(sender, TO_REPORTS) == [1, 2, 3]


@seeds(1)
def test_who_has_joined_is_reached_for_as_long_as_it_answers(sim: Simulation) -> None:
    bench = Bench(sim)
    sender, one, *_ = bench.hosts
    one.join(GROUP)
    sim.run(0.9)
    for _ in range(8):
        sim.run(100)
        for host in bench.hosts[1:]:
            bench.got(host, TO_REPORTS)  # sessions do not lapse
        assert bench.got(sender, GROUP) == [1]
    one.groups.clear()
    sim.run(400)
    assert bench.got(sender, GROUP) == [1, 2, 3]


def test_unknown_groups_go_nowhere_if_the_network_says_so(sim: Simulation) -> None:
    bench = Bench(sim, unknown_groups="drop")
    sender, one, *_ = bench.hosts
    assert bench.got(sender, GROUP) == []
    one.join(GROUP)
    sim.run(0.9)
    assert bench.got(sender, GROUP) == [1]


def test_a_network_that_does_not_snoop_floods(sim: Simulation) -> None:
    bench = Bench(sim)
    sender, one, *_ = bench.hosts
    one.join(GROUP)
    sim.run(0.9)
    assert bench.got(sender, GROUP) == [1]
    sim.controllers[0].set_network(bench.network, snooping="false")
    sim.run(2)
    assert bench.got(sender, GROUP) == [1, 2, 3]
    sim.controllers[0].set_network(bench.network, snooping="true")
    sim.run(6)
    assert bench.got(sender, GROUP) == [1]


def test_a_router_gets_all_and_our_queriers_fall_silent(sim: Simulation) -> None:
    bench = Bench(sim)
    sender, one, _, router = bench.hosts
    one.join(GROUP)
    router.ask()
    sim.run(0.9)
    assert bench.got(sender, GROUP) == [1, 3]
    for host in bench.hosts:
        host.queries.clear()
    sim.run(240)
    assert not any(host.queries for host in bench.hosts)
    sim.run(30)
    assert all(host.queries for host in bench.hosts)
    assert bench.got(sender, GROUP) == [1]


def test_a_router_is_known_by_its_hello_for_as_long_as_that_says(sim: Simulation) -> None:
    bench = Bench(sim)
    sender, one, _, router = bench.hosts
    one.join(GROUP)
    hello = to_group(ALL_ROUTERS4, router.mac, hello4(HOLD_30))
    router.node.port_of(bench.network).send(hello)
    sim.run(0.9)
    assert bench.got(sender, GROUP) == [1, 3]
    sim.run(31)
    assert bench.got(sender, GROUP) == [1]


def test_reports_go_to_routers_alone(sim: Simulation) -> None:
    bench = Bench(sim)
    sender, one, two, router = bench.hosts
    router.ask()
    sim.run(0.9)
    before = {host: len(host.node.port_of(bench.network).received) for host in (one, two, router)}
    sender.join(GROUP)
    sim.run(1)
    grown = [
        len(host.node.port_of(bench.network).received) - before[host] for host in (one, two, router)
    ]
    assert grown == [0, 0, 1]


def test_who_was_started_anew_is_told_and_tells(sim: Simulation) -> None:
    bench = Bench(sim)
    sender, one, two, _ = bench.hosts
    one.join(GROUP)
    sim.run(0.9)
    for host in (sender, one):
        host.node.crash()
        sim.run(5)
        host.node.start()
        sim.run(1)
        host.node.port_of(bench.network).listeners["igmp"] = host._heard
        one.join(GROUP)
        sim.run(6)
        bench.got(sender, TO_REPORTS)
        assert 1 in bench.got(sender, GROUP)
        sim.run(6)
        assert bench.got(sender, GROUP) == [1]
    assert bench.got(two, GROUP) == [1]


@seeds(3)
def test_a_newcomer_is_heard_before_the_roster_tells_of_it(sim: Simulation) -> None:
    bench = Bench(sim, nodes=2)
    sender, newcomer = bench.hosts[0], sim.add_node()
    newcomer.has_hosts = True
    newcomer.start()
    hear_roster = sender.node.core.core.handlers.pop(Roster)
    late: list[tuple[Peer, Message]] = []
    sender.node.core.core.handlers[Roster] = lambda peer, message, now: late.append((peer, message))
    newcomer.join(bench.network)
    sim.run_until(lambda: newcomer.is_member(bench.network), 10)
    host = Host(sim, newcomer, bench.network)
    bench.hosts.append(host)
    host.join(GROUP)
    sim.run(6)
    bench.got(host, TO_REPORTS)  # it meets the sender, who knows its credential alone
    assert bench.got(sender, GROUP) == [2]
    bench.hosts[1].join(OTHER)
    sim.run(1)
    assert bench.got(sender, OTHER) == [1], "what it does not list it does not get"
    assert late and newcomer.fingerprint not in sender.node.members(bench.network)
    for peer, message in late:
        hear_roster(peer, message, sim.now)
    assert newcomer.fingerprint in sender.node.members(bench.network)
    assert bench.got(sender, GROUP) == [2]
    assert bench.got(sender, OTHER) == [1]
