"""What members may say inside their frames, and who is told of those that say more."""

import pytest

from l2mesh.datapath.interface import DropReason, Limits, Offence, OpenPort, SetLimits, SetMember
from tests.engine.lab import BROADCAST, NETWORK, Host, ethernet, make_mesh, tagged
from tests.engine.members import (
    ALL_NODES,
    FREE4,
    FREE6,
    REPLY,
    STATION,
    arp,
    ip4,
    ip6,
    ipv6,
    make_lan,
    nd,
    offences,
    option,
    set_guard,
    udp,
)


def judged(frame: bytes, sender: Host, receiver: Host) -> tuple[object, object]:
    """Why each end drops a frame: the sender's guard is off when the receiver is asked."""
    before = dict(sender.drops), dict(receiver.drops)
    limits = Limits(guard="off")
    sent = sender.send(frame)
    sender.do(SetLimits(NETWORK, limits))
    for one in sender.send(frame):
        if one.endpoint == receiver.endpoint:
            receiver.receive(one.datagram, source=sender.endpoint)
    sender.do(SetLimits(NETWORK, Limits()))
    reasons = [
        {reason for reason, count in host.drops.items() if count > old.get(reason, 0)}
        for host, old in zip((sender, receiver), before, strict=True)
    ]
    assert bool(sent) == (not reasons[0])
    first, second = (next(iter(one), None) for one in reasons)
    return first, second


def lies(a: Host, b: Host) -> list[tuple[str, bytes, DropReason]]:
    """What `a` may not say."""
    arp_guard, nd_guard = DropReason.ARP_GUARD, DropReason.ND_GUARD
    target = bytes(4)
    fragment = b"\x3a\0\0\1\0\0\0\7" + bytes([136]) + bytes(23)
    solicitation = bytes(4) + ip6(b)
    return [
        ("arp from another's address", arp(a.mac, ip4(b), FREE4), arp_guard),
        ("gratuitous arp", arp(a.mac, ip4(b), ip4(b)), arp_guard),
        ("arp reply", arp(a.mac, ip4(b), ip4(a), operation=REPLY), arp_guard),
        ("arp tells another's mac", arp(a.mac, ip4(a), FREE4, told=b.mac), arp_guard),
        ("arp tells nobody's mac", arp(a.mac, ip4(a), FREE4, told=STATION), arp_guard),
        ("ieee 802 arp", arp(a.mac, ip4(b), FREE4, hardware=6), arp_guard),
        ("short arp", arp(a.mac, ip4(a), FREE4)[:41], arp_guard),
        ("na of another's", nd(a.mac, ip6(a), 136, target + ip6(b)), nd_guard),
        (
            "na tells another's mac",
            nd(a.mac, ip6(a), 136, target + ip6(a) + option(2, b.mac)),
            nd_guard,
        ),
        (
            "ns tells another's mac",
            nd(a.mac, ip6(a), 135, solicitation + option(1, b.mac)),
            nd_guard,
        ),
        ("ns without end", nd(a.mac, ip6(a), 135, solicitation + b"\1\0"), nd_guard),
        ("rs tells another's mac", nd(a.mac, ip6(a), 133, bytes(4) + option(1, b.mac)), nd_guard),
        ("nd in a fragment", ipv6(ALL_NODES, a.mac, ip6(a), 44, fragment), nd_guard),
        ("ra", nd(a.mac, ip6(a), 134, bytes(12)), DropReason.RA_GUARD),
        ("redirect", nd(a.mac, ip6(a), 137, bytes(36)), DropReason.RA_GUARD),
        (
            "ra behind options",
            ipv6(ALL_NODES, a.mac, ip6(a), 0, b"\x3a\0\1\4\0\0\0\0" + b"\x86" + bytes(15)),
            DropReason.RA_GUARD,
        ),
        ("dhcp offer", udp(a.mac, ip4(a), (67, 68), b"\2" + bytes(240)), DropReason.DHCP_GUARD),
        (
            "dhcp to a relay",
            udp(a.mac, ip4(a), (67, 67), b"\2" + bytes(240)),
            DropReason.DHCP_GUARD,
        ),
        ("dhcpv6 reply", udp(a.mac, ip6(a), (547, 546), b"\7"), DropReason.DHCP_GUARD),
        ("ipv4 from another's", udp(a.mac, ip4(b), (7, 7), b"hi"), DropReason.SOURCE_IP),
        ("ipv6 from another's", udp(a.mac, ip6(b), (7, 7), b"hi"), DropReason.SOURCE_IP),
        (
            "tagged arp",
            tagged(tagged(arp(a.mac, ip4(b), FREE4), 9), 7, 0x88A8),
            arp_guard,
        ),
    ]


