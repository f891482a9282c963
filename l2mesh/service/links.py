"""One network's device as the kernel has it: link, master, addresses and routes.

Functions for `Netlink.run`. Each brings one aspect to a wanted state and may be repeated; what
somebody else set on the device is left alone.
"""

from __future__ import annotations

import contextlib
import errno
import logging
from dataclasses import dataclass
from ipaddress import (
    IPv4Interface,
    IPv4Network,
    IPv6Interface,
    IPv6Network,
    ip_interface,
    ip_network,
)
from pathlib import Path
from typing import Any, Final

from pyroute2.netlink.exceptions import NetlinkError

from l2mesh.service.defaultroute import TABLE, add_rules, is_default

__all__ = [
    "LinkState",
    "attach",
    "change_addresses",
    "change_routes",
    "fit_superframes",
    "is_router",
    "link_state",
    "prepare",
]

logger = logging.getLogger(__name__)

ROUTE_PROTOCOL: Final = 108
"""``proto`` of our routes ('l'), unused in iproute2's rt_protos."""
SCOPE_LINK: Final = 253
CONNECTED_PRIORITY: Final = 256
"""IP6_RT_PRIO_ADDRCONF, of the route that comes with an address of IPv6."""
FAMILY_OF_VERSION: Final = {4: 2, 6: 10}
"""AF_INET and AF_INET6."""
ROUTE_KERNEL: Final = 2
"""RTPROT_KERNEL: the route that came with an address."""
FEATURE_ECN: Final = 0x01
"""RTAX_FEATURE_ECN: TCP that begins here asks for congestion marks, which our engine sets."""
ADDRESS_NODAD: Final = 0x02
"""IFA_F_NODAD: the controller gives an address to one member, so it is usable at once."""
LAST_WITH_BROADCAST: Final = 30
TRAIN_TEXT_BYTES: Final = 61_424
"""TCP payload in a train: 44 datagrams of 1,472 bytes, of which 24 are ours and 52 its headers."""
GSO_LEGACY_MAX_SIZE: Final = 65_536
"""The kernel's own limit of a super-frame, bytes."""
_FORWARDING: Final = ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding")
_CONF: Final = Path("/proc/sys/net/ipv6/conf")
_IPV6_SETTINGS: Final = {"accept_ra_defrtr": "0", "accept_ra_rtr_pref": "0"}
"""A router of the network may give addresses; our way out of the host is a local choice."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """A link: its number, MAC, MTU, and the name of its master (None: none)."""

    index: int
    mac: str
    mtu: int
    master: str | None


def link_state(ip: Any, name: str) -> LinkState | None:
    """The link called `name`, None when there is none."""
    link = _get_link(ip, ifname=name)
    if link is None:
        return None
    master = link.get("master")
    above = _get_link(ip, index=master) if master else None
    return LinkState(
        index=link["index"],
        mac=link.get("address"),
        mtu=link.get("mtu"),
        master=above.get("ifname") if above is not None else None,
    )


def prepare(ip: Any, name: str, mac: str, mtu: int) -> None:
    """MAC, MTU and up; the MAC first, so that the link-local address comes from it."""
    state = link_state(ip, name)
    if state is None:
        raise OSError(errno.ENODEV, f"{name} is gone")
    for key, value in _IPV6_SETTINGS.items():
        with contextlib.suppress(OSError):  # no IPv6 here, or a kernel without this setting
            (_CONF / name / key).write_text(value)
    if state.mac != mac:
        ip.link("set", index=state.index, address=mac)
    if state.mtu != mtu:
        ip.link("set", index=state.index, mtu=mtu)
    ip.link("set", index=state.index, state="up")


def attach(ip: Any, name: str, bridge: str | None) -> bool:
    """Makes the link a port of `bridge`, or of nothing; whether there is such a bridge."""
    state = link_state(ip, name)
    if state is None or state.master == bridge:
        return True
    if bridge is None:
        ip.link("set", index=state.index, master=0)
        return True
    above = _get_link(ip, ifname=bridge)
    if above is None:
        return False
    # A bridge whose MAC nobody has set takes the lowest of its ports', and ours may be that: the
    # host would change its address on the LAN. Setting the present one pins it.
    ip.link("set", index=above["index"], address=above.get("address"))
    ip.link("set", index=state.index, master=above["index"])
    return True


def fit_superframes(ip: Any, name: str, *, to_trains: bool) -> None:
    """Lets TCP of this host make super-frames that leave as one train each, not as one and a tail.

    Not on a port of a bridge, nor where `is_router`: a longer super-frame that is handed on would
    be cut by the kernel frame by frame.
    """
    size = TRAIN_TEXT_BYTES if to_trains else GSO_LEGACY_MAX_SIZE
    with contextlib.suppress(NetlinkError):  # it costs speed alone
        ip.link("set", index=_index(ip, name), gso_max_size=size)


def is_router() -> bool:
    """Whether this host hands on what is not its own."""
    return any(map(_is_on, _FORWARDING))


def _is_on(path: str) -> bool:
    try:
        return Path(path).read_text().strip() != "0"
    except OSError:  # no IPv6 here
        return False


def change_addresses(ip: Any, name: str, old: frozenset[str], new: frozenset[str]) -> list[str]:
    """From one list of ``ip/prefixlen`` to another; what could not be set, in words."""
    problems: list[str] = []
    index = _index(ip, name)
    for text in sorted(old - new):
        _tolerate(problems, f"removing {text}", errno.EADDRNOTAVAIL, ip.addr, "del", index, text)
    for text in sorted(new - old):
        _tolerate(problems, f"setting {text}", errno.EEXIST, ip.addr, "add", index, text)
        with contextlib.suppress(NetlinkError):  # queues are longer then, and nothing else
            _ask_for_marks(ip, index, ip_interface(text))
    return problems


def _ask_for_marks(ip: Any, index: int, address: IPv4Interface | IPv6Interface) -> None:
    """TCP towards the network of an address tries ECN (RFC 3168), which our engine answers.

    Out there nobody can change the bits, since they travel encrypted. The route that came with the
    address is changed; the kernel takes it away with the address all the same.
    """
    network = address.network
    if network.prefixlen == network.max_prefixlen:
        return
    route: dict[str, Any] = {"dst": str(network), "oif": index, "proto": ROUTE_KERNEL}
    metrics = {"features": FEATURE_ECN}
    if isinstance(address, IPv4Interface):
        route |= {"family": FAMILY_OF_VERSION[4], "scope": SCOPE_LINK, "prefsrc": str(address.ip)}
        # "replace" would take the first route to this network, which may be another link's
        ip.route("append", **route, metrics=metrics)
        ip.route("del", **route)
    elif not _is_elsewhere(ip, index, address.network):
        route |= {"family": FAMILY_OF_VERSION[6], "priority": CONNECTED_PRIORITY}
        ip.route("replace", **route, metrics=metrics)


def _is_elsewhere(ip: Any, index: int, network: IPv6Network) -> bool:
    """Whether another link has an address in the same network."""
    others = (each for each in ip.get_addr(family=FAMILY_OF_VERSION[6]) if each["index"] != index)
    return any(
        ip_interface(f"{each.get('address')}/{each['prefixlen']}").network == network
        for each in others
    )


def change_routes(
    ip: Any,
    name: str,
    old: frozenset[tuple[str, str | None]],
    new: frozenset[tuple[str, str | None]],
) -> list[str]:
    """From one list of (destination, via) to another; what could not be set, in words."""
    problems: list[str] = []
    index = _index(ip, name)
    for route in sorted(old - new, key=str):
        what = f"removing the route to {route[0]}"
        _tolerate(problems, what, errno.ESRCH, ip.route, "del", index, route)
    for family in {ip_network(route[0]).version for route in new - old if is_default(route[0])}:
        add_rules(ip, FAMILY_OF_VERSION[family])
    for route in sorted(new - old, key=str):
        _tolerate(problems, f"the route to {route[0]}", errno.EEXIST, ip.route, "add", index, route)
    return problems


def _tolerate(
    problems: list[str],
    what: str,
    expected: int,
    call: Any,
    verb: str,
    index: int,
    value: str | tuple[str, str | None],
) -> None:
    """Makes one request; `expected` means that it is so already, anything else is a problem."""
    try:
        arguments = _address(value) if isinstance(value, str) else _route(*value)
        call(verb, **arguments, **{"index" if isinstance(value, str) else "oif": index})
    except NetlinkError as error:
        if error.code != expected:
            problems.append(f"{what} failed: {error.args[-1]}")
    except ValueError as error:
        problems.append(f"{what} failed: {error}")


def _address(text: str) -> dict[str, Any]:
    interface = ip_interface(text)
    arguments: dict[str, Any] = {
        "address": str(interface.ip),
        "prefixlen": interface.network.prefixlen,
    }
    if not isinstance(interface, IPv4Interface):
        arguments["flags"] = ADDRESS_NODAD
    elif interface.network.prefixlen <= LAST_WITH_BROADCAST:
        arguments["broadcast"] = str(interface.network.broadcast_address)
    return arguments


def _route(destination: str, via: str | None) -> dict[str, Any]:
    network = ip_network(destination)
    arguments: dict[str, Any] = {
        "dst": str(network),
        "proto": ROUTE_PROTOCOL,
        "family": FAMILY_OF_VERSION[network.version],
    }
    if is_default(destination):
        arguments["table"] = TABLE
    if via is not None:
        arguments["gateway"] = via
    elif isinstance(network, IPv4Network):
        arguments["scope"] = SCOPE_LINK
    return arguments


def _index(ip: Any, name: str) -> int:
    link = _get_link(ip, ifname=name)
    if link is None:
        raise OSError(errno.ENODEV, f"{name} is gone")
    index: int = link["index"]
    return index


def _get_link(ip: Any, **by: Any) -> Any:
    try:
        return next(iter(ip.link("get", **by)), None)
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return None
        raise
