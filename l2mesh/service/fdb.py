"""The local API's verbs about the forwarding database: `fdb`, `fdb_add`, `fdb_del`.

Each answers with the entries, as they are then, of one network or of all (``l2mesh.fdb/1``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from l2mesh.address import format_mac, format_network_id, parse_mac, parse_network_id
from l2mesh.datapath.interface import FdbEntry
from l2mesh.errors import StateError
from l2mesh.service.api import ApiError

if TYPE_CHECKING:
    from l2mesh.service.daemon import Daemon

__all__ = ["add", "remove", "show"]

Arguments = Mapping[str, Any]


async def show(daemon: Daemon, arguments: Arguments) -> dict[str, Any]:
    """Which MAC lives where, in one network or in all."""
    joined = [view.id for view in daemon.node.networks()]
    if arguments.get("network") is not None:
        joined = [_network(daemon, arguments)]
    return _document(daemon, joined)


async def add(daemon: Daemon, arguments: Arguments) -> dict[str, Any]:
    """Says where a station is, until that is taken back."""
    network, vlan, mac = _station(daemon, arguments)
    who = _text(arguments, "peer")
    try:
        daemon.call(partial(daemon.node.add_static, network, vlan, mac, who))
    except StateError as error:
        raise ApiError("not_found", str(error), hint=error.hint) from None
    return _document(daemon, [network])


async def remove(daemon: Daemon, arguments: Arguments) -> dict[str, Any]:
    """Takes a static entry back."""
    network, vlan, mac = _station(daemon, arguments)
    try:
        daemon.call(partial(daemon.node.remove_static, network, vlan, mac))
    except StateError as error:
        raise ApiError("not_found", str(error), hint=error.hint) from None
    return _document(daemon, [network])


def _document(daemon: Daemon, networks: list[int]) -> dict[str, Any]:
    entries = [
        _entry(daemon, entry)
        for network in networks
        for entry in daemon.engine.fdb(network, daemon.clock())
    ]
    return {"schema": "l2mesh.fdb/1", "entries": entries}


def _entry(daemon: Daemon, entry: FdbEntry) -> dict[str, Any]:
    return {
        "network": format_network_id(entry.network),
        "vlan": entry.vlan,
        "mac": format_mac(entry.mac),
        "peer": "local" if entry.peer is None else daemon.node.address(entry.peer).hex(),
        "age_s": round(entry.age, 1),
        "static": entry.static,
        "kind": "signed" if entry.signed else "static" if entry.static else "learned",
    }


def _station(daemon: Daemon, arguments: Arguments) -> tuple[int, int, bytes]:
    """Network, VLAN and MAC that the arguments name."""
    vlan = arguments.get("vlan", 0)
    if not isinstance(vlan, int):
        raise ApiError("usage", "'vlan' is a number")
    return _network(daemon, arguments), vlan, parse_mac(_text(arguments, "mac"))


def _network(daemon: Daemon, arguments: Arguments) -> int:
    network = parse_network_id(_text(arguments, "network"))
    if all(view.id != network for view in daemon.node.networks()):
        raise ApiError(
            "not_found",
            f"this node has not joined network {format_network_id(network)}",
            hint="`l2mesh networks` shows the networks it has joined",
        )
    return network


def _text(arguments: Arguments, key: str) -> str:
    value = arguments.get(key)
    if not isinstance(value, str):
        raise ApiError("usage", f"the request has no {key!r}")
    return value
