"""The local API's verbs about the switch: `guard` (documents as in ``methods.py``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from l2mesh.address import format_network_id, parse_network_id
from l2mesh.node.guardview import GuardView, VlanView
from l2mesh.service.api import ApiError
from l2mesh.switch.loops import Loop

if TYPE_CHECKING:
    from l2mesh.service.daemon import Daemon

__all__ = ["guard"]


async def guard(daemon: Daemon, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Who forwards for our LAN, in each VLAN, and why; loops that were seen."""
    wanted = arguments.get("network")
    views = daemon.node.guard_views(daemon.clock())
    if wanted is not None:
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
    networks = [_network(daemon, view) for view in views]
    return {"schema": "l2mesh.guard/1", "networks": networks}


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
