import pytest

from l2mesh.datapath.interface import (
    ClosePort,
    DropReason,
    FlushPeer,
    Limits,
    MacLearned,
    OpenPort,
    RemoveMember,
    SetLimits,
    SetMember,
    SetUnderlay,
)
from l2mesh.datapath.reference import Bounds
from tests.engine.lab import BROADCAST, NETWORK, Host, carry, ethernet, make_mesh, tagged

STATION = bytes.fromhex("52540000aa01")
OTHER = bytes.fromhex("52540000aa02")
MULTICAST = bytes.fromhex("01005e000001")
STP = bytes.fromhex("0180c2000000")


def learned(host: Host, mac: bytes, vlan: int = 0) -> object:
    for entry in host.engine.fdb(NETWORK, host.now):
        if entry.mac == mac and entry.vlan == vlan and not entry.static:
            return entry.peer
    return "unknown"


@pytest.mark.parametrize("destination", [BROADCAST, MULTICAST])
def test_flood_reaches_each_member_once_and_never_comes_back(destination: bytes) -> None:
    hosts = make_mesh(5, bridges=(2, 4))
    frame = ethernet(destination, hosts[0].mac)
    out = hosts[0].send(frame)
    assert sorted(one.endpoint for one in out) == sorted(host.endpoint for host in hosts[1:])
    by_endpoint = {host.endpoint: host for host in hosts}
    for one in out:
        got = by_endpoint[one.endpoint].receive(one.datagram, source=hosts[0].endpoint)
        assert got == [frame]
    assert all(not host.drops for host in hosts)


def test_unicast_to_a_member_goes_to_it_alone() -> None:
    a, b, c = make_mesh(3)
    frame = ethernet(b.mac, a.mac)
    a.send()
    a.engine.handle_frame(NETWORK, frame, a.now)
    assert carry([a, b, c]) == 1
    assert b.delivered == [frame] and not c.delivered


@pytest.mark.parametrize("kind", [0x0800, 0x86DD, 0x88B5])
def test_signed_macs_hold_in_every_vlan(kind: int) -> None:
    a, b, _ = make_mesh(3)
    frame = tagged(ethernet(b.mac, a.mac, bytes(60), kind), 7)
    out = a.send(frame)
    assert [one.endpoint for one in out] == [b.endpoint]
    assert b.receive(out[0].datagram, source=a.endpoint) == [frame]


def test_unknown_unicast_goes_to_bridges_only() -> None:
    a, b, _, d = make_mesh(4, bridges=(2, 4))
    frame = ethernet(STATION, a.mac)
    out = a.send(frame)
    assert [one.endpoint for one in out] == [b.endpoint, d.endpoint]
    assert b.receive(out[0].datagram, source=a.endpoint) == [frame]


def test_unknown_unicast_without_bridges_is_dropped() -> None:
    a, _ = make_mesh(2)
    assert a.send(ethernet(STATION, a.mac)) == []
    assert a.drops == {DropReason.UNKNOWN_UNICAST: 1}


def test_node_that_bridges_not_takes_no_unicast_for_others() -> None:
    a, b = make_mesh(2)
    a.do(SetMember(NETWORK, b.fingerprint, b.mac, True))  # a believes that b bridges
    a.engine.handle_frame(NETWORK, ethernet(STATION, a.mac), a.now)
    carry([a, b])
    assert not b.delivered and b.drops == {DropReason.UNKNOWN_UNICAST: 1}


def test_station_behind_a_bridge_is_learned_on_both_sides() -> None:
    a, b, c = make_mesh(3, bridges=(2,))
    b.engine.handle_frame(NETWORK, ethernet(a.mac, STATION), b.now)
    carry([a, b, c])
    assert a.delivered == [ethernet(a.mac, STATION)]
    assert learned(a, STATION) == b.fingerprint and learned(b, STATION) is None
    assert b.heard() == [MacLearned(NETWORK, 0, STATION, None, False)]
    assert MacLearned(NETWORK, 0, STATION, b.fingerprint, False) in a.heard()
    back = a.send(ethernet(STATION, a.mac))
    assert [one.endpoint for one in back] == [b.endpoint]


