"""The LAN beacon: "I am here", for those on the same LAN who know the sender (section 8.6).

    0  u8   type = 6
    1  u8   version = 1
    2  u16  flags: bit 0 asks members to announce themselves, too; the others are zero
    4  16   nonce, random
   20  16   tag = BLAKE2b-16(key = fingerprint of the sender, over
            "l2mesh lan" | bytes 0 to 19 | the endpoint that it is sent from, 18)

The endpoint is written as in a PROBE_REPLY. Only who knows the fingerprint recognises the sender;
to everybody else two beacons of one node have nothing in common but where they came from.
"""

import hmac
from dataclasses import dataclass
from hashlib import blake2b
from struct import Struct
from typing import Final

from l2mesh.datapath.interface import Endpoint
from l2mesh.errors import MalformedPacket
from l2mesh.wire.endpoint import encode_endpoint

__all__ = ["BEACON_BYTES", "LAN_GROUP", "LAN_PORT", "NONCE_BYTES", "LanBeacon", "seal_beacon"]

LAN_GROUP: Final = "239.108.50.109"
"""IPv4 multicast, organization-local (RFC 2365); sent with a TTL of 1, so it leaves no LAN."""
LAN_PORT: Final = 9994
BEACON_BYTES: Final = 36
NONCE_BYTES: Final = 16

_TYPE: Final = 6
_VERSION: Final = 1
_ASKS: Final = 1
_TAG_BYTES: Final = 16
_HEADER: Final = Struct(">BBH16s")
_CONTEXT: Final = b"l2mesh lan"


@dataclass(frozen=True, slots=True)
class LanBeacon:
    """A beacon that was heard; whose it is takes a look at every member that might be there."""

    asks: bool
    nonce: bytes
    tag: bytes

    @classmethod
    def decode(cls, datagram: bytes) -> "LanBeacon":
        """Reads a datagram; MalformedPacket for anything but a beacon of this version."""
        if len(datagram) != BEACON_BYTES:
            raise MalformedPacket(f"a LAN beacon has {BEACON_BYTES} bytes, not {len(datagram)}")
        kind, version, flags, nonce = _HEADER.unpack_from(datagram)
        if (kind, version) != (_TYPE, _VERSION) or flags & ~_ASKS:
            raise MalformedPacket("no LAN beacon of version 1")
        return cls(asks=bool(flags & _ASKS), nonce=nonce, tag=datagram[_HEADER.size :])

    def is_of(self, fingerprint: bytes, source: Endpoint) -> bool:
        """Whether the node with this fingerprint sent it from there."""
        header = _header(self.nonce, asks=self.asks)
        return hmac.compare_digest(_tag(fingerprint, header, source), self.tag)


def seal_beacon(fingerprint: bytes, nonce: bytes, source: Endpoint, *, asks: bool) -> bytes:
    """The beacon of a node (32-byte fingerprint) that leaves from one of its endpoints."""
    header = _header(nonce, asks=asks)
    return header + _tag(fingerprint, header, source)


def _header(nonce: bytes, *, asks: bool) -> bytes:
    return _HEADER.pack(_TYPE, _VERSION, _ASKS if asks else 0, nonce)


def _tag(fingerprint: bytes, header: bytes, source: Endpoint) -> bytes:
    text = _CONTEXT + header + encode_endpoint(source)
    return blake2b(text, key=fingerprint, digest_size=_TAG_BYTES).digest()
