"""Draws frames, sound and broken, and what a kernel says of them."""

from __future__ import annotations

import random
from typing import TypeVar

from l2mesh.datapath.interface import GSO_NONE, GSO_TCP4, GSO_TCP6, GSO_UDP, Offload, Path
from tests.engine.lives.cast import (
    ADDRESSES,
    BROADCAST,
    ENDPOINTS,
    GROUPS,
    IP_GROUPS,
    LINK_LOCAL,
    MACS,
    OWN,
    RELAYS,
    STATIONS,
)

T = TypeVar("T")


def checksum(data: bytes) -> int:
    value = int.from_bytes(data + bytes(len(data) % 2), "big")
    return value % 0xFFFF or (0xFFFF if value else 0)


class Frames(random.Random):
    """Draws frames, and from what there is."""

    def of(self, *values: T) -> T:
        return self.choice(values)

    def one_in(self, count: int) -> bool:
        return not self.randrange(count)

    def some(self, most: int) -> bytes:
        return self.randbytes(self.randrange(most + 1))

    def path(self) -> Path:
        return Path(self.choice(ENDPOINTS), self.choice(RELAYS) if self.one_in(3) else 0)

    def ports(self) -> bytes:
        first, second = self.of((1, 2), (1, 2), (1, 2), (OWN.port, 7), (7, OWN.port))
        return first.to_bytes(2, "big") + second.to_bytes(2, "big")

    def l4(self, protocol: int) -> bytes:
        size = self.of(0, 1, 60, 900, 1400, 4000, 20_000) + self.randrange(3)
        payload = self.randbytes(8) + bytes(size)
        if protocol == 17:
            return (
                self.ports() + (8 + len(payload) & 0xFFFF).to_bytes(2, "big") + bytes(2) + payload
            )
        if protocol != 6:
            return payload
        flags = self.of(0x10, 0x10, 0x18, 0x11, 0x90, 0x30, 0x50)
        stamps = b"\1\1\x08\x0a" + bytes(8)
        options = self.of(b"", stamps, stamps, b"\x13\x12" + bytes(18), bytes(4), b"\x05\1\0\0")
        offset = (20 + len(options)) // 4 << 4
        numbers = self.of(1000, 2**32 - 2000).to_bytes(4, "big") + bytes(4)
        window = b"\1\0" + bytes(4)
        return self.ports() + numbers + bytes([offset, flags]) + window + options + payload

    def packet(self) -> tuple[int, bytes, int, int]:
        """(ethertype, IP packet, bytes before its L4 header, protocol), mostly sound."""
        protocol = self.of(6, 6, 6, 17, 17, 1)
        l4 = self.l4(protocol)
        length = len(l4).to_bytes(4, "big")
        if self.one_in(2):
            options = bytes(4) if self.one_in(5) else b""
            fragment = self.of(0x4000, 0x4000, 0x4000, 0, 0x2000, 7)
            total = 20 + len(options) + len(l4) + self.of(*[0] * 12, 1, -1)
            ip = bytes([0x45 + len(options) // 4, self.of(0, 0, 3)])
            ip += (total & 0xFFFF).to_bytes(2, "big") + b"\xff\xfe" + fragment.to_bytes(2, "big")
            sender = self.of(ADDRESSES[0], ADDRESSES[1], self.address(4))
            ip += bytes([64, protocol, 0, 0]) + sender + b"\x0a\0\0\3" + options
            ip = ip[:10] + (0xFFFF - checksum(ip)).to_bytes(2, "big") + ip[12:]
            kind, pseudo = 0x0800, ip[12:20] + bytes([0, protocol]) + length
        else:
            extension = bytes([protocol, 0, 1, 4, 0, 0, 0, 0]) if self.one_in(6) else b""
            first = 0 if extension else protocol
            ip = b"\x60\0\0\0" + (len(extension + l4) & 0xFFFF).to_bytes(2, "big")
            sender = self.of(ADDRESSES[5], ADDRESSES[6], self.address(16))
            ip += bytes([first, 64]) + sender + bytes(15) + b"\2" + extension
            kind, pseudo = 0x86DD, ip[8:40] + length + bytes([0, 0, 0, protocol])
        at = {6: 16, 17: 6}.get(protocol)
        if at is not None:
            value = checksum(pseudo)
            l4 = l4[:at] + value.to_bytes(2, "big") + l4[at + 2 :]
            if self.one_in(2):
                value = 0xFFFF - checksum(l4)
                l4 = l4[:at] + value.to_bytes(2, "big") + l4[at + 2 :]
        return kind, ip + l4, len(ip), protocol

    def address(self, size: int) -> bytes:
        """Often one that is signed to somebody."""
        nobody = bytes(size)
        of_size = [address for address in ADDRESSES if len(address) == size]
        return self.of(nobody, *of_size, *of_size, LINK_LOCAL[:size])

    def arp(self, target: bytes, source: bytes) -> bytes:
        """Mostly a sound one."""
        told = self.of(source, source, source, *MACS, *STATIONS[:2])
        head = b"\0" + bytes([self.of(1, 1, 1, 1, 6, 7)]) + b"\x08\0\6"
        head += self.of(b"\4\0", b"\4\0", b"\4\0", b"\5\0") + self.of(b"\1", b"\1", b"\2")
        arp = head + told + self.address(4) + target + self.address(4)
        return b"\x08\x06" + (arp if not self.one_in(8) else arp[: self.randrange(28)])

    def options(self, source: bytes) -> bytes:
        told = self.of(source, source, *MACS)
        one = self.of(b"\1\1", b"\1\1", b"\2\1", b"\2\1", b"\5\1", b"\1\2", b"\1\0") + told
        return self.of(b"", one, one, one * 2, one + b"\1\1" + MACS[0], one[:5], one * 70)

    def nd(self, source: bytes) -> bytes:
        """Neighbour discovery, perhaps hidden."""
        kind = self.of(133, 134, 135, 135, 135, 136, 136, 136, 137, 128)
        body = {133: 4, 134: 12, 135: 20, 136: 20, 137: 36, 128: 4}[kind]
        message = bytes([kind, 0, 0, 0]) + bytes(4) + self.address(16) + bytes(16)
        message = message[: 4 + body] + self.options(source)
        if self.one_in(12):
            message = message[: self.randrange(len(message))]
        first, chain = 58, b""
        for _ in range(self.of(0, 0, 0, 0, 1, 2, 8, 9)):
            header = self.of(0, 43, 44, 51, 60, 135)
            size = self.of(b"\0", b"\0", b"\0", b"\1") if header != 44 else b"\0"
            offset = self.of(b"\0\0", b"\0\1", b"\0\x08") if header == 44 else b"\0\0"
            extension = bytes([first]) + size + offset + bytes(4 + 8 * size[0])
            first, chain = header, extension + chain
        length = len(chain) + len(message) + self.of(*[0] * 9, 1, -1)
        head = b"\x60\0\0\0" + max(0, length).to_bytes(2, "big") + bytes([first, 255])
        return b"\x86\xdd" + head + self.address(16) + self.address(16) + chain + message

    def dhcp(self) -> bytes:
        """Of servers, clients and relays."""
        ports = self.of((67, 68), (68, 67), (67, 67), (67, 69), (547, 546), (546, 547))
        udp = b"".join(port.to_bytes(2, "big") for port in ports) + bytes(4)
        udp += self.of(b"\1", b"\2", b"\7", b"\x0b", b"") + bytes(self.of(0, 40))
        udp = udp if not self.one_in(8) else udp[: self.randrange(len(udp))]
        if ports[0] > 500:
            head = b"\x60\0\0\0" + len(udp).to_bytes(2, "big") + b"\x11\1"
            return b"\x86\xdd" + head + self.address(16) + self.address(16) + udp
        options = self.of(b"", b"", bytes(4))
        head = bytes([0x45 + len(options) // 4, 0]) + (20 + len(options + udp)).to_bytes(2, "big")
        head += b"\0\0" + self.of(b"\0\0", b"\0\0", b"\x20\0", b"\0\1") + b"\x40\x11\0\0"
        return b"\x08\0" + head + self.address(4) + self.address(4) + options + udp

    def group_frame(self, source: bytes) -> bytes:
        """IGMP, MLD or anything else to an IP group."""
        tags = self.of(b"", b"", b"\x81\0\0\7", b"\x81\0\0\0")
        group, talk = self.choice(IP_GROUPS), self.one_in(2)
        if len(group) == 4:
            text = bytes([self.of(0x11, 0x11, 0x16, 0x17, 0x22, 0x12, 0x13)]) + self.some(12)
            options = self.of(b"", b"\x94\4\0\0")
            head = bytes([0x45 + len(options) // 4, 0]) + bytes(4)
            protocol = self.of(2, 2, 103) if talk else 17
            text = (
                (self.of(b"\x20", b"\x20", b"\x21") + text)[: self.of(0, 9)]
                if protocol > 17
                else text
            )
            head += self.of(b"\0\0", b"\0\0", b"\0\1") + bytes([1, protocol]) + bytes(2)
            packet = b"\x08\0" + head + self.address(4) + group + options + text
            target = b"\1\0\x5e" + bytes([group[1] & 0x7F]) + group[2:]
        else:
            text = bytes([self.of(130, 130, 131, 132, 143, 128, 0x20)]) + self.some(30)
            protocol = 103 if text[0] == 0x20 else 58
            first = b"\0" if talk else bytes([protocol])
            hop = bytes([protocol, 0, 5, 2, 0, 0, 1, 0]) if talk else b""
            head = b"\x60\0\0\0" + len(hop + text).to_bytes(2, "big") + first + b"\1"
            packet = b"\x86\xdd" + head + self.address(16) + group + hop + text
            target = b"\x33\x33" + group[12:]
        frame = self.of(target, target, target, GROUPS[3], BROADCAST) + source + tags + packet
        return frame[: -self.randrange(1, 12)] if self.one_in(12) else frame

    def judged(self, target: bytes, source: bytes) -> bytes:
        """A frame that guards look into."""
        tags = self.of(b"", b"", b"", b"", b"\x81\0\0\7", b"\x81\0\0\0")
        inside = self.of(self.arp(target, source), self.nd(source), self.dhcp())
        return self.of(target, target, BROADCAST, GROUPS[4]) + source + tags + inside

    def frame(self, target: bytes, source: bytes) -> tuple[bytes, Offload | None]:
        """A frame and what a kernel might say of it."""
        if self.one_in(4):
            return self.judged(target, source), None
        if self.one_in(12):
            return self.group_frame(source), None
        tags = self.of(b"", b"", b"", b"", b"\x81\0\0\7", b"\x88\xa8\0\7\x81\0\0\x09")
        if self.one_in(5):
            kind = self.of(0x0806, 0x8100, 0x88B5, 0x0800)
            frame = target + source + tags + kind.to_bytes(2, "big") + self.some(60)
            return frame[: self.randrange(24)] if self.one_in(3) else frame, None
        kind, packet, before, protocol = self.packet()
        head = target + source + tags + kind.to_bytes(2, "big")
        frame = head + packet + bytes(self.of(*[0] * 9, 6))
        if self.one_in(3):
            return frame, None
        gso = GSO_UDP if protocol == 17 else GSO_TCP4 if kind == 0x0800 else GSO_TCP6
        return frame, Offload(
            gso_type=self.of(gso, gso, gso, gso, GSO_NONE, GSO_NONE, GSO_TCP4, 0x10, 0x81),
            gso_size=self.of(100, 500, 1400, 1448, 1448, 0),
            csum_start=len(head) + before + self.of(*[0] * 12, 2, 9000),
            csum_offset=(6 if protocol == 17 else 16) + self.of(*[0] * 12, -2),
            needs_csum=not self.one_in(12),
            ecn=self.one_in(8),
        )