def test_vlans_are_learned_apart_and_vid_0_is_untagged() -> None:
    a, b = make_mesh(2, bridges=(1, 2))
    b.engine.handle_frame(NETWORK, tagged(ethernet(BROADCAST, STATION), 9), b.now)
    b.engine.handle_frame(NETWORK, tagged(ethernet(BROADCAST, OTHER), 0), b.now)
    b.engine.handle_frame(
        NETWORK, tagged(tagged(ethernet(BROADCAST, STATION), 9), 11, 0x88A8), b.now
    )
    carry([a, b])
    found = {(one.vlan, one.mac) for one in a.engine.fdb(NETWORK, a.now) if not one.static}
    assert found == {(9, STATION), (0, OTHER), (11, STATION)}


def test_station_moves_at_once() -> None:
    a, b, c = make_mesh(3, bridges=(2, 3))
    for bridge in (b, c):
        bridge.engine.handle_frame(NETWORK, ethernet(a.mac, STATION), bridge.now)
        carry([a, b, c])
    assert learned(a, STATION) == c.fingerprint
    assert MacLearned(NETWORK, 0, STATION, c.fingerprint, True) in a.heard()
    assert [one.endpoint for one in a.send(ethernet(STATION, a.mac))] == [c.endpoint]


def test_station_is_forgotten_after_300_s_of_silence() -> None:
    a, b = make_mesh(2, bridges=(2,))
    b.engine.handle_frame(NETWORK, ethernet(a.mac, STATION), b.now)
    carry([a, b])
    a.wait(200)
    b.engine.handle_frame(NETWORK, ethernet(a.mac, STATION), b.now)
    carry([a, b])
    a.wait(299)
    assert learned(a, STATION) == b.fingerprint
    a.wait(1)
    assert learned(a, STATION) == "unknown"
    assert a.engine.next_timeout() is None


def test_flush_forgets_what_is_behind_a_peer_or_behind_us() -> None:
    a, b = make_mesh(2, bridges=(1, 2))
    b.engine.handle_frame(NETWORK, ethernet(BROADCAST, STATION), b.now)
    carry([a, b])
    a.do(FlushPeer(NETWORK, b.fingerprint))
    b.do(FlushPeer(NETWORK, None))
    assert learned(a, STATION) == learned(b, STATION) == "unknown"


def test_caps_refuse_new_stations_but_pass_their_frames() -> None:
    a, b, c = make_mesh(3, bridges=(1, 2, 3), bounds=Bounds(fdb_per_peer=2, fdb_per_network=3))
    for host in (b, c):
        for number in range(3):
            source = bytes([0x52, 0, 0, 0, host.number, number])
            host.engine.handle_frame(NETWORK, ethernet(a.mac, source), host.now)
    carry([a, b, c])
    assert len(a.delivered) == 6
    entries = [one for one in a.engine.fdb(NETWORK, a.now) if not one.static]
    assert len(entries) == 3
    assert a.drops == {DropReason.FDB_FULL: 3}


def test_multicast_and_zero_sources_are_not_learned() -> None:
    a, b = make_mesh(2, bridges=(1, 2))
    for source in (MULTICAST, bytes(6)):
        b.engine.handle_frame(NETWORK, ethernet(BROADCAST, source), b.now)
    carry([a, b])
    assert len(a.delivered) == 2
    assert [one for one in a.engine.fdb(NETWORK, a.now) if not one.static] == []


@pytest.mark.parametrize("bridge", [False, True])
def test_mac_signed_to_another_is_refused_at_both_ends(*, bridge: bool) -> None:
    a, b, c = make_mesh(3, bridges=(2,) if bridge else ())
    b.send(ethernet(BROADCAST, c.mac))
    assert b.drops == {DropReason.SOURCE_MAC: 1}
    b.do(RemoveMember(NETWORK, c.fingerprint), OpenPort(NETWORK, c.mac, 1500, bridge))
    for forged in (c.mac, c.mac):
        b.engine.handle_frame(NETWORK, ethernet(a.mac, forged), b.now)
    carry([a, b, c])
    assert not a.delivered and a.drops == {DropReason.SOURCE_MAC: 2}


