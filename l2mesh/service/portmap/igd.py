"""UPnP-IGD: a port by SOAP, through async-upnp-client.

The router is asked on the LAN and by http, and nothing it says leads to another host. What it
answers is bounded in size and time.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address
from typing import Any, Final

from async_upnp_client.client import UpnpService
from async_upnp_client.client_factory import UpnpFactory
from async_upnp_client.exceptions import UpnpActionError, UpnpError

from l2mesh.datapath.interface import Endpoint
from l2mesh.service.portmap.lease import Lease, NoAnswer, Refused, Wish
from l2mesh.service.portmap.soap import Requester

__all__ = ["UpnpError", "map_port", "open_service"]

WAIT_S: Final = 5.0
"""For all that one request takes."""
DESCRIPTION: Final = "l2mesh"
ANYBODY: Final = ""
"""The remote host of a mapping that is for all (WANIPConnection:2, section 2.3.12)."""
CONFLICT: Final = 718
ONLY_PERMANENT: Final = 725
OTHER_PORTS: Final = 3
"""Ports above the wanted one that are tried where that is taken by somebody else."""
_KINDS: Final = (":WANIPConnection:", ":WANPPPConnection:")


async def open_service(gateway: str, location: str) -> UpnpService:
    """The service that maps ports, of the device that a page describes.

    Raises NoAnswer when there is none, UpnpError when the page cannot be had or read.
    """
    factory = UpnpFactory(Requester(gateway, WAIT_S), non_strict=True)
    device = await factory.async_create_device(location)
    for service in device.all_services:
        is_right = any(kind in service.service_type for kind in _KINDS)
        if is_right and service.has_action("AddPortMapping"):
            return service
    raise NoAnswer("the gateway offers no port mapping")


async def map_port(service: UpnpService, wish: Wish) -> Lease:
    """Asks for a port, renews it, or with lifetime 0 gives it back.

    Raises Refused when the gateway grants none, UpnpError when it does not answer, or in words that
    nobody understands.
    """
    wanted = wish.outside.port if wish.outside is not None else wish.own.port
    if not wish.lifetime_s:
        await _call(service, "DeletePortMapping", wanted)
        return Lease(Endpoint("", wanted), 0, None)
    host = (await service.action("GetExternalIPAddress").async_call())["NewExternalIPAddress"]
    try:
        outside = str(IPv4Address(host))
    except AddressValueError:
        raise Refused("UPnP: the gateway has no address outside") from None
    for port in range(wanted, min(wanted + 1 + OTHER_PORTS, 65536)):
        if lifetime_s := await _add(service, wish, port):
            return Lease(Endpoint(outside, port), lifetime_s, None)
    raise Refused("UPnP: the port and those above it belong to others")


async def _add(service: UpnpService, wish: Wish, port: int) -> int:
    """The lifetime granted in seconds, 0 where the port belongs to somebody else.

    A gateway that knows only mappings without an end makes such a one: it stays after a crash.
    """
    for lifetime_s in (wish.lifetime_s, 0):
        try:
            await _call(
                service,
                "AddPortMapping",
                port,
                NewInternalPort=wish.own.port,
                NewInternalClient=wish.own.host,
                NewEnabled=True,
                NewPortMappingDescription=DESCRIPTION,
                NewLeaseDuration=lifetime_s,
            )
        except UpnpActionError as error:
            if error.error_code == CONFLICT:
                return 0
            if error.error_code != ONLY_PERMANENT or not lifetime_s:
                raise Refused(f"UPnP: {error.error_desc or error.error_code}") from error
        else:
            break
    return wish.lifetime_s


async def _call(service: UpnpService, action: str, port: int, **more: Any) -> None:
    await service.action(action).async_call(
        NewRemoteHost=ANYBODY, NewExternalPort=port, NewProtocol="UDP", **more
    )
