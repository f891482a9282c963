"""The local API: a Unix socket on which `l2mesh` and other programs of this host ask the daemon.

A connection carries one request and one answer, each a u32 length in network byte order and that
many bytes of MessagePack::

    request    {"verb": str, "arguments": {str: ...}}
    answer     {"result": {...}}                              the document of `l2mesh VERB -o json`
               {"error": {"code": str, "message": str, "hint": str}}

    part       {"part": {...}}                                any number of them before some results

Codes: ``failed``, ``usage``, ``not_permitted``, ``not_found``, ``denied``, ``timed_out``. Unknown
keys are ignored in both directions. Closing the connection gives a request up.

Who may open the socket may read (mode 0660, group ``l2mesh`` where there is one); only root and the
daemon's own user may change something. The kernel says who it is (SO_PEERCRED).
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgpack

from l2mesh.errors import ConfigError, L2meshError
from l2mesh.socketpath import short_path

__all__ = ["ApiError", "ApiServer", "Method"]

logger = logging.getLogger(__name__)

GROUP: Final = "l2mesh"
MODE: Final = 0o660
MAX_CLIENTS: Final = 64
MAX_REQUEST_BYTES: Final = 64 * 1024
REQUEST_S: Final = 10.0
"""A client sends its request and takes its answer within this time."""

_LENGTH: Final = struct.Struct(">I")
_CREDENTIALS: Final = struct.Struct("3i")


class ApiError(L2meshError):
    """A request that is refused with one of the codes above."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


@dataclass(frozen=True, slots=True)
class Method:
    """A verb: what answers it, and whether only those may ask who may change something."""

    call: Callable[..., Awaitable[dict[str, Any]]]
    """Called with the arguments."""
    writes: bool = False
    sends: bool = False
    """`call` has a second argument: awaited with a document, it sends that ahead as a part."""


class ApiServer:
    """Answers requests until closed."""

    def __init__(
        self,
        path: Path,
        methods: Mapping[str, Method],
        *,
        settled: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Takes the socket's place; ConfigError when a live daemon answers there.

        `settled` is awaited before a request that changes something is answered: what a caller has
        been told survives a kill.
        """
        self.path = path
        self._settled = settled
        self._methods = methods
        self._socket = _listen(path)
        self._inode = path.stat().st_ino
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begins to answer."""
        self._server = await asyncio.start_unix_server(self._on_client, sock=self._socket)

    async def close(self) -> None:
        """Ends requests that wait, and removes the socket if it still is ours."""
        if self._server is not None:
            self._server.close()
        self._socket.close()
        for client in list(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()

    async def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            answer = await self._answer(reader, writer)
            if answer is not None:
                async with asyncio.timeout(REQUEST_S):
                    await _write(writer, answer)
        except (OSError, EOFError, TimeoutError, asyncio.CancelledError) as error:
            logger.debug("local client: %r", error)
        finally:
            self._clients.discard(task)
            writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> dict[str, Any] | None:
        """What to answer, None when the client has gone."""
        try:
            if len(self._clients) > 2 * MAX_CLIENTS:
                return None
            async with asyncio.timeout(REQUEST_S):
                verb, arguments = await _read_request(reader)
            if len(self._clients) > MAX_CLIENTS:
                raise ApiError("failed", "the daemon is busy with other requests")
            return await self._call(verb, arguments, reader, writer)
        except ApiError as error:
            return _failure(error.code, error)
        except ConfigError as error:
            return _failure("usage", error)
        except L2meshError as error:
            return _failure("failed", error)
        except (OSError, EOFError):
            raise
        except Exception as error:
            logger.exception("internal error in a local request")
            return _failure("failed", L2meshError(f"internal error: {type(error).__name__}"))

    async def _call(
        self,
        verb: str,
        arguments: Mapping[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> dict[str, Any] | None:
        method = self._methods.get(verb)
        if method is None:
            raise ApiError("usage", f"the daemon knows no request {verb!r}")
        if method.writes and not _may_write(writer.get_extra_info("socket")):
            raise ApiError(
                "not_permitted",
                "only root and the user that runs the daemon may do this",
                hint="run the command again with sudo",
            )
        call = asyncio.ensure_future(
            method.call(arguments, lambda part: _write(writer, {"part": part}))
            if method.sends
            else method.call(arguments)
        )
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({call, gone}, return_when=asyncio.FIRST_COMPLETED)
            if method.writes and self._settled is not None and call.done():
                await self._settled()
            return {"result": call.result()} if call.done() else None
        finally:
            call.cancel()
            gone.cancel()


async def _write(writer: asyncio.StreamWriter, document: dict[str, Any]) -> None:
    data = msgpack.packb(document)
    writer.write(_LENGTH.pack(len(data)) + data)
    await writer.drain()


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, Mapping[str, Any]]:
    (size,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if size > MAX_REQUEST_BYTES:
        raise ApiError("usage", f"a request is at most {MAX_REQUEST_BYTES} bytes")
    data = await reader.readexactly(size)
    try:
        request = msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException):
        raise ApiError("usage", "the request is no MessagePack") from None
    if not isinstance(request, dict):
        raise ApiError("usage", "the request is no map")
    verb, arguments = request.get("verb"), request.get("arguments", {})
    if not isinstance(verb, str) or not isinstance(arguments, dict):
        raise ApiError("usage", "the request has no verb, or its arguments are no map")
    return verb, arguments


def _failure(code: str, error: L2meshError) -> dict[str, Any]:
    return {"error": {"code": code, "message": str(error), "hint": error.hint}}


def _may_write(sock: Any) -> bool:
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(data)
    return uid in {0, os.geteuid()}


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path`, in place of a dead one."""
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _clear(path)
        return _bind(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"cannot serve the local API at {path}: {reason}", hint="choose another with --socket"
        ) from error


def _bind(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~MODE)  # nobody else gets in between bind and chown
    try:
        with short_path(path) as reachable:
            sock.bind(reachable)
        with contextlib.suppress(KeyError, PermissionError):
            os.chown(path, -1, grp.getgrnam(GROUP).gr_gid)
        sock.listen(MAX_CLIENTS)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(before)
    return sock


def _clear(path: Path) -> None:
    """Removes a socket on which nobody answers; ConfigError for anything else that is there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} is in the way: it is no socket", hint="use another --socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            with short_path(path) as reachable:
                probe.connect(reachable)
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError:
            pass  # full or slow: alive
    raise ConfigError(
        f"a daemon is running and answers at {path}",
        hint="stop it, or give this one a --socket and a --state of its own",
    )