def test_own_mac_from_the_mesh_is_refused() -> None:
    a, b = make_mesh(2, bridges=(2,))
    b.do(RemoveMember(NETWORK, a.fingerprint), SetMember(NETWORK, a.fingerprint, OTHER))
    b.engine.handle_frame(NETWORK, ethernet(BROADCAST, a.mac), b.now)
    carry([a, b])
    assert not a.delivered and a.drops == {DropReason.SOURCE_MAC: 1}


@pytest.mark.parametrize(
    ("guard", "bridge", "passes"),
    [
        ("default", False, False),
        ("default", True, True),
        ("strict", True, False),
        ("off", False, True),
    ],
)
def test_unsigned_sources_pass_by_the_guard(guard: str, *, bridge: bool, passes: bool) -> None:
    a, b = make_mesh(2, bridges=(2,) if bridge else ())
    frame = ethernet(a.mac, STATION)
    b.do(SetLimits(NETWORK, Limits(guard=guard)))
    assert bool(b.send(frame)) is passes
    b.do(SetLimits(NETWORK, Limits(guard="off")))
    a.do(SetLimits(NETWORK, Limits(guard=guard)))
    b.engine.handle_frame(NETWORK, frame, b.now)
    carry([a, b])
    assert bool(a.delivered) is passes


def test_destination_on_the_side_it_came_from_is_dropped() -> None:
    a, b, c = make_mesh(3, bridges=(1, 2))
    a.send(ethernet(BROADCAST, STATION))
    assert a.send(ethernet(STATION, OTHER)) == []
    assert a.send(ethernet(a.mac, OTHER)) == []
    assert a.drops == {DropReason.SAME_PORT: 2}
    b.do(RemoveMember(NETWORK, c.fingerprint))  # b floods what is for c, and a must not pass it on
    b.engine.handle_frame(NETWORK, ethernet(c.mac, b.mac), b.now)
    carry([a, b, c])
    assert a.drops == {DropReason.SAME_PORT: 3} and not a.delivered


def test_link_local_groups_pass_only_where_allowed() -> None:
    a, b = make_mesh(2)
    frame = ethernet(STP, a.mac)
    assert a.send(frame) == []
    assert a.drops == {DropReason.LINK_LOCAL_GROUP: 1}
    a.do(SetLimits(NETWORK, Limits(bpdu="pass")))
    out = a.send(frame)
    assert b.receive(out[0].datagram, source=a.endpoint) == []
    assert b.drops == {DropReason.LINK_LOCAL_GROUP: 1}
    b.do(SetLimits(NETWORK, Limits(bpdu="pass")))
    assert b.receive(a.send(frame)[0].datagram, source=a.endpoint) == [frame]
    just_above = ethernet(bytes.fromhex("0180c2000010"), a.mac)
    a.do(SetLimits(NETWORK, Limits()))
    assert len(a.send(just_above)) == 1


def test_link_local_groups_are_tunnelled_from_bridges_to_bridges() -> None:
    hosts = make_mesh(4, bridges=(1, 2))
    a, b, c, _ = hosts
    for host in hosts:
        host.do(SetLimits(NETWORK, Limits(bpdu="tunnel")))
    frame = ethernet(STP, STATION)
    [sent] = a.send(frame)
    assert b.receive(sent.datagram, source=a.endpoint) == [frame]
    assert c.send(ethernet(STP, c.mac)) == []
    assert c.drops == {DropReason.LINK_LOCAL_GROUP: 1}
    c.do(SetLimits(NETWORK, Limits(bpdu="pass")))
    b.receive(*(one.datagram for one in c.send(ethernet(STP, c.mac))), source=c.endpoint)
    assert b.drops[DropReason.LINK_LOCAL_GROUP] == 1
    a.do(RemoveMember(NETWORK, b.fingerprint))
    assert a.send(frame) == [] and a.drops == {DropReason.LINK_LOCAL_GROUP: 1}


@pytest.mark.parametrize("last", [1, 4])
@pytest.mark.parametrize("bpdu", ["pass", "tunnel"])
def test_mac_control_never_leaves_its_link(bpdu: str, last: int) -> None:
    a, b = make_mesh(2, bridges=(1, 2))
    frame = ethernet(STP[:5] + bytes([last]), a.mac)
    a.do(SetLimits(NETWORK, Limits(bpdu=bpdu)))
    assert a.send(frame) == [] and a.drops == {DropReason.LINK_LOCAL_GROUP: 1}
    assert not b.delivered


