"""Netlink: links, addresses and routes of the host.

pyroute2 runs an asyncio loop of its own, which clashes with uvloop, so it lives in one thread;
`Netlink.run` hands it one function after the other. The functions that are handed over live in
``links.py`` and ``addresses.py``; each takes the `IPRoute` first and finishes in milliseconds.

Changes are heard by a plain netlink socket on the event loop. Any message means "look again", but
for those about routes that are no default ones (a router may have very many), and a burst of them
means it once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from l2mesh.errors import L2meshError

__all__ = ["LinkWatch", "Netlink", "NetlinkFailure"]

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

RTMGRP_LINK: Final = 0x1
RTMGRP_IPV4_IFADDR: Final = 0x10
RTMGRP_IPV4_ROUTE: Final = 0x40
RTMGRP_IPV6_IFADDR: Final = 0x100
RTMGRP_IPV6_ROUTE: Final = 0x400
_GROUPS: Final = (
    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE
)
_HEADER: Final = struct.Struct("=IHHII")
"""Of a netlink message: length, type, flags, sequence number, port."""
_ROUTE_TYPES: Final = frozenset({24, 25})
"""RTM_NEWROUTE, RTM_DELROUTE."""
SETTLE_S: Final = 0.1
"""Changes come in bursts; look once this long after the first."""
READ_BYTES: Final = 65536


class NetlinkFailure(L2meshError):
    """The kernel refused a request about links, addresses or routes."""


class Netlink:
    """One netlink socket in one thread. Its methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="netlink")
        self._route: Any = None

    async def run(
        self, function: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Calls ``function(ip, ...)`` in the thread; requests wait for each other.

        NetlinkFailure when the kernel refuses.
        """
        call = partial(self._call, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def close(self) -> None:
        """Ends the thread after what is under way."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._close_route)
        self._executor.shutdown(wait=True)

    def _call(
        self, function: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        try:
            if self._route is None:
                self._route = IPRoute()
            return function(self._route, *args, **kwargs)
        except NetlinkError as error:
            raise NetlinkFailure(os.strerror(error.code)) from error
        except OSError as error:
            raise NetlinkFailure(error.strerror or str(error)) from error

    def _close_route(self) -> None:
        if self._route is not None:
            self._route.close()
            self._route = None


class LinkWatch:
    """Calls `changed` soon after links, addresses or default routes of the host have changed."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._pending: asyncio.TimerHandle | None = None
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.setblocking(False)
        self._socket.bind((0, _GROUPS))
        self._loop.add_reader(self._socket.fileno(), self._on_readable)

    def close(self) -> None:
        """Stops listening."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        if self._pending is not None:
            self._pending.cancel()

    def _on_readable(self) -> None:
        matters = False
        try:
            while messages := self._socket.recv(READ_BYTES):
                matters = matters or _matters(messages)
        except BlockingIOError:
            pass
        except OSError as error:  # ENOBUFS: messages were lost, which may have been any
            logger.debug("netlink watch: %s", error)
            matters = True
        if matters and self._pending is None:
            self._pending = self._loop.call_later(SETTLE_S, self._settled)

    def _settled(self) -> None:
        self._pending = None
        self._changed()


def _matters(messages: bytes) -> bool:
    """Whether any is about a link, an address or a default route (a destination of 0 bits)."""
    at = 0
    while at + _HEADER.size + 2 <= len(messages):
        length, kind, *_ = _HEADER.unpack_from(messages, at)
        if kind not in _ROUTE_TYPES or messages[at + _HEADER.size + 1] == 0:
            return True
        at += max((length + 3) & ~3, _HEADER.size)
    return False
