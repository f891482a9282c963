"""Who gets a frame to an IP group (section 10.2)."""

import pytest

from l2mesh.datapath.interface import (
    DropReason,
    GroupTalkHeard,
    Limits,
    Offload,
    RemoveMember,
    SetGroups,
    SetLimits,
    SetMember,
)
from tests.engine.lab import NETWORK, Host, carry, ethernet, make_mesh, tagged

GROUP4 = bytes([239, 1, 2, 3])
GROUP6 = bytes.fromhex("ff050000000000000000000000000123")
ALL_ROUTERS = bytes([224, 0, 0, 2])
ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
PIM_ROUTERS4 = bytes([224, 0, 0, 13])
PIM_ROUTERS6 = bytes.fromhex("ff02") + bytes(13) + b"\x0d"
QUERY, REPORT = 0x11, 0x16
SEGMENTS = frozenset({(0, 4), (0, 6)})


def packet(group: bytes, payload: bytes = b"stream", protocol: int = 17) -> bytes:
    if len(group) == 4:
        size = (20 + len(payload)).to_bytes(2, "big")
        return b"\x45\0" + size + bytes(4) + bytes([1, protocol]) + bytes(6) + group + payload
    size = len(payload).to_bytes(2, "big")
    return b"\x60\0\0\0" + size + bytes([protocol, 1]) + bytes(16) + group + payload


def to_group(source: Host, group: bytes, **inside: object) -> bytes:
    payload, protocol = inside.get("payload", b"stream"), inside.get("protocol", 17)
    assert isinstance(payload, bytes) and isinstance(protocol, int)
    if len(group) == 4:
        target, kind = b"\x01\0\x5e" + bytes([group[1] & 0x7F]) + group[2:], 0x0800
    else:
        target, kind = b"\x33\x33" + group[12:], 0x86DD
    return ethernet(target, source.mac, packet(group, payload, protocol), kind)


def igmp(source: Host, kind: int, group: bytes = GROUP4) -> bytes:
    return to_group(source, group, payload=bytes([kind, 0, 0, 0]) + GROUP4, protocol=2)


def mld(source: Host, kind: int, group: bytes = GROUP6) -> bytes:
    return to_group(source, group, payload=bytes([kind]) + bytes(23), protocol=58)


def who_gets(hosts: list[Host], frame: bytes) -> list[int]:
    sent = hosts[0].send(frame)
    numbers = {host.endpoint: host.number for host in hosts}
    return [numbers[one.endpoint] for one in sent]


def tell(
    hosts: list[Host], of: Host | None, *wanted: tuple[int, bytes], hears: bool = False
) -> None:
    """The first host learns what the port of one wants; None: its own."""
    peer = of.fingerprint if of is not None else None
    reports = SEGMENTS if hears else frozenset[tuple[int, int]]()
    hosts[0].do(SetGroups(NETWORK, peer, SEGMENTS, reports, frozenset(wanted)))


@pytest.mark.parametrize("group", [GROUP4, GROUP6])
def test_a_group_goes_to_those_who_list_it_and_to_open_ports(group: bytes) -> None:
    hosts = make_mesh(4)
    tell(hosts, hosts[1], (0, group))
    tell(hosts, hosts[2])
    assert who_gets(hosts, to_group(hosts[0], group)) == [2, 4]
    assert who_gets(hosts, tagged(to_group(hosts[0], group), 7)) == [2, 3, 4]
    tell(hosts, hosts[2], (0, group))
    assert who_gets(hosts, to_group(hosts[0], group)) == [2, 3, 4]
    hosts[0].do(SetGroups(NETWORK, hosts[1].fingerprint))
    tell(hosts, hosts[2])
    assert who_gets(hosts, to_group(hosts[0], group)) == [2, 3, 4]


