"""The host's uplinks: the interfaces with a default route in the main table.

`default_routes` is a function for `Netlink.run`. `UplinkTable` makes of what it found which uplink
is the host's own choice, and which ones the node uses beside it (`l2mesh.path.uplinks`). An uplink
that has once been named keeps its name while it has a default route, also while the host's routes
choose it: what goes over it is then no concern of theirs, and a first choice that has just come
back has to show that it works.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from l2mesh.path.uplinks import MAX_NAMED
from l2mesh.service.addresses import TUNNEL_KINDS

__all__ = ["Uplink", "UplinkTable", "default_routes"]

FAMILIES: Final = {2: 4, 10: 6}
"""AF_INET, AF_INET6."""
MAIN_TABLE: Final = 254
UNICAST: Final = 1
"""RTN_UNICAST: no route that only refuses."""
IFF_RUNNING: Final = 0x40
"""Up, with a carrier."""


class Uplink(NamedTuple):
    """One interface by which a default route leads."""

    number: int
    """The interface's index."""
    device: str
    families: tuple[int, ...]
    """4, 6 or both."""
    metric: int
    """Of the best of its routes; the lower one is preferred."""
    is_up: bool
    """Whether its link is up."""
    is_tunnel: bool
    """Used only where the host's routes choose it."""


def default_routes(ip: Any) -> tuple[Uplink, ...]:
    """All uplinks; IPv4 decides on their order, then the metric, as the kernel chooses."""
    routes: dict[int, dict[int, int]] = {}
    for family, version in FAMILIES.items():
        for route in ip.get_default_routes(family=family, table=MAIN_TABLE):
            if route["type"] == UNICAST:
                for index in _interfaces(route):
                    metrics = routes.setdefault(index, {})
                    metric = route.get("priority") or 0
                    metrics[version] = min(metric, metrics.get(version, metric))
    links = {link["index"]: link for link in ip.get_links()} if routes else {}
    ranked = sorted(routes, key=lambda index: (min(routes[index]), routes[index].get(4, 0), index))
    return tuple(_uplink(links[index], routes[index]) for index in ranked if index in links)


def _interfaces(route: Any) -> list[int]:
    hops = route.get("multipath")
    indexes = [hop["oif"] for hop in hops] if hops else [route.get("oif")]
    return [index for index in indexes if index]


def _uplink(link: Any, metrics: dict[int, int]) -> Uplink:
    return Uplink(
        number=link["index"],
        device=link.get("ifname") or str(link["index"]),
        families=tuple(sorted(metrics)),
        metric=min(metrics.values()),
        is_up=bool(link["flags"] & IFF_RUNNING),
        is_tunnel=link.get(("linkinfo", "kind")) in TUNNEL_KINDS,
    )


class UplinkTable:
    """The uplinks as they are now."""

    def __init__(self) -> None:
        self.all: tuple[Uplink, ...] = ()
        """The host's own choice first."""
        self.named: tuple[int, ...] = ()
        """Indexes of those that the node uses beside it, the best first."""

    def update(self, found: tuple[Uplink, ...]) -> bool:
        """These are there now; whether the host's own choice is down, or another one from now on.

        At its start a node has made no choice yet.
        """
        before, self.all = self.all[:1], found
        own = found[:1]
        fit = [each.number for each in found if each.is_up and not each.is_tunnel]
        kept = [index for index in self.named if index in fit]
        others = [index for index in fit if index not in kept and index != own[0].number]
        self.named = tuple([*kept, *others][:MAX_NAMED])
        return bool(before) and [_standing(each) for each in before] != [
            _standing(each) for each in own
        ]

    def device(self, index: int) -> str | None:
        """The name of an uplink that is named by its index; None for 0 and for what is gone."""
        return next((each.device for each in self.all if index and each.number == index), None)


def _standing(uplink: Uplink) -> tuple[int, bool]:
    return uplink.number, uplink.is_up
