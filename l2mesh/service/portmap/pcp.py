"""PCP, RFC 6887: the MAP request for a UDP port, and its response.

Of an IPv4 router a port of its own is asked for, of an IPv6 one that its firewall lets in what is
for ours (sections 11 and 2.2); addresses of IPv4 are mapped ones (::ffff:0:0/96).

::

    request                                    response
     0  u8   version = 2                        0  u8   version = 2
     1  u8   opcode = 1 (MAP)                   1  u8   0x81
     2  u16  zero                               2  u8   zero
     4  u32  lifetime wanted, seconds           3  u8   result, 0 = granted
     8  16   own address                        4  u32  lifetime granted, or of the error
    24  12   nonce                              8  u32  epoch: the server's age in seconds
    36  u8   protocol = 17                     12  12   zero
    37  u24  zero                              24  ...  as in the request, with what was granted
    40  u16  own port
    42  u16  outside port suggested, or 0
    44  16   outside address suggested, or ::ffff:0.0.0.0 or :: for none

An IPv6 router translates nothing, so its outside is to be what is inside: that is suggested.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from l2mesh.datapath.interface import Endpoint

__all__ = [
    "MAX_BYTES",
    "NONCE_BYTES",
    "PORT",
    "RESULTS",
    "PcpRequest",
    "PcpResponse",
    "parse_response",
]

PORT: Final = 5351
"""Of the server, for PCP and NAT-PMP (RFC 6887, section 19.1)."""
MAX_BYTES: Final = 1100
"""RFC 6887, section 7."""
NONCE_BYTES: Final = 12
RESULTS: Final = {
    1: "unsupported version",
    2: "not authorized",
    3: "malformed request",
    4: "unsupported opcode",
    5: "unsupported option",
    6: "malformed option",
    7: "network failure",
    8: "no resources",
    9: "unsupported protocol",
    10: "quota exceeded",
    11: "cannot provide external",
    12: "address mismatch",
    13: "excessive remote peers",
}
"""RFC 6887, section 7.4."""
_VERSION: Final = 2
_MAP: Final = 1
_RESPONSE: Final = 0x80
_UDP: Final = 17
_REQUEST_HEAD: Final = struct.Struct("!BBHI16s")
_RESPONSE_HEAD: Final = struct.Struct("!BBBBII12x")
_BODY: Final = struct.Struct("!12sB3xHH16s")
_MAPPED: Final = bytes(10) + b"\xff\xff"


@dataclass(frozen=True, slots=True)
class PcpRequest:
    """A port is wanted, or with lifetime 0 wanted no more."""

    own: Endpoint
    nonce: bytes
    """12 bytes; who renews or deletes has to know them."""
    lifetime_s: int
    suggested: Endpoint | None = None

    def encode(self) -> bytes:
        """60 bytes."""
        is_ipv6 = ":" in self.own.host
        wanted = Endpoint("::" if is_ipv6 else "0.0.0.0", 0)
        if self.lifetime_s:
            wanted = self.suggested or (self.own if is_ipv6 else wanted)
        head = _REQUEST_HEAD.pack(_VERSION, _MAP, 0, self.lifetime_s, _packed(self.own.host))
        return head + _BODY.pack(self.nonce, _UDP, self.own.port, wanted.port, _packed(wanted.host))


@dataclass(frozen=True, slots=True)
class PcpResponse:
    """What a PCP server says to a MAP request."""

    result: int
    """0: granted."""
    lifetime_s: int
    epoch_s: int
    nonce: bytes
    own_port: int
    outside: Endpoint

    def answers(self, request: PcpRequest) -> bool:
        """Whether it is the response to this request (RFC 6887, section 8.3), in its family."""
        is_same_family = (":" in self.outside.host) == (":" in request.own.host)
        is_same_wish = self.nonce == request.nonce and self.own_port == request.own.port
        return is_same_wish and is_same_family


def parse_response(data: bytes) -> PcpResponse | None:
    """The response in a datagram; None for whatever is no MAP response for UDP."""
    if not _RESPONSE_HEAD.size + _BODY.size <= len(data) <= MAX_BYTES or len(data) % 4:
        return None
    version, opcode, _, result, lifetime, epoch = _RESPONSE_HEAD.unpack_from(data)
    nonce, protocol, own_port, port, address = _BODY.unpack_from(data, _RESPONSE_HEAD.size)
    if version != _VERSION or opcode != _RESPONSE | _MAP or protocol != _UDP:
        return None
    outside = IPv6Address(address)
    host = str(outside.ipv4_mapped or outside)
    return PcpResponse(result, lifetime, epoch, nonce, own_port, Endpoint(host, port))


def _packed(host: str) -> bytes:
    packed = ip_address(host).packed
    return packed if ":" in host else _MAPPED + packed
