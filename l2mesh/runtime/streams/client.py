"""Opening a stream to a planet: TLS, at its own port and at that of HTTPS, by a proxy or not."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake

from l2mesh.datapath.interface import Endpoint
from l2mesh.runtime.dial import dial
from l2mesh.runtime.streams import proxy as proxies
from l2mesh.runtime.streams.link import SETTINGS, Link
from l2mesh.runtime.streams.proxy import Proxy, ProxyError
from l2mesh.runtime.streams.registry import Streams
from l2mesh.wire.endpoint import format_endpoint

__all__ = ["PATH", "open_link"]

logger = logging.getLogger(__name__)

PATH: Final = "/l2mesh"
HTTPS_PORT: Final = 443
DIAL_S: Final = 5.0
MAX_TARGETS: Final = 8
"""Endpoints tried for one planet in a row."""
_FAILURES: Final = (OSError, TimeoutError, InvalidHandshake, ProxyError)


async def open_link(
    endpoints: tuple[Endpoint, ...],
    streams: Streams,
    proxy: Proxy | None,
    on_failure: Callable[[Exception], None],
) -> Link | None:
    """A stream to the first of a planet's endpoints that takes one, None where none does.

    `on_failure` hears why each other one did not.
    """
    targets = dict.fromkeys(
        Endpoint(endpoint.host, port)
        for endpoint in endpoints
        for port in (endpoint.port, HTTPS_PORT)
    )
    for target in list(targets)[:MAX_TARGETS]:
        try:
            async with asyncio.timeout(DIAL_S):
                connection = await _connect(target, proxy)
        except _FAILURES as error:
            logger.debug("no stream to %s: %s", format_endpoint(target), error)
            on_failure(error)
        else:
            logger.info("stream to %s is open", format_endpoint(target))
            return Link(connection, streams)
    return None


async def _connect(target: Endpoint, proxy: Proxy | None) -> ClientConnection:
    sock = await (dial(target) if proxy is None else proxies.connect(proxy, target))
    url = f"wss://{format_endpoint(target)}{PATH}"
    try:
        return await connect(url, sock=sock, ssl=_context(), proxy=None, **SETTINGS)
    except BaseException:
        sock.close()
        raise


def _context() -> ssl.SSLContext:
    """TLS that asks nobody who they are: the handshake inside does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
