"""Ethernet by hand: ARP, ICMP echo and UDP echo over IPv4, and the checksums they need."""

import ipaddress
import struct

from tests.stranger.errors import require

BROADCAST = b"\xff" * 6
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
ICMP, UDP = 1, 17
ARP_HEAD = struct.pack(">HHBB", 1, IPV4, 6, 4)


def checksum(text: bytes) -> int:
    """The internet checksum, not yet inverted."""
    padded = text + bytes(len(text) % 2)
    total: int = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def frame(to: bytes, source: bytes, ethertype: int, payload: bytes) -> bytes:
    """An Ethernet frame."""
    return to + source + ethertype.to_bytes(2) + payload


def restore_header(payload: bytes, to: bytes, source: bytes) -> bytes:
    """The frame of an ELIDED payload."""
    ethertype = {4: IPV4, 6: IPV6}.get(payload[0] >> 4)
    require(ethertype, "bad_offload")
    assert ethertype
    return frame(to, source, ethertype, payload)


def packet(source: bytes, to: bytes, protocol: int, payload: bytes) -> bytes:
    """An IPv4 packet."""
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0)
    total = checksum(head + source + to) ^ 0xFFFF
    return head[:10] + total.to_bytes(2) + source + to + payload


def pseudo_sum(source: bytes, to: bytes, payload: bytes) -> int:
    """The pseudo-header's sum of a UDP datagram."""
    return checksum(source + to + struct.pack(">HH", UDP, len(payload)))


class Stack:
    """What answers for one address; `answers` counts by kind."""

    def __init__(self, mac: bytes, address: str) -> None:
        """From the credential's MAC and its first address."""
        self.mac, self.address = mac, ipaddress.ip_interface(address).ip.packed
        self.neighbours: dict[bytes, bytes] = {}
        self.counts: dict[str, int] = {}
        self.echoes: dict[int, int] = {}

    def count(self, what: str) -> None:
        """One more of a kind."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def receive(self, raw: bytes, *, partial: bool = False) -> bytes | None:
        """The answer to a frame; `partial` says that its checksum is the pseudo-header's sum."""
        if raw[:6] not in (self.mac, BROADCAST):
            return None
        source, ethertype, payload = raw[6:12], int.from_bytes(raw[12:14]), raw[14:]
        if ethertype == ARP:
            return self.on_arp(payload)
        if ethertype != IPV4 or payload[16:20] != self.address:
            return None
        return self.on_packet(source, payload[: int.from_bytes(payload[2:4])], partial=partial)

    def on_arp(self, payload: bytes) -> bytes | None:
        """An ARP request for us is answered, an answer remembered."""
        operation, mac, address = payload[6:8], payload[8:14], payload[14:18]
        self.neighbours[address] = mac
        if operation != b"\0\1" or payload[24:28] != self.address:
            return None
        self.count("arp")
        reply = ARP_HEAD + b"\0\2" + self.mac + self.address + mac + address
        return frame(mac, self.mac, ARP, reply)

    def on_packet(self, source: bytes, raw: bytes, *, partial: bool) -> bytes | None:
        """An echo request of ICMP, and UDP to port 7, are answered."""
        require(checksum(raw[:20]) == 0xFFFF, "bad IPv4 checksum")
        sender, protocol, payload = raw[12:16], raw[9], raw[20:]
        if protocol == ICMP:
            return self.on_icmp(source, sender, payload)
        if protocol == UDP and payload[2:4] == b"\0\7":
            return self.on_udp(source, sender, payload, partial=partial)
        return None

    def on_icmp(self, source: bytes, sender: bytes, payload: bytes) -> bytes | None:
        """Echo request and reply."""
        require(checksum(payload) == 0xFFFF, "bad ICMP checksum")
        if payload[0] == 0:
            self.echoes[int.from_bytes(payload[6:8])] = len(payload) + 20
            return None
        if payload[0] != 8:
            return None
        self.count("icmp")
        reply = self.icmp(0, payload[4:])
        return frame(source, self.mac, IPV4, packet(self.address, sender, ICMP, reply))

    @staticmethod
    def icmp(kind: int, rest: bytes) -> bytes:
        """An ICMP message."""
        total = checksum(bytes([kind, 0, 0, 0]) + rest) ^ 0xFFFF
        return bytes([kind, 0]) + total.to_bytes(2) + rest

    def on_udp(self, source: bytes, sender: bytes, payload: bytes, *, partial: bool) -> bytes:
        """The same back, its checksum left at the pseudo-header's sum (flag CSUM)."""
        pseudo = pseudo_sum(sender, self.address, payload)
        if partial:
            require(int.from_bytes(payload[6:8]) == pseudo, "no pseudo-header sum")
            self.count("partial")
        else:
            whole = checksum(pseudo.to_bytes(2) + payload)
            require(whole == 0xFFFF, "bad UDP checksum")
        self.count("udp")
        head = payload[2:4] + payload[:2] + payload[4:6]
        reply = head + pseudo_sum(self.address, sender, payload).to_bytes(2) + payload[8:]
        return frame(source, self.mac, IPV4, packet(self.address, sender, UDP, reply))

    def who_has(self, address: bytes) -> bytes:
        """An ARP request."""
        asked = ARP_HEAD + b"\0\1" + self.mac + self.address + bytes(6) + address
        return frame(BROADCAST, self.mac, ARP, asked)

    def echo_request(self, address: bytes, number: int, size: int) -> bytes:
        """A ping whose IPv4 packet has `size` bytes, to a known neighbour."""
        rest = struct.pack(">HH", 0x7374, number) + bytes(size - 28)
        request = packet(self.address, address, ICMP, self.icmp(8, rest))
        return frame(self.neighbours[address], self.mac, IPV4, request)