@pytest.mark.parametrize("destination", [BROADCAST, MULTICAST, STATION])
def test_flooding_is_limited_at_the_sender(destination: bytes) -> None:
    a, _ = make_mesh(2, bridges=(2,))
    a.do(SetLimits(NETWORK, Limits(broadcast=10, multicast=10, unknown_unicast=10)))
    frame = ethernet(destination, a.mac)
    assert len(a.send(*[frame] * 30)) == 20
    assert a.drops == {DropReason.STORM: 10}
    a.wait(0.5)
    assert len(a.send(*[frame] * 30)) == 5
    a.do(SetLimits(NETWORK, Limits(broadcast=0, multicast=0, unknown_unicast=0)))
    assert a.send(frame) == []
    a.do(SetLimits(NETWORK, Limits(broadcast=None, multicast=None, unknown_unicast=None)))
    assert len(a.send(*[frame] * 2000)) == 2000


def test_flooding_is_limited_for_each_source_at_the_receiver() -> None:
    a, b, c = make_mesh(3)
    a.do(SetLimits(NETWORK, Limits(broadcast=10)))
    for host in (b, c):
        for _ in range(30):
            host.engine.handle_frame(NETWORK, ethernet(BROADCAST, host.mac), host.now)
    carry([a, b, c])
    assert len(a.delivered) == 40 and a.drops == {DropReason.STORM: 20}


def udp(source: tuple[str, int], target: tuple[str, int], **ip: object) -> bytes:
    from scapy.layers.inet import IP, UDP

    layer = IP(src=source[0], dst=target[0], **ip)
    return bytes(layer / UDP(sport=source[1], dport=target[1]) / b"x")


def udp6(source: tuple[str, int], target: tuple[str, int]) -> bytes:
    from scapy.layers.inet import UDP
    from scapy.layers.inet6 import IPv6

    layer = IPv6(src=source[0], dst=target[0])
    return bytes(layer / UDP(sport=source[1], dport=target[1]) / b"x")


US, THEM = ("10.9.0.1", 7777), ("10.9.0.2", 8888)
US6, THEM6 = ("2001:db8::1", 7777), ("2001:db8::2", 8888)


@pytest.mark.parametrize("tags", [(), (5,), (5, 6)])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("outward", [False, True])
def test_own_datagrams_enter_and_leave_no_port(
    tags: tuple[int, ...], version: int, *, outward: bool
) -> None:
    a, b = make_mesh(2)
    underlay = SetUnderlay(7777, frozenset({US[0], US6[0], "no address"}))
    ends = ((US, THEM), (US6, THEM6))[version == 6]
    packet = (udp, udp6)[version == 6](*(ends if outward else reversed(ends)))
    frame = ethernet(b.mac, a.mac, packet, 0x0800 if version == 4 else 0x86DD)
    for vlan in tags:
        frame = tagged(frame, vlan)
    b.do(underlay)
    datagrams = [one.datagram for one in a.send(frame)]
    assert b.receive(*datagrams, source=a.endpoint) == []
    assert b.drops == {DropReason.OWN_DATAGRAM: 1}
    a.do(underlay)
    assert a.send(frame) == []
    assert a.drops == {DropReason.OWN_DATAGRAM: 1}


def test_datagrams_of_others_pass() -> None:
    a, b = make_mesh(2)
    a.do(SetUnderlay(7777, frozenset({US[0], US6[0]})))
    packets = [
        (udp((US[0], 1), THEM), 0x0800),
        (udp(THEM, (US[0], 1)), 0x0800),
        (udp(THEM, (THEM[0], 7777)), 0x0800),
        (udp(US, THEM, frag=100), 0x0800),
        (udp(US, THEM)[:20], 0x0800),
        (udp(US, THEM)[:19], 0x0800),
        (udp6((US6[0], 1), THEM6), 0x86DD),
        (udp6(US6, THEM6)[:39], 0x86DD),
        (b"", 0x0800),
    ]
    frames = [ethernet(b.mac, a.mac, packet, kind) for packet, kind in packets]
    assert len(a.send(*frames)) == len(frames)


