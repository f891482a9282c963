"""Ethernet frames of every kind that a switch must carry or judge, made by scapy.

`every_kind(source, destination)` gives them all by name; single ones have functions of their own.
Each is complete bytes without FCS: lengths and checksums are right unless the name says otherwise.
scapy takes a second to import; tests that need pings only find them in `tests.simulator.frames`.
"""

from collections.abc import Callable
from functools import cache
from typing import Final

from scapy.contrib.lacp import LACP, SlowProtocol
from scapy.contrib.lldp import (
    LLDPDUChassisID,
    LLDPDUEndOfLLDPDU,
    LLDPDUPortID,
    LLDPDUTimeToLive,
)
from scapy.contrib.macsec import MACsec
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.igmp import IGMP
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import ARP, LLC, STP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.layers.vrrp import VRRP
from scapy.packet import Packet, Raw

__all__ = ["ALICE", "BOB", "BROADCAST", "KINDS", "every_kind", "frame"]

ALICE: Final = "02:00:00:00:00:0a"
BOB: Final = "02:00:00:00:00:0b"
BROADCAST: Final = "ff:ff:ff:ff:ff:ff"
ALICE_IP, BOB_IP = "10.9.0.1", "10.9.0.2"
ALICE_IP6, BOB_IP6 = "fd00:9::a", "fd00:9::b"
LEAST_BYTES: Final = 60
"""Ethernet's least length without FCS; hosts pad up to it, a TAP need not."""

Make = Callable[[str, str], Packet]


def _udp(source: str, destination: str, size: int = 32) -> Packet:
    return (
        Ether(src=source, dst=destination)
        / IP(src=ALICE_IP, dst=BOB_IP)
        / UDP(sport=4000, dport=5000)
        / Raw(bytes(i & 0xFF for i in range(size)))
    )


def _arp(source: str, destination: str, **fields: object) -> Packet:
    return Ether(src=source, dst=destination) / ARP(hwsrc=source, **fields)


def _tcp(source: str, destination: str) -> Packet:
    flags = {"flags": "PA", "seq": 1, "ack": 1}
    ip = Ether(src=source, dst=destination) / IP(src=ALICE_IP, dst=BOB_IP, flags="DF")
    return ip / TCP(sport=4000, dport=80, **flags) / Raw(b"GET / HTTP/1.0\r\n\r\n")


def _ipv6(source: str, destination: str, target: str = BOB_IP6, **fields: object) -> Packet:
    return Ether(src=source, dst=destination) / IPv6(src=ALICE_IP6, dst=target, **fields)


def _solicitation(source: str, _: str) -> Packet:
    head = _ipv6(source, "33:33:ff:00:00:0b", "ff02::1:ff00:b", hlim=255)
    return head / ICMPv6ND_NS(tgt=BOB_IP6) / ICMPv6NDOptSrcLLAddr(lladdr=source)


def _advertisement(source: str, destination: str) -> Packet:
    answer = ICMPv6ND_NA(tgt=ALICE_IP6, R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=source)
    return _ipv6(source, destination, hlim=255) / answer


def _router_advertisement(source: str, _: str) -> Packet:
    head = Ether(src=source, dst="33:33:00:00:00:01")
    head /= IPv6(src="fe80::a", dst="ff02::1", hlim=255)
    return head / ICMPv6ND_RA() / ICMPv6NDOptPrefixInfo(prefix="fd00:9::", prefixlen=64)


def _dhcp(source: str, destination: str, *, kind: str, op: int, ports: tuple[int, int]) -> Packet:
    client = source if op == 1 else destination
    addresses = ("0.0.0.0", "255.255.255.255") if op == 1 else (ALICE_IP, BOB_IP)
    head = Ether(src=source, dst=BROADCAST if op == 1 else destination)
    head /= IP(src=addresses[0], dst=addresses[1]) / UDP(sport=ports[0], dport=ports[1])
    boot = BOOTP(op=op, chaddr=bytes.fromhex(client.replace(":", "")), xid=7)
    return head / boot / DHCP(options=[("message-type", kind), "end"])


def _igmp(source: str, _: str) -> Packet:
    ip = IP(src=ALICE_IP, dst="239.1.2.3", ttl=1, options=[IPOption_Router_Alert()])
    return Ether(src=source, dst="01:00:5e:01:02:03") / ip / IGMP(type=0x16, gaddr="239.1.2.3")


def _mld(source: str, _: str) -> Packet:
    head = Ether(src=source, dst="33:33:00:00:00:16")
    head /= IPv6(src="fe80::a", dst="ff02::16", hlim=1)
    return head / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6MLReport2()


def _lldp(source: str, _: str) -> Packet:
    units = LLDPDUChassisID(subtype=4, id=source) / LLDPDUPortID(subtype=5, id=b"eth0")
    units = units / LLDPDUTimeToLive(ttl=120) / LLDPDUEndOfLLDPDU()
    return Ether(src=source, dst="01:80:c2:00:00:0e", type=0x88CC) / units