def truths(a: Host, b: Host) -> list[tuple[str, bytes]]:
    """What anybody may say."""
    nobody4, nobody6 = bytes(4), bytes(16)
    return [
        ("arp", arp(a.mac, ip4(a), FREE4)),
        ("arp probe", arp(a.mac, nobody4, ip4(b))),
        ("arp of a free address", arp(a.mac, FREE4, FREE4)),
        ("arp of another kind", arp(a.mac, ip4(b), FREE4, hardware=7)),
        ("na", nd(a.mac, ip6(a), 136, bytes(4) + ip6(a) + option(2, a.mac))),
        ("na of a free address", nd(a.mac, ip6(a), 136, bytes(4) + FREE6)),
        ("dad", nd(a.mac, nobody6, 135, bytes(4) + ip6(b))),
        ("rs", nd(a.mac, nobody6, 133, bytes(4))),
        ("echo", nd(a.mac, ip6(a), 128, bytes(4))),
        ("dhcp discover", udp(a.mac, nobody4, (68, 67), b"\1" + bytes(240))),
        ("dhcp by a relay", udp(a.mac, ip4(a), (67, 67), b"\1" + bytes(240))),
        ("dhcpv6 solicit", udp(a.mac, ip6(a), (546, 547), b"\1")),
        ("from a free address", udp(a.mac, FREE4, (7, 7), b"hi")),
        ("not ip", ethernet(BROADCAST, a.mac, b"\x40" * 30, 0x0800)),
    ]


def test_lies_are_refused_at_both_ends() -> None:
    a, b = make_lan(2)
    for name, frame, reason in lies(a, b):
        assert judged(frame, a, b) == (reason, reason), name


def test_lies_of_bridges_are_refused_too() -> None:
    """Save for MACs that are signed to nobody."""
    a, b = make_lan(2, bridge=(1,))
    for name, frame, reason in lies(a, b):
        if "nobody's" not in name:
            assert judged(frame, a, b) == (reason, reason), name


def test_truths_pass_both_ends() -> None:
    a, b = make_lan(2)
    for name, frame in truths(a, b):
        assert judged(frame, a, b) == (None, None), name


def test_guard_off_lets_all_pass() -> None:
    a, b = make_lan(2)
    set_guard("off", a, b)
    for name, frame, _ in lies(a, b):
        (one,) = a.send(frame)
        assert b.receive(one.datagram, source=a.endpoint) == [frame], name


@pytest.mark.parametrize(
    ("right", "name"),
    [
        ("dhcp", "dhcp offer"),
        ("dhcp", "dhcp to a relay"),
        ("dhcp", "dhcpv6 reply"),
        ("ra", "ra"),
        ("ra", "ra behind options"),
        ("ra", "redirect"),
        ("router", "redirect"),
    ],
)
def test_rights_let_pass_what_needs_them(right: str, name: str) -> None:
    a, b = make_lan(2, **{right: (1,)})
    frame = next(frame for one, frame, _ in lies(a, b) if one == name)
    assert judged(frame, a, b) == (None, None)


@pytest.mark.parametrize(("rights", "passes"), [({}, False), ({"router": (1,)}, True)])
def test_strict_takes_packets_from_unsigned_addresses_of_routers_only(
    rights: dict[str, tuple[int, ...]], *, passes: bool
) -> None:
    a, b = make_lan(2, **rights)
    set_guard("strict", a, b)
    for sender in (FREE4, FREE6):
        assert bool(a.send(udp(a.mac, sender, (7, 7), b"hi"))) is passes
    assert not a.send(arp(a.mac, FREE4, ip4(b)))
    link_local = bytes.fromhex("fe80") + bytes(13) + b"\1"
    for sender in (bytes(4), ip4(a), ip6(a), link_local):
        assert a.send(udp(a.mac, sender, (7, 7), b"hi"))