@pytest.mark.parametrize("size", range(14))
def test_runts_are_dropped(size: int) -> None:
    a, _ = make_mesh(2)
    assert a.send(ethernet(BROADCAST, a.mac)[:size]) == []
    assert a.drops == {DropReason.BAD_FRAME: 1}


def test_truncated_tag_stack_is_dropped() -> None:
    a, b = make_mesh(2)
    whole = tagged(tagged(ethernet(b.mac, a.mac, b""), 1), 2, 0x88A8)
    for size in range(14, len(whole)):
        a.send(whole[:size])
    assert a.drops == {DropReason.BAD_FRAME: len(whole) - 14}
    assert len(a.send(whole)) == 1


@pytest.mark.parametrize("kind", [0x0800, 0x88B5])
@pytest.mark.parametrize("tags", [0, 1, 2])
def test_giants_are_dropped_at_both_ends(kind: int, tags: int) -> None:
    a, b = make_mesh(2)
    fits, frame = (ethernet(b.mac, a.mac, bytes(size), kind) for size in (1500, 1501))
    for _ in range(tags):
        fits, frame = tagged(fits, 3), tagged(frame, 3)
    assert len(a.send(fits)) == 2 and a.send(frame) == []
    assert a.drops == {DropReason.BAD_FRAME: 1}
    a.do(OpenPort(NETWORK, a.mac, 9000))
    datagrams = [one.datagram for one in a.send(frame)]
    assert b.receive(*datagrams, source=a.endpoint) == []
    assert b.drops == {DropReason.BAD_FRAME: 1}


def test_no_port_no_frames() -> None:
    a, b = make_mesh(2)
    b.do(ClosePort(NETWORK))
    a.engine.handle_frame(NETWORK, ethernet(b.mac, a.mac), a.now)
    b.engine.handle_frame(NETWORK, ethernet(a.mac, b.mac), b.now)
    carry([a, b])
    assert b.drops == {DropReason.NO_PORT: 2} and not b.delivered
    assert b.engine.fdb(NETWORK, b.now) == []


def test_who_is_no_member_is_not_heard() -> None:
    a, b = make_mesh(2)
    b.do(RemoveMember(NETWORK, a.fingerprint))
    a.engine.handle_frame(NETWORK, ethernet(b.mac, a.mac), a.now)
    carry([a, b])
    assert b.drops == {DropReason.NOT_A_MEMBER: 1} and not b.delivered


def test_member_with_a_new_mac_loses_the_old_one() -> None:
    a, b = make_mesh(2)
    a.do(SetMember(NETWORK, b.fingerprint, OTHER))
    assert a.send(ethernet(b.mac, a.mac)) == []
    assert len(a.send(ethernet(OTHER, a.mac))) == 1


def test_member_whose_mac_is_ours_does_not_take_it() -> None:
    a, b, _ = make_mesh(3)
    a.do(SetMember(NETWORK, b.fingerprint, a.mac))
    assert a.send(ethernet(a.mac, a.mac)) == []
    assert a.drops == {DropReason.SAME_PORT: 1}
    a.do(OpenPort(NETWORK, OTHER, 1500))
    assert [one.endpoint for one in a.send(ethernet(bytes(a.mac), OTHER))] == [b.endpoint]


def test_learned_station_gives_way_to_a_signed_mac() -> None:
    a, b, c = make_mesh(3, bridges=(2,))
    b.engine.handle_frame(NETWORK, ethernet(a.mac, STATION), b.now)
    carry([a, b, c])
    a.do(SetMember(NETWORK, c.fingerprint, STATION))
    assert learned(a, STATION) == "unknown"
    assert [one.endpoint for one in a.send(ethernet(STATION, a.mac))] == [c.endpoint]


def test_commands_about_unknown_things_are_ignored() -> None:
    host = Host(1)
    host.do(
        SetMember(NETWORK, b"x" * 32, STATION),
        RemoveMember(NETWORK, b"x" * 32),
        FlushPeer(NETWORK, None),
        SetLimits(NETWORK, Limits()),
        ClosePort(NETWORK),
    )
    host.open()
    host.do(RemoveMember(NETWORK, b"x" * 32))
    assert not host.drops
