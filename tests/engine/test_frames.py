"""Frames of many kinds, made by scapy, pass or drop as section 10 says."""

from collections.abc import Callable
from typing import Any

import pytest
from scapy.contrib.lldp import (
    LLDPDU,
    LLDPDUChassisID,
    LLDPDUEndOfLLDPDU,
    LLDPDUPortID,
    LLDPDUTimeToLive,
)
from scapy.layers.igmp import IGMP
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6ND_RA, IPv6
from scapy.layers.l2 import ARP, LLC, STP, Dot1AD, Dot1Q, Dot3, Ether

from l2mesh.datapath.interface import DropReason, Limits, SetLimits
from tests.engine.lab import NETWORK, Host, carry, make_mesh

A, B, C = (f"02:00:00:00:00:0{number}" for number in (1, 2, 3))
ALL = "ff:ff:ff:ff:ff:ff"


def raw(packet: Any) -> bytes:
    return bytes(packet)


def lldp() -> bytes:
    body = LLDPDUChassisID(subtype=4, id=b"\0" * 6) / LLDPDUPortID(subtype=3, id=b"\0" * 6)
    pdu = LLDPDU() / body / LLDPDUTimeToLive(ttl=20) / LLDPDUEndOfLLDPDU()
    return raw(Ether(dst="01:80:c2:00:00:0e", src=A) / pdu)


ONE = [
    lambda: Ether(dst=B, src=A) / ARP(op=2, hwsrc=A, pdst="10.0.0.2"),
    lambda: Ether(dst=B, src=A) / IP() / ICMP() / (b"x" * 1472),
    lambda: Ether(dst=B, src=A) / IP() / UDP() / b"x",
    lambda: Ether(dst=B, src=A) / IPv6() / TCP(),
    lambda: Ether(dst=B, src=A) / Dot1Q(vlan=9) / IP() / (b"x" * 1480),
    lambda: Ether(dst=B, src=A) / Dot1AD(vlan=9) / Dot1Q(vlan=8) / IP() / (b"x" * 1480),
    lambda: Dot3(dst=B, src=A) / LLC() / b"netbios",
    lambda: Ether(dst=B, src=A, type=0x88CC) / b"any ethertype",
    lambda: Ether(dst=B, src=A, type=0x88B5),
]
EVERY = [
    lambda: Ether(dst=ALL, src=A) / ARP(hwsrc=A, pdst="10.0.0.2"),
    lambda: Ether(dst=ALL, src=A) / Dot1Q(vlan=5) / ARP(hwsrc=A, pdst="10.0.0.2"),
    lambda: Ether(dst="01:00:5e:00:00:16", src=A) / IP(dst="224.0.0.22") / IGMP(type=0x16),
    lambda: Ether(dst="33:33:ff:00:00:01", src=A) / IPv6(dst="ff02::1:ff00:1") / ICMPv6ND_NS(),
    lambda: Ether(dst="01:00:0c:cc:cc:cc", src=A, type=0x2000) / b"cdp",
]
LINK_LOCAL: list[Callable[[], Any]] = [
    lldp,
    lambda: Dot3(dst="01:80:c2:00:00:00", src=A) / LLC() / STP(),
    lambda: Ether(dst="01:80:c2:00:00:02", src=A, type=0x8809) / b"lacp",
]


def pause() -> Any:
    return Ether(dst="01:80:c2:00:00:01", src=A, type=0x8808) / b"pause"


BAD: list[tuple[Callable[[], Any], DropReason]] = [
    (lambda: Ether(dst=B, src=A) / IP() / (b"x" * 1481), DropReason.BAD_FRAME),
    (lambda: Ether(dst=ALL, src=A) / (b"x" * 8000), DropReason.BAD_FRAME),
    (lambda: raw(Ether(dst=B, src=A))[:13], DropReason.BAD_FRAME),
    (lambda: raw(Ether(dst=B, src=A) / Dot1Q(vlan=9))[:17], DropReason.BAD_FRAME),
    (lambda: Ether(dst=B, src="52:54:00:00:00:01") / IP(), DropReason.SOURCE_MAC),
    (lambda: Ether(dst=B, src=C) / IP(), DropReason.SOURCE_MAC),
    (lambda: Ether(dst=A, src=A) / IP(), DropReason.SAME_PORT),
    (lambda: Ether(dst="52:54:00:00:00:01", src=A) / IP(), DropReason.UNKNOWN_UNICAST),
    (
        lambda: Ether(dst="33:33:00:00:00:01", src=A) / IPv6(dst="ff02::1") / ICMPv6ND_RA(),
        DropReason.RA_GUARD,
    ),
    (lambda: Ether(dst=ALL, src=A) / ARP(hwsrc=B, pdst="10.0.0.2"), DropReason.ARP_GUARD),
    *[(make, DropReason.LINK_LOCAL_GROUP) for make in (*LINK_LOCAL, pause)],
]


def mesh_with(frame: bytes) -> list[Host]:
    hosts = make_mesh(3)
    hosts[0].engine.handle_frame(NETWORK, frame, hosts[0].now)
    carry(hosts)
    return hosts


@pytest.mark.parametrize("make", ONE)
def test_unicast_frames_reach_their_owner(make: Callable[[], Any]) -> None:
    frame = raw(make())
    assert [host.delivered for host in mesh_with(frame)] == [[], [frame], []]


@pytest.mark.parametrize("make", EVERY)
def test_group_frames_reach_everyone(make: Callable[[], Any]) -> None:
    frame = raw(make())
    assert [host.delivered for host in mesh_with(frame)] == [[], [frame], [frame]]


@pytest.mark.parametrize(("make", "reason"), BAD)
def test_bad_frames_are_dropped(make: Callable[[], Any], reason: DropReason) -> None:
    hosts = mesh_with(raw(make()))
    assert hosts[0].drops == {reason: 1}
    assert not any(host.delivered for host in hosts)


@pytest.mark.parametrize("make", LINK_LOCAL)
def test_link_local_groups_pass_where_bpdus_do(make: Callable[[], Any]) -> None:
    frame, hosts = raw(make()), make_mesh(3)
    for host in hosts:
        host.do(SetLimits(NETWORK, Limits(bpdu="pass")))
    hosts[0].engine.handle_frame(NETWORK, frame, hosts[0].now)
    carry(hosts)
    assert [host.delivered for host in hosts] == [[], [frame], [frame]]


@pytest.mark.parametrize("bpdu", ["block", "pass", "tunnel"])
def test_pause_is_for_the_link_alone(bpdu: str) -> None:
    """IEEE 802.3 annex 31B; IEEE 802.1Q-2022 tables 8-1 to 8-3: no relay passes it on."""
    hosts = make_mesh(3, bridges=(1, 2, 3))
    for host in hosts:
        host.do(SetLimits(NETWORK, Limits(bpdu=bpdu)))
    hosts[0].engine.handle_frame(NETWORK, raw(pause()), hosts[0].now)
    carry(hosts)
    assert hosts[0].drops == {DropReason.LINK_LOCAL_GROUP: 1}
    assert not any(host.delivered for host in hosts)


@pytest.mark.parametrize("mtu", [576, 1500, 9000])
def test_largest_frame_of_the_network_passes(mtu: int) -> None:
    a, b = make_mesh(2, mtu=mtu)
    frame = raw(Ether(dst=B, src=A) / Dot1AD(vlan=2) / Dot1Q(vlan=9) / IP() / (b"x" * (mtu - 20)))
    a.engine.handle_frame(NETWORK, frame, a.now)
    carry([a, b])
    assert b.delivered == [frame]
