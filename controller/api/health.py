"""``GET /healthz`` over plain HTTP, for monitors.

It answers ``200 {"status": "ok", ...}`` while the store can be read, else 503, and nothing else:
another path is 404, another method 405. At most 32 clients, 8 KiB and 5 s each.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from l2mesh.errors import ConfigError, L2meshError
from l2mesh.runtime.underlay import Listen

__all__ = ["HealthServer"]

log = logging.getLogger(__name__)

MAX_CLIENTS: Final = 32
MAX_HEAD_BYTES: Final = 8192
CLIENT_S: Final = 5.0
PATH: Final = "/healthz"


class HealthServer:
    """Listens until closed. `check` gives what to say, and raises when something is wrong."""

    def __init__(self, listen: Listen, check: Callable[[], dict[str, Any]]) -> None:
        self._listen = listen
        self._check = check
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begins to listen; ConfigError when it cannot."""
        host = None if self._listen.host == "::" else self._listen.host
        try:
            self._server = await asyncio.start_server(
                self._on_client, host, self._listen.port, limit=MAX_HEAD_BYTES
            )
        except OSError as error:
            raise ConfigError(
                f"cannot serve the API at {self._listen}: {error.strerror or error}",
                hint="choose another address with --api",
            ) from error
        for sock in self._server.sockets:
            log.info("api: http at %s port %d", *sock.getsockname()[:2])

    @property
    def ports(self) -> list[int]:
        """Where it listens."""
        return [s.getsockname()[1] for s in self._server.sockets] if self._server else []

    async def close(self) -> None:
        """Stops listening and drops clients."""
        if self._server is not None:
            self._server.close()
        for client in list(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) <= MAX_CLIENTS:
                async with asyncio.timeout(CLIENT_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._respond(head))
                    await writer.drain()
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
            log.debug("api client: %r", error)
        except asyncio.CancelledError:
            pass
        finally:
            self._clients.discard(task)
            writer.close()

    def _respond(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004
            return _response(HTTPStatus.BAD_REQUEST, {"status": "bad request"})
        if words[1].partition("?")[0] != PATH:
            return _response(HTTPStatus.NOT_FOUND, {"status": "not found"})
        if words[0] not in ("GET", "HEAD"):
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, {"status": "only GET"})
        try:
            document = {"status": "ok", **self._check()}
        except L2meshError as error:
            log.error("health: %s", error)  # noqa: TRY400
            return _response(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "failed"})
        response = _response(HTTPStatus.OK, document)
        return response if words[0] == "GET" else response.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def _response(status: HTTPStatus, document: dict[str, Any]) -> bytes:
    body = json.dumps({"schema": "l2mesh.health/1", **document}).encode() + b"\n"
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n"
        + ("Allow: GET, HEAD\r\n" if status is HTTPStatus.METHOD_NOT_ALLOWED else "")
        + "\r\n"
    )
    return head.encode("ascii") + body
