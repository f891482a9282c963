"""LAN beacons between node and kernel: sent by the UDP socket that peers know, heard by another.

A beacon leaves by the underlay's own IPv4 socket, so that its source is the endpoint that it tells
of, and so that the engine takes it for ours where the LAN's bridge floods it into our TAP. Beacons
are heard on a socket that is bound to the multicast group: nothing sent to an address of this host
gets there. Several daemons on a host all hear.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv4Interface
from struct import Struct
from typing import Any, Final, NamedTuple

from l2mesh.datapath.interface import Endpoint
from l2mesh.runtime.underlay import Underlay
from l2mesh.service.addresses import IFF_UP, TUNNEL_KINDS
from l2mesh.wire.lan import BEACON_BYTES, LAN_GROUP, LAN_PORT

__all__ = ["LanPlace", "LanSocket", "lan_places"]

logger = logging.getLogger(__name__)

BURST: Final = 32
"""Beacons that are read at one wake."""
IFF_LOOPBACK: Final = 0x8
IFF_POINTOPOINT: Final = 0x10
IFF_MULTICAST: Final = 0x1000
# Numbers of include/uapi/linux/in.h that `socket` lacks.
IP_PKTINFO: Final = 8
IP_MULTICAST_ALL: Final = 49
_PKTINFO: Final = Struct("=I4s4s")  # struct in_pktinfo: interface, source, unused
_MREQN: Final = Struct("=4s4sI")  # struct ip_mreqn: group, address, interface
_ANY: Final = bytes(4)


class LanPlace(NamedTuple):
    """One of our addresses on a LAN."""

    interface: int
    """The kernel's number."""
    address: IPv4Interface


def lan_places(ip: Any) -> tuple[LanPlace, ...]:
    """IPv4 addresses on interfaces that reach neighbours by multicast; for `Netlink.run`.

    Tunnels and our own devices are none of them; a bridge that a device of ours belongs to is one.
    """
    lans = {
        link["index"]
        for link in ip.get_links()
        if link["flags"] & (IFF_UP | IFF_MULTICAST) == IFF_UP | IFF_MULTICAST
        and not link["flags"] & (IFF_LOOPBACK | IFF_POINTOPOINT)
        and link.get(("linkinfo", "kind")) not in TUNNEL_KINDS
    }
    found = []
    for address in ip.get_addr(family=socket.AF_INET):
        text = address.get("local") or address.get("address")
        if address["index"] in lans and text:
            place = IPv4Interface(f"{text}/{address['prefixlen']}")
            found.append(LanPlace(address["index"], place))
    return tuple(dict.fromkeys(found))


class LanSocket:
    """Sends and hears. Belongs to the event loop's thread; what the kernel refuses is logged."""

    def __init__(self, underlay: Underlay, heard: Callable[[bytes, Endpoint], None]) -> None:
        """`heard` gets every beacon, or what looks like one, and where it came from."""
        self._underlay = underlay
        self._heard = heard
        self._interfaces: dict[str, int] = {}
        self._joined: set[int] = set()
        self._socket = _open()
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def set_places(self, places: Iterable[LanPlace]) -> None:
        """Hear on these interfaces, and on no others."""
        places = tuple(places)
        self._interfaces = {str(place.address.ip): place.interface for place in places}
        wanted = set(self._interfaces.values())
        for interface in self._joined - wanted:
            self._change(interface, socket.IP_DROP_MEMBERSHIP)
        for interface in wanted - self._joined:
            self._change(interface, socket.IP_ADD_MEMBERSHIP)
        self._joined = wanted

    def send(self, address: str, datagram: bytes) -> None:
        """One beacon from an address; nothing where that is gone."""
        interface = self._interfaces.get(address)
        sock = next((s for s in self._underlay.sockets if s.family == socket.AF_INET), None)
        if interface is None or sock is None:
            return
        source = _PKTINFO.pack(interface, socket.inet_aton(address), _ANY)
        ancillary = [(socket.IPPROTO_IP, IP_PKTINFO, source)]
        try:
            sock.sendmsg([datagram], ancillary, 0, (LAN_GROUP, LAN_PORT))
        except OSError as error:
            logger.debug("no beacon from %s: %s", address, error)

    def close(self) -> None:
        """Hear no more."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _read(self) -> None:
        for _ in range(BURST):
            if self._socket is None:
                return
            try:
                datagram, (host, port) = self._socket.recvfrom(BEACON_BYTES + 1)
            except OSError:  # nothing more, or an interface went away
                return
            self._heard(datagram, Endpoint(host, port))

    def _change(self, interface: int, option: int) -> None:
        if self._socket is None:
            return
        request = _MREQN.pack(socket.inet_aton(LAN_GROUP), _ANY, interface)
        try:
            self._socket.setsockopt(socket.IPPROTO_IP, option, request)
        except OSError as error:  # leaving: the interface is gone; joining: it goes just now
            logger.debug("beacons on interface %d: %s", interface, error)


def _open() -> socket.socket | None:
    """Bound to the group and its port; None, with a warning, where that cannot be had."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    sock.setblocking(False)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        sock.bind((LAN_GROUP, LAN_PORT))
    except OSError as error:
        sock.close()
        logger.warning("LAN beacons are not heard: %s:%d: %s", LAN_GROUP, LAN_PORT, error)
        return None
    return sock
