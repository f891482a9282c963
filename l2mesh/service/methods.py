"""What the local API answers: one small function a verb.

Results are the documents of ``l2mesh VERB -o json``, in their words: addresses and IDs as
lower-case hex, MACs with colons, endpoints as text. Each says its ``schema``; keys are only ever
added.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from l2mesh.address import format_fingerprint, format_network_id, parse_network_id
from l2mesh.credential.joinstring import parse_join_target
from l2mesh.credential.world import World
from l2mesh.datapath.interface import Endpoint
from l2mesh.errors import L2meshError, StateError
from l2mesh.node.views import NetworkView
from l2mesh.service import fdb, reach, switch
from l2mesh.service.api import ApiError, Method
from l2mesh.service.capturing import capture
from l2mesh.service.tap import check_name
from l2mesh.service.token import parse_token
from l2mesh.service.version import version
from l2mesh.wire.endpoint import format_endpoint

if TYPE_CHECKING:
    from l2mesh.service.daemon import Daemon

__all__ = ["method_table"]

MAX_WAIT_S: Final = 86400.0
PING_POLL_S: Final = 0.005
PING_WAIT_S: Final = 3.0
_REFUSED: Final = {"denied": "denied", "not_found": "not_found", "error": "failed"}

Arguments = Mapping[str, Any]
Call = Callable[["Daemon", Arguments], Awaitable[dict[str, Any]]]


def method_table(daemon: Daemon) -> dict[str, Method]:
    """The verbs, bound to a daemon."""
    reads: dict[str, Call] = {
        "status": status,
        "networks": networks,
        "peers": peers,
        "fdb": fdb.show,
        "counters": counters,
        "ping": ping,
        "path": reach.path,
        "netcheck": reach.netcheck,
        "groups": switch.groups,
        "guard": switch.guard,
    }
    writes: dict[str, Call] = {"join": join, "leave": leave, "set": set_options}
    writes["relay_only"] = relay_only
    writes |= {"fdb_add": fdb.add, "fdb_del": fdb.remove}
    table = {verb: Method(partial(call, daemon)) for verb, call in reads.items()}
    table |= {verb: Method(partial(call, daemon), writes=True) for verb, call in writes.items()}
    table["capture"] = Method(partial(capture, daemon), writes=True, sends=True)
    return table


# --- questions ----------------------------------------------------------------------------------


async def status(daemon: Daemon, _: Arguments) -> dict[str, Any]:
    """Who we are, which planets answer, and what is wrong."""
    planets = [
        {
            "address": view.address.hex(),
            "endpoint": _endpoint(view.endpoint),
            "rtt_ms": view.rtt_ms,
            "state": view.state,
            "transport": view.transport,
            "loss": view.loss,
            "home": view.is_home,
        }
        for view in daemon.node.planet_views()
    ]
    return {
        "schema": "l2mesh.status/1",
        "address": daemon.address.hex(),
        "fingerprint": format_fingerprint(daemon.identity.fingerprint),
        "version": version(),
        "engine": daemon.engine.name,
        "workers": daemon.base.carrier.workers,
        "offloads": daemon.base.offloads.view(),
        "online": daemon.node.is_online,
        "planets": planets,
        "carried_relays": daemon.node.carried_relays,
        "uplinks": reach.uplinks(daemon),
        "health": daemon.health(),
    }


async def networks(daemon: Daemon, _: Arguments) -> dict[str, Any]:
    """The joined networks."""
    found = [_network(daemon, view) for view in daemon.node.networks()]
    return {"schema": "l2mesh.networks/1", "networks": found}


async def peers(daemon: Daemon, _: Arguments) -> dict[str, Any]:
    """The peers and the paths to them."""
    found = [
        {
            "address": view.address.hex(),
            "fingerprint": format_fingerprint(view.fingerprint),
            "name": view.name,
            "path": view.path,
            "endpoint": _endpoint(view.endpoint),
            "via": view.via.hex() if view.via is not None else None,
            **reach.relayer(view.relayed_by),
            "transport": view.transport,
            "rtt_ms": view.rtt_ms,
            "loss": view.loss,
            "cipher": view.cipher,
            "tx_bytes": view.tx_bytes,
            "rx_bytes": view.rx_bytes,
            "networks": [format_network_id(network) for network in view.networks],
            "offences": view.offences,
            "spread": [
                {"endpoint": _endpoint(each), "uplink": daemon.uplinks.device(each.uplink)}
                for each in view.spread
            ],
        }
        for view in daemon.node.peers(daemon.clock())
    ]
    return {"schema": "l2mesh.peers/1", "peers": found}


async def counters(daemon: Daemon, _: Arguments) -> dict[str, Any]:
    """What was counted, and why frames and datagrams were dropped."""
    drops = {reason.value: count for reason, count in daemon.engine.drops().items()}
    totals = {**daemon.engine.counters(), **daemon.driver.counters()}
    return {"schema": "l2mesh.counters/1", "counters": totals, "drops": drops}


async def ping(daemon: Daemon, arguments: Arguments) -> dict[str, Any]:
    """One PROBE to a member and its answer; waits a while for a session, then for the answer."""
    who = _text(arguments, "who")
    deadline = daemon.clock() + PING_WAIT_S
    number = await _send_ping(daemon, who, deadline)
    while (result := daemon.node.ping_result(number)) is None:
        if daemon.clock() >= deadline:
            raise ApiError("timed_out", f"no answer from {who}")
        await asyncio.sleep(PING_POLL_S)
    return {
        "schema": "l2mesh.ping/1",
        "who": who,
        "rtt_ms": result.rtt_ms,
        "path": result.path,
        "endpoint": _endpoint(result.endpoint),
        "via": result.via.hex() if result.via is not None else None,
        **reach.relayer(result.relayed_by),
        "transport": result.transport,
    }


async def _send_ping(daemon: Daemon, who: str, deadline: float) -> int:
    """The number of a PROBE that was sent; tries again while a session is being set up."""
    while True:
        try:
            return daemon.call(daemon.node.ping, who)
        except StateError as error:
            if daemon.clock() >= deadline:
                raise ApiError("timed_out", str(error), hint=error.hint) from None
        except L2meshError as error:
            raise ApiError("not_found", str(error), hint=error.hint) from None
        await asyncio.sleep(PING_POLL_S)


# --- changes ------------------------------------------------------------------------------------


async def join(daemon: Daemon, arguments: Arguments) -> dict[str, Any]:
    """Stores a join, then waits until the network is up, refused, or time is up."""
    target = parse_join_target(_text(arguments, "target"))
    token, device, wait = _join_options(arguments)
    if target.world is not None:
        daemon.adopt_world(World.parse(target.world, daemon.crypto))
    daemon.call(
        partial(
            daemon.node.join,
            target.network,
            fingerprint=target.fingerprint,
            token=token if token is not None else target.token,
            device=device,
        )
    )
    if wait:
        await _wait_until_up(daemon, target.network, wait)
    return {"schema": "l2mesh.join/1", **_network(daemon, _view(daemon, target.network))}


async def leave(daemon: Daemon, arguments: Arguments) -> dict[str, Any]:
    """Leaves a network; its device vanishes."""
    network = _joined(daemon, arguments).id
    await daemon.withdraw(network)
    daemon.devices.forget(network)
    daemon.call(daemon.node.leave, network)
    await daemon.devices.settled()
    return {"schema": "l2mesh.leave/1", "id": format_network_id(network)}


async def set_options(daemon: Daemon, arguments: Arguments) -> dict[str, Any]:
    """Changes local choices of a network: all of them or, if one is wrong, those before it."""
    network = _joined(daemon, arguments).id
    options = arguments.get("options")
    if not isinstance(options, dict) or not options:
        raise ApiError("usage", "nothing to set", hint="write for instance bridge=br0")
    for key, value in options.items():
        daemon.call(daemon.node.set_option, network, str(key), str(value))
    await daemon.devices.settled()
    return {"schema": "l2mesh.set/1", **_network(daemon, _view(daemon, network))}


async def relay_only(daemon: Daemon, arguments: Arguments) -> dict[str, Any]:
    """Leaves direct paths for relays, in good order, or takes them up again."""
    wanted = arguments.get("on")
    if not isinstance(wanted, bool):
        raise ApiError("usage", "say whether relays alone are to be used", hint="write on or off")
    daemon.call(daemon.node.core.set_direct, not wanted)
    daemon.look_for_router()
    return {"schema": "l2mesh.relay_only/1", "relay_only": not daemon.node.core.direct}


async def _wait_until_up(daemon: Daemon, network: int, wait: float) -> None:
    """Returns when the network is ``ok`` and its device there; ApiError when it will not be."""
    try:
        async with asyncio.timeout(wait):
            while True:
                view = _view(daemon, network)
                if view.status in _REFUSED:
                    why = view.reason or view.status.replace("_", " ")
                    raise ApiError(
                        _REFUSED[view.status],
                        f"network {format_network_id(network)}: {why}",
                        hint=f"`l2mesh leave {format_network_id(network)}` forgets the join",
                    )
                if view.status == "ok" and daemon.devices.name(network) is not None:
                    return
                problem = daemon.devices.problem(network)
                if view.status == "ok" and problem:
                    raise ApiError("failed", problem)
                await daemon.network_changed()
    except TimeoutError:
        reason = _view(daemon, network).reason or "no answer from its controller yet"
        raise ApiError(
            "timed_out",
            f"still waiting for network {format_network_id(network)}: {reason}",
            hint="the join stays: `l2mesh networks` shows when it is up",
        ) from None


def _join_options(arguments: Arguments) -> tuple[bytes | None, str | None, float]:
    """Token, device name and seconds to wait, checked before anything is stored."""
    token, device = arguments.get("token"), arguments.get("device")
    wait = arguments.get("wait", 0)
    if not isinstance(wait, int | float) or not 0 <= wait <= MAX_WAIT_S:
        raise ApiError("usage", f"wait is 0 to {MAX_WAIT_S:.0f} seconds")
    if device is not None:
        check_name(_text(arguments, "device"))
    return parse_token(_text(arguments, "token")) if token is not None else None, device, wait


# --- forms --------------------------------------------------------------------------------------


def _network(daemon: Daemon, view: NetworkView) -> dict[str, Any]:
    return {
        "id": format_network_id(view.id),
        "name": view.name,
        "status": view.status,
        "reason": view.reason,
        "problem": daemon.devices.problem(view.id),
        "mac": view.mac.hex(":") if view.mac is not None else None,
        "device": daemon.devices.name(view.id),
        "mtu": view.mtu,
        "addresses": list(view.addresses),
        "bridge": daemon.devices.master(view.id) or view.bridge,
        "revision": view.revision,
    }


def _endpoint(endpoint: Endpoint | None) -> str | None:
    return format_endpoint(endpoint) if endpoint is not None else None


def _text(arguments: Arguments, key: str) -> str:
    value = arguments.get(key)
    if not isinstance(value, str):
        raise ApiError("usage", f"the request has no {key!r}")
    return value


def _joined(daemon: Daemon, arguments: Arguments) -> NetworkView:
    """The network that the arguments name."""
    return _view(daemon, parse_network_id(_text(arguments, "network")))


def _view(daemon: Daemon, network: int) -> NetworkView:
    for view in daemon.node.networks():
        if view.id == network:
            return view
    raise ApiError(
        "not_found",
        f"this node has not joined network {format_network_id(network)}",
        hint="`l2mesh networks` shows the networks it has joined",
    )
