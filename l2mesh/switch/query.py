"""The queries that we send into our own port: IGMPv3 and MLDv2, which older hosts read as well.

Layouts as in ``membership``. Ethernet source is our signed MAC. An IGMP query is from our lowest
signed IPv4 address, or from 0.0.0.0 (RFC 4541 section 2.1.1, which wins no election); one of MLD
from the link-local address that belongs to our MAC (RFC 4291 appendix A).
"""

from typing import Final

from l2mesh.switch.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN
from l2mesh.switch.groups import IPV4_BYTES
from l2mesh.switch.membership import (
    HOP_BY_HOP,
    ICMPV6,
    IGMP,
    QUERY4,
    QUERY6,
    internet_checksum,
)

__all__ = ["emit_query", "link_local"]

ROBUSTNESS: Final = 2
QUERY_INTERVAL_S: Final = 125
"""RFC 3376 section 8.2."""
_ALL_SYSTEMS: Final = bytes((224, 0, 0, 1))
_ALL_NODES: Final = bytes.fromhex("ff02") + bytes(13) + b"\x01"
_ALERT4: Final = bytes((0x94, 4, 0, 0))
_ALERT6: Final = bytes((ICMPV6, 0, 5, 2, 0, 0, 1, 0))
_LEAST_BYTES: Final = 60


def emit_query(mac: bytes, vlan: int, source: bytes, *, wait_s: float, group: bytes = b"") -> bytes:
    """The frame that asks who wants `group`, or any; `source` tells the version of IP."""
    if len(source) == IPV4_BYTES:
        target, packet, ethertype = _igmp(source, group, wait_s)
    else:
        target, packet, ethertype = _mld(source, group, wait_s)
    tag = ETHERTYPE_VLAN.to_bytes(2, "big") + vlan.to_bytes(2, "big") if vlan else b""
    return (target + mac + tag + ethertype.to_bytes(2, "big") + packet).ljust(_LEAST_BYTES, b"\0")


def link_local(mac: bytes) -> bytes:
    """fe80::/64 and the modified EUI-64 of a MAC."""
    eui64 = bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]
    return bytes.fromhex("fe80") + bytes(6) + eui64


def _igmp(source: bytes, group: bytes, wait_s: float) -> tuple[bytes, bytes, int]:
    """Destination MAC, packet and ethertype. A time of 12.8 s or more is not asked for."""
    target = group or _ALL_SYSTEMS
    message = bytes((QUERY4, min(127, round(wait_s * 10)), 0, 0)) + (group or bytes(4))
    message += bytes((ROBUSTNESS, QUERY_INTERVAL_S, 0, 0))
    message = _with_checksum(message, b"", 2)
    head = b"\x46\xc0" + (24 + len(message)).to_bytes(2, "big") + bytes(4) + bytes((1, IGMP, 0, 0))
    head = _with_checksum(head + source + target + _ALERT4, b"", 10)
    mac = b"\x01\x00\x5e" + bytes((target[1] & 0x7F,)) + target[2:]
    return mac, head + message, ETHERTYPE_IPV4


def _mld(source: bytes, group: bytes, wait_s: float) -> tuple[bytes, bytes, int]:
    target = group or _ALL_NODES
    message = bytes((QUERY6, 0, 0, 0)) + min(32767, round(wait_s * 1000)).to_bytes(2, "big")
    message += bytes(2) + (group or bytes(16)) + bytes((ROBUSTNESS, QUERY_INTERVAL_S, 0, 0))
    pseudo = source + target + len(message).to_bytes(4, "big") + bytes((0, 0, 0, ICMPV6))
    message = _with_checksum(message, pseudo, 2)
    size = (len(_ALERT6) + len(message)).to_bytes(2, "big")
    head = b"\x60\0\0\0" + size + bytes((HOP_BY_HOP, 1)) + source + target
    return b"\x33\x33" + target[12:], head + _ALERT6 + message, ETHERTYPE_IPV6


def _with_checksum(data: bytes, pseudo: bytes, at: int) -> bytes:
    value = internet_checksum(pseudo + data)
    return data[:at] + value.to_bytes(2, "big") + data[at + 2 :]
