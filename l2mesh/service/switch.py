"""The local API's verbs about the switch: `guard`, `groups` (documents as in ``methods.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from l2mesh.address import format_network_id, parse_network_id
from l2mesh.node.groupview import GroupView, ShareView
from l2mesh.node.guardview import GuardView, VlanView
from l2mesh.service.api import ApiError
from l2mesh.switch.loops import Loop

if TYPE_CHECKING:
    from l2mesh.service.daemon import Daemon

__all__ = ["groups", "guard"]


async def guard(daemon: Daemon, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Who forwards for our LAN, in each VLAN, and why; loops that were seen."""
    views = _wanted(arguments, daemon.node.guard_views(daemon.clock()))
    networks = [_network(daemon, view) for view in views]
    return {"schema": "l2mesh.guard/1", "networks": networks}


async def groups(daemon: Daemon, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Which members want which IP group, and who asks the hosts behind our port."""
    views = _wanted(arguments, daemon.node.group_views())
    return {
        "schema": "l2mesh.groups/1",
        "groups": [_group(daemon, view.network, one) for view in views for one in view.groups],
        "port": [_share(view.network, one) for view in views for one in view.shares],
    }


class _OfNetwork(Protocol):
    @property
    def network(self) -> int: ...


View = TypeVar("View", bound=_OfNetwork)


def _wanted(arguments: Mapping[str, Any], views: list[View]) -> list[View]:
    """Those of the network that was asked for, or all."""
    wanted = arguments.get("network")
    if wanted is None:
        return views
    if not isinstance(wanted, str):
        raise ApiError("usage", "'network' is a network ID")
    network = parse_network_id(wanted)
    views = [view for view in views if view.network == network]
    if not views:
        raise ApiError(
            "not_found",
            f"network {format_network_id(network)} is not up here",
            hint="`l2mesh networks` shows the networks it has joined",
        )
    return views


def _group(daemon: Daemon, network: int, view: GroupView) -> dict[str, Any]:
    return {
        "network": format_network_id(network),
        "vlan": view.vlan,
        "group": str(ip_address(view.group)),
        "members": [
            "local" if one is None else daemon.node.address(one).hex() for one in view.members
        ],
    }


def _share(network: int, view: ShareView) -> dict[str, Any]:
    other = None if view.querier is None else str(ip_address(view.querier))
    return {
        "network": format_network_id(network),
        "vlan": view.vlan,
        "version": view.version,
        "state": "listed" if view.is_listed else "all",
        "router": view.is_router,
        "querier": "local" if view.is_asking else other,
    }


def _network(daemon: Daemon, view: GuardView) -> dict[str, Any]:
    return {
        "id": format_network_id(view.network),
        "bridge": view.bridge,
        "vlans": [_vlan(daemon, vlan) for vlan in view.vlans],
        "loops": [_loop(loop, daemon.clock()) for loop in view.loops],
    }


def _vlan(daemon: Daemon, view: VlanView) -> dict[str, Any]:
    return {
        "vlan": view.vlan,
        "state": view.state,
        "forwarder": "local"
        if view.forwarder is None
        else daemon.node.address(view.forwarder).hex(),
        "since_s": round(view.since_s, 1),
        "neighbours": [daemon.node.address(one).hex() for one in view.neighbours],
        "reason": view.reason,
    }


def _loop(loop: Loop, now: float) -> dict[str, Any]:
    return {
        "kind": loop.kind.value,
        "vlan": loop.vlan,
        "mac": loop.mac.hex(":") if loop.mac is not None else None,
        "count": loop.count,
        "first_s": round(now - loop.first, 1),
        "last_s": round(now - loop.last, 1),
    }
