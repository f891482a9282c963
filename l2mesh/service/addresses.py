"""The host's own addresses: where others may reach us.

`local_addresses` is a function for `Netlink.run`. Left out are our own devices and tunnels (an
overlay's address is no underlay), loopback unless we listen there, link-local and multicast
addresses, and IPv6 ones that are tentative, deprecated or temporary (a privacy address goes away
within a day). `source_towards` asks the kernel without netlink.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any, Final

from l2mesh.datapath.interface import Endpoint
from l2mesh.runtime.underlay import SO_MARK, SOCKET_MARK, Listen

__all__ = ["addresses_of", "families_of", "local_addresses", "source_towards", "to_endpoints"]

TUNNEL_KINDS: Final = frozenset(
    {"tun", "wireguard", "gre", "gretap", "ip6gre", "sit", "ipip", "ip6tnl", "vxlan", "geneve"}
)
ADDRESS_TEMPORARY: Final = 0x01
ADDRESS_DEPRECATED: Final = 0x20
ADDRESS_TENTATIVE: Final = 0x40
_UNWANTED: Final = ADDRESS_TEMPORARY | ADDRESS_DEPRECATED | ADDRESS_TENTATIVE
IFF_UP: Final = 0x1
AF_INET6: Final = 10
_ANYWHERE: Final = {4: "192.0.2.1", 6: "2001:db8::1"}
"""Addresses to which nothing but a default route leads (RFC 5737, 3849)."""


def local_addresses(ip: Any) -> tuple[str, ...]:
    """Every address that is no tunnel's, loopback included; IPv4 first, in the kernel's order."""
    skipped = {
        link["index"]
        for link in ip.get_links()
        if not link["flags"] & IFF_UP or link.get(("linkinfo", "kind")) in TUNNEL_KINDS
    }
    found = [text for index, text in _lasting(ip) if index not in skipped]
    return tuple(dict.fromkeys(sorted(found, key=lambda text: ":" in text)))


def addresses_of(ip: Any, device: int) -> list[str]:
    """The addresses of one interface (its index)."""
    return [text for index, text in _lasting(ip) if index == device]


def _lasting(ip: Any) -> Iterator[tuple[int, str]]:
    for address in ip.get_addr():
        flags = address.get("flags") or 0
        text = address.get("local") or address.get("address")
        if text and not (address["family"] == AF_INET6 and flags & _UNWANTED):
            yield address["index"], text


def source_towards(endpoint: Endpoint) -> str | None:
    """Our address on the route to an endpoint, None without one; nothing is sent to find out.

    Routes into our own networks do not count, where our mark may be set.
    """
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            with contextlib.suppress(PermissionError):
                probe.setsockopt(socket.SOL_SOCKET, SO_MARK, SOCKET_MARK)
            probe.connect(endpoint.address)
            source: str = probe.getsockname()[0]
    except OSError:
        return None
    return source


def families_of(endpoints: Iterable[Endpoint]) -> frozenset[int]:
    """The versions of IP by which this host reaches others: those of its own endpoints, and those
    in which the kernel has a way to anywhere, by a tunnel perhaps."""
    found = {ip_address(endpoint.host).version for endpoint in endpoints}
    ways = {version: source_towards(Endpoint(host, 9)) for version, host in _ANYWHERE.items()}
    return frozenset(found | {version for version, source in ways.items() if source is not None})


def to_endpoints(addresses: tuple[str, ...], listen: Listen, port: int) -> tuple[Endpoint, ...]:
    """The addresses at which sockets bound to `listen` answer from elsewhere."""
    bound = ip_address(listen.host)
    kept = []
    for text in addresses:
        address = ip_address(text)
        if not bound.is_unspecified:
            is_wanted = address == bound
        else:
            is_wanted = not (address.is_loopback or address.is_link_local or address.is_multicast)
            is_wanted = is_wanted and (bound.version == 6 or address.version == 4)  # noqa: PLR2004
        if is_wanted:
            kept.append(Endpoint(text, port))
    return tuple(kept)
