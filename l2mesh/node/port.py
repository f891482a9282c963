"""What a joined network is to engine and host: port, limits, static entries, members, device.

Everything is derived from verified state, and only differences are sent on: calling ``refresh``
once too often changes nothing.
"""

from __future__ import annotations

from ipaddress import ip_interface
from typing import Any

from l2mesh.credential.config import NetworkConfig, frames_per_second
from l2mesh.credential.membership import MembershipCredential, Right
from l2mesh.datapath.interface import (
    ClosePort,
    Limits,
    OpenPort,
    RemoveMember,
    SetLimits,
    SetMember,
    SetStaticEntries,
)
from l2mesh.node.core import Core
from l2mesh.node.effects import ConfigureDevice, NetworkChanged, RemoveDevice
from l2mesh.node.joined import Joined

__all__ = ["close", "elided_header", "refresh", "remove_member", "set_member"]


def refresh(core: Core, joined: Joined) -> None:
    """Bring engine and host to what the network's state says."""
    state = joined.state
    if not state.is_member(core.settings.unix_now()):
        close(core, joined)
        return
    config, credential = state.config, state.credential
    assert config is not None and credential is not None  # is_member says so
    was_open = joined.port is not None
    _open(core, joined, config, credential)
    if not was_open:
        for entry in state.roster:
            set_member(core, joined, entry.credential)
    core.emit(NetworkChanged(joined.network))


def close(core: Core, joined: Joined) -> None:
    """Take port and device away, if they are there."""
    if joined.port is None:
        return
    core.emit(ClosePort(joined.network))
    core.emit(RemoveDevice(joined.network))
    joined.port = joined.limits = joined.device = joined.device_name = None
    joined.static = ()
    core.emit(NetworkChanged(joined.network))


def set_member(core: Core, joined: Joined, credential: MembershipCredential) -> None:
    """Tell the engine of one other member."""
    if joined.port is None or credential.fingerprint == core.settings.identity.public.fingerprint:
        return
    core.emit(SetMember(joined.network, credential.fingerprint, **_signed(credential)))


def remove_member(core: Core, joined: Joined, fingerprint: bytes) -> None:
    """Tell the engine that somebody is no member any more."""
    core.emit(RemoveMember(joined.network, fingerprint))


def elided_header(joined: Joined, peer: MembershipCredential) -> bytes | None:
    """What an ELIDED frame of this peer leaves out: our MAC, then its MAC (section 4)."""
    ours = joined.state.credential
    return ours.mac + peer.mac if ours is not None else None


def _open(
    core: Core, joined: Joined, config: NetworkConfig, credential: MembershipCredential
) -> None:
    port = OpenPort(joined.network, mtu=config.mtu, **_signed(credential))
    limits = SetLimits(joined.network, _limits(config))
    device = _device(joined, config, credential)
    if port != joined.port:
        core.emit(port)
    if limits != joined.limits:
        core.emit(limits)
    if joined.options.static != joined.static:
        joined.static = joined.options.static
        core.emit(SetStaticEntries(joined.network, joined.static))
    if device != joined.device:
        core.emit(device)
    joined.port, joined.limits, joined.device = port, limits, device


def _device(
    joined: Joined, config: NetworkConfig, credential: MembershipCredential
) -> ConfigureDevice:
    options = joined.options
    routes = [
        (route.destination, route.via)
        for route in config.routes
        if (options.default_route if _is_default(route.destination) else options.routes)
    ]
    return ConfigureDevice(
        network=joined.network,
        name=options.device,
        mac=credential.mac,
        mtu=config.mtu,
        addresses=tuple(credential.addresses),
        routes=tuple(routes),
        bridge=options.bridge,
        broadcast_route=options.broadcast_route,
        dns=tuple(config.dns) if options.dns else (),
    )


def _is_default(destination: str) -> bool:
    return destination.endswith("/0")


def _signed(credential: MembershipCredential) -> dict[str, Any]:
    """What a credential signs, in the fields of `OpenPort` and `SetMember`."""
    return {
        "mac": credential.mac,
        "bridge": credential.has_right(Right.BRIDGE),
        "router": credential.has_right(Right.ROUTER),
        "dhcp": credential.has_right(Right.DHCP),
        "ra": credential.has_right(Right.RA),
        "addresses": tuple(ip_interface(each).ip.packed for each in credential.addresses),
    }


def _limits(config: NetworkConfig) -> Limits:
    return Limits(
        broadcast=frames_per_second(config.broadcast),
        multicast=frames_per_second(config.multicast),
        unknown_unicast=frames_per_second(config.unknown_unicast),
        arp=frames_per_second(config.arp),
        nd=frames_per_second(config.nd),
        discovery=frames_per_second(config.discovery),
        bpdu=config.bpdu,
        guard=config.guard,
        floods_groups=config.unknown_groups == "flood" or not config.snooping,
    )