def test_the_express_way_is_guarded_like_the_long_one() -> None:
    """Also after the address has been signed to somebody else."""
    a, b, c = make_lan(3)
    frame = b.mac + udp(a.mac, ip4(a), (7, 7), b"hi")[6:]
    stolen = b.mac + udp(a.mac, ip4(c), (7, 7), b"hi")[6:]
    for _ in range(2):
        assert a.send(frame) and not a.send(stolen)
    a.do(OpenPort(NETWORK, a.mac, 1500, addresses=()))
    a.do(SetMember(NETWORK, c.fingerprint, c.mac, addresses=(ip4(a),)))
    assert not a.send(frame) and a.send(stolen)
    assert a.drops == {DropReason.SOURCE_IP: 3}


def test_an_address_of_two_members_is_of_both() -> None:
    a, b, c = make_lan(3)
    for one, other in ((a, b), (a, c), (b, c), (c, b)):
        one.do(SetMember(NETWORK, other.fingerprint, other.mac, addresses=(FREE4,)))
    for one in (b, c):
        one.do(OpenPort(NETWORK, one.mac, 1500, addresses=(FREE4,)))
        assert len(one.send(arp(one.mac, FREE4, FREE4))) == 2
    assert not a.send(arp(a.mac, FREE4, FREE4))
    assert len(a.send(arp(a.mac, ip4(a), FREE4))) == 2, "nobody is the one to ask"


# --- culprits -----------------------------------------------------------------------------------


def test_a_culprit_is_told_at_once_and_then_each_10_s() -> None:
    a, b = make_lan(2)
    set_guard("off", a)
    frame = arp(a.mac, ip4(b), ip4(b))
    told = []
    for _ in range(25):
        (one,) = a.send(frame)
        b.receive(one.datagram, source=a.endpoint)
        told += offences(b)
        b.wait(1.0)
    assert [one.times for one in told] == [1, 11, 21]
    what = (NETWORK, a.fingerprint, DropReason.ARP_GUARD, 0, a.mac, ip4(b))
    assert {one[:6] for one in told} == {what}


def test_what_our_own_port_does_is_told_of_us() -> None:
    a, b = make_lan(2)
    a.send(tagged(udp(a.mac, ip4(b), (7, 7), b"hi"), 9))
    assert offences(a) == [Offence(NETWORK, None, DropReason.SOURCE_IP, 9, a.mac, ip4(b), 1)]


def test_a_flood_of_macs_names_who_sends_it_and_harms_nobody_else() -> None:
    """Thousands of random source MACs: the table stays bounded, what is known stays known."""
    hosts = make_mesh(3, bridges=(1, 2))
    a, b, c = hosts
    a.send(ethernet(BROADCAST, STATION))
    c.do(SetLimits(NETWORK, Limits(broadcast=None)))
    b.do(SetLimits(NETWORK, Limits(broadcast=None)))
    for one in a.send(ethernet(BROADCAST, STATION)):
        if one.endpoint == c.endpoint:
            c.receive(one.datagram, source=a.endpoint)
    told: list[Offence] = []
    for number in range(6_000):
        mac = b"\x06\0" + number.to_bytes(4, "big")
        for one in b.send(ethernet(c.mac, mac)):
            c.engine.handle_datagram(one.datagram, b.endpoint, c.now)
        c.outputs()
        if not number % 500:
            c.now += 0.1
            told += offences(c)
    entries = [one for one in c.engine.fdb(NETWORK, c.now) if not one.static]
    behind = [one.peer for one in entries]
    assert behind.count(b.fingerprint) == 1024 and behind.count(a.fingerprint) == 1
    (out,) = c.send(ethernet(STATION, c.mac))
    assert out.endpoint == a.endpoint
    culprits = {(one.peer, one.reason) for one in told}
    assert culprits == {(b.fingerprint, DropReason.FDB_FULL)}


def test_a_station_that_flaps_is_held_and_told_of() -> None:
    a, b, c = make_mesh(3, bridges=(2, 3))

    def show(bridge: Host) -> None:
        for one in bridge.send(ethernet(a.mac, STATION)):
            assert a.receive(one.datagram, source=bridge.endpoint), "the frame itself goes on"

    def place() -> object:
        return next(one.peer for one in a.engine.fdb(NETWORK, a.now) if one.mac == STATION)

    show(b)
    for _ in range(3):
        show(c)
        show(b)
        a.now += 1.0
    assert place() == c.fingerprint, "the sixth move within 10 s is one too many"
    (told,) = offences(a)
    assert told[1:5] == (b.fingerprint, DropReason.MAC_FLAPPING, 0, STATION)
    a.now += 6.9
    show(b)
    assert place() == c.fingerprint
    a.now += 0.2
    show(b)
    assert place() == b.fingerprint
