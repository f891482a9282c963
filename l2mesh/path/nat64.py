"""NAT64: the addresses by which a host without IPv4 reaches IPv4 (section 8.8 of the protocol).

A NAT64 gateway (RFC 6146) translates what is sent to IPv6 addresses that hold an IPv4 one, behind a
prefix that only its network knows. RFC 6052, section 2.2, says where the four octets stand; octet 8
is zero, and so is what follows them::

    prefix   octets 0                4     5     6     7     8     9    10    11    12 .. 15
    /32      prefix                  v4    v4    v4    v4    0     0
    /40      prefix                  prefix v4   v4    v4    0     v4    0
    /48      prefix                        prefix v4   v4    0     v4    v4    0
    /56      prefix                             prefix v4    0     v4    v4    v4    0
    /64      prefix                                   prefix 0     v4    v4    v4    v4    0
    /96      prefix                                          0     prefix            v4

Which prefix it is a host learns from its resolver (RFC 7050): the name ``ipv4only.arpa`` has two
IPv4 addresses and no other, so an IPv6 address of it is one that the network has made. The answer
is as good as the resolver: one that lies has our datagrams, which are sealed, go astray.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import islice
from typing import Final

from l2mesh.datapath.interface import Endpoint

__all__ = ["WELL_KNOWN_NAME", "WELL_KNOWN_PREFIX", "Nat64", "prefix_in"]

WELL_KNOWN_NAME: Final = "ipv4only.arpa"
"""RFC 7050, section 2.2."""
WELL_KNOWN_PREFIX: Final = IPv6Network("64:ff9b::/96")
"""RFC 6052, section 2.1; it stands for global IPv4 addresses alone (section 3.1)."""
MAX_ANSWERS: Final = 16
"""Addresses of an answer that are looked at."""

_WELL_KNOWN_HOSTS: Final = (IPv4Address("192.0.0.170"), IPv4Address("192.0.0.171"))
_LENGTHS: Final = (96, 64, 56, 48, 40, 32)
_IPV6_BYTES: Final = 16
_IPV4_BYTES: Final = 4
_RESERVED: Final = 8
"""The octet that is always zero."""
_NO_PREFIX: Final = tuple(
    map(IPv6Network, ("::/16", "fe80::/10", "ff00::/8", "fd6c:326d:6573::/48"))
)
"""Unspecified, loopback, IPv4-mapped; link-local; multicast; our own streams."""
_NOT_BEYOND: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.168.0.0/16",
            "224.0.0.0/3",
        ),
    )
)
"""What a peer calls so is on its own LAN, or nowhere; not what the gateway might reach there."""


@dataclass(frozen=True, slots=True)
class Nat64:
    """The gateway's prefix: of 32, 40, 48, 56, 64 or 96 bits, octet 8 zero (`prefix_in`)."""

    prefix: IPv6Network

    def synthesise(self, endpoint: Endpoint) -> Endpoint:
        """Where to send what is for an IPv4 endpoint; any that the gateway leads to no one at, and
        any of IPv6, stays as it is."""
        host = _synthesised(self.prefix, endpoint.host)
        return endpoint if host is None else endpoint._replace(host=host)

    def original(self, endpoint: Endpoint) -> Endpoint:
        """Whose endpoint it is that looks like this from here: the inverse of `synthesise`."""
        host = _embedded(self.prefix, endpoint.host)
        return endpoint if host is None else endpoint._replace(host=host)

    def stands_for(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint is one of IPv4 that is reached by the gateway."""
        return _synthesised(self.prefix, endpoint.host) is not None


def prefix_in(answers: Iterable[str]) -> IPv6Network | None:
    """The prefix of the first of these IPv6 addresses of ``ipv4only.arpa`` that shows one.

    Total: what is no address, holds neither 192.0.0.170 nor 192.0.0.171 where a prefix would have
    put it, or would be no unicast prefix is passed over. At most 16 answers are looked at.
    """
    for text in islice(answers, MAX_ANSWERS):
        try:
            packed = IPv6Address(text.partition("%")[0]).packed
        except AddressValueError:
            continue
        for length in _LENGTHS:
            if _take(packed, length) in _WELL_KNOWN_HOSTS:
                prefix = IPv6Network((packed, length), strict=False)
                if not any(prefix.overlaps(each) for each in _NO_PREFIX):
                    return prefix
    return None


@lru_cache(maxsize=4096)
def _synthesised(prefix: IPv6Network, host: str) -> str | None:
    if ":" in host:
        return None
    address = IPv4Address(host)
    if not _is_beyond(prefix, address):
        return None
    packed = bytearray(prefix.network_address.packed)
    for place, octet in zip(_places(prefix.prefixlen), address.packed, strict=True):
        packed[place] = octet
    return str(IPv6Address(bytes(packed)))


@lru_cache(maxsize=4096)
def _embedded(prefix: IPv6Network, host: str) -> str | None:
    if ":" not in host:
        return None
    address = IPv6Address(host)
    if address not in prefix:
        return None
    inner = _take(address.packed, prefix.prefixlen)
    return str(inner) if inner is not None and _is_beyond(prefix, inner) else None


def _is_beyond(prefix: IPv6Network, address: IPv4Address) -> bool:
    """Whether an address may be meant when it is reached by a gateway (RFC 6052, section 3.1)."""
    if prefix == WELL_KNOWN_PREFIX and not address.is_global:
        return False
    return not any(address in network for network in _NOT_BEYOND)


def _take(packed: bytes, length: int) -> IPv4Address | None:
    """What an address holds behind a prefix of this length; None unless all else is zero."""
    places = _places(length)
    if packed[_RESERVED] or any(packed[places[-1] + 1 :]):
        return None
    return IPv4Address(bytes(packed[place] for place in places))


def _places(length: int) -> list[int]:
    """Where the four octets stand behind a prefix of so many bits."""
    behind = (place for place in range(length // 8, _IPV6_BYTES) if place != _RESERVED)
    return list(islice(behind, _IPV4_BYTES))