def _mdns(source: str, _: str) -> Packet:
    head = Ether(src=source, dst="01:00:5e:00:00:fb") / IP(src=ALICE_IP, dst="224.0.0.251", ttl=255)
    question = DNS(rd=0, qd=DNSQR(qname="_ipp._tcp.local", qtype="PTR"))
    return head / UDP(sport=5353, dport=5353) / question


def _vrrp(source: str, _: str) -> Packet:
    head = Ether(src=source, dst="01:00:5e:00:00:12") / IP(src=ALICE_IP, dst="224.0.0.18", ttl=255)
    return head / VRRP(vrid=1, priority=100, addrlist=["10.9.0.254"])


def _macsec(source: str, destination: str) -> Packet:
    tag = MACsec(SCI=b"\x02\x00\x00\x00\x00\x0a\x00\x01", AN=0, SC=1, E=1, C=1, PN=1)
    return Ether(src=source, dst=destination, type=0x88E5) / tag / Raw(bytes(64))


KINDS: Final[dict[str, Make]] = {
    "arp_request": lambda a, _: _arp(a, BROADCAST, psrc=ALICE_IP, pdst=BOB_IP),
    "arp_reply": lambda a, b: _arp(a, b, op=2, psrc=ALICE_IP, hwdst=b, pdst=BOB_IP),
    "arp_gratuitous": lambda a, _: _arp(a, BROADCAST, psrc=ALICE_IP, pdst=ALICE_IP),
    "arp_probe": lambda a, _: _arp(a, BROADCAST, psrc="0.0.0.0", pdst=BOB_IP),
    "ipv4_udp": _udp,
    "ipv4_udp_broadcast": lambda a, _: (
        Ether(src=a, dst=BROADCAST) / IP(src=ALICE_IP, dst="255.255.255.255") / UDP(dport=9) / b"hi"
    ),
    "ipv4_tcp": _tcp,
    "ipv4_icmp": lambda a, b: (
        Ether(src=a, dst=b) / IP(src=ALICE_IP, dst=BOB_IP) / ICMP(id=1, seq=1) / Raw(bytes(56))
    ),
    "ipv6_icmp": lambda a, b: _ipv6(a, b) / ICMPv6EchoRequest(id=1, seq=1, data=bytes(56)),
    "ipv6_udp": lambda a, b: _ipv6(a, b) / UDP(sport=4000, dport=5000) / Raw(bytes(32)),
    "nd_solicitation": _solicitation,
    "nd_advertisement": _advertisement,
    "router_advertisement": _router_advertisement,
    "dhcp_discover": lambda a, b: _dhcp(a, b, kind="discover", op=1, ports=(68, 67)),
    "dhcp_offer": lambda a, b: _dhcp(a, b, kind="offer", op=2, ports=(67, 68)),
    "igmp_join": _igmp,
    "mld_report": _mld,
    "mdns": _mdns,
    "vrrp": _vrrp,
    "lldp": _lldp,
    "stp_bpdu": lambda a, _: Dot3(src=a, dst="01:80:c2:00:00:00") / LLC(ctrl=3) / STP(),
    "lacp": lambda a, _: (
        Ether(src=a, dst="01:80:c2:00:00:02", type=0x8809) / SlowProtocol(subtype=1) / LACP()
    ),
    "dot1q": lambda a, b: Ether(src=a, dst=b) / Dot1Q(vlan=7) / _udp(a, b).payload,
    "qinq": lambda a, b: (
        Ether(src=a, dst=b, type=0x88A8) / Dot1AD(vlan=7) / Dot1Q(vlan=8) / _udp(a, b).payload
    ),
    "priority_tagged": lambda a, b: (
        Ether(src=a, dst=b) / Dot1Q(vlan=0, prio=5) / _udp(a, b).payload
    ),
    "macsec": _macsec,
    "jumbo": lambda a, b: _udp(a, b, 9000 - 28),
    "largest_1500": lambda a, b: _udp(a, b, 1500 - 28),
    "unknown_ethertype": lambda a, b: Ether(src=a, dst=b, type=0x88B5) / Raw(bytes(50)),
    "runt": lambda a, b: Raw(bytes(Ether(src=a, dst=b, type=0x0800))[:13]),
}
"""Makers by name: each takes a source and a destination MAC; groups have destinations of their own.

`runt` is cut within the Ethernet header. `jumbo` needs an MTU of 9000.
"""


def frame(kind: str, source: str = ALICE, destination: str = BOB) -> bytes:
    """The frame of this kind, as bytes."""
    return bytes(KINDS[kind](source, destination))


@cache
def every_kind(source: str = ALICE, destination: str = BOB) -> dict[str, bytes]:
    """One frame of every kind by its name; treat the result as read-only."""
    return {kind: frame(kind, source, destination) for kind in KINDS}
