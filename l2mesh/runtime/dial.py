"""TCP towards the underlay: sockets that carry our routing mark, as those of the underlay do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final

from l2mesh.datapath.interface import Endpoint
from l2mesh.runtime.underlay import SO_MARK, SOCKET_MARK

__all__ = ["dial", "tcp_state"]

KEEPALIVE_S: Final = 25


async def dial(endpoint: Endpoint) -> socket.socket:
    """A connected, non-blocking TCP socket; OSError when there is none. The caller sets the time.

    The mark keeps it out of our own networks where they hold the default route.
    """
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        with contextlib.suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, SOCKET_MARK)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
        await asyncio.get_running_loop().sock_connect(sock, endpoint.address)
    except BaseException:
        sock.close()
        raise
    return sock


async def tcp_state(endpoint: Endpoint, wait_s: float) -> str:
    """``open``, ``refused``, ``no_route``, or ``silent`` when nothing came back in time."""
    try:
        async with asyncio.timeout(wait_s):
            sock = await dial(endpoint)
    except TimeoutError:
        return "silent"
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "no_route"
    sock.close()
    return "open"
