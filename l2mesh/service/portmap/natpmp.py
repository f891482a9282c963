"""NAT-PMP, RFC 6886: which address the router has outside, and a UDP port of it.

::

    request for the address     response
    0  u8  version = 0          0  u8   version = 0
    1  u8  opcode = 0           1  u8   128
                                2  u16  result, 0 = granted
                                4  u32  epoch: the router's age in seconds
                                8  4    outside address

    request for a port          response
    0  u8   version = 0         0  u8   version = 0
    1  u8   opcode = 1 (UDP)    1  u8   129
    2  u16  zero                2  u16  result
    4  u16  own port            4  u32  epoch
    6  u16  suggested, or 0     8  u16  own port
    8  u32  lifetime, seconds  10  u16  outside port
                               12  u32  lifetime granted
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

__all__ = [
    "ADDRESS_REQUEST",
    "RESULTS",
    "AddressResponse",
    "PortResponse",
    "encode_port_request",
    "parse_response",
]

ADDRESS_REQUEST: Final = b"\0\0"
RESULTS: Final = {
    1: "unsupported version",
    2: "not authorized",
    3: "network failure",
    4: "out of resources",
    5: "unsupported opcode",
}
"""RFC 6886, section 3.5."""
_ADDRESS: Final = struct.Struct("!BBHI4s")
_PORT: Final = struct.Struct("!BBHIHHI")
_PORT_REQUEST: Final = struct.Struct("!BBHHHI")
_UDP: Final = 1
_RESPONSE: Final = 128


@dataclass(frozen=True, slots=True)
class AddressResponse:
    """The router's outside address; empty unless the result is 0."""

    result: int
    epoch_s: int
    host: str


@dataclass(frozen=True, slots=True)
class PortResponse:
    """What the router says to a request for a UDP port."""

    result: int
    epoch_s: int
    own_port: int
    outside_port: int
    lifetime_s: int


def encode_port_request(own_port: int, suggested: int, lifetime_s: int) -> bytes:
    """12 bytes. Lifetime 0 gives the port back, and then nothing may be suggested."""
    return _PORT_REQUEST.pack(0, _UDP, 0, own_port, suggested if lifetime_s else 0, lifetime_s)


def parse_response(data: bytes) -> AddressResponse | PortResponse | None:
    """The response in a datagram; None for whatever is neither."""
    if len(data) < 2 or data[0] != 0:  # noqa: PLR2004 - version and opcode
        return None
    if data[1] == _RESPONSE and len(data) == _ADDRESS.size:
        _, _, result, epoch, host = _ADDRESS.unpack(data)
        return AddressResponse(result, epoch, "" if result else str(IPv4Address(host)))
    if data[1] == _RESPONSE | _UDP and len(data) == _PORT.size:
        _, _, result, epoch, own, outside, lifetime = _PORT.unpack(data)
        return PortResponse(result, epoch, own, outside, lifetime)
    return None