@pytest.mark.parametrize("group", [GROUP4, GROUP6])
def test_a_group_that_nobody_lists_floods_or_not(group: bytes) -> None:
    hosts = make_mesh(3)
    tell(hosts, hosts[1])
    assert who_gets(hosts, to_group(hosts[0], group)) == [2, 3]
    hosts[0].do(SetLimits(NETWORK, Limits(floods_groups=False)))
    assert who_gets(hosts, to_group(hosts[0], group)) == [3]
    tell(hosts, hosts[2])
    assert who_gets(hosts, to_group(hosts[0], group)) == []
    assert hosts[0].drops == {DropReason.GROUP_UNWANTED: 1}


def test_a_group_that_only_our_port_lists_is_listed() -> None:
    hosts = make_mesh(3)
    tell(hosts, hosts[1])
    tell(hosts, None, (0, GROUP4))
    assert who_gets(hosts, to_group(hosts[0], GROUP4)) == [3]


@pytest.mark.parametrize(
    "frame_of",
    [
        lambda host: to_group(host, ALL_ROUTERS),
        lambda host: to_group(host, ALL_NODES),
        lambda host: ethernet(b"\x01\0\x5e\1\2\3", host.mac, b"no IP"),
        lambda host: ethernet(b"\xff" * 6, host.mac, packet(GROUP4), 0x0800),
        lambda host: igmp(host, QUERY),
        lambda host: mld(host, 130),
        lambda host: to_group(host, GROUP6, payload=b"\x87" + bytes(23), protocol=58),
    ],
    ids=["local", "all_nodes", "no_ip", "broadcast", "igmp_query", "mld_query", "nd"],
)
def test_some_frames_are_for_all(frame_of: object) -> None:
    hosts = make_mesh(3)
    hosts[0].do(SetLimits(NETWORK, Limits(floods_groups=False)))
    tell(hosts, hosts[1])
    assert callable(frame_of)
    assert who_gets(hosts, frame_of(hosts[0])) == [2, 3]


@pytest.mark.parametrize("kind", [0x12, 0x16, 0x17, 0x22, 131, 132, 143])
def test_reports_go_where_they_are_heard(kind: int) -> None:
    hosts = make_mesh(4)
    tell(hosts, hosts[1], (0, GROUP4), (0, GROUP6))
    tell(hosts, hosts[2], hears=True)
    frame = mld(hosts[0], kind) if kind > 0x22 else igmp(hosts[0], kind)
    assert who_gets(hosts, frame) == [3, 4]


def test_reports_and_queries_of_the_port_are_told() -> None:
    a, b = make_mesh(2)
    for frame in (igmp(a, REPORT), tagged(igmp(a, QUERY), 7), mld(a, 143)):
        a.send(frame)
        vlan = 7 if frame[12:14] == b"\x81\0" else 0
        inside = frame[18:] if vlan else frame[14:]
        assert a.heard() == [GroupTalkHeard(NETWORK, vlan, None, a.mac, inside)]
    a.send(igmp(a, 0x13), to_group(a, GROUP4))
    assert a.heard() == []
    carry([a, b])


@pytest.mark.parametrize("group", [PIM_ROUTERS4, PIM_ROUTERS6], ids=["v4", "v6"])
def test_a_hello_of_pim_is_told_where_the_router_is(group: bytes) -> None:
    a, b = make_mesh(2)
    hello = to_group(a, group, payload=b"\x20\0\0\0", protocol=103)
    a.send(hello)
    assert a.heard() == [GroupTalkHeard(NETWORK, 0, None, a.mac, hello[14:])]
    for other in (b"\x21\0\0\0", b"\x10\0\0\0", b""):  # a register, version 1, nothing
        a.send(to_group(a, group, payload=other, protocol=103))
    a.send(to_group(b, group, payload=b"\x20\0\0\0", protocol=103))
    assert not [one for one in a.heard() if isinstance(one, GroupTalkHeard)]
    b.send(to_group(b, group, payload=b"\x20\0\0\0", protocol=103))
    b.heard()
    carry([a, b])
    assert not [one for one in a.heard() if isinstance(one, GroupTalkHeard)], "it is behind b"


