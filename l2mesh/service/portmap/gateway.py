"""The routers that this host goes out by: whom to ask for a port. For `Netlink.run`."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from l2mesh.service.addresses import addresses_of

__all__ = ["ipv4_gateway", "ipv6_gateway"]

AF_INET: Final = 2
AF_INET6: Final = 10
MAIN_TABLE: Final = 254


def ipv4_gateway(ip: Any) -> str | None:
    """The next hop of the main table's best default route for IPv4; None without one."""
    best = _best(ip, AF_INET)
    return None if best is None else best[0]


def ipv6_gateway(ip: Any) -> tuple[str, str] | None:
    """The next hop of the best default route for IPv6, with its device (``fe80::1%eth0``), and the
    address of ours on that device at which peers from elsewhere would reach us; None without."""
    best = _best(ip, AF_INET6)
    if best is None:
        return None
    gateway, index = best
    own = [each for each in addresses_of(ip, index) if ":" in each and _is_reached(each)]
    devices = [link.get("ifname") for link in ip.get_links() if link["index"] == index]
    if not own or not devices:
        return None
    return f"{gateway}%{devices[0]}" if IPv6Address(gateway).is_link_local else gateway, own[0]


def _best(ip: Any, family: int) -> tuple[str, int] | None:
    """The next hop that the main table prefers, and its interface."""
    found: list[tuple[int, str, int]] = []
    for route in ip.get_default_routes(family=family, table=MAIN_TABLE):
        gateway = route.get("gateway")
        if gateway is not None and not _is_us(gateway):
            found.append((route.get("priority") or 0, gateway, route.get("oif") or 0))
    return min(found)[1:] if found else None


def _is_us(hop: str) -> bool:
    return ip_address(hop).is_loopback


def _is_reached(text: str) -> bool:
    """Neither link-local nor unique local (RFC 4193)."""
    address = IPv6Address(text)
    return not address.is_link_local and address.packed[0] & 0xFE != 0xFC  # noqa: PLR2004
