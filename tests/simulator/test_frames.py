"""The frames made by hand are those that scapy would make."""

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether

from tests.simulator import frames

ONE, TWO = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def rebuilt(frame: bytes) -> bytes:
    """The frame with every length and checksum computed anew by scapy."""
    packet: Any = Ether(frame)
    for layer, fields in ((IP, ("chksum", "len")), (ICMP, ("chksum",)), (ICMPv6ND_NS, ("cksum",))):
        if layer in packet:
            for name in fields:
                delattr(packet[layer], name)
    return bytes(Ether(bytes(packet)))


@pytest.mark.parametrize("size", [60, 98, 1514])
def test_ping_and_pong_are_true_icmp(size: int) -> None:
    ping = frames.ping(ONE, TWO, 0x12345678, size=size)
    pong = frames.pong(ping)
    for frame, kind in ((ping, 8), (pong, 0)):
        assert len(frame) == size and rebuilt(frame) == frame
        assert Ether(frame)[ICMP].type == kind
        assert frames.ping_sequence(frame) == 0x12345678
    assert frames.is_ping(ping) and not frames.is_ping(pong)
    assert (pong[:6], pong[6:12]) == (ONE, TWO)


def test_arp_asks_everybody_and_answers_one() -> None:
    request = Ether(frames.arp_request(ONE, "10.0.0.1", "10.0.0.2"))
    assert request.dst == "ff:ff:ff:ff:ff:ff" and request[ARP].pdst == "10.0.0.2"
    reply = Ether(frames.arp_reply(TWO, "10.0.0.2", ONE, "10.0.0.1"))
    assert reply.dst == "02:00:00:00:00:01" and reply[ARP].hwsrc == "02:00:00:00:00:02"


def test_broadcast_udp_and_tags_are_what_they_say() -> None:
    frame = frames.broadcast_udp(ONE, "10.0.0.1", b"hello")
    assert bytes(Ether(frame)[UDP].payload)[:5] == b"hello" and rebuilt(frame) == frame
    tagged = Ether(frames.tagged(frame, 42))
    assert tagged[Dot1Q].vlan == 42 and tagged[IP].dst == "255.255.255.255"


def test_a_neighbour_is_solicited_in_its_group() -> None:
    frame = frames.neighbour_solicitation(ONE, "fd00::1", "fd00::12:3456")
    packet = Ether(frame)
    assert packet.dst == "33:33:ff:12:34:56" and packet[IPv6].hlim == 255
    assert packet[ICMPv6ND_NS].tgt == "fd00::12:3456" and rebuilt(frame) == frame