def test_of_the_mesh_only_queries_are_told() -> None:
    a, b = make_mesh(2)
    for frame in (igmp(a, REPORT), igmp(a, QUERY)):
        a.engine.handle_frame(NETWORK, frame, a.now)
        carry([a, b])
    talk = [one for one in b.heard() if isinstance(one, GroupTalkHeard)]
    assert talk == [GroupTalkHeard(NETWORK, 0, a.fingerprint, a.mac, igmp(a, QUERY)[14:])]


def test_what_is_told_is_limited() -> None:
    a, b = make_mesh(2)
    for host in (a, b):
        host.do(SetLimits(NETWORK, Limits(multicast=None)))
    for _ in range(600):
        a.engine.handle_frame(NETWORK, igmp(a, QUERY), a.now)
    assert len([one for one in a.heard() if isinstance(one, GroupTalkHeard)]) == 512
    assert a.drops == {DropReason.STORM: 88}
    carry([a, b])
    assert len(b.delivered) == 512
    assert len([one for one in b.heard() if isinstance(one, GroupTalkHeard)]) == 32


@pytest.mark.parametrize("group", [GROUP4, GROUP6])
def test_the_receiver_prunes_as_well(group: bytes) -> None:
    a, b = make_mesh(2)
    b.do(SetGroups(NETWORK, None, SEGMENTS), SetGroups(NETWORK, a.fingerprint))
    unlisted = to_group(a, group, payload=b"unlisted")
    listed = to_group(a, group, payload=b"listed")
    a.engine.handle_frame(NETWORK, unlisted, a.now)
    a.engine.handle_frame(NETWORK, igmp(a, REPORT), a.now)
    carry([a, b])
    assert b.delivered == [unlisted]  # nobody lists it, so it floods
    b.do(SetGroups(NETWORK, a.fingerprint, SEGMENTS, groups=frozenset({(0, group)})))
    a.engine.handle_frame(NETWORK, listed, a.now)
    carry([a, b])
    assert b.delivered == [unlisted] and b.drops == {DropReason.GROUP_UNWANTED: 2}
    b.do(SetGroups(NETWORK, None, SEGMENTS, SEGMENTS, frozenset({(0, group)})))
    a.engine.handle_frame(NETWORK, listed, a.now)
    a.engine.handle_frame(NETWORK, igmp(a, REPORT), a.now)
    carry([a, b])
    assert b.delivered == [unlisted, listed, igmp(a, REPORT)]


def test_who_has_gone_and_comes_back_is_open() -> None:
    hosts = make_mesh(3)
    tell(hosts, hosts[1])
    tell(hosts, hosts[2], (0, GROUP4))
    hosts[0].do(RemoveMember(NETWORK, hosts[1].fingerprint))
    tell(hosts, hosts[1])  # nobody is called so
    hosts[0].do(SetMember(NETWORK, hosts[1].fingerprint, hosts[1].mac))
    assert sorted(who_gets(hosts, to_group(hosts[0], GROUP4))) == [2, 3]


def test_a_superframe_goes_to_those_who_want_it() -> None:
    hosts = make_mesh(3)
    tell(hosts, hosts[1], (0, GROUP4))
    tell(hosts, hosts[2])
    a = hosts[0]
    udp = b"\0\1\0\2" + (8 + 3000).to_bytes(2, "big") + bytes(2) + bytes(3000)
    frame = to_group(a, GROUP4, payload=udp)
    offload = Offload(5, 1000, 34, 6, needs_csum=True)
    a.engine.handle_frame(NETWORK, frame, a.now, offload)
    sent = a.outputs()
    assert len(sent) == 3 and {one.endpoint for one in sent} == {hosts[1].endpoint}
