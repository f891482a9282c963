"""TCP and UDP frames made and judged in the most obvious way, for what cuts and merges them."""

from dataclasses import dataclass, replace
from struct import pack, unpack

from l2mesh.datapath.interface import GSO_TCP4, GSO_TCP6, GSO_UDP, Offload

TCP, UDP = 6, 17
FIN, SYN, PSH, ACK, URG, ECE, CWR = 0x01, 0x02, 0x08, 0x10, 0x20, 0x40, 0x80
ALICE, BOB = b"\x02\0\0\0\0\x0a", b"\x02\0\0\0\0\x0b"


def slow_sum(data: bytes) -> int:
    """RFC 1071, word by word."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


@dataclass(frozen=True, kw_only=True)
class Packet:
    """What a frame says; `frame` makes it."""

    payload: bytes
    protocol: int = TCP
    version: int = 4
    source: bytes = ALICE
    destination: bytes = BOB
    tags: bytes = b""
    """Four bytes each: TPID and control information."""
    traffic_class: int = 0
    ttl: int = 64
    df: bool = True
    fragment: int = 0
    """More fragments (0x2000) and offset."""
    identification: int = 7
    ip_options: bytes = b""
    extensions: bytes = b""
    """IPv6 destination options headers, all in one."""
    ports: tuple[int, int] = (1000, 2000)
    sequence: int = 1
    acknowledgement: int = 77
    flags: int = ACK
    window: int = 500
    options: bytes = b""
    urgent: int = 0

    @property
    def l4(self) -> int:
        fixed = 20 + len(self.ip_options) if self.version == 4 else 40 + len(self.extensions)
        return 14 + len(self.tags) + fixed

    @property
    def headers(self) -> int:
        return self.l4 + (20 + len(self.options) if self.protocol == TCP else 8)

    @property
    def offload(self) -> Offload:
        """An open checksum, no super-frame."""
        return Offload(0, 0, self.l4, 16 if self.protocol == TCP else 6, needs_csum=True)

    def gso(self, size: int) -> Offload:
        kind = GSO_UDP if self.protocol == UDP else GSO_TCP4 if self.version == 4 else GSO_TCP6
        return self.offload._replace(gso_type=kind, gso_size=size)

    def frame(self, *, is_open: bool = False) -> bytes:
        field = 16 if self.protocol == TCP else 6
        segment = self._l4()
        pseudo = self._addresses() + pack(">II", len(segment), self.protocol)
        value = slow_sum(pseudo)
        if not is_open:
            value = 0xFFFF - slow_sum(pseudo + segment)
            value = 0xFFFF if self.protocol == UDP and not value else value
        segment = segment[:field] + pack(">H", value) + segment[field + 2 :]
        ethertype = b"\x08\x00" if self.version == 4 else b"\x86\xdd"
        head = self.destination + self.source + self.tags + ethertype
        return head + self._ip(len(segment)) + segment

    def but(self, **changes: object) -> "Packet":
        return replace(self, **changes)  # type: ignore[arg-type]

    def _addresses(self) -> bytes:
        return (
            b"\x0a\0\0\1\x0a\0\0\2"
            if self.version == 4
            else b"\xfd" + bytes(14) + b"\1\xfd" + bytes(14) + b"\2"
        )

    def _l4(self) -> bytes:
        if self.protocol == UDP:
            return pack(">HHHH", *self.ports, 8 + len(self.payload), 0) + self.payload
        offset = (20 + len(self.options)) // 4 << 4
        numbers = (*self.ports, self.sequence, self.acknowledgement, offset, self.flags)
        head = pack(">HHIIBBHHH", *numbers, self.window, 0, self.urgent)
        return head + self.options + self.payload

    def _ip(self, size: int) -> bytes:
        if self.version == 6:
            following = 60 if self.extensions else self.protocol
            length = len(self.extensions) + size
            first = 6 << 28 | self.traffic_class << 20
            return (
                pack(">IHBB", first, length, following, self.ttl)
                + self._addresses()
                + self.extensions
            )
        total = 20 + len(self.ip_options) + size
        flags = (0x4000 if self.df else 0) | self.fragment
        first = 0x45 + len(self.ip_options) // 4
        head = pack(
            ">BBHHHBBH",
            first,
            self.traffic_class,
            total,
            self.identification,
            flags,
            self.ttl,
            self.protocol,
            0,
        )
        whole = head + self._addresses() + self.ip_options
        return whole[:10] + pack(">H", 0xFFFF - slow_sum(whole)) + whole[12:]


def extension(protocol: int, words: int = 0) -> bytes:
    """One IPv6 header of destination options, padded."""
    return bytes([protocol, words, 1, 4 + 8 * words]) + bytes(4 + 8 * words)


def check(frame: bytes, like: Packet, *, is_open: bool) -> None:
    """Assert that all lengths and sums of a frame with the headers of `like` are right."""
    l3 = 14 + len(like.tags)
    if like.version == 4:
        assert unpack(">H", frame[l3 + 2 : l3 + 4])[0] == len(frame) - l3
        assert slow_sum(frame[l3 : like.l4]) == 0xFFFF
        addresses = frame[l3 + 12 : l3 + 20]
    else:
        assert unpack(">H", frame[l3 + 4 : l3 + 6])[0] == len(frame) - l3 - 40
        addresses = frame[l3 + 8 : l3 + 40]
    segment = frame[like.l4 :]
    if like.protocol == UDP:
        assert unpack(">H", segment[4:6])[0] == len(segment)
    pseudo = addresses + pack(">II", len(segment), like.protocol)
    field = unpack(">H", segment[16:18] if like.protocol == TCP else segment[6:8])[0]
    if is_open:
        assert field == slow_sum(pseudo)
    else:
        assert slow_sum(pseudo + segment) == 0xFFFF
        assert field or like.protocol == TCP
