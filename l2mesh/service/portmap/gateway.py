"""The router that this host's IPv4 goes out by: whom to ask for a port. For `Netlink.run`."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any, Final

__all__ = ["ipv4_gateway"]

AF_INET: Final = 2
MAIN_TABLE: Final = 254


def ipv4_gateway(ip: Any) -> str | None:
    """The next hop of the main table's best default route for IPv4; None without one."""
    found: list[tuple[int, str]] = []
    for route in ip.get_default_routes(family=AF_INET, table=MAIN_TABLE):
        gateway = route.get("gateway")
        if gateway is not None and not IPv4Address(gateway).is_loopback:
            found.append((route.get("priority") or 0, gateway))
    return min(found)[1] if found else None
