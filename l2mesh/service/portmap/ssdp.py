"""SSDP: is the router a UPnP internet gateway? (UPnP Device Architecture 1.1, section 1.3)

One question by multicast on our LAN, and only the router's own answer counts. The library that
speaks to it is loaded only then: it is large, and most routers are none.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final
from urllib.parse import urlsplit

from l2mesh.service.portmap.lease import NoAnswer

__all__ = ["SEARCH", "find_location", "parse_location"]

GROUP: Final = ("239.255.255.250", 1900)
WAIT_S: Final = 2.0
TRIES: Final = 2
MAX_BYTES: Final = 2048
SEARCH: Final = (
    b"M-SEARCH * HTTP/1.1\r\n"
    b"HOST: 239.255.255.250:1900\r\n"
    b'MAN: "ssdp:discover"\r\n'
    b"MX: 1\r\n"
    b"ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n"
)
"""Version 2 of the device answers to it as well."""


def parse_location(data: bytes, host: str) -> str | None:
    """Where an answer says that the description is, if that is a page of `host` by http."""
    lines = data[:MAX_BYTES].decode("latin-1").split("\r\n")
    if not lines[0].startswith("HTTP/1.") or lines[0].split(" ")[1:2] != ["200"]:
        return None
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "location":
            return value.strip() if is_at(value.strip(), host) else None
    return None


def is_at(url: str, host: str) -> bool:
    """Whether a URL is an http one at this host; a router must not send us elsewhere."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and parts.hostname == host and parts.port != 0
    except ValueError:
        return False


async def find_location(gateway: str, own_host: str) -> str:
    """The URL of the router's description; NoAnswer when it tells none within 4 s."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        try:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 2)
            sock.bind((own_host, 0))
            for _ in range(TRIES):
                sock.sendto(SEARCH, GROUP)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(WAIT_S):
                        return await _first(sock, gateway)
        except OSError as error:
            raise NoAnswer(f"{error.strerror}") from error
    raise NoAnswer("no gateway answers")


async def _first(sock: socket.socket, gateway: str) -> str:
    while True:
        await _wait_readable(sock)
        data, source = sock.recvfrom(MAX_BYTES)
        location = parse_location(data, gateway) if source[0] == gateway else None
        if location is not None:
            return location


async def _wait_readable(sock: socket.socket) -> None:
    """uvloop has no `sock_recvfrom`."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(sock, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(sock)
