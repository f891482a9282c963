"""Ethernet frames as hosts send them, made by hand: what is in them is in plain sight.

``ping`` and ``pong`` are complete: lengths and checksums are right, and the sequence number tells
one ping from another.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final

__all__ = [
    "BROADCAST",
    "arp_reply",
    "arp_request",
    "broadcast_udp",
    "ipv4",
    "is_ping",
    "neighbour_solicitation",
    "ping",
    "ping_sequence",
    "pong",
    "tagged",
    "udp",
]

BROADCAST: Final = b"\xff" * 6
ETHER_IPV4: Final = 0x0800
ETHER_ARP: Final = 0x0806
ETHER_IPV6: Final = 0x86DD
ETHER_VLAN: Final = 0x8100
_ICMP: Final = 1
_UDP: Final = 17
_ICMPV6: Final = 58
_ECHO: Final = 8
_ECHO_REPLY: Final = 0
_ICMP_AT: Final = 34
_MINIMUM: Final = 60


def ethernet(destination: bytes, source: bytes, ethertype: int, payload: bytes) -> bytes:
    """A frame without FCS, padded to the least length of 60 bytes."""
    frame = destination + source + struct.pack("!H", ethertype) + payload
    return frame.ljust(_MINIMUM, b"\0")


def tagged(frame: bytes, vlan: int, *, service: bool = False) -> bytes:
    """The frame in a VLAN: 802.1Q, or the outer tag of 802.1ad."""
    ethertype = 0x88A8 if service else ETHER_VLAN
    return frame[:12] + struct.pack("!HH", ethertype, vlan) + frame[12:]


def ipv4(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    """An IPv4 packet of 20 bytes of header, DF set."""
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(payload),
        0,
        0x4000,
        64,
        protocol,
        0,
        IPv4Address(source).packed,
        IPv4Address(destination).packed,
    )
    return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + payload


def arp_request(mac: bytes, address: str, target: str) -> bytes:
    """Who has ``target``? To everybody."""
    body = struct.pack("!HHBBH", 1, ETHER_IPV4, 6, 4, 1)
    body += mac + IPv4Address(address).packed + bytes(6) + IPv4Address(target).packed
    return ethernet(BROADCAST, mac, ETHER_ARP, body)


def arp_reply(mac: bytes, address: str, to_mac: bytes, to_address: str) -> bytes:
    """``address`` is at ``mac``. To who asked."""
    body = struct.pack("!HHBBH", 1, ETHER_IPV4, 6, 4, 2)
    body += mac + IPv4Address(address).packed + to_mac + IPv4Address(to_address).packed
    return ethernet(to_mac, mac, ETHER_ARP, body)


def ping(
    source_mac: bytes,
    destination_mac: bytes,
    sequence: int,
    *,
    source: str = "10.0.0.1",
    destination: str = "10.0.0.2",
    size: int = 98,
) -> bytes:
    """An ICMP echo request in a frame of ``size`` bytes; the sequence number has 32 bits."""
    return _echo(_ECHO, source_mac, destination_mac, sequence, source, destination, size)


def pong(frame: bytes) -> bytes:
    """The echo reply to an echo request."""
    source, destination = str(IPv4Address(frame[26:30])), str(IPv4Address(frame[30:34]))
    sequence = ping_sequence(frame)
    return _echo(_ECHO_REPLY, frame[:6], frame[6:12], sequence, destination, source, len(frame))


def is_ping(frame: bytes) -> bool:
    """Whether the frame is an untagged echo request."""
    return frame[12:14] == b"\x08\x00" and frame[23] == _ICMP and frame[_ICMP_AT] == _ECHO


def ping_sequence(frame: bytes) -> int:
    """The number of an echo request or reply, from identifier and sequence."""
    return int.from_bytes(frame[_ICMP_AT + 4 : _ICMP_AT + 8], "big")


def udp(
    macs: tuple[bytes, bytes], hosts: tuple[str, str], ports: tuple[int, int], payload: bytes
) -> bytes:
    """UDP from the first of each pair to the second, without a checksum."""
    datagram = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    return ethernet(macs[1], macs[0], ETHER_IPV4, ipv4(*hosts, _UDP, datagram))


def broadcast_udp(mac: bytes, source: str, payload: bytes, port: int = 9999) -> bytes:
    """UDP to 255.255.255.255, as games and discovery protocols send it."""
    udp = struct.pack("!HHHH", port, port, 8 + len(payload), 0) + payload
    return ethernet(BROADCAST, mac, ETHER_IPV4, ipv4(source, "255.255.255.255", _UDP, udp))


def neighbour_solicitation(mac: bytes, source: str, target: str) -> bytes:
    """IPv6 neighbour discovery (RFC 4861 section 4.3) to the solicited-node group of ``target``."""
    wanted, own = IPv6Address(target).packed, IPv6Address(source).packed
    group = IPv6Address("ff02::1:ff00:0").packed[:13] + wanted[13:]
    body = struct.pack("!BBHI", 135, 0, 0, 0) + wanted + b"\x01\x01" + mac
    pseudo = own + group + struct.pack("!II", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
    header = struct.pack("!IHBB", 0x60000000, len(body), _ICMPV6, 255) + own + group
    return ethernet(b"\x33\x33" + group[12:], mac, ETHER_IPV6, header + body)


def _echo(
    kind: int,
    source_mac: bytes,
    destination_mac: bytes,
    sequence: int,
    source: str,
    destination: str,
    size: int,
) -> bytes:
    filler = bytes(i & 0xFF for i in range(size - _ICMP_AT - 8))
    body = struct.pack("!BBHI", kind, 0, 0, sequence) + filler
    body = body[:2] + struct.pack("!H", _checksum(body)) + body[4:]
    return ethernet(destination_mac, source_mac, ETHER_IPV4, ipv4(source, destination, _ICMP, body))


def _checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
