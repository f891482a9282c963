"""The mesh as a bridge, by the clauses of IEEE 802.1Q-2018 and the tests of RFC 2889.

a and b are ordinary members, c and d have the right `bridge`: stations live behind them. All are
ports of programs, on each engine in turn. What takes 300 s (ageing, 8.8.3) is tested with a virtual
clock in tests/engine/test_switching.py, and so is every rule once more on its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

import l2mesh
from l2mesh.node.node import Node
from tests.system.mesh import PATIENCE_S, Mesh, marker, mesh_of
from tests.system.ports import BROADCAST, Crowd, at_node, collect, frame, station
from tests.unit.switch.test_membership import igmp
from tools.lab import wait_until

pytestmark = pytest.mark.root

QUIET_S = 0.3
"""Nothing more comes after so long."""
STP = bytes.fromhex("0180c2000000")
PAUSE = bytes.fromhex("0180c2000001")
GROUP = bytes.fromhex("01005e7f0001")


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with mesh_of() as mesh:
        yield mesh


class Bridge(NamedTuple):
    """Its four ports."""

    a: l2mesh.Port
    b: l2mesh.Port
    c: l2mesh.Port
    d: l2mesh.Port

    def got(self, text: bytes) -> dict[str, int]:
        """How many frames with this text came out of each port."""
        found = collect(self, text, for_s=QUIET_S)
        return {name: len(found[port]) for name, port in zip("abcd", self, strict=True)}


@pytest.fixture(scope="module", params=["native", "reference"])
def bridge(mesh: Mesh, request: pytest.FixtureRequest) -> Iterator[Bridge]:
    host = mesh.on_wan(f"office-{request.param}", {"native": 50, "reference": 60}[request.param])
    network = mesh.network()
    with Crowd(mesh, host, network, request.param) as crowd:
        ports = Bridge(*crowd.join(4))
        for port in ports[2:]:
            mesh.admin(
                "member_set", network=network, member=port.address, settings={"bridge": "true"}
            )
        crowd.acquaint(ports)
        for port in ports[2:]:
            wait_for_right(ports, port)
        yield ports


def wait_for_right(bridge: Bridge, port: l2mesh.Port) -> None:
    """Until everybody knows that stations may live behind a port."""

    def is_known() -> bool:
        text = marker("right")
        bridge.a.send(frame(station(0), bridge.a.mac, text))
        heard = collect([port], text, for_s=QUIET_S, until=1)[port]
        port.send(frame(BROADCAST, station(0), text + b"back"))
        back = collect([bridge.a, bridge.b], text + b"back", for_s=QUIET_S, until=1)
        return bool(heard) and all(back.values())

    wait_until(is_known, PATIENCE_S, what="the right to bridge")


def test_8_7_learning_and_8_6_3_forwarding_to_the_learned_port(bridge: Bridge) -> None:
    text, here = marker("learn"), station(1)
    bridge.c.send(frame(BROADCAST, here, text))
    assert bridge.got(text) == {"a": 1, "b": 1, "c": 0, "d": 1}
    text = marker("known")
    bridge.a.send(frame(here, bridge.a.mac, text))
    bridge.b.send(frame(here, bridge.b.mac, text))
    assert bridge.got(text) == {"a": 0, "b": 0, "c": 2, "d": 0}


def test_8_8_unknown_unicast_floods_to_where_stations_may_be(bridge: Bridge) -> None:
    text = marker("unknown")
    bridge.a.send(frame(station(999), bridge.a.mac, text))
    assert bridge.got(text) == {"a": 0, "b": 0, "c": 1, "d": 1}
    text = marker("member")
    bridge.a.send(frame(bridge.b.mac, bridge.a.mac, text))
    assert bridge.got(text) == {"a": 0, "b": 1, "c": 0, "d": 0}


def test_8_8_3_station_that_moves_is_found_at_once(bridge: Bridge) -> None:
    moving, text = station(2), marker("first")
    bridge.c.send(frame(BROADCAST, moving, text))
    bridge.got(text)
    text = marker("moved")
    bridge.d.send(frame(BROADCAST, moving, text))
    assert bridge.got(text) == {"a": 1, "b": 1, "c": 1, "d": 0}
    text = marker("after")
    bridge.a.send(frame(moving, bridge.a.mac, text))
    bridge.c.send(frame(moving, station(1), text))
    assert bridge.got(text) == {"a": 0, "b": 0, "c": 0, "d": 2}


@pytest.mark.parametrize("target", [BROADCAST, GROUP], ids=["broadcast", "multicast"])
def test_6_5_4_no_frame_twice_and_none_back_to_its_sender(bridge: Bridge, target: bytes) -> None:
    text = marker("flood")
    for number in range(50):
        bridge.a.send(frame(target, bridge.a.mac, text + bytes([number])))
        bridge.c.send(frame(target, station(1), text + bytes([100 + number])))
    found = collect(bridge, text, for_s=QUIET_S)
    for port in bridge:
        own = {bridge.a: range(100), bridge.c: range(100, 200)}.get(port, range(0))
        expected = [n for n in (*range(50), *range(100, 150)) if n not in own]
        assert sorted(data[-1] for data in found[port]) == expected


def test_6_5_3_frames_of_a_flow_keep_their_order(bridge: Bridge) -> None:
    text = marker("order")
    for number in range(400):
        bridge.a.send(frame(bridge.d.mac, bridge.a.mac, text + number.to_bytes(2, "big")))
    found = collect([bridge.d], text, for_s=QUIET_S)[bridge.d]
    assert [int.from_bytes(data[-2:], "big") for data in found] == list(range(400))


def test_8_8_9_vlans_are_learned_apart(bridge: Bridge) -> None:
    here, text = station(3), marker("vlans")
    bridge.c.send(frame(BROADCAST, here, text, vlan=10))
    bridge.d.send(frame(BROADCAST, here, text, vlan=20))
    assert bridge.got(text) == {"a": 2, "b": 2, "c": 1, "d": 1}
    text = marker("ten")
    bridge.a.send(frame(here, bridge.a.mac, text, vlan=10))
    assert bridge.got(text) == {"a": 0, "b": 0, "c": 1, "d": 0}
    text = marker("twenty")
    bridge.a.send(frame(here, bridge.a.mac, text, vlan=20))
    assert bridge.got(text) == {"a": 0, "b": 0, "c": 0, "d": 1}
    text = marker("untagged")
    bridge.a.send(frame(here, bridge.a.mac, text))
    assert bridge.got(text) == {"a": 0, "b": 0, "c": 1, "d": 1}, "not known there"


def test_8_6_3_reserved_addresses_are_not_forwarded(bridge: Bridge) -> None:
    text = marker("bpdu")
    for last in range(16):
        bridge.a.send(frame(STP[:5] + bytes([last]), bridge.a.mac, text))
    assert bridge.got(text) == {"a": 0, "b": 0, "c": 0, "d": 0}
    bridge.a.send(frame(STP[:5] + b"\x10", bridge.a.mac, text))
    assert bridge.got(text) == {"a": 0, "b": 1, "c": 1, "d": 1}


@contextmanager
def network_setting(mesh: Mesh, bridge: Bridge, **settings: str) -> Iterator[None]:
    """What the network says is other, everywhere, for a while."""
    usual = {"bpdu": "block"}
    network = bridge.a.network

    def change(values: dict[str, str]) -> None:
        before = max(at_node(port, revision) for port in bridge)
        mesh.admin("network_set", network=network, settings=values)
        wait_until(
            lambda: min(at_node(port, revision) for port in bridge) > before,
            PATIENCE_S,
            what="what the network says now",
        )

    change(settings)
    yield
    change({key: usual[key] for key in settings})


def revision(node: Node, now: float) -> int:
    """Of the config that a node holds."""
    [view] = node.networks()
    return view.revision


def test_8_6_3_bpdus_pass_or_are_tunnelled_where_the_network_says_so(
    mesh: Mesh, bridge: Bridge
) -> None:
    text = marker("passed")
    with network_setting(mesh, bridge, bpdu="pass"):
        bridge.a.send(frame(STP, bridge.a.mac, text))
        assert bridge.got(text) == {"a": 0, "b": 1, "c": 1, "d": 1}
        pause(bridge)
    text = marker("tunnelled")
    with network_setting(mesh, bridge, bpdu="tunnel"):
        bridge.c.send(frame(STP, station(1), text))
        bridge.a.send(frame(STP, bridge.a.mac, text))
        assert bridge.got(text) == {"a": 0, "b": 0, "c": 0, "d": 1}, "from bridges to bridges"
        pause(bridge)
    text = marker("blocked")
    bridge.c.send(frame(STP, station(1), text))
    assert bridge.got(text) == {"a": 0, "b": 0, "c": 0, "d": 0}


def pause(bridge: Bridge) -> None:
    """IEEE 802.1Q-2022 table 8-1 and 802.3 annex 31B: MAC control is for one link."""
    text = marker("pause")
    bridge.c.send(frame(PAUSE, station(1), text))
    bridge.a.send(frame(PAUSE, bridge.a.mac, text))
    assert bridge.got(text) == {"a": 0, "b": 0, "c": 0, "d": 0}


def test_8_8_1_static_entries_stay_where_they_are(bridge: Bridge) -> None:
    here, text = station(5), marker("static")
    mac, where, network = here, bridge.c.address, int(bridge.a.network, 16)
    at_node(bridge.a, lambda node, now: node.add_static(network, 0, mac, where, now))
    bridge.a.send(frame(here, bridge.a.mac, text))
    assert bridge.got(text) == {"a": 0, "b": 0, "c": 1, "d": 0}, "though nothing was heard of it"
    text = marker("elsewhere")
    bridge.d.send(frame(BROADCAST, here, text))
    assert bridge.got(text) == {"a": 0, "b": 1, "c": 1, "d": 0}
    assert bridge.a.counters()[1]["static_entry"] == 1
    text = marker("again")
    bridge.c.send(frame(BROADCAST, here, text))
    assert bridge.got(text) == {"a": 1, "b": 1, "c": 0, "d": 1}, "it speaks from where it is"
    text = marker("still there")
    bridge.a.send(frame(here, bridge.a.mac, text))
    assert bridge.got(text) == {"a": 0, "b": 0, "c": 1, "d": 0}
    at_node(bridge.a, lambda node, now: node.remove_static(network, 0, mac, now))


def igmp_frame(source: l2mesh.Port, group: bytes, message: bytes) -> bytes:
    """An IGMP message, as a host behind this port sends it."""
    target = b"\x01\0\x5e" + bytes([group[1] & 0x7F]) + group[2:]
    return target + source.mac + b"\x08\0" + igmp(message, source=bytes(4), target=group)


def udp_frame(source: l2mesh.Port, group: bytes, text: bytes) -> bytes:
    udp = b"\x10\0\x10\0" + (8 + len(text)).to_bytes(2, "big") + bytes(2) + text
    head = b"\x45\0" + (20 + len(udp)).to_bytes(2, "big") + bytes(4) + b"\x04\x11\0\0"
    target = b"\x01\0\x5e" + bytes([group[1] & 0x7F]) + group[2:]
    return target + source.mac + b"\x08\0" + head + bytes(4) + group + udp


def test_rfc4541_groups_go_to_those_who_have_joined(bridge: Bridge) -> None:
    a, b, c, d = bridge
    joined, other = bytes([239, 1, 2, 3]), bytes([239, 1, 2, 4])
    for port in (b, c):  # behind these are hosts that speak IGMP
        at_node(port, lambda node, now: setattr(node.groups, "has_hosts", True))
    a.send(igmp_frame(a, bytes([224, 0, 0, 1]), b"\x11\x01\0\0" + bytes(4)))  # within 0.1 s
    b.send(igmp_frame(b, joined, b"\x16\0\0\0" + joined))

    def goes_to(group: bytes) -> dict[str, int]:
        text = marker("group")
        d.send(udp_frame(d, group, text))
        return bridge.got(text)

    wait_until(lambda: goes_to(joined)["c"] == 0, PATIENCE_S, what="a group that is pruned")
    assert goes_to(joined) == {"a": 1, "b": 1, "c": 0, "d": 0}, "who says nothing gets all"
    assert goes_to(other) == {"a": 1, "b": 1, "c": 1, "d": 0}, "nobody has joined it"
    assert goes_to(bytes([224, 0, 0, 251])) == {"a": 1, "b": 1, "c": 1, "d": 0}
    for port in (b, c):
        at_node(port, lambda node, now: setattr(node.groups, "has_hosts", False))
    wait_until(lambda: goes_to(joined)["c"] == 1, PATIENCE_S, what="ports that are open again")


def test_rfc2889_5_8_address_caching_capacity(bridge: Bridge) -> None:
    known, text = station(4), marker("cache")
    bridge.d.send(frame(BROADCAST, known, text))
    bridge.got(text)
    for number in range(1500):
        bridge.c.send(frame(bridge.a.mac, station(10_000 + number), text))
    found = collect([bridge.a], text, for_s=QUIET_S)[bridge.a]
    assert len(found) == 1500, "frames of stations that are not learned pass"
    assert bridge.a.counters()[1]["fdb_full"] >= 1500 - 1024
    text = marker("still")
    bridge.a.send(frame(known, bridge.a.mac, text))
    assert bridge.got(text) == {"a": 0, "b": 0, "c": 0, "d": 1}


def test_rfc2889_5_10_broadcast_beyond_the_limit_is_dropped_and_unicast_is_not(
    bridge: Bridge,
) -> None:
    text, direct = marker("storm"), marker("direct")
    for number in range(4000):
        bridge.a.send(frame(BROADCAST, bridge.a.mac, text))
        if number % 40 == 0:
            bridge.a.send(frame(bridge.b.mac, bridge.a.mac, direct))
    found = collect(bridge[1:], b"", for_s=QUIET_S)
    for port, frames in found.items():
        storm = sum(text in data for data in frames)
        print(f"{storm} of 4000 reached {port.address}")  # noqa: T201
        assert 0 < storm < 4000
    assert sum(direct in data for data in found[bridge.b]) == 100
    assert bridge.a.counters()[1]["storm"] >= 4000 - max(map(len, found.values()))
