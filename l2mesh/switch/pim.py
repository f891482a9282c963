"""PIM hellos: a multicast router tells that it is there (RFC 7761 sections 4.3.1 and 4.9.2).

::

    hello    0x20 (version 2, type 0) | 0 u8 | checksum u16 | options
    option   type u16 | length u16 | value        type 1: holdtime u16, in seconds

RFC 4541 section 2.1.1 has a snooping switch learn the ports of routers from hellos as well as from
queries. They go to 224.0.0.13 or ff02::d, in IPv6 from a link-local address.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final

from l2mesh.errors import MalformedPacket
from l2mesh.switch.groups import IPV4, IPV6
from l2mesh.switch.membership import internet_checksum

__all__ = ["DEFAULT_HOLD_S", "Hello", "is_pim", "parse_hello"]

DEFAULT_HOLD_S: Final = 105.0
"""Where a hello does not say: 3.5 times 30 s."""

PIM: Final = 103
_HELLO: Final = 0x20
_HOLDTIME: Final = 1
_HEAD_BYTES: Final = 4
_IPV4_BYTES: Final = 20
_IPV6_BYTES: Final = 40
_ALL_PIM_ROUTERS4: Final = bytes((224, 0, 0, 13))
_ALL_PIM_ROUTERS6: Final = bytes.fromhex("ff02") + bytes(13) + b"\x0d"
_LINK_LOCAL: Final = 0xFE80 >> 6

_u16 = Struct(">H").unpack_from
_two_u16 = Struct(">HH").unpack_from


@dataclass(frozen=True, slots=True)
class Hello:
    """A router is there for so long; 0: it is about to leave."""

    version: int
    """Of IP: 4 or 6."""
    hold_s: float


def is_pim(packet: bytes) -> bool:
    """Whether an IP packet carries PIM, as far as its first header says."""
    if len(packet) < _IPV4_BYTES:
        return False
    return packet[9 if packet[0] >> 4 == IPV4 else 6] == PIM


def parse_hello(packet: bytes) -> Hello:
    """The hello in an IP packet without IPv6 extension headers. Raises MalformedPacket."""
    version = packet[0] >> 4 if packet else 0
    if version == IPV4:
        message = _unwrap4(packet)
    elif version == IPV6:
        message = _unwrap6(packet)
    else:
        raise MalformedPacket("neither IPv4 nor IPv6")
    if len(message) < _HEAD_BYTES or message[0] != _HELLO:
        raise MalformedPacket("no PIM hello")
    return Hello(version, _holdtime(message))


def _unwrap4(packet: bytes) -> bytes:
    if len(packet) < _IPV4_BYTES:
        raise MalformedPacket("an IPv4 header that is cut off")
    header, (total, _), (fragment,) = (packet[0] & 15) * 4, _two_u16(packet, 2), _u16(packet, 6)
    if header < _IPV4_BYTES or not header <= total <= len(packet):
        raise MalformedPacket("lengths of IPv4 that cannot be")
    if packet[9] != PIM or packet[16:20] != _ALL_PIM_ROUTERS4 or fragment & 0x3FFF:
        raise MalformedPacket("no whole PIM for all routers")
    message = packet[header:total]
    if internet_checksum(packet[:header]) or internet_checksum(message):
        raise MalformedPacket("a wrong checksum")
    return message


def _unwrap6(packet: bytes) -> bytes:
    if len(packet) < _IPV6_BYTES:
        raise MalformedPacket("an IPv6 header that is cut off")
    end = _IPV6_BYTES + _u16(packet, 4)[0]
    if packet[6] != PIM or packet[24:40] != _ALL_PIM_ROUTERS6 or end > len(packet):
        raise MalformedPacket("no whole PIM for all routers")
    if _u16(packet, 8)[0] >> 6 != _LINK_LOCAL:
        raise MalformedPacket("PIM from an address that is not link-local")
    message = packet[_IPV6_BYTES:end]
    pseudo = packet[8:40] + len(message).to_bytes(4, "big") + bytes((0, 0, 0, PIM))
    if internet_checksum(pseudo + message):
        raise MalformedPacket("a wrong checksum")
    return message


def _holdtime(message: bytes) -> float:
    at, hold_s = _HEAD_BYTES, DEFAULT_HOLD_S
    while at < len(message):
        if at + _HEAD_BYTES > len(message):
            raise MalformedPacket("an option that is cut off")
        kind, length = _two_u16(message, at)
        value = message[at + _HEAD_BYTES : at + _HEAD_BYTES + length]
        if len(value) != length:
            raise MalformedPacket("an option that is cut off")
        if kind == _HOLDTIME:
            if length != 2:  # noqa: PLR2004 - a u16
                raise MalformedPacket("a holdtime that is none")
            hold_s = float(int.from_bytes(value, "big"))
        at += _HEAD_BYTES + length
    return hold_s
